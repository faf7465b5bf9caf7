"""What cells took, from their records; beside what was expected of them, in hours and money.

Hours are those in which workers held their GPUs or, without any, their cores. The start of a job's
workers, which no record tells, is not among them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any

from pydantic import Field

from trainers.records import NotNegative, Record

Tokens = Annotated[int, Field(ge=0, lt=2**63)]


@dataclass(frozen=True)
class Spent:
    """Seconds of a cell's workers."""

    waiting: float
    """Until the first step of its last attempt."""
    training: float
    """Of the steps that it made itself and kept, in all attempts."""
    evaluating: float
    rest: float
    """Until its record was written."""
    resumed: bool
    """Whether an attempt before the last made some of the steps."""

    @property
    def seconds(self) -> float:
        return self.waiting + self.training + self.evaluating + self.rest


@dataclass(frozen=True)
class Twice:
    """What was trained once more after an interruption."""

    tokens: Tokens = 0
    seconds: NotNegative = 0.0


@dataclass(frozen=True)
class Entry:
    """A cell that has ended."""

    key: str
    expected: float | None
    """Seconds of training; None if nothing was expected of it."""
    spent: Spent
    twice: Twice
    holds: float
    """The GPUs that its workers hold, or their cores."""

    @property
    def hours(self) -> float:
        return (self.spent.seconds + self.twice.seconds) * self.holds / 3600


@dataclass(frozen=True)
class Bill:
    """Of a sweep as far as it is."""

    entries: Sequence[Entry]
    gpus: bool
    """Whether GPUs are counted; else cores."""
    price: float | None
    """Of a GPU-hour."""
    expected_wall: float
    """Seconds from the first job to the last one's end, on the cluster as it was."""
    wall: float
    """For how many of them it has been at work."""

    @property
    def unit(self) -> str:
        return "GPU-hours" if self.gpus else "core-hours"

    @property
    def hours(self) -> float:
        return self.hours_of({entry.key for entry in self.entries})

    def hours_of(self, keys: Collection[str]) -> float:
        """Of these cells, such as those of a law."""
        return sum(entry.hours for entry in self.entries if entry.key in keys)

    @property
    def compared(self) -> list[Entry]:
        """The cells of which something was expected."""
        return [entry for entry in self.entries if entry.expected is not None]

    @property
    def expected_hours(self) -> float:
        """For training those cells."""
        return sum((entry.expected or 0) * entry.holds for entry in self.entries) / 3600

    @property
    def training_hours(self) -> float:
        """The same, as it came."""
        return sum(entry.spent.training * entry.holds for entry in self.compared) / 3600

    @property
    def interrupted(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.spent.resumed or entry.twice.tokens]

    @property
    def lost_hours(self) -> float:
        """To interruptions: steps made twice, and waiting for the first one again."""
        return sum(
            (entry.twice.seconds + entry.spent.waiting) * entry.holds / 3600
            for entry in self.interrupted
        )

    def cost(self, hours: float) -> float | None:
        return hours * self.price if self.gpus and self.price is not None else None


def taken_over(record: Record) -> int:
    """Tokens that the cell has from its trunk."""
    return record.ran_on.get("tokens_from_trunk", 0)


def steps_began(record: Record) -> float | None:
    """When the first step of the cell's last attempt began, seconds since the epoch; None if that
    made none."""
    begin = taken_over(record)
    for point in record.curve:
        if point["time"] > record.started:
            return point["time"] - _seconds(point, begin)
        begin = max(begin, point["tokens"])
    return None


def spent(record: Record) -> Spent:
    began, last = steps_began(record), record.started
    training = waiting = 0.0
    taken = taken_over(record)
    before = [{"tokens": 0}, *(p for p in record.curve if p["time"] <= record.started)]
    own = [(max(a["tokens"], taken), b) for a, b in pairwise(before) if b["tokens"] > taken]
    training += sum(_seconds(point, begin) for begin, point in own)
    if began is not None:
        last = record.curve[-1]["time"]
        waiting, training = began - record.started, training + last - began
    evaluating = record.measured.get("seconds_evaluate", 0.0)
    rest = record.ended - last - evaluating
    return Spent(max(0.0, waiting), training, evaluating, max(0.0, rest), bool(own))


def _seconds(point: Mapping[str, Any], begin: float) -> float:
    """Of the steps from `begin`, in tokens, to a point of the curve."""
    pace = point.get("tokens_per_second", 0.0)
    return (point["tokens"] - begin) / pace if pace > 0 else 0.0
