"""Which runs one law may hold: never two tokenizers, two data sets, or two token budgets."""

import pandas as pd
import pytest

from fitting.analysis import analyse
from fitting.runs.apart import kept_apart
from fitting.runs.axis import AXES
from fitting.runs.read import complete
from fitting.runs.selection import select
from harness.experiments import make_records
from tests.fitting.conftest import make_isoflop_records


@pytest.mark.parametrize(
    ("column", "plural", "names"),
    [("tokenizer", "tokenizers", ("abc", "remi")), ("data", "data sets", ("3f2a", "99c1"))],
)
def test_what_the_tokens_are_keeps_laws_apart(
    column: str, plural: str, names: tuple[str, str]
) -> None:
    one = make_records(seeds=1, sizes=4).query("arch == 'lstm'")
    records = complete(pd.concat([one.assign(**{column: name}) for name in names]))
    analysis = analyse(records)
    assert list(analysis.laws) == [f"lstm, {name}" for name in names]
    assert [len(law.selection.runs) for law in analysis.laws.values()] == [4, 4]
    assert "nats per token" not in {pair.unit for pair in analysis.comparisons}
    assert f"Found 2 {plural} ({', '.join(names)})" in analysis.lines()[0]


def test_one_tokenizer_needs_no_name() -> None:
    records, notes = kept_apart(complete(make_records(seeds=1, sizes=4).assign(tokenizer="abc")))
    assert set(records["arch"]) == {"transformer", "lstm"}
    assert notes == ()


def test_against_compute_the_best_run_of_each_compute_is_fitted() -> None:
    records = complete(make_isoflop_records())
    selected = select(records, "transformer", AXES["flops"])
    best = records.loc[records.groupby(records["flops"].round(-10))["val_loss"].idxmin()]
    assert set(selected.runs["cell_key"]) == set(best["cell_key"])
    assert len(selected.all_budgets) == len(records)
    assert len(selected.left_out) == len(records) - len(best)
    assert (selected.left_out["why"] != "").all()
