"""What a GPU was measured to sustain, to plan a sweep for cards that are not here: `--gpu h100`."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from sweeps.errors import GridError
from sweeps.scheduling.throughput import Throughput
from trainers.cell import Cell
from trainers.ladder import rung

TABLE = Path(__file__).parents[2] / "docs" / "results" / "gpu_speed.csv"
"""Written on a machine that has the card, by `benchmarks/gpu.py`."""

COLUMNS = ("gpu", "arch", "size", "tokens_per_second", "share_of_peak")
"""A row for each size of each architecture; tokens are of training on the whole card."""


def sustained(gpu: str, cells: Iterable[Cell], table: Path = TABLE) -> Throughput:
    """The throughput of the one card in `table` whose name has `gpu` in it, for these cells.

    A row holds for its size at the context and vocabulary of the cells; between rows, FLOP/s are
    interpolated. Raises GridError if the table lacks the card or an architecture; LadderError for a
    size that an architecture does not have.
    """
    rows = _rows(table)
    known = sorted({row["gpu"] for row in rows})
    cards = [name for name in known if gpu.lower() in name.lower()]
    if len(cards) != 1:
        found = f"found {len(cards) or 'no'} table{'s' * (len(cards) > 1)} for GPU {gpu!r}"
        raise GridError(
            f"{found}; known: {', '.join(known) or 'none'}. Name one of them, measure this one "
            "with python -m benchmarks.gpu, or assume a rate with --gpu-tflops"
        )
    mine = [row for row in rows if row["gpu"] == cards[0]]
    first = {cell.arch: cell for cell in reversed(list(cells))}
    measured = {arch: _rates(arch, mine, cell) for arch, cell in first.items()}
    shares = [float(row["share_of_peak"]) for row in mine if row["arch"] in first]
    reached = f"measured at {min(shares):.1%} to {max(shares):.1%} of its peak"
    return Throughput(f"{cards[0]} ({reached})", measured)


def _rates(arch: str, rows: list[dict[str, str]], cell: Cell) -> list[tuple[float, float]]:
    """FLOPs per token and FLOP/s of an architecture, as `Throughput` holds them.

    rows: of one card. cell: any of the architecture.
    """
    rates: dict[float, float] = {}
    for row in rows:
        if row["arch"] == arch:
            made = rung(arch, row["size"], cell.vocab_size, cell.context)
            per_token = made.flops_per_token(cell.context)
            rates[per_token] = per_token * float(row["tokens_per_second"])
    if not rates:
        known = ", ".join(sorted({row["arch"] for row in rows}))
        raise GridError(f"found no table for {arch} on {rows[0]['gpu']}; known: {known}")
    return sorted(rates.items())


def _rows(table: Path) -> list[dict[str, str]]:
    """The rows of the table, none if nobody has measured a card. Raises GridError."""
    if not table.exists():
        return []
    with table.open(newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    if missing := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
        raise GridError(f"{table} lacks the columns {', '.join(missing)}; write it again")
    for line, row in enumerate(rows, start=2):
        try:
            rate, _ = float(row["tokens_per_second"]), float(row["share_of_peak"])
        except (TypeError, ValueError):
            rate = 0.0
        if not rate > 0:
            raise GridError(
                f"{table}:{line}: expected tokens_per_second above 0 and a share_of_peak, found "
                f"{row['tokens_per_second']!r} and {row['share_of_peak']!r}"
            )
    return rows
