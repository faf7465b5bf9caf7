"""HTML shared by the sections of the page: what is empty is not there."""

import re
from collections.abc import Iterable
from html import escape

import numpy as np

from fitting.law.intervals import Interval

LONG = 40
"""A table with more rows than this is folded."""


NUMBER = re.compile(r"[+−-]?[\d.,]+(e[+-]?\d+)?( %)?|–?")


def section(title: str, *content: str, lead: str = "") -> str:
    """A part of the page with its heading and a sentence on it; "" without content."""
    body = "".join(content)
    told = f"<p>{lead}</p>" if lead else ""
    return f"<section><h2>{title}</h2>{told}{body}</section>" if body else ""


def plot_box(name: str) -> str:
    """Where the script draws the plot of this name in `fitting.export.all_plots`."""
    return f'<div id="{name}" class="plot"></div>'


def table(name: str, head: list[str], rows: list[list[str]], *, fold: bool = True) -> str:
    """A table of texts that scrolls on a narrow screen; "" without rows.

    name: what a screen reader calls it. Columns of nothing but numbers stand to the right.
    """
    if not rows:
        return ""
    right = [all(NUMBER.fullmatch(cell) for cell in column) for column in zip(*rows)]
    sides = [" class=n" if numbers else "" for numbers in right]
    top = "".join(f"<th scope=col{side}>{escape(cell)}</th>" for side, cell in zip(sides, head))
    lines = (
        "".join(f"<td{side}>{escape(cell)}</td>" for side, cell in zip(sides, row)) for row in rows
    )
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    whole = (
        f'<div class=scroll role=region tabindex=0 aria-label="{escape(name)}">'
        f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )
    if not fold or len(rows) <= LONG:
        return whole
    return f"<details><summary>{escape(name)}: {len(rows)} rows</summary>{whole}</details>"


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
