"""Whether a cell on the card is the one that it is on the CPU, and its memory what is said."""

from __future__ import annotations

import contextlib
import copy
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.module import register_module_forward_pre_hook

from benchmarks.gpu.visit import PRECISION, Rows, Visit
from data.store.location import Location
from harness import counting, peak_memory
from harness.alone import ALONE, train_alone
from harness.contenders import arithmetic
from trainers import checkpoint
from trainers.cell import CHOICES, Cell
from trainers.curve import Point
from trainers.gradients import largest_micro_tokens
from trainers.ladder import archs, load_arch, rung
from trainers.loop import StoppedError
from trainers.memory import peak_bytes

ALLOWED = {"fp32": 1e-4, "TF32": 2e-2, "bf16": 1e-1}
"""The largest relative error of a parameter's gradient: some 10 to 1,000 roundings of 2^-24, 2^-11
and 2^-9, for sums are long and layers follow each other."""

CURVE_NATS = {"fp32": 0.02, "bf16": 0.05}
"""How far a curve may be from the CPU's at its end: less than two seeds are from each other."""

A_ROW = 10
"""Seconds without which none is begun: a small model has to be compiled."""

STEPS, KILLED_AFTER = 40, 17


def measure(visit: Visit) -> None:
    with tempfile.TemporaryDirectory() as counted, tempfile.TemporaryDirectory() as random:
        counting.write_counting(Path(counted), visit.pick(4000, 400))
        peak_memory.write_data(Path(random))
        gradients(visit)
        resumed(visit, Path(counted))
        out_of_memory(visit, Path(counted))
        curves(visit, Path(counted))
        memory(visit, Path(random))


def cell_of(visit: Visit, arch: str, precision: str = "fp32") -> Cell:
    """A small one that learns to count."""
    size, batch_tokens, context = visit.pick(("300k", 8192, 256), ("4k", 256, 32))
    fixed = (batch_tokens, context, 0.1, 1.0, "abc", counting.VOCAB, counting.FINGERPRINT)
    lr = load_arch(arch).LR
    return Cell(arch, size, 0, lr, STEPS * batch_tokens, *fixed, precision=precision)


def gradients(visit: Visit) -> None:
    """Of the same model and batch in fp64 on the CPU, and on the device by each arithmetic."""
    columns = ("arch", "size", "arithmetic", "loss_error", "gradient_error", "allowed")
    rows = Rows(visit, "loss and gradients against fp64", *columns, "parameter", "verdict")
    size, shape = visit.pick(("1M", (8, 256)), ("20k", (4, 32)))
    for arch in archs():
        torch.manual_seed(0)
        model = rung(arch, size, counting.VOCAB).build()
        # A silent head, as models start with, would hide all other gradients.
        nn.init.normal_(model.head.weight, std=model.head.weight.shape[1] ** -0.5)
        tokens = torch.randint(2, counting.VOCAB, shape)
        exact = loss_and_gradients(copy.deepcopy(model).double(), tokens, "fp32")
        for kind, allowed in ALLOWED.items():
            work = partial(errors, model, tokens, exact, kind, allowed, visit.device)
            rows.attempt(work, 3, arch=arch, size=size, arithmetic=kind)


Found = tuple[float, dict[str, torch.Tensor]]


def loss_and_gradients(model: nn.Module, tokens: torch.Tensor, precision: str) -> Found:
    """The mean loss, and each parameter's gradient in fp64 on the CPU."""
    with arithmetic(precision, tokens.device):
        logits = model(tokens[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
    loss.backward()
    found = {name: parameter.grad for name, parameter in model.named_parameters()}
    return loss.item(), {
        name: grad.double().cpu() for name, grad in found.items() if grad is not None
    }


def errors(
    model: nn.Module,
    tokens: torch.Tensor,
    exact: Found,
    kind: str,
    allowed: float,
    device: torch.device,
) -> dict[str, Any]:
    """Relative errors: of the loss, and of the gradient of the parameter that has the largest."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest" if kind == "fp32" else "high")
    # cuDNN has a switch of its own.
    torch.backends.cudnn.allow_tf32 = kind != "fp32"
    try:
        ours = copy.deepcopy(model).to(device)
        loss, found = loss_and_gradients(ours, tokens.to(device), kind)
    finally:
        torch.set_float32_matmul_precision(before)
        torch.backends.cudnn.allow_tf32 = True
    true_loss, true = exact
    off = {name: float((found[name] - true[name]).norm() / true[name].norm()) for name in true}
    worst = max(off, key=off.__getitem__)
    return {
        "loss_error": abs(loss / true_loss - 1),
        "gradient_error": off[worst],
        "allowed": allowed,
        "parameter": worst,
        "verdict": verdict(off[worst] <= allowed and set(found) == set(true)),
    }


def resumed(visit: Visit, data: Path) -> None:
    """A cell that ends after some steps and goes on from its file, against one left alone."""
    columns = ("arch", "kernels", "steps", "resumed_after", "largest_difference", "bit_equal")
    rows = Rows(visit, "stopped and resumed", *columns, "verdict")
    for deterministic in (True, False):
        kernels = "deterministic" if deterministic else "usual"
        for arch in archs():
            work = partial(difference, cell_of(visit, arch, PRECISION), data, visit, deterministic)
            rows.attempt(work, A_ROW, arch=arch, kernels=kernels)


def difference(cell: Cell, data: Path, visit: Visit, deterministic: bool) -> dict[str, Any]:
    """Between the weights at the end; only deterministic kernels have to give the same bits."""
    torch.use_deterministic_algorithms(deterministic, warn_only=True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            place = Location.of(folder)
            train_saving(cell, data, visit, place / "whole", None)
            train_saving(cell, data, visit, place / "killed", KILLED_AFTER)
            train_saving(cell, data, visit, place / "killed", None)
            whole, killed = (
                checkpoint.restore(place / name, cell.key) for name in ("whole", "killed")
            )
    finally:
        torch.use_deterministic_algorithms(False)
    assert whole is not None
    assert killed is not None
    off = max(
        float((a - b).abs().max())
        for a, b in zip(whole["model"].values(), killed["model"].values(), strict=True)
    )
    return {
        "steps": killed["step"],
        "resumed_after": KILLED_AFTER,
        "largest_difference": off,
        "bit_equal": str(off == 0),
        "verdict": verdict(off == 0) if deterministic else "for comparison",
    }


def train_saving(cell: Cell, data: Path, visit: Visit, folder: Location, steps: int | None) -> None:
    """From what the folder holds to the end, or until so many steps have been made."""
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked == steps

    with contextlib.suppress(StoppedError):
        train_alone(
            cell,
            data,
            world=visit.world,
            stop=stop,
            state=checkpoint.restore(folder, cell.key),
            save=lambda state: checkpoint.save_next(folder, state),
        )


def out_of_memory(visit: Visit, data: Path) -> None:
    """Without memory for the batch, micro-batches are halved, and the cell stays the same."""
    columns = ("arch", "memory", "micro_tokens", "val_loss", "from_roomy", "verdict")
    rows = Rows(visit, "out of memory", *columns)
    for arch in ("transformer", "lstm"):
        cell = cell_of(visit, arch, PRECISION)
        batch_tokens = visit.pick(8, 1) * cell.batch_tokens
        cell = replace(cell, batch_tokens=batch_tokens, tokens=5 * batch_tokens)
        roomy = rows.attempt(partial(crammed, cell, data, visit, None), A_ROW, arch=arch)
        if roomy:
            rows.attempt(partial(crammed, cell, data, visit, roomy), A_ROW, arch=arch)


def crammed(cell: Cell, data: Path, visit: Visit, roomy: dict[str, Any] | None) -> dict[str, Any]:
    """roomy: what this returned with all the memory there is; None to have it."""
    windows = cell.batch_tokens // cell.context
    with little_memory(cell, visit) if roomy else contextlib.nullcontext():
        model = cell.rung.build().to(visit.device)
        micro_tokens = largest_micro_tokens(
            model, visit.world, windows, cell.context, cell.batch_tokens
        )
        measured = train_alone(cell, data, cell.batch_tokens, world=visit.world)
    found = {
        "memory": "a quarter of the formula's" if roomy else "all",
        "micro_tokens": micro_tokens,
        "val_loss": measured["val_loss"],
    }
    if roomy:
        off = measured["val_loss"] - roomy["val_loss"]
        smaller = micro_tokens < roomy["micro_tokens"]
        near = abs(off) < CURVE_NATS[cell.precision]
        found |= {"from_roomy": off, "verdict": verdict(smaller and near)}
    return found


@contextlib.contextmanager
def little_memory(cell: Cell, visit: Visit) -> Iterator[None]:
    """On a GPU its allocator has a quarter of what the formula says of the whole batch. On a CPU,
    whose memory has no such bound, embeddings raise what it would raise."""
    if visit.on_gpu:
        total = torch.cuda.get_device_properties(visit.device).total_memory
        torch.cuda.empty_cache()
        little = peak_bytes(cell, cell.batch_tokens, 1) / 4
        torch.cuda.set_per_process_memory_fraction(little / total, visit.device)
        try:
            yield
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0, visit.device)
        return

    def refuse(module: nn.Module, inputs: Any) -> None:
        if isinstance(module, nn.Embedding) and inputs[0].numel() > cell.batch_tokens // 4:
            raise torch.OutOfMemoryError("out of memory")

    hook = register_module_forward_pre_hook(refuse)
    try:
        yield
    finally:
        hook.remove()


def curves(visit: Visit, data: Path) -> None:
    """One cell by each precision on the device, beside fp32 on the CPU."""
    columns = ("arch", "precision", "tokens", "cpu_loss", "loss", "difference", "verdict")
    rows = Rows(visit, "curves against the CPU's", *columns)
    for arch in ("transformer", "lstm"):
        if visit.left < 2 * A_ROW:
            rows.add(arch=arch, note="open: no time")
            continue
        cell = cell_of(visit, arch)
        alone = curve_of(cell, data, replace(visit, device=ALONE.device))
        for precision in CHOICES["precision"]:
            work = partial(compared, replace(cell, precision=precision), data, visit, alone)
            rows.attempt(work, A_ROW, arch=arch, precision=precision)


def curve_of(cell: Cell, data: Path, visit: Visit) -> list[Point]:
    curve: list[Point] = []
    measured = train_alone(cell, data, world=visit.world, report=curve.extend)
    return [*curve, {"tokens": cell.tokens, "train_loss": measured["val_loss"]}]


def compared(cell: Cell, data: Path, visit: Visit, alone: list[Point]) -> dict[str, Any]:
    """curve: tokens, the CPU's loss and the device's. The last point is the validation loss."""
    curve = curve_of(cell, data, visit)
    pairs = [
        (a["tokens"], a["train_loss"], b["train_loss"]) for a, b in zip(alone, curve, strict=True)
    ]
    tokens, cpu_loss, loss = pairs[-1]
    near = abs(loss - cpu_loss) < CURVE_NATS[cell.precision]
    return {
        "tokens": tokens,
        "cpu_loss": cpu_loss,
        "loss": loss,
        "difference": loss - cpu_loss,
        "verdict": verdict(near),
        "curve": pairs,
    }


def memory(visit: Visit, data: Path) -> None:
    """The formula by which a sweep places cells, and what the allocator held. Part `fast` has it of
    larger sizes."""
    columns = ("arch", "size", "precision", "micro_tokens", "measured_mb", "formula_mb", "ratio")
    rows = Rows(visit, "memory", *columns)
    size, batch_tokens, context = visit.pick(("1M", 16_384, 512), ("20k", 1024, 128))
    for arch in archs():
        fixed = (batch_tokens, context, 0.1, 1.0, "abc", peak_memory.VOCAB, "random")
        cell = Cell(arch, size, 0, 0.001, 2 * batch_tokens, *fixed, precision=PRECISION)
        work = partial(beside_formula, cell, data, visit)
        rows.attempt(work, A_ROW, arch=arch, size=size, precision=PRECISION)


def beside_formula(cell: Cell, data: Path, visit: Visit) -> dict[str, Any]:
    micro_tokens = cell.batch_tokens
    if visit.on_gpu:
        train_alone(cell, data, micro_tokens, world=visit.world)
        found = torch.cuda.max_memory_allocated(visit.device)
    else:
        found = peak_memory.measured(cell, data, micro_tokens)
    formula = peak_bytes(cell, micro_tokens, 1)
    return {
        "micro_tokens": micro_tokens,
        "measured_mb": found / 1e6,
        "formula_mb": formula / 1e6,
        "ratio": formula / found,
    }


def verdict(right: bool) -> str:
    return "ok" if right else "FAIL"
