"""Training speed on this CPU, side by side in one run: ours, a bare loop, Hugging Face.

    python -m benchmarks.training_speed                 20k to 5M, context 512 (needs transformers)
    python -m benchmarks.training_speed --size 1M --arch gpt

Contenders take turns, one step each, and a row gives medians over the turns, of both ratios and
speeds, so that other work on the machine affects all equally. `ours` is the cell's loop with its
batches, clipping, schedule and curve, and the kernels that a long cell of that shape would choose,
which a column names; `bare` is forward, backward, clipping and AdamW around the same model as it is
built, on a batch in memory, `compiled` the same with `torch.compile`. `HF` is the Hugging Face
model of the same shape as it comes, with PyTorch's attention. `.bf16` is autocast. What is compiled
needs a C++ compiler. The peak is that of square products of 1,024 in fp32 and in bf16.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from harness.alone import train_alone
from harness.contenders import bare, hugging_face
from harness.peak_memory import VOCAB, write_data
from trainers.cell import Cell
from trainers.chosen_kernels import Kernels, kept
from trainers.device import processor
from trainers.ladder import archs

CONTEXT = 512
BATCH = 2048
OURS = ("ours", "ours.bf16")
BARE = ("bare", "compiled")
THEIRS = ("HF", "HF compiled", "HF compiled.bf16")


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


def gemm_peak(dtype: torch.dtype) -> float:
    """FLOPs a second of one thread in a square product, by whichever library is the fastest."""
    n = 1024
    a, b = torch.randn(n, n, dtype=dtype), torch.randn(n, n, dtype=dtype)

    def by_mkl() -> None:
        F.linear(a, b)

    def by_onednn() -> None:
        torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], "")

    seconds = seconds_of({"MKL": by_mkl, "oneDNN": by_onednn}, turns=9)
    return 2 * n**3 / min(min(each) for each in seconds.values())


def cell_of(arch: str, size: str, precision: str = "fp32") -> Cell:
    tokens = 50_000 * BATCH
    fixed = (tokens, BATCH, CONTEXT, 0.1, 1.0, "abc", VOCAB, "random")
    return Cell(arch, size, 0, 1e-4, *fixed, precision=precision)


def main() -> None:
    args = parse_args()
    torch.set_num_threads(1)
    print(f"{processor()}, torch {torch.__version__}, one thread")
    print(f"peak: {gemm_peak(torch.float32) / 1e9:.0f} GFLOP/s in fp32, ", end="")
    print(f"{gemm_peak(torch.bfloat16) / 1e9:.0f} in bf16\n")
    columns = ["arch", "size", *OURS, *BARE, *THEIRS, "ours/bare", "ours/HF", "best/HF's best"]
    columns += ["of peak", "kernels"]
    print("| " + " | ".join(columns) + " |")
    print("| " + " | ".join("---" for _ in columns) + " |")
    with tempfile.TemporaryDirectory() as folder:
        write_data(Path(folder))
        for arch in args.arch:
            for size in args.size:
                print(row(arch, size, Path(folder), args.turns), flush=True)


def row(arch: str, size: str, data: Path, turns: int) -> str:
    cell, in_bf16 = (cell_of(arch, size, precision) for precision in ("fp32", "bf16"))
    contenders: dict[str, Callable[[], None]] = {"ours": Stepper(cell, data)}
    contenders["bare"] = bare(cell.rung.build(), cell, BATCH)
    if arch != "lstm":
        contenders["ours.bf16"] = Stepper(in_bf16, data)
        contenders["compiled"] = bare(compiled(cell.rung.build()), cell, BATCH)
    if arch in ("transformer", "gpt"):
        contenders["HF"] = bare(hugging_face(cell), cell, BATCH, logits)
        contenders["HF compiled"] = bare(compiled(hugging_face(cell)), cell, BATCH, logits)
        theirs = compiled(hugging_face(cell))
        contenders["HF compiled.bf16"] = bare(theirs, in_bf16, BATCH, logits)
    found = seconds_of(contenders, turns)
    peak = gemm_peak(torch.float32)
    speed = {name: BATCH / statistics.median(seconds) for name, seconds in found.items()}

    def best(names: tuple[str, ...]) -> list[float]:
        return found[max((name for name in names if name in speed), key=speed.__getitem__)]

    ratios = [ratio(found["bare"], found["ours"])]
    if "HF" in found:
        ratios += [ratio(found["HF"], found["ours"]), ratio(best(THEIRS), best(OURS))]
    share = speed["ours"] * cell.rung.flops_per_token(CONTEXT) / peak
    speeds = [f"{speed[name]:,.0f}" if name in speed else "–" for name in (*OURS, *BARE, *THEIRS)]
    told = [f"{each:.2f}" for each in ratios] + ["–"] * (3 - len(ratios))
    kernels = kept(None, cell, BATCH // CONTEXT, lambda before: before or Kernels())
    named = [kernels.product, kernels.attention, *(["compiled"] if kernels.compiled else [])]
    return "| " + " | ".join([arch, size, *speeds, *told, f"{share:.2f}", " ".join(named)]) + " |"


def logits(found: Any) -> torch.Tensor:
    """In what a model of Hugging Face returns."""
    return found.logits


def compiled(model: torch.nn.Module) -> torch.nn.Module:
    model.compile(dynamic=False)
    return model


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sizes = ["20k", "120k", "1M", "5M"]
    parser.add_argument("--size", nargs="+", default=sizes, help=f"[{' '.join(sizes)}]")
    parser.add_argument("--arch", nargs="+", default=archs(), help="architectures [all]")
    parser.add_argument("--turns", type=int, default=15, help="steps of each contender [15]")
    return parser.parse_args()


if __name__ == "__main__":
    main()
