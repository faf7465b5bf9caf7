"""The size ladder: from a name such as `3k`, `5M` or `100M` to a model of that many parameters.

An architecture is a module under `trainers/models/`; its name is the file's name. It offers

- `LR`: the peak rate at width 64 and depth 2, from which `trainers.optim` derives all others.
- `Shape`: a frozen dataclass of numbers. What grows with the width is named `d_...` or `n_heads`,
  the layers are `n_layers`, and all else stays when tests vary width or depth. Rates follow its
  properties `width` and `depth`; without a stream that every layer adds to, `depth` is BASE_DEPTH.
- `candidates(n_params, vocab_size, context)`: shapes near `n_params`, the preferred one first. One
  of them has to lie within 3 % of every size from 3k to 3B with a vocabulary of 139, from 20k on
  with one of 512, and a larger size must never be narrower. Of what has a `d_ff`, `bent` of
  `trainers.models.transformer` finds them; it derives the depth from the width.
- `count`, `flops_per_token`, `activations_per_token`: formulas, for sizes that nobody builds.
- `Model(shape, vocab_size)`: `forward` reads many tokens at once, `step` one more. Parameters named
  `embedding...` are looked up, `head.weight` projects to the vocabulary and starts at zero (or so
  small that the first loss is that of a guess). Its `groups` (`trainers.groups.Groups`) names which
  parameters take which rate; each has to be in one of them.
- The state of `step`: None before the first token, then what `step` returned last. It may be of any
  type and may change in place, for no former state is used again.

docs/architectures.md has the steps.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from dataclasses import dataclass
from typing import Any

import trainers.models
from data.errors import hint
from trainers.counts import Counts

TOLERANCE = 0.03
"""How far a model may be from the size that it is named by."""

LARGEST = 1e15
"""Parameters that a size may name."""

_UNIT = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9}


class LadderError(ValueError):
    """An architecture or a size that the ladder does not have; the message is one line."""


@dataclass(frozen=True)
class Rung:
    """A model's blueprint: what is needed to build, count and cost it."""

    arch: str
    size: str
    vocab_size: int
    shape: Any
    counts: Counts

    def build(self) -> Any:
        return load_arch(self.arch).Model(self.shape, self.vocab_size)

    def flops_per_token(self, context: int) -> int:
        """Training FLOPs (forward and backward) for one token at this context length."""
        return load_arch(self.arch).flops_per_token(self.shape, self.vocab_size, context)

    @property
    def activations_per_token(self) -> int:
        """Numbers that a token needs between the forward and the backward pass."""
        return load_arch(self.arch).activations_per_token(self.shape, self.vocab_size)


def archs() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(trainers.models.__path__))


def load_arch(arch: str) -> Any:
    if arch not in archs():
        raise LadderError(f"unknown architecture {arch!r}{hint(arch, archs())}")
    return importlib.import_module(f"trainers.models.{arch}")


def parse_size(size: str) -> int:
    """'3k' -> 3000, '1.5M' -> 1500000."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmMbB]?)", size.strip())
    number = float(match[1]) * _UNIT[match[2].lower()] if match else 0
    if not 1 <= number <= LARGEST:
        raise LadderError(
            f"unknown size {size!r}; write a number with k, M or B, such as '300k' or '5M'"
        )
    return round(number)


def rung(arch: str, size: str, vocab_size: int, context: int = 1024) -> Rung:
    """The preferred shape of `arch` within 3 % of `size` (non-embedding and head parameters).

    context: the most tokens that it is to read; learned positions need to know.
    """
    module = load_arch(arch)
    target = parse_size(size)
    nearest: Rung | None = None
    for shape in module.candidates(target, vocab_size, context):
        found = Rung(arch, size, vocab_size, shape, module.count(shape, vocab_size))
        miss = abs(found.counts.n_params / target - 1)
        if miss <= TOLERANCE:
            return found
        if nearest is None or miss < abs(nearest.counts.n_params / target - 1):
            nearest = found
    near = f"; the nearest has {nearest.counts.n_params:,}" if nearest else ""
    raise LadderError(
        f"no {arch} within 3 % of {size} parameters with a vocabulary of {vocab_size}{near}; "
        "take a larger size"
    )
