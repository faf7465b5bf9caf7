"""The files of composed pieces, for musicians and for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from data.music.files import to_midi
from data.notation import abc_text, musicxml
from data.store.location import Location
from trainers.samples.audio import to_wav
from trainers.samples.engraving import engrave
from trainers.samples.pictures import roll
from trainers.samples.study import Composed, Piece


def write(folder: Location, composed: Sequence[Composed], count: int) -> None:
    """`count` pieces of each cell as .abc, .musicxml, .mid, .wav, .roll.svg and .score.svg, and
    all of them, with tokens, log-probabilities and measures, in samples.json."""
    for one in composed:
        for piece in one.pieces[:count]:
            _write_piece(folder, piece)
    rows = [_row(one, piece) for one in composed for piece in one.pieces]
    (folder / "samples.json").write_text(json.dumps(rows))


def _write_piece(folder: Location, piece: Piece) -> None:
    score, seam = piece.score, piece.seam
    (folder / f"{piece.name}.abc").write_text(abc_text.write(score, piece.name))
    (folder / f"{piece.name}.musicxml").write_text(musicxml.write(score, piece.name, seam))
    (folder / f"{piece.name}.mid").write_bytes(to_midi(score))
    (folder / f"{piece.name}.wav").write_bytes(to_wav(score))
    (folder / f"{piece.name}.roll.svg").write_text(roll(score, seam))
    if engraved := engrave(score, seam):
        (folder / f"{piece.name}.score.svg").write_text(engraved)


def _row(one: Composed, piece: Piece) -> dict[str, Any]:
    measures = {
        # JSON has no NaN.
        name: value if value == value else None
        for name, value in piece.measures.items()
    }
    return {
        "cell": one.trained.cell.key,
        "n_params": one.trained.n_params,
        "name": piece.name,
        "log_probability": piece.log_probability,
        "measures": measures,
        "tokens": piece.tokens.tolist(),
    }
