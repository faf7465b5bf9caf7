"""The loss that laws are fitted to: `val_loss`, or any measured quantity that falls with size.

It is chosen once, by `with_loss`. All that follows calls it the loss, and reads it from the columns
val_loss and val_loss_se.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from fitting.contract import COLUMNS, ORIGINS
from fitting.runs.csv_file import RecordError, listed

VAL_LOSS = "val_loss"
PER_TOKEN = "nats per token"


@dataclass(frozen=True)
class Loss:
    """A measured quantity that falls with size, and how it is written."""

    column: str
    name: str
    """In words; the column where it is not one of `LOSSES`."""
    unit: str
    """In words; the column where it is not one of `LOSSES`."""
    meaning: str
    """What a value is: "nats per token over the whole validation split"."""
    across_tokenizers: bool
    """Whether runs of different tokenizers are known to be comparable by it."""

    @property
    def known(self) -> bool:
        """Whether it is one of `LOSSES`."""
        return self.column in LOSSES

    @property
    def error(self) -> str:
        """The column of its standard error."""
        return f"{self.column}_se"

    @property
    def key(self) -> str:
        """The name of a run's loss in fit.json, where its column could be the name of another."""
        return VAL_LOSS if self.column == VAL_LOSS else "loss"

    @property
    def title(self) -> str:
        """The name at the beginning of a title."""
        return self.name.capitalize() if self.known else self.name

    @property
    def label(self) -> str:
        """The label of a plot's axis."""
        return f"{self.name}, {self.unit}" if self.known else self.name


LOSSES = {
    f"{short}_loss{suffix}": Loss(
        f"{short}_loss{suffix}",
        f"{split} loss",
        unit,
        f"{unit} over the whole {split} split",
        bool(suffix),
    )
    for short, split in (("val", "validation"), ("test", "test"))
    for suffix, unit in (
        ("", PER_TOKEN),
        ("_per_note", "nats per note"),
        ("_per_second", "nats per second of music"),
    )
}
OF_ORIGIN = {
    "repeat": "repeats: what followed in the piece before follows again",
    "broken": "broken repeats: something else follows than in the piece before",
    "shared": "shared: not in the piece before, but in the training split",
    "new": "new: neither in the piece before nor in the training split",
}
"""The classes of `fitting.contract.ORIGINS`, in words."""
LOSSES |= {
    f"{short}_loss_{origin}": Loss(
        f"{short}_loss_{origin}",
        f"{split} loss, {OF_ORIGIN[origin].partition(':')[0]}",
        PER_TOKEN,
        f"{PER_TOKEN} of the {split} split that are {OF_ORIGIN[origin]}",
        False,
    )
    for short, split in (("val", "validation"), ("test", "test"))
    for origin in ORIGINS
}
"""The losses whose unit is known, by column."""


def loss_in(column: str) -> Loss:
    """The loss in this column; of one that is not in `LOSSES`, only the name is known."""
    return LOSSES.get(column) or Loss(column, column, column, "as the runs recorded it", False)


def with_loss(records: pd.DataFrame, loss: Loss) -> pd.DataFrame:
    """The records with `loss` in the columns val_loss and val_loss_se.

    What says the same as val_loss in other units, or of some tokens, is emptied. RecordError where
    no finished run has the loss, or where one has a value that is not above 0.
    """
    if loss.column == VAL_LOSS:
        return records
    finished = records[records["status"] == "finished"]
    values = finished.get(loss.column, pd.Series(dtype=float))
    if not values.notna().any():
        raise missing("no finished run", loss.column, list(records.columns))
    if (wrong := values[values <= 0]).size:
        run = finished.loc[wrong.index[0]]
        raise RecordError(
            f"{loss.column} of {run['arch']} at N = {run['n_params']:,.0f}: found "
            f"{wrong.iloc[0]:g}; expected a number above 0 that falls with size. {_advice(loss)}"
        )
    others = {name: float("nan") for name in LOSSES if name.startswith(f"{VAL_LOSS}_")}
    nothing = pd.Series(float("nan"), index=records.index)
    chosen = {VAL_LOSS: records[loss.column], f"{VAL_LOSS}_se": records.get(loss.error, nothing)}
    return records.assign(**others | chosen)


def rising(loss: Loss, unit: str) -> RecordError:
    """What to say where `loss` rises with the `unit` of an axis in every architecture."""
    return RecordError(
        f"{loss.column} rises with {unit}; a law is fitted to what falls. {_advice(loss)}"
    )


def note(records: pd.DataFrame, loss: Loss) -> tuple[str, ...]:
    """A sentence that names the loss and its standard error; none for val_loss."""
    if loss.column == VAL_LOSS:
        return ()
    has_error = loss.error in records and (records[loss.error] > 0).any()
    error = (
        f"{loss.error} is its standard error"
        if has_error
        else f"without a column {loss.error}, intervals of c leave out the sampling error of the "
        "split that it was measured on"
    )
    return (f"The loss is {loss.column}, {loss.meaning}; {error}.",)


def missing(where: str, column: str, names: Iterable[str]) -> RecordError:
    """What to say where nothing has the loss in `column`; `names` are the columns there are."""
    others = [name for name in names if name in LOSSES or name not in COLUMNS]
    return RecordError(
        f"{where} has {column}; --loss takes the name of a measured column: "
        f"found {listed(others) or 'none'}"
    )


def _advice(loss: Loss) -> str:
    return f"Of a share that is right, give the share that is wrong: a column 1 - {loss.column}"
