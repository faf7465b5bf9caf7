"""The scan is the loop in either direction, whatever the gates say and however long the piece."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from trainers import recurrence
from trainers.recurrence import C, Recurrence, convolution, scan

BATCH, WIDTH = 2, 3


def by_loop(a: Tensor, b: Tensor, state: Tensor, *, backwards: bool = False) -> Tensor:
    """In double precision, one token after another."""
    states, moments = [], range(a.shape[1])
    state = state.double()
    for moment in reversed(moments) if backwards else moments:
        state = a[:, moment].double() * state + b[:, moment].double()
        states.append(state)
    return torch.stack(states[::-1] if backwards else states, dim=1)


def inputs(time: int, kept: float, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """kept: about how much of a state stays at each step. What enters keeps the states near 1."""
    torch.manual_seed(seed)
    a = torch.rand(BATCH, time, WIDTH).mul_(2 * min(kept, 1 - kept)).add_(max(0, 2 * kept - 1))
    return a, (1 - a * a).sqrt() * torch.randn_like(a), torch.randn(BATCH, WIDTH)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("kept", [0.0, 1e-6, 0.5, 0.99, 1 - 1e-6, 1.0])
@pytest.mark.parametrize("time", [1, 2, 7, 64, 1000, 8192])
def test_a_scan_is_the_loop_within_1e_5(time: int, kept: float, backwards: bool) -> None:
    a, b, start = inputs(time, kept)
    found = scan(a, b, start, backwards=backwards)
    exact = by_loop(a, b, start, backwards=backwards)
    assert (found - exact).abs().max() < 1e-5


@given(st.integers(2, 200), st.data())
def test_a_scan_cut_anywhere_goes_on_from_the_state_that_was_carried(
    time: int, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(1, time - 1))
    a, b, start = inputs(time, 0.9, seed=time)
    whole = scan(a, b, start)
    first = scan(a[:, :cut], b[:, :cut], start)
    second = scan(a[:, cut:], b[:, cut:], first[:, -1])
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole, atol=1e-5, rtol=0)


def test_a_state_that_nothing_keeps_starts_anew() -> None:
    """As a piece does where one begins within a window: all before it is forgotten, exactly."""
    a, b, start = inputs(100, 0.9)
    a[:, 50] = 0
    after = scan(a, b, start)[:, 50:]
    assert torch.equal(after, scan(a, b, 7 * start)[:, 50:])


def units(gate: float, time: int = 20) -> tuple[Recurrence, Tensor]:
    """In double precision, with gates about at `gate` before the sigmoid; and what they read."""
    torch.manual_seed(0)
    part = Recurrence(WIDTH).double()
    torch.nn.init.constant_(part.gates.bias, gate)
    return part, torch.randn(BATCH, time, WIDTH, dtype=torch.double, requires_grad=True)


def by_formula(part: Recurrence, x: Tensor) -> Tensor:
    """The lines of the paper, and autograd."""
    r, i = part.gates(x).sigmoid().chunk(2, dim=-1)
    a = torch.exp(-C * torch.nn.functional.softplus(part.forget) * r)
    enters = torch.sqrt(1 - a**2) * (i * x)
    state, states = torch.zeros_like(x[:, 0]), []
    for moment in range(x.shape[1]):
        state = a[:, moment] * state + enters[:, moment]
        states.append(state)
    return torch.stack(states, dim=1)


@pytest.mark.parametrize("time", [1, 2, 20])
@pytest.mark.parametrize("gate", [-12.0, -2.0, 0.0, 2.0, 12.0])
def test_the_recurrence_and_its_gradient_are_the_papers(gate: float, time: int) -> None:
    part, x = units(gate, time)
    toward = torch.randn(BATCH, time, WIDTH, dtype=torch.double)
    wanted = [x, *part.parameters()]
    ours, theirs = part(x), by_formula(part, x)
    torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=0)
    for mine, its in zip(
        torch.autograd.grad(ours, wanted, toward), torch.autograd.grad(theirs, wanted, toward)
    ):
        torch.testing.assert_close(mine, its, atol=1e-9, rtol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("gate", [-15.0, -12.0, 0.0, 12.0])
def test_what_enters_a_state_that_is_kept_nearly_whole_is_exact_in_fp32(gate: float) -> None:
    part, x = units(gate)
    exact = by_formula(part, x)
    found = part.float()(x.float())
    assert (found - exact).norm() < 1e-5 * exact.norm()


@pytest.mark.parametrize("forget", [-200.0, -5.0, 200.0])
@pytest.mark.parametrize("gate", [-200.0, -100.0, -20.0, 20.0, 200.0])
def test_gates_that_are_shut_or_open_for_good_leave_all_finite(gate: float, forget: float) -> None:
    """The paper's square root has no slope where a unit keeps its whole state."""
    part, x = units(gate)
    torch.nn.init.constant_(part.forget, forget)
    part, x = part.float(), x.detach().float().requires_grad_()
    states = part(x)
    found = torch.autograd.grad(states.sum(), [x, *part.parameters()])
    assert all(each.isfinite().all() for each in (states, *found))


@torch.no_grad()
def test_a_step_goes_on_where_reading_ended() -> None:
    part, x = units(1.0)
    state = part(x[:, :15])[:, -1]
    for moment in range(15, 20):
        state = part.step(x[:, moment], state)
    torch.testing.assert_close(state, part(x)[:, -1])


def test_units_begin_by_keeping_what_the_paper_says() -> None:
    part = Recurrence(10_000)
    kept = torch.exp(-C * torch.nn.functional.softplus(part.forget))
    assert 0.8999 < kept.min() < 0.901
    assert 0.998 < kept.max() < 0.99901
    assert kept.mean().item() == pytest.approx(0.9495, abs=0.001)


def test_under_autocast_states_stay_in_fp32() -> None:
    part = Recurrence(WIDTH)
    with torch.autocast("cpu", torch.bfloat16):
        assert part(torch.randn(1, 5, WIDTH)).dtype == torch.float32


@pytest.mark.parametrize("time", [1, 2, 3, 4, 9])
def test_a_convolution_weighs_the_last_tokens_and_its_gradient_is_right(time: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(BATCH, time, WIDTH, dtype=torch.double, requires_grad=True)
    taps = torch.randn(4, WIDTH, dtype=torch.double, requires_grad=True)
    found = convolution(x, taps)
    for moment in range(time):
        seen = range(max(0, moment - 3), moment + 1)
        expected = sum(taps[moment - each] * x[:, each] for each in seen)
        torch.testing.assert_close(found[:, moment], expected)
    assert torch.autograd.gradcheck(recurrence._Convolution.apply, (x, taps))


def test_a_compiler_takes_what_is_around_a_recurrence() -> None:
    part, x = units(1.0)
    around = torch.nn.Sequential(torch.nn.Linear(WIDTH, WIDTH).double(), part)
    compiled = torch.compile(around, backend="eager")
    torch.testing.assert_close(compiled(x), around(x))
    (ours,) = torch.autograd.grad(around(x).sum(), [x])
    (its,) = torch.autograd.grad(compiled(x).sum(), [x])
    torch.testing.assert_close(its, ours)
