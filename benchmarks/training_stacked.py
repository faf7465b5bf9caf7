"""Do seeds of one small shape train faster as one stacked model than one after another?

    python -m benchmarks.training_stacked

Each seed has its own weights and its own batch. Stacked, `torch.func` maps one gradient over all
seeds, and one fused AdamW steps all weights at once. One thread, processor time, in alternation;
medians. A ratio above 1 speaks for the stack.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional as F

from trainers import optim
from trainers.ladder import rung

BATCH, CONTEXT, VOCABULARY = 4, 256, 140
SEEDS, TURNS = 4, 7
SIZES = ("4k", "9k", "20k", "50k")
LR = 1e-3

Step = Callable[[], object]


def after_another(models: list[nn.Module], tokens: Tensor) -> Step:
    """A step of every model, in turn. `tokens`: (seeds, batch, time)."""
    optimizers = [optim.optimizer(model, optim.flat(LR), 0.1) for model in models]

    def step() -> None:
        for model, optimizer, batch in zip(models, optimizers, tokens):
            loss = F.cross_entropy(model(batch).flatten(0, 1), batch.flatten())
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()

    return step


def stacked(models: list[nn.Module], tokens: Tensor) -> Step:
    """The same for weights stacked along a first axis of seeds."""
    stack, _ = stack_module_state(models)
    weights = {name: value.detach().requires_grad_() for name, value in stack.items()}
    optimizer = torch.optim.AdamW(list(weights.values()), lr=LR, betas=optim.BETAS, fused=True)

    def loss(one: dict[str, Tensor], batch: Tensor) -> Tensor:
        logits = functional_call(models[0], one, (batch,))
        return F.cross_entropy(logits.flatten(0, 1), batch.flatten())

    gradients = vmap(grad(loss))

    def step() -> None:
        found = gradients({name: value.detach() for name, value in weights.items()}, tokens)
        squares = sum(value.flatten(1).square().sum(1) for value in found.values())
        scale = (1 / squares.sqrt()).clamp(max=1)
        for name, value in found.items():
            weights[name].grad = value * scale.view(-1, *[1] * (value.dim() - 1))
        optimizer.step()

    return step


def seconds(step: Step) -> float:
    started = time.process_time()
    step()
    return time.process_time() - started


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    torch.set_num_threads(1)
    print(f"| arch | size | {SEEDS} seeds in turn, ms | stacked, ms | ratio |")
    print("| --- | --- | --- | --- | --- |")
    for arch in ("transformer", "lstm"):
        for size in SIZES:
            found = rung(arch, size, VOCABULARY, CONTEXT)
            tokens = torch.randint(VOCABULARY, (SEEDS, BATCH, CONTEXT))
            contenders = []
            for way in (after_another, stacked):
                models = [found.build() for _ in range(SEEDS)]
                contenders.append(way(models, tokens))
            try:
                turns = [[seconds(step) for step in contenders] for _ in range(TURNS + 2)][2:]
            except RuntimeError as error:
                print(f"| {arch} | {size} | | {str(error).splitlines()[0][:80]} | |", flush=True)
                continue
            alone, together = (1000 * statistics.median(column) for column in zip(*turns))
            ratio = statistics.median(first / second for first, second in turns)
            print(f"| {arch} | {size} | {alone:.0f} | {together:.0f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
