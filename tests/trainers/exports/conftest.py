"""A data set of tunes, and what a sweep of small, untrained cells of every architecture leaves."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data.abc.tokenizer import AbcTokenizer
from data.flatten import flatten
from data.parts import PIECE
from data.sources.facts import FACTS
from data.store.flat import open_split
from data.store.location import Location
from data.store.manifest import Manifest, write_manifest
from data.store.tables import write_rows
from data.tokens.bpe import BpeTokenizer
from data.tokens.make import make_tokenizer
from data.tokens.protocol import Tokenizer
from tests.conftest import CELL
from tests.data.conftest import melody
from trainers import checkpoint
from trainers.cell import Cell
from trainers.evaluate import evaluate
from trainers.exports.families import FAMILIES
from trainers.records import Record, write_record

CONTEXT = 64
PIECES = {"train": 12, "val": 6, "test": 6}


def write_tunes(folder: Path, tokenizer: Tokenizer) -> Manifest:
    """A data folder as `data.prepare` leaves it: tunes of 32 notes, two versions of each work."""
    generator, rows = np.random.default_rng(0), []
    for split, count in PIECES.items():
        for number in range(count):
            pitches = 60 + generator.integers(0, 12, size=32)
            score = melody(pitches.tolist())
            ids = tokenizer.encode(score)
            piece: dict[str, Any] = dict.fromkeys(PIECE.names, 1) | dict.fromkeys(FACTS, "")
            piece |= {
                "piece_id": hashlib.sha256(score.canonical()).hexdigest()[:32],
                "group_id": f"{split}{number // 2}",
                "source": "folk",
                "path": f"{split}/{number}.mid",
                "split": split,
                "num_notes": len(score),
                "seconds": score.seconds,
                "num_tokens": len(ids),
                "tokens": ids,
                "abc": tokenizer.to_text(ids),
            }
            rows.append(piece)
    out = Location.of(folder)
    part = out / "parts" / "part-00000.parquet"
    write_rows(part, rows, PIECE)
    (out / "tokenizer.json").write_text(tokenizer.to_json())
    splits, fingerprint = flatten(out, [part], tokenizer)
    vocabulary = tokenizer.vocab_size, tokenizer.bos_id
    manifest = Manifest(
        fingerprint, "folk", tokenizer.name, 24, *vocabulary, splits, {"duplicate": 2}, {}, {}
    )
    write_manifest(out, manifest)
    return manifest


def write_cell(cells: Path, cell: Cell, data: Path) -> float:
    """What a cell leaves that has ended, with weights of which none is as it began; its loss."""
    torch.manual_seed(cell.seed)
    model = cell.rung.build()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    measured: dict[str, float] = cell.facts(1000)
    for name in ("val", "test"):
        split = open_split(data, name)
        found, _ = evaluate(model, split, cell.context, 8, torch.device("cpu"))
        measured |= {f"{name}_{measure}": value for measure, value in found.items()}
    place = Location.of(cells / cell.key)
    checkpoint.save(place, {"cell_key": cell.key, "step": 1, "model": model.state_dict()})
    record = Record(cell.key, "finished", "", cell.params(), measured, [], 1.0, 2.0)
    write_record(place.parent, record)
    return measured["val_loss"]


@dataclass(frozen=True)
class Sweep:
    out: Path
    """The folder of sweeps and data."""
    data: Path
    cells: dict[str, Cell]
    """By architecture."""
    losses: dict[str, float]
    """On the validation split, by architecture."""

    @property
    def folder(self) -> Path:
        return self.out / "small"

    def place(self, arch: str) -> Path:
        """The folder of a cell."""
        return self.folder / "cells" / self.cells[arch].key

    def words(self, *more: str) -> list[str]:
        """Arguments that name the sweep."""
        return ["--sweep", "small", "--out", str(self.out), *more]


@pytest.fixture(scope="session")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    out = tmp_path_factory.mktemp("runs")
    data = out / "data" / "tunes-abc"
    tokenizer = AbcTokenizer()
    manifest = write_tunes(data, tokenizer)
    cells = {
        arch: replace(
            CELL,
            arch=arch,
            # Deep enough that branches are damped.
            size="300k" if arch == "transformer" else "20k",
            context=CONTEXT,
            vocab_size=tokenizer.vocab_size,
            data=manifest.fingerprint,
        )
        for arch in FAMILIES
    }
    places = out / "small" / "cells"
    losses = {arch: write_cell(places, cell, data) for arch, cell in cells.items()}
    return Sweep(out, data, cells, losses)


@pytest.fixture(scope="session")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same music in fewer tokens."""
    folder = tmp_path_factory.mktemp("merged") / "data"
    untrained = make_tokenizer("abc-bpe160", 24)
    assert isinstance(untrained, BpeTokenizer)
    learnt = untrained.base.encode(melody([60, 62, 64, 65] * 8))
    write_tunes(folder, untrained.trained([learnt] * 3))
    return folder


@pytest.fixture(scope="session")
def remi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same music in MIDI tokens."""
    folder = tmp_path_factory.mktemp("remi") / "data"
    write_tunes(folder, make_tokenizer("remi", 24))
    return folder


def write_report(folder: Path, cell_key: str) -> None:
    """The part of a sweep's fit.json that a card tells of."""
    law = {
        "verdict": "weak",
        "reasons": ["one seed per size"],
        "a": 18.0,
        "alpha": 0.48,
        "c": 1.41,
        "alpha_interval": [0.349, None],
        "c_interval": [1.35, 1.45],
        "along": "D = 20 N",
        "surface": None,
        "fitted": [{"cell_key": cell_key}],
    }
    units = {"loss_unit": "nats per token", "against_label": "parameters"}
    folder.mkdir()
    (folder / "fit.json").write_text(json.dumps({"schema": 3, "laws": {"lstm": law}} | units))
