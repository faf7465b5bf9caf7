"""One cell from the command line: trained, stopped, gone on with; and refused in one line."""

from __future__ import annotations

import errno
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from data.store.location import Location
from tests.conftest import flip_a_bit
from tests.waiting import wait_until
from trainers import checkpoint
from trainers import train as training
from trainers.losses import read_losses
from trainers.records import doubts, read_record
from trainers.samples.cells import finished
from trainers.train import main

SMALL = "--arch lstm --size 4k --tokens 20k --batch-tokens 256 --context 32"


def command(data: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "trainers.train", "--data", str(data), *SMALL.split(), *more]


def call(data: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(data, *more), capture_output=True, text=True, check=False)


def test_a_cell_that_gets_sigterm_saves_and_goes_on_to_the_same_end(
    packed: Path, tmp_path: Path
) -> None:
    whole = call(packed, "--out", str(tmp_path / "whole"))
    assert whole.returncode == 0, whole.stderr
    stopped = tmp_path / "stopped"
    long = ("--tokens", "2M", "--out", str(stopped), "--checkpoint-seconds", "0")
    with subprocess.Popen(command(packed, *long), stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: list(stopped.rglob("state.pt")) or process.poll() is not None)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate()
    assert process.returncode == 130, said
    assert "saved, and the same command goes on" in said
    newest = torch.load(max(stopped.rglob("state.pt")), weights_only=True)
    assert 0 < newest["step"] < 7812
    before = losses(tmp_path / "whole")
    again = call(packed, "--out", str(tmp_path / "whole"))
    assert again.stdout.splitlines()[0].rpartition(",")[0] in whole.stdout
    assert losses(tmp_path / "whole") == before


def losses(out: Path) -> dict[str, float]:
    (path,) = (out / "cells").iterdir()
    record = read_record(Location.of(out / "cells"), path.name)
    assert record
    return {name: value for name, value in record.measured.items() if "loss" in name}


def test_it_leaves_what_a_sweeps_cell_leaves(packed: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    done = call(packed, "--out", str(out))
    assert done.returncode == 0, done.stderr
    (one,) = finished(Location.of(out / "cells"))
    record = read_record(Location.of(out / "cells"), one.cell.key)
    assert record
    assert doubts(record) == []
    assert record.ran_on["workers"] == 1
    assert read_losses(one.folder).keys() == {"val", "test"}
    assert f"{one.val_loss:.4f}" in done.stdout
    assert one.model()
    # What it prints is a command that finds it.
    *_, last = done.stdout.splitlines()
    said = shlex.split(last.partition(": ")[2])
    assert said[:3] == ["python", "-m", "trainers.generate"]
    assert said[said.index("--cell") + 1] == one.cell.key


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "17"], "no lstm within 3 % of 17 parameters"),
        (["--arch", "lsmt"], "unknown architecture 'lsmt'; did you mean 'lstm'?"),
        (["--context", "300"], "batch_tokens 256 is not a multiple of context 300"),
        (
            ["--context", "32k", "--batch-tokens", "32k"],
            "context 32000 is longer than the training data",
        ),
        (["--schedule", "linear"], "unknown schedule 'linear'; there are cosine, wsd, constant"),
        (["--tokens", "many"], "found 'many', expected a number such as 1024 or 2.5M"),
        (["--data", "/nowhere"], "no finished data at /nowhere"),
    ],
)
def test_bad_input_is_refused_in_one_line(
    packed: Path,
    tmp_path: Path,
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = command(packed, "--out", str(tmp_path / "out"), *arguments)
    monkeypatch.setattr(sys, "argv", words[2:])
    try:
        code = main()
    except SystemExit as refused:  # argparse's way
        code = int(refused.code or 0)
    assert code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["save_next", "write_losses"])
def test_a_full_disk_is_told_in_one_line(
    name: str,
    packed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "here")

    monkeypatch.setattr(checkpoint if name == "save_next" else training, name, full)
    monkeypatch.setattr(sys, "argv", command(packed, "--out", str(tmp_path))[2:])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    assert main() == 1
    last = capsys.readouterr().err.splitlines()[-1]
    said = "No space left on device: 'here'; free some room; the same command goes on"
    assert last == f"train: [Errno 28] {said}"


def test_one_that_diverges_leaves_why(packed: Path, tmp_path: Path) -> None:
    done = call(packed, "--out", str(tmp_path), "--lr", "1e4")
    assert done.returncode == 1
    (path,) = (tmp_path / "cells").iterdir()
    record = read_record(Location.of(tmp_path / "cells"), path.name)
    assert record
    assert record.status == "diverged"
    assert f"train: {record.reason}" in done.stderr


def test_data_that_have_changed_are_not_trained_on(summed: Path, tmp_path: Path) -> None:
    flip_a_bit(summed / "packed" / "train.tokens.npy")
    done = call(summed, "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert "train.tokens.npy: found sum" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()
