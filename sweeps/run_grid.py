"""Run a grid: data, cells, law. The same command resumes where it stopped.

python sweeps/run_grid.py                      the quickstart: small models, 15 minutes
python sweeps/run_grid.py --grid my_grid.yaml  your own, see sweeps/grids/README.md
python sweeps/run_grid.py --grid lakh --dry-run --cluster 8x1 --gpu-price 0.5
python sweeps/run_grid.py --grid lakh --status
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from data.errors import DataError, printable
from data.store.location import Location
from data.store.manifest import Manifest
from data.store.private import private_folder
from data.store.versioned import VersionError
from fitting.runs.escape import masked
from fitting.runs.tracking import SQLITE
from sweeps import removal
from sweeps.console import quiet, say
from sweeps.errors import GridError
from sweeps.sweep import Listed, Sweep, Tracked, only
from trainers.ladder import LadderError
from trainers.names import names

if TYPE_CHECKING:
    from collections.abc import Callable

    from fitting.analysis import Analysis
    from sweeps.jobs import Job
    from sweeps.packing import Capacity
    from trainers.cell import Cell


def main() -> int:
    args = parse_args()
    sweep = Sweep(args.grid, tuple(args.options), args.out)
    try:
        if args.dry_run:
            from sweeps import plan

            cost = (args.gpu_price, args.gpu_tflops, args.gpu)
            return plan.show(sweep, args.only, args.cluster, *cost)
        if args.status:
            from sweeps import status

            status.show(sweep, args.only)
            return 0
        if args.prune:
            return 0 if removal.prune(sweep, args.only) else 1
        signal.signal(signal.SIGTERM, interrupt)
        if args.check:
            return check_nodes(sweep, args.verbose)
        if args.fresh and not removal.erase(sweep, args.only):
            return 1
        cells = nothing_to_do(sweep, args)
        if cells is None:
            with quiet(log_file(sweep), args.verbose):
                cells = run(sweep, args)
        return conclude(sweep, cells)
    except (GridError, DataError, LadderError, VersionError) as error:
        print(f"run_grid: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"run_grid: {printable(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. Nothing is lost: the same command goes on.", file=sys.stderr)
        return 130


def check_nodes(sweep: Sweep, verbose: bool) -> int:
    say(f"Grid     {sweep.grid.name}")  # A mistake in the grid ends this before Ray starts.
    with tempfile.TemporaryDirectory() as folder, quiet(Path(folder) / "log", verbose):
        from data import cluster
        from sweeps.check import check

        cluster.join(log_to_driver=verbose)
        return check(sweep, own_tracker())


def interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def nothing_to_do(sweep: Sweep, args: argparse.Namespace) -> list[Listed] | None:
    """The cells, if all have ended and are tracked; else None. Takes a second and starts
    nothing."""
    tracked = sweep.tracked_cells()
    if not tracked:
        return None
    try:
        cells = only(sweep.listed(), args.only)
    except DataError:
        return None
    records = sweep.records(cell.key for cell in cells)
    failed = any(record.status == "failed" for record in records.values())
    if len(records) < len(cells) or not tracked.issuperset(records):
        return None
    if failed and args.retry_failed:
        return None
    print(f"Nothing to do: all {len(cells)} cells of {sweep.name} have ended.")
    return cells


def run(sweep: Sweep, args: argparse.Namespace) -> list[Listed]:
    """Train every selected cell of the grid to its end, fit, and track. Returns the cells."""
    # Imported here, because they take longer than finding that there is nothing to do.
    import ray

    from data import cluster
    from sweeps import database, forecasts
    from sweeps.jobs import refuse_what_never_fits
    from sweeps.leaving import Leaving
    from sweeps.live import LiveView
    from sweeps.schedule import DRIVER, present, run_jobs
    from sweeps.tracking import Tracker, tags

    uri = own_tracker() or f"{SQLITE}{own_database(sweep)}"
    try:
        own_cluster = cluster.join(log_to_driver=args.verbose)
        # On the head, because MLflow may be on its disk, or listen on its loopback interface only.
        on_head = ray.remote(num_cpus=0, resources=DRIVER)
        made = on_head(database.make).remote(uri)
        for tokenizer in sweep.grid.data.tokenizer:
            prepare_data(sweep, tokenizer)
        every = sweep.resolve()
        listed = sweep.listed()
        chosen = only(listed, args.only)
        if args.retry_failed:
            records = sweep.records(cell.key for cell in chosen)
            sweep.forget(key for key, record in records.items() if record.status == "failed")
        records, unreadable = sweep.read(cell.key for cell in every)
        for line in unreadable.values():
            say(f"Left alone: {line}")
        wanted = {cell.key for cell in chosen} - set(records) - set(unreadable)
        forecasts.refuse_targets_alone(sweep, listed, wanted)
        pending = [cell for cell in every if cell.key in wanted]
        targets = {cell.key for cell in listed if cell.target}
        phases, cut = phases_of(sweep, pending, targets)
        jobs = [job for phase in phases for job in phase]
        if own_cluster:
            refuse_what_never_fits(jobs, present())
        say(f"MLflow   {how_to_browse(sweep)}")

        ray.get(made)
        called = names({cell.key: vars(cell) for cell in every})
        tracker = on_head(Tracker).remote(uri, sweep.name, tags(), called)
        for record in records.values():
            tracker.finish.remote(record)
        if pending:
            say(
                f"Cells    {len(records)} have ended, {len(pending)} to train; "
                f"jobs, each with its own workers: {len(jobs)}"
            )
            statuses = [record.status for record in records.values()]
            view = LiveView(jobs, statuses, tracker, sweep.alive)

            def again(cells: list[Cell], capacity: Capacity) -> list[Job]:
                found = cut(cells, capacity)
                view.regroup(found)
                return found

            with view, Leaving(tracker, sweep.cells):
                first, last = phases
                run_jobs(first, again, sweep.cells, tracker, {}, args.verbose)
                waiting = [cell for job in last for cell in job.cells]
                told = forecasts.registered(sweep, every, waiting, tracker, uri) if last else None
                if told is not None:
                    run_jobs(last, again, sweep.cells, tracker, told, args.verbose)
        report(sweep, uri)
        ray.get(tracker.close.remote())
        if drained(tracker):
            ended = Tracked(list(sweep.records(cell.key for cell in every)))
            sweep.tracked.write_text(json.dumps(asdict(ended)))
        return chosen
    finally:
        ray.shutdown()


def own_tracker() -> str | None:
    """The user's MLflow, if there is one."""
    return os.environ.get("MLFLOW_TRACKING_URI")


def own_database(sweep: Sweep) -> Path:
    """Where MLflow's database is, without a server. Raises GridError if that is not on a disk."""
    if sweep.out.local is None:
        raise GridError(
            f"--out is {sweep.out}, which cannot hold MLflow's database; set MLFLOW_TRACKING_URI "
            "to a server, or to sqlite:////FOLDER/mlflow.db on the head's disk"
        )
    return sweep.out.local / "mlflow" / "mlflow.db"


def how_to_browse(sweep: Sweep) -> str:
    """What the user opens MLflow with, while the sweep runs and after."""
    return masked(own_tracker() or "") or f"make ui   (or: python sweeps/ui.py --out {sweep.out})"


def log_file(sweep: Sweep) -> Path:
    """Where the output of libraries goes: beside the cells if those are on a disk."""
    folder = sweep.folder.local or private_folder(sweep.name)
    return folder / "libraries.log"


def prepare_data(sweep: Sweep, tokenizer: str) -> Manifest:
    from data.prepare import prepare
    from data.store.flat import UNCHECKED, check_sums

    spec, started = sweep.grid.data, time.monotonic()
    folder = sweep.data(tokenizer)
    manifest = prepare(
        spec.source,
        tokenizer,
        folder,
        ticks_per_quarter=spec.ticks_per_quarter,
        filters=spec.filters,
        max_tokens=spec.max_tokens,
        works=spec.works,
    )
    train = manifest.splits["train"]
    say(
        f"Data     {train['pieces']:,} pieces, {train['tokens']:,} tokens to train on "
        f"({time.monotonic() - started:.0f} s)"
    )
    # What lies in a bucket is checked on each node that copies it.
    if folder.local and not check_sums(folder):
        say(f"{folder}: {UNCHECKED}")
    return manifest


def phases_of(
    sweep: Sweep, cells: list[Cell], targets: set[str]
) -> tuple[tuple[list[Job], list[Job]], Callable[[list[Cell], Capacity], list[Job]]]:
    """Jobs for the cluster as it is now: those of other cells, then those of the targets. And what
    cuts those that wait into jobs for another cluster."""
    from sweeps import jobs
    from sweeps.schedule import present
    from sweeps.throughput import guessed_seconds

    kept = jobs.kept_of(sweep.cells, cells)
    seconds = guessed_seconds

    def cut(cells: list[Cell], capacity: Capacity) -> list[Job]:
        return jobs.jobs_of(cells, sweep.grid.placement, sweep.data, seconds, capacity, kept)

    return jobs.in_phases(cells, targets, sweep, seconds, present(), kept), cut


def analysis_of(sweep: Sweep) -> Analysis | None:
    """The laws of the cells that have ended; None if none has finished. Raises GridError."""
    from fitting.analysis import analyse
    from fitting.runs.read import RecordError
    from sweeps import summary

    records = list(sweep.records(cell.key for cell in sweep.listed()).values())
    if not any(record.status == "finished" for record in records):
        return None
    try:
        return analyse(summary.frame(records))
    except RecordError as error:
        raise GridError(str(error)) from error


def report(sweep: Sweep, uri: str) -> None:
    """Fit the laws and write the report; then let the models compose, and link to what they did."""
    from fitting.page import report_page
    from fitting.report import write
    from sweeps import forecasts
    from sweeps.composing import samples

    analysis = analysis_of(sweep)
    if analysis is None:
        return
    review = forecasts.reviewed(sweep, uri)
    with sweep.report.writing_folder() as folder:
        log(sweep, uri, analysis, write(analysis, folder, review))
    # The law is safe now: whatever goes wrong here costs the samples only.
    try:
        with sweep.report.writing_folder() as folder:
            if pages := samples(sweep, folder):
                page = folder / "report.html"
                html = report_page.html(analysis, list(pages.values()), review)
                Location.of(page).write_text(html)
                log(sweep, uri, analysis, pages | {page.name: page})
    except OSError as error:
        say(f"The report does not link to the samples: {error}")


def log(sweep: Sweep, uri: str, analysis: Analysis, paths: dict[str, Path]) -> None:
    """Log files of the report to MLflow, if that answers."""
    from mlflow.exceptions import MlflowException

    from fitting.report import log_to_mlflow
    from fitting.runs.read import RecordError

    try:
        log_to_mlflow(analysis, paths, sweep.name, uri)
    except (MlflowException, RecordError) as error:
        say(f"The report is not in MLflow: {error}")


def drained(tracker: Any, seconds: float = 60) -> bool:
    """Wait until MLflow has accepted everything; say so if it does not."""
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


def conclude(sweep: Sweep, cells: list[Listed]) -> int:
    """Print the results; returns 1 unless every cell finished."""
    from sweeps import forecasts, summary
    from sweeps.pairing import paired_lines

    records, unreadable = sweep.read(cell.key for cell in cells)
    called = names({cell.key: cell.fields for cell in sweep.listed()})
    missing = {cell.key: "it has not ended" for cell in cells if cell.key not in records}
    left_out = {called[key]: why for key, why in (missing | unreadable).items()}
    review = forecasts.reviewed(sweep)
    laws, paired = analysis_of(sweep), paired_lines(sweep.cells, records.values())
    ui = how_to_browse(sweep)
    summary.show(records, called, left_out, laws, paired, review, sweep.report, ui)
    finished = [record for record in records.values() if record.status == "finished"]
    return 0 if len(finished) == len(cells) else 1


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--grid", default="quickstart", help="a shipped grid's name or a YAML file [quickstart]")
    add(
        "--with",
        dest="options",
        metavar="OPTION",
        action="append",
        default=[],
        help="apply an option of the grid file; may be given several times",
    )
    add(
        "--out",
        type=Location.of,
        default=Location.of("runs"),
        help="where data, cells and reports go: a folder that every node sees, or s3://... [runs]",
    )
    add("--only", default="", metavar="'arch=lstm size=5M,20M'", help="only these cells")
    add("--retry-failed", action="store_true", help="retry cells that failed")
    add("--fresh", action="store_true", help="remove what was trained, after asking")
    add("--prune", action="store_true", help="remove trunks' checkpoints, after asking")
    add("--status", action="store_true", help="print the state of each cell; starts nothing")
    add("--check", action="store_true", help="test whether every node can run it; trains nothing")
    add("--dry-run", action="store_true", help="print the time, memory and cost; starts nothing")
    add("--cluster", default="", metavar="8x1", help="also plan for NODESxGPUS[xCPUS]")
    add("--gpu-price", type=float, help="also plan the cost, at this price per GPU-hour")
    add(
        "--gpu-tflops",
        type=float,
        default=30,
        help="assumed TFLOP/s of a GPU, for a plan made on a machine without one [30]",
    )
    add(
        "--gpu",
        default="",
        metavar="h100",
        help="plan for this card, from docs/results/gpu_speed.csv, which benchmarks/gpu.py writes",
    )
    add("-v", "--verbose", action="store_true", help="also show the output of Ray")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
