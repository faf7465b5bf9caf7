"""`run_grid.py --check`: what is wrong is named, with what to do, before a long run."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.store.location import Location
from sweeps.check import Seen, judge_mlflow, judge_node, judge_workers, use_storage, versions
from tests.sweeps.real_command import run, write_grid

EXPECTED = {"python": "3.11.7", "ray": "2.60.0", "torch": "2.13.0", "crescendo": "0123abcd"}


def failures(seen: Seen | str) -> list[str]:
    return [finding.line for finding in judge_node("10.0.0.7", seen, EXPECTED) if finding.todo]


def test_a_node_that_can_do_all_has_three_good_lines() -> None:
    lines = [finding.line for finding in judge_node("10.0.0.7", Seen(EXPECTED, "", ""), EXPECTED)]
    assert [line.split()[:3] for line in lines] == [
        ["ok", "10.0.0.7", what] for what in ("versions", "storage", "data")
    ]


@pytest.mark.parametrize("name", EXPECTED)
def test_another_version_is_named(name: str) -> None:
    (line,) = failures(Seen(EXPECTED | {name: "other"}, "", ""))
    assert f"{name} other" in line
    assert f"-> the head has {name} {EXPECTED[name]}: `ray up` again" in line


def test_storage_and_data_that_fail_are_told_apart() -> None:
    (storage,) = failures(Seen(EXPECTED, "PermissionError: Access Denied", ""))
    (data,) = failures(Seen(EXPECTED, "", "DataError: no source at /midi"))
    assert "10.0.0.7 storage" in storage
    assert "-> --out must be" in storage
    assert "no source at /midi\n      -> the source must be" in data


def test_a_node_that_does_not_answer_fails() -> None:
    (line,) = failures("ModuleNotFoundError: No module named 'sweeps'")
    assert "the code must be on every node" in line


def test_mlflow_and_workers_that_fail_say_what_to_do() -> None:
    assert "MLFLOW_TRACKING_URI" in judge_mlflow("http://head:5000", "no answer").todo
    assert not judge_mlflow("http://head:5000", "").todo
    assert not judge_mlflow(None, "").todo
    assert "nvidia-smi" in judge_workers(8, "nccl", "unhandled cuda error").todo
    assert "nvidia-smi" not in judge_workers(2, "gloo", "connection refused").todo
    assert not judge_workers(8, "nccl", "").todo


def test_a_folder_that_is_not_the_heads_is_found_out(tmp_path: Path) -> None:
    folder = Location.of(tmp_path)
    with pytest.raises(ValueError, match="what the head wrote is not here"):
        use_storage(folder, "word")
    (folder / "head").write_text("another word")
    with pytest.raises(ValueError, match="what the head wrote is not here"):
        use_storage(folder, "word")
    (folder / "head").write_text("word")
    use_storage(folder, "word")


def test_the_code_has_a_version() -> None:
    assert versions() == versions()
    assert set(versions()) == set(EXPECTED)


def test_a_machine_where_all_is_well(source: Path, tmp_path: Path) -> None:
    done = run(write_grid(tmp_path, source), tmp_path / "runs", "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["Grid"] + ["ok"] * 5 + ["All"]
    assert "1 workers, gloo" in lines[5]
    assert not list((tmp_path / "runs").iterdir())


def test_a_machine_where_nothing_is(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file, where a folder should be")
    grid = write_grid(tmp_path, tmp_path / "nothing")
    done = run(grid, tmp_path / "runs", "--check", MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert done.returncode == 1, done.stdout + done.stderr
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert [line.split()[1:3] for line in failed] == [
        [failed[0].split()[1], "storage"],
        [failed[0].split()[1], "data"],
        ["MLflow", "http://127.0.0.1:9"],
    ]
    assert done.stdout.count("-> ") == 3
    assert "3 of 4 failed" in done.stdout
