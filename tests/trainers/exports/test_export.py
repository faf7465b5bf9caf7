"""The command that exports cells: what is loaded is the same model, and says what it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from data.abc.tokenizer import AbcTokenizer
from data.store.location import Location
from tests.trainers.exports.conftest import CONTEXT, Sweep, write_report
from trainers import export
from trainers.exports.described import law_of
from trainers.exports.families import FAMILIES
from trainers.samples.cells import finished
from trainers.sampling import Draw, sample

transformers = pytest.importorskip("transformers")
TOKENIZER = AbcTokenizer()
FILES = {
    "README.md",
    "config.json",
    "crescendo_tokenizer.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
}


@pytest.fixture(scope="session")
def ladder(sweep: Sweep, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The sweep, exported: a folder for each architecture."""
    to = tmp_path_factory.mktemp("ladder")
    assert export.main(sweep.words("--all", "--to", str(to))) == 0
    return {folder.name.split("-")[0]: folder for folder in to.iterdir()}


def loaded(folder: Path, kind: str = "AutoModelForCausalLM") -> Any:
    remote = (folder / "modeling_crescendo_lstm.py").exists()
    return getattr(transformers, kind).from_pretrained(folder, trust_remote_code=remote)


def ours(sweep: Sweep, arch: str) -> Any:
    cells = finished(Location.of(sweep.folder / "cells"))
    return next(one for one in cells if one.cell.arch == arch).model()


def test_the_whole_ladder_has_a_folder_for_each_cell(ladder: dict[str, Path]) -> None:
    assert {folder.name for folder in ladder.values()} == {
        "transformer-300k-seed0",
        "gpt-20k-seed0",
        "lstm-20k-seed0",
    }
    for arch, folder in ladder.items():
        more = {"modeling_crescendo_lstm.py"} if arch == "lstm" else set()
        assert {file.name for file in folder.iterdir()} == FILES | more


@pytest.mark.parametrize("arch", FAMILIES)
@torch.no_grad()
def test_what_is_loaded_says_what_the_cell_says(
    sweep: Sweep, ladder: dict[str, Path], arch: str
) -> None:
    model, cell = loaded(ladder[arch]), ours(sweep, arch)
    assert (
        type(model).__name__
        == {
            "transformer": "LlamaForCausalLM",
            "gpt": "GPT2LMHeadModel",
            "lstm": "CrescendoLstmForCausalLM",
        }[arch]
    )
    tokens = torch.randint(0, TOKENIZER.vocab_size, (2, CONTEXT))
    assert (model(tokens).logits - cell(tokens)).abs().max() < 1e-4
    assert model.dtype == torch.float32


@pytest.mark.parametrize("arch", FAMILIES)
def test_the_likeliest_piece_is_the_same(sweep: Sweep, ladder: dict[str, Path], arch: str) -> None:
    model, tokenizer = loaded(ladder[arch]), loaded(ladder[arch], "AutoTokenizer")
    start = tokenizer("X:1\nM:4/4\nL:1/8\nK:C\n", return_tensors="pt")
    (ids,) = model.generate(**start, do_sample=False).tolist()
    assert ids == composed(sweep, arch, Draw(temperature=0))


@pytest.mark.parametrize("arch", FAMILIES)
def test_a_piece_drawn_from_a_seed_is_the_same(
    sweep: Sweep, ladder: dict[str, Path], arch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a token is drawn by the same number: PyTorch's own numbers are others than ours."""

    def multinomial(probabilities: torch.Tensor, num_samples: int) -> torch.Tensor:
        edges = np.cumsum(probabilities[0].double().numpy())
        drawn = np.searchsorted(edges, generator.random() * edges[-1], "right")
        return torch.tensor([[int(drawn)]])

    monkeypatch.setattr(torch, "multinomial", multinomial)
    model, tokens = loaded(ladder[arch]), set()
    for seed in range(5):
        generator = np.random.default_rng(seed)
        (ids,) = model.generate(torch.tensor([[TOKENIZER.bos_id]])).tolist()
        assert ids == composed(sweep, arch, Draw(), seed)
        tokens |= set(ids)
    assert len(tokens) > 5


def composed(sweep: Sweep, arch: str, draw: Draw, seed: int = 0) -> list[int]:
    """By our own sampler, up to the context."""
    begin = [np.array([TOKENIZER.bos_id])]
    (one,) = sample(
        ours(sweep, arch),
        begin,
        [seed],
        TOKENIZER.eos_id,
        context=CONTEXT,
        max_tokens=CONTEXT,
        draw=draw,
    )
    return one.tokens.tolist()


@pytest.mark.parametrize("arch", FAMILIES)
def test_what_the_card_says_to_type_composes(
    ladder: dict[str, Path], arch: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ladder[arch] / "README.md").read_text()
    block = [line[4:] for line in text.splitlines() if line.startswith("    ")]
    exec("\n".join(block), {"DIR": ladder[arch]})
    assert capsys.readouterr().out.startswith("X:1\nM:4/4\n")


def test_the_card_tells_what_was_trained_on_what(sweep: Sweep, ladder: dict[str, Path]) -> None:
    text, cell = (ladder["lstm"] / "README.md").read_text(), sweep.cells["lstm"]
    head = yaml.safe_load(text.split("---\n")[1])
    assert head["license"] == "other"
    assert head["library_name"] == "transformers"
    for told in (
        cell.data,
        cell.key,
        "music21",
        f"| head | {cell.rung.counts.head:,} |",
        f"| val | {sweep.losses['lstm']:.4f} | [",
        f"| tokens | {cell.tokens:,} |",
        "CrescendoLstmForCausalLM",
        "No report of its sweep",
    ):
        assert told in text


def test_a_law_is_told_with_its_verdict(sweep: Sweep, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(sweep.out, runs)
    write_report(runs / "small" / "report", sweep.cells["lstm"].key)
    to = tmp_path / "to"
    words = ["--sweep", str(runs / "small"), "--out", str(runs), "--to", str(to)]
    assert export.main([*words, "--cell", "lstm-20k-seed0"]) == 0
    text = (to / "README.md").read_text()
    assert "lstm: the law is weak." in text
    assert "18 x^-0.48 + 1.41 nats per token" in text
    assert "alpha [0.349, open], c [1.35, 1.45]" in text
    assert "one seed per size." in text
    # Again, over itself.
    assert export.main([*words, "--best"]) == 0


@pytest.mark.parametrize("content", ["", "[]", '{"schema": 4}', '{"schema": 3, "laws": {"a": 1}}'])
def test_a_report_that_says_nothing_is_none(tmp_path: Path, content: str) -> None:
    assert law_of(Location.of(tmp_path / "none"), "key") == []
    (tmp_path / "fit.json").write_text(content)
    assert law_of(Location.of(tmp_path), "key") == []


def test_the_best_cell_is_that_of_the_lowest_loss(sweep: Sweep, tmp_path: Path) -> None:
    assert export.main(sweep.words("--best", "--to", str(tmp_path))) == 0
    best = min(sweep.losses, key=sweep.losses.__getitem__)
    noted = json.loads((tmp_path / "config.json").read_text())["crescendo"]
    assert noted["cell"] == sweep.cells[best].key


def no_safetensors(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(export, "find_spec", lambda name: None)


def no_form(patch: pytest.MonkeyPatch) -> None:
    patch.delitem(FAMILIES, "lstm")


def nothing(patch: pytest.MonkeyPatch) -> None: ...


@pytest.mark.parametrize(
    ("words", "broken", "told"),
    [
        (["--cell", "gru"], nothing, "no finished cell 'gru'"),
        (["--cell", "lstm-20k-seed0"], no_form, "lstm has no form in transformers"),
        (["--best"], no_safetensors, "pip install --editable '.[export]'"),
        (["--best", "--data", "nowhere"], nothing, "no finished data at"),
        (["--best", "--to", "{full}"], nothing, "found song.abc, expected a new or empty folder"),
    ],
)
def test_mistakes_are_told_in_one_line(
    sweep: Sweep,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    broken: Callable[[pytest.MonkeyPatch], None],
    told: str,
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "song.abc").write_text("X:1")
    broken(monkeypatch)
    filled = [word.format(full=tmp_path / "full") for word in words]
    assert export.main(sweep.words("--to", str(tmp_path / "to"), *filled)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
    assert not (tmp_path / "to").exists()
