"""YAML nodes to values; errors name the file and line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

from data.errors import hint
from sweeps.errors import GridError
from sweeps.grids.grid import LARGEST_WHOLE, count

ABOVE_ZERO = (
    "batch_tokens",
    "clip",
    "context",
    "cpus",
    "epochs",
    "gpu_gb",
    "max_tokens",
    "micro_tokens",
    "workers",
)
"""Numbers in a grid that must not be 0."""

FORMS = {
    "works": "a regular expression",
    "tokens": "a number such as 2.5M, 20/param or 1e15 flops",
    "lr": "a rate above 0, or a multiple of the architecture's own such as 2x",
}


def read_yaml(path: Path) -> yaml.Node:
    """The root of a file. Raises GridError if it cannot be read, is not YAML or is empty."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise GridError(f"{path} cannot be read: {error.strerror}") from None
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise GridError(
            f"{path.name}:{line}: byte {content[error.start]:#x} is not UTF-8; save it as UTF-8"
        ) from None
    try:
        root = yaml.compose(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        said = ", ".join(part for part in (error.context, error.problem) if part)
        raise GridError(f"{path.name}:{line}: no YAML: {said}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise GridError(
            f"{path.name}:{line}: no YAML: the character {chr(error.character)!r} is not allowed"
        ) from None
    except RecursionError:
        raise GridError(f"{path.name}:1: no YAML that can be read: nested too deeply") from None
    if root is None:
        raise GridError(f"{path.name}:1: the grid is empty; it needs 'data' and 'cells'")
    return root


def items(node: yaml.Node) -> list[yaml.Node]:
    """The items of a list, or the one value."""
    return node.value if isinstance(node, yaml.SequenceNode) else [node]


class Values:
    """Reads values from the nodes of one file. Every method raises GridError."""

    def __init__(self, file: str) -> None:
        self.file = file

    def each(self, node: yaml.Node, read: Callable[[yaml.Node, str], Any], key: str) -> tuple:
        if not items(node):
            raise self.error(node, f"{key!r} is empty")
        return tuple(read(item, key) for item in items(node))

    def whole(self, node: yaml.Node, key: str) -> int:
        number = self.number(node, key)
        if number % 1:
            raise self.error(node, f"{key!r} takes a whole number, found {node.value!r}")
        if number > LARGEST_WHOLE:
            raise self.error(node, f"{key!r} takes at most 2^53, found {node.value!r}")
        return int(number)

    def number(self, node: yaml.Node, key: str) -> float:
        number = self.parsed(node, key, count)
        if not number and key in ABOVE_ZERO:
            raise self.error(node, f"{key!r} takes a number above 0, found {node.value!r}")
        return number

    def parsed(self, node: yaml.Node, key: str, parse: Callable[[str], Any]) -> Any:
        text = self.text(node, key)
        try:
            return parse(text)
        except (ValueError, KeyError):
            form = FORMS.get(key, "true or false" if parse is not count else "a number from 0 up")
            raise self.error(node, f"{key!r} takes {form}, found {text!r}") from None

    def checked(self, node: yaml.Node, key: str, check: Callable[[str], Any]) -> str:
        """A text that `check` accepts; otherwise the error is what `check` says."""
        text = self.text(node, key)
        try:
            check(text)
        except ValueError as error:
            raise self.error(node, str(error)) from None
        return text

    def text(self, node: yaml.Node, key: str) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self.error(node, f"{key!r} takes one value")
        if node.tag == "tag:yaml.org,2002:null" or not node.value:
            raise self.error(node, f"{key!r} is empty")
        if control := re.search(r"[\x00-\x1f\x7f]", node.value):
            raise self.error(node, f"{key!r} holds the control character {control[0]!r}")
        return node.value

    def mapping(
        self, node: yaml.Node, place: str, allowed: Iterable[str] | None = None
    ) -> dict[str, yaml.Node]:
        keys = list(allowed or [])
        if not isinstance(node, yaml.MappingNode):
            wanted = f": {', '.join(keys)}" if keys else ""
            raise self.error(node, f"{place} must hold keys and values{wanted}")
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self.error(key, f"a key of {place} must be one word")
            if allowed is not None and key.value not in keys:
                near = hint(key.value, keys)
                raise self.error(key, f"unknown key {key.value!r} in {place}{near}")
            if key.value in found:
                raise self.error(key, f"{key.value!r} stands twice in {place}")
            found[key.value] = value
        return found

    def where(self, node: yaml.Node) -> str:
        return f"{self.file}:{node.start_mark.line + 1}"

    def error(self, node: yaml.Node, message: str) -> GridError:
        return GridError(f"{self.where(node)}: {message}")
