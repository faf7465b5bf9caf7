"""A choice of kernels, and where it is kept: with the sweep, and for later ones on the machine."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from data.store.location import Location, named, patiently
from data.store.private import private_folder
from data.store.versioned import read_versioned
from trainers.attention import CausalAttention
from trainers.cell import Cell
from trainers.device import processor
from trainers.linear import Linear

Product = Literal["mkl", "mixed", "onednn"]
"""As in `trainers.linear`."""
Attention = Literal["sdpa", "blocks"]
"""PyTorch's, or as in `trainers.attention`."""


@dataclass(frozen=True)
class Kernels:
    """The defaults are those of models that were trained before there was a choice."""

    compiled: bool | None = False
    """None if it was not tried, because too little was to be trained."""
    product: Product = "onednn"
    """Of no account on a GPU, as the next."""
    attention: Attention = "sdpa"
    schema: int = 1

    @classmethod
    def of(cls, text: str) -> Kernels:
        """From what `text` returned."""
        return cls(**json.loads(text))

    def text(self) -> str:
        return json.dumps(asdict(self))

    def set_on(self, model: nn.Module) -> None:
        """Have the model's products and attention be computed so."""
        for part in model.modules():
            if isinstance(part, Linear):
                part.product = self.product
            elif isinstance(part, CausalAttention):
                part.blocks = self.attention == "blocks"


def kept(
    sweep: Location | None,
    cell: Cell,
    rows: int,
    choose: Callable[[Kernels | None], Kernels],
) -> Kernels:
    """What was chosen for the cell's shape, in batches of so many rows, in this sweep or else on
    this machine; or what `choose` makes of that.

    The first choice of a sweep is final, whoever else chooses at the same time. A machine remembers
    its last one, so that the next sweep gives the same losses. Raises VersionError.
    """
    machine = [processor(), torch.__version__, torch.get_num_threads()]
    shape = [rows, cell.context, cell.vocab_size, cell.precision, cell.boundaries]
    if sweep:
        in_sweep = sweep / "kernels" / _name(cell, shape)
        if in_sweep.exists():
            return _read(in_sweep)
    remembered = Location.of(private_folder("kernels") / _name(cell, shape + machine))
    before = _read(remembered) if remembered.exists() else None
    chosen = choose(before)
    if chosen != before:
        remembered.write_text(chosen.text())
    if sweep:
        patiently(lambda: _write_first(in_sweep, chosen.text()))
        return _read(in_sweep)
    return chosen


def _name(cell: Cell, decides: list[object]) -> str:
    digest = hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:12]
    return f"{cell.arch}-{cell.size}-{digest}.json"


def _read(path: Location) -> Kernels:
    return read_versioned(path, Kernels, 1, "remove it; kernels are chosen again")


def _write_first(place: Location, text: str) -> None:
    """Write a file, unless it is there. In a bucket the last of those who write at once stays."""
    if place.local is None:
        place.write_text(text)
        return
    place.local.parent.mkdir(parents=True, exist_ok=True)
    descriptor, aside = tempfile.mkstemp(dir=place.local.parent)
    try:
        with open(descriptor, "w") as file:
            file.write(text)
        named(Path(aside), place.local)
    finally:
        Path(aside).unlink(missing_ok=True)
