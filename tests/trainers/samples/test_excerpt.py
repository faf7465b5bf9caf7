"""No piece, however long, takes more than a bounded part of it to measure, draw and play."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from data.music.score import Score, build
from trainers.samples import excerpt as bounds
from trainers.samples.audio import render
from trainers.samples.excerpt import excerpt
from trainers.samples.measures import measure
from trainers.samples.pictures import roll


def notes(*onsets: int, bpm: int = 120, meter: tuple[int, int] = (4, 4)) -> Score:
    """Quarters at these onsets, in ticks of 24 a quarter."""
    columns = np.zeros((7, len(onsets)), np.int64)
    columns[3], columns[4], columns[5], columns[6] = onsets, 60, 24, 64
    return build(24, columns, ((0, bpm),), ((0, *meter),), ())


def test_a_piece_of_common_length_is_whole() -> None:
    score = notes(*range(0, 24 * 400, 24))
    assert excerpt(score) == (score, "")


FAR = 24 * 100_000


@pytest.mark.parametrize(
    ("score", "said"),
    [
        (notes(0, FAR), "only 2,048 of 100,001 quarters"),
        (notes(0, FAR, meter=(1, 32)), "only 64 of 100,001 quarters"),
        (notes(0, 24, 24 * 2000, bpm=4), "only 120 of 2,001 quarters"),
        (notes(0, 24 * 900, bpm=4, meter=(255, 1)), "only 120 of 901 quarters"),
        (notes(FAR, FAR + 24), "only 2 of 100,002 quarters"),
    ],
    ids=["far", "many bars", "slow", "long bar", "late"],
)
def test_what_has_no_end_is_heard_in_part_and_that_is_said(score: Score, said: str) -> None:
    tracemalloc.start()
    part, told = excerpt(score)
    assert told == said
    assert 0 < len(part) <= len(score)
    measure(part)
    roll(part)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 500e6
    assert part.seconds <= bounds.MAX_SECONDS + 1
    assert len(part.bars) <= bounds.MAX_BARS + 2


def test_a_crowd_of_notes_is_cut_where_there_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_NOTES", 50)
    part, told = excerpt(notes(*range(0, 24 * 60, 24)))
    assert len(part) == 50
    assert told == "only 50 of 60 quarters"
    assert len(render(replace(part))) < 60 * 22_050
