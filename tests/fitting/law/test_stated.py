"""A law is read as people write it, with what its printed digits leave open."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitting.law.stated import StatedError, parse

LAW = (8.42, 0.152, 1.45)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("8.42 N^-.152 + 1.45", LAW),
        ("8.42*N**-0.152+1.45", LAW),
        ("1.45 + 8.42 N^{-.152}", LAW),
        ("L(N) = 8.42 · N^(−0.152) + 1.45", LAW),
        (r"$L = 8.42 \times N^{-0.152} + 1.45$", LAW),
        ("8.42/N^.152 + 1.45", LAW),
        ("842e-2 N^-15.2e-2 + 1.45", LAW),
        ("8.42 N^-.152", (8.42, 0.152, 0.0)),
        ("8.42 N^-.152 - 0.2", (8.42, 0.152, -0.2)),
        ("2 N^.1", (2.0, -0.1, 0.0)),
        ("(N/8.8e13)^-0.076", (8.8e13**0.076, 0.076, 0.0)),
        ("(8.8e13 / N)^0.076", (8.8e13**0.076, 0.076, 0.0)),
        ("(N / 8.8 × 10^13)^{-0.076}", (8.8e13**0.076, 0.076, 0.0)),
    ],
)
def test_a_law_is_read_however_it_is_written(
    text: str, numbers: tuple[float, float, float]
) -> None:
    a, alpha, c = numbers
    law = parse(text)
    for n in (1e6, 1e8):
        assert law.predict([n])[0] == pytest.approx(a * n**-alpha + c, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "column"),
    [("2 N^-.1", "n_params"), ("2 D^-.1 + 1", "tokens"), ("(C/3e8)^-.05", "flops")],
)
def test_its_letter_says_what_it_is_a_law_of(text: str, column: str) -> None:
    assert parse(text).axis.column == column


@pytest.mark.parametrize(
    "text", ["", "1.45", "N", "a N^-b + c", "8 M^-.1", "8 N^-.1 + 1 D^-.2", "8 N^--.1", "(N/0)^-.1"]
)
def test_what_is_no_law_is_refused(text: str) -> None:
    with pytest.raises(StatedError, match="found"):
        parse(text)


def test_a_printed_number_is_known_to_half_a_unit_of_its_last_digit() -> None:
    law = parse("8.42 N^-.152 + 1.450")
    assert (law.a.half, law.alpha.half, law.c.half) == pytest.approx((0.005, 0.0005, 0.0005))
    assert parse("(N/8.8e13)^-.076").scale.half == pytest.approx(5e11)
    assert parse("(N/8.8e13)^-.076").a.half == 0


@given(a=st.floats(0.1, 100), alpha=st.floats(0.01, 1), c=st.floats(0, 3), n=st.floats(1e3, 1e10))
def test_the_law_before_rounding_lies_between_the_ends(
    a: float, alpha: float, c: float, n: float
) -> None:
    low, high = parse(f"{a:.2f} N^-{alpha:.2f} + {c:.1f}").rounded([n])
    assert low[0] - 1e-9 <= a * n**-alpha + c <= high[0] + 1e-9
