"""Drawing from a model: filters, seeds, batches, limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from trainers.ladder import archs, rung
from trainers.sampling import Draw, lay_out_for_steps, probabilities, sample

VOCAB, EOS = 50, 1
LOGITS = np.log([[0.5, 0.25, 0.15, 0.1]])


def model(arch: str) -> Any:
    torch.manual_seed(0)
    built = rung(arch, "20k", VOCAB).build()
    torch.nn.init.normal_(built.head.weight, std=0.05)
    return built


@pytest.mark.parametrize(
    ("draw", "expected"),
    [
        (Draw(), [0.5, 0.25, 0.15, 0.1]),
        (Draw(temperature=0), [1, 0, 0, 0]),
        (Draw(temperature=0.5), [0.7246, 0.1812, 0.0652, 0.029]),
        (Draw(top_k=2), [2 / 3, 1 / 3, 0, 0]),
        (Draw(top_p=0.6), [2 / 3, 1 / 3, 0, 0]),
        (Draw(top_p=0.01), [1, 0, 0, 0]),
        (Draw(min_p=0.3), [0.5556, 0.2778, 0.1667, 0]),
    ],
)
def test_filters(draw: Draw, expected: list[float]) -> None:
    np.testing.assert_allclose(probabilities(LOGITS, draw)[0], expected, atol=1e-4)


def test_the_grammar_comes_before_the_filters() -> None:
    allowed = np.array([[False, False, True, True]])
    p = probabilities(LOGITS, Draw(top_k=1), allowed)
    np.testing.assert_allclose(p[0], [0, 0, 1, 0])


@pytest.mark.parametrize("arch", archs())
def test_a_row_does_not_depend_on_its_neighbours(arch: str) -> None:
    net, prompt = model(arch), np.array([0])
    options: dict[str, Any] = {"context": 16, "max_tokens": 60, "draw": Draw()}
    alone = sample(net, [prompt], [3], EOS, **options)[0]
    batch = sample(net, [prompt, np.array([0, 7, 9]), prompt], [2, 5, 3], EOS, **options)
    np.testing.assert_array_equal(batch[2].tokens, alone.tokens)
    np.testing.assert_array_equal(batch[1].tokens[:3], [0, 7, 9])
    assert batch[2].log_probability == pytest.approx(alone.log_probability, abs=1e-3)
    assert batch[0].tokens.tolist() != alone.tokens.tolist()


@pytest.mark.parametrize("arch", archs())
def test_log_probability_is_that_of_reading_at_once(arch: str) -> None:
    net = model(arch)
    drawn = sample(
        net, [np.array([0])], [1], EOS, context=64, max_tokens=40, draw=Draw(temperature=0.8)
    )[0]
    tokens = torch.tensor(drawn.tokens.astype(np.int64))[None]
    with torch.no_grad():
        nats = torch.log_softmax(net(tokens[:, :-1]), dim=-1)
    expected = nats.gather(2, tokens[:, 1:, None]).sum().item()
    assert drawn.log_probability == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("arch", archs())
def test_the_layout_for_steps_changes_no_value(arch: str) -> None:
    before, after = model(arch), model(arch)
    lay_out_for_steps(after)
    for name, parameter in after.state_dict().items():
        assert torch.equal(parameter, before.state_dict()[name])
    tokens = torch.arange(12).reshape(2, 6)
    torch.testing.assert_close(after(tokens), before(tokens), atol=1e-5, rtol=0)


@pytest.mark.parametrize("arch", archs())
def test_no_model_looks_back_further_than_its_context(arch: str) -> None:
    net = rung(arch, "20k", VOCAB, context=16).build()
    held: list[int] = []

    class Watched:
        def step(self, token: torch.Tensor, state: Any) -> Any:
            held.append(1 if state is None else held[-1] + 1)
            return net.step(token, state)

        parameters, eval = net.parameters, net.eval

    never = VOCAB
    sample(Watched(), [np.array([0])], [0], never, context=16, max_tokens=80, draw=Draw())
    assert len(held) >= 80
    assert max(held) == 16


def test_it_stops_at_the_limit() -> None:
    drawn = sample(
        model("lstm"), [np.array([0])], [0], EOS, context=8, max_tokens=20, draw=Draw(top_k=40)
    )[0]
    assert len(drawn.tokens) <= 20
    assert drawn.complete == (drawn.tokens[-1] == EOS)


class Anything:
    """A grammar that takes whatever comes, and an end at any time."""

    def __init__(self) -> None:
        self.allowed = np.ones(VOCAB, bool)

    def push(self, token: int) -> None:
        pass

    def hurry(self) -> None:
        pass


class Ends(torch.nn.Linear):
    """A model that would end everywhere."""

    def step(self, tokens: torch.Tensor, state: None) -> tuple[torch.Tensor, None]:
        logits = torch.zeros(len(tokens), VOCAB)
        logits[:, EOS] = 9
        return logits, None


def drawn(prompt: list[int], max_tokens: int = 20, grammar: Any = Anything) -> list[int]:
    ends: Any = Ends(1, 1)
    limits: dict[str, Any] = {"context": 8, "max_tokens": max_tokens, "draw": Draw(temperature=0)}
    (found,) = sample(ends, [np.array(prompt)], [0], EOS, grammar=grammar, **limits)
    return found.tokens.tolist()


def test_what_is_gone_on_from_does_not_end_at_once() -> None:
    assert drawn([0]) == [0, EOS]
    on = drawn([0, 5, 6])
    assert (on[:3], len(on), on[-1]) == ([0, 5, 6], 5, EOS)
    # Without a grammar a model makes its own mistakes.
    assert drawn([0, 5, 6], grammar=None) == [0, 5, 6, EOS]


def test_at_the_limit_it_is_not_cut_back_to_what_was_given() -> None:
    assert len(drawn([0, 5, 6], max_tokens=4)) > 4
