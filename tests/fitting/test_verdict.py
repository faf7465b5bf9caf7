"""Coverage and verdicts on simulated sweeps: the quick form of benchmarks/fitting_coverage.py.

The seeds are fixed, so a test gives the same answer each time; the bounds are three standard errors
wide of what the benchmark measures.
"""

import numpy as np
import pandas as pd
import pytest

from benchmarks.fitting_coverage import NOT_LAWS, Outcome, power, simulate
from fitting.analysis import analyse
from fitting.power_law import fit
from fitting.records import complete
from fitting.verdict import bend_p
from tests.fitting.conftest import make_records


def outcomes(draws: int, sizes: int, seeds: int, noise: float, alpha: float) -> list[Outcome]:
    rng = np.random.default_rng([sizes, seeds, int(1e4 * alpha)])
    truth = (alpha, 1.2)
    return [simulate(power(alpha, 0.4), sizes, seeds, noise, rng, truth) for _ in range(draws)]


@pytest.mark.parametrize(("sizes", "seeds"), [(5, 1), (8, 1), (5, 3), (8, 3)])
def test_the_intervals_cover_as_often_as_they_say(sizes: int, seeds: int) -> None:
    found = outcomes(120, sizes, seeds, 0.005, 0.3)
    for name in ("covers_alpha", "covers_c", "covers_held_out"):
        rate = np.mean([getattr(outcome, name) for outcome in found])
        assert rate >= 0.95 - 0.06, name


def test_true_laws_are_supported_at_eight_sizes_and_three_seeds() -> None:
    words = [outcome.word for outcome in outcomes(60, 8, 3, 0.005, 0.3)]
    assert words.count("supported") >= 54


@pytest.mark.parametrize("name", NOT_LAWS)
def test_what_is_no_law_is_not_called_supported(name: str) -> None:
    curve, diverged = NOT_LAWS[name]
    rng = np.random.default_rng(3)
    words = [simulate(curve, 8, 3, 0.005, rng, diverged=diverged).word for _ in range(20)]
    assert words.count("supported") <= 1


@pytest.mark.parametrize("name", ["broken, flattening", "broken, then flat"])
def test_noise_does_not_hide_a_bend(name: str) -> None:
    curve, _ = NOT_LAWS[name]
    rng = np.random.default_rng(4)
    words = [simulate(curve, 8, 3, 0.02, rng).word for _ in range(80)]
    # 3.6 %, and 22 % without the test for a bend.
    assert words.count("supported") <= 7


def test_the_test_for_a_bend_errs_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    n = np.repeat(np.geomspace(3e3, 3e5, 8), 3)
    laws = [
        fit(n, power(0.3, 0.4)(n / 3e3) * np.exp(0.01 * rng.standard_normal(len(n))))
        for _ in range(300)
    ]
    p = np.array([bend_p(law) for law in laws])
    # Standard errors of .017 and .029.
    assert abs((p < 0.1).mean() - 0.1) < 0.052
    assert abs((p < 0.5).mean() - 0.5) < 0.087


PUBLISHED = {
    "transformer": ([1.05, 4.47, 21.55, 60.65, 156.42], [3.195, 2.183, 2.026, 2.217, 6.591]),
    "rnn": ([0.30, 1.65, 8.55, 23.83], [4.784, 3.369, 2.883, 2.924]),
}


@pytest.mark.parametrize("arch", PUBLISHED)
def test_the_published_study_supports_no_law(arch: str) -> None:
    n, loss = PUBLISHED[arch]
    table = complete(pd.DataFrame({"arch": arch, "n_params": n, "val_loss": loss}))
    verdict = analyse(table).laws[arch].verdict
    assert verdict.word == "not supported"
    assert (
        verdict.reasons[0]
        == "the losses scatter about the law too much to show that they fall along it"
    )


def test_three_sizes_are_too_few() -> None:
    law = analyse(complete(make_records(sizes=3))).laws["lstm"]
    assert law.verdict.word == "not supported"
    assert "3 different number(s) of parameters" in law.verdict.reasons[0]


def test_a_best_rate_at_the_edge_weakens_the_verdict() -> None:
    records = make_records()
    worse = records.assign(lr=0.02, cell_key=records["cell_key"] + "b")
    worse["val_loss"] *= 1.05
    both = complete(pd.concat([records, worse], ignore_index=True))
    law = analyse(both).laws["transformer"]
    assert law.verdict.word == "weak"
    assert "edge" in law.verdict.reasons[0]
    assert set(law.selection.left_out["why"]) == {"another learning rate did better at this size"}


def test_a_law_without_floor_is_not_rejected_for_an_outlier() -> None:
    # Where c is pressed against 0 it takes no share of the residuals; counting it as free once
    # made half of such sweeps look as if one run stood apart.
    rng = np.random.default_rng(0)
    words = [simulate(power(0.3, 0.0), 5, 1, 0.005, rng).word for _ in range(40)]
    assert words.count("not supported") <= 3
