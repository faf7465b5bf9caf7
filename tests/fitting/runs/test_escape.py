"""A name is text wherever it is shown, whatever it holds."""

import csv
import io
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import errors
from fitting import report
from fitting.analysis import Analysis, analyse
from fitting.export import figures, tables
from fitting.page import report_page
from fitting.runs import escape
from fitting.runs.csv_file import RecordError
from fitting.runs.read import complete
from harness.experiments import log_experiment, make_records

HOSTILE = (
    r"$\frac$",
    "_base",
    "a & b",
    "c%d #{} ~^",
    "=1+1",
    "@SUM(A1)",
    "[x]",
    "</script><b>",
    "/*data*/null",
    "esc\x1b]0;owned\x07\x1b[31mRED",
    '"},{"',
    "x" * 300,
)
"""Mathematics, hiding, markup, formulas, marks of the page, orders to a terminal, brackets of a
list, and length."""


def records(*names: str) -> pd.DataFrame:
    """Three sizes of each name: enough to be shown, too few to be compared with each other."""
    one = make_records(seeds=1, sizes=3).query("arch == 'lstm'")
    return complete(
        pd.concat(
            [
                one.assign(arch=name, cell_key=one["cell_key"] + str(k))
                for k, name in enumerate(names)
            ],
            ignore_index=True,
        )
    )


@pytest.fixture(scope="module")
def hostile() -> Analysis:
    return analyse(records(*HOSTILE))


def test_control_characters_are_shown_and_not_obeyed(hostile: Analysis) -> None:
    assert all(line.isprintable() for line in hostile.lines())
    assert r"esc\x1b]0;owned\x07\x1b[31mRED" in hostile.laws


def test_figures_name_every_architecture_in_their_legend(hostile: Analysis) -> None:
    figure = figures.figure(hostile, "law")
    legend = figure.axes[0].get_legend()
    assert legend
    shown = [text.get_text() for text in legend.get_texts()]
    assert r"\$\frac\$" in shown
    assert " _base" in shown
    assert max(map(len, shown)) < 60


def test_figures_are_written_as_images_that_open(hostile: Analysis, tmp_path: Path) -> None:
    figures.draw(hostile, tmp_path)
    ElementTree.parse(tmp_path / "loss_by_params.svg")
    assert (tmp_path / "loss_by_params.png").stat().st_size > 10_000


def test_axes_are_named_by_text_and_not_by_mathematics(tmp_path: Path) -> None:
    named = records("lstm").rename(columns={"val_loss": r"$\frac$"})
    analysis = analyse(complete(named.assign(val_loss=named[r"$\frac$"])), loss=r"$\frac$")
    figures.draw(analysis, tmp_path)
    assert r"\$\frac\$" in figures.figure(analysis, "law").axes[0].get_ylabel()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:secret@host:5000/x, again", "http://***@host:5000/x, again"),
        ("postgresql://token@db/mlflow", "postgresql://***@db/mlflow"),
        ("http://host:5000/a@b and s3://bucket", "http://host:5000/a@b and s3://bucket"),
        ("me@host", "me@host"),
        ("http://me:pa/ss@host/x", "http://***@host/x"),
        ("http://me:p@s/s@host:5000", "http://***@host:5000"),
        ("http://[::1]:5000/a@b", "http://[::1]:5000/a@b"),
        ("http://host?password=x", "http://host?password=***"),
        ("http://host/a?b=1&Access_Token=x&c=2 y", "http://host/a?b=1&Access_Token=***&c=2 y"),
        ("http://host?client_secret=x", "http://host?client_secret=***"),
        ("s3://bucket?scheme=http", "s3://bucket?scheme=http"),
    ],
)
def test_no_password_of_an_address_is_shown(text: str, shown: str) -> None:
    assert escape.masked(text) == shown
    assert str(RecordError(text)) == shown


def test_the_package_of_data_shows_control_characters_alike() -> None:
    """The packages do not import each other, and each has this function."""
    for text in HOSTILE:
        assert errors.printable(text) == escape.printable(text)


def test_the_page_is_filled_once(hostile: Analysis) -> None:
    text = report_page.html(hostile)
    assert "<td>/*data*/null</td>" in text or "<th>/*data*/null</th>" in text
    assert "</script><b>" not in text


def test_latex_prints_each_special_character(hostile: Analysis) -> None:
    assert escape.latex("a_b & c%d") == r"a\_b \& c\%d"
    assert escape.latex(r"\{}$#~^") == (
        r"\textbackslash{}\{\}\$\#\textasciitilde{}\textasciicircum{}"
    )
    assert escape.latex("[x]") == "{[}x]"
    body = tables.laws_tex(hostile).split(r"\midrule")[1].split(r"\bottomrule")[0]
    assert {row.count(" & ") for row in body.strip().splitlines()} == {5}


@given(st.text())
def test_latex_leaves_no_character_that_tex_would_read(text: str) -> None:
    left = escape.latex(text)
    for written in sorted(escape.TEX.values(), key=len, reverse=True):
        left = left.replace(written, "")
    assert not set(left) & set("\\{}$&#_%~^")


def test_a_spreadsheet_reads_no_formula_from_laws_csv(hostile: Analysis) -> None:
    rows = list(csv.DictReader(io.StringIO(tables.laws_csv(hostile))))
    assert {"'=1+1", "'@SUM(A1)", "_base"} <= {row["arch"] for row in rows}
    assert not [cell for row in rows for cell in row.values() if cell[:1] in tuple("=+@\t")]


@given(st.text())
def test_a_printable_name_stays_as_it_is(text: str) -> None:
    shown = escape.printable(text)
    assert shown.isprintable()
    assert escape.printable(shown) == shown
    assert shown == text or not text.isprintable()


def test_of_a_crowd_a_figure_names_the_ten_of_the_lowest_loss() -> None:
    crowd = records(*(f"arch{k:02}" for k in range(13)))
    crowd["val_loss"] *= 1 + crowd["arch"].str[-2:].astype(int) / 100
    legend = figures.figure(analyse(crowd), "law").axes[0].get_legend()
    assert legend
    assert [text.get_text() for text in legend.get_texts()] == [f"arch{k:02}" for k in range(10)]
    assert legend.get_title().get_text() == "the 10 lowest of 13"


def test_laws_of_any_name_are_logged_to_mlflow(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    plain = make_records(seeds=1, sizes=5)
    log_experiment(plain, uri, "names")
    analysis = analyse(complete(plain.assign(arch=r"lstm, \$ (a/b)")))
    run = report.log_to_mlflow(analysis, {}, "names", uri)
    from mlflow.tracking import MlflowClient

    assert "lstm_ __ _a_b_.alpha" in MlflowClient(uri).get_run(run).data.metrics
