"""Only runs that differ in size, tokens, seed and rate alone share a law."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fitting.analysis import analyse
from fitting.contract import SETTINGS
from fitting.runs.apart import kept_apart
from fitting.runs.read import complete, read_csv
from harness.experiments import make_records

VALUES = {"schedule": ("cosine", "wsd"), "rates": ("flat", "transferred")}


def lstm(seeds: int = 1, sizes: int = 5) -> pd.DataFrame:
    return make_records(seeds=seeds, sizes=sizes).query("arch == 'lstm'")


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_that_was_varied_makes_laws_of_its_own(name: str) -> None:
    # Taken for seeds they were five repeats a size, and the verdict "supported".
    one, two = VALUES.get(name, ("128", "256"))
    records = complete(pd.concat([lstm().assign(**{name: one}), lstm().assign(**{name: two})]))
    analysis = analyse(records.assign(cell_key=[str(i) for i in range(len(records))]))
    assert list(analysis.laws) == [f"lstm, {name} {one}", f"lstm, {name} {two}"]
    assert analysis.notes[0] == (f"Found 2 values of {name} ({one}, {two}): each has its own laws.")
    assert f"{name} ({one}; {two})" in analysis.comparisons[0].sentence()


def test_settings_that_vary_together_are_named_once() -> None:
    records = pd.concat(
        [
            lstm().assign(context=256, batch_tokens=1024),
            lstm().assign(context=512, batch_tokens=2048),
        ]
    )
    found, notes = kept_apart(complete(records))
    assert set(found["arch"]) == {"lstm, batch_tokens 1024", "lstm, batch_tokens 2048"}
    assert len(notes) == 1


def test_a_setting_that_changes_with_the_size_is_part_of_the_law_and_said() -> None:
    records = lstm().assign(context=lambda runs: np.where(runs["n_params"] > 5e4, 512, 256))
    law = analyse(complete(records)).laws["lstm"]
    assert law.verdict.word == "weak"
    assert any(
        reason.startswith("context changes with the size (256 at N = 3,000 to 30,000, 512 at")
        for reason in law.verdict.reasons
    )


def test_architectures_may_have_settings_of_their_own() -> None:
    records = make_records(seeds=3, sizes=5).assign(
        clip=lambda runs: np.where(runs["arch"] == "lstm", 0.5, 1.0)
    )
    analysis = analyse(complete(records))
    assert set(analysis.laws) == {"lstm", "transformer"}
    assert analysis.notes == ()
    assert "They also differ in clip (0.5; 1)." in analysis.comparisons[0].sentence()


def test_what_was_not_recorded_is_taken_for_the_only_value_that_was() -> None:
    records = lstm(seeds=3)
    records["schedule"] = np.where(records["seed"] == 0, "", "cosine")
    found, notes = kept_apart(complete(records))
    assert set(found["arch"]) == {"lstm"}
    assert notes == ()


def test_two_shapes_of_one_size_are_no_seeds() -> None:
    records = pd.concat([lstm().assign(shape="heads=4"), lstm().assign(shape="heads=2")])
    assert set(kept_apart(complete(records))[0]["arch"]) == {
        "lstm, shape heads=4",
        "lstm, shape heads=2",
    }


def test_a_number_is_the_same_however_it_was_written(write_table: Callable[[str], Path]) -> None:
    text = "arch,n_params,val_loss,weight_decay\n"
    rows = [
        f"a,{n},{3 - k / 10},{w}" for k, n in enumerate((1e3, 2e3, 4e3)) for w in ("0.1", "1e-1")
    ]
    records = read_csv(write_table(text + "\n".join(rows)))
    assert set(records["weight_decay"]) == {"0.1"}
