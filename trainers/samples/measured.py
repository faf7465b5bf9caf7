"""What was measured, on samples.html: plots with their values, a table, and what they can say."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from html import escape
from itertools import count
from math import isfinite

import numpy as np

from trainers.samples import frechet, pictures
from trainers.samples.cards import percent, told, varied_in
from trainers.samples.measures import Estimate, share
from trainers.samples.study import MEASURES, Composed, Piece, Study, values

NOT_AVAILABLE = "–"


def plots(study: Study, archs: list[str]) -> str:
    """A figure for each measure, with a table of its values."""
    numbers = count(1)
    figures = [
        _figure(next(numbers), title, _series(study, archs, of), reference)
        for title, of, reference in _measures(study)
    ]
    return "".join(figures)


_Of = Callable[[Composed], Estimate]


def _measures(study: Study) -> list[tuple[str, _Of, Estimate | None]]:
    """Title, estimate for a cell, and the test split's, of each plot."""
    nothing = Estimate(0.0, float("nan"), float("nan"), len(study.reference))
    return [
        ("Fréchet distance from real pieces", _distance(study), nothing),
        ("Valid without the grammar", lambda one: one.valid, None),
        ("Readable without the grammar", lambda one: one.reads, None),
        *(
            (title, partial(Composed.mean, name=name), study.mean(name))
            for name, title in MEASURES.items()
        ),
    ]


def _distance(study: Study) -> _Of:
    real, covariances = _table_of(study.reference), _covariances(study)
    return lambda one: frechet.frechet(_table_of(one.pieces), real, covariances)


def _table_of(pieces: list[Piece]) -> np.ndarray:
    """(pieces, measures)."""
    return np.stack([values(pieces, name) for name in MEASURES], axis=1)


def _covariances(study: Study) -> bool:
    """Whether each cell has composed enough for them."""
    fewest = min(len(one.pieces) for one in study.composed)
    return frechet.correlated(fewest, len(MEASURES))


def about_distance(study: Study) -> str:
    """What the Frechet distance of this page can say, in HTML."""
    fewest = min(len(one.pieces) for one in study.composed)
    needed = frechet.ENOUGH * len(MEASURES)
    how = (
        f"The covariances of the {len(MEASURES)} measures below are compared as well."
        if _covariances(study)
        else f"{fewest} pieces of a model do not show how {len(MEASURES)} measures go together, so "
        "these are taken as independent, and only large differences can be seen. "
        f"<code>python -m trainers.generate --count {4 * needed}</code> measures more."
    )
    return (
        "The Fréchet distance (Heusel et al. 2017) is from real pieces in all of these measures at "
        "once, each by its rank among real pieces. Of few pieces it is too large by a term that "
        "falls as 1/n, which is taken off by the jackknife, as Chong &amp; Forsyth (2020) do by "
        f"extrapolation: 0 is no difference, and chance may lead below it. {how}"
    )


def about_valid(study: Study) -> str:
    """What "valid" means, and what a share of few samples can say, in text."""
    n = study.composed[0].valid.n
    none = share(0, n)
    return (
        "Valid unaided is the share of samples drawn without the grammar that come to an end and "
        "whose every bar, tie and tuplet is complete: one wrong token in a piece is enough to "
        f"fail, so small models may well have 0 %. Of {n} samples, 0 % stands for anything up to "
        f"{percent(none.high)}: the intervals are Clopper and Pearson's, of 95 %."
    )


def valid(one: Composed) -> str:
    """ "2 of 8 valid unaided (3 to 65 %)"."""
    hits, found = round(one.valid.value * one.valid.n), one.valid
    return f"{hits} of {found.n} valid unaided ({100 * found.low:.0f} to {percent(found.high)})"


def legend(archs: list[str]) -> str:
    return "".join(
        f"<span>{pictures.key(number)}{escape(arch)}</span>" for number, arch in enumerate(archs)
    )


def _series(study: Study, archs: list[str], of: _Of) -> list[pictures.Series]:
    """Of each architecture; what was trained on for longer is no point of a curve over sizes."""
    found, ladder = [], [one for one in study.composed if not one.trained.note] or study.composed
    for arch in archs:
        mine = [one for one in ladder if one.trained.cell.arch == arch]
        found.append(
            pictures.Series(arch, [one.trained.n_params for one in mine], [of(one) for one in mine])
        )
    return found


def _figure(
    number: int, title: str, series: list[pictures.Series], reference: Estimate | None
) -> str:
    rows = [
        (one.name, f"{n:,.0f}", estimate)
        for one in series
        for n, estimate in zip(one.n_params, one.estimates)
    ]
    rows += [("real pieces", "", reference)] if reference else []
    lines = "".join(
        f"<tr><th scope=row>{escape(name)}</th><td>{n}</td>{_cells(estimate)}</tr>"
        for name, n, estimate in rows
    )
    heads = ("", "parameters", "mean", "95 % interval", "pieces")
    top = "".join(f"<th scope=col>{head}</th>" for head in heads)
    return (
        f"<figure aria-labelledby=plot{number}><figcaption id=plot{number}>{escape(title)}"
        f"</figcaption>{pictures.plot(title, series, reference)}"
        f"<details><summary>Values<span class=spoken> of {escape(title)}</span></summary>"
        f'<div class=scroll tabindex=0 role=region aria-label="Values of {escape(title)}"><table>'
        f"<tr>{top}</tr>{lines}</table></div></details></figure>"
    )


def _cells(estimate: Estimate) -> str:
    interval = NOT_AVAILABLE
    if isfinite(estimate.low):
        interval = f"{_digits(estimate.low)} to {_digits(estimate.high)}"
    return f"<td>{_digits(estimate.value)}</td><td>{interval}</td><td>{estimate.n}</td>"


def _digits(value: float) -> str:
    return f"{value:.3g}".replace("-", "−") if isfinite(value) else NOT_AVAILABLE


def differences(study: Study) -> str:
    """How far each mean lies from that of real pieces, as a table."""
    head = ["model", "pieces", *MEASURES.values()]
    varied = varied_in(study.composed)
    lines = ""
    for one in study.composed:
        cells = [str(len(one.pieces))]
        cells += [_difference(study.difference(one, name)) for name in MEASURES]
        lines += f"<tr><th scope=row>{escape(told(one.trained, varied))}</th>"
        lines += "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
    top = "".join(f"<th scope=col>{escape(cell)}</th>" for cell in head)
    return (
        '<div class=scroll tabindex=0 role=region aria-label="Differences from the test split">'
        f"<table><tr>{top}</tr>{lines}</table></div>"
    )


def _difference(gap: Estimate) -> str:
    if not isfinite(gap.value):
        return NOT_AVAILABLE
    text = f"{gap.value:+.2f} ± {(gap.high - gap.low) / 2:.2f}"
    return f"<b>{text}</b>" if gap.low > 0 or gap.high < 0 else text
