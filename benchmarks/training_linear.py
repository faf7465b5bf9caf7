"""From which size should `trainers.linear` use oneDNN? The ratio of MKL's time to oneDNN's.

    python -m benchmarks.training_linear
    ONEDNN_MAX_CPU_ISA=AVX2 python -m benchmarks.training_linear      as on an older processor

One thread, forward and backward, in alternation; medians. Rows are matrices, columns tokens at
once. Products below ONEDNN_FROM, which are left to MKL, are in brackets.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch import Tensor, nn

from trainers import linear

TOKENS = (64, 256, 512, 1024, 2048, 4096)
MATRICES = ((16, 64), (24, 72), (64, 192), (144, 144), (144, 432), (376, 144), (256, 1920))
TURNS = 40


def seconds(layer: nn.Linear, x: Tensor, upstream: Tensor, onednn: bool) -> float:
    linear.ONEDNN_FROM = 0 if onednn else 2**62
    x.grad = None
    layer.zero_grad()
    started = time.perf_counter()
    layer(x).backward(upstream)
    return time.perf_counter() - started


def gain(tokens: int, inputs: int, outputs: int) -> float:
    """Seconds of MKL over those of oneDNN."""
    layer = linear.Linear(inputs, outputs, bias=False)
    x = torch.randn(1, tokens, inputs, requires_grad=True)
    upstream = torch.randn(1, tokens, outputs)
    ratios = [
        seconds(layer, x, upstream, False) / seconds(layer, x, upstream, True)
        for _ in range(TURNS + 3)
    ]
    return statistics.median(ratios[3:])


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    torch.set_num_threads(1)
    enough = linear.ONEDNN_FROM
    print("| inputs x outputs | " + " | ".join(f"{tokens:,} tokens" for tokens in TOKENS) + " |")
    print("| --- |" + " --- |" * len(TOKENS))
    for inputs, outputs in MATRICES:
        gains = [
            f"{gain(tokens, inputs, outputs):.2f}"
            if tokens * inputs * outputs >= enough
            else f"({gain(tokens, inputs, outputs):.2f})"
            for tokens in TOKENS
        ]
        print(f"| {inputs} x {outputs} | " + " | ".join(gains) + " |")


if __name__ == "__main__":
    main()
