"""A trained cell in the form of a family that `transformers` knows: its config and its weights.

What ours do between the matrices (damped branches, an enlarged embedding, logits divided by the
width) is multiplied into them, so that the family's own code gives our logits: nothing is left out,
and nothing but the order of rounding changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainers.ladder import Rung
from trainers.models.gpt import EMBEDDING_SCALE
from trainers.models.transformer import ROPE_BASE
from trainers.optim import BASE_WIDTH

MARK = "crescendo"
"""The field of `config.json` that says which cell an export is of, and what it was trained on."""

LSTM_MODULE = "modeling_crescendo_lstm"
"""The file that goes with an LSTM, which `transformers` has no family for."""


@dataclass(frozen=True)
class Family:
    """A model as a family has it."""

    config: dict[str, Any]
    """What `config.json` says of the architecture, without the tokenizer."""
    tensors: dict[str, Tensor]
    """Weights in fp32, by the family's names."""


def llama(rung: Rung, model: Any, context: int) -> Family:
    """`transformer` as `LlamaForCausalLM`: damping goes into the matrices that end a branch."""
    shape, weights = rung.shape, model.state_dict()
    tensors = {
        "model.embed_tokens.weight": weights["embedding.weight"],
        "model.norm.weight": weights["norm.weight"],
        "lm_head.weight": weights["head.weight"],
    }
    for number, block in enumerate(model.blocks):
        ours = block.state_dict()
        q, k, v = ours["attention.qkv.weight"].chunk(3)
        gate, up = ours["gate_up.weight"].chunk(2)
        layer = {
            "input_layernorm": ours["attention_norm.weight"],
            "self_attn.q_proj": q,
            "self_attn.k_proj": k,
            "self_attn.v_proj": v,
            "self_attn.o_proj": ours["attention.out.weight"] * block.damping,
            "post_attention_layernorm": ours["mlp_norm.weight"],
            "mlp.gate_proj": gate,
            "mlp.up_proj": up,
            "mlp.down_proj": ours["down.weight"] * block.damping,
        }
        tensors |= {f"model.layers.{number}.{name}.weight": each for name, each in layer.items()}
    config = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": shape.d_model,
        "intermediate_size": shape.d_ff,
        "num_hidden_layers": shape.n_layers,
        "num_attention_heads": shape.n_heads,
        "num_key_value_heads": shape.n_heads,
        "head_dim": shape.d_model // shape.n_heads,
        "hidden_act": "silu",
        # What `nn.RMSNorm` takes where it is told none.
        "rms_norm_eps": torch.finfo(torch.float32).eps,
        "rope_theta": ROPE_BASE,
        "rope_parameters": {"rope_type": "default", "rope_theta": ROPE_BASE},
        "max_position_embeddings": context,
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": False,
    }
    return Family(config, tensors)


def gpt2(rung: Rung, model: Any, context: int) -> Family:
    """`gpt` as `GPT2LMHeadModel`, its head tied to the embedding as in ours.

    The tied matrix takes the factor of the way in. The last norm takes that of the way out, and
    takes the first one back.
    """
    shape, weights = rung.shape, model.state_dict()
    out = BASE_WIDTH / shape.d_model / EMBEDDING_SCALE
    tensors = {
        "wte.weight": weights["embedding.weight"] * EMBEDDING_SCALE,
        "wpe.weight": weights["embedding_position.weight"] * EMBEDDING_SCALE,
        "ln_f.weight": weights["norm.weight"] * out,
        "ln_f.bias": weights["norm.bias"] * out,
    }
    parts = {
        "ln_1": "attention_norm",
        "attn.c_attn": "qkv",
        "attn.c_proj": "out",
        "ln_2": "mlp_norm",
        "mlp.c_fc": "up",
        "mlp.c_proj": "down",
    }
    for number, block in enumerate(model.blocks):
        ours = block.state_dict()
        for theirs, name in parts.items():
            factor = block.damping if name in ("out", "down") else 1.0
            # GPT-2 keeps its matrices as (inputs, outputs); `t` leaves a vector as it is.
            tensors[f"h.{number}.{theirs}.weight"] = ours[f"{name}.weight"].t() * factor
            tensors[f"h.{number}.{theirs}.bias"] = ours[f"{name}.bias"] * factor
    config = {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "n_embd": shape.d_model,
        "n_layer": shape.n_layers,
        "n_head": shape.n_heads,
        "n_inner": shape.d_ff,
        "n_positions": shape.n_positions,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": model.norm.eps,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
        "resid_pdrop": 0.0,
        "tie_word_embeddings": True,
    }
    return Family(config, {f"transformer.{name}": each for name, each in tensors.items()})


def lstm(rung: Rung, model: Any, context: int) -> Family:
    """`lstm` under its own names, for the small module that goes with it."""
    config = {
        "model_type": "crescendo_lstm",
        "architectures": ["CrescendoLstmForCausalLM"],
        "auto_map": {
            "AutoConfig": f"{LSTM_MODULE}.CrescendoLstmConfig",
            "AutoModelForCausalLM": f"{LSTM_MODULE}.CrescendoLstmForCausalLM",
        },
        "hidden_size": rung.shape.d_hidden,
        "embedding_size": rung.shape.d_embedding,
        "num_hidden_layers": rung.shape.n_layers,
        "max_position_embeddings": context,
        "tie_word_embeddings": False,
    }
    return Family(config, dict(model.state_dict()))


FAMILIES: dict[str, Callable[[Rung, Any, int], Family]] = {
    "transformer": llama,
    "gpt": gpt2,
    "lstm": lstm,
}
"""By the name of the architecture; `context` is the most tokens that the cell looked back on."""
