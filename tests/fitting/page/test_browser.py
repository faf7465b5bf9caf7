"""The report in a browser: plots are drawn, it fits the screen, nothing is asked of the network."""

from collections.abc import Callable

import pytest

from fitting.analysis import analyse
from fitting.page import report_page
from fitting.runs.read import complete
from harness.experiments import make_records
from tests.conftest import Opened


@pytest.fixture(scope="module")
def html() -> str:
    return report_page.html(analyse(complete(make_records(seeds=1, sizes=5))))


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_it_shows_its_plots_at_any_width(
    html: str, open_page: Callable[[str, int], Opened], width: int
) -> None:
    opened = open_page(html, width)
    tab = opened.tab
    plots = tab.locator("svg[aria-label]")
    assert plots.count() >= 2
    for index in range(plots.count()):
        box = plots.nth(index).bounding_box()
        assert 0 < box["width"] <= width
        assert box["height"] > 50
    assert tab.locator("svg circle").count() >= 20
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert not opened.wrong
    assert all(url.startswith(("file:", "data:")) for url in opened.asked)


@pytest.mark.slow
def test_nothing_on_it_shuts_out_a_reader(
    html: str, open_page: Callable[[str, int], Opened], axe: Callable[[Opened], list[str]]
) -> None:
    assert axe(open_page(html, 1280)) == []
