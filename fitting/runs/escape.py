"""Escaping for names from outside, for each place that shows them.

A table may call an architecture anything. `html.escape` serves HTML and `json` JSON; the rest is
here. Each function takes one name and returns one that reads the same.
"""

import re

MAX_LEGEND = 40
"""Length to which a name is cut in the legend of a figure."""
TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # At the start of a row these would be read as arguments of the preceding `\\`.
    "[": "{[}",
    "*": "{*}",
    **{character: f"\\{character}" for character in "{}$&#_%"},
}
USER = r"(?<=://)([^/\s:@\[]*:(?!\d{1,5}/)\S*|[^/\s]*)@"
"""Of an address. What follows its first colon may hold a slash or an @, unless it is a port."""
QUERIED = (
    r"(?i)([?&;][\w.-]*(?:password|passwd|pwd|token|secret|credential|key|signature)=)[^&;\s]+"
)
"""A value in the query of an address that nobody else should see, by its name."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def printable(text: str) -> str:
    r"""Control characters as escapes (`\x1b`): terminals would obey them, SVG reject them."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def latex(text: str) -> str:
    """The name as LaTeX source, for a cell of a table."""
    return "".join(TEX.get(character, character) for character in text)


def spreadsheet(text: str) -> str:
    """The name, after an apostrophe if a spreadsheet would run it as a formula (CSV injection)."""
    return f"'{text}" if text.startswith(FORMULA) else text


def masked(text: str) -> str:
    """The text without the passwords of addresses in it: `http://***@host?token=***`."""
    return re.sub(QUERIED, r"\1***", re.sub(USER, "***@", text))


def label(text: str) -> str:
    """The text for Matplotlib, which would make mathematics of what is between two dollars."""
    return text.replace("$", r"\$")


def legend(text: str) -> str:
    """The name as a `label` in a legend, where Matplotlib hides names after `_`."""
    text = label(text if len(text) <= MAX_LEGEND else f"{text[: MAX_LEGEND - 1]}…")
    return f" {text}" if text.startswith("_") else text


def mlflow_name(text: str) -> str:
    """The name as part of an MLflow metric or tag, where few characters are allowed."""
    return re.sub(r"[^\w. :-]|^\.", "_", text)[:200]
