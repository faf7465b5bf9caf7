"""A model in the form of a family says what ours says, whatever its weights, width and depth."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from trainers.exports.families import FAMILIES, Family
from trainers.ladder import archs, rung

transformers = pytest.importorskip("transformers")
VOCAB, CONTEXT = 140, 48


def theirs(family: Family) -> Any:
    """The family's own model with these weights, none missing and none left over."""
    from trainers.exports.modeling_crescendo_lstm import (
        CrescendoLstmConfig,
        CrescendoLstmForCausalLM,
    )

    fields = dict(family.config) | {"vocab_size": VOCAB}
    kind = fields.pop("model_type")
    if kind == "crescendo_lstm":
        model = CrescendoLstmForCausalLM(CrescendoLstmConfig(**fields))
    else:
        config = transformers.AutoConfig.for_model(kind, **fields)
        model = getattr(transformers, fields["architectures"][0])(config)
    lacks, more = model.load_state_dict(family.tensors, strict=False)
    assert set(lacks) <= {"lm_head.weight"} if fields["tie_word_embeddings"] else not lacks
    assert not more
    return model.eval()


def trained(arch: str, size: str) -> tuple[nn.Module, Any]:
    """A model of which no weight is as it began: gains not one, biases and head not zero."""
    torch.manual_seed(0)
    made = rung(arch, size, VOCAB, CONTEXT)
    model = made.build()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return model.eval(), made


def test_what_has_a_form_is_an_architecture() -> None:
    assert {"transformer", "gpt", "lstm"} <= set(FAMILIES) <= set(archs())


@pytest.mark.parametrize("size", ["20k", "300k", "1M"])
@pytest.mark.parametrize("arch", FAMILIES)
@torch.no_grad()
def test_logits_are_equal(arch: str, size: str) -> None:
    model, made = trained(arch, size)
    found = theirs(FAMILIES[arch](made, model, CONTEXT))
    tokens = torch.randint(0, VOCAB, (2, CONTEXT))
    ours = model(tokens)
    assert (found(input_ids=tokens).logits - ours).abs().max() < 1e-4 * max(1, ours.abs().max())
    assert ours.std() > 0.05


@pytest.mark.parametrize("arch", FAMILIES)
@torch.no_grad()
def test_logits_of_one_more_token_are_equal(arch: str) -> None:
    """With what the family keeps of the tokens before."""
    model, made = trained(arch, "20k")
    found = theirs(FAMILIES[arch](made, model, CONTEXT))
    tokens = torch.randint(0, VOCAB, (2, 20))
    before = found(input_ids=tokens[:, :19], use_cache=True)
    # By whatever name this version of the library knows it.
    (kept,) = {"state", "cache", "past_key_values"} & set(before)
    after = found(input_ids=tokens[:, 19:], use_cache=True, **{kept: before[kept]})
    assert torch.allclose(after.logits[:, -1], model(tokens)[:, -1], atol=1e-4)


def test_the_lstm_learns_as_any_model_of_transformers() -> None:
    """The loss by labels is that of the next token."""
    model, made = trained("lstm", "20k")
    found = theirs(FAMILIES["lstm"](made, model, CONTEXT))
    tokens = torch.randint(0, VOCAB, (2, 20))
    expected = nn.functional.cross_entropy(
        model(tokens)[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()
    )
    loss = found(input_ids=tokens, labels=tokens).loss
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    loss.backward()
    assert found.lstm.weight_hh_l0.grad.abs().sum() > 0
