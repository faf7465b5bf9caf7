"""What ours is held against: a bare loop, and the same shape in Hugging Face's transformers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

from trainers.cell import Cell

BEST_ATTENTION = "sdpa"
"""The kernel that ours calls too: on a GPU, in bf16, FlashAttention."""


def bare(
    model: torch.nn.Module,
    cell: Cell,
    micro_tokens: int,
    logits: Callable[[Any], torch.Tensor] = lambda found: found,
    device: str | torch.device = "cpu",
) -> Callable[[], None]:
    """A step of the cell's batch: forward, backward, clipping and AdamW, the same tokens each time.

    model: on the device. logits: finds them in what the model returns.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    windows, parts = micro_tokens // cell.context, cell.batch_tokens // micro_tokens
    tokens = torch.randint(2, cell.vocab_size, (windows, cell.context + 1), device=device)
    inputs, targets = tokens[:, :-1].contiguous(), tokens[:, 1:].flatten()

    def step() -> None:
        for _ in range(parts):
            with arithmetic(cell.precision, torch.device(device)):
                found = logits(model(inputs))
                loss = F.cross_entropy(found.flatten(0, 1), targets)
            (loss / parts).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), cell.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def arithmetic(precision: str, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Autocast for bf16; for fp32 nothing."""
    if precision == "bf16":
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()


def hugging_face(cell: Cell, attention: str = BEST_ATTENTION) -> torch.nn.Module:
    """The same shape in transformers, not compiled: Llama for `transformer`, GPT-2 for `gpt`.

    attention: "sdpa", their default and the kernel that ours calls, or "eager", step by step.
    """
    import transformers as hf

    shape = cell.rung.shape
    if cell.arch == "transformer":
        return hf.LlamaForCausalLM(
            hf.LlamaConfig(
                vocab_size=cell.vocab_size,
                hidden_size=shape.d_model,
                intermediate_size=shape.d_ff,
                num_hidden_layers=shape.n_layers,
                num_attention_heads=shape.n_heads,
                max_position_embeddings=cell.context,
                use_cache=False,
                attn_implementation=attention,
            )
        )
    return hf.GPT2LMHeadModel(
        hf.GPT2Config(
            vocab_size=cell.vocab_size,
            n_embd=shape.d_model,
            n_inner=shape.d_ff,
            n_layer=shape.n_layers,
            n_head=shape.n_heads,
            n_positions=cell.context,
            use_cache=False,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            attn_implementation=attention,
        )
    )
