"""A sweep under way, with all that it has started, as the tests and benchmarks watch one."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import ray  # noqa: F401  Brings psutil.

import psutil  # isort: skip

ROOT = Path(__file__).parents[1]


class Sweeping:
    """A sweep under way, in a process of its own, whose output goes to a file."""

    def __init__(self, grid: Path, out: Path, env: dict[str, str]) -> None:
        self.grid, self.out = grid, out
        self.folder = out / grid.stem
        self.log = out.parent / f"{out.name}-{time.time_ns()}.log"
        # Appended to: others write there as well.
        with self.log.open("a") as file:
            # A group of its own, as a shell gives each command: what a terminal sends, all of it
            # hear.
            self.process = subprocess.Popen(
                command(grid, out),
                cwd=ROOT,
                env=os.environ | env,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        self.seen: set[psutil.Process] = set()

    def children(self) -> list[psutil.Process]:
        """What it has started and still runs; and what it once had started is remembered."""
        try:
            found = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.Error:
            found = []
        self.seen |= set(found)
        return found

    def named(self, word: str) -> list[psutil.Process]:
        """Those of its processes whose program or title has this word."""
        found = []
        for child in self.children():
            try:
                if word in " ".join(child.cmdline()[:1]):
                    found.append(child)
            except psutil.Error:
                continue
        return found

    def left(self) -> list[psutil.Process]:
        """What it has started and has left behind."""
        return [each for each in self.seen if _runs(each)]

    def has_checkpoint(self) -> bool:
        self.children()
        return any((self.folder / "cells").glob("*/checkpoint_*/state.sha256"))

    def has_ended(self) -> bool:
        self.children()
        return self.process.poll() is not None

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self) -> None:
        """End it, and all that it has started."""
        self.children()
        self.process.kill()
        self.process.wait()
        for each in self.left():
            with contextlib.suppress(psutil.Error):
                each.kill()


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def command(grid: Path, out: Path) -> list[str]:
    return [sys.executable, "sweeps/run_grid.py", "--grid", str(grid), "--out", str(out)]
