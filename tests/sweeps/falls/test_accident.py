"""An error that nobody foresaw is one line, and a file without secrets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from data.store.private import private_folder
from sweeps.falls import accident
from tests.strangers import mode


def raised() -> Exception:
    try:
        raise KeyError("seed")
    except KeyError as error:
        return error


def test_an_account_has_what_a_report_needs_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "f00dcafe")
    monkeypatch.setattr("sys.argv", ["run_grid.py", "--grid", "mine.yaml"])
    log = tmp_path / "libraries.log"
    log.write_text("early\n" * 5000 + "sent f00dcafe to http://me:pass@host:5000\n")
    line = accident.told(raised(), log)
    assert "\n" not in line
    assert line.startswith("run_grid: an error that was not foreseen: KeyError: 'seed'. Nothing")
    (file,) = tmp_path.glob("error-*.txt")
    assert mode(file) == 0o600
    assert line.endswith(f"report it with {file}")
    text = file.read_text()
    for part in (r"Python 3\.\d+", r"ray \d", "mine.yaml", 'raise KeyError\\("seed"\\)', "sent "):
        assert re.search(part, text), part
    assert "f00dcafe" not in text
    assert "pass" not in text
    assert len(text) < 2 * accident.LAST_BYTES


def test_where_the_log_cannot_be_the_account_is_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    line = accident.told(raised(), Path("/nowhere/libraries.log"))
    (file,) = private_folder("errors").glob("error-*.txt")
    assert str(file) in line
    assert mode(file) == 0o600
    assert mode(private_folder("errors").parent) == 0o700
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    assert "no room to write it down: KeyError" in accident.told(raised(), Path("/nowhere/log"))
