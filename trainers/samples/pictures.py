"""Pictures as SVG: the piano roll of a piece, and plots of a measure against size.

Colours are the page's, by name; outside the page the drawings fall back to colours for white paper.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from math import isfinite, log10

import numpy as np

from data.music.score import Score
from trainers.samples.measures import Estimate

SERIES = ("#1b6ca8", "#d1495b", "#3a7d44", "#8a5a9e", "#a87800", "#666")
SHAPES = (
    "M-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0",
    "M-3.2-3.2h6.4v6.4h-6.4z",
    "M0-4.4L4.2 3.2h-8.4z",
    "M0-4.6L4.6 0 0 4.6-4.6 0z",
)
DASHES = ("none", "6 3", "2 3", "8 3 2 3")
"""Series are told apart by these as well as by colour; the next ones begin anew."""
ROLL_HEIGHT = 100


def roll(score: Score, seam: int = 0) -> str:
    """Time to the right, pitch upwards, with bar lines and a colour per track. A unit is a tick.

    seam: the tick up to which the piece was given, which is shaded.
    """
    low, high = int(score.pitch.min()) - 2, int(score.pitch.max()) + 2
    if high - low < 24:
        low, high = (low + high) // 2 - 12, (low + high) // 2 + 12
    scale, end = ROLL_HEIGHT / (high - low), int(score.bars[-1])
    lines = "".join(f"M{line} 0v{ROLL_HEIGHT}" for line in score.bars.tolist())
    parts = [f'<path d="{lines}" class="grid" stroke="#ccc" stroke-width="1"/>']
    if seam:
        parts.insert(0, f'<rect width="{seam}" height="{ROLL_HEIGHT}" class="given" fill="#ddd"/>')
    for track in np.unique(score.track):
        mine = score.track == track
        path = "".join(
            f"M{onset} {(high - pitch - 0.5) * scale:.1f}h{max(duration - 1, 1)}"
            for onset, pitch, duration in zip(
                score.onset[mine].tolist(),
                score.pitch[mine].tolist(),
                score.duration[mine].tolist(),
            )
        )
        # On the page the first track takes the colour of its model.
        colour = f"var(--tone,{SERIES[0]})" if not track else _colour(int(track))
        width = f"{max(scale * 0.85, 2):.1f}"
        parts.append(f'<path d="{path}" style="stroke:{colour}" stroke-width="{width}"/>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {end} {ROLL_HEIGHT}" '
        f'preserveAspectRatio="none" fill="none" aria-hidden="true">{"".join(parts)}</svg>'
    )


@dataclass(frozen=True)
class Series:
    name: str
    n_params: list[float]
    estimates: list[Estimate]


def plot(title: str, series: list[Series], reference: Estimate | None) -> str:
    """Estimates with their intervals against parameters, and the test split's as a band."""
    width, height, left, right, top, bottom = 420, 230, 46, 12, 12, 34
    sizes = [n for one in series for n in one.n_params]
    shown = [e for one in series for e in one.estimates] + ([reference] if reference else [])
    ends = [v for e in shown for v in (e.value, e.low, e.high) if isfinite(v)] or [0.0, 1.0]
    x0, x1 = log10(min(sizes)) - 0.12, log10(max(sizes)) + 0.12
    margin = 0.08 * (max(ends) - min(ends)) or 0.5
    y0, y1 = min(ends) - margin, max(ends) + margin

    def x(n: float) -> float:
        return left + (log10(n) - x0) / (x1 - x0) * (width - left - right)

    def y(value: float) -> float:
        return height - bottom - (value - y0) / (y1 - y0) * (height - top - bottom)

    parts = []
    for value in _ticks(y0, y1):
        parts.append(
            f'<path d="M{left} {y(value):.1f}H{width - right}" class="grid"/>'
            f'<text x="{left - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.4g}</text>'
        )
    for power in range(int(x0), int(x1) + 2):
        for unit in (1, 3):
            n = unit * 10.0**power
            if x0 <= log10(n) <= x1:
                parts.append(
                    f'<text x="{x(n):.1f}" y="{height - 16}" text-anchor="middle">'
                    f"{compact(n)}</text>"
                )
    if reference and isfinite(reference.value):
        if isfinite(reference.low):
            edges = y(reference.high), y(reference.low) - y(reference.high)
            parts.append(
                f'<rect x="{left}" y="{edges[0]:.1f}" width="{width - left - right}" '
                f'height="{max(edges[1], 1):.1f}" class="real"/>'
            )
        parts.append(f'<path d="M{left} {y(reference.value):.1f}H{width - right}" class="real"/>')
    for number, one in enumerate(series):
        shift = 7 * (number - (len(series) - 1) / 2)
        points = [
            (x(n) + shift, e) for n, e in zip(one.n_params, one.estimates) if isfinite(e.value)
        ]
        path = "L".join(f"{px:.1f} {y(e.value):.1f}" for px, e in points)
        bars = "".join(
            f"M{px:.1f} {y(e.low):.1f}V{y(e.high):.1f}" for px, e in points if isfinite(e.low)
        )
        dots = "".join(_mark(number, px, y(e.value)) for px, e in points)
        parts.append(
            f'<g style="stroke:{_colour(number)};fill:{_colour(number)}"><path d="M{path}" '
            f'fill="none" stroke-dasharray="{DASHES[number % len(DASHES)]}"/>'
            f'<path d="{bars}"/>{dots}</g>'
            if points
            else ""
        )
    label = f"{title} against parameters; the table below has the values"
    middle = (left + width - right) / 2
    axis = f'<text x="{middle}" y="{height - 2}" text-anchor="middle">parameters</text>'
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}{axis}</svg>"
    )


def key(number: int) -> str:
    """The sign of a series in a legend."""
    return (
        f'<svg viewBox="-14 -6 28 12" width="28" height="12" aria-hidden="true" style="stroke:'
        f'{_colour(number)};fill:{_colour(number)}"><path d="M-14 0H14" '
        f'stroke-dasharray="{DASHES[number % len(DASHES)]}"/>{_mark(number, 0, 0)}</svg>'
    )


def _mark(number: int, x: float, y: float) -> str:
    shape = SHAPES[number % len(SHAPES)]
    return f'<path d="{shape}" transform="translate({x:.1f} {y:.1f})"/>'


def compact(n: float) -> str:
    """1200 -> 1.2k."""
    for power, unit in ((9, "B"), (6, "M"), (3, "k")):
        if n >= 10**power:
            return f"{n / 10**power:.3g}{unit}"
    return f"{n:.3g}"


def _colour(number: int) -> str:
    return f"var(--s{number % len(SERIES)},{SERIES[number % len(SERIES)]})"


def _ticks(low: float, high: float) -> list[float]:
    power = 10.0 ** np.floor(np.log10((high - low) / 4))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= (high - low) / 4)
    return [float(step * k) for k in range(int(np.ceil(low / step)), int(high / step) + 1)]
