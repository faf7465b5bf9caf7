"""How much memory a cell needs, by the formula that sweeps place them by; and the peak in use."""

from __future__ import annotations

import resource
import sys

from trainers.cell import Cell

_FP32 = 4
_COPIES = 2
"""Weights and their gradients."""


def peak_bytes(cell: Cell, micro_tokens: int, world: int) -> int:
    """The most that PyTorch's allocator holds on one worker while `cell` is trained.

    micro_tokens: the most tokens that a worker passes through the model at once.
    world: the number of workers; with several, DDP keeps a second copy of the gradients.

    Attention in blocks, which a CPU may choose, keeps up to `trainers.timing.KEPT_BYTES` more.

    Checked on a CPU (`benchmarks/training_memory.py`) but not on a GPU, where CUDA's own memory
    comes on top.
    """
    counts = cell.rung.counts
    copies = _COPIES + (world > 1)
    parameters = copies * (counts.n_params + counts.embedding) + _moments(cell)
    windows = cell.batch_tokens // cell.context // world
    at_once = cell.context * min(max(1, micro_tokens // cell.context), max(1, windows))
    return _FP32 * (parameters + cell.rung.activations_per_token * at_once)


def checkpoint_bytes(cell: Cell) -> int:
    """Approximate size on disk: the weights and the optimizer's moments."""
    counts = cell.rung.counts
    return _FP32 * (counts.n_params + counts.embedding + _moments(cell))


def _moments(cell: Cell) -> int:
    """Numbers that the optimizer keeps: two of each parameter, and of Muon's one. All between
    embedding and head is counted as Muon's, also the few vectors, which are not."""
    counts = cell.rung.counts
    both = 2 * (counts.n_params + counts.embedding)
    return both - counts.non_embedding if cell.optimizer == "muon" else both


def peak_resident_bytes() -> int:
    """The peak resident memory of this process so far, as counted by the operating system."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # In kibibytes on Linux, in bytes on macOS (getrusage(2) of each).
    return peak if sys.platform == "darwin" else 1024 * peak
