"""The loss over a split: every token once, weighted alike."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from data.packed import Split
from trainers.evaluate import evaluate, summarise
from trainers.ladder import archs, rung


def split(lengths: list[int], vocab: int = 30) -> Split:
    generator = np.random.default_rng(0)
    tokens = generator.integers(2, vocab, size=sum(lengths)).astype(np.uint16)
    starts = np.cumsum([0, *lengths])
    return Split(tokens, starts, np.array(lengths) // 2, np.array(lengths) / 4)


def model(arch: str) -> torch.nn.Module:
    torch.manual_seed(0)
    built = rung(arch, "20k", 30).build()
    torch.nn.init.normal_(built.head.weight)
    return built


@pytest.mark.parametrize("arch", archs())
def test_pieces_within_the_context_are_scored_whole(arch: str) -> None:
    net, data = model(arch), split([5, 17, 30, 2, 30])
    found = evaluate(net, data, context=64, windows=2, device=torch.device("cpu"))
    nats, count = 0.0, 0
    for start, stop in zip(data.starts, data.starts[1:]):
        tokens = torch.from_numpy(data.tokens[start:stop].astype(np.int64))[None]
        logits = net(tokens[:, :-1])
        nats += torch.nn.functional.cross_entropy(logits[0], tokens[0, 1:], reduction="sum").item()
        count += stop - start - 1
    assert found["loss"] == pytest.approx(nats / count, rel=1e-5)


@pytest.mark.parametrize("length", [2, 32, 33, 34, 48, 49, 50, 200])
def test_every_token_is_scored_once_however_long_the_piece(length: int) -> None:
    """An untrained model gives each token log(vocab): the sum tells how many were scored."""
    net, data = rung("lstm", "20k", 30).build(), split([length])
    found = evaluate(net, data, context=32, windows=4, device=torch.device("cpu"))
    scored = found["loss_per_note"] * (length // 2) / math.log(30)
    assert scored == pytest.approx(length - 1, rel=1e-5)


def test_padding_changes_nothing() -> None:
    net, data = model("transformer"), split([60, 3, 9, 44])
    alone = evaluate(net, data, 64, windows=1, device=torch.device("cpu"))
    together = evaluate(net, data, 64, windows=4, device=torch.device("cpu"))
    assert together == pytest.approx(alone, rel=1e-5)


def test_the_loss_by_position_adds_up_to_the_whole() -> None:
    net, data = model("lstm"), split([2, 9, 17, 33])
    found = evaluate(net, data, context=32, windows=4, device=torch.device("cpu"))
    # How many of the 1, 8, 16 and 32 scored tokens see 1, 2 to 3, 4 to 7, ... tokens before them.
    counts = {1: 4, 2: 6, 4: 12, 8: 1 + 8 + 8, 16: 1 + 16, 32: 1}
    assert sum(counts.values()) == 57
    total = sum(found[f"loss_at_{seen}"] * count for seen, count in counts.items())
    assert total / 57 == pytest.approx(found["loss"], rel=1e-5)


def test_the_standard_error_is_that_of_independent_pieces() -> None:
    """Against the spread of the loss over many drawn splits."""
    generator = np.random.default_rng(0)

    def draw() -> dict[str, float]:
        scored = generator.integers(50, 400, size=200)
        level = generator.normal(1.5, 0.3, size=200)
        return summarise(level * scored, scored, scored, scored.astype(float))

    draws = [draw() for _ in range(400)]
    spread = np.std([each["loss"] for each in draws])
    assert np.mean([each["loss_se"] for each in draws]) == pytest.approx(spread, rel=0.1)
