"""The last lines of a sweep say what is worth typing next."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from data.store.location import Location
from sweeps.results.summary import following
from sweeps.sweep import Sweep


def test_commands_are_for_the_environment_and_the_folder_of_this_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    monkeypatch.chdir(tmp_path)
    mine = Sweep("quickstart", (), Location.of(tmp_path / "my runs"))
    _, head, _, best, *_ = following(mine)
    assert head == "Next, after `source .venv/bin/activate`"
    assert f"--sweep quickstart --out '{tmp_path}/my runs' --best --count 8" in best
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / ".venv"))
    _, head, _, best, *_ = following(Sweep("quickstart", (), Location.of("runs")))
    assert head == "Next"
    assert "--sweep quickstart --best" in best
