"""The plots of L(N, D); `fitting.export.plots` explains the marks."""

from collections.abc import Mapping

import numpy as np

from fitting.export.plots import Mark, Plot
from fitting.runs.groups import SAME_SIZE, groups
from fitting.surface.law import SurfaceLaw

LINE_POINTS = 40
MAX_LINES = 12
"""Largest number of sizes with a line; of more sizes, this many are chosen evenly."""


def surface_plots(
    laws: Mapping[str, SurfaceLaw], numbers: Mapping[str, int], loss: str
) -> dict[str, Plot]:
    """Loss by tokens, and residuals by N and by D; none where no exponent is identified.

    `numbers`: the number of each architecture, `k` of its marks. `loss`: the label of its axis.
    """
    known = [(numbers[arch], arch, law) for arch, law in laws.items() if law.identified]
    if not known:
        return {}
    return {
        "surface": Plot(
            "Loss by tokens, one line per size",
            "training tokens",
            loss,
            [mark for each in known for mark in _lines(*each)],
            {"points": "a run", "line": "the surface at one size"},
            log_y=True,
        ),
        "surface-residuals-n": Plot(
            "Residuals of the surface, by size",
            "parameters",
            "run over surface, minus one",
            [_residuals(*each, "n") for each in known],
            {"points": "a run"},
            percent=True,
        ),
        "surface-residuals-d": Plot(
            "Residuals of the surface, by tokens",
            "training tokens",
            "run over surface, minus one",
            [_residuals(*each, "d") for each in known],
            {"points": "a run"},
            percent=True,
        ),
    }


def _lines(k: int, arch: str, law: SurfaceLaw) -> list[Mark]:
    """The runs, and the surface at each size over all budgets."""
    s = law.surface
    size = groups(s.n, SAME_SIZE)
    chosen = np.unique(np.linspace(0, size.max(), min(MAX_LINES, size.max() + 1)).round())
    d = np.geomspace(s.d.min(), s.d.max(), LINE_POINTS)
    marks: list[Mark] = []
    for each in chosen:
        n = float(np.exp(np.log(s.n[size == each]).mean()))
        loss = s.predict(n, d).tolist()
        line = {"kind": "line", "thin": True, "k": k, "x": d.tolist(), "y": loss}
        marks.append(line | {"name": f"{arch}: the surface at N = {n:.3g}"})
    tips = _tips(arch, law)
    points = {
        "kind": "points",
        "k": k,
        "x": s.d.tolist(),
        "y": s.loss.tolist(),
        "tips": tips,
        "label": arch,
    }
    return [*marks, points]


def _residuals(k: int, arch: str, law: SurfaceLaw, axis: str) -> Mark:
    return {
        "kind": "points",
        "k": k,
        "x": getattr(law.surface, axis).tolist(),
        "y": np.expm1(law.residuals()).tolist(),
        "tips": _tips(arch, law),
        "label": arch,
    }


def _tips(arch: str, law: SurfaceLaw) -> list[str]:
    s = law.surface
    return [
        f"{arch}\nN = {n:.3g}, D = {d:.3g}\nloss {loss:.4f}, the surface says {fitted:.4f}"
        for n, d, loss, fitted in zip(s.n, s.d, s.loss, s.predict(s.n, s.d))
    ]
