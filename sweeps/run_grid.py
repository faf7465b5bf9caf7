"""Run a grid: data, cells, law. The same command again goes on where it stopped.

python sweeps/run_grid.py                      the quickstart: twelve small models, 15 minutes
python sweeps/run_grid.py --grid my_grid.yaml  your own
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.packed import DataError, Manifest, read_manifest
from data.storage import Location
from fitting.analysis import Analysis, analyse
from sweeps import summary
from sweeps.grid import Grid, GridError
from sweeps.grid_yaml import load_grid
from sweeps.records import Record, read_record, record_path
from trainers.cell import Cell
from trainers.ladder import LadderError

if TYPE_CHECKING:
    from sweeps.schedule import Job


@dataclass(frozen=True)
class Sweep:
    """A grid and the folders it lives in."""

    grid: Grid
    out: Location

    def data(self, tokenizer: str) -> Location:
        return self.out / "data" / f"{Path(self.grid.data.source).name}-{tokenizer}"

    def manifests(self) -> list[Manifest]:
        """One a tokenizer. Raises DataError if the data are not prepared."""
        return [read_manifest(self.data(tokenizer)) for tokenizer in self.grid.data.tokenizer]

    @property
    def folder(self) -> Location:
        return self.out / self.grid.name

    @property
    def cells(self) -> Location:
        return self.folder / "cells"

    @property
    def report(self) -> Location:
        return self.folder / "report"

    @property
    def tracked(self) -> Location:
        """Lists the cells of the last sweep that ended with everything fitted and in MLflow."""
        return self.folder / "tracked.txt"

    def records(self, cells: list[Cell]) -> dict[str, Record]:
        """The records of the cells that have ended, by key."""
        found = {cell.key: read_record(self.cells, cell) for cell in cells}
        return {key: record for key, record in found.items() if record}


def main() -> int:
    args = parse_args()
    try:
        sweep = Sweep(load_grid(args.grid), args.out)
        cells = nothing_to_do(sweep, args.retry_failed)
        if cells is None:
            with quiet(log_file(sweep), args.verbose):
                cells = run(sweep, args)
        return conclude(sweep, cells)
    except (GridError, DataError, LadderError) as error:
        print(f"run_grid: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted. Nothing is lost: the same command goes on.", file=sys.stderr)
        return 130


def nothing_to_do(sweep: Sweep, retry_failed: bool) -> list[Cell] | None:
    """The grid's cells, if all have ended and are tracked. Starts nothing and takes seconds."""
    if not sweep.tracked.exists():
        return None
    try:
        cells = sweep.grid.resolve(sweep.manifests())
    except DataError:
        return None
    records = sweep.records(cells)
    failed = any(record.status == "failed" for record in records.values())
    tracked = set(sweep.tracked.read_text().split())
    if len(records) < len(cells) or not tracked.issuperset(records) or (failed and retry_failed):
        return None
    print(f"Nothing to do: all {len(cells)} cells of {sweep.grid.name} have ended.")
    return cells


def run(sweep: Sweep, args: argparse.Namespace) -> list[Cell]:
    """Bring every cell of the grid to its end; fit; track. Returns the cells."""
    # Imported here: together they take longer than finding out that there is nothing to do.
    import ray

    from sweeps.live import LiveLine
    from sweeps.schedule import run_cells
    from sweeps.tracking import Server, Tracker

    server = None if own_tracker() else Server.start(mlflow_folder(sweep))
    uri = server.uri if server else own_tracker() or ""
    try:
        ray.init(log_to_driver=args.verbose)
        cells = sweep.grid.resolve(
            [prepare_data(sweep, tokenizer) for tokenizer in sweep.grid.data.tokenizer]
        )
        if args.retry_failed:
            forget_failed(sweep, cells)
        records = sweep.records(cells)
        pending = [cell for cell in cells if cell.key not in records]
        if server:
            server.wait()
        say(f"MLflow   {uri}" + ("   (while the sweep runs)" if server else ""))

        tracker = ray.remote(num_cpus=0)(Tracker).remote(uri, sweep.grid.name, tags())
        for record in records.values():
            tracker.finish.remote(record)
        if pending:
            say(f"Cells    {len(records)} have ended, {len(pending)} to train")
            with LiveLine(pending, len(records), tracker):
                run_cells(jobs(sweep, pending), sweep.cells, tracker, args.verbose)
        report(sweep, cells, uri)
        ray.get(tracker.close.remote())
        if drained(tracker):
            sweep.tracked.write_text("\n".join(sweep.records(cells)))
        return cells
    finally:
        ray.shutdown()
        if server:
            server.stop()


def own_tracker() -> str | None:
    """The user's MLflow, if there is one."""
    return os.environ.get("MLFLOW_TRACKING_URI")


def mlflow_folder(sweep: Sweep) -> Path:
    """Where our own MLflow keeps its database. Raises GridError if that is no disk."""
    if sweep.out.local is None:
        raise GridError(
            f"--out is {sweep.out}, where MLflow's database cannot lie; set MLFLOW_TRACKING_URI "
            "to a server"
        )
    return sweep.out.local / "mlflow"


def log_file(sweep: Sweep) -> Path:
    """What libraries print; beside the cells if that is a disk."""
    folder = sweep.folder.local or Path(tempfile.gettempdir()) / f"crescendo-{sweep.grid.name}"
    return folder / "libraries.log"


def prepare_data(sweep: Sweep, tokenizer: str) -> Manifest:
    from data.prepare import prepare

    spec, started = sweep.grid.data, time.monotonic()
    manifest = prepare(
        spec.source, tokenizer, sweep.data(tokenizer), ticks_per_quarter=spec.ticks_per_quarter
    )
    train = manifest.splits["train"]
    say(
        f"Data     {train['pieces']:,} pieces, {train['tokens']:,} tokens to train on "
        f"({time.monotonic() - started:.0f} s)"
    )
    return manifest


def jobs(sweep: Sweep, cells: list[Cell]) -> list[Job]:
    from sweeps.schedule import Job

    placement = sweep.grid.placement.placement
    return [Job(cell, sweep.data(cell.tokenizer), placement(cell)) for cell in cells]


def forget_failed(sweep: Sweep, cells: list[Cell]) -> None:
    """Let cells that failed start again, from their last checkpoint."""
    for cell in cells:
        record = read_record(sweep.cells, cell)
        if record and record.status == "failed":
            record_path(sweep.cells, cell).delete()


def analysis_of(sweep: Sweep, cells: list[Cell]) -> Analysis | None:
    """The laws of what has ended; None if nothing has finished."""
    records = list(sweep.records(cells).values())
    if not any(record.status == "finished" for record in records):
        return None
    return analyse(summary.frame(records))


def report(sweep: Sweep, cells: list[Cell], uri: str) -> None:
    """Fit the laws, write the report, and log it to MLflow if that answers."""
    from mlflow.exceptions import MlflowException

    from fitting.report import log_to_mlflow, write

    analysis = analysis_of(sweep, cells)
    if analysis is None:
        return
    with sweep.report.writing_folder() as folder:
        paths = write(analysis, folder)
        try:
            log_to_mlflow(analysis, paths, sweep.grid.name, uri)
        except MlflowException as error:
            say(f"The report is not in MLflow: {error}")


def drained(tracker: Any, seconds: float = 60) -> bool:
    """Wait until MLflow has taken everything; say so if it does not."""
    import ray

    until = time.monotonic() + seconds
    while pending := ray.get(tracker.pending.remote()):
        if time.monotonic() > until:
            say(
                f"MLflow does not answer: {pending} writes wait. The records are safe on disk; "
                "the same command sends them again."
            )
            return False
        time.sleep(0.1)
    return True


def conclude(sweep: Sweep, cells: list[Cell]) -> int:
    """Print what came of it; 1 unless every cell finished."""
    records = sweep.records(cells)
    missing = [cell.name for cell in cells if cell.key not in records]
    ui = own_tracker() or f"make ui   (or: python sweeps/ui.py --out {sweep.out})"
    summary.show(list(records.values()), missing, analysis_of(sweep, cells), sweep.report, ui)
    finished = [record for record in records.values() if record.status == "finished"]
    return 0 if len(finished) == len(cells) else 1


def tags() -> dict[str, str]:
    """What every MLflow run carries: which code. The data's fingerprint is a cell's parameter."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    code = found.stdout.strip() or "unknown"
    return {"crescendo.code": code}


def say(text: str) -> None:
    """To the user, past whatever `quiet` has redirected."""
    print(text, file=sys.__stdout__, flush=True)


@contextlib.contextmanager
def quiet(log: Path, verbose: bool) -> Iterator[None]:
    """Send what Ray and MLflow print to a file, unless the user wants to see it."""
    if verbose:
        yield
        return
    # Read at import and by Tune, whose new output prints whatever its verbosity.
    os.environ |= {"RAY_AIR_NEW_OUTPUT": "0", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "1"}
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("a") as file,
        contextlib.redirect_stdout(file),
        contextlib.redirect_stderr(file),
    ):
        yield


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--grid", default="quickstart", help="a shipped grid's name or a YAML file [quickstart]"
    )
    parser.add_argument(
        "--out",
        type=Location.of,
        default=Location.of("runs"),
        help="where data, cells and reports go: a folder that every node sees, or s3://... [runs]",
    )
    parser.add_argument(
        "--retry-failed", action="store_true", help="train cells again that ended as failed"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="show what Ray says, too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
