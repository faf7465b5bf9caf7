"""What a model's card tells beyond the record: the law of its sweep."""

from __future__ import annotations

import json
from typing import Any

from data.errors import printable
from data.store.location import Location

SCHEMA = 3
"""Of `fit.json`, whose names docs/fit.md explains."""


def law_of(report: Location, cell_key: str) -> list[str]:
    """What the report of a sweep says of the law that holds this cell, a sentence each; nothing
    where there is no report, no such law, or a report of another version."""
    try:
        found = json.loads((report / "fit.json").read_text())
        if found["schema"] != SCHEMA:
            return []
        for name, law in found["laws"].items():
            if any(run["cell_key"] == cell_key for run in law["fitted"]):
                return [printable(line) for line in _told(name, law, found)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    return []


def _told(name: str, law: dict[str, Any], found: dict[str, Any]) -> list[str]:
    lines = [f"{name}: the law is {law['verdict']}."]
    if law["alpha"] is not None:
        form = f"L(x) = {law['a']:.3g} x^-{law['alpha']:.3g} + {law['c']:.3g}"
        intervals = ", ".join(
            f"{part} [{_number(low)}, {_number(high)}]"
            for part in ("alpha", "c")
            for low, high in [law[f"{part}_interval"]]
        )
        lines += [f"{form} {found['loss_unit']}, x: {found['against_label']}; {intervals}."]
    if law["along"]:
        lines += [f"Its runs saw {law['along']}."]
    lines += [f"{reason}." for reason in law["reasons"]]
    if law["surface"] and law["surface"]["headline"]:
        lines += [f"{law['surface']['headline']}."]
    return lines


def _number(value: float | None) -> str:
    return "open" if value is None else f"{value:.3g}"
