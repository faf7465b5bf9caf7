"""The cards of samples.html: a piece to hear, to see as piano roll and score, and to take away."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Sequence
from html import escape
from math import isfinite
from typing import Any

import numpy as np

from data.music.files import to_midi
from data.notation import abc_text, musicxml
from trainers.names import varying, words
from trainers.samples import pictures
from trainers.samples.audio import gain, note_list, seconds
from trainers.samples.cells import Trained
from trainers.samples.engraving import engrave
from trainers.samples.study import Composed, Piece

PLAY = (
    '<svg viewBox="0 0 16 16" class="start" aria-hidden="true"><path d="M4 2v12l10-6z"/></svg>'
    '<svg viewBox="0 0 16 16" class="pause" aria-hidden="true"><path d="M3 3h4v10H3zM9 3h4v10H9z"/>'
    "</svg>"
)
FILES = ("abc", "xml", "mid", "wav")


class Cards:
    """The cards written so far, and what the script needs to know about each piece.

    varied: the fields in which cells of one architecture and size differ, for their names.
    """

    def __init__(self, varied: Sequence[str]) -> None:
        self.varied = varied
        self.data: list[dict[str, Any]] = []
        self._numbers: dict[str, int] = {}

    def real(self, piece: Piece) -> str:
        """The card of a piece of the test split."""
        title = piece.name.replace("test-", "Real piece ")
        return self._card(piece, title, "a real piece", "s5", None)

    def composed(self, one: Composed, number: int, tone: int) -> str:
        """The card of a cell's piece, counted from 0, in the colour of its architecture."""
        by = told(one.trained, self.varied)
        piece = one.pieces[number]
        return self._card(piece, f"{by}, no. {number + 1}", by, f"s{tone}", one.trained)

    def for_blind_listening(self, piece: Piece) -> str:
        """The card of a piece that is on no other one: to hear, without files."""
        title = piece.name.replace("test-", "Real piece ")
        number = self._numbers[piece.name] = len(self.data)
        self.data.append(_heard(piece, title, "a real piece", None))
        return _markup(piece, title, "s5", number, ())

    def _card(
        self, piece: Piece, title: str, label: str, tone: str, trained: Trained | None
    ) -> str:
        """Two cards of one piece share what the script knows about it."""
        if piece.name not in self._numbers:
            self._numbers[piece.name] = len(self.data)
            files = {
                "abc": abc_text.write(piece.score, title),
                "mid": base64.b64encode(to_midi(piece.score)).decode(),
                "score": _packed(engrave(piece.score, piece.seam)),
                "xml": _packed(musicxml.write(piece.score, title, piece.seam)),
            }
            self.data.append(_heard(piece, title, label, trained) | files)
        number = self._numbers[piece.name]
        offered = ("score",) * bool(self.data[number]["score"]) + FILES
        return _markup(piece, title, tone, number, offered)


def varied_in(composed: Sequence[Composed]) -> list[str]:
    """The fields in which the cells of a grid differ, for their names; its best is told by what it
    is."""
    trained = [one.trained for one in composed]
    return varying(vars(one.cell) for one in trained if not one.note)


def told(trained: Trained, varied: Sequence[str]) -> str:
    """By what a cell is called on the page: "lstm 300k", "lstm 300k, seed 1"."""
    cell = trained.cell
    return ", ".join([f"{cell.arch} {cell.size}", *apart(trained, varied)])


def apart(trained: Trained, varied: Sequence[str]) -> list[str]:
    """What tells a cell from others of its architecture and size."""
    return [*words(vars(trained.cell), varied), *[trained.note] * bool(trained.note)]


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def clock(value: float) -> str:
    return f"{int(value) // 60}:{int(value) % 60:02d}"


def _heard(piece: Piece, title: str, label: str, trained: Trained | None) -> dict[str, Any]:
    score, notes = piece.score, note_list(piece.score)
    lines = score.bars
    return {
        "name": piece.name,
        "title": title,
        "label": label,
        "real": trained is None,
        "size": trained and trained.cell.size,
        "n_params": trained and trained.n_params,
        "notes": [[round(value, 3) for value in note] for note in notes.tolist()],
        # Of each bar line: its second, and its share of the roll.
        "bars": [
            [round(second, 3), round(place, 4)]
            for second, place in zip(seconds(score, lines).tolist(), (lines / lines[-1]).tolist())
        ],
        # Seconds, as in `notes`.
        "seam": round(float(seconds(score, np.array([piece.seam]))[0]), 3),
        "loud": round(gain(score), 4),
    }


def _markup(piece: Piece, title: str, tone: str, number: int, offered: Sequence[str]) -> str:
    score, name = piece.score, escape(title)
    bars, end = len(score.bars) - 1, score.seconds
    facts = [f"{bars} bar" + "s" * (bars > 1), clock(end)]
    if piece.log_probability is not None and isfinite(piece.log_probability):
        facts.append(f"{-piece.log_probability / (len(piece.tokens) - 1):.2f} nats a token")
    facts += ["after the prompt (shaded)"] * bool(piece.seam) + [piece.said] * bool(piece.said)
    buttons = "".join(
        f'<button data-save={kind} aria-label="{kind} of {name}"'
        f"{' aria-expanded=false' * (kind == 'score')}>{kind}</button>"
        for kind in offered
    )
    return (
        f'<article data-id={number} style="--tone:var(--{tone})" aria-label="{name}">'
        f'<div class=player><button class=play aria-label="Play: {name}">{PLAY}</button>'
        f"<div><div class=title>{name}</div>"
        f"<div class=facts>{escape(', '.join(facts))}</div></div></div>"
        f'<div class=roll role=slider tabindex=0 aria-label="Position in {name}" aria-valuemin=0 '
        f'aria-valuemax={int(end)} aria-valuenow=0 aria-valuetext="0:00 of {clock(end)}, bar 1 of '
        f'{bars}">{pictures.roll(score, piece.seam)}<i></i></div>'
        f"<div class=more>{buttons}</div></article>"
    )


def _packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), 9)).decode() if text else ""
