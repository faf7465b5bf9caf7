"""The command that lets trained cells compose: from a cell's folder to files and a page."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import symusic
import torch

from data.abc.grammar import AbcGrammar
from data.abc.tokenizer import AbcTokenizer
from data.music.files import to_midi
from data.notation import abc_text
from data.store.flat import write_split
from data.store.location import Location
from data.store.manifest import read_manifest
from tests.conftest import CELL
from tests.data.conftest import melody, same_music
from trainers import checkpoint
from trainers.cell import Cell
from trainers.chosen import choose
from trainers.generate import main, make_page
from trainers.ladder import rung
from trainers.records import Record, write_record
from trainers.samples.cells import finished
from trainers.sampling import Draw, sample

ABC2MIDI = Path(symusic.__file__).parent / "bin" / "abc2midi"
TOKENIZER = AbcTokenizer()


@pytest.fixture(scope="module")
def out(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a sweep of one small, hardly trained cell leaves behind."""
    folder = tmp_path_factory.mktemp("runs")
    data = folder / "data" / "tunes-abc"
    generator = np.random.default_rng(0)
    for name in ("train", "val", "test"):
        pieces = [
            TOKENIZER.encode(melody((60 + generator.integers(0, 12, size=32)).tolist()))
            for _ in range(8)
        ]
        lengths = np.array([len(piece) for piece in pieces])
        notes, seconds = np.full(8, 32), np.full(8, 8.0)
        write_split(Location.of(data), name, np.concatenate(pieces), lengths, notes, seconds)
    manifest = replace(
        read_manifest(packed),
        fingerprint="tunes",
        vocab_size=TOKENIZER.vocab_size,
        bos_id=TOKENIZER.bos_id,
    )
    (data / "manifest.json").write_text(json.dumps(asdict(manifest)))
    (data / "tokenizer.json").write_text(TOKENIZER.to_json())
    cell = replace(
        CELL,
        arch="lstm",
        size="9k",
        tokens=1024,
        batch_tokens=1024,
        context=256,
        vocab_size=TOKENIZER.vocab_size,
        data="tunes",
    )
    place = folder / "sweep" / "cells" / cell.key
    torch.manual_seed(0)
    model = cell.rung.build()
    state = {"cell_key": cell.key, "step": 1, "model": model.state_dict()}
    checkpoint.save(Location.of(place), state)
    measured = {"n_params": cell.rung.counts.n_params, "val_loss": 4.9}
    record = Record(cell.key, "finished", "", cell.params(), measured, [], 1.0, 2.0)
    write_record(Location.of(place.parent), record)
    return folder


def generate(out: Path, *more: str) -> int:
    return main(["--sweep", "sweep", "--out", str(out), "--count", "3", *more])


def test_a_damaged_checkpoint_costs_its_own_samples_only(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(out, tmp_path / "runs")
    (sound,) = (tmp_path / "runs" / "sweep" / "cells").iterdir()
    record = json.loads((sound / "record.json").read_text())
    params = record["params"] | {"lr": 0.5}
    key = Cell.of(params).key
    damaged = shutil.copytree(sound, sound.with_name(key))
    (damaged / "record.json").write_text(
        json.dumps(record | {"cell_key": key, "params": params}), encoding="utf-8"
    )
    next(damaged.glob("checkpoint_*/state.pt")).write_bytes(b"half of it")
    assert generate(tmp_path / "runs", "--bars", "2", "--shown", "1") == 1
    page = tmp_path / "runs" / "sweep" / "samples" / "samples.html"
    assert page.read_text().count("<article") == 1 + 1 + 8
    last = capsys.readouterr().err.splitlines()[-1]
    assert "nothing of lstm-9k-lr0.5-seed0" in last
    assert "checksum" in last


def test_cells_that_differ_in_a_rate_are_told_apart(out: Path, tmp_path: Path) -> None:
    """By what they are called, and so in the names of their files."""
    (cell,) = (out / "sweep" / "cells").iterdir()
    record = json.loads((cell / "record.json").read_text())
    for lr in (0.008, 0.016):
        made = replace(CELL, lr=lr, tokens=1024, batch_tokens=1024)
        ended = record | {"cell_key": made.key, "params": made.params()}
        (tmp_path / made.key).mkdir()
        (tmp_path / made.key / "record.json").write_text(json.dumps(ended))
    found = finished(Location.of(tmp_path))
    assert sorted(each.name for each in found) == [
        "transformer-4k-lr0.008-seed0",
        "transformer-4k-lr0.016-seed0",
    ]
    assert len(choose(found, "transformer-4k-lr0.016-seed0", best=False)) == 1


def test_of_cells_that_differ_in_seed_alone_the_lowest_composes(out: Path) -> None:
    (first,) = finished(Location.of(out / "sweep" / "cells"))
    again = [
        replace(first, cell=replace(first.cell, seed=seed), name=f"lstm-9k-seed{seed}")
        for seed in (2, 1)
    ]
    other = replace(first, cell=replace(first.cell, lr=1.0, seed=2), name="lstm-9k-lr1-seed2")
    cells = [*again, other]
    assert choose(cells, None, best=False) == [again[1], other]
    assert choose(cells, "lstm-9k-seed2", best=False) == [again[0]]


def test_it_writes_files_and_a_page(out: Path, tmp_path: Path) -> None:
    more = ("--bars", "3", "--shown", "2", "--to", str(tmp_path))
    assert generate(out, *more) == 0
    page = (tmp_path / "samples.html").read_text()
    assert page.count("<article") == 1 + 2 + 8
    for kind in ("abc", "musicxml", "mid", "wav", "roll.svg"):
        assert len(list(tmp_path.glob(f"lstm-9k-seed0-?.{kind}"))) == 2
    rows = json.loads((tmp_path / "samples.json").read_text())
    assert len(rows) == 3
    for row in rows:
        score = TOKENIZER.decode(np.array(row["tokens"]))
        assert len(score.bars) <= 4
        assert row["log_probability"] < 0


def test_the_same_seed_composes_the_same(out: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert generate(out, "--bars", "2", "--to", str(tmp_path / name)) == 0
    a, b = ((tmp_path / name / "samples.json").read_text() for name in ("a", "b"))
    assert a == b


@pytest.mark.parametrize("name", ["trained_on.abc", "tune.abc", "tune.mid"])
def test_it_goes_on_from_the_first_bars_of_a_prompt(out: Path, tmp_path: Path, name: str) -> None:
    tune = melody([60, 64, 67, 72] * 8)
    (tmp_path / "trained_on.abc").write_text(TOKENIZER.to_text(TOKENIZER.encode(tune)))
    (tmp_path / "tune.abc").write_text(abc_text.write(tune))
    (tmp_path / "tune.mid").write_bytes(to_midi(tune))
    prompt = ("--prompt", str(tmp_path / name), "--prompt-bars", "2", "--bars", "3")
    assert generate(out, *prompt, "--to", str(tmp_path / "to")) == 0
    opening = TOKENIZER.encode(melody([60, 64, 67, 72] * 4)).tolist()[:-1]
    for row in json.loads((tmp_path / "to" / "samples.json").read_text()):
        assert row["tokens"][: len(opening)] == opening
        # So many bars are added to those of the prompt.
        assert len(TOKENIZER.decode(np.array(row["tokens"])).bars) <= 1 + 2 + 3
    page = (tmp_path / "to" / "samples.html").read_text()
    assert page.count('class="given"') == page.count("after the prompt (shaded)") == 1 + 3
    (drawn, *_) = (tmp_path / "to").glob("*.musicxml")
    assert drawn.read_text().count("light-light") == 1


def test_what_models_are_not_let_compose_is_no_prompt(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    low = tmp_path / "low.mid"
    low.write_bytes(to_midi(melody([0, 60, 62, 64])))
    assert generate(out, "--prompt", str(low)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "pitch 0" in line
    assert "--no-grammar" in line


@pytest.mark.parametrize(
    ("more", "code", "told"),
    [
        (["--top-p", "0"], 2, "top-p"),
        (["--bars", "0"], 2, "must be at least 1"),
        (["--prompt-bars", "2"], 2, "--prompt-bars is of a --prompt"),
        (["--cell", "gru"], 1, "lstm-9k-seed0"),
        (["--sweep", "nothing"], 1, "no finished cells"),
        (["--prompt", "nowhere.mid"], 1, "no such file"),
    ],
)
def test_mistakes_are_told_in_one_line(
    out: Path, capsys: pytest.CaptureFixture[str], more: list[str], code: int, told: str
) -> None:
    assert generate(out, *more) == code
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_the_best_of_one_cell_is_refused(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        generate(out, "--best", "--cell", "lstm-9k-seed0")
    assert "--cell: not allowed with argument --best" in capsys.readouterr().err


@pytest.mark.slow
def test_a_thousand_of_a_thousand_are_valid(tmp_path: Path) -> None:
    """An untrained model knows nothing of music, so what is valid is so by the grammar alone."""
    torch.manual_seed(1)
    model = rung("lstm", "4k", TOKENIZER.vocab_size).build()
    drawn = []
    for first in range(0, 1000, 250):
        drawn += sample(
            model,
            [np.array([TOKENIZER.bos_id])] * 250,
            range(first, first + 250),
            TOKENIZER.eos_id,
            context=64,
            max_tokens=100,
            draw=Draw(),
            grammar=lambda: AbcGrammar(TOKENIZER, 2),
        )
    assert len(drawn) == 1000
    for one in drawn:
        assert one.complete
        score = TOKENIZER.decode(one.tokens)
        assert same_music(TOKENIZER.decode(TOKENIZER.encode(score)), score)
        (tmp_path / "piece.abc").write_text(TOKENIZER.to_text(one.tokens))
        run = [str(ABC2MIDI), "piece.abc", "-o", "piece.mid"]
        told = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert "Error" not in told.stdout + told.stderr
        assert symusic.Score.from_midi((tmp_path / "piece.mid").read_bytes()).note_num() > 0


def test_a_sweep_makes_its_page_of_the_cells_of_one_data_set(out: Path, tmp_path: Path) -> None:
    target = tmp_path / "samples.html"
    cells = Location.of(out / "sweep" / "cells")
    make_page(cells, Location.of(out / "data" / "tunes-abc"), target, count=2, shown=1)
    html = target.read_text(encoding="utf-8")
    # The piece of the best model stands in its row as well.
    assert html.count("<article") == 1 + 1 + 8
    assert 'href="report.html"' in html
