"""The report in a browser: plots are drawn, it fits the screen, nothing is asked of the network."""

from pathlib import Path
from typing import Any

import pytest

from fitting import page
from fitting.analysis import analyse
from fitting.records import complete
from tests.fitting.conftest import make_records


@pytest.fixture(scope="module")
def html() -> str:
    return page.html(analyse(complete(make_records(seeds=1, sizes=5))))


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_it_shows_its_plots_at_any_width(
    html: str, browser: Any, tmp_path: Path, width: int
) -> None:
    (tmp_path / "report.html").write_text(html)
    wrong, asked = [], []
    tab = browser.new_page(viewport={"width": width, "height": 800})
    tab.on("console", lambda message: wrong.append(message.text))
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(f"file://{tmp_path}/report.html")
    plots = tab.locator("svg[aria-label]")
    assert plots.count() >= 2
    for index in range(plots.count()):
        box = plots.nth(index).bounding_box()
        assert 0 < box["width"] <= width
        assert box["height"] > 50
    assert tab.locator("svg circle").count() >= 20
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert not wrong
    assert all(url.startswith(("file:", "data:")) for url in asked)
