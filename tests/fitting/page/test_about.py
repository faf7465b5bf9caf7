"""What the page says it is of, what it offers to take away, and how it is cited."""

import re
from pathlib import Path

import pytest
import yaml

from fitting import report
from fitting.analysis import Analysis, analyse
from fitting.page import about, report_page
from fitting.page.about import About
from fitting.runs.read import complete
from harness.experiments import make_records

OF = About(
    "Sweep quickstart: folk tunes",
    {"code": "63ac8cc", "corpus": "folk tunes: 10 pieces", "trained": "1 May 2026"},
)


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyse(complete(make_records(seeds=1, sizes=5).assign(tokenizer="abc")))


def test_the_first_screen_says_what_when_and_how_many(analysis: Analysis) -> None:
    text = report_page.html(analysis, OF)
    line = "Sweep quickstart: folk tunes, 10 finished runs, 1 May 2026"
    assert text.index(line) < text.index("class=verdict")
    assert "<title>Sweep quickstart: folk tunes</title>" in text


def test_what_the_caller_knows_stands_beside_what_the_records_say(analysis: Analysis) -> None:
    text = report_page.html(analysis, OF)
    labels = re.findall("<dt>(.*?)</dt>", text)
    assert labels == ["corpus", "tokenizer", "tokens a run", "runs", "trained", "code"]
    for told in ("folk tunes: 10 pieces", "abc", "3,000,000", "10 finished runs", "63ac8cc"):
        assert f"<dd>{told}</dd>" in text


def test_runs_that_did_not_finish_are_counted() -> None:
    records = make_records(seeds=1, sizes=5)
    records.loc[0, "status"] = "diverged"
    facts = About().with_records(complete(records)).facts
    assert facts["runs"] == "9 finished, 1 diverged runs"


def test_a_hostile_fact_stays_text(analysis: Analysis) -> None:
    text = report_page.html(analysis, About("<b>", {"<i>": "</script><b onclick=x>"}))
    assert "<b>" not in text
    assert "<b onclick" not in text
    assert "<i>" not in text


@pytest.mark.parametrize("seconds", [1e30, -1e30])
def test_no_date_of_a_file_ends_a_report(seconds: float) -> None:
    assert about.day(seconds) == "an impossible day"
    assert about.day(1.7e9) == "14 November 2023"


def test_only_what_is_beside_it_is_linked_to(analysis: Analysis, tmp_path: Path) -> None:
    assert not re.findall("href=.(?!data:)", report_page.html(analysis))
    (tmp_path / "samples-abc.html").write_text("")
    (tmp_path / "samples-remi.html").write_text("")
    written = report.write(analysis, tmp_path)
    links = re.findall('href="(?!data:)([^"]*)"', written["report.html"].read_text())
    there = {path.name for path in tmp_path.iterdir()} - {"report.html"}
    assert set(links) == there
    assert len(links) == len(there)


def test_each_page_of_samples_has_a_link_of_its_own(analysis: Analysis) -> None:
    one = report_page.html(analysis, beside=["samples.html"])
    assert '<a href="samples.html">Hear what each size composed</a>' in one
    two = report_page.html(analysis, beside=["samples-abc.html", "samples-remi.html"])
    for name in ("abc", "remi"):
        link = f'<a href="samples-{name}.html">Hear what each size composed ({name})</a>'
        assert link in two


def test_it_is_cited_as_the_citation_file_says(analysis: Analysis) -> None:
    cited = yaml.safe_load((Path(__file__).parents[3] / "CITATION.cff").read_text())
    assert cited["title"] == about.TITLE
    assert [each["name"] for each in cited["authors"]] == [about.AUTHORS]
    assert cited["license"] == about.LICENCE
    text = report_page.html(analysis)
    for word in (about.TITLE, about.AUTHORS, f"version = {{{about.release()}}}"):
        assert word in text
