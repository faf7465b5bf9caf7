"""A table that is none is told so in one line, with the place; everything else is read as it is."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitting import report
from fitting.runs.read import RecordError, read_csv, read_json, to_json

HEADER = "arch,n_params,val_loss"
LOSSES = {4000: 1.7155, 9000: 1.5904, 20000: 1.5022, 50000: 1.4327, 120000: 1.3879, 300000: 1.3562}
Write = Callable[[str], Path]


def table(arch: str, header: str = HEADER, tail: str = "") -> str:
    """Six sizes of an architecture, `tail` at the end of each row."""
    return "\n".join([header, *(f"{arch},{n},{loss}{tail}" for n, loss in LOSSES.items())]) + "\n"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (f"{HEADER}\nlstm,4000,1,7155\n".encode(), "row 2 has 4 fields, the header 3"),
        (f"{HEADER}\nlstm,4000,1.7,\n".encode(), "row 2 has 4 fields, the header 3"),
        (f"{HEADER}\n\nlstm,4000\n".encode(), "row 3 has 2 fields, the header 3"),
        (f"{HEADER},status,\nx,1,2,finished\n".encode(), "row 2 has 4 fields, the header 5"),
        (b"arch,n_params,n_params,val_loss\nx,1,2,3\n", "several columns n_params"),
        (b"arch;n_params;val_loss\nx;1;2\n", "found one column; is it separated by ';'?"),
        (b"arch\tn_params\tval_loss\nx\t1\t2\n", "found one column; is it separated by '\\t'?"),
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
        (f"{HEADER}\n".encode(), "no rows"),
        (b"lstm,4000,1.7\nlstm,9000,1.6\n", "is the first row the header?"),
        (f"{HEADER}\ncaf\xe9,1,2\n".encode("latin-1"), "line 2 is not UTF-8 text (byte 0xe9)"),
        (f"{HEADER}\nx,1,2\n".encode("utf-16"), "line 1 is not UTF-8 text"),
        (f"{HEADER}\nx\0y,1,2\n".encode(), "line 2 holds a NUL byte"),
        (f'{HEADER}\nx,1,2\n"x,2,3\nx,4,5\n'.encode(), "row 3: not CSV (a quote is left open)"),
        (f"{HEADER}\nx,1{'0' * 400},2\n".encode(), "column n_params: found '1000"),
        (f"{HEADER}\nx,1e400,2\n".encode(), "found '1e400'; expected a finite number"),
        (f"{HEADER}\nx,1,inf\n".encode(), "found 'inf'; expected a finite number"),
        (f"{HEADER}\nx,1e300,2\n".encode(), "found '1e300'; expected a number between 1e-09 and"),
        (
            f"{HEADER}\nx,1,1e-300\n".encode(),
            "column val_loss: found '1e-300'; expected a number b",
        ),
        (f"{HEADER}\nx,-5,2\n".encode(), "found '-5'; expected a number above 0"),
        (f'{HEADER}\nx,5,"1,7"\n'.encode(), "found '1,7'; expected a number"),
        (f"{HEADER}\n\x1b[31m,5,\x1b[31m\n".encode(), "found '\\x1b[31m'; expected a number"),
    ],
)
def test_what_is_no_table_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, expected: str
) -> None:
    path = tmp_path / "runs.csv"
    path.write_bytes(content)
    assert report.main(["--csv", str(path), "--out", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1
    assert len(error) < 400


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + table("lstm"),
        table("lstm").replace("\n", "\r\n"),
        table("lstm").replace("\n", "\n\n"),
        table(" lstm ").replace(",", " , "),
        table("lstm", f"{HEADER},,", ",,"),
    ],
    ids=["byte order mark", "Windows", "blank lines", "blanks", "empty columns"],
)
def test_what_programs_add_to_a_table_is_no_part_of_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "runs.csv"
    path.write_bytes(content.encode())
    records = read_csv(path)
    assert set(records["arch"]) == {"lstm"}
    assert records["val_loss"].tolist() == list(LOSSES.values())
    assert "notes" not in records.attrs


def test_a_run_that_did_not_finish_may_lack_its_loss_or_have_lost_it(write_table: Write) -> None:
    text = f"{HEADER},status\nx,1e6,,failed\nx,1e6,inf,diverged\nx,1e6,2,\n"
    assert read_csv(write_table(text))["status"].tolist() == ["failed", "diverged", "finished"]


def test_columns_that_are_not_read_are_said_on_the_page_and_in_the_terminal(
    write_table: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_table(table("lstm", f"{HEADER},dropout,context", ",0.1,256"))
    assert report.main(["--csv", str(path), "--out", str(tmp_path)]) == 0
    note = "Columns not read: dropout."
    assert note in capsys.readouterr().out
    assert note in (tmp_path / "report.html").read_text()


def test_a_column_that_sets_runs_apart_can_be_named(write_table: Write) -> None:
    one, two = table("lstm", f"{HEADER},dropout", ",0.1"), table("lstm", "", ",.2").strip()
    records = read_csv(write_table(f"{one}{two}\nlstm,1e6,1.3,0.10\n"), ["dropout"])
    assert set(records["arch"]) == {"lstm, dropout=0.1", "lstm, dropout=0.2"}
    assert "notes" not in records.attrs


def test_a_setting_that_is_no_column_is_refused(write_table: Write) -> None:
    with pytest.raises(RecordError, match="found columns arch, n_params, val_loss; missing drop"):
        read_csv(write_table(table("lstm")), ["drop"])


@settings(max_examples=30)
@given(arch=st.text(min_size=1).filter(lambda text: text.strip() and "\0" not in text))
def test_any_name_comes_back_from_the_records_as_it_was_read(
    tmp_path_factory: pytest.TempPathFactory, arch: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    quoted = arch.encode("utf-8", "replace").decode().replace('"', '""')
    path.write_bytes(f'{HEADER}\n"{quoted}",1,2\n'.encode())
    records = read_csv(path)
    assert records["arch"][0].isprintable()
    path.write_text(to_json(records))
    assert read_json(path)["arch"][0] == records["arch"][0]


def test_two_hundred_thousand_rows_are_read(write_table: Write) -> None:
    rows = (f"lstm,{n},{1 + 9 * n**-0.3:.6f}" for n in np.arange(1000, 201_000))
    assert len(read_csv(write_table("\n".join([HEADER, *rows])))) == 200_000
