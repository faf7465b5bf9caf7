"""The table of runs: each with its losses and standard errors, and with whatever varies."""

import math
import re

import pandas as pd

from fitting.analysis import analyse
from fitting.page import runs
from fitting.runs.read import complete
from harness.experiments import make_records


def shown(records: pd.DataFrame) -> tuple[str, list[str], list[list[str]]]:
    """The sections, and head and rows of the first table in them."""
    text = runs.sections(analyse(complete(records)))
    table = text.partition("</table>")[0]
    rows = [re.findall("<td[^>]*>(.*?)</td>", row) for row in table.split("<tr>")[2:]]
    return text, re.findall("<th [^>]*>(.*?)</th>", table), rows


def test_every_run_has_a_row_with_both_losses_and_their_errors() -> None:
    records = make_records(seeds=1, sizes=5)
    _, head, rows = shown(records.assign(test_loss_se=0.003))
    losses = ["validation", "validation ± s.e.", "test", "test ± s.e."]
    perplexities = ["validation perplexity", "test perplexity"]
    assert head == ["", "size", "N", "tokens", "seed", *losses, *perplexities, "seconds", "status"]
    first = records[records["arch"] == "lstm"].iloc[0]
    validation, test = (f"{first[name]:.4f}" for name in ("val_loss", "test_loss"))
    numbers = [validation, "0.0020", test, "0.0030"]
    numbers += [f"{math.exp(first[name]):.4g}" for name in ("val_loss", "test_loss")]
    assert rows[0] == ["lstm", "3k", "3,000", "3,000,000", "0", *numbers, "20", "finished"]
    assert len(rows) == len(records)


def test_what_varies_has_a_column_and_what_does_not_has_none() -> None:
    records = make_records(seeds=1, sizes=5)
    _, head, _ = shown(records.assign(clip=1.0, shape="d_model=" + records["size"]))
    assert {"lr", "clip", "shape"} & set(head) == set()
    records.loc[0, "lr"] = 0.02
    _, head, rows = shown(records)
    assert head[5] == "lr"
    assert {row[5] for row in rows} == {"0.01", "0.02"}


def test_what_no_run_was_measured_for_has_no_column() -> None:
    records = make_records(seeds=1, sizes=5)
    text, head, _ = shown(records[["arch", "n_params", "val_loss"]])
    assert head == ["", "N", "validation", "validation perplexity", "status"]
    assert "standard error" not in text


def test_many_runs_are_folded() -> None:
    few, many = (shown(make_records(seeds=seeds, sizes=5))[0] for seeds in (1, 6))
    assert "<details>" not in few
    assert "<summary>All runs: 60 rows</summary>" in many


def test_a_long_table_is_cut_and_says_where_the_rest_is() -> None:
    text, _, rows = shown(make_records(seeds=60, sizes=5))
    assert len(rows) == runs.MOST
    assert "And 100 more, in runs.csv." in text


def test_runs_left_out_have_a_section_where_there_are_any() -> None:
    records = make_records(seeds=2, sizes=5)
    text, _, _ = shown(records)
    assert "20 runs" in text
    assert "None was left out of the laws." in text
    assert "Runs that were left out" not in text
    records.loc[0, ["status", "reason"]] = "diverged", "loss is NaN at step 40"
    text, _, _ = shown(records)
    assert "None was left out" not in text
    assert "Runs that were left out" in text
    assert "loss is NaN at step 40" in text
