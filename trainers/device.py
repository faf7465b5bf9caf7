"""The device that a cell trains on: what is set on it first, how cells share a card, its use."""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from data.store.private import private_folder
from trainers.memory import peak_resident_bytes

CUDA_BYTES = 500e6
"""What CUDA itself takes for each process, which PyTorch's allocator does not see: an assumption,
about what is seen on cards of 16 GB and more."""


def settle(device: torch.device, share: float) -> None:
    """Have a card hold this process to its share of the memory, and multiply fp32 as TF32.

    share: of the card, 1 if the process has it alone. Does nothing for a CPU.
    """
    if device.type != "cuda":
        return
    torch.set_float32_matmul_precision("high")
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(memory_fraction(share, total), device)


def memory_fraction(share: float, total_bytes: float) -> float:
    """The part of a card's memory that PyTorch may allocate, so that neighbours keep theirs.

    A whole card is not bounded: nobody else's memory is at stake.
    """
    return 1.0 if share >= 1 else max(0.0, share - CUDA_BYTES / total_bytes)


@contextlib.contextmanager
def alone_on(device: torch.device) -> Iterator[None]:
    """Wait until no other process that runs on the same card is in here; a CPU needs no waiting."""
    if device.type != "cuda":
        yield
        return
    card = torch.cuda.get_device_properties(device).uuid
    with locked(private_folder("gpus") / f"{card}.lock"):
        yield


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of this file, which ends with the process that holds it, however it ends."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def has_bf16(device: torch.device) -> bool:
    """Whether the device is a card that multiplies in bf16 itself."""
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def use(device: torch.device) -> dict[str, float]:
    """Peak memory so far; on a GPU, also its current utilisation."""
    if device.type == "cuda":
        return {
            "memory_mb": torch.cuda.max_memory_allocated(device) / 1e6,
            "gpu_percent": float(torch.cuda.utilization(device)),
        }
    return {"memory_mb": peak_resident_bytes() / 1e6}


def processor() -> str:
    """The model of this machine's processor, or else its kind."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def ran_on(device: torch.device) -> dict[str, Any]:
    """What affects the speed of a cell but not its result, for the record."""
    on_gpu = device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device) if on_gpu else "cpu",
        "processor": processor(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
