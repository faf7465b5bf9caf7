"""A section that a caller adds: before the laws or behind the runs, as text."""

from dataclasses import replace

from fitting.analysis import analyse
from fitting.page import report_page
from fitting.page.told import Told, section
from fitting.runs.read import complete
from harness.experiments import make_records

BEST = Told("best", "The best", ["It is <b>."], ["", "loss"], [["lstm", "1.2"]])


def test_sentences_and_a_table_are_text() -> None:
    text = section(BEST)
    assert text.startswith("<section><h2>The best</h2><p>It is &lt;b&gt;.</p>")
    assert "<td>lstm</td><td class=n>1.2</td>" in text


def test_nothing_is_told_of_nothing() -> None:
    assert section(None) == ""
    assert "<table>" not in section(replace(BEST, rows=[]))


def test_the_best_stands_before_the_laws_and_what_was_paid_behind_the_runs() -> None:
    paid = Told("paid", "Planned and paid", ["Much."], [], [])
    text = report_page.html(analyse(complete(make_records(seeds=1, sizes=5))), told=[paid, BEST])
    titles = ["<h2>The best<", "<h2>The numbers<", "<h2>The runs<", "<h2>Planned and paid<"]
    places = [text.index(title) for title in titles]
    assert places == sorted(places)
