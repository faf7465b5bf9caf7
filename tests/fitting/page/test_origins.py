"""The page says what the loss is made of, where runs were measured so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from fitting.analysis import analyse
from fitting.export import tables
from fitting.export.all_plots import all_plots
from fitting.page.report_page import html
from fitting.runs.read import complete, read_csv
from harness.experiments import ORIGIN_SHARES, make_records, with_origins


def test_a_row_for_each_class_and_architecture() -> None:
    page = html(analyse(complete(with_origins(make_records()))))
    assert "What the loss is made of" in page
    rows = page.split("Loss by where tokens come from")[1].split("</table>")[0].split("<tr>")[2:]
    assert [row.split("</td>")[:2] for row in rows] == [
        [f"<td>{name}", f"<td>{arch}"]
        for name in ("all", *ORIGIN_SHARES)
        for arch in ("lstm", "transformer")
    ]
    assert "20.0 %" in rows[2]
    assert "not supported" in rows[4]


BASELINES = {
    "near": {"val_loss": 1.4, "val_loss_se": 0.01, "val_loss_new": 2.0, "val_loss_new_share": 0.75},
    "far": {"val_loss": 3.0},
}


def test_baselines_stand_in_the_table_and_a_near_one_in_the_plot() -> None:
    """One far off would flatten the laws."""
    analysis = replace(analyse(complete(with_origins(make_records()))), baselines=BASELINES)
    page = html(analysis)
    for cells in ("<td>all</td><td>near</td>", "<td>all</td><td>far</td>", "<td>new</td><td>near"):
        assert cells in page
    assert "<td>new</td><td>far</td>" not in page
    assert '"archs":["lstm","transformer","near"]' in page
    lines = [mark for mark in all_plots(analysis)["law"].marks if mark["k"] == 2]
    assert [mark["y"] for mark in lines] == [[1.4, 1.4]]
    assert analysis.lines()[-1] == "Counting alone, in nats per token: near 1.400, far 3.000"


def test_runs_from_before_leave_the_section_out() -> None:
    assert "What the loss is made of" not in html(analyse(complete(make_records())))


def test_programs_read_the_same(tmp_path: Path) -> None:
    analysis = analyse(complete(with_origins(make_records())))
    laws = json.loads(json.dumps(tables.fit_json(analysis)))["laws"]["lstm"]["by_origin"]
    assert [law["origin"] for law in laws] == list(ORIGIN_SHARES)
    # A table of the runs, read again, has the classes too.
    path = tmp_path / "runs.csv"
    path.write_text(tables.runs_csv(analysis))
    again = analyse(read_csv(path))
    assert tables.fit_json(again)["laws"]["lstm"]["by_origin"] == laws
