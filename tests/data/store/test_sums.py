"""What is trained on is what was prepared: one changed bit is noticed before training."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.errors import DataError
from data.store.flat import PACKED, check_sums, open_split, sums
from data.store.location import Location
from data.store.manifest import read_manifest
from tests.conftest import flip_a_bit


def test_data_as_they_were_prepared_pass(summed: Path) -> None:
    assert check_sums(Location.of(summed))
    columns = ("tokens", "starts", "num_notes", "seconds", "groups")
    names = {f"{split}.{column}.npy" for split in ("train", "val", "test") for column in columns}
    assert set(read_manifest(summed).sums) == names


def test_what_a_killed_preparation_half_wrote_has_no_sum(summed: Path) -> None:
    (summed / PACKED / ".0123.val.tokens.npy").write_bytes(b"half")
    assert sums(Location.of(summed)) == read_manifest(summed).sums


@pytest.mark.parametrize("name", ["train.tokens.npy", "test.groups.npy"])
def test_one_bit_that_has_changed_is_named_with_its_file(summed: Path, name: str) -> None:
    flip_a_bit(summed / PACKED / name)
    with pytest.raises(DataError, match=rf"{name}: found sum [0-9a-f]+, expected .*; remove"):
        check_sums(Location.of(summed))


def test_a_file_that_is_gone_is_named(summed: Path) -> None:
    (summed / PACKED / "val.starts.npy").unlink()
    with pytest.raises(DataError, match=r"val.starts.npy: .*; remove the folder"):
        check_sums(Location.of(summed))


def test_data_of_before_sums_are_read_and_not_taken_for_checked(packed: Path) -> None:
    assert not check_sums(Location.of(packed))
    assert len(open_split(packed, "train").tokens)


def test_what_lies_in_a_bucket_has_the_same_sums(summed: Path, bucket: str) -> None:
    there = Location.of(f"s3://{bucket}/summed")
    for file in (summed / PACKED).iterdir():
        (there / PACKED / file.name).write_bytes(file.read_bytes())
    assert sums(there) == read_manifest(summed).sums
