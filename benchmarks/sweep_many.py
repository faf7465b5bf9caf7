"""Five hundred cells of one second each: does a sweep get slower or larger as it proceeds?

    python -m benchmarks.sweep_many

The cells are stand-ins that sleep and write a record; Tune, the admission, the tracker with its
MLflow database and the records are those of a sweep. Then `--status` is timed over the same cells.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import ray

from data.store.location import Location
from data.store.manifest import Manifest
from fitting.contract import METRICS
from fitting.runs.tracking import SQLITE
from sweeps.scheduling.packing import Demand
from sweeps.scheduling.schedule import DRIVER, run_trials
from sweeps.sweep import Sweep
from sweeps.tracking import database
from sweeps.tracking.tracker import Tracker
from trainers.cell import Cell
from trainers.names import names
from trainers.records import Record, write_record

AT_A_TIME = 8
GRID = """\
data: {{source: stand-in}}
cells: {{arch: lstm, size: 4k, seed: [{seeds}], tokens: 1k}}
training: {{batch_tokens: 512, context: 64}}
"""


@dataclass(frozen=True)
class Growth:
    """How a sweep went on, in tenths of its cells."""

    per_cell: list[float]
    """Seconds of wall time for each cell that ended, `AT_A_TIME` at a time."""
    memory_mb: list[float]
    """Of the process that runs the sweep, at the end of each tenth."""
    tracked: int
    """Runs that MLflow has in the end."""


def sweep_of(cells: int, folder: Path) -> Sweep:
    """A sweep whose data look prepared."""
    grid = folder / "many.yaml"
    grid.write_text(GRID.format(seeds=", ".join(map(str, range(cells)))))
    sweep = Sweep(str(grid), (), Location.of(folder / "runs"))
    manifest = Manifest("fake", "stand-in", "abc", 24, 139, 0, {}, {}, {}, {})
    (sweep.data("abc") / "manifest.json").write_text(json.dumps(asdict(manifest)))
    return sweep


def run_stand_ins(sweep: Sweep, cells: list[Cell], uri: str, seconds: float) -> Growth:
    called = names({cell.key: vars(cell) for cell in cells})
    on_head = ray.remote(num_cpus=0, resources=DRIVER)
    tracker = on_head(Tracker).remote(uri, sweep.name, {}, called)
    by_key, folder = {cell.key: cell for cell in cells}, sweep.cells

    def trial(config: dict[str, tuple[str, ...]]) -> None:
        cell, started = by_key[config["job"][0]], time.time()
        tracker.start.remote(cell.key, cell.params(), "")
        point = {"tokens": cell.tokens, "train_loss": 1.0, "tokens_per_second": 1.0}
        tracker.points.remote(cell.key, [point | {"time": started}])
        time.sleep(seconds)
        measured = dict.fromkeys(METRICS, 1.0) | {"tokens": cell.tokens}
        record = Record(cell.key, "finished", "", cell.params(), measured, [], started, time.time())
        write_record(folder, record)
        ray.get(tracker.finish.remote(record))

    ended, memory, over = [0], [_memory_mb()], threading.Event()

    def watch() -> None:
        while not over.wait(0.5):
            ended.append(len(ray.get(tracker.progress.remote())[1]))
            memory.append(_memory_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    demands = [Demand(cell.key, 1, 0, seconds) for cell in cells]
    try:
        run_trials(trial, demands, retries=0, verbose=0)
        while ray.get(tracker.pending.remote()):
            time.sleep(0.2)
    finally:
        over.set()
        watcher.join()
    records = sorted(record.ended for record in sweep.records(by_key).values())
    tenth = max(1, len(cells) // 10)
    ends = records[::tenth]
    moments = [next(i for i, n in enumerate(ended) if n >= k) for k in range(0, len(cells), tenth)]
    return Growth(
        per_cell=[(after - before) / tenth for before, after in pairwise(ends)],
        memory_mb=[memory[moment] for moment in moments],
        tracked=len(ray.get(tracker.progress.remote())[1]),
    )


def _memory_mb() -> float:
    """Resident now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def time_status(sweep: Sweep, tries: int = 3) -> float:
    """Seconds that `--status` takes as a command of its own: the best try."""
    grid, out = sweep.grid_name, str(sweep.out)
    command = [sys.executable, "sweeps/run_grid.py", "--grid", grid, "--out", out, "--status"]
    seconds = []
    for _ in range(tries):
        started = time.monotonic()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.monotonic() - started)
    return min(seconds)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cells", type=int, default=500, help="how many [500]")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sweep = sweep_of(args.cells, Path(folder))
        cells = sweep.resolve()
        uri = f"{SQLITE}{folder}/mlflow/mlflow.db"
        database.make(uri)
        ray.init(num_cpus=AT_A_TIME, log_to_driver=False, include_dashboard=False)
        try:
            growth = run_stand_ins(sweep, cells, uri, seconds=1)
        finally:
            ray.shutdown()
        status = time_status(sweep)
    print("| tenth | seconds a cell, wall | memory, MB |\n| --- | --- | --- |")
    for tenth, (seconds, memory) in enumerate(zip(growth.per_cell, growth.memory_mb), 1):
        print(f"| {tenth} | {seconds:.3f} | {memory:.0f} |")
    half = len(growth.per_cell) // 2
    first, last = growth.per_cell[1:half], growth.per_cell[half:]
    print(f"\nLast half over first: {statistics.median(last) / statistics.median(first):.2f}")
    print(f"MLflow has {growth.tracked} of {args.cells}; --status takes {status:.1f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
