"""Let trained models compose, and make the page on which to hear and compare them.

python -m trainers.generate --sweep quickstart                 every cell: runs/quickstart/samples
python -m trainers.generate --sweep quickstart --best --count 8
python -m trainers.generate --sweep quickstart --cell lstm-300k-seed0 --prompt tune.abc --bars 16
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from data.errors import DataError
from data.store.location import Location
from data.tokens.make import load_tokenizer
from trainers.chosen import BEST, add_arguments, choose, data_of, of_sweep, trained_on
from trainers.samples import files, page
from trainers.samples.apart import Apart, in_turn
from trainers.samples.cells import CellError, finished
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
        sweep, cells = of_sweep(args)
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m trainers.generate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser)
    parser.add_argument("--to", metavar="DIR", help="where to write [the sweep's folder/samples]")
    one = parser.add_mutually_exclusive_group()
    one.add_argument(
        "--cell",
        metavar="NAME",
        help="only this cell, such as lstm-300k-seed1 [of those that differ in seed, the lowest]",
    )
    one.add_argument("--best", action="store_true", help=BEST)
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
