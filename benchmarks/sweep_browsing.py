"""Does who browses MLflow hold up the sweep that writes to its database, or the other way round?

    python -m benchmarks.sweep_browsing --seconds 20

One tracker writes as a sweep of many cells does; readers ask the server of `sweeps/ui.py` for all
runs and for a curve, one after another without a pause. With SQLite's write-ahead log, which sweeps
use, and with the journal that databases of before have.
"""

from __future__ import annotations

import argparse
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import requests

from fitting.runs.tracking import SQLITE
from sweeps.tracking import database
from sweeps.tracking.tracker import Tracker

CELLS = 16
POINTS = 20
"""Of a write: a cell reports a second's worth at a time."""


@dataclass
class Seen:
    """What happened within the time."""

    writes: list[float] = field(default_factory=list)
    """Seconds each."""
    reads: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@contextmanager
def served(out: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The address of a server over the sweeps' folder, and the headers that it asks for."""
    command = [sys.executable, "sweeps/ui.py", "--out", str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        found = re.search(r"(http://\S+)/\?token=(\w+)", process.stdout.readline())
        assert found
        yield found[1], {"Authorization": f"Bearer {found[2]}"}
        process.terminate()


def write(tracker: Tracker, until: float, seen: Seen) -> None:
    for step in count(1):
        for cell in range(CELLS):
            if time.monotonic() > until:
                return
            points = [
                {"tokens": float(step * POINTS + n), "train_loss": 1.0, "time": time.time()}
                for n in range(POINTS)
            ]
            began = time.monotonic()
            tracker.points(str(cell), points)
            while tracker.pending():
                time.sleep(0.001)
            seen.writes.append(time.monotonic() - began)


def read(uri: str, headers: dict[str, str], run: str, until: float, seen: Seen) -> None:
    api = f"{uri}/api/2.0/mlflow"
    while time.monotonic() < until:
        began = time.monotonic()
        found = requests.post(
            f"{api}/runs/search", json={"experiment_ids": ["1"]}, headers=headers, timeout=60
        )
        curve = requests.get(
            f"{api}/metrics/get-history?run_id={run}&metric_key=train/train_loss",
            headers=headers,
            timeout=60,
        )
        seen.reads.append(time.monotonic() - began)
        seen.errors += [each.text for each in (found, curve) if each.status_code != 200]


def trial(journal: str, readers: int, seconds: float) -> Seen:
    with tempfile.TemporaryDirectory() as folder:
        out, seen = Path(folder), Seen()
        file = out / "mlflow" / "mlflow.db"
        database.make(f"{SQLITE}{file}")
        with closing(sqlite3.connect(file)) as connection:
            connection.execute(f"PRAGMA journal_mode = {journal}")
        tracker = Tracker(f"{SQLITE}{file}", "browsed", {}, {str(n): str(n) for n in range(CELLS)})
        for cell in range(CELLS):
            tracker.start(str(cell), {"data": "none"}, "")
        while tracker.pending():
            time.sleep(0.1)
        with served(out) as (uri, headers):
            run, until = tracker.runs["0"].info.run_id, time.monotonic() + seconds
            threads = [
                threading.Thread(target=read, args=(uri, headers, run, until, seen))
                for _ in range(readers)
            ]
            for thread in threads:
                thread.start()
            write(tracker, until, seen)
            for thread in threads:
                thread.join()
    return seen


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20, help="of each trial [20]")
    args = parser.parse_args()
    print("| journal | readers | writes | median, s | longest | reads | median, s | longest |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for journal in ("wal", "delete"):
        for readers in (0, 4):
            seen = trial(journal, readers, args.seconds)
            cells = [journal, str(readers)]
            for times in (seen.writes, seen.reads):
                cells.append(str(len(times)))
                spread = (statistics.median(times), max(times)) if times else ()
                cells += [f"{value:.3f}" for value in spread] or ["", ""]
            print(f"| {' | '.join(cells)} |", flush=True)
            assert not seen.errors, seen.errors[0]
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
