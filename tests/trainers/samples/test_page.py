"""samples.html: complete in itself, the best model's piece first, and what its numbers can say."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from trainers.samples import measured, page
from trainers.samples.audio import gain, render
from trainers.samples.measures import share
from trainers.samples.study import Study

SHOWN, REAL = 2, 4
ARCHS = ["lstm", "transformer"]


@pytest.fixture(scope="module")
def html(study: Study) -> str:
    return page.html(study, SHOWN, REAL, how="Drawn so.")


def pieces(html: str) -> list[dict[str, Any]]:
    found = re.search(r"const pieces = (.*);</script>", html)
    assert found
    return json.loads(found[1])


def titles(html: str) -> list[str]:
    return re.findall("<article[^>]*><div class=player>.*?<div class=title>(.*?)</div>", html)


def test_the_best_models_piece_comes_first_beside_a_real_one(study: Study) -> None:
    low = replace(study.composed[2].trained, val_loss=1.1)
    better = [*study.composed[:2], replace(study.composed[2], trained=low), study.composed[3]]
    first = titles(page.html(replace(study, composed=better), SHOWN, REAL, how=""))[:2]
    assert first == ["transformer 4k, no. 1", "Real piece 1"]


def test_what_was_trained_on_is_the_best_and_is_told_from_the_cell_it_came_from(
    study: Study,
) -> None:
    of = study.composed[3]
    longer = replace(of.trained, note="best, 3 epochs", val_loss=1.6, name="best")
    longer = replace(longer, cell=replace(longer.cell, tokens=4096))
    named = [replace(piece, name=f"best-{number}") for number, piece in enumerate(of.pieces)]
    best = replace(of, trained=longer, pieces=named)
    text = page.html(replace(study, composed=[*study.composed, best]), SHOWN, REAL, how="")
    assert titles(text)[0] == "transformer 20k, best, 3 epochs, no. 1"
    assert "transformer 20k, no. 1" in titles(text)
    assert "<b>transformer, </b>loss 1.600, best, 3 epochs, " in text
    assert "tokens 4096" not in text
    # In the table of measures, and in no curve over sizes.
    assert "<th scope=row>transformer 20k, best, 3 epochs</th>" in text
    assert measured.plots(replace(study, composed=[*study.composed, best]), ARCHS) == (
        measured.plots(study, ARCHS)
    )


def test_a_best_model_without_a_piece_gives_way(study: Study) -> None:
    low = replace(study.composed[2].trained, val_loss=1.1)
    silent = [*study.composed[:2], replace(study.composed[2], trained=low, pieces=[])]
    first = titles(page.html(replace(study, composed=silent), SHOWN, REAL, how=""))[:2]
    assert first == ["lstm 4k, no. 1", "Real piece 1"]


def test_every_cell_and_real_pieces_are_on_it(html: str) -> None:
    shown = [title for title in titles(html) if title.startswith("lstm 20k")]
    assert shown == ["lstm 20k, no. 1", "lstm 20k, no. 2"]
    for text in ("lstm", "transformer", "4k", "20k", "Drawn so."):
        assert text in html


def test_a_card_says_bars_and_seconds(html: str) -> None:
    assert html.count("<div class=facts>3 bars, 0:06, ") == 2 + 8 - 1
    assert html.count("<div class=facts>3 bars, 0:06</div>") == REAL + 3


def test_there_are_as_many_real_pieces_to_hear_blind_as_there_are(html: str, study: Study) -> None:
    """Four on the page, and all others but for hearing, since eight were composed."""
    data = pieces(html)
    assert sum(piece["real"] for piece in data) == len(study.reference)
    assert sum("abc" in piece for piece in data if piece["real"]) == REAL
    spare = html.split('<template id="spare">')[1].split("</template>")[0]
    assert spare.count("<article") == len(study.reference) - REAL


def test_it_asks_nothing_of_the_network_and_links_to_its_report_alone(
    html: str, study: Study
) -> None:
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", html)
    assert "@import" not in html
    linked = page.html(study, SHOWN, REAL, how="", report="report.html")
    assert re.findall(r"""(?:src|href)=["'](?!data:)([^"']*)""", linked) == ["report.html"]


def test_its_data_is_json_and_it_stays_small(html: str) -> None:
    data = pieces(html)
    assert {piece["real"] for piece in data} == {True, False}
    assert len(html) < 90_000 + 30_000 * len(data)


def test_its_gain_brings_the_loudest_sample_to_that_of_the_files(study: Study) -> None:
    score = study.reference[0].score
    assert abs(render(score)).max() == pytest.approx(0.9, abs=1e-4)
    assert abs(render(score)).max() / gain(score) > 1


def test_buttons_and_plots_have_names_of_their_own(html: str) -> None:
    open_part = html.split('<template id="spare">')[0]
    names = re.findall('aria-label="((?:Play: |Position in |wav of ).*?)"', open_part)
    # The best model's first piece is in its row as well.
    assert len(names) - len(set(names)) == 3
    plots = re.findall('role="img" aria-label="(.*?)"', open_part)
    assert len(plots) == len(set(plots)) == 3 + 9


def test_beside_each_plot_stand_its_values(html: str, study: Study) -> None:
    figures = re.findall("<figure aria-labelledby.*?</figure>", html)
    assert len(figures) == 3 + 9
    for figure in figures:
        assert figure.count("<tr>") in (1 + 4, 1 + 4 + 1)
    valid = next(figure for figure in figures if "Valid without" in figure)
    assert "<th scope=row>lstm</th><td>4,000</td><td>0.25</td><td>0.00631 to 0.806</td>" in valid


def test_valid_is_explained_and_what_a_zero_of_so_few_can_be(study: Study) -> None:
    eight = [replace(one, valid=share(0, 8)) for one in study.composed]
    html = page.html(replace(study, composed=eight), SHOWN, REAL, how="")
    assert "every bar, tie and tuplet is complete" in html
    assert "Of 8 samples, 0 % stands for anything up to 37 %" in html
    assert "Clopper and Pearson" in html
    assert html.count("0 of 8 valid unaided (0 to 37 %)") == 4


def test_of_few_pieces_the_distance_says_what_it_cannot_see(study: Study) -> None:
    few = measured.about_distance(study)
    assert "3 pieces of a model do not show how 9 measures go together" in few
    many = [replace(one, pieces=one.pieces * 6) for one in study.composed]
    assert "do not show" not in measured.about_distance(replace(study, composed=many))


def test_it_says_how_many_answers_tell_60_from_50(html: str) -> None:
    assert "210 tell 60 % right from the 50 % of chance, 54 tell 70 %, and 23 tell 80 %" in html
