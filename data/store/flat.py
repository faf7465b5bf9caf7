"""What training reads: the tokens of each split in one flat file, mapped instead of copied."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from pyarrow import fs

from data.errors import DataError
from data.store.location import Location
from data.store.manifest import MANIFEST, read_manifest
from data.store.private import private_folder

SPLITS = ("train", "val", "test")
PACKED = "packed"
BLOCK = 2**22
"""Bytes summed at a time."""
UNCHECKED = "the data are not checked: their manifest is from before sums were kept"
AGAIN = "remove the folder of these data to have them made or copied again"


@dataclass(frozen=True)
class Split:
    tokens: np.ndarray
    """(n,) uint16, a memory map: the pieces one after another, in order of `piece_id`."""
    starts: np.ndarray
    """(pieces + 1,) int64: piece i is tokens[starts[i] : starts[i + 1]]."""
    num_notes: np.ndarray
    """(pieces,) int64."""
    seconds: np.ndarray
    """(pieces,) float64."""
    groups: np.ndarray
    """(pieces,) int64: the number of each piece's group, which its versions share. In data from
    before `KEEPS_GROUPS` each piece has its own, until `data.flatten.with_groups` is called."""


def open_split(folder: Path, name: str) -> Split:
    """Map one of `SPLITS`."""
    columns = {
        column: np.load(folder / PACKED / f"{name}.{column}.npy", mmap_mode="r")
        for column in ("tokens", "starts", "num_notes", "seconds")
    }
    groups = folder / PACKED / f"{name}.groups.npy"
    if not groups.exists():
        return Split(**columns, groups=np.arange(len(columns["num_notes"])))
    return Split(**columns, groups=np.load(groups, mmap_mode="r"))


@contextlib.contextmanager
def writing_split(
    folder: Location,
    name: str,
    lengths: np.ndarray,
    num_notes: np.ndarray,
    seconds: np.ndarray,
    groups: np.ndarray,
) -> Iterator[Split]:
    """Write a split, whose tokens the block fills in, from (pieces,) in order of `piece_id`."""
    starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    columns = {
        "starts": starts,
        "num_notes": num_notes.astype(np.int64),
        "seconds": seconds.astype(np.float64),
        "groups": groups.astype(np.int64),
    }
    for column, values in columns.items():
        write_column(folder, name, column, values)
    with _column(folder, name, "tokens").writing() as path:
        size = (int(starts[-1]),)
        tokens = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint16, shape=size)
        if hasattr(os, "posix_fallocate"):
            # A disk that is full while a map is written to kills the process without a word.
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        yield Split(tokens, **columns)
        tokens.flush()


def write_split(
    folder: Location,
    name: str,
    tokens: np.ndarray,
    lengths: np.ndarray,
    num_notes: np.ndarray,
    seconds: np.ndarray,
    groups: np.ndarray | None = None,
) -> None:
    """Write a split whose tokens are at hand, (n,) for all pieces together.

    groups: None gives each piece a group of its own.
    """
    alone = np.arange(len(lengths))
    columns = (lengths, num_notes, seconds, alone if groups is None else groups)
    with writing_split(folder, name, *columns) as split:
        split.tokens[:] = tokens


def write_column(folder: Location, name: str, column: str, values: np.ndarray) -> None:
    """Write one column of a split, by the name of its field in `Split`."""
    with _column(folder, name, column).writing() as path, path.open("wb") as file:
        np.save(file, values)


def _column(folder: Location, name: str, column: str) -> Location:
    return folder / PACKED / f"{name}.{column}.npy"


def sums(folder: Location) -> dict[str, str]:
    """The SHA-256 of each packed file, by its name."""
    # By the names of what is read: beside them may lie what a killed preparation half wrote.
    columns = [_column(folder, name, field.name) for name in SPLITS for field in fields(Split)]
    return {file.name: _sum(file) for file in columns if file.exists()}


def check_sums(folder: Location) -> bool:
    """Read what is trained on once, and compare it with the sums of the manifest.

    False if that has none, because it is from before they were kept. Raises DataError for a file
    that has changed since, which would train to another loss without a word.
    """
    kept = read_manifest(folder).sums
    for name, wanted in kept.items():
        file = folder / PACKED / name
        try:
            found = _sum(file)
        except OSError as error:
            raise DataError(f"{file}: {error}; {AGAIN}") from None
        if found != wanted:
            raise DataError(f"{file}: found sum {found[:12]}, expected {wanted[:12]}; {AGAIN}")
    return bool(kept)


def _sum(file: Location) -> str:
    digest = hashlib.sha256()
    with file.open() as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def local_copy(folder: Location) -> Path:
    """The data of `folder` on this node: the folder itself, or a copy made once on each node."""
    if folder.local is not None:
        return folder.local
    copies = private_folder("data")
    copy = copies / read_manifest(folder).fingerprint
    if not copy.exists():
        aside = Path(tempfile.mkdtemp(dir=copies))
        for name in (MANIFEST, "tokenizer.json"):
            # What tests and benchmarks make up has no tokenizer.
            if (folder / name).exists():
                (aside / name).write_bytes((folder / name).read_bytes())
        (aside / PACKED).mkdir()
        packed = folder / PACKED
        fs.copy_files(packed.path, str(aside / PACKED), source_filesystem=packed.filesystem)
        try:
            os.rename(aside, copy)
        except OSError:
            # Another worker on this node was faster.
            if not copy.exists():
                raise
            shutil.rmtree(aside)
    return copy
