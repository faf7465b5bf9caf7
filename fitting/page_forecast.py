"""The section of report.html that sets a forecast beside what was measured."""

from html import escape

from fitting.outcomes import Outcome, Review

HEAD = ("", "forecast", "95 %", "measured", "inside?", "error")


def section(review: Review | None) -> str:
    """HTML; empty where nothing was forecast."""
    if review is None:
        return ""
    heading = "<section><h2>Forecast and outcome</h2>"
    if review.forecast is None:
        return f"{heading}<p class=note>{escape(review.problem)}</p></section>"
    made = review.forecast
    said = "".join(f"<p class=note>{escape(note)}</p>" for note in review.notes)
    rows = "".join(_row(outcome) for outcome in review.outcomes)
    head = "".join(f"<th>{name}</th>" for name in HEAD)
    laws = "".join(
        f"<li>{escape(', '.join(each.names))}: "
        f"{escape(f'{each.law} ({each.verdict})' if each.law else each.reason)}</li>"
        for each in made.predictions
    )
    return (
        f"{heading}<p>{escape(review.sentence())}</p>{said}"
        f"<div class=scroll><table><tr>{head}</tr>{rows}</table></div>"
        f"<p>Registered {escape(made.time)} by code {escape(made.code)}, from {len(made.records)} "
        "runs, and not fitted again since. <code>forecast.json</code>, sha256 "
        f"<code>{review.sha256[:12]}…</code>, which MLflow and the record of each target hold.</p>"
        f"<ul>{laws}</ul></section>"
    )


def _row(outcome: Outcome) -> str:
    cells = ["–"] * 4
    if outcome.predicted is not None:
        cells[:2] = [f"{outcome.predicted:.4f}", str(outcome.interval)]
    cells[2] = outcome.status if outcome.measured is None else f"{outcome.measured:.4f}"
    if outcome.inside is not None:
        cells[3] = "yes" if outcome.inside else "no"
    error = outcome.relative_error
    cells.append("–" if error is None else f"{100 * error:+.2f} %")
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in (outcome.name, *cells))}</tr>"
