"""The page stands alone, tells the answer first, and cannot be broken by a name."""

import re

from fitting.analysis import analyse
from fitting.page import report_page
from fitting.runs.read import complete
from harness.experiments import make_records


def test_nothing_is_asked_of_the_network() -> None:
    text = report_page.html(analyse(complete(make_records())))
    assert not re.findall(r"""(?:src|href)=["'](?!data:)|@import|url\(["']?http|fetch\(""", text)


def test_verdict_and_law_come_before_the_first_plot() -> None:
    text = report_page.html(analyse(complete(make_records())))
    assert text.index("class=verdict>supported") < text.index('class="plot"')
    assert text.index("L(N) = ") < text.index('class="plot"')


def test_a_hostile_name_stays_text() -> None:
    name = "</script><b onclick=alert(1)>"
    text = report_page.html(analyse(complete(make_records().assign(arch=name))))
    assert name not in text
    assert "&lt;/script&gt;&lt;b" in text


def test_no_mark_of_the_template_is_left_behind() -> None:
    text = report_page.html(analyse(complete(make_records())))
    assert not re.findall(r"<!--[a-z-]+-->|/\*(?:style|script|data)\*/", text)
