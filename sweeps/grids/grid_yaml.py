"""Reads a grid from YAML and reports mistakes with their line."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable
from dataclasses import MISSING, fields
from typing import Any

import yaml

from data.errors import hint
from data.music.filters import Filters
from data.music.score import TICKS_PER_QUARTER
from data.tokens.make import make_tokenizer
from data.tokens.pieces import MIN_CUT
from data.works.named import check_pattern
from sweeps.errors import GridError
from sweeps.grids.grid import AXES, SETTINGS, USUAL, Block, Budget, DataSpec, Grid, Rate
from sweeps.grids.grid_file import grid_file
from sweeps.grids.needs import Needs
from sweeps.grids.yaml_values import Values, items, read_yaml
from trainers.cell import AUTO, COMPILE, Cell
from trainers.ladder import load_arch, parse_size

SECTIONS = ("schema", "data", "cells", "training", "placement", "forecast", "best", "options")
SCHEMA = 1
"""The format's version, also of a grid that gives none. Raised when a key's meaning changes."""


def load_grid(name: str, options: Iterable[str] = ()) -> Grid:
    """The shipped grid of that name, or the YAML file at that path. Raises GridError.

    options: names from the grid's `options` section, which override the rest of it.
    """
    path = grid_file(name)
    return _Reader(path.name).grid(read_yaml(path), path.stem, list(options))


class _Reader(Values):
    """Turns YAML nodes, which know their lines, into the dataclasses of `sweeps.grids.grid`."""

    def __init__(self, file: str) -> None:
        super().__init__(file)
        self.precision = ""
        """What `auto` stands for."""
        self.spelled: dict[int, str] = {}
        """How each size is first written, by its number."""

    def grid(self, root: yaml.Node, name: str, options: list[str]) -> Grid:
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
        placement = self.placement(self.optional(sections, "placement", _names(Needs)))
        self.precision = placement.precision
        training = self.optional(sections, "training", SETTINGS)
        if not items(sections["cells"]):
            raise self.error(sections["cells"], "'cells' is empty")
        cells = tuple(self.block(node, training) for node in items(sections["cells"]))
        data = self.data(sections["data"])
        return Grid(
            name="+".join([name, *options]),
            data=data,
            cells=cells,
            placement=placement,
            targets=self.targets(sections["forecast"], cells) if "forecast" in sections else (),
            best_epochs=self.best(sections["best"], data) if "best" in sections else 0,
        )

    def lay_over(
        self, sections: dict[str, yaml.Node], offered: yaml.Node | None, wanted: list[str]
    ) -> None:
        """Override, key by key, what the wanted options give, in every block of cells."""
        known = self.mapping(offered, "options") if offered else {}
        parts = {name: self.mapping(known[name], name, SECTIONS[1:-1]) for name in known}
        for name in wanted:
            if name not in known:
                raise GridError(f"{self.file} has no option {name!r}{hint(name, list(known))}")
            for section, node in parts[name].items():
                new = self.mapping(node, section)
                if section not in sections:
                    sections[section] = node
                    continue
                for block in items(sections[section]):
                    self.mapping(block, section)
                    kept = [pair for pair in block.value if pair[0].value not in new]
                    block.value = kept + node.value

    def data(self, node: yaml.Node) -> DataSpec:
        given = self.mapping(node, "data", _names(DataSpec))
        if "source" not in given:
            raise self.error(node, "'data' lacks 'source'")
        values: dict[str, Any] = {"source": self.text(given["source"], "source")}
        ticks = DataSpec.ticks_per_quarter
        if "ticks_per_quarter" in given:
            ticks = self.ticks(given["ticks_per_quarter"], "ticks_per_quarter")
            values["ticks_per_quarter"] = ticks

        def tokenizer(node: yaml.Node, key: str) -> str:
            return self.checked(node, key, lambda name: make_tokenizer(name, ticks))

        if "tokenizer" in given:
            values["tokenizer"] = self.each(given["tokenizer"], tokenizer, "tokenizer")
        if "filters" in given:
            nodes = self.mapping(given["filters"], "filters", _names(Filters))
            thresholds: dict[str, Any] = {
                name: self.number(threshold, name) for name, threshold in nodes.items()
            }
            values["filters"] = Filters(**thresholds)
        if "max_tokens" in given:
            values["max_tokens"] = self.max_tokens(given["max_tokens"], "max_tokens")
        if "works" in given:
            values["works"] = self.parsed(given["works"], "works", self.pattern)
        if "facts" in given:
            values["facts"] = self.text(given["facts"], "facts")
        return DataSpec(**values)

    def ticks(self, node: yaml.Node, key: str) -> int:
        ticks = self.whole(node, key)
        if ticks not in TICKS_PER_QUARTER:
            raise self.error(node, f"{key!r} takes one of {TICKS_PER_QUARTER}, found {ticks}")
        return ticks

    def max_tokens(self, node: yaml.Node, key: str) -> int:
        tokens = self.whole(node, key)
        if tokens < MIN_CUT:
            raise self.error(node, f"{key!r} takes at least {MIN_CUT}, found {tokens}")
        return tokens

    @staticmethod
    def pattern(text: str) -> str:
        check_pattern(text)
        return text

    def block(self, node: yaml.Node, training: dict[str, yaml.Node]) -> Block:
        given = self.mapping(node, "cells", (*AXES, *SETTINGS))
        for required in ("arch", "size", "tokens"):
            if required not in given:
                raise self.error(node, f"'cells' lacks {required!r}")
        found = self.values({**training, **given})
        self.spelled_alike(given["size"], found["size"])
        axes = {key: values for key, values in found.items() if key in AXES}
        settings = {name: (value,) for name, value in USUAL.items()} | {
            key: values for key, values in found.items() if key in SETTINGS
        }
        for key, setting in SETTINGS.items():
            if key not in settings and setting.default is MISSING:
                raise self.error(node, f"'training' lacks {key!r}")
        block = Block(**axes, settings=settings, where=f"{self.where(given['size'])}: ")
        self.check(block, node, {**training, **given})
        return block

    def targets(self, node: yaml.Node, blocks: tuple[Block, ...]) -> tuple[Block, ...]:
        """The parts of the blocks whose cells have the targets' values."""
        sections = self.mapping(node, "forecast", ("targets",))
        if "targets" not in sections:
            raise self.error(node, "'forecast' lacks 'targets'")
        given = self.mapping(sections["targets"], "targets", (*AXES, *SETTINGS))
        wanted = self.values(given)
        for key, values in wanted.items():
            there = list(dict.fromkeys(v for block in blocks for v in block.values(key)))
            for item, value in zip(items(given[key]), values):
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

    def best(self, node: yaml.Node, data: DataSpec) -> float:
        """For how many epochs the best cell is trained on."""
        given = self.mapping(node, "best", ("epochs",))
        if "epochs" not in given:
            raise self.error(node, "'best' lacks 'epochs'")
        if len(data.tokenizer) > 1:
            there = ", ".join(data.tokenizer)
            raise self.error(
                node, f"found tokenizers {there}: no best among losses of several; take one of them"
            )
        return self.number(given["epochs"], "epochs")

    def values(self, given: dict[str, yaml.Node]) -> dict[str, tuple[Any, ...]]:
        """The values of the given axes and settings, by name."""
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

    def check(self, block: Block, node: yaml.Node, given: dict[str, yaml.Node]) -> None:
        """Check whole cells, for example that a batch is a multiple of the context."""
        for arch in block.arch:
            if any(rate.relative for rate in block.lr) and not hasattr(load_arch(arch), "LR"):
                raise self.error(node, f"{arch} has no rate of its own; give an lr")
        for values in itertools.product(*block.settings.values()):
            settings = dict(zip(block.settings, values))
            try:
                Cell(
                    **settings,
                    arch=block.arch[0],
                    size=block.size[0],
                    seed=0,
                    lr=1.0,
                    tokens=settings["batch_tokens"],
                    tokenizer="",
                    vocab_size=2,
                    data="",
                )
            except ValueError as error:
                # The error names fields, the one at fault first.
                named = [word for word in re.findall(r"\w+", str(error)) if word in given]
                for key in named[:1]:
                    node = items(given[key])[block.settings[key].index(settings[key])]
                raise self.error(node, str(error)) from None

    def placement(self, given: dict[str, yaml.Node]) -> Needs:
        values: dict[str, Any] = {}
        for key, node in given.items():
            if key == "gpus":
                values[key] = AUTO if node.value == AUTO else self.by_size(node, key, self.gpus)
            elif key == "accelerator":
                values[key] = self.by_size(node, key, self.accelerator)
            elif key == "compile":
                values[key] = self.compile(node, key)
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
        if needs.accelerator and not needs.gpus:
            raise self.error(given["accelerator"], "an accelerator and no GPUs; give gpus as well")
        return needs

    def compile(self, node: yaml.Node, key: str) -> str:
        if (wanted := self.text(node, key)) not in COMPILE:
            raise self.error(node, f"{key!r} takes {' or '.join(COMPILE)}, found {wanted!r}")
        return wanted

    def by_size(self, node: yaml.Node, key: str, read: Callable[[yaml.Node, str], Any]) -> Any:
        """One value, or one for each of some sizes."""
        if not isinstance(node, yaml.MappingNode):
            return read(node, key)
        if not self.mapping(node, key):
            raise self.error(node, f"{key!r} is empty")
        return {self.size(size, key): read(value, key) for size, value in node.value}

    def accelerator(self, node: yaml.Node, key: str) -> str:
        if not re.fullmatch(r"[\w-]+", named := self.text(node, key)):
            raise self.error(
                node, f"{key!r} takes Ray's name of a GPU, such as H100, found {named!r}"
            )
        return named

    def gpus(self, node: yaml.Node, key: str) -> float:
        gpus = self.number(node, key)
        if gpus > 1 and gpus % 1:
            raise self.error(node, f"{gpus:g} GPUs; above one, a cell takes whole GPUs")
        return gpus

    def arch(self, node: yaml.Node, key: str) -> str:
        return self.checked(node, key, load_arch)

    def size(self, node: yaml.Node, key: str) -> str:
        return self.checked(node, key, parse_size)

    def spelled_alike(self, node: yaml.Node, sizes: tuple[str, ...]) -> None:
        """`5k` and `5K` would make two cells of one model, with no noise between them."""
        for item, size in zip(items(node), sizes):
            before = self.spelled.setdefault(parse_size(size), size)
            if size != before:
                raise self.error(item, f"size {size!r} is {before!r} again; write both alike")

    def setting(self, node: yaml.Node, key: str) -> Any:
        kind = str(SETTINGS[key].type)
        if kind == "bool":
            return self.parsed(node, key, {"true": True, "false": False}.__getitem__)
        read = {"int": self.whole, "float": self.number, "str": self.text}[kind]
        value = read(node, key)
        return self.precision if (key, value) == ("precision", AUTO) else value

    def optional(
        self, sections: dict[str, yaml.Node], name: str, allowed: Iterable[str]
    ) -> dict[str, yaml.Node]:
        return self.mapping(sections[name], name, allowed) if name in sections else {}


def _names(kind: Any) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind))
