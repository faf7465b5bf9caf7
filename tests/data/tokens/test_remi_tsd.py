"""MidiTok's tokenizers keep the notes of a plain tune; what they lose is said in their module."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.tokens.make import load_tokenizer, make_tokenizer
from tests.data.conftest import melody


@pytest.mark.parametrize("name", ["remi", "tsd"])
def test_the_notes_of_a_tune_come_back(name: str) -> None:
    tokenizer = make_tokenizer(name, 24)
    score = melody([60, 62, 64, 72, 55], meters=[(0, 3, 4)])
    again = tokenizer.decode(tokenizer.encode(score))
    assert again.canonical() == score.canonical()
    assert again.meters == score.meters


@pytest.mark.parametrize("name", ["abc", "remi", "tsd"])
def test_a_tokenizer_is_the_same_after_saving(name: str, tmp_path: Path) -> None:
    tokenizer = make_tokenizer(name, 12)
    path = tmp_path / "tokenizer.json"
    path.write_text(tokenizer.to_json())
    again = load_tokenizer(path)
    assert (again.name, again.ticks_per_quarter) == (name, 12)
    ids = tokenizer.encode(melody([60, 61]))
    assert ids[0] == again.bos_id
    assert ids[-1] == again.eos_id
    assert ids.max() < again.vocab_size


def test_a_vocabulary_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(make_tokenizer("abc", 24).to_json().replace('"z"', '"x"'))
    with pytest.raises(ValueError, match="prepare the data again"):
        load_tokenizer(path)
