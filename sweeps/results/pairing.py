"""Architectures paired on the same pieces, from the losses by piece beside their records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from data.errors import one_line
from data.store.location import Location
from data.store.versioned import VersionError
from fitting.compare.pieces import compare_pieces
from fitting.runs.groups import SAME_BUDGET
from trainers.losses import Losses, read_losses
from trainers.records import Record

APART = ("arch", "size", "seed", "lr", "tokens")
"""Fields in which compared runs may differ, besides their shapes; in tokens by `SAME_BUDGET`."""


@dataclass(frozen=True)
class _Runs:
    """Runs that differ only in their seeds."""

    records: tuple[Record, ...]

    @property
    def val_loss(self) -> float:
        return float(np.mean([record.measured["val_loss"] for record in self.records]))

    @property
    def between_seeds(self) -> float:
        """The range of their losses, nats per token."""
        return float(np.ptp([record.measured["val_loss"] for record in self.records]))

    @property
    def params(self) -> dict[str, Any]:
        return self.records[0].params

    @property
    def settings(self) -> dict[str, Any]:
        found = self.params.items()
        return {k: v for k, v in found if k not in APART and not k.startswith("shape_")}

    def losses(self, cells: Location) -> list[Losses]:
        """The losses by piece of the validation split, for each run that kept them."""
        found = [read_losses(cells / record.cell_key) for record in self.records]
        return [losses["val"] for losses in found if "val" in losses]


def paired_lines(cells: Location, records: Iterable[Record]) -> list[str]:
    """One line for each pair of architectures, at the largest size that they share with all
    settings equal: which is ahead, by how much, and how certain that is; or which file of theirs
    cannot be read.

    An architecture's seeds are averaged, at its best rate. There is no line if a run kept no losses
    by piece. cells: the folder of the records.
    """
    runs = _best_rates(record for record in records if record.status == "finished")
    lines = []
    for first, second in combinations(sorted({each.params["arch"] for each in runs}), 2):
        of_first, of_second = (
            [each for each in runs if each.params["arch"] == arch] for arch in (first, second)
        )
        pair = next(((a, b) for a in of_first for b in of_second if _comparable(a, b)), None)
        try:
            said = _line(*pair, cells) if pair else ""
        except (VersionError, OSError) as error:
            said = f"{first} and {second} are not paired: {one_line(error)}"
        lines += [said] if said else []
    return lines


def _best_rates(records: Iterable[Record]) -> list[_Runs]:
    """The largest size first, and within a size the largest budget."""
    rates: dict[tuple, list[Record]] = defaultdict(list)
    for record in records:
        alike = {k: v for k, v in record.params.items() if k != "seed"}
        rates[tuple(sorted(alike.items()))].append(record)
    best: dict[tuple, _Runs] = {}
    for rate, found in rates.items():
        runs, besides = _Runs(tuple(found)), tuple(item for item in rate if item[0] != "lr")
        if besides not in best or runs.val_loss < best[besides].val_loss:
            best[besides] = runs
    return sorted(best.values(), key=_extent, reverse=True)


def _extent(runs: _Runs) -> tuple[int, int]:
    return runs.records[0].measured["n_params"], runs.params["tokens"]


def _comparable(one: _Runs, two: _Runs) -> bool:
    budgets = np.log(one.params["tokens"] / two.params["tokens"])
    same_size = one.params["size"] == two.params["size"]
    return same_size and one.settings == two.settings and abs(budgets) <= SAME_BUDGET


def _line(one: _Runs, two: _Runs, cells: Location) -> str:
    """The comparison as text; empty if one of them kept no losses by piece."""
    first, second = one.losses(cells), two.losses(cells)
    if not first or not second:
        return ""
    pieces = first[0]
    if len({len(each.nats) for each in (*first, *second)}) > 1:
        raise VersionError("their losses are of different pieces; train one of the two again")
    found = compare_pieces(_mean(first), _mean(second), pieces.tokens, pieces.groups)
    said = found.sentence(one.params["arch"], two.params["arch"])
    apart = max(one.between_seeds, two.between_seeds)
    seeds = f", which here change a loss by up to {apart:.3f}," if apart else ""
    return (
        f"At {one.params['size']} parameters, {said}. These intervals cover the choice of pieces, "
        f"for these runs ({len(first)} and {len(second)}); other seeds{seeds} are not in them."
    )


def _mean(losses: list[Losses]) -> np.ndarray:
    """Nats of each piece, (pieces,)."""
    return np.mean([each.nats.astype(float) for each in losses], axis=0)
