"""Which runs may share a law: those that differ only in size, tokens, seed and learning rate.

Anything else that varies gives separate laws, named by what varies. A setting that changes along
with the size cannot be separated from it: the law then describes both, and a warning says so.
"""

import pandas as pd

from fitting.contract import APART, SETTINGS
from fitting.runs.groups import SAME_SIZE, groups

OF_TOKENS = {"tokenizer": "tokenizers", "data": "data sets"}
"""What defines a token: losses per token are not comparable where one of these differs."""
SHOWN = 12
"""Leading characters of a fingerprint that are shown."""


def kept_apart(records: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Append to `arch` whatever separates runs, and return a sentence on each such field.

    A value that was not recorded counts as the recorded one, if there is only one.
    """
    notes = []
    records = records.reset_index(drop=True)
    size = sizes(records)
    for name in APART:
        records = records.assign(**{name: _filled(records, name)})
        values = records[name]
        # Fields that vary within a size; those that define a token, also between sizes.
        of_one = [records["arch"]] if name in OF_TOKENS else [records["arch"], size]
        several = values.groupby(of_one).transform("nunique") > 1
        mixed = several.groupby(records["arch"]).transform("any")
        if not mixed.any():
            continue
        shown = values.where(values != "", "unknown")
        if name in OF_TOKENS:
            label = shown = shown.str.slice(0, SHOWN)
            many = OF_TOKENS[name]
            said = "each has its own laws, and losses per token are not compared across them"
        else:
            label, many, said = f"{name} " + shown, f"values of {name}", "each has its own laws"
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
        found.append(f"{name} changes with the size ({spans}): the law describes both together")
    return found


def settings(runs: pd.DataFrame) -> dict[str, str]:
    """The settings of the runs of one law, as text; "unknown" where none was recorded."""
    found = {name: " and ".join(sorted(set(runs[name]) - {""})) for name in SETTINGS}
    return {name: value or "unknown" for name, value in found.items()}


def sizes(records: pd.DataFrame) -> pd.Series:
    """The size of each run: its name, or without one, the number of its group by n_params."""
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
