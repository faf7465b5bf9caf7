"""Fit the laws of an experiment and write the report.

    python -m fitting.report --experiment NAME [--tracking-uri URI] [--out DIR]
    python -m fitting.report --csv runs.csv --out DIR
    ... --against tokens | flops         L(D) or L(C), whatever the design of the runs
    ... --loss NAME                      a law of any measured quantity that falls with size

From MLflow the report is also logged, to the run of kind `fit` of the same experiment.
"""

import argparse
import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from fitting.analysis import Analysis, analyse
from fitting.contract import AGAINST, KIND, LAW, LOSS, VERDICT
from fitting.export import figures, notebook, tables
from fitting.outcomes import Review
from fitting.page import report_page
from fitting.page.about import About, day, software
from fitting.page.told import Told
from fitting.runs.axis import AXES
from fitting.runs.baselines import read_baselines
from fitting.runs.escape import mlflow_name
from fitting.runs.loss import LOSSES, VAL_LOSS
from fitting.runs.read import RecordError, read_csv, read_mlflow, to_json
from fitting.runs.tracking import OF_SWEEPS, find, log_file, refuse_without_server

__all__ = ["analyse", "log_to_mlflow", "main", "write"]


def write(
    analysis: Analysis,
    out_dir: Path,
    forecast: Review | None = None,
    progress: Callable[[str], None] = lambda step: None,
    about: About | None = None,
    told: Sequence[Told] = (),
) -> dict[str, Path]:
    """Write every file of the report into `out_dir`, made if absent: name to path.

    about: what the report is of. progress: called with the name of each of four steps as it begins.
    told: sections of the caller's.
    """
    # Names may be in any script, and the fonts of figures cover only a few.
    warnings.filterwarnings("ignore", message="Glyph .* missing from font")
    out_dir.mkdir(parents=True, exist_ok=True)
    # Moved when all are whole: of what is there, any may be a link, which writing would follow.
    with tempfile.TemporaryDirectory(prefix=".", dir=out_dir) as aside:
        written = _write(analysis, Path(aside), out_dir, forecast, progress, about or About(), told)
        return {name: path.replace(out_dir / name) for name, path in written.items()}


def _write(
    analysis: Analysis,
    aside: Path,
    out_dir: Path,
    forecast: Review | None,
    progress: Callable[[str], None],
    about: About,
    told: Sequence[Told],
) -> dict[str, Path]:
    progress("figures")
    paths = figures.draw(analysis, aside)
    progress("tables")
    data = tables.fit_json(analysis) | {
        "about": about.with_records(analysis.records).to_json(),
        "forecast": forecast and forecast.to_json(),
        **{each.name: dict(each.values) for each in told},
    }
    texts = {
        "fit.json": json.dumps(data, indent=1, allow_nan=False) + "\n",
        "laws.csv": tables.laws_csv(analysis),
        "laws.tex": tables.laws_tex(analysis),
        "records.json": to_json(analysis.records),
        "runs.csv": tables.runs_csv(analysis),
    }
    for name, text in texts.items():
        paths[name] = aside / name
        paths[name].write_text(text, encoding="utf-8")
    progress("notebook")
    paths["report.ipynb"] = notebook.write(analysis.axis, analysis.loss.column, aside)
    progress("page")
    beside = [*paths, *sorted(path.name for path in out_dir.glob("samples*.html"))]
    page = paths["report.html"] = aside / "report.html"
    page.write_text(report_page.html(analysis, about, beside, forecast, told), encoding="utf-8")
    return paths


def log_to_mlflow(
    analysis: Analysis,
    paths: dict[str, Path],
    experiment: str,
    tracking_uri: str,
    metrics: Mapping[str, float] | None = None,
) -> str:
    """Log the report to the experiment's run of kind `fit`, created if absent; returns its run id.

    metrics: more numbers for that run, by name.

    Laws against tokens and against FLOPs each have their own run, and so has each loss.
    """
    client, found = find(experiment, tracking_uri)
    tags = {KIND: "fit", AGAINST: analysis.axis.column}
    wanted = " and ".join(f"tags.`{tag}` = '{value}'" for tag, value in tags.items())
    runs = client.search_runs([found.experiment_id], wanted)
    # Runs from before there was a choice have no tag for it.
    mine = [run for run in runs if run.data.tags.get(LOSS, VAL_LOSS) == analysis.loss.column]
    if mine:
        run = mine[0]
    else:
        tags |= {LOSS: analysis.loss.column}
        run = client.create_run(found.experiment_id, run_name="fit", tags=tags)
    run_id = run.info.run_id
    for arch, law in analysis.laws.items():
        name = mlflow_name(arch)
        said = {
            f"{LAW}.{name}": law.lines(analysis.axis.symbol)[0],
            f"{VERDICT}.{name}": law.lead_verdict.word,
        }
        for tag, text in said.items():
            client.set_tag(run_id, tag, text)
            if analysis.loss.column == VAL_LOSS:
                client.set_experiment_tag(found.experiment_id, tag, text)
        if law.fit is not None:
            for letter, value in (("alpha", law.alpha), ("a", law.a), ("c", law.c)):
                client.log_metric(run_id, f"{name}.{letter}", value)
        if leading := law.leading_surface:
            for letter in ("E", "A", "B", "alpha", "beta"):
                client.log_metric(
                    run_id, f"{name}.surface.{letter}", getattr(leading.surface, letter)
                )
    for name, value in (metrics or {}).items():
        client.log_metric(run_id, mlflow_name(name), value)
    for path in paths.values():
        log_file(client, run, path)
    client.set_terminated(run_id)
    return run_id


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = _parser()
    args = parser.parse_args(argv)
    if args.setting and not args.csv:
        parser.error("--setting names a column of a table: it goes with --csv")
    try:
        with _bar() as progress:
            if args.csv:
                records = read_csv(args.csv, args.setting, args.loss)
            else:
                _, found = find(args.experiment, args.tracking_uri)
                refuse_without_server(found, args.tracking_uri)
                records = read_mlflow(args.experiment, args.tracking_uri)
            progress(f"laws of {records['arch'].nunique()} architectures")
            analysis = analyse(records, args.against, args.loss)
            # Notes on reading the table come first.
            notes = (*records.attrs.get("notes", ()), *analysis.notes)
            counted = read_baselines(args.baselines, records) if args.baselines else {}
            analysis = replace(analysis, notes=notes, baselines=counted)
            paths = write(analysis, args.out, progress=progress, about=_about(args))
            if args.experiment:
                log_to_mlflow(analysis, paths, args.experiment, args.tracking_uri)
    except (RecordError, OSError) as error:
        print(f"fitting.report: {error}", file=sys.stderr)
        return 1
    print("\n".join(analysis.lines()))
    print(f"report: {paths['report.html'].resolve()}")
    return 0


def _about(args: argparse.Namespace) -> About:
    """The table or the experiment that the command names, when and by what it was fitted."""
    title = f"Table {Path(args.csv).name}" if args.csv else f"Experiment {args.experiment}"
    return About(title, {"written": day(time.time()), "software": software("numpy", "scipy")})


@contextmanager
def _bar() -> Iterator[Callable[[str], None]]:
    """A progress bar on stderr if that is a terminal; the function advances it by a step."""
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    shown = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with shown:
        task = shown.add_task("records", total=6)
        yield lambda step: shown.update(task, description=step, advance=1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fitting.report",
        description="Fit L(N) = a N^-alpha + c to every architecture of an experiment or a table, "
        "with intervals and a verdict, and write report.html, report.ipynb, fit.json, laws.csv, "
        "laws.tex and figures.",
        epilog="A table needs the columns arch, n_params and val_loss (or that of --loss); size, "
        "seed, lr, tokens, flops, status and the others of fitting/contract.py are used where "
        "present. In laws.csv and runs.csv, text that a spreadsheet would take for a formula "
        "(beginning with =, +, - or @) is prefixed with an apostrophe.",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--experiment", metavar="NAME", help="read the cells of an MLflow experiment"
    )
    source.add_argument("--csv", metavar="FILE", help="read a table of runs, one row per run")
    parser.add_argument(
        "--setting",
        metavar="NAME",
        action="append",
        default=[],
        help="a column of the table that separates runs, in addition to the standard settings: "
        "each of its values gets its own laws; may be repeated",
    )
    parser.add_argument(
        "--tracking-uri",
        metavar="URI",
        default=os.environ.get("MLFLOW_TRACKING_URI", OF_SWEEPS),
        help="MLflow server or database (default: MLFLOW_TRACKING_URI, else that of the sweeps "
        f"below runs, {OF_SWEEPS})",
    )
    parser.add_argument(
        "--against",
        choices=list(AXES),
        default="",
        help="what the loss is fitted against (default: by the design of the runs, flops where "
        "tokens vary as well as size, else n_params)",
    )
    parser.add_argument(
        "--loss",
        metavar="NAME",
        default=VAL_LOSS,
        help="column of the loss (default: %(default)s): any measured quantity above 0 that falls "
        f"with size, with its standard error in NAME_se if there is one; {', '.join(LOSSES)} have "
        "known units",
    )
    parser.add_argument(
        "--baselines",
        metavar="FILE",
        type=Path,
        help="baselines.json of the data that the runs trained on, made by python -m "
        "trainers.baselines: its losses are drawn and listed beside those of the runs",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        default=Path("report"),
        help="folder to write to (default: %(default)s)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
