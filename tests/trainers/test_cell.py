"""What a cell is: the fields that decide its result, each with a trace in its key but at its first
default."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from hashlib import sha256
from typing import Any

import pytest

from tests.conftest import CELL
from trainers import optim
from trainers.cell import CHOICES, FIRST, Cell
from trainers.ladder import archs, load_arch


def test_a_field_at_its_first_default_leaves_no_trace_in_the_key() -> None:
    before = {name: value for name, value in CELL.params().items() if name not in FIRST}
    digest = sha256(json.dumps(before, sort_keys=True).encode()).hexdigest()
    assert CELL.key == f"{CELL.name}-{digest[:12]}"


@pytest.mark.parametrize("field", FIRST)
def test_another_value_of_a_later_field_makes_another_cell(
    field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CHOICES, field, (*CHOICES[field], "another"))
    other: Callable[..., Cell] = replace
    assert other(CELL, **{field: "another"}).key != CELL.key


def test_a_later_default_changes_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a cell that says what it takes; and one that was made before the field takes the first."""
    monkeypatch.setitem(CHOICES, "precision", ("bf16", "fp32"))
    new = replace(CELL, precision="bf16")
    assert Cell.of(CELL.params()).key == CELL.key != new.key
    assert Cell.of(new.params()) == new


def test_every_later_field_is_one_of_the_cell() -> None:
    assert set(FIRST) <= {field.name for field in fields(Cell)}


def test_a_cell_comes_back_from_what_a_record_says_of_it() -> None:
    wsd = replace(CELL, schedule="wsd", seed=3)
    assert Cell.of(wsd.params()) == wsd
    before = {name: value for name, value in CELL.params().items() if name not in FIRST}
    assert Cell.of(before) == CELL


def test_wsd_is_another_schedule_than_it_was() -> None:
    """Its key was transformer-4k-seed0-736f86cb8c78 while its warm-up followed the budget."""
    wsd = replace(CELL, schedule="wsd")
    assert wsd.params()["wsd_version"] == 2
    old = {k: v for k, v in wsd.params().items() if k not in (*FIRST, "wsd_version")}
    digest = sha256(json.dumps(old, sort_keys=True).encode()).hexdigest()[:12]
    assert digest == "736f86cb8c78"
    assert digest not in wsd.key


@pytest.mark.parametrize("arch", archs())
def test_muon_has_one_rate_at_the_own_rate_of_every_architecture(arch: str) -> None:
    lr = load_arch(arch).LR
    own, half = (replace(CELL, arch=arch, lr=each, optimizer="muon") for each in (lr, lr / 2))
    depth = own.rung.shape.depth
    assert own.peak_rates.hidden == pytest.approx(optim.MUON_LR * (2 / depth) ** 0.5)
    assert half.peak_rates.hidden == pytest.approx(own.peak_rates.hidden / 2)
    assert half.peak_rates.rest == lr / 2


def test_cells_of_every_budget_share_the_warm_up_of_wsd() -> None:
    def warmups(schedule: str) -> set[int]:
        return {
            replace(CELL, schedule=schedule, tokens=batches * CELL.batch_tokens).warmup_tokens
            for batches in (40, 400, 40_000)
        }

    assert warmups("wsd") == {40 * CELL.batch_tokens}
    assert len(warmups("cosine")) == 3


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"precision": "fp16"}, "unknown precision 'fp16'; there are fp32, bf16"),
        # It would mean one thing here and another there.
        ({"precision": "auto"}, "unknown precision 'auto'; there are fp32, bf16"),
        ({"optimizer": "sgd"}, "unknown optimizer 'sgd'; there are adamw, muon"),
        (
            {"optimizer": "muon", "rates": "flat"},
            "optimizer muon with rates flat, expected rates tr",
        ),
    ],
)
def test_what_is_not_there_is_refused_by_name(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(CELL, **changed)
