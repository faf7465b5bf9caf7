"""The page says what the loss is made of, where runs were measured so."""

from __future__ import annotations

import json
from pathlib import Path

from fitting.analysis import analyse
from fitting.export import tables
from fitting.page.report_page import html
from fitting.runs.read import complete, read_csv
from harness.experiments import ORIGIN_SHARES, make_records, with_origins


def test_a_row_for_each_class_and_architecture() -> None:
    page = html(analyse(complete(with_origins(make_records()))))
    assert "What the loss is made of" in page
    rows = page.split("Loss by where tokens come from")[1].split("</table>")[0].split("<tr>")[2:]
    assert [row.split("</td>")[:2] for row in rows] == [
        [f"<td>{name}", f"<td>{arch}"] for name in ORIGIN_SHARES for arch in ("lstm", "transformer")
    ]
    assert "20.0 %" in rows[0]
    assert "not supported" in rows[2]


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
