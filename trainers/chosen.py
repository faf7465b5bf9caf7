"""The trained cells that a command is for: of a sweep, on some data, by name or the best."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

from data.errors import DataError
from data.store.location import Location
from data.store.manifest import read_manifest
from trainers.samples.cells import CellError, Trained, best_of, finished

BEST = "only the best that the sweep has trained on, else the cell of the lowest loss"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those by which a sweep and its data are named."""
    parser.add_argument(
        "--sweep", required=True, metavar="NAME", help="a sweep below --out, or its folder"
    )
    parser.add_argument(
        "--out",
        type=Location.of,
        default=Location.of("runs"),
        metavar="DIR",
        help="where sweeps lie [runs]",
    )
    parser.add_argument(
        "--data",
        type=Location.of,
        metavar="DIR",
        help="only cells trained on these data [found below --out/data]",
    )


def of_sweep(args: argparse.Namespace) -> tuple[Location, list[Trained]]:
    """The folder of the sweep that is named, and its finished cells, on the data named if any are.

    Raises CellError, DataError.
    """
    sweep = Location.of(args.sweep) if "/" in args.sweep else args.out / args.sweep
    cells = finished(sweep / "cells")
    return sweep, trained_on(args.data, cells) if args.data else cells


def choose(cells: Sequence[Trained], name: str | None, best: bool) -> list[Trained]:
    """The cells asked for; without a name, one of those that differ in seed alone.

    best: the one that the sweep has trained on, or the one of the lowest loss. Raises CellError.
    """
    chosen = [one for one in cells if name in (None, one.name, one.cell.key)]
    if not chosen:
        there = ", ".join(one.name for one in cells)
        raise CellError(f"no finished cell {name!r}; there are {there}")
    if best:
        return [best_of(chosen)]
    if name is None:
        by_seed = sorted(chosen, key=lambda one: one.cell.seed, reverse=True)
        lowest = {replace(one.cell, seed=0).key: one.name for one in by_seed}.values()
        chosen = [one for one in chosen if one.name in lowest]
    return chosen


def trained_on(data: Location, cells: Sequence[Trained]) -> list[Trained]:
    """Those of the cells. Raises CellError if there are none."""
    fingerprint = read_manifest(data).fingerprint
    found = [one for one in cells if one.cell.data == fingerprint]
    if not found:
        raise CellError(f"no finished cell was trained on {data}")
    return found


def data_of(cells: Sequence[Trained], out: Location) -> Location:
    """The data that the cells were trained on: `out` itself, or a folder of `out`/data.

    Raises CellError if they were trained on several, DataError if these are not there.
    """
    if len({one.cell.data for one in cells}) > 1:
        raise CellError("the cells were trained on several data sets; name one with --data")
    for folder in [out, *(out / "data").children()]:
        found = (folder / "manifest.json").exists()
        if found and read_manifest(folder).fingerprint == cells[0].cell.data:
            return folder
    raise DataError(
        f"{out}: no data with the fingerprint {cells[0].cell.data} that {cells[0].name} was "
        "trained on; name its folder with --data"
    )
