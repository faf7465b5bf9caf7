"""samples.html: one file that opens anywhere, plays sound and needs no network."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from trainers.samples import measured
from trainers.samples.cards import Cards, apart, percent, varied_in
from trainers.samples.cells import best_of
from trainers.samples.listening import answers_needed
from trainers.samples.study import Composed, Piece, Study, values

HERE = Path(__file__).parent


def html(study: Study, shown: int, real: int, how: str, report: str = "") -> str:
    """The page, complete.

    shown: samples per cell on the page. real: test pieces on it. how: one sentence on sampling.
    report: the report that lies beside the page; "" if none does.
    """
    cards = Cards(varied_in(study.composed))
    archs = sorted({one.trained.cell.arch for one in study.composed})
    chosen = spread(study.reference, real)
    others = [piece for piece in study.reference if not any(piece is one for one in chosen)]
    composed = sum(len(one.pieces[:shown]) for one in study.composed)
    parts = {
        "/*style*/": _text("page.css"),
        "/*sound*/": _text("page.sound.js"),
        "/*script*/": _text("page.js"),
        "/*blind*/": _text("page.blind.js"),
        "<!--report-->": f'<a href="{escape(report)}">The law and its report</a>' * bool(report),
        "<!--first-->": _first(study, archs, chosen[0], cards),
        "<!--real-->": "".join(cards.real(piece) for piece in chosen[1:]),
        "<!--how-->": escape(how),
        "<!--valid-->": escape(measured.about_valid(study)),
        "<!--grid-->": _grid(study.composed, archs, shown, cards),
        # In blind listening, as many real pieces are heard as composed ones.
        "<!--spare-->": "".join(
            cards.for_blind_listening(piece)
            for piece in spread(others, max(0, composed - len(chosen)))
        ),
        "<!--needed-->": _needed(),
        "<!--legend-->": measured.legend(archs),
        "<!--distance-->": measured.about_distance(study),
        "<!--plots-->": measured.plots(study, archs),
        "<!--numbers-->": measured.differences(study),
        "<!--footer-->": _footer(study),
    }
    text = json.dumps(cards.data, allow_nan=False, separators=(",", ":"))
    page_id = hashlib.sha256(text.encode()).hexdigest()[:12]
    parts["/*study*/null"] = json.dumps({"id": page_id})
    # A name could contain "</script>"; JSON allows "<" to be escaped.
    parts["/*data*/null"] = text.replace("<", "\\u003c")
    page = _text("page.html")
    for mark, part in parts.items():
        page = page.replace(mark, part, 1)
    return page


def _text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def spread(pieces: Sequence[Piece], count: int) -> list[Piece]:
    """So many of them, evenly over their order, which has no meaning."""
    chosen = np.linspace(0, len(pieces) - 1, min(count, len(pieces))).astype(int)
    return [pieces[index] for index in chosen]


def _first(study: Study, archs: list[str], real: Piece, cards: Cards) -> str:
    """The first piece of the best model beside a real one."""
    heard = [one for one in study.composed if one.pieces]
    found = ""
    if heard:
        trained = best_of([one.trained for one in heard])
        best = next(one for one in heard if one.trained is trained)
        card = cards.composed(best, 0, archs.index(best.trained.cell.arch))
        found = f"<div><h2>The best model</h2>{card}</div>"
    return f"{found}<div><h2>A person</h2>{cards.real(real)}</div>"


def _grid(composed: Sequence[Composed], archs: list[str], shown: int, cards: Cards) -> str:
    columns = f'style="--columns:{len(archs)}"'
    heads = "".join(f"<h3>{escape(arch)}</h3>" for arch in archs)
    rows = [f'<div class="row head" {columns}><span></span>{heads}</div>']
    n_params = {one.trained.cell.size: one.trained.n_params for one in composed}
    for size in sorted(n_params, key=n_params.__getitem__):
        cells = []
        for tone, arch in enumerate(archs):
            for one in composed:
                cell = one.trained.cell
                if (cell.arch, cell.size) == (arch, size):
                    facts = [
                        f"loss {one.trained.val_loss:.3f}",
                        *apart(one.trained, cards.varied),
                        measured.valid(one),
                    ]
                    heard = "".join(
                        cards.composed(one, number, tone)
                        for number in range(len(one.pieces[:shown]))
                    )
                    cells.append(
                        f"<div class=cell><div class=facts><b>{escape(arch)}, </b>"
                        f"{escape(', '.join(facts))}</div>{heard}</div>"
                    )
        rows.append(f"<div class=row {columns}><h3>{escape(size)}</h3>{''.join(cells)}</div>")
    return "".join(rows)


def _needed() -> str:
    """How many answers tell a listener from chance."""
    told = [f"{answers_needed(right)} tell {percent(right)}" for right in (0.6, 0.7, 0.8)]
    return (
        f"Of answers, {told[0]} right from the 50 % of chance, {told[1]}, and {told[2]}, in four "
        "cases of five (exact two-sided binomial test at 5 %). Answers of several listeners may be "
        "put together: that is what the CSV is for."
    )


def _footer(study: Study) -> str:
    copied = float(np.nanmean(values(study.reference, "copied")))
    return (
        "Measures by muspy's definitions (Dong et al. 2020). Copying is looked for in every key, "
        "in the top line of each track; of the runs of nine notes in real pieces, "
        f"{percent(copied)} are in training too. Loss is on the validation split, in nats per "
        "token. Notes are spelled by those around them (ps13, Meredith 2006)."
    )
