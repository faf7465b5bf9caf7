"""A visit to a machine with one GPU: whether cells are right there, how fast, shared, and a law.

    python -m benchmarks.gpu --out back                all four parts, in the order of their worth
    python -m benchmarks.gpu --only fast --out back    one of them
    python -m benchmarks.gpu --device cpu --small --out back    tried on toys, without a GPU

right    losses and gradients against fp64, curves, resuming, running out of memory, its formula
fast     tokens a second of each size beside a bare loop and Hugging Face, and where the time goes
shared   cells that share the card, two ranks on it, samples drawn on it
ladder   laws of POP909 and folk tunes by a real sweep, as large as the seconds allow

Tables are printed and written below --out as they grow. With several parts, each runs in a process
of its own and is killed when its time is over. docs/gpu.md says how to get there and what to read.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

BOUNDS = {"right": 100.0, "fast": 150.0, "shared": 150.0, "ladder": 300.0}
"""Seconds of each part; the last of those chosen takes whatever is left."""

GRACE_SECONDS = 10
"""For a part to end by itself when its time is over."""

FEWEST_SECONDS = 20
"""With less left, a part is not begun."""


def main() -> int:
    args = parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if len(args.only) == 1:
        return run(args)
    until, codes = time.monotonic() + args.seconds, []
    for part in args.only:
        left = until - time.monotonic() - GRACE_SECONDS
        seconds = left if part == args.only[-1] else min(BOUNDS[part], left)
        if left < FEWEST_SECONDS:
            print(f"\n{part}: open, no time ({left:.0f} s were left)", flush=True)
            continue
        codes.append(apart(part, seconds))
    return int(any(codes))


def run(args: argparse.Namespace) -> int:
    if args.only == ["right"]:
        # Before CUDA starts: without it cuBLAS and cuDNN's LSTM have no deterministic kernels.
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":16:8"
    import torch

    from benchmarks.gpu.visit import Visit

    part = args.only[0]
    device = torch.device("cuda", 0) if args.device == "cuda" else torch.device("cpu")
    if device.type == "cuda" and not torch.cuda.is_available():
        print("gpu: found no GPU; --device cpu --small tries it without", file=sys.stderr)
        return 2
    if device.type == "cpu":
        # On toys, threads that wait for each other take most of the time.
        torch.set_num_threads(1)
    # As the workers of a sweep do.
    torch.set_float32_matmul_precision("high")
    until = time.monotonic() + args.seconds
    visit = Visit(
        part, device, args.small, args.out.resolve(), args.work.resolve(), tuple(args.data), until
    )
    importlib.import_module(f"benchmarks.gpu.{part}").measure(visit)
    return 0


def apart(part: str, seconds: float) -> int:
    """Run one part in a process group of its own, and end that if it is late."""
    command = [sys.executable, "-m", "benchmarks.gpu", *sys.argv[1:]]
    command += ["--only", part, "--seconds", f"{seconds:.0f}"]
    with subprocess.Popen(command, start_new_session=True) as process:
        for number, wait in ((signal.SIGTERM, seconds + GRACE_SECONDS), (signal.SIGKILL, 10)):
            try:
                return process.wait(wait)
            except subprocess.TimeoutExpired:
                print(f"\n{part}: over {seconds:.0f} s, ended", flush=True)
                os.killpg(process.pid, number)
        return process.wait()


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--only", nargs="+", choices=BOUNDS, default=list(BOUNDS), help="these parts [all]")
    add("--seconds", type=float, default=570, help="for all of them together [570]")
    add("--out", type=Path, required=True, help="the folder that comes back")
    add("--work", type=Path, default=Path("runs/gpu"), help="the one that stays [runs/gpu]")
    add("--data", type=Path, nargs="+", default=[], help="prepared data sets, for the last two")
    add("--device", choices=("cuda", "cpu"), default="cuda", help="what to measure [cuda]")
    add("--small", action="store_true", help="toys, to see that everything runs")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
