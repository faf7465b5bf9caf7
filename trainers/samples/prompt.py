"""What a model goes on from: the first bars of a tune of the user's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.abc.dialect import HEADER, AbcError, tokens_of
from data.abc.reader import read
from data.music.files import from_midi
from data.music.score import Score, ScoreError
from data.music.sections import between
from data.notation import tunes
from data.tokens.grammars import refused_at
from data.tokens.protocol import Tokenizer


class PromptError(ValueError):
    """A file that cannot be gone on from; the message is one line."""


@dataclass(frozen=True)
class Prompt:
    tokens: np.ndarray
    """(n,) ids from the beginning of a piece, without its end."""
    bars: int
    end: int
    """Ticks from its beginning: the bar line at which it was cut."""


def read_prompt(path: Path, tokenizer: Tokenizer, bars: int, grammar: bool = True) -> Prompt:
    """The first bars of a MIDI file, or of the first tune of an ABC file, from the one with its
    first note on.

    grammar: whether what follows is kept to the grammar. Raises PromptError.
    """
    if not path.exists():
        raise PromptError(f"{path}: no such file; a prompt is a .mid or .abc file")
    try:
        score = _read_score(path, tokenizer.ticks_per_quarter)
        first = int(np.searchsorted(score.bars, score.onset.min(), side="right")) - 1
        last = min(first + bars, len(score.bars) - 1)
        start, end = int(score.bars[first]), int(score.bars[last])
        cut = between(score, start, end)
        assert cut is not None
        tokens = tokenizer.encode(cut)[:-1]
    except (AbcError, ScoreError, UnicodeDecodeError) as error:
        raise PromptError(f"{path}: {error}") from None
    if grammar and (at := refused_at(tokenizer, tokens)) is not None:
        raise PromptError(
            f"{path}: models are not let compose what stands in its first bars (token {at} of "
            f"{len(tokens)}): more than 15 voices, pitch 0, or a bar that a change of meter cuts; "
            "try fewer --prompt-bars, or --no-grammar"
        )
    return Prompt(tokens, last - first, end - start)


def _read_score(path: Path, ticks_per_quarter: int) -> Score:
    if path.suffix.lower() != ".abc":
        return from_midi(path.read_bytes(), ticks_per_quarter)
    text = path.read_text(encoding="utf-8")
    if text.startswith(HEADER):
        # What models are trained on: there `K:C` may also stand for no key.
        return read(tokens_of(text), ticks_per_quarter)
    # Of a book, the first tune.
    return tunes.read(next(tunes.tunes(text)), ticks_per_quarter)
