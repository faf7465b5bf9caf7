"""What a carried state saves: tokens per second by `step`, or recomputing the prefix each time.

    python -m benchmarks.sampling_speed [--size 5M] [--tokens 512] [--rows 8]

Both draw with the same model, on one thread, in alternation; the table shows medians. Linear means
that the second half of the tokens takes as long as the first. A single row is limited by reading
the weights; a sweep draws eight together.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from trainers.ladder import archs, rung
from trainers.sampling import Model, lay_out_for_steps

VOCAB = 140


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="5M", help="parameters [5M]")
    parser.add_argument("--tokens", type=int, default=512, help="to generate [512]")
    parser.add_argument("--rows", type=int, default=8, help="drawn together [8]")
    parser.add_argument("--rounds", type=int, default=3, help="of each, turn about [3]")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    print(f"{args.size}, {args.rows} rows of {args.tokens} tokens, medians of {args.rounds}")
    print("arch          stepping s   prefix s   faster   2nd half / 1st half")
    for arch in archs():
        model, stepper = (rung(arch, args.size, VOCAB).build().eval() for _ in range(2))
        lay_out_for_steps(stepper)
        rows = [
            (stepping(stepper, args.rows, args.tokens), prefix(model, args.rows, args.tokens))
            for _ in range(args.rounds)
        ]
        stepped = statistics.median(sum(halves) for halves, _ in rows)
        whole = statistics.median(sum(halves) for _, halves in rows)
        ratio = statistics.median(halves[1] / halves[0] for halves, _ in rows)
        faster = f"{whole / stepped:.0f}x"
        print(f"{arch:12} {stepped:11.2f} {whole:10.1f} {faster:>8} {ratio:21.2f}", flush=True)


def stepping(model: Model, rows: int, tokens: int) -> tuple[float, float]:
    state, token = None, torch.zeros(rows, dtype=torch.int64)

    def one(_: int) -> None:
        nonlocal state, token
        logits, state = model.step(token, state)
        token = logits.argmax(dim=1)

    return halves(one, tokens)


def prefix(model: torch.nn.Module, rows: int, tokens: int) -> tuple[float, float]:
    read = torch.zeros(rows, tokens + 1, dtype=torch.int64)

    def one(position: int) -> None:
        logits = model(read[:, : position + 1])
        read[:, position + 1] = logits[:, -1].argmax(dim=1)

    return halves(one, tokens)


def halves(one: Callable[[int], None], tokens: int) -> tuple[float, float]:
    """Seconds of the first and of the second half."""
    times = [time.perf_counter()]
    for position in range(tokens):
        one(position)
        if position + 1 in (tokens // 2, tokens):
            times.append(time.perf_counter())
    return times[1] - times[0], times[2] - times[1]


if __name__ == "__main__":
    main()
