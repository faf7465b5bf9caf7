"""What was trained twice, by what MLflow has: it keeps the first of two values of a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def twice(
    curve: Sequence[Mapping[str, float]], seen: Mapping[int, int]
) -> list[tuple[float, int, float]]:
    """The steps of a curve that had been made before, in an attempt that was interrupted: when they
    first were, in seconds since the epoch; how many tokens they are; and the seconds they took.

    seen: of each point that MLflow has, when it was made, in milliseconds. It keeps the first.
    """
    found, before = [], 0
    for point in curve:
        tokens = int(point["tokens"])
        first = seen.get(tokens)
        if first is not None and first < milliseconds(point):
            pace = point.get("tokens_per_second", 0.0)
            found.append((first / 1000, tokens - before, (tokens - before) / pace if pace else 0.0))
        before = tokens
    return found


def milliseconds(point: Mapping[str, float]) -> int:
    return int(point["time"] * 1000)
