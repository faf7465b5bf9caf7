"""Cells that differ in their budget alone share a trunk, and what they measure does not show it."""

from __future__ import annotations

import contextlib
import itertools
import math
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from data.store.location import Location
from tests.conftest import CELL
from trainers import checkpoint, optim
from trainers.cell import Cell
from trainers.curve import Point
from trainers.gradients import World
from trainers.ladder import archs
from trainers.loop import StoppedError, train
from trainers.saved import newest_first, step_of
from trainers.trunks import Checkpoints, families, kept_steps, tokens_to_train

ALONE = World(0, 1, torch.device("cpu"))
# One point a step up to 64, then every second, every fourth: branches begin between points, too.
BUDGETS = (70, 141, 283)
LSTM = replace(CELL, arch="lstm", schedule="wsd", batch_tokens=64)


def of_steps(cell: Cell, *steps: int) -> list[Cell]:
    return [replace(cell, tokens=count * cell.batch_tokens) for count in steps]


@dataclass(frozen=True)
class Trained:
    measured: dict[str, float]
    curve: list[tuple[float, float]]
    """Tokens and training loss."""
    weights: torch.Tensor
    steps: int
    """That it trained itself."""
    from_trunk: int
    """Tokens that it did not."""


def run(cell: Cell, data: Path, storage: Path, stop_after: int = 0) -> Trained:
    """Train `cell`, or go on with it, as a job does. stop_after: steps, and then it stops."""
    checkpoints = Checkpoints(Location.of(storage), cell)
    curve: list[Point] = []
    asked = itertools.count(1)
    steps, measured = 0, {}

    def stop() -> bool:
        nonlocal steps
        steps = next(asked)
        return steps == stop_after

    with contextlib.suppress(StoppedError):
        measured = train(
            cell,
            data,
            ALONE,
            prepare=lambda model, *_: (model, {}),
            restore=lambda: checkpoints.restore(ALONE),
            save=checkpoints.save,
            save_trunk=checkpoints.save_trunk,
            keep=lambda losses: None,
            report=curve.extend,
            stop=stop,
            micro_tokens=10**6,
            checkpoint_seconds=1e9,
        )
    state = checkpoint.restore(Location.of(storage) / cell.key, cell.key)
    assert state is not None
    weights = torch.cat([value.flatten() for value in state["model"].values()])
    losses = [(point["tokens"], point["train_loss"]) for point in curve]
    return Trained(measured, losses, weights, steps, checkpoints.tokens_from_trunk)


def assert_same(branch: Trained, alone: Trained) -> None:
    """In everything that is no time."""
    timed = ("seconds", "seconds_evaluate")
    assert {k: v for k, v in branch.measured.items() if k not in timed} == {
        k: v for k, v in alone.measured.items() if k not in timed
    }
    assert branch.curve == alone.curve
    assert torch.equal(branch.weights, alone.weights)


@pytest.mark.parametrize("arch", archs())
def test_a_branch_equals_the_same_cell_trained_alone_bit_for_bit(
    packed: Path, tmp_path: Path, arch: str
) -> None:
    cells = of_steps(replace(LSTM, arch=arch), *BUDGETS)
    together = [run(cell, packed, tmp_path / "together") for cell in cells]
    apart = [run(cell, packed, tmp_path / cell.key) for cell in cells]
    for branch, alone in zip(together, apart):
        assert_same(branch, alone)
    # And it was worth while.
    assert [alone.steps for alone in apart] == list(BUDGETS)
    trunks = [cell.trunk_steps for cell in cells]
    assert [branch.steps for branch in together] == [70, 141 - trunks[0], 283 - trunks[1]]
    assert [branch.from_trunk for branch in together] == [0, 64 * trunks[0], 64 * trunks[1]]


@pytest.mark.parametrize(
    "changed", [{"boundaries": "restart"}, {"size": "9k", "seed": 3}, {"optimizer": "muon"}]
)
def test_so_does_one_with_other_settings(packed: Path, tmp_path: Path, changed: dict) -> None:
    short, long = of_steps(replace(LSTM, **changed), 70, 90)
    run(short, packed, tmp_path / "together")
    assert_same(run(long, packed, tmp_path / "together"), run(long, packed, tmp_path / "alone"))


@pytest.mark.parametrize("stop_after", [3, 45, 56, 57, 69])
def test_a_family_stopped_in_its_trunk_or_a_branch_goes_on(
    packed: Path, tmp_path: Path, stop_after: int
) -> None:
    """The first decays after 56 steps. Nothing but the family's own folder is needed."""
    short, long = of_steps(LSTM, 70, 141)
    assert short.trunk_steps == 56
    stopped = run(short, packed, tmp_path / "stopped", stop_after)
    assert not stopped.measured
    first = run(short, packed, tmp_path / "stopped")
    assert stopped.steps + first.steps == 70
    assert_same(first, run(short, packed, tmp_path / "alone"))
    run(long, packed, tmp_path / "stopped", stop_after)
    second = run(long, packed, tmp_path / "stopped")
    # It remembers where it came from.
    assert second.from_trunk == 56 * 64
    assert_same(second, run(long, packed, tmp_path / "alone"))


def test_a_finished_cell_is_trained_longer_for_what_is_new(packed: Path, tmp_path: Path) -> None:
    short, long = of_steps(LSTM, 100, 400)
    run(short, packed, tmp_path)
    longer = run(long, packed, tmp_path)
    assert longer.steps <= 1.02 * (long.steps - short.trunk_steps)


def test_a_smaller_budget_that_is_added_trains_what_no_other_has_kept(
    packed: Path, tmp_path: Path
) -> None:
    small, between, large = of_steps(LSTM, 70, 100, 141)
    for cell in (small, large):
        run(cell, packed, tmp_path / "together")
    added = run(between, packed, tmp_path / "together")
    assert added.steps == 100 - small.trunk_steps
    assert_same(added, run(between, packed, tmp_path / "alone"))


def trunk_places(storage: Path, cell: Cell) -> list[Path]:
    assert cell.trunk_key
    return [Path(place.uri) for place in newest_first(Location.of(storage) / cell.trunk_key)]


def test_a_damaged_trunk_costs_a_line_and_the_one_before_is_taken(
    packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = of_steps(LSTM, 70, 100, 141)
    for cell in (first, second):
        run(cell, packed, tmp_path / "together")
    (trunk_places(tmp_path / "together", third)[0] / "state.pt").write_bytes(b"torn")
    found = run(third, packed, tmp_path / "together")
    (line,) = capsys.readouterr().err.splitlines()
    assert "the checksum of state.pt does not match; going on from the one before" in line
    assert found.from_trunk == first.trunk_steps * 64
    assert_same(found, run(third, packed, tmp_path / "alone"))


def test_a_trunk_of_other_data_costs_a_line_and_is_not_taken(
    packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, cell = of_steps(replace(LSTM, data="other"), 70)[0], of_steps(LSTM, 100)[0]
    run(other, packed, tmp_path / "together")
    assert other.trunk_key
    assert cell.trunk_key
    (tmp_path / "together" / other.trunk_key).rename(tmp_path / "together" / cell.trunk_key)
    found = run(cell, packed, tmp_path / "together")
    (line,) = capsys.readouterr().err.splitlines()
    assert f"belongs to cell {other.trunk_key}, expected {cell.trunk_key}" in line
    assert found.from_trunk == 0


def test_a_step_is_kept_once(packed: Path, tmp_path: Path) -> None:
    (cell,) = of_steps(LSTM, 70)
    run(cell, packed, tmp_path, stop_after=20)
    run(cell, packed, tmp_path, stop_after=40)
    # Killed before it could save again: it passes the same place twice.
    newest = newest_first(Location.of(tmp_path) / cell.key)[0]
    newest.delete()
    run(cell, packed, tmp_path)
    assert [step_of(Location.of(place)) for place in trunk_places(tmp_path, cell)] == [56]


def test_a_cell_that_comes_back_to_what_it_has_left_has_taken_nothing_over(
    packed: Path, tmp_path: Path
) -> None:
    """Killed in its decay, before it saved there."""
    (cell,) = of_steps(LSTM, 70)
    run(cell, packed, tmp_path)
    (Location.of(tmp_path) / cell.key).delete()
    again = run(cell, packed, tmp_path)
    assert again.steps == 70 - cell.trunk_steps
    assert again.from_trunk == 0


def test_what_differs_in_more_than_tokens_or_has_no_trunk_is_no_family() -> None:
    family = of_steps(LSTM, 100, 50)
    others = [replace(family[0], seed=1), replace(family[0], lr=0.1), replace(LSTM, data="other")]
    cosine = of_steps(replace(LSTM, schedule="cosine"), 50, 100)
    assert cosine[0].trunk_key is None
    found = families([*family, *others, *cosine])
    assert found == [[family[1], family[0]], *([other] for other in others), *([c] for c in cosine)]


def test_what_a_family_trains_is_what_was_said_it_would(packed: Path, tmp_path: Path) -> None:
    family, storage = of_steps(LSTM, 70, 100, 141), Location.of(tmp_path)
    said = tokens_to_train(family, kept_steps(storage, family))
    assert [run(cell, packed, tmp_path).steps * 64 for cell in family] == said
    larger = [*family, *of_steps(LSTM, 283)]
    said = tokens_to_train(larger, kept_steps(storage, larger))
    assert said[:3] == [0, 0, 0]
    assert run(larger[-1], packed, tmp_path).steps * 64 == said[3]


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=6, unique=True))
def test_a_family_costs_its_longest_run_and_the_decays(steps: list[int]) -> None:
    family = of_steps(LSTM, *sorted(steps))
    share = optim.DECAY_SHARE
    costs = (1 - share) * max(steps) + share * sum(steps)
    trained = sum(tokens_to_train(family, {})) / 64
    assert math.isclose(trained, costs, abs_tol=len(steps))


@given(st.integers(1, 10**7), st.integers(1, 10**6))
def test_until_it_decays_every_budget_has_the_same_rate(steps: int, batch_tokens: int) -> None:
    shared = optim.steps_before_decay(steps, batch_tokens)
    assert 0.8 * steps - 1 <= shared <= 0.8 * steps + 1
    tokens = steps * batch_tokens
    for step in {0, shared - 1}:
        seen = (step + 0.5) * batch_tokens
        assert optim.wsd(seen, tokens, 10.0) == optim.wsd(seen, 100 * tokens, 10.0)
    if shared < steps:
        assert optim.wsd((shared + 0.5) * batch_tokens, tokens, 1.0) < 1
