"""Readable names for cells: architecture, size, seed, and whatever else varies among them.

Cells come as mappings from the fields of `trainers.cell.Cell` to their values, so that a sweep's
status can name them without PyTorch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

SILENT = ("arch", "size", "data", "vocab_size")
"""Fields that every name has anyway, or that follow from the tokenizer."""


def varying(cells: Iterable[Mapping[str, Any]]) -> list[str]:
    """The fields by which cells of one architecture and size differ, in the order of the fields.

    A budget set by parameters or FLOPs varies with the size alone, and so is not named.
    """
    seen: dict[tuple[str, str, str], set[Any]] = {}
    for cell in cells:
        for field, value in cell.items():
            if field not in SILENT and not field.startswith("shape_"):
                seen.setdefault((field, cell["arch"], cell["size"]), set()).add(value)
    return list(dict.fromkeys(field for (field, _, _), found in seen.items() if len(found) > 1))


def names(cells: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """A name for each cell, by key: `lstm-300k-seed0`, or `lstm-300k-lr0.02-wsd-seed0`.

    They are easy to type, and safe at the beginning of a file name.
    """
    told = [field for field in varying(cells.values()) if field != "seed"]
    return {
        key: "-".join([cell["arch"], cell["size"], *words(cell, [*told, "seed"], gap="")])
        for key, cell in cells.items()
    }


def words(cell: Mapping[str, Any], fields: Iterable[str], gap: str = " ") -> list[str]:
    """These fields of a cell as a person reads them: "lr 0.02", "wsd", "seed 0"."""
    return [_told(field, cell[field], gap) for field in fields if field in cell]


def _told(field: str, value: Any, gap: str) -> str:
    # A word such as `wsd` says which field it is of; a number does not.
    return value if isinstance(value, str) else f"{field}{gap}{_number(value)}"


def _number(value: float) -> str:
    """Six digits at most: 0.008, 512, 2500.61k, 10M."""
    for unit, size in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= 10 * size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"
