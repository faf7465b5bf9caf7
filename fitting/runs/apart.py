"""Which runs may share a law: those that differ in size, tokens, seed and rate alone.

Whatever else was varied makes laws of its own, named by what varies. A setting that changes along
with the size cannot be told from it: the law is then of both, and a warning says so.
"""

import pandas as pd

from fitting.contract import APART, SETTINGS
from fitting.runs.groups import SAME_SIZE, groups

OF_TOKENS = {"tokenizer": "tokenizers", "data": "data sets"}
"""What a token is, or of what: losses per token that differ in one of these differ in kind."""
SHOWN = 12
"""Letters of a fingerprint that tell it."""


def kept_apart(records: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Records whose `arch` also names what keeps them apart, and a sentence on each such field.

    A value that was not recorded is taken for the only one that was, if there is just one.
    """
    notes = []
    records = records.reset_index(drop=True)
    size = sizes(records)
    for name in APART:
        records = records.assign(**{name: _filled(records, name)})
        values = records[name]
        # What was varied beside the size; of tokens, from size to size as well.
        of_one = [records["arch"]] if name in OF_TOKENS else [records["arch"], size]
        several = values.groupby(of_one).transform("nunique") > 1
        mixed = several.groupby(records["arch"]).transform("any")
        if not mixed.any():
            continue
        shown = values.where(values != "", "unknown")
        if name in OF_TOKENS:
            label = shown = shown.str.slice(0, SHOWN)
            many = OF_TOKENS[name]
            said = "each has laws of its own, and losses per token are not compared across them"
        else:
            label, many, said = f"{name} " + shown, f"values of {name}", "each has laws of its own"
        found = list(dict.fromkeys(shown[mixed]))
        records = records.assign(arch=records["arch"].where(~mixed, records["arch"] + ", " + label))
        notes.append(f"Found {len(found)} {many} ({', '.join(found)}): {said}.")
    return records, tuple(notes)


def confounded(runs: pd.DataFrame) -> list[str]:
    """A sentence for each setting that changes with the size, in runs of one law."""
    found = []
    for name in SETTINGS:
        if runs[name].nunique() < 2:
            continue
        at = runs.groupby(name)["n_params"].agg(["min", "max"]).sort_values("min")
        spans = ", ".join(
            f"{value or 'unknown'} at {_span(low, high)}" for value, low, high in at.itertuples()
        )
        found.append(f"{name} changes with the size ({spans}): the law is of both together")
    return found


def settings(runs: pd.DataFrame) -> dict[str, str]:
    """The settings of the runs of one law, in words; "unknown" where none was recorded."""
    found = {name: " and ".join(sorted(set(runs[name]) - {""})) for name in SETTINGS}
    return {name: value or "unknown" for name, value in found.items()}


def sizes(records: pd.DataFrame) -> pd.Series:
    """The size of each run: its name, or where it has none, the number of its group by n_params."""
    number = pd.Series("", index=records.index, dtype=object)
    known = records["n_params"] > 0
    for _, some in records[known].groupby("arch"):
        number[some.index] = groups(some["n_params"], SAME_SIZE).astype(str)
    return records["size"].where(records["size"] != "", number)


def _filled(records: pd.DataFrame, name: str) -> pd.Series:
    values = records[name].astype(str)
    if name in OF_TOKENS:
        return values

    def fill(some: pd.Series) -> pd.Series:
        known = set(some) - {""}
        return some.replace("", known.pop()) if len(known) == 1 else some

    within = [records["arch"], sizes(records)] if name == "shape" else records["arch"]
    return values.groupby(within).transform(fill)


def _span(low: float, high: float) -> str:
    return f"N = {low:,.0f}" if low == high else f"N = {low:,.0f} to {high:,.0f}"
