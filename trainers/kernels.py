"""Which kernels a model trains with: compiled or not, TF32, cuDNN's LSTM. They affect its speed.

Whether a model is compiled follows from its shape and batch, not from its budget: cells that share
a trunk have to share kernels, or a branch would not equal the cell trained alone.
"""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import nn

from data.store.private import private_folder
from trainers.cell import Cell

COMPILE_SECONDS = 60.0
"""Assumed, not measured: what compiling a model for one shape of batch takes."""

SAVED_SECONDS = 2e-4
"""Assumed, not measured: what a compiled layer saves a step. Each launch of a kernel takes about
5 us of the host, and in a block some 40 of those of forward and backward are fused away."""

USUAL_TOKENS = 20
"""Tokens per parameter of a usual budget, by which compiling has to pay."""


def prepared(
    model: nn.Module, cell: Cell, device: torch.device, wanted: str
) -> tuple[nn.Module, dict[str, Any]]:
    """The model as it is to be called, with the same parameters; and its kernels, for the record.

    wanted: `Placement.compile`.
    """
    compiled = wanted == "auto" and compiles(model, cell, device)
    rounded = torch.get_float32_matmul_precision() != "highest"
    found: dict[str, Any] = {"compiled": compiled, "tf32": device.type == "cuda" and rounded}
    if lstm := lstm_kernel(model, device):
        found["lstm"] = lstm
    if not compiled:
        return model, found
    # Kept for later cells. PyTorch unpickles and runs what it finds there, so it is no folder that
    # others send, such as a sweep's, and none in which they may write.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(private_folder("compiled")))
    # What was compiled for earlier cells of this process counts towards a limit beyond which
    # PyTorch stops compiling (`torch._dynamo.config.recompile_limit`).
    torch.compiler.reset()
    return torch.compile(model, dynamic=False), found  # type: ignore[return-value]


def compiles(model: nn.Module, cell: Cell, device: torch.device) -> bool:
    """Whether to compile: never on a CPU, where it would change the bits of losses."""
    # PyTorch does not trace a recurrent layer, and what is around one gains nothing.
    recurrent = any(isinstance(part, nn.RNNBase) for part in model.modules())
    # Rows of any length, and each length would be compiled anew.
    ragged = cell.boundaries == "restart"
    if device.type != "cuda" or recurrent or ragged:
        return False
    steps = USUAL_TOKENS * cell.rung.counts.n_params // cell.batch_tokens
    return pays(steps, cell.rung.shape.n_layers)


def pays(steps: int, n_layers: int) -> bool:
    """Whether compiling saves more seconds in so many steps than it takes."""
    return steps * n_layers * SAVED_SECONDS > COMPILE_SECONDS


def lstm_kernel(model: nn.Module, device: torch.device) -> str:
    """Which kernel `nn.LSTM` takes: `cudnn`, `onednn` or `native`; "" if the model has no LSTM."""
    lstm = next((part for part in model.modules() if isinstance(part, nn.LSTM)), None)
    if lstm is None:
        return ""
    if device.type == "cuda":
        return "cudnn" if torch.backends.cudnn.is_acceptable(lstm.weight_hh_l0) else "native"
    return "onednn" if torch.backends.mkldnn.enabled else "native"
