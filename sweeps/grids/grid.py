"""Grids: which cells to train on which data, and what they run on.

A grid is YAML that a person would write: `sweeps/grids/README.md` explains it, and
`grid_yaml.py` reads it.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from dataclasses import dataclass, field, fields, replace
from typing import Any

from data.music.filters import Filters
from data.music.score import DEFAULT_TICKS_PER_QUARTER
from data.store.manifest import Manifest
from sweeps.grids.needs import Needs
from trainers.batches import in_batches
from trainers.cell import Cell
from trainers.ladder import LadderError, Rung, load_arch, parse_size


@dataclass(frozen=True)
class DataSpec:
    source: str
    tokenizer: tuple[str, ...] = ("abc",)
    """Each makes a data set of its own, and every cell is trained on each."""
    ticks_per_quarter: int = DEFAULT_TICKS_PER_QUARTER
    filters: Filters = field(default_factory=Filters)
    max_tokens: int | None = None
    """Longer pieces are cut at bar lines."""
    works: str = ""
    """A regular expression: files whose paths match with the same text belong to one work."""
    facts: str = ""
    """A table of what is known of the files, as `data.sources.facts` reads it."""

    @property
    def digest(self) -> str:
        """Of all that makes other data of the same source and tokenizer; "" where nothing does."""
        plain = DataSpec(self.source, self.tokenizer)
        names = [each.name for each in fields(self) if each.name != "filters"]
        told = {name: getattr(self, name) for name in names}
        told = {name: value for name, value in told.items() if value != getattr(plain, name)}
        told |= self.filters.chosen()
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:8] if told else ""


@dataclass(frozen=True)
class Budget:
    """How many tokens a cell sees."""

    amount: float
    unit: str = "tokens"
    """tokens; param: tokens per parameter; flops: as many tokens as this compute pays for."""

    @classmethod
    def parse(cls, text: str) -> Budget:
        """'2.5M', '20/param' or '1e15 flops'. Raises ValueError."""
        for ending, unit in (("/param", "param"), (" flops", "flops")):
            if text.endswith(ending):
                return cls(_some(text.removesuffix(ending)), unit)
        return cls(_some(text))

    def __str__(self) -> str:
        return f"{self.amount:g}" + {"tokens": "", "param": "/param", "flops": " flops"}[self.unit]

    def tokens(self, rung: Rung, context: int) -> float:
        if self.unit == "param":
            return self.amount * rung.counts.n_params
        if self.unit == "flops":
            return self.amount / rung.flops_per_token(context)
        return self.amount


@dataclass(frozen=True)
class Rate:
    """A peak learning rate, or a multiple of the architecture's own."""

    value: float
    relative: bool = False

    @classmethod
    def parse(cls, text: str) -> Rate:
        """'0.008', or '2x' for twice the architecture's own. Raises ValueError."""
        return cls(_some(text.removesuffix("x")), relative=text.endswith("x"))

    def __str__(self) -> str:
        return f"{self.value:g}{'x' * self.relative}"

    def of(self, arch: str) -> float:
        return self.value * load_arch(arch).LR if self.relative else self.value


LARGEST = 1e30
"""The limit of any number in a grid: more FLOPs than there are in the world."""
LARGEST_WHOLE = 2**53
"""Above this, a whole number that was read as a float may not be exact."""

AXES = ("arch", "size", "tokens", "seed", "lr")
OF_DATA = ("tokenizer", "vocab_size", "data")
SETTINGS = {each.name: each for each in fields(Cell) if each.name not in (*AXES, *OF_DATA)}
"""What else determines a cell, such as `context`: shared by all cells, or an axis as well."""
USUAL = {"weight_decay": 0.1, "clip": 1.0}
"""Defaults of settings for which `Cell` has none."""


@dataclass(frozen=True)
class Block:
    """Cells: every combination of these values."""

    arch: tuple[str, ...]
    size: tuple[str, ...]
    tokens: tuple[Budget, ...]
    seed: tuple[int, ...] = (0,)
    lr: tuple[Rate, ...] = (Rate(1, relative=True),)
    settings: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    """Values of `SETTINGS`, by name."""
    where: str = field(default="", compare=False)
    """The beginning of an error about its sizes: the file and the line."""

    def cells(self, manifest: Manifest) -> list[Cell]:
        """Raises LadderError for a size that the architecture does not have, and for two budgets
        that make the same cell."""
        found: dict[Cell, Budget] = {}
        for arch, size, budget, seed, lr, *values in itertools.product(
            self.arch, self.size, self.tokens, self.seed, self.lr, *self.settings.values()
        ):
            settings = dict(zip(self.settings, values))
            one_batch = {
                "arch": arch,
                "size": size,
                "seed": seed,
                "lr": lr.of(arch),
                "tokens": settings["batch_tokens"],
                "tokenizer": manifest.tokenizer,
                "vocab_size": manifest.vocab_size,
                "data": manifest.fingerprint,
                **settings,
            }
            try:
                rung = Cell(**one_batch).rung
            except LadderError as error:
                raise LadderError(f"{self.where}{error}") from None
            tokens = in_batches(budget.tokens(rung, settings["context"]), settings["batch_tokens"])
            cell = Cell(**one_batch | {"tokens": tokens})
            if (other := found.setdefault(cell, budget)) != budget:
                raise LadderError(
                    f"{self.where}tokens {other} and {budget} are both {cell.tokens:,} for {arch} "
                    f"{size}, in batches of {cell.batch_tokens:,}; take one of them"
                )
        return list(found)

    def values(self, name: str) -> tuple[Any, ...]:
        """The values that its cells have for this axis or setting."""
        if name in AXES:
            return getattr(self, name)
        return self.settings.get(name, (SETTINGS[name].default,))

    def narrowed(self, wanted: dict[str, tuple[Any, ...]]) -> Block | None:
        """The part of it that has only these values, by name; None if there is no such part."""
        kept = {
            name: tuple(value for value in self.values(name) if value in values)
            for name, values in wanted.items()
        }
        if not all(kept.values()):
            return None
        axes: dict[str, Any] = {name: values for name, values in kept.items() if name in AXES}
        settings = {name: values for name, values in kept.items() if name in SETTINGS}
        return replace(self, **axes, settings=self.settings | settings)


@dataclass(frozen=True)
class Grid:
    name: str
    data: DataSpec
    cells: tuple[Block, ...]
    placement: Needs
    targets: tuple[Block, ...] = ()
    """The parts of `cells` whose losses are forecast from the rest before they train."""
    best_epochs: float = 0
    """For how many passes over the training split the best cell is trained on; 0: it is not."""

    def resolve(self, manifests: list[Manifest]) -> list[Cell]:
        """The grid's cells on its data sets, most compute first. Raises LadderError."""
        found = _resolved(self.cells, manifests)
        return sorted(found.values(), key=lambda cell: cell.flops, reverse=True)

    def target_keys(self, manifests: list[Manifest]) -> set[str]:
        """The keys of the cells that are targets."""
        return set(_resolved(self.targets, manifests))


def _resolved(blocks: tuple[Block, ...], manifests: list[Manifest]) -> dict[str, Cell]:
    return {
        cell.key: cell
        for manifest in manifests
        for block in blocks
        for cell in block.cells(manifest)
    }


def count(text: str) -> float:
    """'2.5M', '1e15' or '40_000' as a number from 0 to `LARGEST`. Raises ValueError."""
    text = text.strip().replace("_", "")
    if re.fullmatch(r"\d+(\.\d+)?[kKmMbB]", text):
        return parse_size(text)
    number = float(text)
    if not 0 <= number <= LARGEST:
        raise ValueError(f"{text} is not a number from 0 to {LARGEST:g}")
    return number


def _some(text: str) -> float:
    """As `count`, but not 0."""
    number = count(text)
    if not number:
        raise ValueError("0 of it is none")
    return number
