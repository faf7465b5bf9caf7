"""What cells run on: the same for all of them, by size, or as their memory asks."""

from __future__ import annotations

from dataclasses import dataclass

from trainers.cell import Cell, Placement
from trainers.ladder import parse_size

SHARES = (0.125, 0.25, 0.5, 1.0)
"""Of a GPU, that `auto` gives to a cell."""


@dataclass(frozen=True)
class Needs:
    """The `placement` section of a grid."""

    gpus: float | str | dict[str, float] = 0
    """Of a cell: a share of one GPU, one, or several with a worker each. By size (`{1M: 0.25,
    100M: 4}`), an entry holds for its size and all larger ones up to the next. `auto` takes the
    smallest share of a GPU that the cell's memory fits."""
    gpu_gb: float = 24
    """Memory of one GPU, which `auto` and the plan count with."""
    workers: int = 1
    """Of a cell that uses no GPU, or shares one."""
    cpus: float = 1
    """Of each worker."""
    micro_tokens: int = Placement.micro_tokens
    checkpoint_seconds: float = Placement.checkpoint_seconds
    retries: int = Placement.retries

    def placement(self, cell: Cell) -> Placement:
        """Raises ValueError if `cell` is smaller than every size that `gpus` lists."""
        gpus = self._gpus(cell)
        return Placement(
            workers=max(self.workers, round(gpus)) if gpus > 1 else self.workers,
            gpus=min(1.0, gpus),
            cpus=self.cpus,
            micro_tokens=self.micro_tokens,
            checkpoint_seconds=self.checkpoint_seconds,
            retries=self.retries,
        )

    def _gpus(self, cell: Cell) -> float:
        if isinstance(self.gpus, dict):
            n_params = parse_size(cell.size)
            below = [size for size in self.gpus if parse_size(size) <= n_params]
            if not below:
                raise ValueError(
                    f"{cell.name} is smaller than every size for which gpus are given: "
                    f"{', '.join(self.gpus)}"
                )
            return self.gpus[max(below, key=parse_size)]
        return 1.0 if self.gpus == "auto" else float(self.gpus)
