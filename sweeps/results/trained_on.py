"""What came of training on the best cell: beside the cell it came from, in words and as a table."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from fitting.perplexity import perplexity
from sweeps import best
from sweeps.best import Standing
from sweeps.sweep import Sweep
from trainers.best import best_name, in_epochs
from trainers.records import Record

if TYPE_CHECKING:
    from fitting.page.told import Told

TITLE = "The best, trained on"
HEAD = (
    *("", "tokens", "epochs", "validation", "± s.e.", "perplexity"),
    *("test", "test ± s.e.", "test perplexity"),
)


def sentence(sweep: Sweep, stands: Standing) -> str:
    """How far the best is, in a line; "" for a grid without one."""
    if stands.chosen is None:
        return stands.why_not
    before, epochs = best.called(sweep)[stands.chosen.of.key], in_epochs(sweep.best_epochs)
    if stands.begun is None or stands.record is None:
        return f"Best: {before} for {epochs}: {'it has begun' if stands.begun else 'to come'}."
    record = stands.record
    if record.status != "finished":
        return f"Best: {before} for {epochs} {record.status}: {record.reason}"
    came_from = sweep.records([stands.begun.of])[stands.begun.of]
    return (
        f"Best: {before} for {epochs}: {_losses(record)}. Before, in the grid: "
        f"{_losses(came_from)}. It is in no law."
    )


def _losses(record: Record) -> str:
    return ", ".join(
        f"{split}_loss {loss:.4f} (perplexity {perplexity(loss)})"
        for split in ("val", "test")
        for loss in [record.measured[f"{split}_loss"]]
    )


def told(sweep: Sweep) -> Told | None:
    """The section of the report; None where no best has ended."""
    from fitting.page.told import Told

    one = best.shown(sweep)
    records = sweep.records([one.cell, one.of]) if one else {}
    if one is None or one.of not in records or one.cell not in records:
        return None
    record, came_from = records[one.cell], records[one.of]
    called = best_name(record.params)
    if record.status != "finished":
        said = f"{called}, {in_epochs(one.epochs)}, {record.status}: {record.reason}."
        return Told("best", TITLE, [said], [], [])
    named = {
        best.called(sweep).get(one.of, one.of): came_from,
        f"{called}, {in_epochs(one.epochs)}": record,
    }
    return Told(
        "best",
        TITLE,
        [
            f"The cell of the lowest validation loss, trained for {in_epochs(one.epochs)}, beside "
            "itself in the grid. Its budget is another, so it is in no law and in no other table."
        ],
        HEAD,
        [[name, *_row(each)] for name, each in named.items()],
        {
            "cell_key": record.cell_key,
            "of": one.of,
            "name": called,
            **{name: value for name, value in record.measured.items() if isfinite(value)},
        },
    )


def _row(record: Record) -> list[str]:
    m = record.measured
    losses = [
        text
        for split in ("val", "test")
        for loss in [m[f"{split}_loss"]]
        for text in (f"{loss:.4f}", f"{m[f'{split}_loss_se']:.4f}", perplexity(loss))
    ]
    return [f"{m['tokens']:,.0f}", f"{m['epochs']:.3g}", *losses]
