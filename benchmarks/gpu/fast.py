"""Tokens a second of whole training steps, beside a bare loop and Hugging Face's model.

`ours` is the loop of a cell as a sweep runs it: batches, micro-batches, clipping, schedule, curve.
`bare` is the same model, compiled, and AdamW, on one batch in memory. `HF` is Hugging Face's model
of the same shape, compiled, in the same loop. All have the same precision, batch and micro-batch.
Each is timed over whole steps after the first seconds, and the device is waited for at both ends.
"""

from __future__ import annotations

import importlib.util
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.visit import PRECISION, Rows, Visit, rows_of
from harness.alone import train_alone
from harness.contenders import bare, hugging_face
from harness.peak_memory import VOCAB, write_data
from trainers.cell import Cell
from trainers.kernels import compilable, compiled, pays
from trainers.loop import StoppedError
from trainers.memory import peak_bytes

PEAK = 989e12
"""Dense bf16 FLOP/s of an H100 SXM, by its data sheet."""

ORDER = [(arch, size) for size in ("1M", "20M", "100M") for arch in ("transformer", "lstm")]
LATER = [(arch, size) for size in ("5M", "50M", "300M") for arch in ("transformer", "lstm")]
LATER += [("gpt", size) for size in ("1M", "20M", "100M")]
SMALL = [("transformer", "20k"), ("lstm", "20k")]

SETTLING, TIMED = 1.5, 3.0
"""Seconds of steps before and while they are timed."""

A_ROW = 12
"""Seconds without which none is begun."""

TIGHT = 0.8
"""Of the card's memory: what the formula may ask for."""


def measure(visit: Visit) -> None:
    columns = ("arch", "size", "contender", "tokens_per_second", "share_of_peak", "ours_to_it")
    rows = Rows(visit, "speed", *columns, "micro_tokens", "start_s", "gb", "formula_gb")
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        write_data(data)
        cells = [cell_of(arch, size, visit) for arch, size in visit.pick(ORDER, SMALL)]
        ours: dict[Cell, float] = {}
        for cell in cells:
            row_of_ours(rows, cell, data, ours)
            row_of_other(rows, cell, "bare", ours)
        for cell in cells:
            row_of_other(rows, cell, "HF", ours)
        for arch, size in visit.pick(LATER, []):
            row_of_ours(rows, cell_of(arch, size, visit), data, ours)
        profiles(visit, data, ours)


def cell_of(arch: str, size: str, visit: Visit) -> Cell:
    """One that never ends."""
    batch_tokens, context = visit.pick((65_536, 1024), (512, 64))
    fixed = (batch_tokens, context, 0.1, 1.0, "abc", VOCAB, "random")
    return Cell(arch, size, 0, 1e-4, 10**6 * batch_tokens, *fixed, precision=PRECISION)


def micro_tokens_of(cell: Cell, visit: Visit) -> int:
    """The largest part of the batch that the formula of memory lets onto the card."""
    memory = float("inf")
    if visit.on_gpu:
        memory = TIGHT * torch.cuda.get_device_properties(visit.device).total_memory
    micro_tokens = cell.batch_tokens
    while micro_tokens > cell.context and peak_bytes(cell, micro_tokens, 1) > memory:
        micro_tokens //= 2
    return micro_tokens


class Timer:
    """Asked after every step whether that was enough; times those after the first seconds."""

    def __init__(self, visit: Visit) -> None:
        self.visit, self.steps = visit, 0
        self.settling, self.timed = visit.pick((SETTLING, TIMED), (0.05, 0.1))
        self.created = self.first = time.perf_counter()
        self.began: float | None = None
        self.seconds = 0.0

    def __call__(self) -> bool:
        if self.first == self.created:
            self.visit.wait()
            self.first = time.perf_counter()
        if self.began is None:
            if time.perf_counter() - self.first > self.settling:
                self.visit.wait()
                self.began = time.perf_counter()
            return False
        self.steps += 1
        if time.perf_counter() - self.began < self.timed:
            return False
        self.visit.wait()
        self.seconds = time.perf_counter() - self.began
        return True


def row_of_ours(rows: Rows, cell: Cell, data: Path, ours: dict[Cell, float]) -> None:
    visit = rows.visit

    def work() -> dict[str, Any]:
        micro_tokens, timer = micro_tokens_of(cell, visit), Timer(visit)
        run_ours(cell, data, micro_tokens, visit, timer)
        found = figures(cell, micro_tokens, timer)
        ours[cell] = found["tokens_per_second"]
        return found

    rows.attempt(work, A_ROW * (not visit.small), arch=cell.arch, size=cell.size, contender="ours")
    write_csv(visit)


def run_ours(
    cell: Cell, data: Path, micro_tokens: int, visit: Visit, stop: Callable[[], bool]
) -> None:
    try:
        train_alone(cell, data, micro_tokens, stop=stop, world=visit.world)
    except StoppedError:
        return


def row_of_other(rows: Rows, cell: Cell, contender: str, ours: dict[Cell, float]) -> None:
    visit, named = rows.visit, {"arch": cell.arch, "size": cell.size, "contender": contender}
    if contender == "HF" and cell.arch == "lstm":
        return
    if contender == "HF" and importlib.util.find_spec("transformers") is None:
        rows.add(**named, note="open: transformers is not installed")
        return

    def work() -> dict[str, Any]:
        micro_tokens, timer = micro_tokens_of(cell, visit), Timer(visit)
        if visit.on_gpu:
            torch.cuda.reset_peak_memory_stats(visit.device)
        model = hugging_face(cell) if contender == "HF" else cell.rung.build()
        model.to(visit.device)
        if visit.on_gpu and compilable(model, cell, visit.world) and pays(cell):
            model = compiled(model, visit.device)
        logits = (lambda out: out.logits) if contender == "HF" else (lambda out: out)
        step = bare(model, cell, micro_tokens, logits, visit.device)
        while True:
            step()
            if timer():
                break
        found = figures(cell, micro_tokens, timer)
        if cell in ours:
            found["ours_to_it"] = ours[cell] / found["tokens_per_second"]
        return found

    rows.attempt(work, A_ROW * (not visit.small), **named)


def figures(cell: Cell, micro_tokens: int, timer: Timer) -> dict[str, Any]:
    """share_of_peak: of the FLOPs of forward and backward, attention counted over the causal half
    of the context. gb: the most that PyTorch's allocator held. start_s: until the first step was
    over, which is mostly compiling."""
    speed, device = timer.steps * cell.batch_tokens / timer.seconds, timer.visit.device
    found = {
        "tokens_per_second": speed,
        "share_of_peak": speed * cell.rung.flops_per_token(cell.context) / PEAK,
        "precision": cell.precision,
        "micro_tokens": micro_tokens,
        "start_s": timer.first - timer.created,
        "formula_gb": peak_bytes(cell, micro_tokens, 1) / 1e9,
        "steps": timer.steps,
        "gpu": timer.visit.card,
    }
    if timer.visit.on_gpu:
        found["gb"] = torch.cuda.max_memory_allocated(device) / 1e9
    return found


def write_csv(visit: Visit) -> None:
    """The table that a plan for this card reads; of what was measured twice, the later."""
    fields = ("gpu", "arch", "size")
    found = {
        tuple(row[name] for name in fields): row
        for row in rows_of(visit.out, "fast", "speed")
        if row["contender"] == "ours" and "tokens_per_second" in row
    }
    lines = [
        f"{','.join(key)},{row['tokens_per_second']:.0f},{row['share_of_peak']:.4f}\n"
        for key, row in found.items()
    ]
    head = f"{','.join(fields)},tokens_per_second,share_of_peak\n"
    (visit.out / "gpu_speed.csv").write_text(head + "".join(lines))


def profiles(visit: Visit, data: Path, ours: dict[Cell, float]) -> None:
    """Where the time goes in five steps of the three that reach the least of the peak."""
    reached = {
        cell: speed * cell.rung.flops_per_token(cell.context) for cell, speed in ours.items()
    }
    rows = Rows(visit, "where the time goes", "arch", "size", "file", "device_busy")
    for cell in sorted(reached, key=reached.__getitem__)[:3]:
        path = visit.out / f"profile-{cell.arch}-{cell.size}.txt"
        work = partial(profiled, cell, data, visit, path)
        rows.attempt(work, A_ROW * (not visit.small), arch=cell.arch, size=cell.size)


def profiled(cell: Cell, data: Path, visit: Visit, path: Path) -> dict[str, Any]:
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * visit.on_gpu
    profiler, warm, steps = profile(activities=activities), 8, 5
    asked, began, seconds = 0, 0.0, 0.0

    def stop() -> bool:
        nonlocal asked, began, seconds
        asked += 1
        if asked == warm:
            visit.wait()
            profiler.start()
            began = time.perf_counter()
        if asked < warm + steps:
            return False
        visit.wait()
        seconds = time.perf_counter() - began
        profiler.stop()
        return True

    run_ours(cell, data, micro_tokens_of(cell, visit), visit, stop)
    found = profiler.key_averages()
    by = "self_device_time_total" if visit.on_gpu else "self_cpu_time_total"
    table = found.table(sort_by=by, row_limit=15, max_name_column_width=60)
    path.write_text(table)
    print(table, flush=True)
    busy = sum(event.self_device_time_total for event in found) / 1e6
    return {"file": path.name} | ({"device_busy": busy / seconds} if visit.on_gpu else {})
