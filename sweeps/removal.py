"""Removes parts of a sweep after asking: whole cells (`--fresh`), or trunks (`--prune`)."""

from __future__ import annotations

import sys

from sweeps import best
from sweeps.scheduling.ledger import forget
from sweeps.sweep import Sweep, only


def erase(sweep: Sweep, selection: str) -> bool:
    """Remove checkpoints and records of the selected cells, the trunks that they branch from, and
    the best that came from them.

    False if the user declines.
    """
    there = {folder.name for folder in sweep.cells.children()}
    chosen = only(sweep.listed(), selection) if there else []
    cells = [cell.key for cell in chosen if cell.key in there]
    bests = best.came_from(sweep, cells)
    trunks = {cell.trunk for cell in chosen if cell.trunk in there}
    if not cells and not trunks:
        return True
    if not _agreed(
        f"Remove {len(cells + bests)} cells of {sweep.name}, with their checkpoints? [y/N] "
    ):
        return False
    sweep.erase([*cells, *bests, *trunks])
    best.forget(sweep, bests)
    forget(sweep.folder, {*cells, *bests})
    return True


def prune(sweep: Sweep, selection: str) -> bool:
    """Remove the trunks of the selected cells, which keep their records and their own checkpoints.

    False if the user declines.
    """
    there = {folder.name: folder for folder in sweep.cells.children()}
    trunks = {cell.trunk for cell in only(sweep.listed(), selection) if cell.trunk in there}
    if not trunks:
        print(f"Nothing to prune: no trunk is kept for these cells of {sweep.name}.")
        return True
    if not _agreed(
        f"Remove {len(trunks)} trunks of {sweep.name}? Ended cells stay; larger budgets will be "
        "trained from nothing. [y/N] "
    ):
        return False
    for key in trunks:
        there[key].delete()
    return True


def _agreed(question: str) -> bool:
    try:
        answer = input(question)
    except (EOFError, RuntimeError):  # Nobody is there to ask, or standard input is closed.
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        print("Nothing was removed.", file=sys.stderr)
        return False
    return True
