"""What every architecture must do."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from trainers.ladder import archs, rung

VOCAB = 50


def model(arch: str, size: str = "20k") -> Any:
    torch.manual_seed(0)
    built = rung(arch, size, VOCAB).build()
    # The head starts silent; let it speak, or every test would pass.
    torch.nn.init.normal_(built.head.weight)
    return built


@pytest.mark.parametrize("arch", archs())
def test_stepping_equals_reading_at_once(arch: str) -> None:
    net, tokens = model(arch), torch.randint(VOCAB, (3, 40))
    at_once = net(tokens)
    state, stepped = None, []
    for position in range(40):
        logits, state = net.step(tokens[:, position], state)
        stepped.append(logits)
    torch.testing.assert_close(torch.stack(stepped, dim=1), at_once, atol=1e-4, rtol=0)


@pytest.mark.parametrize("arch", archs())
def test_no_token_sees_the_future(arch: str) -> None:
    net, tokens = model(arch), torch.randint(VOCAB, (1, 30))
    changed = tokens.clone()
    changed[0, 20] = (changed[0, 20] + 1) % VOCAB
    before, after = net(tokens), net(changed)
    torch.testing.assert_close(before[:, :20], after[:, :20])
    assert not torch.allclose(before[:, 20:], after[:, 20:])


@pytest.mark.parametrize("arch", archs())
def test_an_untrained_model_guesses(arch: str) -> None:
    net = rung(arch, "20k", VOCAB).build()
    tokens, targets = torch.randint(VOCAB, (2, 64, 16))
    loss = F.cross_entropy(net(tokens).flatten(0, 1), targets.flatten())
    assert loss.item() == pytest.approx(math.log(VOCAB), rel=0.01)


@pytest.mark.parametrize("size", ["20k", "1M"])
@pytest.mark.parametrize("arch", archs())
def test_flops_formula_counts_what_torch_counts(arch: str, size: str) -> None:
    """Matrix products, forward and backward, in attention over the whole square."""
    blueprint = rung(arch, size, VOCAB)
    net, context = blueprint.build(), 64
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        net(torch.randint(VOCAB, (1, context))).sum().backward()
    counted = counter.get_total_flops() / context
    if arch == "lstm":
        # torch does not count inside the fused kernel; the head is all it sees.
        assert counted == 6 * blueprint.counts.head
        recurrent = [p for name, p in net.lstm.named_parameters() if p.dim() == 2]
        counted += 6 * sum(parameter.numel() for parameter in recurrent)
        assert counted == blueprint.flops_per_token(context)
        return
    # The kernel computes the square and the formula counts the half that is needed.
    causal_half = 6 * blueprint.shape.n_layers * blueprint.shape.d_model * context
    assert counted == blueprint.flops_per_token(context) + causal_half


def test_learned_positions_are_those_of_the_context() -> None:
    blueprint = rung("gpt", "20k", VOCAB, context=32)
    assert blueprint.counts.embedding == 32 * blueprint.shape.d_model
    net = blueprint.build()
    net(torch.zeros(1, 32, dtype=torch.int64))
    with pytest.raises(ValueError, match="33 tokens for a gpt with 32 positions"):
        net(torch.zeros(1, 33, dtype=torch.int64))
