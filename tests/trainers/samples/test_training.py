"""The lines of the training split are drawn once, in slices of any size."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.abc.tokenizer import AbcTokenizer
from data.music.score import Score
from data.store.flat import write_split
from data.store.location import Location
from data.works import signatures
from tests.data.conftest import melody
from trainers.samples import training
from trainers.samples.apart import in_turn
from trainers.samples.novelty import Index, joined
from trainers.samples.training import bounds, training_lines

GENERATOR = np.random.default_rng(0)
SCORES = [melody((60 + GENERATOR.integers(0, 12, size=n)).tolist()) for n in (32, 5, 40, 33, 12)]
TOKENIZER = AbcTokenizer()


@pytest.fixture
def data(packed: Path, tmp_path: Path) -> Location:
    pieces = [TOKENIZER.encode(score) for score in SCORES]
    lengths, ones = np.array([len(piece) for piece in pieces]), np.ones(len(pieces))
    write_split(Location.of(tmp_path), "train", np.concatenate(pieces), lengths, ones, ones)
    (tmp_path / "manifest.json").write_bytes((packed / "manifest.json").read_bytes())
    return Location.of(tmp_path)


class Unread(AbcTokenizer):
    def decode(self, ids: np.ndarray) -> Score:
        raise AssertionError("a piece was read again")


def test_slices_make_no_difference(data: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "SLICE_TOKENS", 50)
    found = Index.of(training_lines(TOKENIZER, data, in_turn))
    whole = Index.of(joined(line for score in SCORES for line in signatures.lines(score)))
    np.testing.assert_array_equal(found.run, whole.run)
    for score in SCORES:
        lines = signatures.lines(score)
        assert str(found.novelty(lines)) == str(whole.novelty(lines))


def test_no_piece_is_read_a_second_time(data: Location) -> None:
    first = training_lines(TOKENIZER, data, in_turn)
    np.testing.assert_array_equal(training_lines(Unread(), data, in_turn), first)


def test_other_data_in_the_same_folder_are_read(data: Location) -> None:
    training_lines(TOKENIZER, data, in_turn)
    manifest = data / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"fingerprint": "', '"fingerprint": "0'))
    with pytest.raises(AssertionError, match="read again"):
        training_lines(Unread(), data, in_turn)


def test_data_that_cannot_be_written_to_are_read_each_time(
    data: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(place: Location) -> None:
        raise PermissionError(place)

    monkeypatch.setattr(Location, "writing", refuse)
    assert len(training_lines(TOKENIZER, data, in_turn))
    with pytest.raises(AssertionError, match="read again"):
        training_lines(Unread(), data, in_turn)


@given(st.lists(st.integers(1, 5 * 2**20), min_size=1, max_size=30))
def test_slices_cover_every_piece_once(lengths: list[int]) -> None:
    starts = np.cumsum([0, *lengths])
    found = bounds(starts)
    assert (found[0], found[-1]) == (0, len(lengths))
    assert found == sorted(set(found))
    for first, stop in pairwise(found):
        # A slice ends with the piece in which it is full.
        assert starts[stop - 1] - starts[first] < training.SLICE_TOKENS
