"""A law as people write it: "8.42 N^-.152 + 1.45", "1.45 + 8.42 N^{-.152}", "(N/8.8e13)^-0.076".

The parser reads a power of N, D or C and a constant, in either order. Each number keeps half a unit
of its last printed digit, which is how much rounding may have removed.
"""

import re
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fitting.runs.axis import AXES, Axis

MAGNITUDE = r"(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+|\*10\^[+-]?\d+)?"
NUMBER = rf"[+-]?{MAGNITUDE}"
EXPONENT = rf"\^(?P<exponent>{NUMBER})"
POWERS = (
    rf"(?:(?P<a>{NUMBER})\*?)?(?P<symbol>[NDC]){EXPONENT}",
    rf"(?P<a>{NUMBER})/(?P<symbol>[NDC])\^(?P<inverse>{NUMBER})",
    rf"(?:(?P<a>{NUMBER})\*?)?\((?P<symbol>[NDC])/(?P<scale>{NUMBER})\){EXPONENT}",
    rf"(?:(?P<a>{NUMBER})\*?)?\((?P<scale>{NUMBER})/(?P<symbol>[NDC])\)\^(?P<inverse>{NUMBER})",
)
EXAMPLE = "8.42 N^-.152 + 1.45"


class StatedError(ValueError):
    """The text is not a law; the message is one line."""


@dataclass(frozen=True)
class Rounded:
    """A printed number, with half a unit of its last digit."""

    value: float
    half: float


@dataclass(frozen=True)
class StatedLaw:
    """L(N) = a (N / scale)^-alpha + c, as it was printed."""

    text: str
    axis: Axis
    """The variable that the law is in: N, D or C."""
    a: Rounded
    scale: Rounded
    """1, exactly, where the law has no such number."""
    alpha: Rounded
    c: Rounded
    """0, exactly, where the law has none."""

    def predict(self, n: ArrayLike) -> NDArray[np.float64]:
        """Losses (m,), nats per token, at `n` (m,)."""
        numbers = (self.a.value, self.scale.value, self.alpha.value, self.c.value)
        return _predict(np.asarray(n, dtype=float), *numbers)

    def rounded(self, n: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lowest and highest losses (m,) consistent with the numbers before rounding.

        The law is monotone in each of them, so its ends are among the corners.
        """
        corners = self.meant(n, 2)
        return np.min(corners, axis=0), np.max(corners, axis=0)

    def meant(self, n: ArrayLike, steps: int) -> list[NDArray[np.float64]]:
        """Losses (m,) of laws that round to the same text: `steps` values of each number."""
        ends = [
            np.linspace(r.value - r.half, r.value + r.half, steps if r.half else 1)
            for r in (self.a, self.scale, self.alpha, self.c)
        ]
        return [_predict(np.asarray(n, dtype=float), *numbers) for numbers in product(*ends)]


def parse(text: str) -> StatedLaw:
    """Read a law. Raises StatedError where the text is not one."""
    plain = _plain(text)
    for power in POWERS:
        for form in (rf"{power}(?P<c>[+-]{MAGNITUDE})?", rf"(?P<c>{NUMBER})\+{power}"):
            if found := re.fullmatch(form, plain):
                return _law(text, found.groupdict())
    raise StatedError(f"found {text[:60]!r}; expected a law such as {EXAMPLE!r}, in N, D or C")


def _plain(text: str) -> str:
    """The text without blanks and left-hand side, with one spelling of minus, times and power."""
    plain = re.sub(r"^\s*\$?\s*L\s*(?:\(\s*[NDC]\s*\))?\s*=", "", text)
    plain = plain.replace("−", "-").replace("**", "^").replace("E", "e")
    plain = re.sub(r"[×·]|\\times|\\cdot", "*", plain)
    plain = re.sub(r"\^\{([^{}]*)\}", r"^\1", plain)
    plain = re.sub(rf"\^\(\s*({NUMBER})\s*\)", r"^\1", plain)
    return re.sub(r"[\s$]", "", plain)


def _law(text: str, found: dict[str, str | None]) -> StatedLaw:
    exact_one, exact_zero = Rounded(1.0, 0.0), Rounded(0.0, 0.0)
    a, scale, c = (_rounded(found.get(name)) for name in ("a", "scale", "c"))
    if inverse := _rounded(found.get("inverse")):
        alpha = inverse
    else:
        exponent = _rounded(found["exponent"]) or exact_zero
        alpha = Rounded(-exponent.value, exponent.half)
    axis = next(axis for axis in AXES.values() if axis.symbol == found["symbol"])
    if scale and scale.value <= 0:
        raise StatedError(
            f"found {text[:60]!r}; the number that divides {axis.symbol} must be above 0"
        )
    return StatedLaw(text.strip(), axis, a or exact_one, scale or exact_one, alpha, c or exact_zero)


def _rounded(text: str | None) -> Rounded | None:
    """The number and its rounding: "8.42" is 8.42 and .005, "8.8e13" is 8.8e13 and 5e11."""
    if text is None:
        return None
    text = text.replace("*10^", "e")
    digits, _, power = text.partition("e")
    decimals = len(digits.partition(".")[2])
    try:
        return Rounded(float(text), 0.5 * 10.0 ** (int(power or 0) - decimals))
    except OverflowError:
        raise StatedError(f"found {text[:30]!r}; expected a number that a float holds") from None


def _predict(
    n: NDArray[np.float64], a: float, scale: float, alpha: float, c: float
) -> NDArray[np.float64]:
    return a * (n / scale) ** -alpha + c
