"""Peak memory of a whole cell, as PyTorch's allocator sees it.

Two steps of training and both evaluations run under PyTorch's profiler, which sees every tensor
that is allocated and freed; the peak is the largest sum alive at one time. It does not see the
interpreter, the libraries' code, scratch space that oneDNN allocates for itself, or fragmentation.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import numpy as np
from torch.profiler import ProfilerActivity, profile

from data.store.flat import write_split
from data.store.location import Location
from data.store.manifest import Manifest
from harness.alone import train_alone
from trainers.cell import Cell
from trainers.chosen_kernels import Kernels

VOCAB = 139


def measured(
    cell: Cell, data: Path, micro_tokens: int, attention: Literal["sdpa", "blocks"] = "sdpa"
) -> int:
    """Peak bytes. attention: as in `trainers.chosen_kernels`; by default, as on a GPU."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        train_alone(cell, data, micro_tokens, kernels=Kernels(attention=attention))
    alive = peak = 0
    events = profiler.profiler.kineto_results.events()
    allocations = [event for event in events if event.name() == "[memory]"]
    for event in sorted(allocations, key=lambda event: event.start_ns()):
        alive += event.nbytes()
        peak = max(peak, alive)
    return peak


def write_data(folder: Path) -> None:
    """Write random tokens: memory does not depend on their values."""
    generator = np.random.default_rng(0)
    for name, pieces in (("train", 200), ("val", 4), ("test", 4)):
        lengths = np.full(pieces, 600)
        tokens = generator.integers(2, VOCAB, size=lengths.sum())
        tokens[::600] = 0
        write_split(Location.of(folder), name, tokens, lengths, lengths, lengths.astype(float))
    manifest = Manifest("random", "none", "abc", 24, VOCAB, 0, {}, {}, {}, {})
    (folder / "manifest.json").write_text(json.dumps(asdict(manifest)))
