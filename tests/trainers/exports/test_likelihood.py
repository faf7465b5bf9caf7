"""Likelihoods: the same for a cell and its export, told of others in notes, and without leaks."""

from __future__ import annotations

import json
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from data.held_out import HELD_OUT, held_out, splits_of, write_splits
from data.store.location import Location
from data.store.manifest import read_manifest
from data.tokens.make import load_tokenizer
from tests.conftest import CELL
from tests.trainers.exports.conftest import Sweep, write_cell
from trainers import export, likelihood
from trainers.exports.families import FAMILIES
from trainers.exports.scored import scored
from trainers.losses import Losses

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def ladder(sweep: Sweep, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    to = tmp_path_factory.mktemp("ladder")
    assert export.main(sweep.words("--all", "--to", str(to))) == 0
    return {folder.name.split("-")[0]: folder for folder in to.iterdir()}


def losses(folder: Path, data: Path) -> dict[str, Losses]:
    at = Location.of(data)
    model = scored(Location.of(folder), read_manifest(at), load_tokenizer(at / "tokenizer.json"))
    rows = held_out(at, splits_of(at))
    return {split: likelihood.likelihood(model, rows[split]) for split in HELD_OUT}


@pytest.mark.parametrize("arch", FAMILIES)
def test_a_cell_and_its_export_are_equally_likely(
    sweep: Sweep, ladder: dict[str, Path], arch: str
) -> None:
    cell, exported = losses(sweep.place(arch), sweep.data), losses(ladder[arch], sweep.data)
    for split in HELD_OUT:
        np.testing.assert_allclose(exported[split].nats, cell[split].nats, rtol=1e-5)
        assert exported[split].tokens.tolist() == cell[split].tokens.tolist()
    found = cell["val"].nats.sum() / cell["val"].tokens.sum()
    assert found == pytest.approx(sweep.losses[arch], rel=1e-6)


def test_the_command_tells_each_model_in_three_units(
    sweep: Sweep, ladder: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    models = [str(sweep.place("lstm")), str(ladder["lstm"])]
    assert likelihood.main(["--data", str(sweep.data), "--model", *models]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    _, *rows = [re.split(r"\s{2,}", line) for line in said.out.splitlines()]
    assert [row[:2] for row in rows] == [
        [Path(model).name, split] for model in models for split in HELD_OUT
    ]
    assert rows[0][2:] == rows[2][2:]
    assert rows[0][2:4] == ["6", "3"]
    token, error, note, *_ = map(float, rows[0][5:])
    assert token == pytest.approx(sweep.losses["lstm"], abs=1e-4)
    assert 0 < error < token
    assert note > token


def write_text_model(folder: Path) -> None:
    """An untrained GPT-2 that reads text byte by byte."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({letter: index for index, letter in enumerate(letters)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    named = {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=made, **named).save_pretrained(folder)
    write_untrained(folder, vocab_size=257)


def write_untrained(folder: Path, vocab_size: int) -> None:
    sizes = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 128}
    model = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=vocab_size, **sizes, bos_token_id=0, eos_token_id=0)
    )
    # All tokens equally likely, so that the likelihood of a text can be counted.
    torch.nn.init.zeros_(model.transformer.wte.weight)
    model.save_pretrained(folder)


def test_any_model_of_text_is_told_in_notes(sweep: Sweep, tmp_path: Path) -> None:
    write_text_model(tmp_path)
    found = losses(tmp_path, sweep.data)["val"]
    at = Location.of(sweep.data)
    rows = held_out(at, splits_of(at))["val"]
    # Every byte of the text is scored, after the model's own beginning.
    assert found.tokens.tolist() == [len(text) for text in rows["abc"].to_pylist()]
    assert found.nats == pytest.approx(found.tokens * math.log(257), rel=1e-5)
    assert found.notes.tolist() == [32] * 6


def test_a_model_of_midi_tokens_is_told_in_notes(sweep: Sweep, tmp_path: Path) -> None:
    import miditok

    special = ["PAD", "BOS", "EOS"]
    tokenizer = miditok.REMI(miditok.TokenizerConfig(use_programs=True, special_tokens=special))
    tokenizer.save(tmp_path / "tokenizer.json")
    write_untrained(tmp_path, vocab_size=len(tokenizer))
    found = losses(tmp_path, sweep.data)["val"]
    assert found.notes.tolist() == [32] * 6
    assert (found.tokens > 3 * 32).all()
    assert found.nats == pytest.approx(found.tokens * math.log(len(tokenizer)), rel=1e-5)


def test_the_same_model_reads_data_of_other_tokens(
    sweep: Sweep, ladder: dict[str, Path], merged: Path
) -> None:
    """An export has its own tokenizer with it, a cell has not."""
    mine, theirs = (losses(ladder["gpt"], data)["val"] for data in (sweep.data, merged))
    assert theirs.nats == pytest.approx(mine.nats, rel=1e-5)
    with pytest.raises(ValueError, match="reads abc of 140 tokens, and the data have abc-bpe160"):
        losses(sweep.place("gpt"), merged)


@pytest.mark.parametrize("which", ["merged", "remi"])
def test_an_export_of_any_tokenizer_is_equally_likely(
    which: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    data: Path = request.getfixturevalue(which)
    manifest = read_manifest(data)
    cell = replace(
        CELL,
        arch="lstm",
        size="100k",
        tokenizer=manifest.tokenizer,
        vocab_size=manifest.vocab_size,
        data=manifest.fingerprint,
    )
    loss = write_cell(tmp_path / "sweep" / "cells", cell, data)
    words = ["--sweep", str(tmp_path / "sweep"), "--data", str(data), "--best"]
    assert export.main([*words, "--to", str(tmp_path / "to")]) == 0
    found = losses(tmp_path / "to", data)["val"]
    assert found.nats.sum() / found.tokens.sum() == pytest.approx(loss, rel=1e-5)


@pytest.fixture
def moved(sweep: Sweep, tmp_path: Path) -> Path:
    """The data's splits with a training piece in validation."""
    splits = splits_of(Location.of(sweep.data))
    first = next(piece for piece, split in splits.items() if split == "train")
    write_splits(Location.of(tmp_path / "splits.csv"), splits | {first: "val"})
    return tmp_path / "splits.csv"


@pytest.mark.parametrize("kind", ["cell", "export"])
def test_a_piece_that_was_trained_on_is_not_scored(
    sweep: Sweep,
    ladder: dict[str, Path],
    moved: Path,
    kind: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = sweep.place("lstm") if kind == "cell" else ladder["lstm"]
    words = ["--data", str(sweep.data), "--model", str(model), "--splits", str(moved)]
    assert likelihood.main(words) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "was trained on 1 of the pieces that the splits hold out" in line


def test_of_a_model_of_other_data_it_is_said_that_it_may_have_seen_them(
    sweep: Sweep, moved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_text_model(tmp_path / "other")
    words = ["--model", str(tmp_path / "other"), "--splits", str(moved)]
    assert likelihood.main(["--data", str(sweep.data), *words]) == 0
    said = capsys.readouterr()
    assert "other: was trained on data that nobody noted; it may have seen" in said.err
    assert re.search(r"other +val +7 ", said.out)


def test_a_folder_without_a_model_costs_its_own_rows_only(
    sweep: Sweep, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = [str(tmp_path), str(sweep.place("lstm"))]
    assert likelihood.main(["--data", str(sweep.data), "--model", *models]) == 1
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert said.out.count(sweep.cells["lstm"].key) == 2


def test_mistakes_are_told_in_one_line(
    sweep: Sweep,
    ladder: dict[str, Path],
    remi: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_text_model(tmp_path / "text")
    (tmp_path / "text" / "tokenizer.json").write_text("{}")
    (tmp_path / "splits.csv").write_text("piece_id,split\na,val\n")
    data, cell = str(sweep.data), str(sweep.place("lstm"))
    for words, told in (
        (
            ["--data", data, "--model", str(tmp_path)],
            "found no record.json of a cell and no config",
        ),
        (["--data", data, "--model", str(tmp_path / "text")], "/text: "),
        (["--data", str(tmp_path), "--model", cell], "no finished data at"),
        (["--data", str(remi), "--model", cell], "prepare the same music for it"),
        (
            ["--data", data, "--model", cell, "--splits", str(tmp_path / "splits.csv")],
            "found no split 'test', expected val, test",
        ),
    ):
        assert likelihood.main(words) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert told in line


def test_a_tokenizer_that_drops_what_it_does_not_know_is_refused(
    sweep: Sweep, tmp_path: Path
) -> None:
    write_text_model(tmp_path)
    path = tmp_path / "tokenizer.json"
    saved = json.loads(path.read_text())
    del saved["model"]["vocab"]["G"]
    path.write_text(json.dumps(saved))
    with pytest.raises(ValueError, match="does not keep ABC"):
        losses(tmp_path, sweep.data)


def test_no_code_of_a_folder_is_run(
    sweep: Sweep, ladder: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Our own LSTM is read by our own module; what needs another is refused."""
    folder = shutil.copytree(ladder["lstm"], tmp_path / "lstm")
    (folder / "modeling_crescendo_lstm.py").write_text("raise SystemExit('it was run')")
    found, expected = (losses(each, sweep.data)["val"] for each in (folder, ladder["lstm"]))
    assert found.nats.tolist() == expected.nats.tolist()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "another"}))
    assert likelihood.main(["--data", str(sweep.data), "--model", str(folder)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "trust_remote_code" in line
