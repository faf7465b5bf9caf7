"""A reader of ABC that is not ours hears the same notes: abc2midi, which symusic carries.

`harness/abc2midi.py` says what is not ours to decide.
"""

import pytest
from hypothesis import given, settings

from data.music.files import from_midi
from data.music.score import Score, ScoreError
from harness.abc2midi import differences, within_its_limits
from tests.data.conftest import CORPORA, corpus_members, scores


@pytest.mark.parametrize("corpus", CORPORA)
def test_real_music_is_heard_alike(corpus: str) -> None:
    files = []
    for _, midi in corpus_members(corpus, limit=25):
        try:
            score = from_midi(midi, 24)
        except ScoreError:
            continue
        if within_its_limits(score):
            files.append(score)
    assert len(files) >= 10
    assert differences(files) == []


def test_whatever_can_be_written_is_heard_alike() -> None:
    made_up: list[Score] = []

    @settings(max_examples=150, database=None)
    @given(scores())
    def collect(score: Score) -> None:
        if within_its_limits(score):
            made_up.append(score)

    collect()
    assert len(made_up) > 50
    assert differences(made_up) == []
