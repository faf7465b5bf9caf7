"""Training speed on this CPU, side by side in one run: ours, a bare loop, Hugging Face.

    python -m benchmarks.training_speed                 1M and 5M, context 512 (needs transformers)
    python -m benchmarks.training_speed --peak          the share of the GEMM peak, 3k to 5M

Contenders take turns, one step each, and a row gives medians over the turns, of both ratios and
speeds, so that other work on the machine affects all equally. `ours` is the cell's loop with its
batches, clipping, schedule and curve; `bare` is forward, backward, clipping and AdamW around the
same model on a batch in memory, `compiled` the same with `torch.compile`, which needs a C++
compiler. `HF sdpa` and `HF eager` are the Hugging Face model with its two attention kernels.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch.nn import functional as F

from harness.alone import train_alone
from harness.contenders import bare, hugging_face
from harness.peak_memory import VOCAB, write_data
from trainers.cell import Cell
from trainers.ladder import archs

CONTEXT = 512
BATCH = 2048
OTHERS = ("bare", "compiled", "HF sdpa", "HF eager")


class Stepper:
    """`trainers.loop.train` in a thread of its own, let through one step at a time."""

    def __init__(self, cell: Cell, data: Path) -> None:
        self.go, self.done = threading.Semaphore(0), threading.Semaphore(0)
        threading.Thread(target=self._run, args=(cell, data), daemon=True).start()
        self.done.acquire()

    def _run(self, cell: Cell, data: Path) -> None:
        def between_steps() -> bool:
            self.done.release()
            self.go.acquire()
            return False

        train_alone(cell, data, BATCH, stop=between_steps)

    def __call__(self) -> None:
        self.go.release()
        self.done.acquire()


def seconds_of(contenders: dict[str, Callable[[], None]], turns: int) -> dict[str, list[float]]:
    """Seconds of a step of each, turn by turn; each is as often the first of a turn."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    for turn in range(turns + 2):
        names.append(names.pop(0))
        for name in names:
            started = time.perf_counter()
            contenders[name]()
            if turn >= 2:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def ratio(slower: list[float], faster: list[float]) -> float:
    """How much more `faster` does: the median over turns, in each of which both ran."""
    return statistics.median(s / f for s, f in zip(slower, faster, strict=True))


def gemm_peak() -> Iterator[float]:
    """FLOPs a second of one thread, square fp32 matrices, by MKL and by oneDNN."""
    for n in (512, 1024, 1024, 1024):
        a, b = torch.randn(n, n), torch.randn(n, n)
        for left in (a, a.to_mkldnn()):
            started = time.perf_counter()
            for _ in range(5):
                F.linear(left, b)
            yield 5 * 2 * n**3 / (time.perf_counter() - started)


def cell_of(arch: str, size: str) -> Cell:
    tokens = 50_000 * BATCH
    fixed = (tokens, BATCH, CONTEXT, 0.1, 1.0, "abc", VOCAB, "random")
    return Cell(arch, size, 0, 1e-4, *fixed)


def main() -> None:
    args = parse_args()
    torch.set_num_threads(1)
    columns = ["arch", "size", "ours, tokens/s", *OTHERS, *(f"ours/{name}" for name in OTHERS)]
    columns += ["GEMM peak, GFLOP/s", "of peak"]
    print("| " + " | ".join(columns) + " |")
    print("| " + " | ".join("---" for _ in columns) + " |")
    sizes = ("3k", "20k", "120k", "300k", "1M", "5M") if args.peak else ("1M", "5M")
    with tempfile.TemporaryDirectory() as folder:
        write_data(Path(folder))
        for arch in args.arch:
            for size in sizes:
                print(row(cell_of(arch, size), Path(folder), args), flush=True)


def row(cell: Cell, data: Path, args: argparse.Namespace) -> str:
    model = cell.rung.build()
    contenders: dict[str, Callable[[], None]] = {
        "ours": Stepper(cell, data),
        "bare": bare(model, cell, BATCH),
    }
    if cell.arch in ("transformer", "gpt") and not args.peak:
        compiled = cell.rung.build()
        compiled.compile()
        contenders["compiled"] = bare(compiled, cell, BATCH)
        for attention in ("sdpa", "eager"):
            theirs = hugging_face(cell, attention)
            contenders[f"HF {attention}"] = bare(theirs, cell, BATCH, lambda out: out.logits)
    # Before and after, as the machine's speed is not the same all the time.
    before = max(gemm_peak())
    found = seconds_of(contenders, args.turns)
    peak = max(before, *gemm_peak())
    speed = {name: BATCH / statistics.median(seconds) for name, seconds in found.items()}
    share = speed["ours"] * cell.rung.flops_per_token(CONTEXT) / peak
    speeds = [f"{speed[name]:,.0f}" if name in found else "–" for name in ("ours", *OTHERS)]
    ratios = [f"{ratio(found[n], found['ours']):.3f}" if n in found else "–" for n in OTHERS]
    cells = [cell.arch, cell.size, *speeds, *ratios, f"{peak / 1e9:.0f}", f"{share:.2f}"]
    return "| " + " | ".join(cells) + " |"


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peak", action="store_true", help="all sizes, without Hugging Face")
    parser.add_argument("--arch", nargs="+", default=archs(), help="architectures [all]")
    parser.add_argument("--turns", type=int, default=15, help="steps of each contender [15]")
    return parser.parse_args()


if __name__ == "__main__":
    main()
