"""Trunks: the shared part of the training of cells that differ only in their budget.

With the schedule `wsd` their steps are the same until the first of them decays. A cell that is
about to decay saves a checkpoint in the folder of their trunk, and a cell with a larger budget
continues from the last one there: a family costs its longest run and the decays of the others
(Hägele et al. 2024, section 4). The results are bit for bit those of the same cells trained alone.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from data.store.location import Location
from trainers import checkpoint
from trainers.cell import Cell
from trainers.checkpoint import CheckpointError, DamagedError
from trainers.gradients import World
from trainers.saved import is_whole, newest_first, newest_step, step_of


class Checkpoints:
    """The checkpoints of one cell and of its trunk, below a sweep's folder of cells."""

    def __init__(self, storage: Location, cell: Cell) -> None:
        self.cell = cell
        self.own = storage / cell.key
        self.trunk = storage / cell.trunk_key if cell.trunk_key else None
        self.tokens_from_trunk = 0
        """Tokens that the cell did not train itself; known once it is restored."""

    def restore(self, world: World) -> dict[str, Any] | None:
        """The state with the most steps, among the cell's own checkpoints and those of its trunk
        from before the cell decays; None if there is none.

        A checkpoint that is damaged, or that does not belong in the trunk's folder, is reported in
        one line, and the one before is used. Raises CheckpointError if the cell's own folder holds
        another cell's checkpoint.
        """
        place, state = self._newest() if world.rank == 0 else (None, None)
        # Another worker may not yet see the same files as the first, so it is told which to load.
        said = world.told(str(place or ""))
        if said and state is None:
            state = self._load(Location(said))
        if state is None:
            return None
        # A cell that was killed may come back to what it has itself left in its trunk.
        if self.cell.key in (state["cell_key"], state.get("left_by")):
            self.tokens_from_trunk = state.get("tokens_from_trunk", 0)
        else:
            self.tokens_from_trunk = state["step"] * self.cell.batch_tokens
        return state

    def _newest(self) -> tuple[Location, dict[str, Any]] | tuple[None, None]:
        there = newest_first(self.own)
        if self.trunk:
            shared = newest_first(self.trunk)
            there += [place for place in shared if step_of(place) <= self.cell.trunk_steps]
        # The sort is stable: among equals, the cell's own comes first.
        for place in sorted(there, key=step_of, reverse=True):
            try:
                return place, self._load(place)
            except CheckpointError as error:
                if place.parent == self.own and not isinstance(error, DamagedError):
                    raise
                print(f"{error}; going on from the one before", file=sys.stderr)
        return None, None

    def _load(self, place: Location) -> dict[str, Any]:
        return checkpoint.load(place, place.parent.name)

    def save(self, state: dict[str, Any]) -> None:
        checkpoint.save_next(self.own, state | {"tokens_from_trunk": self.tokens_from_trunk})

    def save_trunk(self, state: dict[str, Any]) -> None:
        """Save it for larger budgets, replacing one of the same step."""
        assert self.trunk
        before = [place for place in newest_first(self.trunk) if step_of(place) == state["step"]]
        left = {"left_by": self.cell.key, "tokens_from_trunk": self.tokens_from_trunk}
        checkpoint.save(self.trunk, state | left | {"cell_key": self.cell.trunk_key})
        for place in before:
            place.delete()


def families(cells: Iterable[Cell]) -> list[list[Cell]]:
    """The cells of each trunk, by rising budget; a cell without a trunk is its own family."""
    found: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        found[cell.trunk_key or cell.key].append(cell)
    return [sorted(family, key=lambda cell: cell.tokens) for family in found.values()]


def kept_steps(storage: Location, family: list[Cell]) -> dict[str, list[int]]:
    """The steps of the complete checkpoints below `storage`, by key: the newest of each cell, and
    all of the trunk."""
    own = {cell.key: newest_step(storage / cell.key) for cell in family}
    found = {key: [step] for key, step in own.items() if step is not None}
    if trunk := family[0].trunk_key:
        found[trunk] = [step_of(each) for each in newest_first(storage / trunk) if is_whole(each)]
    return found


def tokens_to_train(family: list[Cell], kept: Mapping[str, list[int]]) -> list[int]:
    """How many tokens each cell of a family trains itself, when they train one after another.

    family: by rising budget. kept: as `kept_steps` returns it.
    """
    trunk = list(kept.get(family[0].trunk_key or "", []))
    found = []
    for cell in family:
        shared = [step for step in trunk if step <= cell.trunk_steps]
        begins = max([0, *kept.get(cell.key, []), *shared])
        found.append((cell.steps - begins) * cell.batch_tokens)
        if begins < cell.trunk_steps < cell.steps:
            trunk.append(cell.trunk_steps)
    return found


def with_trunks(kept: Mapping[str, list[int]], cells: Iterable[Cell]) -> dict[str, list[int]]:
    """`kept`, and what the trunks of `cells` will hold when these have ended."""
    found = {key: list(steps) for key, steps in kept.items()}
    for cell in cells:
        if cell.trunk_key and cell.trunk_steps < cell.steps:
            steps = found.setdefault(cell.trunk_key, [])
            steps += [cell.trunk_steps] * (cell.trunk_steps not in steps)
    return found
