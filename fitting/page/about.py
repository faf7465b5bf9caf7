"""What a report is of: the words of whoever has it written, and what its records say."""

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from html import escape
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pandas as pd

from fitting.page.markup import section

TITLE, AUTHORS, LICENCE = (
    "Crescendo: neural scaling laws for symbolic music",
    "The Crescendo authors",
    "MIT",
)
"""Those of CITATION.cff, which an installed package does not have."""
ORDER = (
    *("corpus", "licence", "tokenizer", "tokens", "tokens a run", "runs", "trained", "written"),
    *("hardware", "software", "code"),
)
"""That of facts on the page."""
FILES = {
    "fit.json": "all results, for programs",
    "runs.csv": "a row a run",
    "laws.csv": "a row a law",
    "laws.tex": "the same for LaTeX",
    "report.ipynb": "the laws step by step, from records.json",
    "records.json": "the runs at full precision",
    "forecast.json": "what was predicted, as registered",
}
"""What may be beside the page, and what it is."""


@dataclass(frozen=True)
class About:
    """What a report is of."""

    title: str = "Scaling laws"
    """A few words: "Sweep quickstart: folk tunes"."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Text by label: any of ORDER, and others after them."""

    def line(self) -> str:
        """What the first screen says: of what, how many runs, and when."""
        known = (self.facts.get(label, "") for label in ("runs", "trained", "written"))
        return ", ".join(filter(None, (self.title, *known)))

    def with_records(self, records: pd.DataFrame) -> "About":
        """The same, and what the records say of all runs, unless the caller has said it."""
        facts = _recorded(records) | dict(self.facts)
        order = [*ORDER, *facts]
        return About(self.title, {name: facts[name] for name in sorted(facts, key=order.index)})

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def release(package: str = "crescendo") -> str:
    """The version of a package; "" where it is not installed, as Crescendo in a bare checkout."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def software(*packages: str) -> str:
    """Versions of Crescendo, Python and the packages, as far as they are installed."""
    found = {name: release(name) for name in ("crescendo", *packages)}
    found |= {"Python": platform.python_version()}
    return ", ".join(f"{name} {number}" for name, number in found.items() if number)


def day(seconds: float) -> str:
    """A date in UTC; seconds: since the epoch, those of any file."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%d %B %Y}".lstrip("0")
    except (OverflowError, ValueError, OSError):
        return "an impossible day"


def _recorded(records: pd.DataFrame) -> dict[str, str]:
    states = records["status"].value_counts()
    counts = ", ".join(f"{count:,} {status}" for status, count in states.items())
    facts = {"runs": f"{counts} runs"}
    if named := [name for name in records["tokenizer"].unique() if name]:
        facts["tokenizer"] = ", ".join(named)
    budgets = records["tokens"].dropna()
    if len(budgets):
        low, high = budgets.min(), budgets.max()
        facts["tokens a run"] = f"{low:,.0f}" + (f" to {high:,.0f}" if high > low else "")
    return facts


def origin(about: About, beside: list[str]) -> str:
    """The sections on what the report is of, what is beside it, and how to cite it.

    beside: names of files in the folder of the page.
    """
    facts = "".join(
        f"<div><dt>{escape(label)}</dt><dd>{escape(text)}</dd></div>"
        for label, text in about.facts.items()
    )
    return (
        section("What this is of", f"<dl>{facts}</dl>" if facts else "")
        + section("To take away", _files(beside))
        + section("How to cite", _citation())
    )


def _files(beside: list[str]) -> str:
    """Links to those of FILES that are there, then to figures, each in the kinds that it has."""
    files = [
        f'<li><a href="{name}">{name}</a> {told}</li>'
        for name, told in FILES.items()
        if name in beside
    ]
    figures: dict[str, list[str]] = {}
    for name in beside:
        stem, _, ending = name.rpartition(".")
        if ending in ("png", "svg"):
            link = f'<a href="{escape(name)}" aria-label="{escape(name)}">{ending.upper()}</a>'
            figures.setdefault(stem, []).append(link)
    drawn = [
        f"<li>{escape(stem.replace('_', ' '))} {' '.join(links)}</li>"
        for stem, links in figures.items()
    ]
    return "".join(f"<ul class=files>{''.join(items)}</ul>" for items in (files, drawn) if items)


def _citation() -> str:
    number = release()
    numbered = f" Version {number}." if number else ""
    entry = [f"author = {{{{{AUTHORS}}}}}", f"title = {{{{{TITLE}}}}}", f"note = {{{LICENCE}}}"]
    entry += [f"version = {{{number}}}"] if number else []
    bibtex = "@software{crescendo,\n" + "".join(f"  {line},\n" for line in entry) + "}"
    return (
        f"<p>{AUTHORS}. <cite>{TITLE}</cite>.{numbered} {LICENCE} licence.</p>"
        f"<details><summary>BibTeX</summary><pre>{escape(bibtex)}</pre></details>"
    )
