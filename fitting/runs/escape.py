"""Names that came from outside, made plain text for each place that shows them.

A table may call an architecture anything. HTML is escaped by `html.escape`, JSON by `json`; here is
the rest. Each function takes one name and returns one that reads the same.
"""

import re

MAX_LEGEND = 40
"""Characters of a name in the legend of a figure."""
TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # At the start of a row these would be read as arguments of the `\\` before it.
    "[": "{[}",
    "*": "{*}",
    **{character: f"\\{character}" for character in "{}$&#_%"},
}
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def printable(text: str) -> str:
    r"""Control characters as escapes (`\x1b`): terminals would obey them, SVG refuse them."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def latex(text: str) -> str:
    """As LaTeX sets it in a cell of a table."""
    return "".join(TEX.get(character, character) for character in text)


def spreadsheet(text: str) -> str:
    """Behind an apostrophe where a spreadsheet would take it for a formula (CSV injection)."""
    return f"'{text}" if text.startswith(FORMULA) else text


def legend(text: str) -> str:
    """As Matplotlib draws it: dollars are no mathematics, and a first `_` does not hide it."""
    text = text if len(text) <= MAX_LEGEND else f"{text[: MAX_LEGEND - 1]}…"
    text = text.replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def mlflow_name(text: str) -> str:
    """As a part of the name of an MLflow metric or tag, which knows few characters."""
    return re.sub(r"[^\w. :-]|^\.", "_", text)[:200]
