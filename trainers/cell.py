"""A cell, which is one model of one size trained on one data set; and what it runs on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from trainers import optim
from trainers.ladder import Rung, load_arch, rung
from trainers.saved import TRUNK

CHOICES = {
    "schedule": tuple(optim.SCHEDULES),
    "rates": ("transferred", "flat"),
    "boundaries": ("carry", "restart"),
    "precision": ("fp32", "bf16"),
    "optimizer": optim.OPTIMIZERS,
}

AUTO = "auto"
"""Stands for a precision until it is known what a cell trains on: in commands and grids, never in a
cell, whose key would mean one thing here and another there."""

COMPILE = ("auto", "on", "off")
"""Values of `Placement.compile`."""

FIRST = {"precision": "fp32", "optimizer": "adamw"}
"""The original default of each field that was added later. A field at this value is left out of the
key, so that adding the field changes no existing key. Entries stay even if a default changes."""

VERSIONS = {"wsd": 2}
"""Schedules whose meaning has changed. The second `wsd` warms up over a number of tokens that is
the same for every budget."""


@dataclass(frozen=True)
class Cell:
    """Everything that decides a result. Two cells with equal fields are the same cell."""

    arch: str
    """A module of `trainers/models`."""
    size: str
    """The name of its size, such as `30k` or `5M`: non-embedding and head parameters."""
    seed: int
    """Seeds the initialisation and the order of the batches."""
    lr: float
    """Peak rate at `trainers.optim.BASE_WIDTH` and `BASE_DEPTH`."""
    tokens: int
    """Training tokens, a multiple of `batch_tokens`."""
    batch_tokens: int
    """Tokens per global batch, over all workers; a multiple of `context`."""
    context: int
    """The most tokens that a model looks back on."""
    weight_decay: float
    """Applied to matrices."""
    clip: float
    """The largest gradient norm of a step; above it, the gradient is scaled down."""
    tokenizer: str
    """The data set's tokenizer."""
    vocab_size: int
    """The size of its vocabulary."""
    data: str
    """The data set's fingerprint."""
    schedule: str = "cosine"
    """How the rate changes during training: one of `trainers.optim.SCHEDULES`."""
    rates: str = "transferred"
    """Or `flat`: the same for every width, depth and parameter, as in many published studies."""
    boundaries: str = "carry"
    """Whether state and attention `carry` into the next piece of a window, or `restart` there."""
    precision: str = "fp32"
    """The number format of training: `fp32`, which GPUs multiply as TF32; or `bf16`, in which
    matrices are multiplied while weights, losses, recurrences and evaluation stay in fp32."""
    optimizer: str = "adamw"
    """`adamw`, or `muon` for hidden matrices and AdamW for the rest."""

    def __post_init__(self) -> None:
        for field, known in CHOICES.items():
            if getattr(self, field) not in known:
                there = ", ".join(known)
                raise ValueError(f"unknown {field} {getattr(self, field)!r}; there are {there}")
        if self.optimizer == "muon" and self.rates == "flat":
            raise ValueError(
                "found optimizer muon with rates flat, expected rates transferred: one rate for "
                "matrices and vectors means nothing to Muon"
            )
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
        """The cell with these `params`, which may predate some of the fields."""
        known, values = {field.name for field in fields(cls)}, {**FIRST, **params}
        return cls(**{name: value for name, value in values.items() if name in known})

    @property
    def name(self) -> str:
        """The beginning of its key. `trainers.names` has names that tell a sweep's cells apart."""
        return f"{self.arch}-{self.size}-seed{self.seed}"

    @property
    def key(self) -> str:
        """Its identity: the name, and a hash of `params` without the fields at their `FIRST`."""
        return f"{self.name}-{_hash(self._identity())}"

    @property
    def trunk_key(self) -> str | None:
        """The identity of the trunk that it shares with cells that differ only in `tokens`; None
        for a schedule under which they share nothing."""
        if self.schedule != "wsd":
            return None
        shared = {name: value for name, value in self._identity().items() if name != "tokens"}
        return f"{self.name}{TRUNK}{_hash(shared)}"

    @property
    def trunk_steps(self) -> int:
        """How many steps of the trunk it shares: all those before it decays."""
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
        shape, muon_lr = self.rung.shape, None
        if self.optimizer == "muon":
            muon_lr = optim.MUON_LR * self.lr / load_arch(self.arch).LR
        return optim.transferred(self.lr, shape.width, shape.depth, muon_lr)

    @property
    def warmup_tokens(self) -> int:
        """The number of tokens over which the rate rises."""
        n_params = self.rung.counts.n_params
        if self.schedule == "wsd":
            return optim.trunk_warmup_tokens(n_params, self.batch_tokens)
        return optim.warmup_tokens(n_params, self.tokens)

    @property
    def flops(self) -> int:
        """Training FLOPs of the whole cell."""
        return self.rung.flops_per_token(self.context) * self.tokens

    def params(self) -> dict[str, Any]:
        """The configuration, its version, and the shape that it resolves to, in one mapping."""
        shape = {f"shape_{name}": value for name, value in asdict(self.rung.shape).items()}
        version = VERSIONS.get(self.schedule)
        versions = {f"{self.schedule}_version": version} if version else {}
        return {**asdict(self), **versions, **shape}

    def facts(self, unique_tokens: int) -> dict[str, float]:
        """What is known about the cell before it is trained, by the names of the run record."""
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
    """What a cell runs on. It affects the speed, never the result."""

    workers: int = 1
    cpus: float = 1
    """Per worker."""
    gpus: float = 0
    """Per worker; a fraction only with one worker, because NCCL refuses two ranks on one GPU."""
    micro_tokens: int = 16_384
    """The most tokens that one worker passes through the model at once."""
    checkpoint_seconds: float = 30
    """Roughly the most training time that an interruption can cost."""
    retries: int = 2
    """How often a cell that fails is retried. Lost nodes do not count."""
    compile: str = "auto"
    """Whether a model is compiled where that pays (`auto`), always (`on`) or never (`off`)."""
    accelerator: str = ""
    """The kind of GPU, as Ray calls it; "" for any."""
