"""What every architecture must do."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from trainers.ladder import archs, rung

VOCAB = 50


def model(arch: str, size: str = "20k") -> torch.nn.Module:
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
    net, tokens = rung(arch, "20k", VOCAB).build(), torch.randint(VOCAB, (2, 16))
    loss = F.cross_entropy(net(tokens).flatten(0, 1), tokens.flatten())
    assert loss.item() == pytest.approx(math.log(VOCAB), abs=1e-4)


def test_flops_formula_counts_what_torch_counts() -> None:
    """Forward and backward matrix products of a transformer, attention over the whole square."""
    blueprint = rung("transformer", "300k", VOCAB)
    net, context = blueprint.build(), 64
    with FlopCounterMode(display=False) as counter:
        net(torch.randint(VOCAB, (1, context))).sum().backward()
    attention = 6 * blueprint.shape.n_layers * blueprint.shape.d_model * context
    matrices = blueprint.flops_per_token(context) - attention
    # What torch counts of attention depends on its kernel; the matrices do not.
    counted = counter.get_total_flops() / context
    assert matrices <= counted <= matrices + 3 * attention
