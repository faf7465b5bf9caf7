"""A table beside a source says of its files what their notes do not."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.errors import DataError
from data.sources.corpora import CORPORA
from data.sources.facts import FACTS, Layout, Table, facts_by
from data.sources.named import known_facts
from data.store.location import Location

SAID = 'path,composer,work,other\n./2018/a.mid,"Bach,\nJ. S.",Air,x\n2018/b.mid,,7,y\n'


def table(tmp_path: Path, text: str = SAID) -> Table:
    file = tmp_path / "table.csv"
    file.write_text(text)
    return Table(Location.of(file))


def test_a_file_has_the_row_of_the_longest_end_of_its_path(tmp_path: Path) -> None:
    said = table(tmp_path, f"{SAID}a.mid,Another,,\n")
    paths = ["set-1/2018/a.mid", "2018/a.mid#bar17", "2017/a.mid", "x/2018/b.mid", "b.mid"]
    told = [dict(zip(FACTS, each)) for each in list(map(facts_by(said), paths))]
    assert [each["composer"] for each in told] == [
        "Bach,\nJ. S.",
        "Bach,\nJ. S.",
        "Another",
        "",
        "",
    ]
    assert [each["work"] for each in told] == ["Air", "Air", "", "7", ""]
    assert {each["licence"] for each in told} == {""}


def test_parquet_says_the_same(tmp_path: Path) -> None:
    columns = {"path": ["2018/a.mid", "2018/b.mid"], "composer": ["Bach,\nJ. S.", None]}
    columns["work"] = ["Air", "7"]
    pq.write_table(pa.table(columns), tmp_path / "table.parquet")
    assert Table(Location.of(tmp_path / "table.parquet")).rows() == table(tmp_path).rows()


def test_maestro_brings_its_own_table(tmp_path: Path) -> None:
    """In the form of version 3; the file itself is not here."""
    download = CORPORA["maestro"].archive
    assert download
    with zipfile.ZipFile(tmp_path / download.name, "w") as archive:
        archive.writestr(
            "maestro-v3.0.0/maestro-v3.0.0.csv",
            "canonical_composer,canonical_title,split,year,midi_filename,audio_filename,duration\n"
            'Alban Berg,"Sonata Op. 1",train,2018,2018/a.midi,2018/a.wav,698.66\n',
        )
    known = known_facts("maestro", Location.of(tmp_path), None)
    (found,) = list(map(facts_by(known), ["maestro-v3.0.0/2018/a.midi"]))
    assert found == ("", "", "Alban Berg", "Sonata Op. 1")
    assert known_facts("lakh-full", Location.of(tmp_path), None) is None
    assert known_facts("folk", Location.of(tmp_path), None) is None
    assert list(map(facts_by(None), ["a.mid"])) == [("", "", "", "")]


def test_a_path_twice_with_the_same_facts_is_no_mistake(tmp_path: Path) -> None:
    assert len(table(tmp_path, "path,work\na,b\n./a,b\n,c\n,d\n").rows()) == 1


def test_what_several_columns_tell_is_nothing_where_one_is_empty(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("path,opus,number\na.mid,9,2\nb.mid,NA,2\nc.mid,9,NA\n")
    layout = Layout({"work": ("opus", "number")}, missing="NA")
    rows = Table(Location.of(tmp_path / "table.csv"), layout).rows()
    assert [rows[f"{name}.mid"][3] for name in "abc"] == ["9 2", "", ""]


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda file: None, "cannot be read"),
        (lambda file: file.write_text("pth,work\na,b\n"), "no column 'path'; did you mean 'pth'"),
        (lambda file: file.write_text("path,work\na,b\n./a,c\n"), "1 paths twice"),
        (lambda file: file.write_text("path,work\na,b,c\n"), "cannot be read"),
        (lambda file: file.write_bytes(b""), "cannot be read"),
        (lambda file: file.write_bytes(b"path\n\xff\n"), "cannot be read"),
        (lambda file: file.mkdir(), "is a folder without Parquet"),
    ],
)
def test_what_is_no_table_is_said_in_a_line(
    write: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    write(tmp_path / "table.csv")
    with pytest.raises(DataError, match=message) as caught:
        Table(Location.of(tmp_path / "table.csv")).rows()
    assert "\n" not in str(caught.value)
