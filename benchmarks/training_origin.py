"""What the loss is made of: classes of tokens by their contexts, their cost, and a sweep's cells.

    make sweep
    python -m benchmarks.training_origin --data runs/data/folk-abc --sweep runs/quickstart
    python -m benchmarks.training_origin --data runs/data/folk-abc --sweep runs/quickstart \
        --csv runs.csv
    python -m benchmarks.training_origin --data runs/data/folk-abc --piece 86

Without --csv: what each class adds to the lead of the best cell of one architecture over that of
another, the shares and losses of the classes at several lengths of the context, and how long
classes take beside an evaluation, in processor time.
With it: all cells are evaluated again by class, which gives those that were trained before classes
were measured what others have. The runs go to a table that `fitting.report --csv` reads, and the
losses of each size are printed. With --piece: a piece of the validation split, and below its tokens
the class of each: r, b, s, or a point for a new one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from data import origin
from data.origin import CONTEXT, ORIGINS, kept_origins, origins
from data.store.flat import Split, open_split
from data.store.location import Location
from data.tokens.make import load_tokenizer
from fitting.compare.pieces import ratio_error
from fitting.runs.read import complete
from sweeps.records import row
from trainers.cell import Placement
from trainers.divisions import divisions
from trainers.evaluate import Parts, by_part, evaluate, scored, token_nats
from trainers.records import read_record
from trainers.samples.cells import Trained, finished

CONTEXTS = (2, 3, 4, 6, 8, 10, 12, 16)
DEVICE = torch.device("cpu")
TURNS = 5


def best_nats(data: Path, cells: list[Trained]) -> dict[str, np.ndarray]:
    """Nats of each token of the validation split, (n,), by the best cell of each architecture."""
    split, nats = open_split(data, "val"), {}
    for arch in sorted({each.cell.arch for each in cells}):
        best = min((c for c in cells if c.cell.arch == arch), key=lambda each: each.val_loss)
        settings = module(best), split, best.cell.context, windows_of(best), DEVICE
        nats[best.name], _ = token_nats(*settings)
    return nats


def lead(data: Path, nats: dict[str, np.ndarray]) -> None:
    """What each class adds to how far the second of two cells is ahead of the first, nats per
    token of the whole, with its standard error, paired by piece."""
    split, found = open_split(data, "val"), kept_origins(data, "val")
    tokens = np.diff(split.starts) - 1
    works = np.unique(split.groups, return_inverse=True)[1]
    for first, second in combinations(nats, 2):
        ahead = nats[first] - nats[second]
        classes = {"all": np.ones(len(found), bool)}
        classes |= {name: found == number for number, name in enumerate(ORIGINS)}
        print(f"{second} is ahead of {first}, in nats per token of the whole, by")
        for name, mine in classes.items():
            by_piece = np.add.reduceat(np.where(mine, ahead, 0.0), split.starts[:-1])
            error = ratio_error(by_piece, tokens.astype(float), works)
            print(f"| {name} | {by_piece.sum() / tokens.sum():.4f} ± {error:.4f} |")


def by_context(data: Path, nats: dict[str, np.ndarray]) -> None:
    """A row for each length of the context."""
    split, train = open_split(data, "val"), open_split(data, "train")
    here = scored(split)
    heads = [f"{name}: {' / '.join(ORIGINS)}" for name in nats]
    print("| context |", " | ".join([*ORIGINS, "stood, right", "stood elsewhere", *heads]), "|")
    for context in CONTEXTS:
        found = origins(split, train, context)
        shares = np.bincount(found[here], minlength=len(ORIGINS)) / here.sum()
        told = [f"{100 * share:.1f} %" for share in (*shares, elsewhere(split, context))]
        told.insert(len(ORIGINS), f"{100 * shares[0] / shares[:2].sum():.0f} %")
        for each in nats.values():
            parts = by_part(each, split, Parts(ORIGINS, found))
            told.append(" / ".join(f"{parts.get(f'loss_{name}', np.nan):.2f}" for name in ORIGINS))
        print("|", " | ".join([str(context), *told]), "|", flush=True)


def elsewhere(split: Split, context: int) -> float:
    """The share of tokens whose context stands in the next piece, as early: recurrence by chance.

    Pieces lie in the order of a hash, so the next piece is any other.
    """
    windows = origin._windows(split.tokens, split.starts, context + 1)[:, :-1]
    _, number = np.unique(windows, axis=0, return_inverse=True)
    lengths = np.diff(split.starts)
    piece = np.repeat(np.arange(len(lengths)), lengths)
    place = np.arange(len(number)) - np.repeat(split.starts[:-1], lengths)
    # The first time that each context stands in each piece.
    keys, first = np.unique(piece * len(number) + number, return_index=True)
    wanted = (piece + 1) % len(lengths) * len(number) + number
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    stands = (keys[at] == wanted) & (place[first[at]] <= place)
    return float(stands[place >= context].sum() / (place > 0).sum())


def cost(data: Path, cells: list[Trained]) -> None:
    """Processor time of classes beside that of evaluations, the least of several turns."""
    split, train = open_split(data, "val"), open_split(data, "train")
    first = least(lambda: origins(split, train), 1)
    divisions(data, "val")
    print(f"{len(split.tokens):,} tokens to class, {len(train.tokens):,} to look among")
    print(f"classes worked out, once a data set: {first:.3f} s")
    print("| cell | evaluation without classes, s | with | more |")
    for arch in sorted({each.cell.arch for each in cells}):
        of_arch = sorted((c for c in cells if c.cell.arch == arch), key=lambda each: each.n_params)
        for each in (of_arch[0], of_arch[-1]):
            settings = module(each), split, each.cell.context, windows_of(each), DEVICE
            without = least(partial(evaluate, *settings))
            known = least(lambda: evaluate(*settings, divisions(data, "val")))  # noqa: B023
            more = f"{100 * (known / without - 1):.1f} %"
            print(f"| {each.name} | {without:.3f} | {known:.3f} | {more} |", flush=True)


def least(work: Callable[[], object], turns: int = TURNS) -> float:
    found = []
    for _ in range(turns):
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return min(found)


def module(trained: Trained) -> nn.Module:
    model = trained.model()
    assert isinstance(model, nn.Module)
    return model


def windows_of(trained: Trained) -> int:
    return Placement.micro_tokens // trained.cell.context


def measured_again(data: Path, sweep: Location, cells: list[Trained]) -> pd.DataFrame:
    """The records of the cells with what they measure by class, as the report reads them."""
    rows = []
    for each in cells:
        record = read_record(sweep / "cells", each.cell.key)
        assert record is not None
        found = row(record)
        for name in ("val", "test"):
            split, parts = open_split(data, name), divisions(data, name)
            settings = module(each), split, each.cell.context, windows_of(each), DEVICE
            measured, _ = evaluate(*settings, parts)
            found |= {f"{name}_{measure}": value for measure, value in measured.items()}
        rows.append(found)
        print(f"{each.name} {found['val_loss']:.4f}, was {each.val_loss:.4f}", flush=True)
    return complete(pd.DataFrame(rows)).drop(columns="train_curve")


def by_size(runs: pd.DataFrame) -> None:
    """A row an architecture and size: the mean over seeds, with an interval of 95 % that holds what
    works and seeds vary."""
    columns = ["val_loss", *(f"val_loss_{name}" for name in ORIGINS)]
    print("| arch | size | all |", " | ".join(ORIGINS), "|")
    for (arch, _, size), cells in runs.groupby(["arch", "n_params", "size"]):
        told = [str(arch), str(size)]
        for column in columns:
            seeds = cells[column].var() / len(cells) if len(cells) > 1 else 0.0
            reach = 1.96 * np.sqrt(cells[f"{column}_se"].mean() ** 2 + seeds)
            mean = cells[column].mean()
            told.append(f"{mean:.3f} [{mean - reach:.3f}, {mean + reach:.3f}]")
        print("|", " | ".join(told), "|")


SIGNS = ("r", "b", "s", ".")
"""Of ORIGINS."""


def marked(data: Path, piece: int) -> str:
    """The text of a piece of the validation split, a line for two bars, each above its classes."""
    split, found = open_split(data, "val"), kept_origins(data, "val")
    tokenizer = load_tokenizer(Location.of(data) / "tokenizer.json")
    inside = slice(split.starts[piece] + 1, split.starts[piece + 1])
    lines, above, below, bars = [], "", "", 0
    for token, number in zip(split.tokens[inside], found[inside]):
        text = tokenizer.to_text(np.array([token]))
        above += text.rstrip("\n")
        below += SIGNS[number] * len(text.rstrip("\n"))
        bars += text == "|"
        if text.endswith("\n") or (text == "|" and bars % 2 == 0):
            lines += [above, below]
            above = below = ""
    return "\n".join(filter(None, [*lines, above, below]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--sweep", type=Location.of)
    what.add_argument("--piece", type=int, help="its number in the validation split")
    parser.add_argument("--csv", type=Path)
    args = parser.parse_args()
    if args.piece is not None:
        print(marked(args.data, args.piece))
        return
    cells = finished(args.sweep / "cells")
    torch.set_num_threads(1)
    if args.csv:
        runs = measured_again(args.data, args.sweep, cells)
        runs.to_csv(args.csv, index=False)
        by_size(runs)
        return
    print(f"context: {CONTEXT}")
    nats = best_nats(args.data, cells)
    lead(args.data, nats)
    by_context(args.data, nats)
    cost(args.data, cells)


if __name__ == "__main__":
    main()
