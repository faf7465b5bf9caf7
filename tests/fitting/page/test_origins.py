"""The page says what the loss is made of, where runs were measured so."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from fitting.analysis import analyse
from fitting.export import tables
from fitting.export.all_plots import all_plots
from fitting.page.report_page import html
from fitting.runs.read import complete, read_csv
from harness.experiments import ORIGIN_SHARES, make_records, with_origins

MEASURED = analyse(complete(with_origins(make_records())))


def rows(page: str, name: str) -> list[list[str]]:
    """The cells of a table of the page, its head first."""
    inside = page.split(f'aria-label="{name}"')[1].split("</table>")[0]
    return [re.findall(r"<t[dh][^>]*>([^<]*)</t[dh]>", row) for row in inside.split("<tr>")[1:]]


def test_a_column_for_each_class_and_a_row_for_each_architecture() -> None:
    head, lstm, transformer = rows(html(MEASURED), "Loss by where tokens come from")
    assert head == ["", "all", "repeat, 20.0 %", "broken, 5.0 %", "new, 75.0 %"]
    assert (lstm[0], transformer[0]) == ("lstm", "transformer")
    assert lstm[-1] == f"{MEASURED.laws['lstm'].by_origin[-1].at_largest:.3f} ± 0.010"
    losses = [float(cell.split(" ")[0]) for cell in lstm[1:]]
    assert losses[0] == pytest.approx(4 * 3e5**-0.24 + 1.15, abs=0.01)


def test_a_law_for_each_class_and_architecture() -> None:
    _, *laws = rows(html(MEASURED), "Laws by where tokens come from")
    assert [law[:2] for law in laws] == [
        [name, arch] for name in ORIGIN_SHARES for arch in ("lstm", "transformer")
    ]
    verdicts = {law[0]: law[3] for law in laws}
    assert verdicts == {"repeat": "supported", "broken": "not supported", "new": "supported"}


BASELINES = {
    "near": {"val_loss": 1.4, "val_loss_se": 0.01, "val_loss_new": 2.0, "val_loss_new_share": 0.75},
    "far": {"val_loss": 3.0},
}


def test_baselines_stand_below_in_the_table_and_a_near_one_in_the_plot() -> None:
    """One far off would flatten the laws."""
    analysis = replace(MEASURED, baselines=BASELINES)
    page = html(analysis)
    assert rows(page, "Loss by where tokens come from")[3:] == [
        ["near", "1.400 ± 0.010", "–", "–", "2.000"],
        ["far", "3.000", "–", "–", "–"],
    ]
    assert '"archs":["lstm","transformer","near"]' in page
    lines = [mark for mark in all_plots(analysis)["law"].marks if mark["k"] == 2]
    assert [mark["y"] for mark in lines] == [[1.4, 1.4]]
    assert analysis.lines()[-1] == "Counting alone, in nats per token: near 1.400, far 3.000"


def test_runs_from_before_leave_the_section_out() -> None:
    assert "What the loss is made of" not in html(analyse(complete(make_records())))


def test_programs_read_the_same(tmp_path: Path) -> None:
    analysis = MEASURED
    laws = json.loads(json.dumps(tables.fit_json(analysis)))["laws"]["lstm"]["by_origin"]
    assert [law["origin"] for law in laws] == list(ORIGIN_SHARES)
    # A table of the runs, read again, has the classes too.
    path = tmp_path / "runs.csv"
    path.write_text(tables.runs_csv(analysis))
    again = analyse(read_csv(path))
    assert tables.fit_json(again)["laws"]["lstm"]["by_origin"] == laws
