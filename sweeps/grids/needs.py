"""What cells run on: the same for all, by size, or according to their memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from trainers.cell import Cell, Placement
from trainers.ladder import parse_size
from trainers.memory import peak_bytes

MARGIN = 1.15
"""The formula is within 15 % of the measurements."""

Value = TypeVar("Value")

SHARES = (0.125, 0.25, 0.5, 1.0)
"""The fractions of a GPU that `auto` can give to a cell."""


@dataclass(frozen=True)
class Needs:
    """The `placement` section of a grid."""

    gpus: float | Literal["auto"] | dict[str, float] = 0
    """Per cell: a fraction of a GPU, one, or several with a worker each. If given by size (`{1M:
    0.25, 100M: 4}`), an entry holds for its size and all larger ones up to the next. `auto` takes
    the smallest fraction of a GPU that the cell's memory fits."""
    gpu_gb: float = 24
    """Memory of one GPU, as `auto` and the plan assume."""
    workers: int = 1
    """Per cell that uses no GPU, or shares one."""
    cpus: float = 1
    """Per worker."""
    micro_tokens: int = Placement.micro_tokens
    checkpoint_seconds: float = Placement.checkpoint_seconds
    retries: int = Placement.retries
    compile: str = Placement.compile
    accelerator: str | dict[str, str] = Placement.accelerator
    """The kind of GPU, for all cells or by size, as for `gpus`. Without one any will do."""

    @property
    def precision(self) -> str:
        """What `auto` stands for, for all cells alike, because laws never mix precisions. It
        follows from the grid: the machine that plans may have no GPU where others have one."""
        shares = self.gpus.values() if isinstance(self.gpus, dict) else [self.gpus]
        return "bf16" if any(shares) else "fp32"

    def placement(self, cell: Cell) -> Placement:
        """What `cell` runs on."""
        if isinstance(self.gpus, str):
            placed = self._smallest(cell)
        else:
            placed = self._with(_for_size(self.gpus, cell), self.micro_tokens)
        return replace(placed, accelerator=_for_size(self.accelerator, cell))

    def _with(self, gpus: float, micro_tokens: int) -> Placement:
        return Placement(
            workers=round(gpus) if gpus > 1 else self.workers,
            gpus=min(1.0, gpus),
            cpus=self.cpus,
            micro_tokens=micro_tokens,
            checkpoint_seconds=self.checkpoint_seconds,
            retries=self.retries,
            compile=self.compile,
        )

    def _smallest(self, cell: Cell) -> Placement:
        """The smallest fraction of a GPU that is large enough; if none is, a whole one with smaller
        micro-batches. Even one window at a time may not fit; the plan then says so."""
        micro_tokens = self.micro_tokens
        while True:
            for share in SHARES:
                placed = self._with(share, micro_tokens)
                if memory_bytes(cell, placed) <= share * self.gpu_gb * 1e9:
                    return placed
            if micro_tokens <= cell.context:
                return placed
            micro_tokens //= 2


def _for_size(listed: Value | dict[str, Value], cell: Cell) -> Value:
    """What holds for all cells; or the entry of the largest size up to the cell's, and for smaller
    cells the first."""
    if not isinstance(listed, dict):
        return listed
    sizes = sorted(listed, key=parse_size)
    below = [size for size in sizes if parse_size(size) <= parse_size(cell.size)]
    return listed[below[-1] if below else sizes[0]]


def memory_bytes(cell: Cell, placement: Placement) -> float:
    """Peak memory of one worker, with room for what the formula misses."""
    return MARGIN * peak_bytes(cell, placement.micro_tokens, placement.workers)
