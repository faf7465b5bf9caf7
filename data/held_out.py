"""The pieces of the splits that nothing is trained on, with their ids, from the Parquet parts.

`splits.csv` says which piece is in which split, by its id, which is a hash of its notes: with it
others score on the same pieces, from their own copy of the corpus, and no tune is passed on.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from data.errors import DataError
from data.store.flat import SPLITS
from data.store.location import Location
from data.store.tables import read_table

HELD_OUT = ("val", "test")
HEADER = ["piece_id", "split"]


def splits_of(folder: Location) -> dict[str, str]:
    """The split of each piece of a data folder, by its id, in the order of the ids."""
    found: dict[str, str] = {}
    for part in (folder / "parts").children():
        rows = read_table(part, HEADER)
        found |= zip(rows["piece_id"].to_pylist(), rows["split"].to_pylist())
    return dict(sorted(found.items()))


def write_splits(path: Location, splits: Mapping[str, str]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([HEADER, *splits.items()])
    path.write_text(text.getvalue())


def read_splits(path: Location) -> dict[str, str]:
    """What `write_splits` wrote. Raises DataError, also where a split is missing."""
    try:
        rows = list(csv.reader(io.StringIO(path.read_text())))
    except (UnicodeDecodeError, csv.Error):
        rows = []
    if rows[:1] != [HEADER]:
        raise DataError(f"{path}: found no line piece_id,split, expected a splits.csv")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != 2 or row[1] not in SPLITS:
            found = ",".join(row)[:60]
            raise DataError(
                f"{path}:{number}: found {found!r}, expected an id and train, val or test"
            )
    splits = dict(rows[1:])
    refuse_missing(path, splits.values(), HELD_OUT)
    return splits


def held_out(folder: Location, splits: Mapping[str, str]) -> dict[str, pa.Table]:
    """The pieces of `HELD_OUT` as tables in the order of their ids.

    Raises DataError if the folder lacks some of them: a part of a split is another benchmark.
    """
    columns = ["piece_id", "group_id", "num_notes", "seconds", "tokens", "abc"]
    wanted = {id_: split for id_, split in splits.items() if split in HELD_OUT}
    ids = pa.array(wanted)
    parts = (folder / "parts").children()
    tables = [read_table(part, columns, pc.field("piece_id").isin(ids)) for part in parts]
    if not tables:
        raise DataError(f"{folder}: found no pieces in parts/; prepare the data again")
    table = pa.concat_tables(tables).sort_by("piece_id")
    found = pa.array([wanted[id_] for id_ in table["piece_id"].to_pylist()], pa.string())
    made = {split: table.filter(pc.equal(found, split)) for split in HELD_OUT}
    for split, rows in made.items():
        expected = sum(each == split for each in wanted.values())
        if len(rows) != expected:
            raise DataError(
                f"{folder}: found {len(rows):,} of the {expected:,} pieces of {split}; "
                "prepare the same corpus, with the same filters and cuts"
            )
    return made


def refuse_missing(where: Location, found: Iterable[str], expected: Sequence[str] = SPLITS) -> None:
    """Raises DataError for the first split that is not among those found."""
    for split in expected:
        if split not in found:
            raise DataError(f"{where}: found no split {split!r}, expected {', '.join(expected)}")
