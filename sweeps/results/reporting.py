"""The end of a sweep: what it left goes to MLflow, into the laws and into the report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.errors import one_line
from data.store.location import Location
from sweeps.console import busy, say
from sweeps.errors import GridError
from sweeps.sweep import Sweep
from sweeps.tracking.tracker import SHOWN
from trainers.records import Record
from trainers.version import code_version

if TYPE_CHECKING:
    import pandas as pd

    from fitting.analysis import Analysis
    from fitting.outcomes import Review
    from fitting.page.about import About
    from fitting.page.told import Told
    from fitting.runs.baselines import Baselines

BASELINES = "baselines.json"
"""Beside the data: what `python -m trainers.baselines` counted."""
IDLE_SECONDS = 40
"""The longest that MLflow may take for a write before the sweep ends without it."""

DRAWS = "Report   draws figures and tables"


def stored(tracker: Any) -> bool:
    """Wait until MLflow has everything, as long as it goes on; say so if it does not."""
    import ray

    before, until = None, time.monotonic() + IDLE_SECONDS
    while pending := ray.get(tracker.pending.remote()):
        if pending != before:
            before, until = pending, time.monotonic() + IDLE_SECONDS
        if time.monotonic() > until:
            break
        time.sleep(0.1)
    refusal = ray.get(tracker.refusal.remote())
    if refusal:
        waits = f"{pending} writes wait" if pending else "what it refused is left out"
        say(
            f"MLflow at {refusal}. {waits[0].upper()}{waits[1:]}. The records are safe; the same "
            "command sends them again."
        )
    return not pending and not refusal


def ended(sweep: Sweep) -> list[Record]:
    """The records of all of its cells that have ended."""
    return list(sweep.records(cell.key for cell in sweep.listed()).values())


def analysis_of(sweep: Sweep, records: list[Record]) -> Analysis | None:
    """The laws of the cells that have ended; None if none has finished. Raises GridError."""
    from fitting.analysis import analyse
    from fitting.runs.read import RecordError
    from sweeps.results import summary

    if not any(record.status == "finished" for record in records):
        return None
    runs = summary.frame(records)
    try:
        analysis = analyse(runs)
    except RecordError as error:
        raise GridError(str(error)) from error
    try:
        return replace(analysis, baselines=baselines(sweep, runs))
    except (RecordError, OSError) as error:
        return replace(analysis, notes=(*analysis.notes, f"Baselines are left out: {error}."))


def baselines(sweep: Sweep, runs: pd.DataFrame) -> Baselines:
    """What counting alone reaches on the data of the runs, where someone counted; nothing where
    there are several data sets. Raises RecordError, OSError."""
    from fitting.runs.baselines import parse_baselines

    tokenizers = sweep.grid.data.tokenizer
    file = sweep.data(tokenizers[0]) / BASELINES
    if len(tokenizers) > 1 or not file.exists():
        return {}
    return parse_baselines(file.read_text(), str(file), runs)


@dataclass(frozen=True)
class Contents:
    """What a report says."""

    analysis: Analysis
    about: About
    review: Review | None
    told: list[Told]

    def write(self, folder: Path) -> dict[str, Path]:
        """Every file of it: name to path."""
        from fitting.report import write

        return write(self.analysis, folder, self.review, about=self.about, told=self.told)

    @property
    def metrics(self) -> dict[str, float]:
        """What MLflow's run of the report has as numbers, beside the laws."""
        from sweeps.results import paying

        paid = [paying.metrics(each) for each in self.told if each.name == "paid"]
        return paid[0] if paid else {}

    def page(self, beside: Sequence[str]) -> str:
        """report.html. beside: names of the files in its folder."""
        from fitting.page import report_page

        return report_page.html(self.analysis, self.about, beside, self.review, self.told)


def contents(sweep: Sweep, uri: str | None = None) -> Contents | None:
    """What there is to say now; None if no cell has finished.

    uri: MLflow's, if it is to be asked for what was registered.
    """
    from sweeps.results import forecasts, paying, trained_on
    from sweeps.results.about import about

    records = ended(sweep)
    analysis = analysis_of(sweep, records)
    if analysis is None:
        return None
    of = about(sweep.name, sweep.manifests(), records, code_version())
    told = [trained_on.told(sweep), paying.told(sweep, analysis)]
    return Contents(analysis, of, forecasts.reviewed(sweep, uri), [each for each in told if each])


def write_laws(sweep: Sweep) -> None:
    """Fit the laws and write the report as it is so far: no model composes, and none is logged."""
    if made := contents(sweep):
        with busy(DRAWS), sweep.report.writing_folder() as folder:
            made.write(folder)


def report(sweep: Sweep, uri: str | None) -> bool:
    """Fit the laws and write the report; then let the models compose, and link to what they did.

    uri: of the MLflow that has the sweep's runs, for the report; None to log it nowhere.
    Whether it is logged, if there is one.
    """
    from sweeps.results.composing import samples

    made = contents(sweep, uri)
    if made is None:
        return True
    with busy(DRAWS), sweep.report.writing_folder() as folder:
        written = made.write(folder)
        logged = log(sweep, uri, made, written)
    # The law is safe now: whatever goes wrong here costs the samples only.
    try:
        with sweep.report.writing_folder() as folder:
            if pages := samples(sweep, folder):
                page = folder / "report.html"
                Location.of(page).write_text(made.page([*written, *pages]))
                logged = log(sweep, uri, made, pages | {page.name: page}) and logged
    except OSError as error:
        say(f"The report does not link to the samples: {error}")
    return logged


def log(sweep: Sweep, uri: str | None, made: Contents, paths: dict[str, Path]) -> bool:
    """Log files of the report to MLflow; whether it took them, which is said if not."""
    from mlflow.exceptions import MlflowException

    from fitting.report import log_to_mlflow
    from fitting.runs.read import RecordError

    if uri is None:
        return False
    try:
        log_to_mlflow(made.analysis, paths, sweep.name, uri, made.metrics)
    except (MlflowException, RecordError, OSError) as error:
        line = one_line(error)[:SHOWN]
        say(f"The report is not in MLflow: {line}; the same command sends it again.")
        return False
    return True
