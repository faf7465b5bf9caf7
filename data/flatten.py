"""From finished parts to what training maps: one flat file for each split, in order of `piece_id`.

Parts are read at once, each by a thread, one row group at a time. Only ids, counts and places are
held for all pieces, so that memory hardly grows with the corpus. All threads are of one process: of
two nodes that write to one page of a file on a network's disk, one would undo what the other wrote.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.errors import DataError
from data.store.flat import SPLITS, Split, write_column, writing_split
from data.store.location import Location
from data.store.manifest import KEEPS_GROUPS, Manifest, write_manifest
from data.store.tables import read_table, table_groups
from data.tokens.protocol import Tokenizer

BLOCK = 2**22


def flatten(
    out: Location, parts: list[Location], tokenizer: Tokenizer
) -> tuple[dict[str, dict[str, Any]], str]:
    """Write every split; return what each of them holds, and the fingerprint.

    The fingerprint covers what is trained on, token by token, but neither names nor the order in
    which files arrive.
    """
    columns = ["piece_id", "group_id", "split", "num_tokens", "num_notes", "seconds"]
    tables = [read_table(part, columns) for part in parts]
    first_row = np.cumsum([0, *map(len, tables)]).tolist()
    table = pa.concat_tables(tables)
    # Of each row of all parts, one after another.
    split_of, start_of = np.zeros(len(table), np.int8), np.zeros(len(table), np.int64)
    table = table.append_column("row", pa.array(np.arange(len(table)))).sort_by("piece_id")
    counts = {}
    with ExitStack() as stack:
        splits: dict[str, Split] = {}
        for name in SPLITS:
            mine = table.filter(pc.equal(table["split"], name))
            if not len(mine):
                message = f"the source is too small: no group of versions is left for {name!r}"
                raise DataError(message)
            lengths, notes, seconds = (
                mine[column].to_numpy() for column in ("num_tokens", "num_notes", "seconds")
            )
            groups = _numbered(mine["group_id"])
            writing = writing_split(out, name, lengths, notes, seconds, groups)
            split = stack.enter_context(writing)
            row = mine["row"].to_numpy()
            split_of[row], start_of[row] = SPLITS.index(name), split.starts[:-1]
            splits[name] = split
            counts[name] = {
                "pieces": len(mine),
                "groups": int(groups.max()) + 1,
                "tokens": len(split.tokens),
                "notes": int(notes.sum()),
                "seconds": float(seconds.sum()),
            }

        files = [splits[name].tokens for name in SPLITS]

        def pack(part: Location, row: int) -> None:
            for group in table_groups(part, ["tokens"]):
                pieces = group["tokens"].combine_chunks()
                ids, ends = pieces.values.to_numpy(), pieces.offsets.tolist()
                mine = slice(row, row + len(pieces))
                where = zip(split_of[mine].tolist(), start_of[mine].tolist(), pairwise(ends))
                for number, start, (begin, end) in where:
                    files[number][start : start + end - begin] = ids[begin:end]
                row = mine.stop

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            # What one raises is raised here, once it is asked for what it returned.
            list(pool.map(pack, parts, first_row[:-1]))
        return counts, _fingerprint(tokenizer, splits)


def with_groups(out: Location, manifest: Manifest) -> Manifest:
    """Add the group of each piece to data that are older than `KEEPS_GROUPS`; return the manifest.

    Neither what is trained on nor the fingerprint changes.
    """
    parts = (out / "parts").children()
    if manifest.schema >= KEEPS_GROUPS or not parts:
        return manifest
    columns = ["piece_id", "group_id", "split"]
    table = pa.concat_tables([read_table(part, columns) for part in parts]).sort_by("piece_id")
    for name in SPLITS:
        mine = table.filter(pc.equal(table["split"], name))
        write_column(out, name, "groups", _numbered(mine["group_id"]))
    manifest = replace(manifest, schema=KEEPS_GROUPS)
    write_manifest(out, manifest)
    return manifest


def _numbered(group_ids: pa.ChunkedArray) -> np.ndarray:
    """(pieces,) int64: groups numbered in the order of their first pieces."""
    named = group_ids.combine_chunks().dictionary_encode()
    return named.indices.to_numpy().astype(np.int64)


def _fingerprint(tokenizer: Tokenizer, splits: dict[str, Split]) -> str:
    digest = hashlib.sha256(tokenizer.to_json().encode())
    for split in splits.values():
        for first in range(0, len(split.tokens), BLOCK):
            digest.update(split.tokens[first : first + BLOCK].tobytes())
        digest.update(split.starts.tobytes())
    return digest.hexdigest()[:16]
