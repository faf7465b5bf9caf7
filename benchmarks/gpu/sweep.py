"""Real sweeps of a visit: `sweeps/run_grid.py` as a process, ended when its time is over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from benchmarks.gpu.visit import Visit
from data.store.location import Location
from trainers.records import Record, read_record

ROOT = Path(__file__).parents[2]
POP909 = "pop909.tar.gz"
"""In the folder that CRESCENDO_CORPORA names, as the shipped grid calls it."""

LEAVING_SECONDS = 8
"""For a sweep that is told to end, until its cells have saved."""


def corpora(visit: Visit) -> list[dict[str, Any]]:
    """The `data` sections of grids: of the data sets that were brought along, which are laid where
    a sweep finds them; or else of POP909, if its archive is there, and of the folk tunes."""
    brought = []
    for folder in visit.data:
        wanted = json.loads((folder / "request.json").read_text())
        wanted.pop("schema", None)
        section = {"source": wanted.pop("source"), "tokenizer": wanted.pop("tokenizer")}
        section["ticks_per_quarter"] = wanted.pop("grid")
        section |= {name: wanted.pop(name) for name in ("works", "max_tokens") if name in wanted}
        brought.append(section | ({"filters": wanted} if wanted else {}))
        place = data_of(visit, section)
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            place.symlink_to(folder.resolve())
    if brought:
        return brought
    there = (corpora_folder() / POP909).exists()
    return [{"source": POP909, "works": "/[0-9]{3}/"}] * there + [{"source": "folk"}]


def corpora_folder() -> Path:
    return Path(os.environ.get("CRESCENDO_CORPORA", ".")).resolve()


def data_of(visit: Visit, section: dict[str, Any]) -> Path:
    """The folder of its data set, as `sweeps.sweep` names it."""
    name = f"{Path(section['source']).name}-{section.get('tokenizer', 'abc')}"
    return visit.work / "data" / name


def share(visit: Visit, fraction: float) -> dict[str, float]:
    """A placement: that part of the card or, without one, of a processor."""
    return {"gpus": fraction} if visit.on_gpu else {"cpus": fraction}


class Sweep:
    """A grid in the visit's folder that stays."""

    def __init__(self, visit: Visit, name: str) -> None:
        self.visit, self.name, self.folder = visit, name, visit.work / name
        self.cells = Location.of(self.folder / "cells")

    def run(self, grid: dict[str, Any], seconds: float, until: Callable[[], bool]) -> int:
        """Run, or go on with, this grid. Returns its exit status.

        It is told to end after so many seconds, or as soon as `until` says so.
        """
        path = self.visit.work / f"{self.name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(grid, sort_keys=False))
        environment = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        command = [sys.executable, str(ROOT / "sweeps/run_grid.py"), "--grid", str(path)]
        command += ["--out", str(self.visit.work)]
        ends = time.monotonic() + seconds - LEAVING_SECONDS
        # Sources are named as in this folder, wherever that is: a data set knows its source's name.
        with subprocess.Popen(command, cwd=corpora_folder(), env=environment) as process:
            while process.poll() is None and time.monotonic() < ends and not until():
                time.sleep(0.2)
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(LEAVING_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
            return process.wait()

    def records(self) -> list[Record]:
        """Of the cells that have ended."""
        found = [read_record(self.cells, folder.name) for folder in self.cells.children()]
        return [record for record in found if record]

    def finished(self) -> list[Record]:
        return [record for record in self.records() if record.status == "finished"]
