"""Cells that share a card, two ranks on it, and samples drawn on it.

Times of sweeps are those of their cells: from the first one's beginning to the last one's end,
compiling and evaluation included. What Ray takes to start is left out.
"""

from __future__ import annotations

import multiprocessing
import socket
import tempfile
import time
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import distributed

from benchmarks.gpu import right
from benchmarks.gpu.sweep import Sweep, corpora, data_of, share
from benchmarks.gpu.visit import PRECISION, Rows, Visit
from data.store.location import Location
from data.tokens.grammars import grammar
from data.tokens.make import load_tokenizer
from harness import counting
from harness.alone import train_alone
from trainers.gradients import World
from trainers.records import Record
from trainers.samples.cells import finished
from trainers.sampling import Draw, Sample, sample

A_SWEEP = 45
"""Seconds without which none is begun: Ray, MLflow and the workers have to start."""

RANKS_SECONDS = 90
"""For two ranks to end: where one has failed, the other waits for ever."""

ROUNDING = 1e-3
"""Nats by which two ranks may end away from one: sums in another order."""


def measure(visit: Visit) -> None:
    two_ranks(visit)
    side_by_side(visit)
    drawn(visit)


def two_ranks(visit: Visit) -> None:
    """Data-parallel on one card, over gloo: NCCL refuses two ranks on one."""
    rows = Rows(visit, "two ranks on one card", "arch", "one_rank", "two_ranks", "off", "verdict")
    with tempfile.TemporaryDirectory() as folder:
        counting.write_counting(Path(folder), visit.pick(4000, 400))
        for arch in ("transformer", "lstm"):
            work = partial(one_and_two, visit, arch, Path(folder))
            rows.attempt(work, 20 * (not visit.small), arch=arch)


def one_and_two(visit: Visit, arch: str, data: Path) -> dict[str, Any]:
    """The validation loss of a cell by one rank and by two."""
    cell = right.cell_of(visit, arch)
    alone = train_alone(cell, data, world=visit.world)["val_loss"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    spawn = multiprocessing.get_context("spawn")
    receiver, sender = spawn.Pipe(duplex=False)
    ranks = [
        spawn.Process(target=one_rank, args=(rank, address, cell, data, str(visit.device), sender))
        for rank in range(2)
    ]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join(min(RANKS_SECONDS, max(5, visit.left)))
        rank.kill()
    if not receiver.poll():
        raise RuntimeError(f"the ranks ended with {[rank.exitcode for rank in ranks]}; see above")
    two = receiver.recv()
    off = two - alone
    found = {"one_rank": alone, "two_ranks": two, "off": off}
    return found | {"verdict": right.verdict(abs(off) < ROUNDING)}


def one_rank(
    rank: int, address: str, cell: Any, data: Path, device: str, sender: Connection
) -> None:
    torch.set_float32_matmul_precision("high")
    distributed.init_process_group("gloo", address, rank=rank, world_size=2)
    measured = train_alone(cell, data, world=World(rank, 2, torch.device(device)))
    if rank == 0:
        sender.send(measured["val_loss"])
    distributed.destroy_process_group()


def side_by_side(visit: Visit) -> None:
    """The same cells one after another on the whole card, and by shares of it."""
    columns = ("cells", "share", "at_once", "seconds", "in_turn_s", "gain", "most_held", "verdict")
    rows = Rows(visit, "cells beside each other", *columns)
    small, large = visit.pick(("1M", "5M"), ("4k", "6k"))
    seeds = visit.pick(8, 2)
    whole, eighth, quarter = visit.pick((1.0, 0.125, 0.25), (1.0, 0.5, 0.5))
    eight = [{"arch": "transformer", "size": small, "seed": list(range(seeds))}]
    mixed = [
        {"arch": "transformer", "size": small, "seed": list(range(seeds // 2))},
        {"arch": "transformer", "size": large, "seed": [0, 1]},
    ]
    in_turn: dict[str, float] = {}
    for name, blocks, shares in (
        ("shared-whole", eight + mixed[1:], {small: whole, large: whole}),
        ("shared-eighth", eight, {small: eighth, large: eighth}),
        ("shared-quarter", mixed, {small: quarter, large: min(1.0, 2 * quarter)}),
    )[:: visit.pick(1, 2)]:
        work = partial(swept, visit, name, blocks, shares, in_turn)
        cells = ", ".join(f"{len(block['seed'])} of {block['size']}" for block in blocks)
        held = ", ".join(f"{size} {part:g}" for size, part in shares.items())
        rows.attempt(work, A_SWEEP * (not visit.small), cells=cells, share=held)


def swept(
    visit: Visit,
    name: str,
    blocks: list[dict[str, Any]],
    shares: dict[str, float],
    in_turn: dict[str, float],
) -> dict[str, Any]:
    """in_turn: the seconds of each cell when it had the card alone, by key; filled by the sweep
    that gives it whole."""
    tokens = visit.pick("8M", "40k")
    batch_tokens, context = visit.pick((65_536, 1024), (512, 64))
    settings = {"batch_tokens": batch_tokens, "context": context, "precision": PRECISION}
    placement: dict[str, Any] = {"checkpoint_seconds": 600}
    if visit.on_gpu:
        placement |= {"gpus": shares, "gpu_gb": 80}
    else:
        placement |= share(visit, min(shares.values()))
    grid = {
        "data": corpora(visit)[-1],
        "cells": [block | {"tokens": tokens} for block in blocks],
        "training": settings,
        "placement": placement,
    }
    sweep, wanted = Sweep(visit, name), sum(len(block["seed"]) for block in blocks)
    sweep.run(grid, visit.left, until=lambda: len(sweep.records()) == wanted)
    records = sweep.finished()
    if len(records) < wanted:
        raise RuntimeError(f"{len(records)} of {wanted} cells finished; {sweep.folder} has the log")
    seconds = max(r.ended for r in records) - min(r.started for r in records)
    most, held = most_at_once(records, shares)
    found = {"at_once": most, "seconds": seconds, "most_held": held}
    if not in_turn:
        in_turn |= {record.cell_key: record.ended - record.started for record in records}
    alone = sum(in_turn[record.cell_key] for record in records)
    found |= {"in_turn_s": alone, "gain": alone / seconds}
    return found | ({"verdict": right.verdict(held <= 1 + 1e-6)} if visit.on_gpu else {})


def most_at_once(records: list[Record], shares: dict[str, float]) -> tuple[int, float]:
    """The most cells, and the largest sum of shares, at one time."""
    changes = []
    for record in records:
        part = shares[record.params["size"]]
        # One that ends makes room for one that begins at the same instant.
        changes += [(record.started, 1, part), (record.ended, 0, -part)]
    cells = most = 0
    held = largest = 0.0
    for _, begins, part in sorted(changes):
        cells, held = cells + (1 if begins else -1), held + part
        most, largest = max(most, cells), max(largest, held)
    return most, largest


def drawn(visit: Visit) -> None:
    """The same seeds on the CPU and on the device: pieces should agree, but for rounding."""
    columns = ("cell", "device", "pieces", "tokens_per_second", "equal_pieces", "complete")
    rows = Rows(visit, "samples drawn", *columns, "verdict")
    reference: list[Sample] = []
    for device in dict.fromkeys(("cpu", str(visit.device))):
        work = partial(draw, visit, torch.device(device), reference)
        rows.attempt(work, 5, device=device)


def draw(visit: Visit, device: torch.device, reference: list[Sample]) -> dict[str, Any]:
    """reference: the CPU's, filled by it."""
    data = Location.of(data_of(visit, corpora(visit)[-1]))
    trained = finished(Sweep(visit, "shared-whole").cells)[0]
    tokenizer = load_tokenizer(data / "tokenizer.json")
    model: Any = trained.model()
    count = visit.pick(32, 4)
    started = time.perf_counter()
    pieces = sample(
        model.to(device),
        [np.array([tokenizer.bos_id])] * count,
        range(count),
        tokenizer.eos_id,
        context=trained.cell.context,
        max_tokens=visit.pick(256, 64),
        draw=Draw(),
        grammar=partial(grammar, tokenizer, None),
    )
    seconds = time.perf_counter() - started
    reference[:] = reference or pieces
    pairs = zip(pieces, reference, strict=True)
    equal = sum(np.array_equal(piece.tokens, other.tokens) for piece, other in pairs)
    complete = sum(piece.complete for piece in pieces)
    return {
        "cell": trained.name,
        "pieces": count,
        "tokens_per_second": sum(len(piece.tokens) for piece in pieces) / seconds,
        "equal_pieces": equal,
        "complete": complete,
        "verdict": right.verdict(complete == count),
    }
