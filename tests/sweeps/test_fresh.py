"""`--fresh` removes what was trained, `--prune` trunks: after a yes, of the chosen cells only."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest

from data.store.location import Location
from data.store.lock import LOCK
from data.store.manifest import Manifest
from sweeps.errors import GridError
from sweeps.removal import erase, prune
from sweeps.sweep import Sweep, only
from tests.sweeps.real_command import ROOT, command

GRID = """\
data: {source: folk}
cells: {arch: [transformer, lstm], size: [4k, 6k], tokens: 10k}
training: {batch_tokens: 512, context: 64}
"""


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    """Four cells, of which all but the LSTM of 6k have begun; and another sweep beside it."""
    (tmp_path / "small.yaml").write_text(GRID)
    made = Sweep(str(tmp_path / "small.yaml"), (), Location.of(tmp_path / "runs"))
    manifest = Manifest("fake", "stand-in", "abc", 24, 139, 0, {}, {}, {}, {})
    (made.data("abc") / "manifest.json").write_text(json.dumps(asdict(manifest)))
    keys = {(cell.arch, cell.size): cell.key for cell in made.resolve()}
    ended = keys["transformer", "4k"]
    for key in {*keys.values()} - {keys["lstm", "6k"]}:
        (made.cells / key / "checkpoint_000000" / "state.pt").write_text("weights")
    for place in (made.cells / ended / "record.json", made.tracked, made.forecast):
        place.write_text("{}")
    for place in (made.cells / "of-an-earlier-grid", made.out / "other" / "cells" / ended):
        (place / "record.json").write_text("{}")
    (made.out / "mlflow" / "mlflow.db").write_text("runs")
    return made


def files(sweep: Sweep) -> set[str]:
    """All below the folder of runs, by their paths from there, without locks."""
    out = sweep.out.local
    assert out is not None
    paths = (path for path in out.rglob("*") if path.is_file() and path.name != LOCK)
    return {path.relative_to(out).as_posix() for path in paths}


def of_cells(sweep: Sweep, selection: str) -> set[str]:
    """The files of the cells that `--only` would select so."""
    chosen = tuple(f"small/cells/{cell.key}/" for cell in only(sweep.listed(), selection))
    return {name for name in files(sweep) if name.startswith(chosen)}


def say(answer: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Answers every question so; returns what will have been asked."""
    asked: list[str] = []

    def answered(question: str) -> str:
        asked.append(question)
        return answer

    monkeypatch.setattr("builtins.input", answered)
    return asked


@pytest.mark.parametrize("answer", ["y", "Y", " yes "])
def test_a_yes_removes_the_cells_of_the_grid_and_what_rested_on_them(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    before, gone = files(sweep), of_cells(sweep, "")
    assert len(gone) == 4
    asked = say(answer, monkeypatch)
    assert erase(sweep, "")
    assert asked == ["Remove 3 cells of small, with their checkpoints? [y/N] "]
    # Else the next run would find that there is nothing to do.
    assert before - files(sweep) == gone | {"small/tracked.txt"}


def test_a_yes_removes_the_chosen_cells_alone(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, gone = files(sweep), of_cells(sweep, "arch=transformer size=4k")
    assert len(gone) == 2
    asked = say("y", monkeypatch)
    assert erase(sweep, "arch=transformer size=4k")
    assert asked == ["Remove 1 cells of small, with their checkpoints? [y/N] "]
    assert before - files(sweep) == gone | {"small/tracked.txt"}


def test_a_forecast_goes_with_the_last_cell_only(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sweep.cells / "of-an-earlier-grid").delete()
    say("y", monkeypatch)
    assert erase(sweep, "arch=transformer")
    assert sweep.forecast.exists()
    assert erase(sweep, "arch=lstm")
    assert not sweep.forecast.exists()


@pytest.mark.parametrize("answer", ["n", "", "no", "yess", "ok"])
def test_anything_else_removes_nothing(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    before = files(sweep)
    say(answer, monkeypatch)
    assert not erase(sweep, "")
    assert files(sweep) == before


def test_where_nothing_was_trained_nobody_is_asked(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, asked = files(sweep), say("n", monkeypatch)
    assert erase(sweep, "arch=lstm size=6k")
    assert asked == []
    assert files(sweep) == before


def test_a_choice_that_is_mistyped_removes_nothing(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, asked = files(sweep), say("y", monkeypatch)
    with pytest.raises(GridError, match="--only 'arch=lsmt' leaves no cell"):
        erase(sweep, "arch=lsmt")
    assert asked == []
    assert files(sweep) == before


def test_a_cell_that_is_a_link_costs_the_link_and_not_what_it_leads_to(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (elsewhere := tmp_path / "elsewhere").mkdir()
    (elsewhere / "kept").touch()
    (key,) = [cell.key for cell in only(sweep.listed(), "arch=lstm size=6k")]
    link = Path(f"{sweep.cells / key}")
    link.symlink_to(elsewhere)
    say("y", monkeypatch)
    assert erase(sweep, "arch=lstm size=6k")
    assert not link.is_symlink()
    assert (elsewhere / "kept").exists()


@pytest.fixture
def family(tmp_path: Path) -> Sweep:
    """Cells of two budgets and two seeds, each seed with a trunk."""
    grid = GRID.replace("size: [4k, 6k], tokens: 10k", "size: 4k, tokens: [10k, 20k], seed: [0, 1]")
    (tmp_path / "wsd.yaml").write_text(
        grid.replace("[transformer, lstm]", "lstm").replace("64}", "64, schedule: wsd}")
    )
    made = Sweep(str(tmp_path / "wsd.yaml"), (), Location.of(tmp_path / "runs"))
    manifest = Manifest("fake", "stand-in", "abc", 24, 139, 0, {}, {}, {}, {})
    (made.data("abc") / "manifest.json").write_text(json.dumps(asdict(manifest)))
    for cell in made.resolve():
        for key in (cell.key, cell.trunk_key):
            (made.cells / str(key) / "checkpoint_000000" / "state.pt").write_text("weights")
    return made


def folders(sweep: Sweep) -> set[str]:
    return {folder.name for folder in sweep.cells.children()}


def test_trunks_are_pruned_and_cells_stay(family: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = say("y", monkeypatch)
    assert prune(family, "")
    assert asked == [
        "Remove 2 trunks of wsd? Ended cells stay; larger budgets will be trained from nothing. "
        "[y/N] "
    ]
    assert folders(family) == {cell.key for cell in family.listed()}
    assert prune(family, "")
    assert len(asked) == 1


def test_of_trunks_too_only_the_chosen_go_and_none_without_a_yes(
    family: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = folders(family)
    say("no", monkeypatch)
    assert not prune(family, "")
    assert folders(family) == before
    say("y", monkeypatch)
    assert prune(family, "seed=1")
    (other,) = {cell.trunk for cell in family.listed() if cell.fields["seed"] == 1}
    assert before - folders(family) == {other}


def test_what_is_trained_anew_takes_nothing_from_its_trunk(
    family: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, asked = folders(family), say("y", monkeypatch)
    (chosen,) = only(family.listed(), "seed=1 tokens=10240")
    assert erase(family, "seed=1 tokens=10240")
    assert asked == ["Remove 1 cells of wsd, with their checkpoints? [y/N] "]
    assert before - folders(family) == {chosen.key, chosen.trunk}


@pytest.mark.parametrize("answer", ["n\n", ""])
def test_the_command_stops_there_also_where_nobody_can_answer(sweep: Sweep, answer: str) -> None:
    before, out = files(sweep), sweep.out.local
    assert out is not None
    done = subprocess.run(
        command(sweep.grid_name, out, "--fresh"),
        cwd=ROOT,
        input=answer,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == "Remove 3 cells of small, with their checkpoints? [y/N] "
    assert done.stderr == "Nothing was removed.\n"
    assert files(sweep) == before
