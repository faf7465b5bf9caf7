"""Works that two sets share are found by their notes, whatever holds the sets."""

from __future__ import annotations

import csv
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.leaks import Pair, Set, leaks, main, read, write_pairs
from data.music.files import from_midi
from data.notation import abc_text
from data.works.signatures import BINS
from tests.data.conftest import WORKS, make_midi

OTHERS = 10
SHARED = (3, 5)
"""Works of `works` that the other set has as well, a third higher."""


def tune(seed: int, higher: int = 0) -> bytes:
    pitches = np.random.default_rng(seed).integers(55, 75, 40).tolist()
    return make_midi(
        [(0, False, [(48 * at, 48, pitch + higher) for at, pitch in enumerate(pitches)])]
    ).dumps_midi()


@pytest.fixture
def others(works: Path, tmp_path: Path) -> dict[str, bytes]:
    """The other set: tunes of its own, and of `works` the second half and more, as an upbeat."""
    found = {f"own-{number}.mid": tune(100 + number) for number in range(OTHERS)}
    for number in SHARED:
        score = from_midi((works / f"{number:02d}-0.mid").read_bytes(), 24)
        events = [(48 * at, 48, pitch + 4) for at, pitch in enumerate(score.pitch[8:].tolist())]
        found[f"other-{number}.mid"] = make_midi([(0, False, events)]).dumps_midi()
    return found


def folder_of(files: dict[str, bytes], place: Path) -> str:
    place.mkdir()
    for name, content in files.items():
        (place / name).write_bytes(content)
    return str(place)


def zip_of(files: dict[str, bytes], place: Path) -> str:
    with zipfile.ZipFile(f"{place}.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return f"{place}.zip"


def midi_column(files: dict[str, bytes], place: Path) -> str:
    pq.write_table(
        pa.table({"name": list(files), "midi": list(files.values())}), f"{place}.parquet"
    )
    return f"{place}.parquet:midi"


def abc_column(files: dict[str, bytes], place: Path) -> str:
    texts = [abc_text.write(from_midi(content, 24), name) for name, content in files.items()]
    pq.write_table(pa.table({"text": texts}), f"{place}.parquet")
    return f"{place}.parquet:text"


@pytest.mark.parametrize("held", [folder_of, zip_of, midi_column, abc_column])
def test_a_work_in_another_key_and_cut_is_found_however_it_is_held(
    held: Callable[[dict[str, bytes], Path], str],
    works: Path,
    others: dict[str, bytes],
    tmp_path: Path,
) -> None:
    a, b = read(str(works)), read(held(others, tmp_path / "others"))
    found = leaks(a, b)
    assert (found.works, found.in_b) == (len(SHARED), len(SHARED))
    assert {pair.a[:2] for pair in found.pairs} == {f"{number:02d}" for number in SHARED}
    # Every third work of `works` has two versions.
    assert found.in_a == len(SHARED) + sum(number % 3 == 0 for number in SHARED)
    assert len(b.paths) == OTHERS + len(SHARED)


def test_of_several_versions_the_one_that_is_most_alike_is_named() -> None:
    rng = np.random.default_rng(4)
    tune = rng.integers(1, 2**16, BINS, dtype=np.uint16)
    varied = np.where(np.arange(BINS) < 50, tune, rng.integers(1, 2**16, BINS, dtype=np.uint16))
    other = rng.integers(1, 2**16, BINS, dtype=np.uint16)
    a = Set(["varied", "other", "same"], np.stack([varied, other, tune]), 0)
    found = leaks(a, Set(["tune"], tune[None], 0))
    assert (found.works, found.in_a) == (1, 2)
    assert found.pairs == [Pair("same", "tune", BINS, BINS)]


def test_no_split_that_we_make_shares_a_work_with_another(made: Path) -> None:
    train, val, test = (read(f"{made}:{name}") for name in ("train", "val", "test"))
    assert len(train.paths) + len(val.paths) + len(test.paths) == WORKS + WORKS // 3
    assert not leaks(train, val).pairs
    assert not leaks(train, test).pairs
    assert len(leaks(read(str(made)), test).pairs) == len(test.paths)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["data.leaks", *arguments])
    return main()


def test_the_report_counts_and_the_file_has_every_pair(
    works: Path,
    others: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "pairs.csv"
    source = folder_of(others, tmp_path / "others")
    assert run(monkeypatch, str(works), source, "--pairs", str(file)) == 0
    said = capsys.readouterr().out
    assert f"{source}: {len(SHARED)} of {OTHERS + len(SHARED)} pieces are of shared works" in said
    assert f"of {WORKS + WORKS // 3 + 1} pieces (1 could not be read)" in said
    assert f"works that both have: {len(SHARED)}" in said
    rows = list(csv.DictReader(file.open()))
    assert sorted(row["b"] for row in rows) == [f"other-{number}.mid" for number in SHARED]
    assert all(12 <= int(row["shared"]) <= int(row["filled"]) for row in rows)


def test_a_spreadsheet_reads_no_formula_from_the_pairs(tmp_path: Path) -> None:
    write_pairs([Pair("=1+1.mid", "a.mid", 12, 12)], tmp_path / "pairs.csv")
    assert (tmp_path / "pairs.csv").read_text() == "a,b,shared,filled\n'=1+1.mid,a.mid,12,12\n"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{there}/gone", "no source at"),
        ("{there}/gone.parquet:midi", "cannot be read"),
        ("{there}/x.parquet:mido", "no column 'mido'; did you mean 'midi'"),
        ("{there}/x.parquet:midi", "no piece that can be read (2 cannot)"),
        ("{made}:tests", "no split 'tests'; did you mean 'test'"),
    ],
)
def test_what_is_no_set_is_said_in_a_line(
    source: str,
    message: str,
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pq.write_table(pa.table({"midi": [b"RIFF", None]}), tmp_path / "x.parquet")
    assert run(monkeypatch, source.format(there=tmp_path, made=made), str(made)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
