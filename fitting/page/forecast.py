"""The section of report.html that compares a forecast with the measured losses."""

from html import escape

from fitting.forecast import Prediction
from fitting.outcomes import Outcome, Review

HEAD = ("target", "forecast [95 %]", "measured (error)", "inside?")
"""Two numbers per column: a phone has room for four columns."""


def section(review: Review | None) -> str:
    """The section as HTML; "" where nothing was forecast."""
    if review is None:
        return ""
    heading = "<section><h2>Forecast and outcome</h2>"
    if review.forecast is None:
        return f"{heading}<p class=note>{escape(review.problem)}</p></section>"
    made = review.forecast
    said = "".join(f"<p class=note>{escape(note)}</p>" for note in review.notes)
    rows = "".join(_row(outcome) for outcome in review.outcomes)
    head = "".join(f"<th>{name}</th>" for name in HEAD)
    laws = "".join(_law(prediction) for prediction in made.predictions)
    return (
        f"{heading}<p>{escape(review.sentence())}</p>{said}"
        f"<div class=scroll><table><tr>{head}</tr>{rows}</table></div>"
        f"<p>Registered {escape(made.time)} by code {escape(made.code)}, from {len(made.records)} "
        "runs, and not fitted again since. <code>forecast.json</code>, sha256 "
        f"<code>{review.sha256[:12]}…</code>, which MLflow and the record of each target hold.</p>"
        f"<ul>{laws}</ul></section>"
    )


def _row(outcome: Outcome) -> str:
    inside = {True: "yes", False: "no", None: "–"}[outcome.inside]
    cells = (outcome.name, outcome.expected, outcome.came, inside)
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _law(prediction: Prediction) -> str:
    more = len(prediction.names) - 1
    named = prediction.names[0] + (f" and {more} more" if more else "")
    told = f"{prediction.law} ({prediction.verdict})" if prediction.law else prediction.reason
    return f"<li>{escape(f'{named}: {told}')}</li>"
