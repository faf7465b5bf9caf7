"""samples.html: one file that opens anywhere, plays sound and needs no network."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Sequence
from functools import partial
from html import escape
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from data.music.files import to_midi
from data.notation import abc_text, musicxml
from trainers.names import varying, words
from trainers.samples import pictures
from trainers.samples.audio import loudness, note_list, seconds
from trainers.samples.engraving import engrave
from trainers.samples.measures import Estimate
from trainers.samples.study import MEASURES, Composed, Piece, Study, values

HERE = Path(__file__).parent
PLAY = (
    '<svg viewBox="0 0 16 16" class="start"><path d="M4 2v12l10-6z"/></svg>'
    '<svg viewBox="0 0 16 16" class="pause"><path d="M3 3h10v10H3z"/></svg>'
)


def html(study: Study, shown: int, real: int, how: str) -> str:
    """The page, complete.

    shown: samples per cell on the page. real: test pieces on it. how: one sentence on sampling.
    """
    cards = _Cards()
    archs = sorted({one.trained.cell.arch for one in study.composed})
    grid = _grid(study.composed, archs, shown, cards)
    # Spread evenly over the split, whose order has no meaning.
    chosen = np.linspace(0, len(study.reference) - 1, min(real, len(study.reference))).astype(int)
    heard = "".join(cards.card(study.reference[index], "a real piece", "s5") for index in chosen)
    legend = "".join(
        f"<span><i style='background:var(--s{number})'></i>{escape(arch)}</span>"
        for number, arch in enumerate(archs)
    )
    text = json.dumps(cards.data, allow_nan=False, separators=(",", ":"))
    parts = {
        "/*style*/": (HERE / "page.css").read_text(encoding="utf-8"),
        "/*script*/": (HERE / "page.js").read_text(encoding="utf-8"),
        "<!--real-->": heard,
        "<!--how-->": escape(how),
        "<!--grid-->": grid,
        "<!--legend-->": legend,
        "<!--plots-->": _plots(study, archs),
        "<!--numbers-->": _numbers(study),
        "<!--footer-->": _footer(study),
        # A name could contain "</script>"; JSON allows "<" to be escaped.
        "/*data*/null": text.replace("<", "\\u003c"),
    }
    page = (HERE / "page.html").read_text(encoding="utf-8")
    for mark, part in parts.items():
        page = page.replace(mark, part, 1)
    return page


class _Cards:
    """The cards written so far, and what the script needs to know about each."""

    def __init__(self) -> None:
        self.data: list[dict[str, Any]] = []

    def card(self, piece: Piece, label: str, tone: str) -> str:
        notes = note_list(piece.score)
        bars = piece.score.bars
        engraved = engrave(piece.score, piece.seam)
        last = float((notes[:, 0] + notes[:, 1]).max())
        self.data.append(
            {
                "name": piece.name,
                "label": label,
                "real": piece.log_probability is None,
                "notes": [[round(v, 3) for v in note] for note in notes.tolist()],
                # The roll extends to the end of the last bar.
                # Seconds, as in `notes`.
                "seam": round(float(seconds(piece.score, np.array([piece.seam]))[0]), 3),
                "span": round(last * float(bars[-1]) / piece.score.end, 3),
                "loud": round(loudness(piece.score), 3),
                "abc": abc_text.write(piece.score, f"{piece.name}: {label}"),
                "mid": base64.b64encode(to_midi(piece.score)).decode(),
                "score": _packed(engraved),
                "xml": _packed(musicxml.write(piece.score, piece.name, piece.seam)),
            }
        )
        told = escape(piece.name)
        if piece.log_probability is not None:
            told = f"{-piece.log_probability / (len(piece.tokens) - 1):.2f} nats a token"
        if piece.seam:
            told += ", after the prompt (shaded)"
        if piece.said:
            told += f", {escape(piece.said)}"
        buttons = ["score"] * bool(engraved) + ["abc", "xml", "mid", "wav"]
        more = "".join(f"<button data-save={kind}>{kind}</button>" for kind in buttons)
        return (
            f'<article data-id={len(self.data) - 1} style="--tone:var(--{tone})">'
            f'<div class=player><button class=play aria-label="Play">{PLAY}</button>'
            f"<div class=roll>{pictures.roll(piece.score, piece.seam)}<i></i></div></div>"
            f"<div class=more><span>{told}</span>{more}</div></article>"
        )


def _packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), 9)).decode()


def _grid(composed: Sequence[Composed], archs: list[str], shown: int, cards: _Cards) -> str:
    columns = f'style="--columns:{len(archs)}"'
    heads = "".join(f"<h3>{escape(arch)}</h3>" for arch in archs)
    rows = [f'<div class="row head" {columns}><h3></h3>{heads}</div>']
    varied = varying(vars(one.trained.cell) for one in composed)
    sizes = sorted(
        {one.trained.cell.size: one.trained.n_params for one in composed}.items(), key=_by_n
    )
    for size, _ in sizes:
        cells = []
        for number, arch in enumerate(archs):
            for one in composed:
                cell = one.trained.cell
                if (cell.arch, cell.size) == (arch, size):
                    told = [f"loss {one.trained.val_loss:.3f}", *words(vars(cell), varied)]
                    facts = escape(", ".join(told)) + _valid(one)
                    label = ", ".join([arch, size, *told[1:]])
                    heard = "".join(
                        cards.card(piece, label, f"s{number}") for piece in one.pieces[:shown]
                    )
                    cells.append(
                        f"<div class=cell><div class=facts><b>{escape(arch)}, </b>{facts}</div>"
                        f"{heard}</div>"
                    )
        rows.append(f"<div class=row {columns}><h3>{escape(size)}</h3>{''.join(cells)}</div>")
    return "".join(rows)


def _by_n(pair: tuple[str, int]) -> int:
    return pair[1]


def _valid(one: Composed) -> str:
    return f", {one.valid.value:.0%} valid unaided"


def _plots(study: Study, archs: list[str]) -> str:
    figures = []
    shares: dict[str, Callable[[Composed], Estimate]] = {
        "Valid without the grammar": lambda one: one.valid,
        "Readable without the grammar": lambda one: one.reads,
    }
    for title, of in shares.items():
        figures.append((title, pictures.plot(title, _series(study, archs, of), None)))
    for name, title in MEASURES.items():
        series = _series(study, archs, partial(Composed.mean, name=name))
        figures.append((title, pictures.plot(title, series, study.mean(name))))
    return "".join(
        f"<figure><figcaption>{escape(title)}</figcaption>{svg}</figure>" for title, svg in figures
    )


def _series(
    study: Study, archs: list[str], of: Callable[[Composed], Estimate]
) -> list[pictures.Series]:
    found = []
    for arch in archs:
        mine = [one for one in study.composed if one.trained.cell.arch == arch]
        found.append(
            pictures.Series(arch, [one.trained.n_params for one in mine], [of(one) for one in mine])
        )
    return found


def _numbers(study: Study) -> str:
    head = ["", "pieces", *MEASURES.values()]
    rows = []
    varied = varying(vars(one.trained.cell) for one in study.composed)
    for one in study.composed:
        cells = [_difference(study.difference(one, name)) for name in MEASURES]
        cell = one.trained.cell
        told = ", ".join([f"{cell.arch} {cell.size}", *words(vars(cell), varied)])
        rows.append([escape(told), str(len(one.pieces)), *cells])
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<div class=scroll><table><tr>{top}</tr>{lines}</table></div>"


def _difference(gap: Estimate) -> str:
    if not isfinite(gap.value):
        return "–"
    text = f"{gap.value:+.2f} ± {(gap.high - gap.low) / 2:.2f}"
    return f"<b>{text}</b>" if gap.low > 0 or gap.high < 0 else text


def _footer(study: Study) -> str:
    copied = float(np.nanmean(values(study.reference, "copied")))
    return (
        "Measures by muspy's definitions (Dong et al. 2020). Valid: ends, reads, bars add up, ties "
        "and tuplets are complete. Copying is looked for in every key, in the top line of each "
        f"track; of the runs of nine notes in real pieces, {copied:.0%} are in training too. "
        "Loss is on the validation split, in nats per token."
    )
