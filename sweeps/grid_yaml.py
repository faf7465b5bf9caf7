"""Reads a grid from YAML and names the line of what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import MISSING, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import yaml

from data.filters import Filters
from sweeps.grid import (
    AXES,
    SETTINGS,
    USUAL,
    Block,
    Budget,
    DataSpec,
    Grid,
    Rate,
    count,
)
from sweeps.needs import Needs
from sweeps.sweep import GridError
from trainers.cell import Cell
from trainers.ladder import LadderError, load_arch, parse_size

SHIPPED = Path(__file__).parent / "grids"
SECTIONS = ("schema", "data", "cells", "training", "placement", "forecast", "options")
SCHEMA = 1
"""Of a grid, and of one that names none. Raised when what a word of it means changes."""


def load_grid(name: str, options: Iterable[str] = ()) -> Grid:
    """The shipped grid of that name, or the YAML file at that path. Raises GridError.

    options: names from the grid's `options` section, which are laid over the rest of it.
    """
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
    return _Reader(path.name).grid(root, path.stem, list(options))


class _Reader:
    """Turns YAML nodes, which know their lines, into the dataclasses of `sweeps.grid`."""

    def __init__(self, file: str) -> None:
        self.file = file

    def grid(self, root: yaml.Node | None, name: str, options: list[str]) -> Grid:
        sections = self.mapping(root, "the grid", SECTIONS)
        for required in ("data", "cells"):
            if required not in sections:
                raise self.error(root, f"section {required!r} is missing")
        if "schema" in sections and self.text(sections["schema"], "schema") != str(SCHEMA):
            raise self.error(
                sections["schema"],
                f"found schema {sections['schema'].value!r}, expected {SCHEMA}; a newer version "
                "may have written it: update this one",
            )
        offered = sections.pop("options", None)
        self.lay_over(sections, offered, options)
        training = self.optional(sections, "training", SETTINGS)
        cells = tuple(self.block(node, training) for node in _items(sections["cells"]))
        return Grid(
            name="+".join([name, *options]),
            data=self.data(sections["data"]),
            cells=cells,
            placement=self.placement(self.optional(sections, "placement", _names(Needs))),
            targets=self.targets(sections["forecast"], cells) if "forecast" in sections else (),
        )

    def lay_over(
        self, sections: dict[str, yaml.Node], offered: yaml.Node | None, wanted: list[str]
    ) -> None:
        """Replace what the wanted options give by key, in every block of cells alike."""
        known = self.mapping(offered, "options") if offered else {}
        for name in wanted:
            if name not in known:
                raise GridError(f"{self.file} has no option {name!r}{_hint(name, list(known))}")
            for section, node in self.mapping(known[name], name, SECTIONS[1:-1]).items():
                empty = yaml.MappingNode("tag:yaml.org,2002:map", [])
                for block in _items(sections.setdefault(section, empty)):
                    new = self.mapping(node, section)
                    kept = [pair for pair in block.value if pair[0].value not in new]
                    block.value = kept + node.value

    def data(self, node: yaml.Node) -> DataSpec:
        given = self.mapping(node, "data", _names(DataSpec))
        if "source" not in given:
            raise self.error(node, "'data' lacks 'source'")
        values: dict[str, Any] = {"source": self.text(given["source"], "source")}
        if "tokenizer" in given:
            values["tokenizer"] = self.each(given["tokenizer"], self.text, "tokenizer")
        if "ticks_per_quarter" in given:
            values["ticks_per_quarter"] = self.whole(
                given["ticks_per_quarter"], "ticks_per_quarter"
            )
        if "filters" in given:
            nodes = self.mapping(given["filters"], "filters", _names(Filters))
            thresholds: dict[str, Any] = {
                name: self.number(threshold, name) for name, threshold in nodes.items()
            }
            values["filters"] = Filters(**thresholds)
        if "max_tokens" in given:
            values["max_tokens"] = self.whole(given["max_tokens"], "max_tokens")
        if "works" in given:
            values["works"] = self.parsed(given["works"], "works", self.pattern)
        return DataSpec(**values)

    @staticmethod
    def pattern(text: str) -> str:
        try:
            re.compile(text)
        except re.error as error:
            raise ValueError(str(error)) from None
        return text

    def block(self, node: yaml.Node, training: dict[str, yaml.Node]) -> Block:
        given = self.mapping(node, "cells", (*AXES, *SETTINGS))
        for required in ("arch", "size", "tokens"):
            if required not in given:
                raise self.error(node, f"'cells' lacks {required!r}")
        found = self.values({**training, **given})
        axes = {key: values for key, values in found.items() if key in AXES}
        settings = {name: (value,) for name, value in USUAL.items()} | {
            key: values for key, values in found.items() if key in SETTINGS
        }
        for key, setting in SETTINGS.items():
            if key not in settings and setting.default is MISSING:
                raise self.error(node, f"'training' lacks {key!r}")
        block = Block(**axes, settings=settings)
        self.check(block, node, training)
        return block

    def targets(self, node: yaml.Node, blocks: tuple[Block, ...]) -> tuple[Block, ...]:
        """The parts of the blocks whose cells have these values."""
        sections = self.mapping(node, "forecast", ("targets",))
        if "targets" not in sections:
            raise self.error(node, "'forecast' lacks 'targets'")
        given = self.mapping(sections["targets"], "targets", (*AXES, *SETTINGS))
        wanted = self.values(given)
        for key, values in wanted.items():
            there = list(dict.fromkeys(v for block in blocks for v in block.values(key)))
            for item, value in zip(_items(given[key]), values):
                if value not in there:
                    known = ", ".join(map(str, there))
                    raise self.error(item, f"no cell has {key} {item.value!r}; there are {known}")
        found = [block.narrowed(wanted) for block in blocks]
        targets = tuple(block for block in found if block)
        if not targets:
            raise self.error(sections["targets"], "no cell has all of these values: no target")
        if targets == blocks:
            raise self.error(
                sections["targets"], "every cell is a target: none is left to forecast from"
            )
        return targets

    def values(self, given: dict[str, yaml.Node]) -> dict[str, tuple[Any, ...]]:
        """What axes and settings are given, by name."""
        read: dict[str, Callable[[yaml.Node, str], Any]] = {
            "arch": self.arch,
            "size": self.size,
            "tokens": lambda node, key: self.parsed(node, key, Budget.parse),
            "seed": self.whole,
            "lr": lambda node, key: self.parsed(node, key, Rate.parse),
        }
        return {
            key: self.each(node, read.get(key, self.setting), key) for key, node in given.items()
        }

    def check(self, block: Block, node: yaml.Node, training: dict[str, yaml.Node]) -> None:
        """What only a whole cell can tell, such as a batch that is no multiple of the context."""
        for arch in block.arch:
            if any(rate.relative for rate in block.lr) and not hasattr(load_arch(arch), "LR"):
                raise self.error(node, f"{arch} has no rate of its own; give an lr")
        for key, values in block.settings.items():
            for value in values:
                first = {name: found[0] for name, found in block.settings.items()} | {key: value}
                try:
                    Cell(
                        **first,
                        arch=block.arch[0],
                        size=block.size[0],
                        seed=0,
                        lr=1.0,
                        tokens=first["batch_tokens"],
                        tokenizer="",
                        vocab_size=2,
                        data="",
                    )
                except ValueError as error:
                    raise self.error(training.get(key, node), str(error)) from None

    def placement(self, given: dict[str, yaml.Node]) -> Needs:
        values: dict[str, Any] = {}
        for key, node in given.items():
            if key == "gpus":
                values[key] = self.gpus(node)
            elif key in ("workers", "micro_tokens", "retries"):
                values[key] = self.whole(node, key)
            else:
                values[key] = self.number(node, key)
        needs = Needs(**values)
        if needs.workers > 1 and needs.gpus:
            raise self.error(
                given["workers"],
                f"{needs.workers} workers and GPUs; leave workers away: a cell has one for each "
                "whole GPU, and a share of a GPU goes with one worker only",
            )
        return needs

    def gpus(self, node: yaml.Node) -> float | Literal["auto"] | dict[str, float]:
        if isinstance(node, yaml.MappingNode):
            return {
                self.size(key, "gpus"): self.some_gpus(value, "gpus") for key, value in node.value
            }
        if node.value == "auto":
            return "auto"
        return self.some_gpus(node, "gpus")

    def some_gpus(self, node: yaml.Node, key: str) -> float:
        gpus = self.number(node, key)
        if gpus > 1 and gpus % 1:
            raise self.error(node, f"{gpus:g} GPUs; above one, a cell takes whole GPUs")
        return gpus

    # Values, each with the line to blame.

    def each(self, node: yaml.Node, read: Callable[[yaml.Node, str], Any], key: str) -> tuple:
        if not _items(node):
            raise self.error(node, f"{key!r} is empty")
        return tuple(read(item, key) for item in _items(node))

    def arch(self, node: yaml.Node, key: str) -> str:
        return self.checked(node, key, load_arch)

    def size(self, node: yaml.Node, key: str) -> str:
        return self.checked(node, key, parse_size)

    def checked(self, node: yaml.Node, key: str, check: Callable[[str], Any]) -> str:
        text = self.text(node, key)
        try:
            check(text)
        except LadderError as error:
            raise self.error(node, str(error)) from None
        return text

    def setting(self, node: yaml.Node, key: str) -> Any:
        kind = str(SETTINGS[key].type)
        if kind == "bool":
            return self.parsed(node, key, {"true": True, "false": False}.__getitem__)
        read = {"int": self.whole, "float": self.number, "str": self.text}[kind]
        return read(node, key)

    def whole(self, node: yaml.Node, key: str) -> int:
        number = self.number(node, key)
        if number % 1:
            raise self.error(node, f"{key!r} takes a whole number, found {node.value!r}")
        return int(number)

    def number(self, node: yaml.Node, key: str) -> float:
        return self.parsed(node, key, count)

    def parsed(self, node: yaml.Node, key: str, parse: Callable[[str], Any]) -> Any:
        text = self.text(node, key)
        try:
            return parse(text)
        except (ValueError, KeyError):
            form = _FORMS.get(key, "true or false" if parse is not count else "a number from 0 up")
            raise self.error(node, f"{key!r} takes {form}, found {text!r}") from None

    def text(self, node: yaml.Node, key: str) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self.error(node, f"{key!r} takes one value")
        return node.value

    def optional(
        self, sections: dict[str, yaml.Node], name: str, allowed: Iterable[str]
    ) -> dict[str, yaml.Node]:
        return self.mapping(sections[name], name, allowed) if name in sections else {}

    def mapping(
        self, node: yaml.Node | None, place: str, allowed: Iterable[str] | None = None
    ) -> dict[str, yaml.Node]:
        keys = list(allowed or [])
        if not isinstance(node, yaml.MappingNode):
            raise self.error(node, f"{place} must hold keys and values: {', '.join(keys)}")
        found = {}
        for key, value in node.value:
            if allowed is not None and key.value not in keys:
                hint = _hint(key.value, keys)
                raise self.error(key, f"unknown key {key.value!r} in {place}{hint}")
            if key.value in found:
                raise self.error(key, f"{key.value!r} stands twice in {place}")
            found[key.value] = value
        return found

    def error(self, node: yaml.Node | None, message: str) -> GridError:
        line = f":{node.start_mark.line + 1}" if node and node.start_mark else ""
        return GridError(f"{self.file}{line}: {message}")


_FORMS = {
    "works": "a regular expression",
    "tokens": "a number such as 2.5M, 20/param or 1e15 flops",
    "lr": "a rate, or a multiple of the architecture's own such as 2x",
}


def _items(node: yaml.Node) -> list[yaml.Node]:
    return node.value if isinstance(node, yaml.SequenceNode) else [node]


def _names(kind: Any) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind))


def _hint(word: str, words: list[str]) -> str:
    near = get_close_matches(word, words, n=1, cutoff=0.4)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(words)}"
