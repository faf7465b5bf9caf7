"""A file that kills its reader is found, and no other file is lost with it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from data import journal
from data.journal import Journal, kills_its_process


def test_a_new_shard_suspects_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "kills_its_process", lambda content: pytest.fail("tried a file"))
    notes = Journal(tmp_path / "a.journal")
    assert [notes.is_fatal(name, b"") for name in ("one.mid", "two.mid")] == [False, False]
    notes.close()
    assert not (tmp_path / "a.journal").exists()


def test_the_last_file_before_a_death_is_tried_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "kills_its_process", lambda content: content == b"deadly")
    path = tmp_path / "a.journal"
    Journal(path).is_fatal("one.mid", b"fine")
    Journal(path).is_fatal("one.mid", b"fine")
    first = Journal(path)
    assert not first.is_fatal("one.mid", b"fine")
    assert not first.is_fatal("two.mid", b"deadly")
    second = Journal(path)
    assert not second.is_fatal("one.mid", b"fine")
    assert second.is_fatal("two.mid", b"deadly")
    assert not second.is_fatal("three.mid", b"deadly")
    third = Journal(path)
    assert third.is_fatal("two.mid", b"deadly"), "what was found stays found"
    assert third.is_fatal("three.mid", b"deadly")


def test_what_a_dead_process_noted_is_there(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from data.journal import Journal; "
        "Journal(Path(sys.argv[1])).is_fatal('one.mid', b''); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = tmp_path / "a.journal"
    environment = os.environ | {"PYTHONPATH": str(Path(journal.__file__).parents[1])}
    died = subprocess.run([sys.executable, "-c", program, str(path)], env=environment, check=False)
    assert died.returncode == -signal.SIGKILL
    assert Journal(path).suspect == "one.mid"


def test_bytes_that_are_only_wrong_kill_nothing() -> None:
    assert not kills_its_process(b"RIFF not MIDI")
