"""The colours of the page tell themselves apart from what they stand on, by day and by night."""

import re

import pytest

from fitting.page import report_page

STYLE = (report_page.HERE / "report_page.css").read_text(encoding="utf-8")


def colours(scheme: str) -> dict[str, str]:
    """Name to #rrggbb of a scheme."""
    light, dark = re.findall(r":root[^{]*\{ (--ink:[^}]*)\}", STYLE)
    return dict(re.findall(r"--(\w+): (#\w+)", dark if scheme == "dark" else light))


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2.1."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#fff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_lines_and_letters_stand_out(scheme: str) -> None:
    found = colours(scheme)
    assert len(found) == 14
    for ground in ("page", "card"):
        for name in ("ink", "soft", "good", "fair", "bad", "s0"):
            assert contrast(found[name], found[ground]) >= 4.5, (name, ground)
        for name in (f"s{k}" for k in range(6)):
            assert contrast(found[name], found[ground]) >= 3, (name, ground)
