"""Run a grid: data, cells, law. The same command resumes where it stopped.

python sweeps/run_grid.py                      the quickstart: small models, 15 minutes
python sweeps/run_grid.py --grid my_grid.yaml  your own, see sweeps/grids/README.md
python sweeps/run_grid.py --grid lakh --dry-run --cluster 8x1 --gpu-price 0.5
python sweeps/run_grid.py --grid lakh --status
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

try:
    import data  # noqa: F401  Tells it itself where other packages are missing.
except ModuleNotFoundError:
    raise SystemExit(
        "run_grid: Crescendo is not installed for this Python. "
        "After `make sweep` or `make test`: source .venv/bin/activate"
    ) from None

from data.errors import DataError, with_remedy
from data.store.lock import held
from data.store.manifest import Manifest, read_manifest
from data.store.private import private_folder
from data.store.versioned import VersionError
from fitting.runs.escape import masked
from fitting.runs.tracking import SQLITE
from sweeps import arguments, best, removal
from sweeps.console import any_encoding, busy, complain, quiet, say
from sweeps.errors import GridError
from sweeps.falls import accident
from sweeps.falls.standing import GOES_ON, TRACKER_FELL, Standing, on_signals
from sweeps.grids.grid_file import grid_file
from sweeps.scheduling.ledger import priced, read_ledger
from sweeps.sweep import Listed, Sweep, Tracked, only
from trainers.ladder import LadderError
from trainers.names import names

if TYPE_CHECKING:
    from argparse import Namespace


def main() -> int:
    args = arguments.parse(__doc__ or "")
    sweep = Sweep(args.grid, tuple(args.options), args.out)
    any_encoding()
    try:
        grid_file(args.grid)
        if args.dry_run:
            from sweeps.scheduling import plan

            cost = (args.gpu_price, args.gpu_tflops, args.gpu)
            return plan.show(sweep, args.only, args.cluster, *cost)
        if args.status:
            from sweeps.view import status

            status.show(sweep, args.only)
            return 0
        on_signals(interrupt)
        if args.check:
            return check_nodes(sweep, args.verbose)
        if not (args.fresh or args.prune):
            if cells := nothing_to_do(sweep, args):
                priced(sweep.folder, args.gpu_price)
                return conclude(sweep, cells)
            say(f"Sweep    {sweep.name}, in {sweep.folder}")
        # The grid is read before the folder is made: a mistake in it leaves nothing.
        with held(sweep.folder, f"works on the sweep of {sweep.grid.name}"):
            if args.prune:
                return 0 if removal.prune(sweep, args.only) else 1
            if args.fresh and not removal.erase(sweep, args.only):
                return 1
            priced(sweep.folder, args.gpu_price)
            with quiet(log_file(sweep), args.verbose):
                cells, tracked = run(sweep, args)
            return max(conclude(sweep, cells), int(not tracked))
    except (GridError, DataError, LadderError, VersionError) as error:
        complain(f"run_grid: {error}")
        return 2
    except OSError as error:
        complain(f"run_grid: {with_remedy(error)}")
        return 1
    except (KeyboardInterrupt, SystemExit):  # While Ray starts, its own handler exits on SIGTERM.
        complain("Interrupted. Nothing is lost: the same command goes on.")
        if "ray" not in sys.modules:
            return 130
        # A thread that still asks Ray, for its cells to be saved, would have it end this with 1.
        os._exit(130)
    except Exception as error:
        complain(accident.told(error, log_file(sweep)))
        return 1


def check_nodes(sweep: Sweep, verbose: bool) -> int:
    say(f"Grid     {sweep.grid.name}")  # A mistake in the grid ends this before Ray starts.
    with tempfile.TemporaryDirectory() as folder, quiet(Path(folder) / "log", verbose):
        from data import cluster
        from sweeps.check import check

        cluster.join(log_to_driver=verbose)
        return check(sweep, own_tracker())


def interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def nothing_to_do(sweep: Sweep, args: Namespace) -> list[Listed] | None:
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
    one = best.shown(sweep)
    ended = [*records, *sweep.records([one.cell] if one else [])]
    if len(records) < len(cells) or not tracked.issuperset(ended):
        return None
    if best.standing(sweep).to_train or (args.retry_failed and failed(sweep, cells)):
        return None
    say(f"Nothing to do: all {len(cells)} cells of {sweep.name} have ended.")
    return cells


def failed(sweep: Sweep, cells: list[Listed]) -> list[str]:
    """The keys of those that failed, and of the best that was trained on, if it did."""
    one = best.shown(sweep)
    records = sweep.records([*(cell.key for cell in cells), *([one.cell] if one else [])])
    return [key for key, record in records.items() if record.status == "failed"]


def run(sweep: Sweep, args: Namespace) -> tuple[list[Listed], bool]:
    """Train every selected cell of the grid to its end, fit, and track. Returns the cells, and
    whether MLflow has all of it."""
    # Imported here, because they take longer than finding that there is nothing to do.
    with busy("Ray      reads its libraries"):
        import ray
        from ray.exceptions import RayActorError, RayError, RayTaskError

        from trainers.job import reason

    uri = own_tracker() or f"{SQLITE}{own_database(sweep)}"
    with Standing(sweep.folder, sweep.alive) as standing:
        try:
            return run_with_ray(sweep, args, uri, standing)
        except RayError as error:
            # As Ray raises what a task raised, its text is a page, and it has no number.
            cause = error.cause if isinstance(error, RayTaskError) else error
            if isinstance(cause, RayActorError):
                raise OSError(f"{TRACKER_FELL}. {GOES_ON}") from error
            if isinstance(cause, RayError):
                why = reason(cause)
                raise OSError(f"Ray lost what the sweep needs: {why}. {GOES_ON}") from error
            raise cause from error
        finally:
            standing.close()
            ray.shutdown()


def run_with_ray(
    sweep: Sweep, args: Namespace, uri: str, standing: Standing
) -> tuple[list[Listed], bool]:
    import ray

    from data import cluster
    from sweeps.phases import Stage, phases_of
    from sweeps.results import forecasts, handing, paying
    from sweeps.results.reporting import report, stored
    from sweeps.scheduling.jobs import refuse_what_never_fits
    from sweeps.scheduling.schedule import DRIVER, present
    from sweeps.tracking import database
    from sweeps.tracking.tracker import Tracker, tags

    with busy("Ray      starts"):
        own_cluster = cluster.join(log_to_driver=args.verbose)
    on_signals(interrupt)  # Ray has put its own handlers there.
    if not own_cluster:
        standing.joined(ray.get_runtime_context().gcs_address)
    warn_of_another(sweep)
    # On the head, because MLflow may be on its disk, or listen on its loopback interface only.
    on_head = ray.remote(num_cpus=0, resources=DRIVER)
    made = on_head(database.make).remote(uri)
    for tokenizer in sweep.grid.data.tokenizer:
        prepare_data(sweep, tokenizer)
    every = sweep.resolve()
    listed = sweep.listed()
    chosen = only(listed, args.only)
    if args.retry_failed:
        sweep.forget(failed(sweep, chosen))
    records, unreadable = sweep.read(cell.key for cell in every)
    for line in unreadable.values():
        say(f"Left alone: {line}")
    wanted = {cell.key for cell in chosen} - set(records) - set(unreadable)
    forecasts.refuse_targets_alone(sweep, listed, wanted)
    pending = [cell for cell in every if cell.key in wanted]
    targets = {cell.key for cell in listed if cell.target}
    phases = phases_of(sweep, pending, targets)
    if own_cluster:
        refuse_what_never_fits(phases.jobs, present())
    say(f"MLflow   {how_to_browse(sweep)}")

    ray.get(made)
    called = names({cell.key: vars(cell) for cell in every})
    tracker = on_head(Tracker).remote(uri, sweep.name, tags(sweep.corpus, sweep.cells), called)
    standing.stands_on(tracker)
    for record in records.values():
        tracker.finish.remote(record)
    foot = [f"MLflow   {how_to_browse(sweep)}", f"Log      {log_file(sweep)}"]
    stage, began = Stage(sweep, tracker, uri, foot, args.verbose), time.time()
    faults = []
    if pending:
        say(
            f"Cells    {len(records)} have ended, {len(pending)} to train; "
            f"jobs, each with its own workers: {len(phases.jobs)}"
        )
        statuses = [record.status for record in records.values()]
        faults = stage.grid(phases, every, statuses)
    if sweep.best_epochs:
        faults += stage.best()
    for fault in faults:
        say(f"Stopped  {fault}. {GOES_ON}")
    ray.get(tracker.close.remote())
    tracked = stored(tracker)
    paying.settle(sweep, ray.get(tracker.trained_twice.remote()), began)
    # After the runs: the report belongs to their experiment.
    tracked = report(sweep, uri if tracked else None) and tracked
    handing.export_best(sweep)
    if tracked:
        keys = [cell.key for cell in every] + ([one.cell] if (one := best.shown(sweep)) else [])
        sweep.tracked.write_text(json.dumps(asdict(Tracked(list(sweep.records(keys))))))
    return chosen, tracked


def warn_of_another(sweep: Sweep) -> None:
    """Say that another sweep works in this bucket, which knows no locks."""
    from sweeps.view import status

    if sweep.folder.local is None and status.alive(sweep).jobs:
        say(
            f"Another sweep reported from {sweep.folder} less than {status.STALE_SECONDS} s ago. "
            "Unless that one was killed, end one of the two: both would train the same cells."
        )


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
    with busy(f"Data     {spec.source} as {tokenizer}"):
        manifest = (
            read_manifest(folder)
            if sweep.given
            else prepare(
                spec.source,
                tokenizer,
                folder,
                ticks_per_quarter=spec.ticks_per_quarter,
                filters=spec.filters,
                max_tokens=spec.max_tokens,
                works=spec.works,
                facts=spec.facts,
            )
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


def conclude(sweep: Sweep, cells: list[Listed]) -> int:
    """Print the results; returns 1 unless every cell finished."""
    from sweeps.results import forecasts, paying, summary, trained_on
    from sweeps.results.pairing import paired_lines
    from sweeps.results.reporting import analysis_of, ended

    records, unreadable = sweep.read(cell.key for cell in cells)
    called = names({cell.key: cell.fields for cell in sweep.listed()})
    missing = {cell.key: "it has not ended" for cell in cells if cell.key not in records}
    left_out = {called[key]: why for key, why in (missing | unreadable).items()}
    review = forecasts.reviewed(sweep)
    laws, paired = analysis_of(sweep, ended(sweep)), paired_lines(sweep.cells, records.values())
    ui, stands = how_to_browse(sweep), best.standing(sweep)
    told = [
        trained_on.sentence(sweep, stands),
        paying.sentence(paying.bill_of(sweep, read_ledger(sweep.folder))),
    ]
    finished = [record for record in records.values() if record.status == "finished"]
    more = summary.following(sweep) if finished else []
    summary.show(records, called, left_out, laws, paired, review, told, sweep.report, ui, more)
    return 0 if len(finished) == len(cells) and stands.is_well else 1


if __name__ == "__main__":
    sys.exit(main())
