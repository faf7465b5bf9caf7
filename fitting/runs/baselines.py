"""What counting alone reaches on the same data, as `python -m trainers.baselines` wrote it."""

import json
import math
from pathlib import Path

import pandas as pd

from fitting.runs.csv_file import RecordError
from fitting.runs.escape import printable

SCHEMA = 1
Baselines = dict[str, dict[str, float]]
"""What each baseline measured, by its name and by those of `fitting.contract`."""


def read_baselines(path: Path, records: pd.DataFrame) -> Baselines:
    """The baselines in a file. RecordError if it is none, or of other data than the records."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: {error}") from None
    return parse_baselines(text, str(path), records)


def parse_baselines(text: str, where: str, records: pd.DataFrame) -> Baselines:
    """The same of the text of a file; where: how a message names it."""
    again = "make it again with python -m trainers.baselines"
    try:
        values = json.loads(text)
        schema, data = int(values["schema"]), str(values["data"])
        found = {
            printable(str(name)): {str(key): float(value) for key, value in measured.items()}
            for name, measured in values["baselines"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordError(f"{where}: found no baselines ({error}); {again}") from None
    if schema > SCHEMA:
        raise RecordError(f"{where}: found schema {schema}, expected {SCHEMA}; update Crescendo")
    if not all(math.isfinite(value) for each in found.values() for value in each.values()):
        raise RecordError(f"{where}: found a loss that is not finite; {again}")
    others = sorted({name for name in records["data"] if name} - {data})
    if others:
        raise RecordError(
            f"{where}: found baselines of data {data}, expected those of {', '.join(others)}, on "
            f"which the runs trained; {again}"
        )
    return found
