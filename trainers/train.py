"""Train one cell, without a sweep. The same command resumes where it stopped.

python -m trainers.train --arch lstm --size 1M --data runs/data/folk-abc

It leaves what a sweep's cell leaves, in runs/alone/cells: a record, losses by piece, and weights
with which `python -m trainers.generate --sweep runs/alone` composes.
"""

from __future__ import annotations

import argparse
import contextlib
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

from data.errors import DataError, with_remedy
from data.store.flat import UNCHECKED, check_sums
from data.store.location import Location
from data.store.manifest import read_manifest
from trainers import checkpoint
from trainers.batches import in_batches
from trainers.cell import AUTO, CHOICES, Cell, Placement
from trainers.checkpoint import CheckpointError
from trainers.curve import DivergedError, Point
from trainers.device import has_bf16, ran_on, settle
from trainers.gradients import World
from trainers.kernels import Work, described, prepared
from trainers.ladder import LadderError, archs, load_arch, parse_size
from trainers.loop import StoppedError, train
from trainers.losses import write_losses
from trainers.records import Record, write_record

INTERRUPTED = 130


def main() -> int:
    args = parse_args()
    try:
        cell = cell_of(args)
        record = run(cell, args, args.out / "cells")
    except (LadderError, DataError, CheckpointError, ValueError) as error:
        return complain(error, 2)
    except (DivergedError, MemoryError) as error:
        return complain(error, 1)
    except StoppedError as error:
        return complain(f"{error}; saved, and the same command goes on", INTERRUPTED)
    except OSError as error:
        return complain(with_remedy(error), 1)
    m = record.measured
    print(
        f"val_loss {m['val_loss']:.4f} ± {m['val_loss_se']:.4f}, test_loss {m['test_loss']:.4f} "
        f"nats per token, {m['n_params']:,} parameters, {m['seconds']:.0f} s\n"
        f"Saved in {args.out / 'cells' / cell.key}\n"
        f"To hear it: python -m trainers.generate --sweep {shlex.quote(str(args.out))} "
        f"--data {shlex.quote(str(args.data))} --cell {cell.key}"
    )
    return 0


def cell_of(args: argparse.Namespace) -> Cell:
    """The cell that the arguments describe."""
    manifest, precision = read_manifest(args.data), args.precision
    if precision == AUTO:
        precision = "bf16" if has_bf16(here()) else "fp32"
    return Cell(
        arch=args.arch,
        size=args.size,
        seed=args.seed,
        lr=load_arch(args.arch).LR if args.lr is None else args.lr,
        tokens=in_batches(args.tokens, args.batch_tokens),
        batch_tokens=args.batch_tokens,
        context=args.context,
        weight_decay=args.weight_decay,
        clip=args.clip,
        tokenizer=manifest.tokenizer,
        vocab_size=manifest.vocab_size,
        data=manifest.fingerprint,
        **{choice: getattr(args, choice) for choice in CHOICES} | {"precision": precision},
    )


def here() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def run(cell: Cell, args: argparse.Namespace, cells: Location) -> Record:
    """Train to the end, or until SIGINT or SIGTERM. What is left goes below `cells`, and its record
    is returned."""
    device, started = here(), time.time()
    settle(device, share=1.0)
    print(f"{cell.name}  {cell.rung.counts.n_params:,} parameters  {device}", file=sys.stderr)
    if not check_sums(Location.of(args.data)):
        print(UNCHECKED, file=sys.stderr)
    place = cells / cell.key
    kernels: dict[str, Any] = {}
    curve: list[Point] = []

    world = World(0, 1, device)
    work = Work(cell, world, Placement.compile, cell.steps, cells.parent)

    def prepare(
        model: nn.Module, before: dict[str, Any] | None, micro_tokens: int
    ) -> tuple[nn.Module, dict[str, Any]]:
        made, chosen = prepared(model, before, micro_tokens, work)
        kernels.update(described(model, chosen, device))
        return made, chosen

    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: asked.append(number))

    def ended(status: str, reason: str, measured: dict[str, float]) -> Record:
        on = ran_on(device) | {"workers": 1} | kernels
        what = status, reason, cell.params(), measured, curve
        record = Record(cell.key, *what, started, time.time(), ran_on=on)
        write_record(cells, record)
        return record

    try:
        with progress(cell) as show:

            def report(points: list[Point]) -> None:
                curve.extend(points)
                show(points)

            measured = train(
                cell,
                args.data,
                world,
                prepare=prepare,
                restore=lambda: checkpoint.restore(place, cell.key),
                save=lambda state: checkpoint.save_next(place, state),
                keep=lambda losses: write_losses(place, losses),
                report=report,
                stop=lambda: bool(asked),
                micro_tokens=args.micro_tokens,
                checkpoint_seconds=args.checkpoint_seconds,
            )
    except DivergedError as error:
        ended("diverged", str(error), {})
        raise
    return ended("finished", "", measured)


@contextlib.contextmanager
def progress(cell: Cell) -> Iterator[Any]:
    """A progress bar, fed with points of the curve."""
    columns = (
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} tokens  {task.description}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=cell.tokens)

        def show(points: list[Point]) -> None:
            if points:
                last = points[-1]
                text = f"loss {last['train_loss']:.3f}  {last['tokens_per_second']:,.0f}/s"
                bar.update(task, completed=last["tokens"], description=text)

        yield show


def complain(error: object, code: int) -> int:
    print(f"train: {error}", file=sys.stderr)
    return code


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m trainers.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--arch", required=True, help=", ".join(archs()))
    add("--size", required=True, help="parameters, such as 300k or 5M")
    add("--data", type=Path, required=True, help="a folder made by python -m data.prepare")
    where = "the folder in which it goes below cells/, as a sweep's do [runs/alone]"
    add("--out", type=Location.of, default=Location.of("runs/alone"), help=where)
    add("--tokens", type=count, default=10_000_000, help="training tokens, such as 2.5M [10M]")
    add("--batch-tokens", type=count, default=1024, help="tokens per batch [1024]")
    add("--context", type=count, default=256, help="tokens that the model looks back on [256]")
    add("--lr", type=float, help="peak rate at width 64 [the architecture's own]")
    add("--seed", type=int, default=0, help="seed of the initialisation and the batch order [0]")
    add("--weight-decay", type=float, default=0.1, help="weight decay of matrices [0.1]")
    add("--clip", type=float, default=1.0, help="largest gradient norm [1]")
    for choice, values in CHOICES.items():
        also = f", or {AUTO}: bf16 on a GPU that has it" * (choice == "precision")
        add(f"--{choice}", default=values[0], help=f"{' or '.join(values)}{also} [{values[0]}]")
    add(
        "--micro-tokens",
        type=count,
        default=Placement.micro_tokens,
        help=f"the most tokens in one forward pass [{Placement.micro_tokens}]",
    )
    add(
        "--checkpoint-seconds",
        type=float,
        default=Placement.checkpoint_seconds,
        help=f"least seconds between checkpoints [{Placement.checkpoint_seconds}]",
    )
    return parser.parse_args()


def count(text: str) -> int:
    try:
        return parse_size(text)
    except LadderError:
        raise argparse.ArgumentTypeError(
            f"found {text!r}, expected a number such as 1024 or 2.5M"
        ) from None


if __name__ == "__main__":
    sys.exit(main())
