"""What the trunks of a grid take and save."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trainers.cell import Cell
from trainers.memory import checkpoint_bytes
from trainers.trunks import families, tokens_to_train, with_trunks


@dataclass(frozen=True)
class Trunks:
    """The checkpoints that cells of several budgets branch from."""

    count: int
    """How many there will be when all cells have ended."""
    bytes: float
    """Their size."""
    there: int
    """How many of them exist now."""
    saved: int
    """Tokens that need not be trained, thanks to those that exist."""

    def line(self) -> str:
        reused = f"; {self.there} exist and save {self.saved:,} tokens" if self.there else ""
        return (
            f"Trunks: {self.count} checkpoints, {self.bytes / 1e9:.2g} GB, are kept to branch from "
            f"and to train longer{reused}. --prune removes them."
        )


def trunks_of(cells: list[Cell], kept: Mapping[str, list[int]]) -> Trunks:
    """kept: as `sweeps.scheduling.jobs.kept_of` returns it."""
    sizes = {cell.trunk_key: checkpoint_bytes(cell) for cell in cells if cell.trunk_key}
    later = with_trunks(kept, cells)
    counts = {key: len(later.get(key, [])) for key in sizes}
    found = families(cells)
    own = {key: steps for key, steps in kept.items() if key not in sizes}
    saved = sum(sum(tokens_to_train(f, own)) - sum(tokens_to_train(f, kept)) for f in found)
    return Trunks(
        sum(counts.values()),
        sum(sizes[key] * count for key, count in counts.items()),
        sum(len(kept.get(key, [])) for key in sizes),
        saved,
    )
