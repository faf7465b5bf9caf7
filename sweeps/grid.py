"""Grids: YAML that a person would write, checked, and resolved to cells.

data:      source, tokenizer, ticks_per_quarter
cells:     arch, size, seed, tokens, lr          each one value or a list; their product
training:  batch_tokens, context, weight_decay, clip
placement: workers, cpus, gpus, micro_tokens, checkpoint_seconds, retries
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from data.packed import Manifest
from trainers.cell import Cell, Placement
from trainers.ladder import LadderError, load_arch, parse_size

SHIPPED = Path(__file__).parent / "grids"


class GridError(ValueError):
    """A grid that cannot be run; the message is one line that names the place."""


@dataclass(frozen=True)
class DataSpec:
    source: str
    tokenizer: str = "abc"
    ticks_per_quarter: int = 24


@dataclass(frozen=True)
class Training:
    batch_tokens: int
    context: int
    weight_decay: float = 0.1
    clip: float = 1.0


@dataclass(frozen=True)
class Axes:
    arch: tuple[str, ...]
    size: tuple[str, ...]
    tokens: tuple[int, ...]
    seed: tuple[int, ...] = (0,)
    lr: tuple[float, ...] = ()
    """At width 64. Left out: the architecture's own."""


@dataclass(frozen=True)
class Grid:
    name: str
    data: DataSpec
    cells: Axes
    training: Training
    placement: Placement

    def resolve(self, manifest: Manifest) -> list[Cell]:
        """The grid's cells on a data set, the most expensive first. Raises LadderError."""
        found = []
        axes = self.cells
        for arch, size, tokens, seed in itertools.product(
            axes.arch, axes.size, axes.tokens, axes.seed
        ):
            for lr in axes.lr or (load_arch(arch).LR,):
                batches = max(1, round(tokens / self.training.batch_tokens))
                found.append(
                    Cell(
                        arch=arch,
                        size=size,
                        seed=seed,
                        lr=lr,
                        tokens=batches * self.training.batch_tokens,
                        batch_tokens=self.training.batch_tokens,
                        context=self.training.context,
                        weight_decay=self.training.weight_decay,
                        clip=self.training.clip,
                        tokenizer=manifest.tokenizer,
                        vocab_size=manifest.vocab_size,
                        data=manifest.fingerprint,
                    )
                )
        # Tune is first in, first out: what takes longest must not start last.
        return sorted(found, key=lambda cell: cell.flops, reverse=True)


def load_grid(name: str) -> Grid:
    """The shipped grid of that name, or the YAML file at that path. Raises GridError."""
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        shipped = sorted(file.stem for file in SHIPPED.glob("*.yaml"))
        if name not in shipped:
            raise GridError(f"unknown grid {name!r}{_hint(name, shipped)}")
        path = SHIPPED / f"{name}.yaml"
    if not path.is_file():
        raise GridError(f"no grid file at {path}; give a path, or the name of a shipped grid")
    try:
        root = yaml.compose(path.read_text())
    except yaml.YAMLError as error:
        raise GridError(f"{path.name} is no YAML: {' '.join(str(error).split())}") from None
    return _Reader(path).grid(root)


class _Reader:
    """Reads YAML nodes, which know their lines, into the dataclasses above."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def grid(self, root: yaml.Node | None) -> Grid:
        sections = self.mapping(root, "the grid", ("data", "cells", "training", "placement"))
        for name in ("data", "cells", "training"):
            if name not in sections:
                raise self.error(root, f"section {name!r} is missing")
        grid = Grid(
            name=self.path.stem,
            data=self.section(DataSpec, sections["data"], "data"),
            cells=self.section(Axes, sections["cells"], "cells"),
            training=self.section(Training, sections["training"], "training"),
            placement=self.section(Placement, sections["placement"], "placement")
            if "placement" in sections
            else Placement(),
        )
        self.check(grid, sections)
        return grid

    def check(self, grid: Grid, sections: dict[str, yaml.Node]) -> None:
        """What the types alone cannot tell."""
        cells = self.mapping(sections["cells"], "cells", _names(Axes))
        for key, validate in (("arch", load_arch), ("size", parse_size)):
            for value, node in zip(getattr(grid.cells, key), _items(cells[key])):
                try:
                    validate(value)
                except LadderError as error:
                    raise self.error(node, str(error)) from None
        for arch in grid.cells.arch:
            if not grid.cells.lr and not hasattr(load_arch(arch), "LR"):
                raise self.error(sections["cells"], f"{arch} has no rate of its own; give an lr")
        if grid.training.batch_tokens % grid.training.context:
            raise self.error(
                sections["training"],
                f"batch_tokens {grid.training.batch_tokens} is not a multiple of context "
                f"{grid.training.context}",
            )
        if grid.placement.workers > 1 and grid.placement.gpus % 1:
            raise self.error(
                sections["placement"],
                f"{grid.placement.workers} workers with {grid.placement.gpus} GPUs each; a share "
                "of a GPU goes with one worker only",
            )

    def section(self, kind: Callable[..., Any], node: yaml.Node, name: str) -> Any:
        values = {}
        types = {field.name: str(field.type) for field in fields(kind)}  # type: ignore[arg-type]
        for key, value in self.mapping(node, name, tuple(types)).items():
            values[key] = self.value(value, types[key], key)
        try:
            return kind(**values)
        except TypeError:
            required = [f.name for f in fields(kind) if f.name not in values]  # type: ignore[arg-type]
            raise self.error(node, f"{name!r} lacks {required[0]!r}") from None

    def mapping(
        self, node: yaml.Node | None, place: str, allowed: tuple[str, ...]
    ) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            raise self.error(node, f"{place} must hold keys and values: {', '.join(allowed)}")
        found = {}
        for key, value in node.value:
            if key.value not in allowed:
                hint = _hint(key.value, list(allowed))
                raise self.error(key, f"unknown key {key.value!r} in {place}{hint}")
            found[key.value] = value
        return found

    def value(self, node: yaml.Node, kind: str, key: str) -> Any:
        if kind.startswith("tuple"):
            return tuple(self.value(item, kind[6:].split(",")[0], key) for item in _items(node))
        if not isinstance(node, yaml.ScalarNode):
            raise self.error(node, f"{key!r} takes one value")
        if kind == "str":
            return node.value
        number = self.number(node, key)
        if kind == "int" and number % 1:
            raise self.error(node, f"{key!r} takes a whole number, found {node.value!r}")
        return int(number) if kind == "int" else number

    def number(self, node: yaml.ScalarNode, key: str) -> float:
        """A number; counts may be written as sizes are (`3M`)."""
        text = node.value.replace("_", "")
        try:
            number = float(text)
        except ValueError:
            try:
                number = parse_size(text)
            except LadderError:
                raise self.error(node, f"{key!r} takes a number, found {node.value!r}") from None
        if not math.isfinite(number) or number < 0:
            raise self.error(node, f"{key!r} takes a number from 0 up, found {node.value!r}")
        return number

    def error(self, node: yaml.Node | None, message: str) -> GridError:
        line = f":{node.start_mark.line + 1}" if node else ""
        return GridError(f"{self.path.name}{line}: {message}")


def _items(node: yaml.Node) -> list[yaml.Node]:
    return node.value if isinstance(node, yaml.SequenceNode) else [node]


def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _hint(word: str, words: list[str]) -> str:
    near = get_close_matches(word, words, n=1, cutoff=0.4)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(words)}"
