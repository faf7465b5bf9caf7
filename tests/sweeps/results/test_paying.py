"""What a sweep says of its time and money: in a line, in the report, and in MLflow."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fitting.page.told import Told
from sweeps.results import paying, reporting
from sweeps.results.paying import bill_of, metrics, sentence, settle
from sweeps.scheduling.expected import read_rates
from sweeps.scheduling.ledger import Expected, Ledger, Stretch, read_ledger, write_ledger
from sweeps.scheduling.paid import Twice
from sweeps.sweep import Sweep
from sweeps.view import status
from trainers.records import write_record

HOUR = 3600.0


@pytest.fixture
def paid(sweep: Sweep) -> Sweep:
    """Three cells of an hour each, of which one has gone on after an interruption; half an hour
    was expected of each, on half a GPU that costs 3 an hour."""
    cells = {}
    for number, cell in enumerate(sweep.resolve()):
        record = sweep.records([cell.key])[cell.key]
        pace = cell.tokens / HOUR
        point = {"tokens": cell.tokens, "tokens_per_second": pace, "time": HOUR + 5}
        record = replace(record, started=2.0, ended=HOUR + 8, curve=[point])
        known = record.measured | {"seconds_evaluate": 1.0, "flops": cell.flops}
        measured = known | {"tokens": cell.tokens}
        on = {"device": "NVIDIA H100", "threads": 2, "workers": 1}
        write_record(sweep.cells, replace(record, measured=measured, ran_on=on))
        cells[cell.key] = Expected(HOUR / 2, 0.5, 1.0, 100.0)
        if number == 0:
            again = {cell.key: Twice(5000, HOUR / 10)}
    ran = [Stretch(0.0, HOUR), Stretch(2 * HOUR, 4 * HOUR)]
    write_ledger(sweep.folder, Ledger(cells, "a guess", 2 * HOUR, 3.0, ran, again))
    return sweep


def test_a_line_says_what_was_paid_and_what_was_expected(paid: Sweep) -> None:
    said = sentence(bill_of(paid, read_ledger(paid.folder)))
    assert said == (
        "Paid: 1.55 GPU-hours (4.66 at 3 a GPU-hour) for 3 cells, 0.0504 GPU-hours (0.15 at 3 a "
        "GPU-hour) to interruptions; training took 1.5 where 0.75 were expected; 3.0 h of work, "
        "2.0 h expected."
    )


def test_where_nothing_was_expected_nothing_is_said(sweep: Sweep) -> None:
    assert sentence(bill_of(sweep, Ledger())) == ""
    analysis = reporting.analysis_of(sweep, reporting.ended(sweep))
    assert analysis
    assert paying.told(sweep, analysis) is None


def test_the_report_tells_it_by_cell_and_by_law(paid: Sweep) -> None:
    made = reporting.contents(paid)
    assert made
    (told,) = made.told
    said = " ".join(told.sentences)
    assert "Expected, by a guess: 2.0 h on the cluster as it was, and 0.75 GPU-hours" in said
    assert "Cells that went on after one: 1; tokens trained once more: 5,000, 6 min;" in said
    assert "The law of lstm rests on 3 runs, which took 1.55 GPU-hours (4.66 at 3 a" in said
    by_name = {row[0]: dict(zip(told.head[1:], row[1:])) for row in told.rows}
    assert set(by_name) == {"lstm-4k-seed0", "lstm-6k-seed0", "lstm-9k-seed0"}
    assert by_name["lstm-9k-seed0"] == {
        "expected, s": "1,800.0",
        "trained, s": "3,600.0",
        "evaluated, s": "1.0",
        "waited, s": "3.0",
        "tokens twice": "5,000",
        "GPU-hours": "0.551",
        "cost": "1.65",
    }
    found = made.metrics
    assert found["paid.hours"] == pytest.approx(1.55, abs=0.01)
    assert found["paid.cost"] == pytest.approx(3 * found["paid.hours"])
    assert found["paid.tokens_twice"] == 5000


def test_mlflow_has_a_number_for_all_and_one_for_each_law() -> None:
    values = {"unit": "core-hours", "hours": 2.0, "laws": {"lstm": 1.0}}
    made = Told("paid", "", [], [], [], values)
    assert metrics(made) == {"paid.hours": 2.0, "paid.law.lstm.hours": 1.0}


def test_status_says_it_while_the_sweep_is_under_way(
    paid: Sweep, capfd: pytest.CaptureFixture[str]
) -> None:
    status.show(paid, "")
    assert "Paid: 1.55 GPU-hours" in capfd.readouterr().out


def test_what_was_trained_before_it_was_removed_is_no_interruption(paid: Sweep) -> None:
    largest, *_, smallest = paid.listed()
    settle(
        paid,
        {
            largest.key: [(99.0, 8000, 8.0), (101.0, 6000, 6.0)],
            smallest.key: [(99.0, 300, 3.0)],
            "of another grid": [(200.0, 1, 1.0)],
        },
        since=0.0,
    )
    assert read_ledger(paid.folder).again == {largest.key: Twice(6000, 6.0)}


def test_a_sweep_learns_from_the_cells_that_ended_in_it(paid: Sweep) -> None:
    settle(paid, {}, since=2 * HOUR)
    assert read_rates(paid.out).rates == []
    settle(paid, {}, since=0.0)
    assert {(rate.device, rate.threads) for rate in read_rates(paid.out).rates} == {
        ("NVIDIA H100", 0)
    }
