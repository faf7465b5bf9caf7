"""Works that the paths of files name, found by a regular expression."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def check_pattern(pattern: str) -> None:
    """Raises ValueError unless it is a regular expression of RE2."""
    try:
        pc.match_substring_regex(pa.array([""]), f"({pattern})")
    except pa.ArrowInvalid as error:
        raise ValueError(str(error).removeprefix("Invalid regular expression: ")) from None


def works_of(paths: Sequence[str], pattern: str) -> list[str]:
    """The first match of `pattern` in each path; "" where there is none, or no pattern.

    By RE2, whose time is linear in a path's length whatever the pattern: Python's own engine may
    backtrack for minutes.
    """
    if not pattern or not paths:
        return [""] * len(paths)
    texts = pa.array(paths, pa.string())
    whole = rf"\A(?s:.*?)({pattern})(?s:.*)\z"
    works = pc.replace_substring_regex(texts, whole, r"\1")
    found = pc.match_substring_regex(texts, f"({pattern})")
    return pc.if_else(found, works, "").to_pylist()


def first_of_work(works: Sequence[str]) -> np.ndarray:
    """(pieces,) int32: the first piece of the work of each, itself where that is ""."""
    encoded = pa.array(works, pa.string()).dictionary_encode()
    number = encoded.indices.to_numpy()
    first = np.unique(number, return_index=True)[1][number]
    named = pc.not_equal(encoded.dictionary_decode(), "").to_numpy(zero_copy_only=False)
    return np.where(named, first, np.arange(len(works))).astype(np.int32)
