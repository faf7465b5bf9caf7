"""What every architecture must do."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from trainers.ladder import archs, rung
from trainers.models import hybrid

VOCAB = 50


def model(arch: str, context: int = 64) -> Any:
    torch.manual_seed(0)
    built = rung(arch, "20k", VOCAB, context).build()
    # The head starts silent; let it speak, or every test would pass.
    torch.nn.init.normal_(built.head.weight)
    return built


@torch.no_grad()
@pytest.mark.parametrize("arch", archs())
def test_stepping_equals_reading_at_once(arch: str) -> None:
    """Over a whole context, for a cache may overflow late, and a dilation reach far."""
    context = 320
    net, tokens = model(arch, context=context), torch.randint(VOCAB, (2, context))
    at_once = net(tokens)
    state, stepped = None, []
    for position in range(context):
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


def counted_flops(net: nn.Module, context: int) -> int:
    """What torch counts, forward and backward, with attention over the whole square.

    It knows none of oneDNN's operators (large products, the LSTM's kernel), so they are off.
    """
    onednn_off = torch.backends.mkldnn.flags(enabled=False)
    with onednn_off, sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        net(torch.randint(VOCAB, (1, context))).sum().backward()
    return counter.get_total_flops()


@pytest.mark.parametrize("size", ["20k", "5M"])
@pytest.mark.parametrize("arch", archs())
def test_flops_formula_counts_what_torch_counts(arch: str, size: str) -> None:
    """From one context to a longer one: the first token has no state to send a gradient to."""
    blueprint = rung(arch, size, VOCAB)
    net, short, long = blueprint.build(), 16, 48

    def by_formula(context: int) -> int:
        # torch computes the square of attention, and the formula counts the half that is needed.
        causal_half = blueprint.flops_per_token(context) - blueprint.flops_per_token(0)
        return context * (blueprint.flops_per_token(context) + causal_half)

    counted = counted_flops(net, long) - counted_flops(net, short)
    assert counted == by_formula(long) - by_formula(short)


def test_learned_positions_are_those_of_the_context() -> None:
    blueprint = rung("gpt", "20k", VOCAB, context=32)
    assert blueprint.counts.embedding == 32 * blueprint.shape.d_model
    net = blueprint.build()
    net(torch.zeros(1, 32, dtype=torch.int64))
    with pytest.raises(ValueError, match="33 tokens for a gpt with 32 positions"):
        net(torch.zeros(1, 33, dtype=torch.int64))


WINDOW = 8


@pytest.mark.parametrize("time", [1, 7, 8, 9, 16, 29])
def test_local_attention_is_causal_attention_to_the_last_tokens(time: int) -> None:
    q, k, v = torch.randn(3, 2, 4, time, 6, dtype=torch.double)
    behind = torch.arange(time)[:, None] - torch.arange(time)
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=(behind >= 0) & (behind < WINDOW))
    torch.testing.assert_close(hybrid.local_attention(q, k, v, WINDOW), expected)


def test_local_attention_counts_what_a_token_attends_to() -> None:
    """As formulas do: half of a context that fits the window, for the pairs of a causal square."""
    shape = hybrid.Shape(d_model=10, n_layers=6, n_heads=2, d_ff=0, window=WINDOW)
    for context in (4, 8, 9, 400):
        pairs = sum(min(position + 0.5, WINDOW) for position in range(context))
        counted = hybrid.flops_per_token(shape, 0, context) - hybrid.flops_per_token(shape, 0, 0)
        assert counted == pytest.approx(2 * 12 * 10 * pairs / context, abs=1)


def numbers_in(carried: object) -> int:
    """What is held of all tokens so far, the room for more among it."""
    if isinstance(carried, torch.Tensor):
        return carried.untyped_storage().nbytes() // carried.element_size()
    if isinstance(carried, tuple | list):
        return sum(map(numbers_in, carried))
    return numbers_in([*vars(carried).values()]) if hasattr(carried, "__dict__") else 0


@torch.no_grad()
@pytest.mark.parametrize(("arch", "grows"), [("rglru", 1), ("hybrid", 1), ("transformer", 2)])
def test_what_is_carried_is_of_one_size_but_where_attention_sees_all(arch: str, grows: int) -> None:
    net, state, held = model(arch), None, []
    for position in range(520):
        _, state = net.step(torch.tensor([position % VOCAB]), state)
        if position in (256, 519):
            held.append(numbers_in(state))
    assert held[0] > 0
    assert held[1] / held[0] == pytest.approx(grows, rel=0.01)


def test_every_third_block_of_a_hybrid_attends() -> None:
    blocks = rung("hybrid", "20M", VOCAB).build().blocks
    kinds = [type(block.mixer).__name__ for block in blocks]
    assert kinds[:6] == ["Recurrent", "Recurrent", "Local"] * 2
