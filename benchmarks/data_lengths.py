"""What would it cost to write only note lengths that notation has? Two dialects, the same music.

    python -m data.prepare --source folk --out runs/data/folk-abc
    python -m benchmarks.data_lengths --data runs/data/folk-abc --out runs/lengths/folk

ABC readers that engrave reject `z5` and `A19/8`. In the tied dialect these are `z4 z` and
`A2-A3/8`: the writer is the same, but after the cuts at bar lines it cuts notes again, into lengths
that can be engraved. Each piece must read as the same score in both.

Both are trained in the same way on equal tokens, and the tied one, which needs more tokens per
note, also on equal notes. Each cell's result is a file, so the same command resumes after an
interruption; `--table` prints the results so far, `--texts 40` writes 40 pieces in both as ABC.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import chain, islice, pairwise
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from data.abc import writer
from data.abc.layout import NONE, Layout, Stretches, lay_out, places
from data.abc.tokenizer import AbcTokenizer
from data.music.score import Score
from data.store.flat import SPLITS, Split, open_split, write_split
from data.store.location import Location
from data.store.manifest import MANIFEST, read_manifest, write_manifest
from fitting.compare.pieces import compare_pieces
from harness.alone import train_alone
from trainers.cell import Cell
from trainers.losses import Losses, read_losses, write_losses
from trainers.models import transformer

TODAY, TIED = "today", "tied"
SIZES, SEEDS, MILLIONS = ("20k", "120k", "300k"), (0, 1), 2
ALIKE = 1.01
"""Budgets that differ by less are one."""
DOTS = (1, 3, 7, 15)
"""Numerators of a length without a dot, with one, two and three, over powers of two."""
BREVE, SHORTEST = 16, Fraction(1, 8)
"""In eighths; the shortest is a sixty-fourth."""


# --- the dialect ---------------------------------------------------------------------------------


def can_be_drawn(ticks: int, eighth: int) -> bool:
    """Whether a note of so many ticks, an eighth being `eighth`, is one note head with its dots.

    Behind a tuplet sign it is the written length that counts. abcm2ps 8.14 takes these lengths and
    longer ones; abcjs 6.7 below a whole note the same, and complains of none above.
    """
    written = Fraction(ticks, eighth)
    if eighth % 3 == 0 and ticks % 3:
        written *= Fraction(3, 2)
    odd = written.numerator
    while odd % 2 == 0:
        odd //= 2
    return odd in DOTS and SHORTEST <= written < 2 * BREVE


@lru_cache(maxsize=8)
def partitions(longest: int, eighth: int) -> list[tuple[int, ...]]:
    """How each number of ticks up to `longest` is written: in the fewest parts that can be drawn,
    of these splits the one with the fewest tuplet signs, and of these with the longest first."""
    drawn = [ticks for ticks in range(1, 2 * BREVE * eighth) if can_be_drawn(ticks, eighth)]

    def cost(parts: tuple[int, ...]) -> tuple:
        return len(parts), sum(part % 3 != 0 for part in parts), [-part for part in parts]

    found: list[tuple[int, ...]] = [(0,)]
    for ticks in range(1, longest + 1):
        splits = [(part, *found[ticks - part]) for part in drawn if part < ticks]
        found.append((ticks,) if ticks in drawn else min(splits, key=cost))
    return found


def tied(layout: Layout, eighth: int) -> Layout:
    """The same layout with stretches that cannot be drawn cut into some that can."""
    before = layout.stretches
    ticks = before.end - before.start
    partition = partitions(int(ticks.max()), eighth)
    parts = [partition[each] for each in ticks.tolist()]
    count = np.array([len(each) for each in parts])
    row = np.repeat(np.arange(len(parts)), count)
    length = np.array(list(chain.from_iterable(parts)))
    end = np.cumsum(length) - np.repeat(np.cumsum(ticks) - ticks, count) + before.start[row]
    goes_on = places(count) + 1 < count[row]
    chord = before.chord[row]
    tie = np.where(goes_on, chord != NONE, before.tied[row])
    return layout._replace(stretches=Stretches(before.cell[row], end - length, end, chord, tie))


def respelled(ids: np.ndarray, tokenizer: AbcTokenizer) -> np.ndarray:
    """A piece in the tied dialect. Raises ValueError if it does not read as the same score."""
    score, eighth = tokenizer.decode(ids), tokenizer.ticks_per_quarter // 2
    with mock.patch.object(writer, "lay_out", lambda scores: tied(lay_out(scores), eighth)):
        twin = tokenizer.encode(score)
    if content(tokenizer.decode(twin)) != content(score):
        raise ValueError(f"a piece of {len(score)} notes reads otherwise with tied lengths")
    return twin


def content(score: Score) -> tuple:
    return score.canonical(), score.tempos, score.meters, score.keys


# --- two data sets -------------------------------------------------------------------------------


def write_dialects(data: Path, out: Path) -> None:
    """Make both dialects' folders: the same pieces in the same splits and order.

    Of the test split all is spelt but the first piece alone is kept: every cell evaluates it, and
    nothing is read off it here.
    """
    manifest = read_manifest(data)
    tokenizer = AbcTokenizer(manifest.ticks_per_quarter)
    spellings: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        TODAY: lambda ids: ids,
        TIED: lambda ids: respelled(ids, tokenizer),
    }
    for dialect, spell in spellings.items():
        folder = Location.of(out / dialect)
        if (folder / MANIFEST).exists():
            continue
        counts = {}
        for name in SPLITS:
            split = open_split(data, name)
            pieces = [spell(ids) for ids in pieces_of(split)]
            kept = 1 if name == "test" else len(pieces)
            columns = (split.num_notes[:kept], split.seconds[:kept], split.groups[:kept])
            lengths = np.array([len(piece) for piece in pieces[:kept]])
            write_split(folder, name, np.concatenate(pieces[:kept]), lengths, *columns)
            counts[name] = {"tokens": int(lengths.sum()), "notes": int(columns[0].sum())}
        fingerprint = f"{manifest.fingerprint}-{dialect}"
        write_manifest(folder, replace(manifest, fingerprint=fingerprint, splits=counts))


def pieces_of(split: Split) -> Iterator[np.ndarray]:
    for start, end in pairwise(split.starts.tolist()):
        yield np.array(split.tokens[start:end])


def write_texts(count: int, out: Path) -> None:
    """The first pieces of validation as `texts/today-0.abc` and so on."""
    (out / "texts").mkdir(exist_ok=True)
    tokenizer = AbcTokenizer(read_manifest(out / TODAY).ticks_per_quarter)
    for dialect in (TODAY, TIED):
        for number, ids in enumerate(islice(pieces_of(open_split(out / dialect, "val")), count)):
            path = out / "texts" / f"{dialect}-{number}.abc"
            path.write_text(tokenizer.to_text(ids))


# --- training ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trial:
    dialect: str
    tokens: int
    size: str
    seed: int

    def folder(self, out: Path) -> Location:
        return Location.of(out / f"{self.dialect}-{self.tokens}-{self.size}-seed{self.seed}")


def budgets(out: Path, batch_tokens: int) -> list[tuple[str, int]]:
    """Dialect and tokens: today's, then the tied one with equal tokens and with equal notes, where
    these are two budgets."""
    seen = {d: read_manifest(out / d).splits["train"]["tokens"] for d in (TODAY, TIED)}
    equal = round(MILLIONS * 1e6 / batch_tokens)
    notes = round(equal * seen[TIED] / seen[TODAY])
    of_tied = [equal] if notes < ALIKE * equal else [equal, notes]
    return [(TODAY, equal * batch_tokens), *((TIED, each * batch_tokens) for each in of_tied)]


def run(trial: Trial, context: int, batch_tokens: int, out: Path) -> None:
    """Train it and write what it measured, with the losses by piece beside it."""
    manifest, folder = read_manifest(out / trial.dialect), trial.folder(out)
    cell = Cell(
        arch="transformer",
        size=trial.size,
        seed=trial.seed,
        lr=transformer.LR,
        tokens=trial.tokens,
        batch_tokens=batch_tokens,
        context=context,
        weight_decay=0.1,
        clip=1.0,
        tokenizer=manifest.tokenizer,
        vocab_size=manifest.vocab_size,
        data=manifest.fingerprint,
    )
    measured = train_alone(
        cell, out / trial.dialect, keep=lambda losses: write_losses(folder, losses)
    )
    (folder / "measured.json").write_text(json.dumps(measured, indent=1))


# --- what is printed -----------------------------------------------------------------------------


def print_texts(out: Path) -> None:
    """How long the pieces are in both dialects, and which tokens are used in one alone."""
    print("| dialect | split | notes | tokens | tokens a note | tokens used |")
    print("| --- | --- | --- | --- | --- | --- |")
    used: dict[str, set[int]] = {TODAY: set(), TIED: set()}
    for dialect in (TODAY, TIED):
        for name in ("train", "val"):
            split = open_split(out / dialect, name)
            found, notes = np.unique(split.tokens), int(split.num_notes.sum())
            used[dialect] |= set(found.tolist())
            print(
                f"| {dialect} | {name} | {notes:,} | {len(split.tokens):,} | "
                f"{len(split.tokens) / notes:.3f} | {len(found)} |"
            )
    tokens = AbcTokenizer().tokens
    for one, other in ((TODAY, TIED), (TIED, TODAY)):
        only = ", ".join(tokens[index] for index in sorted(used[one] - used[other]))
        print(f"Only in {one}: {only or 'none'}")


def print_losses(batch_tokens: int, out: Path) -> None:
    """Nats a note on validation, and the tied dialect less today's, paired by piece."""
    (_, equal), *others = budgets(out, batch_tokens)
    print("| size | seed | tied, tokens | today | tied | difference | s.e. by piece |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for dialect, tokens in others:
        differences = []
        for size in SIZES:
            for seed in SEEDS:
                pair = Trial(TODAY, equal, size, seed), Trial(dialect, tokens, size, seed)
                losses = [read_losses(trial.folder(out)) for trial in pair]
                if not all(losses):
                    continue
                today, twin = (each["val"] for each in losses)
                found = compare_pieces(today.nats, twin.nats, today.notes, today.groups)
                differences.append(found.difference)
                print(
                    f"| {size} | {seed} | {tokens:,} | {per_note(today):.3f} | "
                    f"{per_note(twin):.3f} | {found.difference:+.3f} | {found.error:.3f} |"
                )
        if len(differences) > 1:
            error = np.std(differences, ddof=1) / np.sqrt(len(differences))
            print(
                f"| mean | | {tokens:,} | | | {np.mean(differences):+.3f} | {error:.3f} of runs |"
            )


def per_note(losses: Losses) -> float:
    return float(losses.nats.sum() / losses.notes.sum())


def main() -> int:
    args = parse_args()
    torch.set_num_threads(1)
    write_dialects(args.data, args.out)
    if args.texts:
        write_texts(args.texts, args.out)
    for size in [] if args.table else args.sizes:
        for seed in SEEDS:
            for dialect, tokens in budgets(args.out, args.batch_tokens):
                trial = Trial(dialect, tokens, size, seed)
                if not (trial.folder(args.out) / "measured.json").exists():
                    run(trial, args.context, args.batch_tokens, args.out)
                    print(trial, flush=True)
    print_texts(args.out)
    print_losses(args.batch_tokens, args.out)
    return 0


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="made by data.prepare")
    parser.add_argument("--out", type=Path, required=True, help="a folder for results")
    parser.add_argument("--context", type=int, default=256, help="512 for POP909 [256]")
    parser.add_argument("--batch-tokens", type=int, default=1024, help="2048 for POP909 [1024]")
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), help="of the models [all]")
    parser.add_argument("--texts", type=int, default=0, help="pieces to write as ABC [0]")
    parser.add_argument("--table", action="store_true", help="train nothing")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
