"""HTML shared by the sections of the page."""

from collections.abc import Iterable
from html import escape

import numpy as np

from fitting.law.intervals import Interval

LONG = 40
"""A table with more rows than this is folded."""


def table(head: list[str], rows: list[list[str]], *, fold: bool = True) -> str:
    """A table of texts that scrolls on a narrow screen; "" without rows."""
    if not rows:
        return ""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = [f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows]
    whole = f"<div class=scroll><table><tr>{top}</tr>{''.join(lines)}</table></div>"
    if not fold or len(rows) <= LONG:
        return whole
    return f"<details><summary>{len(rows)} rows</summary>{whole}</details>"


def bracketed(interval: Interval) -> str:
    """The interval to three digits, without a line break."""
    high = "∞" if np.isinf(interval.high) else f"{interval.high:.3g}"
    return f"[{interval.low:.3g},\N{NO-BREAK SPACE}{high}]"


def said(sentences: Iterable[tuple[str, str]]) -> str:
    """A paragraph for each (architecture, sentence); a single one where all say the same."""
    each = dict(sentences)
    if len(set(each.values())) == 1:
        return f"<p>{escape(next(iter(each.values())))}</p>"
    return "".join(f"<p>{escape(arch)}: {escape(text)}</p>" for arch, text in each.items())
