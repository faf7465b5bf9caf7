"""Size ladders as units of work, to divide into jobs."""

from __future__ import annotations

from sweeps.scheduling.packing import Unit


def ladder(seeds: int, seconds: float, slower: float, gpus: tuple[float, ...]) -> list[Unit]:
    """Two architectures; the largest size takes 100 times as long as the smallest.

    seconds: for a cell of the smallest size; each further seed takes 2 % more.
    slower: the time of a cell of the second architecture relative to one of the first.
    gpus: per cell, for each size.
    """
    found = []
    for arch, factor in (("first", 1.0), ("second", slower)):
        for rung, share in enumerate(gpus):
            takes = seconds * factor * 100 ** (rung / (len(gpus) - 1))
            group = f"{arch}-{rung}"
            found += [
                Unit(f"{group}-{seed}", group, 1, share, takes * (1 + 0.02 * seed))
                for seed in range(seeds)
            ]
    return found
