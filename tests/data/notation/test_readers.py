"""What people open ABC with reads ours: abcjs, abcm2ps and abc2midi, on a fixed sample of music."""

from __future__ import annotations

import pytest

from data.music.files import from_midi
from data.music.score import Score, ScoreError
from data.notation.abc_text import write
from data.sources import folk
from harness import abc2midi, readers
from tests.data.conftest import corpus_members

SAMPLE = {"folk": (100, 129), "nottingham": (60, 17), "pop909": (30, 97), "multitrack": (10, 3)}
"""How many pieces, and every which of a corpus: 200 in all."""


def sample(corpus: str, count: int) -> list[Score]:
    if corpus == "folk":
        played = (folk.to_midi(tune) for _, tune in folk.tunes()[:: SAMPLE[corpus][1]])
        files = (midi for midi in played if isinstance(midi, bytes))
    else:
        limit = count * SAMPLE[corpus][1]
        members = list(corpus_members(corpus, limit))[:: SAMPLE[corpus][1]]
        files = (midi for _, midi in members)
    found: list[Score] = []
    for midi in files:
        try:
            found.append(from_midi(midi, 24))
        except ScoreError:
            continue
        if len(found) == count:
            break
    return found


def check(corpus: str, count: int) -> None:
    pieces = sample(corpus, count)
    assert len(pieces) >= 0.9 * count
    audible = [score for score in pieces if abc2midi.within_its_limits(score, write)]
    assert abc2midi.differences(audible, write) == []
    texts = [write(score, f"{corpus} {number}") for number, score in enumerate(pieces)]
    for name in ("abcjs", "abcm2ps"):
        if why := readers.lacking(name):
            pytest.skip(why)
    assert readers.abcjs(texts, pieces) == [""] * len(pieces)
    assert [readers.abcm2ps(text) for text in texts] == [""] * len(pieces)


@pytest.mark.parametrize(("corpus", "count"), [("folk", 20), ("nottingham", 8), ("pop909", 1)])
def test_a_few_pieces_are_read_alike_by_all(corpus: str, count: int) -> None:
    check(corpus, count)


@pytest.mark.slow
@pytest.mark.parametrize("corpus", SAMPLE)
def test_two_hundred_pieces_are_read_alike_by_all(corpus: str) -> None:
    check(corpus, SAMPLE[corpus][0])
