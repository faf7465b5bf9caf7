"""A section of report.html that whoever has it written adds: what a table of runs does not say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from fitting.page.markup import section as marked
from fitting.page.markup import table


@dataclass(frozen=True)
class Told:
    name: str
    """best or paid: what it is about, and where `values` stand in fit.json."""
    title: str
    sentences: Sequence[str]
    head: Sequence[str]
    """Of its table."""
    rows: Sequence[Sequence[str]]
    values: Mapping[str, Any] = field(default_factory=dict)
    """The same for programs, as JSON has it."""


def section(told: Told | None) -> str:
    """As HTML; "" where nothing is told."""
    if told is None:
        return ""
    said = "".join(f"<p>{escape(sentence)}</p>" for sentence in told.sentences)
    rows = [list(row) for row in told.rows]
    return marked(told.title, said, table(told.title, list(told.head), rows))
