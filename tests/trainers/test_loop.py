"""The loop is a function of cell and data: interruptions and micro-batches do not show."""

from __future__ import annotations

import contextlib
import copy
import itertools
import math
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from harness.alone import train_alone
from trainers import gradients
from trainers.cell import Cell
from trainers.chosen_kernels import Kernels
from trainers.curve import DivergedError, Point, is_point
from trainers.gradients import World
from trainers.kernels import Work, prepared
from trainers.ladder import archs
from trainers.loop import StoppedError, train

ALONE = World(0, 1, torch.device("cpu"))


class Stopped(Exception):
    """Stands for a machine that is taken away."""


def run(
    cell: Cell,
    data: Path,
    *,
    state: dict[str, Any] | None = None,
    stop_after: int | None = None,
    ask_at: int | None = None,
    micro_tokens: int = 10**6,
    world: World = ALONE,
    prepare: Callable[..., tuple[nn.Module, dict[str, Any]]] = lambda model, *_: (model, {}),
) -> tuple[dict[str, float], list[Point], dict[str, Any]]:
    """Measurements, curve and last saved state; saves at every point of the curve."""
    curve: list[Point] = []
    saved: dict[str, Any] = {}

    def save(new: dict[str, Any]) -> None:
        saved.clear()
        saved.update(copy.deepcopy(new))
        if stop_after is not None and new["step"] >= stop_after:
            raise Stopped

    measured: dict[str, float] = {}
    steps = itertools.count(state["step"] + 1 if state else 1)
    with contextlib.suppress(Stopped, StoppedError):
        measured = train(
            cell,
            data,
            world,
            prepare=prepare,
            restore=lambda: state,
            save=save,
            keep=lambda losses: None,
            report=curve.extend,
            stop=lambda: next(steps) == ask_at,
            micro_tokens=micro_tokens,
            checkpoint_seconds=0,
        )
    return measured, curve, saved


def weights(state: dict[str, Any]) -> torch.Tensor:
    return torch.cat([value.flatten() for value in state["model"].values()])


@pytest.mark.parametrize("arch", archs())
def test_a_resumed_cell_equals_an_undisturbed_one_bit_for_bit(
    cell: Cell, packed: Path, arch: str
) -> None:
    cell = replace(cell, arch=arch)
    whole, curve, last = run(cell, packed)
    _, _, half = run(cell, packed, stop_after=17)
    resumed, rest, last_resumed = run(cell, packed, state=half)
    assert torch.equal(weights(last), weights(last_resumed))
    assert resumed["val_loss"] == whole["val_loss"]
    losses = [(point["tokens"], point["train_loss"]) for point in curve]
    assert [(point["tokens"], point["train_loss"]) for point in rest] == losses


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["transformer", "gpt"])
def test_a_compiled_cell_that_was_resumed_equals_an_undisturbed_one_bit_for_bit(
    cell: Cell, packed: Path, arch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is compiled once, and then found in the machine's cache, which is the user's own."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")  # What is set is taken back.
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    cell = replace(cell, arch=arch, context=256)
    work = Work(cell, ALONE, "on", cell.steps)
    first = asdict(Kernels(True, "mixed", "blocks"))

    def prepare(
        model: nn.Module, before: dict[str, Any] | None, micro_tokens: int
    ) -> tuple[nn.Module, dict[str, Any]]:
        return prepared(model, before or first, micro_tokens, work)

    whole, _, last = run(cell, packed, prepare=prepare)
    _, _, half = run(cell, packed, stop_after=17, prepare=prepare)
    assert half["kernels"] == first
    resumed, _, last_resumed = run(cell, packed, state=half, prepare=prepare)
    assert torch.equal(weights(last), weights(last_resumed))
    assert resumed["val_loss"] == whole["val_loss"]
    assert [path.name for path in tmp_path.iterdir()] == [f"crescendo-{os.geteuid()}"]
    # And from one that is not compiled it differs by rounding alone.
    assert run(cell, packed)[0]["val_loss"] == pytest.approx(whole["val_loss"], abs=1e-3)


@given(ask_at=st.integers(1, 249))
@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_cell_stopped_at_any_step_goes_on_to_the_same_weights_and_curve(
    cell: Cell, packed: Path, ask_at: int
) -> None:
    """Between two points of the curve, too: here there is one every two steps."""
    cell = replace(cell, arch="lstm", tokens=250 * 64, batch_tokens=64)
    whole, curve, last = run(cell, packed)
    nothing, _, state = run(cell, packed, ask_at=ask_at)
    assert not nothing
    assert state["step"] == ask_at
    measured, rest, final = run(cell, packed, state=state)
    assert torch.equal(weights(last), weights(final))
    assert measured["val_loss"] == whole["val_loss"]
    assert [each["train_loss"] for each in rest] == [each["train_loss"] for each in curve]


@pytest.mark.parametrize("arch", archs())
def test_so_does_one_by_muon_which_learns_too(cell: Cell, packed: Path, arch: str) -> None:
    cell = replace(cell, arch=arch, optimizer="muon", tokens=60 * 256)
    whole, curve, last = run(cell, packed)
    _, _, half = run(cell, packed, stop_after=33)
    resumed, _, last_resumed = run(cell, packed, state=half)
    assert torch.equal(weights(last), weights(last_resumed))
    assert resumed["val_loss"] == whole["val_loss"] < 0.95 * curve[0]["train_loss"]
    by_adamw, _, _ = run(replace(cell, optimizer="adamw"), packed)
    assert by_adamw["val_loss"] != whole["val_loss"]


@pytest.mark.parametrize("arch", archs())
def test_micro_batches_give_the_same_model(cell: Cell, packed: Path, arch: str) -> None:
    cell = replace(cell, arch=arch)
    whole, _, _ = run(cell, packed)
    parts, _, _ = run(cell, packed, micro_tokens=64)
    assert parts["val_loss"] == pytest.approx(whole["val_loss"], abs=1e-4)


@pytest.mark.parametrize("arch", archs())
def test_a_cell_learns(cell: Cell, packed: Path, arch: str) -> None:
    measured, curve, _ = run(replace(cell, arch=arch, tokens=200 * 256, lr=0.02), packed)
    assert measured["val_loss"] < 0.8 * curve[0]["train_loss"]
    assert measured["n_params"] == pytest.approx(4000, rel=0.03)
    assert measured["epochs"] == pytest.approx(measured["tokens"] / 11_000, rel=0.2)


def test_the_curve_says_what_the_record_promises(cell: Cell, packed: Path) -> None:
    _, curve, _ = run(cell, packed)
    assert [point["tokens"] for point in curve] == list(range(256, 41 * 256, 256))
    assert set(curve[0]) == {
        *("tokens", "train_loss", "learning_rate", "tokens_per_second"),
        *("memory_mb", "cpu_cores", "time"),
    }
    assert curve[-1]["learning_rate"] < 0.01 * max(point["learning_rate"] for point in curve)


class Reads(TorchDispatchMode):
    """Counts the numbers that are read from tensors; on a card, the host would wait for each."""

    count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("arch", archs())
def test_nothing_is_read_from_the_device_but_at_a_point_of_the_curve(
    cell: Cell, packed: Path, arch: str
) -> None:
    steps, so_far = 80, [0]
    with Reads() as reads:

        def after_a_step() -> bool:
            so_far.append(reads.count)
            return False

        train_alone(
            replace(cell, arch=arch, tokens=steps * cell.batch_tokens), packed, stop=after_a_step
        )
    waits = {step for step, read in enumerate(np.diff(so_far), start=1) if read}
    assert waits == {step for step in range(1, steps + 1) if is_point(step)}
    assert len(waits) < steps


@pytest.mark.parametrize("arch", archs())
def test_a_cell_in_bf16_learns_keeps_its_weights_in_fp32_and_resumes_bit_for_bit(
    cell: Cell, packed: Path, arch: str
) -> None:
    cell = replace(cell, arch=arch, precision="bf16", tokens=60 * 256, lr=0.02)
    whole, curve, last = run(cell, packed)
    fp32, exact, _ = run(replace(cell, precision="fp32"), packed)
    assert whole["val_loss"] < 0.9 * curve[0]["train_loss"]
    assert whole["val_loss"] == pytest.approx(fp32["val_loss"], abs=0.1)
    assert curve[-1]["train_loss"] != exact[-1]["train_loss"]
    moments = [value for state in last["optimizer"]["state"].values() for value in state.values()]
    assert {value.dtype for value in [*last["model"].values(), *moments]} == {torch.float32}
    _, _, half = run(cell, packed, stop_after=33)
    resumed, rest, last_resumed = run(cell, packed, state=half)
    assert torch.equal(weights(last), weights(last_resumed))
    assert resumed["val_loss"] == whole["val_loss"]
    assert [each["train_loss"] for each in rest] == [each["train_loss"] for each in curve]


def test_a_cell_goes_on_where_a_neighbour_takes_the_memory(
    cell: Cell, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From some step on, half a batch is more than fits; the cell ends as if nothing had been."""
    whole, curve, _ = run(cell, packed)
    seen: list[int] = []

    def crowded(model: Any, inputs: np.ndarray, *rest: Any) -> torch.Tensor:
        seen.append(inputs.size)
        if len(seen) > 10 and inputs.size > cell.batch_tokens / 4:
            raise torch.OutOfMemoryError("out of memory")
        return summed(model, inputs, *rest)

    summed = gradients.summed_nats
    monkeypatch.setattr(gradients, "summed_nats", crowded)
    measured, rest, _ = run(cell, packed)
    assert seen[:10] == [256] * 10
    assert seen[10:12] == [256, 128]
    assert set(seen[12:]) == {64}
    assert measured["val_loss"] == pytest.approx(whole["val_loss"], abs=1e-4)
    found = [point["train_loss"] for point in rest]
    assert found == pytest.approx([point["train_loss"] for point in curve], abs=1e-3)


def test_seeds_differ(cell: Cell, packed: Path) -> None:
    first, _, _ = run(cell, packed)
    second, _, _ = run(replace(cell, seed=1), packed)
    assert first["val_loss"] != second["val_loss"]


def test_a_diverged_cell_ends_with_a_reason_and_no_number(cell: Cell, packed: Path) -> None:
    with pytest.raises(DivergedError, match=r"worse than guessing|became"):
        run(replace(cell, lr=1e4), packed)


@pytest.mark.parametrize("arch", archs())
def test_a_cell_whose_last_step_breaks_it_has_no_number(
    cell: Cell, packed: Path, arch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing but the evaluation sees what the last step did."""
    monkeypatch.setattr(
        "trainers.loop.evaluate", lambda *_: ({"loss": math.nan, "loss_se": math.nan}, None)
    )
    with pytest.raises(DivergedError, match="the val loss became nan"):
        run(replace(cell, arch=arch), packed)


@pytest.mark.parametrize(
    "changed",
    [{"schedule": "wsd"}, {"schedule": "constant", "rates": "flat"}, {"boundaries": "restart"}],
)
def test_a_cell_learns_otherwise_too(cell: Cell, packed: Path, changed: dict[str, str]) -> None:
    usual, _, _ = run(cell, packed)
    measured, curve, _ = run(replace(cell, **changed), packed)  # type: ignore[arg-type]
    assert measured["val_loss"] < 0.95 * curve[0]["train_loss"]
    assert measured["val_loss"] != usual["val_loss"]


def test_a_broken_cell_is_refused(cell: Cell) -> None:
    broken: Callable[..., Cell] = replace
    with pytest.raises(ValueError, match="not a multiple of context"):
        broken(cell, batch_tokens=100)
    with pytest.raises(ValueError, match="not a multiple of batch_tokens"):
        broken(cell, tokens=100)
    with pytest.raises(ValueError, match="unknown schedule 'linear'; there are cosine, wsd"):
        broken(cell, schedule="linear")


def test_any_change_of_the_configuration_changes_the_key(cell: Cell) -> None:
    keys = {cell.key, replace(cell, lr=0.1).key, replace(cell, data="other").key}
    assert len(keys) == 3
    assert replace(cell).key == cell.key
