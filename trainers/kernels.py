"""Which kernels a model trains with: compiled or not, whose products, how attention is computed.

They affect its speed, and its losses by rounding. So they are chosen once for a shape, on a CPU by
measuring (`trainers.timing`) and on a GPU by a rule. The choice is kept with the sweep and in every
checkpoint, and holds for all cells of the shape: a branch equals the cell trained alone, and a
resumed cell an undisturbed one, bit for bit.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import nn

from data.store.location import Location
from data.store.private import private_folder
from trainers import timing
from trainers.attention import CausalAttention
from trainers.cell import Cell
from trainers.chosen_kernels import Kernels, kept
from trainers.gradients import World

COMPILE_SECONDS = 60.0
"""Assumed, not measured: what compiling a model for one shape of batch takes on a GPU."""

SAVED_SECONDS = 2e-4
"""Assumed, not measured: what a compiled layer saves a step on a GPU. Each launch of a kernel takes
about 5 us of the host, and in a block some 40 of those of forward and backward are fused away."""

USUAL_TOKENS = 20
"""Tokens per parameter of a usual budget, by which compiling has to pay on a GPU."""


@dataclass(frozen=True)
class Work:
    """What kernels are chosen for."""

    cell: Cell
    world: World
    compile: str
    """As in `Placement`."""
    steps: int
    """What is left to train of this cell and others of its shape, by which compiling has to pay."""
    sweep: Location | None = None
    """Where the choice is kept; without a sweep only the machine remembers it."""


def prepared(
    model: nn.Module, before: Mapping[str, Any] | None, micro_tokens: int, work: Work
) -> tuple[nn.Module, dict[str, Any]]:
    """The model as it is to be called, with the same parameters; and its kernels, for checkpoints.

    model: perhaps replicated. before: the kernels in the checkpoint that the cell goes on from,
    empty in one of an earlier version; None at the beginning. micro_tokens: passed through the
    model at once. Raises VersionError if a kept choice cannot be read.
    """
    cell, device = work.cell, work.world.device
    windows = -(-cell.batch_tokens // cell.context // work.world.size)
    rows = min(windows, max(1, micro_tokens // cell.context))
    able = work.compile != "off" and compilable(model, cell, work.world) and windows % rows == 0

    def choose(remembered: Kernels | None) -> Kernels:
        found = remembered or timing.fastest(model, cell, rows)
        found.set_on(model)
        if able and work.compile == "auto" and found.compiled is None:
            compile = partial(compiled, model, device)
            tried = timing.compiling_pays(model, compile, cell, rows, work.steps)
            found = replace(found, compiled=tried)
        return found

    if before:
        chosen = Kernels(**before)
    elif device.type == "cuda":
        chosen = Kernels(compiled=pays(cell))
    elif before is not None:
        chosen = Kernels()
    else:
        mine = kept(work.sweep, cell, rows, choose) if work.world.rank == 0 else Kernels()
        chosen = Kernels.of(work.world.told(mine.text()))
    chosen = replace(chosen, compiled=able and (work.compile == "on" or bool(chosen.compiled)))
    chosen.set_on(model)
    if not chosen.compiled:
        return model, asdict(chosen)
    made = compiled(model, device)
    if device.type == "cpu" and timing.fault(made, cell, rows):
        return model, asdict(replace(chosen, compiled=False))
    return made, asdict(chosen)


def compilable(model: nn.Module, cell: Cell, world: World) -> bool:
    """Whether compiling it could gain anything."""
    # PyTorch does not trace a recurrent layer, and what is around one gains nothing.
    recurrent = any(isinstance(part, nn.RNNBase) for part in model.modules())
    # Rows of any length, and each length would be compiled anew.
    ragged = cell.boundaries == "restart"
    return not recurrent and not ragged and (world.device.type == "cuda" or world.size == 1)


def pays(cell: Cell) -> bool:
    """Whether compiling saves more than it takes on a GPU: by the shape alone, whatever the
    budget."""
    steps = USUAL_TOKENS * cell.rung.counts.n_params // cell.batch_tokens
    return steps * cell.rung.shape.n_layers * SAVED_SECONDS > COMPILE_SECONDS


def compiled(model: nn.Module, device: torch.device) -> nn.Module:
    """The model, which is compiled when it is called."""
    # Kept for later cells. PyTorch unpickles and runs what it finds there, so it is no folder that
    # others send, such as a sweep's, and none in which they may write.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(private_folder("compiled")))
    if device.type == "cpu":
        # In this process: others would outlive it where it is killed.
        os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
        from torch._inductor import codecache

        # Headers are compiled once, which halves the time; PyTorch has no setting for their place,
        # which is a folder that anyone may have made.
        headers = os.path.join(os.environ["TORCHINDUCTOR_CACHE_DIR"], "precompiled_headers")
        codecache._HEADER_DIR = headers
        codecache._HEADER_LOCK_DIR = os.path.join(headers, "locks")
    # What was compiled for earlier cells of this process counts towards a limit beyond which
    # PyTorch stops compiling (`torch._dynamo.config.recompile_limit`).
    torch.compiler.reset()
    return torch.compile(model, dynamic=False)  # type: ignore[return-value]


def described(model: nn.Module, kernels: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    """The kernels, for the record: those that there are in such a model on such a device."""
    on_gpu = device.type == "cuda"
    rounded = torch.get_float32_matmul_precision() != "highest"
    found: dict[str, Any] = {"compiled": kernels["compiled"], "tf32": on_gpu and rounded}
    if not on_gpu:
        found["product"] = kernels["product"]
        if any(isinstance(part, CausalAttention) for part in model.modules()):
            found["attention"] = kernels["attention"]
    if lstm := lstm_kernel(model, device):
        found["lstm"] = lstm
    return found


def lstm_kernel(model: nn.Module, device: torch.device) -> str:
    """Which kernel `nn.LSTM` takes: `cudnn`, `onednn` or `native`; "" if the model has no LSTM."""
    lstm = next((part for part in model.modules() if isinstance(part, nn.LSTM)), None)
    if lstm is None:
        return ""
    if device.type == "cuda":
        return "cudnn" if torch.backends.cudnn.is_acceptable(lstm.weight_hh_l0) else "native"
    return "onednn" if torch.backends.mkldnn.enabled else "native"
