"""A cell: one model of one size trained on one data set; and what it runs on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from trainers import optim
from trainers.ladder import Rung, rung
from trainers.saved import TRUNK

CHOICES = {
    "schedule": tuple(optim.SCHEDULES),
    "rates": ("transferred", "flat"),
    "boundaries": ("carry", "restart"),
    "precision": ("fp32",),
    "optimizer": ("adamw",),
}

FIRST = {"precision": "fp32", "optimizer": "adamw"}
"""The first default of each field that came after the first keys. A cell that takes it has the key
that it would have without the field: so neither does a new field change a key, nor a later change
of its default, for what is listed here stays."""

VERSIONS = {"wsd": 2}
"""Schedules that mean something else than they first did. The second `wsd` warms up over a number
of tokens that is the same for every budget."""


@dataclass(frozen=True)
class Cell:
    """Everything that decides a result. Two cells with equal fields are the same cell."""

    arch: str
    """A module of `trainers/models`."""
    size: str
    """The name of its size, such as `30k` or `5M`: non-embedding and head parameters."""
    seed: int
    """Of the initialisation and of the order of the batches."""
    lr: float
    """Peak rate at `trainers.optim.BASE_WIDTH` and `BASE_DEPTH`."""
    tokens: int
    """Training tokens to see, a multiple of `batch_tokens`."""
    batch_tokens: int
    """Tokens of a global batch, over all workers; a multiple of `context`."""
    context: int
    """Tokens a model looks back on, at most."""
    weight_decay: float
    """Of matrices."""
    clip: float
    """Largest norm of a step's gradient."""
    tokenizer: str
    """Of the data set."""
    vocab_size: int
    """Of the data set."""
    data: str
    """The data set's fingerprint."""
    schedule: str = "cosine"
    """How the rate goes from first to last: one of `trainers.optim.SCHEDULES`."""
    rates: str = "transferred"
    """Or `flat`: the same for every width, depth and parameter, as in many published studies."""
    boundaries: str = "carry"
    """Whether state and attention are carried into the next piece of a window, or `restart`."""
    precision: str = "fp32"
    """Of what training computes in. A sweep lets GPUs multiply `fp32` as TF32."""
    optimizer: str = "adamw"
    """What turns gradients into steps."""

    def __post_init__(self) -> None:
        for field, known in CHOICES.items():
            if getattr(self, field) not in known:
                there = (
                    f"there are {', '.join(known)}" if known[1:] else f"there is only {known[0]}"
                )
                raise ValueError(f"unknown {field} {getattr(self, field)!r}; {there}")
        if self.batch_tokens % self.context:
            raise ValueError(
                f"batch_tokens {self.batch_tokens} is not a multiple of context {self.context}"
            )
        if self.tokens % self.batch_tokens or not self.tokens:
            raise ValueError(
                f"tokens {self.tokens} is not a multiple of batch_tokens {self.batch_tokens}"
            )

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Cell:
        """The cell whose `params` these are, or were before some of its fields were there."""
        known, values = {field.name for field in fields(cls)}, {**FIRST, **params}
        return cls(**{name: value for name, value in values.items() if name in known})

    @property
    def name(self) -> str:
        """How its key begins; beside cells that differ in more, see `trainers.names`."""
        return f"{self.arch}-{self.size}-seed{self.seed}"

    @property
    def key(self) -> str:
        """Its identity: the name, and the hash of `params` but for fields at their `FIRST`."""
        return f"{self.name}-{_hash(self._identity())}"

    @property
    def trunk_key(self) -> str | None:
        """The identity of what it shares with cells that differ from it in `tokens` alone; None for
        a schedule of which they share nothing."""
        if self.schedule != "wsd":
            return None
        shared = {name: value for name, value in self._identity().items() if name != "tokens"}
        return f"{self.name}{TRUNK}{_hash(shared)}"

    @property
    def trunk_steps(self) -> int:
        """How many of its first steps it shares with them: all before it decays."""
        if self.schedule != "wsd":
            return 0
        return optim.steps_before_decay(self.steps, self.batch_tokens)

    def _identity(self) -> dict[str, Any]:
        return {k: v for k, v in self.params().items() if k not in FIRST or v != FIRST[k]}

    @property
    def steps(self) -> int:
        return self.tokens // self.batch_tokens

    @property
    def rung(self) -> Rung:
        return rung(self.arch, self.size, self.vocab_size, self.context)

    @property
    def peak_rates(self) -> optim.Rates:
        if self.rates == "flat":
            return optim.flat(self.lr)
        shape = self.rung.shape
        return optim.transferred(self.lr, shape.width, shape.depth)

    @property
    def warmup_tokens(self) -> int:
        """Over which the rate rises."""
        n_params = self.rung.counts.n_params
        if self.schedule == "wsd":
            return optim.trunk_warmup_tokens(n_params, self.batch_tokens)
        return optim.warmup_tokens(n_params, self.tokens)

    @property
    def flops(self) -> int:
        """Training FLOPs of the whole cell."""
        return self.rung.flops_per_token(self.context) * self.tokens

    def params(self) -> dict[str, Any]:
        """The configuration, what version of it that is, and the shape it resolves to, flat."""
        shape = {f"shape_{name}": value for name, value in asdict(self.rung.shape).items()}
        version = VERSIONS.get(self.schedule)
        versions = {f"{self.schedule}_version": version} if version else {}
        return {**asdict(self), **versions, **shape}

    def facts(self, unique_tokens: int) -> dict[str, float]:
        """What is known of the cell before it is trained, by the names of the run record."""
        return {
            **self.rung.counts.record(),
            "tokens": self.tokens,
            "unique_tokens": min(unique_tokens, self.tokens),
            "epochs": self.tokens / unique_tokens,
            "flops": self.flops,
        }


def _hash(identity: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Placement:
    """What a cell runs on. It changes the speed, never the result."""

    workers: int = 1
    cpus: float = 1
    """Of each worker."""
    gpus: float = 0
    """Of each worker; a fraction only with one worker, for NCCL refuses two ranks on one GPU."""
    micro_tokens: int = 16_384
    """The most tokens that one worker pushes through the model at once."""
    checkpoint_seconds: float = 30
    """What an interruption costs at most, near enough."""
    retries: int = 2
    """How often a cell that raises is tried again. Lost nodes do not count."""
