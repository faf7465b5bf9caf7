"""Works that paths name are found by a pattern, in a time that no pattern can stretch."""

from __future__ import annotations

import re
import time

import pytest

from data.works.named import check_pattern, first_of_work, works_of

PATHS = ["a/001/x.mid", "b/TRAAAGR128F425B14B/y.mid", "c/\nz.mid", ""]


@pytest.mark.parametrize(
    "pattern", ["/[0-9]{3}/", "TR[A-Z0-9]{16}", "^a", "mid$", "(a|b)/(.)", "(?i)X", ".", "nowhere"]
)
def test_the_first_match_is_that_of_python(pattern: str) -> None:
    matches = [re.search(pattern, path) for path in PATHS]
    assert works_of(PATHS, pattern) == [match[0] if match else "" for match in matches]


def test_without_a_pattern_no_work_is_known() -> None:
    assert works_of(PATHS, "") == ["", "", "", ""]
    assert works_of([], "a") == []


def test_files_of_a_work_point_at_the_first_of_them_and_others_at_themselves() -> None:
    assert first_of_work(["", "b", "a", "", "b"]).tolist() == [0, 1, 2, 3, 1]


def test_a_pattern_that_backtracks_elsewhere_takes_no_time() -> None:
    began = time.process_time()
    assert works_of(["a" * 5000 + "!"], "(a+)+$") == [""]
    assert time.process_time() - began < 1


@pytest.mark.parametrize("pattern", ["(", "[", "(?=a)", "(a{900}){900}"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"^\S.*$"):
        check_pattern(pattern)
