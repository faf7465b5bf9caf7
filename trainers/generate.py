"""Let trained models compose, and make the page on which to hear and compare them.

python -m trainers.generate --sweep quickstart                 every cell: runs/quickstart/samples
python -m trainers.generate --sweep quickstart --best --count 8
python -m trainers.generate --sweep quickstart --cell lstm-300k-seed0 --prompt tune.abc --bars 16
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from data.errors import DataError
from data.store.location import Location
from data.store.manifest import read_manifest
from data.tokens.make import load_tokenizer
from trainers.samples import files, page
from trainers.samples.apart import Apart, in_turn
from trainers.samples.cells import CellError, Trained, finished
from trainers.samples.prompt import PromptError, read_prompt
from trainers.samples.study import Request, Study, study
from trainers.sampling import Draw

PROMPT_BARS = 4
REAL_PIECES = 12
"""Test pieces on the page."""


def main(argv: list[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    try:
        draw = Draw(args.temperature, args.top_k, args.top_p, args.min_p)
        if args.prompt_bars is not None and not args.prompt:
            raise ValueError("--prompt-bars is of a --prompt, and there is none")
        bars = PROMPT_BARS if args.prompt_bars is None else args.prompt_bars
        if min(args.count, args.max_tokens, bars, 1 if args.bars is None else args.bars) < 1:
            raise ValueError("count, max-tokens, bars and prompt-bars must be at least 1")
    except ValueError as error:
        print(f"trainers.generate: {error}", file=sys.stderr)
        return 2
    try:
        sweep = Location.of(args.sweep) if "/" in args.sweep else args.out / args.sweep
        cells = finished(sweep / "cells")
        if args.data:
            cells = trained_on(args.data, cells)
        cells = choose(cells, args.cell, args.best)
        data = args.data or data_of(cells, args.out)
        tokenizer = load_tokenizer(data / "tokenizer.json")
        wanted = args.prompt, tokenizer, bars, args.grammar
        prompt = read_prompt(*wanted) if args.prompt else None
        request = Request(
            count=args.count,
            seed=args.seed,
            max_tokens=args.max_tokens,
            bars=args.bars,
            draw=draw,
            grammar=args.grammar,
            prompt=prompt,
        )
        made = study(cells, data, request, tell=lambda name: print(f"{name} ...", file=sys.stderr))
        folder = Location.of(args.to) if args.to else sweep / "samples"
        files.write(folder, made.composed, args.shown)
        (folder / "samples.html").write_text(write_page(made, request, args.shown))
    except (CellError, DataError, PromptError, OSError, ValueError) as error:
        print(f"trainers.generate: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("trainers.generate: interrupted; nothing was written", file=sys.stderr)
        return 130
    for name, why in made.failed.items():
        print(f"trainers.generate: nothing of {name}: {why}", file=sys.stderr)
    print(folder / "samples.html")
    return 1 if made.failed else 0


def make_page(
    cells: Location, data: Location, target: Path, count: int, shown: int, apart: Apart = in_turn
) -> dict[str, str]:
    """The page of the cells that were trained on `data`, as the last step of a sweep makes it:
    beside its report.

    Returns the names of cells that could not compose, with the reasons. Raises CellError if none
    could, or none has finished.
    """
    request = Request(count=count)
    chosen = choose(trained_on(data, finished(cells)), name=None, best=False)
    made = study(chosen, data, request, apart)
    Location.of(target).write_text(write_page(made, request, shown, report="report.html"))
    return made.failed


def write_page(made: Study, request: Request, shown: int, report: str = "") -> str:
    return page.html(made, shown, REAL_PIECES, how(request), report)


def how(request: Request) -> str:
    draw = request.draw
    told = [f"temperature {draw.temperature:g}"]
    told += [f"top-k {draw.top_k}"] * bool(draw.top_k)
    told += [f"top-p {draw.top_p:g}"] * (draw.top_p < 1) + [f"min-p {draw.min_p:g}"] * bool(
        draw.min_p
    )
    kept = "kept to the grammar of the notation" if request.grammar else "nothing forbidden"
    return (
        f"Drawn at {', '.join(told)}, {kept}, from seed {request.seed} on, "
        f"{request.count} of each model measured and not chosen: the first are here."
    )


def choose(cells: Sequence[Trained], name: str | None, best: bool) -> list[Trained]:
    """The cells asked for; without a name, one of those that differ in seed alone.

    Raises CellError.
    """
    chosen = [one for one in cells if name in (None, one.name, one.cell.key)]
    if not chosen:
        there = ", ".join(one.name for one in cells)
        raise CellError(f"no finished cell {name!r}; there are {there}")
    if best:
        return [min(chosen, key=lambda one: one.val_loss)]
    if name is None:
        by_seed = sorted(chosen, key=lambda one: one.cell.seed, reverse=True)
        lowest = {replace(one.cell, seed=0).key: one.name for one in by_seed}.values()
        chosen = [one for one in chosen if one.name in lowest]
    return chosen


def trained_on(data: Location, cells: Sequence[Trained]) -> list[Trained]:
    """Those of the cells. Raises CellError if there are none."""
    fingerprint = read_manifest(data).fingerprint
    found = [one for one in cells if one.cell.data == fingerprint]
    if not found:
        raise CellError(f"no finished cell was trained on {data}")
    return found


def data_of(cells: Sequence[Trained], out: Location) -> Location:
    """The data that the cells were trained on: `out` itself, or a folder of `out`/data.

    Raises CellError if they were trained on several, DataError if these are not there.
    """
    if len({one.cell.data for one in cells}) > 1:
        raise CellError("the cells were trained on several data sets; name one with --data")
    for folder in [out, *(out / "data").children()]:
        found = (folder / "manifest.json").exists()
        if found and read_manifest(folder).fingerprint == cells[0].cell.data:
            return folder
    raise DataError(
        f"{out}: no data with the fingerprint {cells[0].cell.data} that {cells[0].name} was "
        "trained on; name its folder with --data"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m trainers.generate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--sweep", required=True, metavar="NAME", help="a sweep below --out, or its folder"
    )
    parser.add_argument(
        "--out",
        type=Location.of,
        default=Location.of("runs"),
        metavar="DIR",
        help="where sweeps lie [runs]",
    )
    parser.add_argument(
        "--data",
        type=Location.of,
        metavar="DIR",
        help="only cells trained on these data [found below --out/data]",
    )
    parser.add_argument("--to", metavar="DIR", help="where to write [the sweep's folder/samples]")
    one = parser.add_mutually_exclusive_group()
    one.add_argument(
        "--cell",
        metavar="NAME",
        help="only this cell, such as lstm-300k-seed1 [of those that differ in seed, the lowest]",
    )
    one.add_argument("--best", action="store_true", help="only the cell of the lowest loss")
    parser.add_argument("--count", type=int, default=24, help="samples of each cell [24]")
    parser.add_argument("--shown", type=int, default=3, help="of them on the page, as files [3]")
    parser.add_argument("--seed", type=int, default=0, help="of the first sample [0]")
    parser.add_argument("--prompt", type=Path, metavar="FILE", help="MIDI or ABC to go on from")
    said = f"of it, from its first note [{PROMPT_BARS}]"
    parser.add_argument("--prompt-bars", type=int, help=said)
    parser.add_argument("--bars", type=int, help="the most to compose [as --max-tokens gives]")
    parser.add_argument("--max-tokens", type=int, default=512, help="the most to compose [512]")
    parser.add_argument("--temperature", type=float, default=1.0, help="0 takes the likeliest [1]")
    parser.add_argument("--top-k", type=int, default=0, help="draw from so many tokens [all]")
    parser.add_argument("--top-p", type=float, default=1.0, help="... of so much probability [1]")
    parser.add_argument(
        "--min-p", type=float, default=0.0, help="... of such a share of the likeliest's [0]"
    )
    parser.add_argument(
        "--grammar",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="only what is valid by construction [yes]",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
