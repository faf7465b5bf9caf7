"""Architectures are compared where that means something; if not, the reason is said."""

import re

import numpy as np
import pandas as pd
import pytest

from fitting.analysis import Analysis, analyse
from fitting.runs.read import complete

N = np.geomspace(3e3, 3e5, 6).round()


def runs(arch: str, tokens: float, seed: int = 0, **more: object) -> pd.DataFrame:
    """L(N, D) = 1.2 + 6 N^-.3 + 90 D^-.3 at one budget, with a little noise."""
    noise = np.random.default_rng(seed).standard_normal(len(N))
    loss = (1.2 + 6 * N**-0.3 + 90 * tokens**-0.3) * np.exp(0.001 * noise)
    table = pd.DataFrame({"arch": arch, "n_params": N, "tokens": tokens, "val_loss": loss, **more})
    return table.assign(flops=6 * N * tokens)


def analysis_of(*tables: pd.DataFrame) -> Analysis:
    return analyse(complete(pd.concat(tables, ignore_index=True)))


def test_at_unequal_budgets_nobody_is_ahead_at_equal_parameters() -> None:
    # "new is ahead of old by .368" was said of two equal architectures.
    found = analysis_of(runs("old", 2e6), runs("new", 2e7, 1))
    assert [pair.axis for pair in found.comparisons] == ["flops"]
    said = found.comparisons[0].sentence()
    assert re.match(r"At \S+ FLOPs, as they were trained, the runs of new have", said)
    assert "(20,000,000 tokens; 2,000,000 tokens): the cause may be the budget" in said


def test_without_compute_in_common_the_reason_is_said() -> None:
    found = analysis_of(runs("old", 2e4), runs("new", 2e9, 1))
    assert found.comparisons == ()
    assert "new and old are not compared: they have no FLOPs in common" in found.lines()[-1]


def test_at_equal_budgets_they_are_compared_by_parameters_and_by_compute() -> None:
    found = analysis_of(runs("a", 2e6), runs("b", 2.003e6, 1))
    assert [pair.axis for pair in found.comparisons] == ["n_params", "flops"]
    assert found.not_compared == ()


def test_one_ratio_of_tokens_to_parameters_is_one_budget() -> None:
    tables = [runs(arch, 1.0, seed) for seed, arch in enumerate("ab")]
    tables = [t.assign(tokens=20 * N, flops=120 * N**2, val_loss=6 * N**-0.3 + 1.2) for t in tables]
    found = analysis_of(*tables)
    assert "n_params" in [pair.axis for pair in found.comparisons]
    assert found.laws["a"].selection.along == "D = 20 N"


def test_a_law_that_is_none_is_named_as_the_reason() -> None:
    flat = runs("flat", 2e6).assign(val_loss=[2.0, 2.1, 1.9, 2.1, 2.0, 2.05])
    (pair,) = analysis_of(runs("a", 2e6), flat).not_compared
    assert pair.reason == "the runs of flat show no law"


def test_tokenizers_are_compared_by_the_note() -> None:
    tables = []
    for seed, (name, per_token, per_note) in enumerate((("abc", 1, 4.0), ("remi", 1.5, 3.0))):
        table = runs("t", 2e6, seed, tokenizer=name, data=name)
        table["val_loss_per_note"] = per_note * table["val_loss"]
        table["val_loss"] *= per_token
        tables.append(table)
    found = analysis_of(*tables)
    pair = found.comparisons[0]
    assert pair.unit == "nats per note"
    assert pair.loss_interval.low > 0
    assert "t, remi is ahead of t, abc by" in pair.sentence()
    assert "nats per note" in pair.sentence()


def test_many_pairs_are_said_to_be_many() -> None:
    found = analysis_of(*(runs(name, 2e6, seed) for seed, name in enumerate("abcd")))
    assert "6 pairs are compared" in found.notes[0]


@pytest.mark.parametrize("unknown", ["tokens", "flops"])
def test_a_table_without_budgets_is_compared_as_it_stands(unknown: str) -> None:
    found = analysis_of(*(runs(a, 2e6, k).drop(columns=[unknown]) for k, a in enumerate("ab")))
    assert found.comparisons[0].axis == "n_params"


def test_a_pair_is_not_refused_for_one_axis_while_it_is_compared_by_another() -> None:
    one, two = runs("a", 2e6), runs("b", 2e6, 1)
    found = analysis_of(one, two.assign(flops=two["flops"] * 1e6))
    assert [pair.axis for pair in found.comparisons] == ["n_params"]
    assert found.not_compared == ()


def test_losses_that_show_no_law_by_the_note_are_not_compared_by_it() -> None:
    tables = [
        runs("t", 2e6, seed, tokenizer=name, data=name).assign(val_loss_per_note=note)
        for seed, (name, note) in enumerate((("abc", 4 + N**-0.2), ("remi", 4 + 1e-6 * N)))
    ]
    (pair,) = analysis_of(*tables).not_compared
    assert pair.reason == "t, remi shows no law by FLOPs in nats per note"


def test_pairs_that_are_not_told_apart_are_not_said_to_be_equal() -> None:
    pair = analysis_of(runs("a", 2e6), runs("b", 2e6, 1)).comparisons[0]
    assert "a and b cannot be told apart: the difference is" in pair.sentence()


def test_a_stray_budget_makes_no_design() -> None:
    stray = runs("a", 4e6, 2).head(1)
    found = analysis_of(runs("a", 2e6), stray)
    assert found.axis.column == "n_params"
    law = found.laws["a"]
    assert 0.3 in law.alpha_interval
    assert list(law.selection.left_out["why"]) == ["another token budget (used by L(N, D))"]


def test_tokens_that_grow_with_the_size_are_said_wherever_the_law_is() -> None:
    found = analysis_of(runs("a", 1.0).assign(tokens=20 * N, flops=120 * N**2))
    assert found.lines()[0] == (
        "a: tokens grow with the size (D = 20 N), so alpha describes both together."
    )
