"""What is around a sweep, its streams, folders and addresses, is one line where it is wrong."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from data.store.lock import held
from sweeps import run_grid
from sweeps.console import complain, quiet, say
from sweeps.sweep import Sweep
from tests.sweeps.real_command import run


def ran(sweep: Sweep, *more: str, before: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """The command on this sweep, after a shell has done something `before`."""
    assert sweep.out.local
    return run(sweep.grid_name, sweep.out.local, *more, before=before, **env)


def test_signs_that_a_terminal_does_not_know_are_escaped(sweep: Sweep) -> None:
    plain = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = ran(sweep, **plain)
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\xb1 s.e." in done.stdout


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_standard_output_is_named(sweep: Sweep) -> None:
    done = ran(sweep, before="exec > /dev/full")
    assert done.returncode == 1
    assert done.stderr == (
        "run_grid: [Errno 28] No space left on device: 'standard output'; free some room; the same "
        "command goes on\n"
    )


def test_what_libraries_write_below_python_goes_to_the_log(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Ray's C++ does."""
    with quiet(tmp_path / "log", verbose=False):
        os.write(1, b"from C\n")
        say("to the user")
        os.write(2, b"and more\n")
        complain("to the user as well")
    os.write(2, b"afterwards\n")
    assert capfd.readouterr() == ("to the user\n", "to the user as well\nafterwards\n")
    assert (tmp_path / "log").read_text() == "from C\nand more\n"


def test_without_standard_input_nothing_is_removed(sweep: Sweep) -> None:
    done = ran(sweep, "--fresh", before="exec <&-")
    assert (done.returncode, done.stderr) == (1, "Nothing was removed.\n")
    assert len(sweep.records(cell.key for cell in sweep.listed())) == 3


def test_an_output_that_is_a_file_is_named(sweep: Sweep, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = ran(sweep, "--out", str(tmp_path / "file"))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert str(tmp_path / "file") in line
    assert line.endswith("; give a folder that is there or can be made")


def test_a_second_sweep_in_a_folder_is_refused_in_a_line(sweep: Sweep) -> None:
    sweep.tracked.delete()
    with held(sweep.folder, "works on the sweep of small"):
        done = ran(sweep)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"run_grid: {sweep.folder}: process {os.getpid()} on ")
    assert line.endswith(" works on the sweep of small; wait for its end, or use another folder")


def test_an_error_that_nobody_foresaw_is_a_line_and_a_file(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def surprise(*_: object) -> None:
        raise ZeroDivisionError("so it goes")

    monkeypatch.setattr(run_grid, "conclude", surprise)
    assert run_grid.main() == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert "not foreseen: ZeroDivisionError: so it goes." in line
    assert sweep.folder.local
    (file,) = sweep.folder.local.glob("error-*.txt")
    assert str(file) in line
    assert "conclude" in file.read_text()
