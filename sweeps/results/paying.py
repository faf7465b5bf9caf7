"""What a sweep took beside what was expected: reckoned as it ends, told in words and a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sweeps import best
from sweeps.console import duration
from sweeps.scheduling.ledger import Ledger, read_ledger, write_ledger
from sweeps.scheduling.paid import Bill, Entry, Twice
from sweeps.sweep import Sweep
from trainers.best import best_name
from trainers.records import Record

if TYPE_CHECKING:
    from fitting.analysis import Analysis
    from fitting.arch_law import ArchLaw
    from fitting.page.told import Told

TITLE = "Planned and paid"


def settle(sweep: Sweep, twice: Mapping[str, list[tuple[float, int, float]]], since: float) -> None:
    """Keep what only the tracker saw, and how fast the cells were that ended since then.

    twice: of each cell, as `sweeps.tracking.twice` tells it.
    """
    from sweeps.scheduling.expected import learn

    ledger = read_ledger(sweep.folder)
    again = {
        key: Twice(sum(each[1] for each in mine), sum(each[2] for each in mine))
        for key, points in twice.items()
        if key in ledger.cells
        # What was trained before it was removed is not what an interruption cost.
        for mine in [[each for each in points if each[0] >= ledger.cells[key].at]]
    }
    write_ledger(sweep.folder, ledger.with_again(again))
    records = [each for each in _records(sweep).values() if each.ended >= since]
    shares = {
        each.cell_key: held.gpus / each.ran_on.get("workers", 1)
        for each in records
        for held in [ledger.cells.get(each.cell_key)]
        if held and held.gpus
    }
    learn(sweep.out, records, shares)


def _records(sweep: Sweep) -> dict[str, Record]:
    """Of the cells that have ended, and of the best that was trained on."""
    one = best.shown(sweep)
    return sweep.records([cell.key for cell in sweep.listed()] + ([one.cell] if one else []))


def bill_of(sweep: Sweep, ledger: Ledger) -> Bill:
    return ledger.bill(_records(sweep).values())


def sentence(bill: Bill) -> str:
    """In a line; "" where nothing has ended, or nothing was expected."""
    if not bill.compared:
        return ""
    lost = f", {_hours(bill, bill.lost_hours)} to interruptions" if bill.interrupted else ""
    return (
        f"Paid: {_hours(bill, bill.hours)} for {len(bill.entries)} cells{lost}; training took "
        f"{bill.training_hours:.3g} where {bill.expected_hours:.3g} were expected; "
        f"{duration(bill.wall)} of work, {duration(bill.expected_wall)} expected."
    )


def told(sweep: Sweep, analysis: Analysis) -> Told | None:
    """The section of the report; None where nothing was expected."""
    from fitting.page.told import Told

    ledger = read_ledger(sweep.folder)
    bill = bill_of(sweep, ledger)
    if not bill.compared:
        return None
    laws = {
        arch: (len(keys), bill.hours_of(keys))
        for arch, law in analysis.laws.items()
        if law.falls or law.leading_surface
        for keys in [_runs_of(law, analysis)]
    }
    sentences = [
        f"Expected, by {ledger.basis}: {duration(bill.expected_wall)} on the cluster as it was, "
        f"and {bill.expected_hours:.3g} {bill.unit} of training. It took {duration(bill.wall)}, "
        f"and {bill.training_hours:.3g} {bill.unit} of training.",
        f"Paid in all: {_hours(bill, bill.hours)}, with evaluation and the wait for first steps. "
        "The start of workers and idle machines are not counted.",
        _interruptions(bill),
        *(
            f"The law of {arch} rests on {count} runs, which took {_hours(bill, hours)}."
            for arch, (count, hours) in laws.items()
        ),
    ]
    called = _called(sweep)
    head = ["", "expected, s", "trained, s", "evaluated, s", "waited, s", "tokens twice", bill.unit]
    costs = [bill.cost(entry.hours) for entry in bill.entries]
    rows = [
        [called[entry.key], *_row(entry), *([] if cost is None else [f"{cost:,.2f}"])]
        for entry, cost in zip(bill.entries, costs)
    ]
    head += ["cost"] * (costs[0] is not None)
    return Told("paid", TITLE, sentences, head, rows, _values(bill, laws))


def _runs_of(law: ArchLaw, analysis: Analysis) -> set[str]:
    """The keys of the runs that a law rests on: where it is L(N, D), of every budget."""
    if law.leading_surface is None:
        return set(law.selection.runs["cell_key"])
    mine = analysis.records["arch"] == law.arch
    return set(analysis.records[mine & (analysis.records["status"] == "finished")]["cell_key"])


def _called(sweep: Sweep) -> dict[str, str]:
    """Names, by key."""
    one = best.shown(sweep)
    records = sweep.records([one.cell]) if one else {}
    return best.called(sweep) | {key: best_name(each.params) for key, each in records.items()}


def _hours(bill: Bill, hours: float) -> str:
    cost = bill.cost(hours)
    at = f" ({cost:,.2f} at {bill.price:g} a GPU-hour)" if cost is not None else ""
    return f"{hours:.3g} {bill.unit}{at}"


def _interruptions(bill: Bill) -> str:
    if not bill.interrupted:
        return "No cell was interrupted."
    twice = [entry.twice for entry in bill.interrupted]
    waited = sum(entry.spent.waiting for entry in bill.interrupted)
    return (
        f"Interruptions cost {_hours(bill, bill.lost_hours)}. Cells that went on after one: "
        f"{len(twice)}; tokens trained once more: {sum(each.tokens for each in twice):,}, "
        f"{duration(sum(each.seconds for each in twice))}; the wait for their first steps: "
        f"{duration(waited)}."
    )


def _row(entry: Entry) -> list[str]:
    spent = entry.spent
    seconds = (entry.expected, spent.training, spent.evaluating, spent.waiting)
    return [
        *("–" if each is None else f"{each:,.1f}" for each in seconds),
        f"{entry.twice.tokens:,}",
        f"{entry.hours:.3g}",
    ]


def _values(bill: Bill, laws: Mapping[str, tuple[int, float]]) -> dict[str, Any]:
    """For programs: hours, seconds and tokens."""
    cost = bill.cost(bill.hours)
    return {
        "unit": bill.unit,
        "hours": bill.hours,
        "training_hours": bill.training_hours,
        "expected_training_hours": bill.expected_hours,
        "lost_hours": bill.lost_hours,
        "tokens_twice": sum(entry.twice.tokens for entry in bill.entries),
        "wall_seconds": bill.wall,
        "expected_wall_seconds": bill.expected_wall,
        **({"cost": cost} if cost is not None else {}),
        "laws": {arch: hours for arch, (_, hours) in laws.items()},
    }


def metrics(told: Told) -> dict[str, float]:
    """Its numbers by the names that MLflow has them under."""
    values = dict(told.values)
    laws = {f"paid.law.{arch}.hours": hours for arch, hours in values.pop("laws").items()}
    return {f"paid.{name}": n for name, n in values.items() if name != "unit"} | laws
