"""The section of report.html that compares a forecast with the measured losses."""

from html import escape

from fitting.forecast import Prediction
from fitting.outcomes import Outcome, Review
from fitting.page.markup import section as marked
from fitting.page.markup import table

TITLE = "Forecast and outcome"
HEAD = ("target", "forecast [95 %]", "measured (error)", "inside?")
"""Two numbers per column: a phone has room for four columns."""


def section(review: Review | None) -> str:
    """The section as HTML; "" where nothing was forecast."""
    if review is None:
        return ""
    if review.forecast is None:
        return marked(TITLE, f"<p class=note>{escape(review.problem)}</p>")
    made = review.forecast
    said = "".join(f"<p class=note>{escape(note)}</p>" for note in review.notes)
    rows = [_row(outcome) for outcome in review.outcomes]
    laws = "".join(_law(prediction) for prediction in made.predictions)
    return marked(
        TITLE,
        f"<p>{escape(review.sentence())}</p>{said}",
        table("Forecast and measured losses", list(HEAD), rows),
        f"<p>Registered {escape(made.time)} by code {escape(made.code)}, from {len(made.records)} "
        "runs, and not fitted again since. <code>forecast.json</code>, sha256 "
        f"<code>{review.sha256[:12]}…</code>, which MLflow and the record of each target hold.</p>"
        f"<ul>{laws}</ul>",
    )


def _row(outcome: Outcome) -> list[str]:
    inside = {True: "yes", False: "no", None: "–"}[outcome.inside]
    return [outcome.name, outcome.expected, outcome.came, inside]


def _law(prediction: Prediction) -> str:
    more = len(prediction.names) - 1
    named = prediction.names[0] + (f" and {more} more" if more else "")
    told = f"{prediction.law} ({prediction.verdict})" if prediction.law else prediction.reason
    return f"<li>{escape(f'{named}: {told}')}</li>"
