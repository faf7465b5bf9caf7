"""Kernels: chosen once for a shape, and then kept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch._inductor import codecache

from data.store.location import Location
from tests.strangers import mode
from trainers import kernels, timing
from trainers.cell import Cell
from trainers.chosen_kernels import Kernels
from trainers.gradients import World
from trainers.kernels import COMPILE_SECONDS, SAVED_SECONDS, Work, compilable, described, prepared

CPU, CARD = torch.device("cpu"), torch.device("cuda")
ALONE, ON_CARD = World(0, 1, CPU), World(0, 1, CARD)
CHOSEN = Kernels(False, "mixed", "blocks")


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One that has chosen nothing yet, where compiling gives the same model."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(torch, "compile", lambda model, **_: nn.Sequential(model))
    for name in ("_HEADER_DIR", "_HEADER_LOCK_DIR"):
        monkeypatch.setattr(codecache, name, getattr(codecache, name))
    for name in ("TORCHINDUCTOR_CACHE_DIR", "TORCHINDUCTOR_COMPILE_THREADS"):
        monkeypatch.setenv(name, "")  # What is set is taken back.
        monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def large(cell: Cell) -> Cell:
    return replace(cell, size="20M", vocab_size=139, context=256, batch_tokens=4096, tokens=4096)


def choice(
    cell: Cell,
    *,
    before: dict[str, Any] | None = None,
    compile: str = "auto",
    micro_tokens: int = 10**6,
    world: World = ALONE,
    sweep: Location | None = None,
) -> tuple[bool, Kernels]:
    """Whether the model is compiled, and its kernels."""
    work = Work(cell, world, compile, steps=10, sweep=sweep)
    made, found = prepared(cell.rung.build(), before, micro_tokens, work)
    return isinstance(made, nn.Sequential), Kernels(**found)


def test_compiling_pays_on_a_card_where_it_saves_more_than_it_takes(cell: Cell) -> None:
    def least(steps: int) -> bool:
        n_params, n_layers = cell.rung.counts.n_params, cell.rung.shape.n_layers
        batch_tokens = max(1, int(20 * n_params / steps))
        taken = replace(cell, context=1, batch_tokens=batch_tokens, tokens=batch_tokens)
        assert abs(20 * n_params // taken.batch_tokens / steps - 1) < 0.1
        return kernels.pays(taken) is (steps * n_layers * SAVED_SECONDS > COMPILE_SECONDS)

    assert least(10)
    assert least(20 * cell.rung.counts.n_params)


def test_a_large_model_is_compiled_on_a_card_and_a_small_one_is_not(large: Cell) -> None:
    assert kernels.pays(large)
    assert not kernels.pays(replace(large, size="300k"))


@pytest.mark.parametrize("size", ["300k", "20M"])
def test_on_a_card_cells_of_one_size_share_their_kernels_whatever_their_budget(
    cell: Cell, size: str
) -> None:
    first = replace(cell, size=size, schedule="wsd", vocab_size=139)
    budgets = [replace(first, tokens=n * first.batch_tokens, lr=n) for n in (1, 1000, 10**6)]
    assert len({kernels.pays(each) for each in budgets}) == 1


def test_what_could_not_gain_is_not_compiled(large: Cell) -> None:
    model = torch.nn.Identity()
    assert compilable(model, large, ON_CARD)
    assert compilable(model, large, ALONE)
    assert not compilable(model, replace(large, boundaries="restart"), ON_CARD)
    assert not compilable(torch.nn.LSTM(2, 2), large, ON_CARD)
    # Workers exchange gradients while they are computed.
    assert not compilable(model, large, World(0, 2, CPU))


@pytest.mark.parametrize(("compile", "found"), [("auto", False), ("on", True), ("off", False)])
def test_compiling_is_as_the_grid_has_it(cell: Cell, compile: str, found: bool) -> None:
    """Of itself, no model is compiled that has ten steps to train."""
    is_compiled, chosen = choice(cell, compile=compile)
    assert (is_compiled, chosen.compiled) == (found, found)


def test_batches_that_are_not_cut_evenly_are_not_compiled(cell: Cell) -> None:
    cell = replace(cell, batch_tokens=5 * cell.context, tokens=5 * cell.context)
    assert choice(cell, compile="on", micro_tokens=cell.context)[0]
    assert not choice(cell, compile="on", micro_tokens=2 * cell.context)[0]


def test_a_choice_holds_for_the_sweep(
    cell: Cell, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = Location.of(machine / "sweep")
    monkeypatch.setattr(timing, "fastest", lambda *_: replace(CHOSEN, compiled=None))
    monkeypatch.setattr(timing, "compiling_pays", lambda *_: True)
    assert choice(cell, sweep=sweep) == (True, replace(CHOSEN, compiled=True))
    monkeypatch.setattr(timing, "fastest", lambda *_: Kernels())
    monkeypatch.setattr(timing, "compiling_pays", lambda *_: False)
    assert choice(replace(cell, seed=7), sweep=sweep) == (True, replace(CHOSEN, compiled=True))
    # Who does not want it any more has it not.
    assert choice(cell, sweep=sweep, compile="off") == (False, CHOSEN)


def test_a_checkpoint_brings_its_own(cell: Cell, machine: Path) -> None:
    compiled = replace(CHOSEN, compiled=True)
    assert choice(cell, before=asdict(compiled)) == (True, compiled)
    assert choice(cell, before=asdict(CHOSEN)) == (False, CHOSEN)


def test_one_of_a_version_without_a_choice_goes_on_as_it_began(
    cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "fastest", lambda *_: CHOSEN)
    assert choice(cell, before={}) == (False, Kernels())


def test_a_machine_that_cannot_compile_trains_without_and_the_record_has_it(
    cell: Cell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no C++ compiler\nin sight")

    monkeypatch.setattr(nn.Sequential, "forward", broken)
    found = choice(cell, before=asdict(replace(CHOSEN, compiled=True)))
    assert found == (False, CHOSEN)
    said = capsys.readouterr().err
    assert said == f"{cell.name} is trained without being compiled: no C++ compiler in sight\n"


def test_all_workers_have_the_kernels_of_the_first(
    cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(World, "told", lambda self, text: CHOSEN.text())
    monkeypatch.setattr(timing, "fastest", lambda *_: pytest.fail("the second does not choose"))
    assert choice(cell, world=World(1, 2, CPU)) == (False, CHOSEN)


@pytest.fixture
def rounded() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    yield
    torch.set_float32_matmul_precision(before)


def test_the_record_says_which_kernels_there_were(cell: Cell, rounded: None) -> None:
    model, lstm = cell.rung.build(), replace(cell, arch="lstm").rung.build()
    usual = {"compiled": False, "tf32": False, "product": "mixed"}
    assert described(model, asdict(CHOSEN), CPU) == usual | {"attention": "blocks"}
    assert described(lstm, asdict(CHOSEN), CPU) == usual | {"lstm": "onednn"}
    assert described(model, asdict(CHOSEN), CARD) == {"compiled": False, "tf32": True}
    with torch.backends.mkldnn.flags(enabled=False):
        assert described(lstm, asdict(CHOSEN), CPU)["lstm"] == "native"


def test_the_kernel_of_the_lstm_is_the_one_that_runs(cell: Cell) -> None:
    lstm = replace(cell, arch="lstm").rung.build()
    with torch.profiler.profile() as profiler:
        lstm(torch.zeros(2, 8, dtype=torch.long))
    assert any("mkldnn_rnn_layer" in event.key for event in profiler.key_averages())


def test_what_is_compiled_is_kept_where_nobody_else_can_plant_any(
    cell: Cell, machine: Path
) -> None:
    """PyTorch unpickles it."""
    assert choice(cell, compile="on")[0]
    kept = Path(os.environ["TORCHINDUCTOR_CACHE_DIR"])
    assert kept.parent.parent == machine
    assert mode(kept.parent) == 0o700
    # And what compiles it is no process that would outlive this one.
    assert os.environ["TORCHINDUCTOR_COMPILE_THREADS"] == "1"
    for place in (codecache._HEADER_DIR, codecache._HEADER_LOCK_DIR):
        assert Path(place).is_relative_to(kept)
