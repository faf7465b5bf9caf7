"""Versions of one tune share a group, in any key; different tunes do not."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from data import abc, versions
from data.abc_reader import read
from data.score import Score, build


def tune(seed: int, transposed: int = 0, changed: int = 0) -> Score:
    generator = np.random.default_rng(seed)
    pitches = generator.integers(50, 80, size=120)
    pitches[60 : 60 + changed] += 1
    rows = [[0, 0, 0, 12 * i, p + transposed, 12, 80] for i, p in enumerate(pitches)]
    return build(24, np.array(rows).T, ((0, 120),), ((0, 4, 4),), ())


def groups(*scores: Score, works: list[str] | None = None) -> list[str]:
    names = [f"piece-{index}" for index in range(len(scores))]
    signatures = np.stack([versions.signature(score) for score in scores])
    return versions.group(names, signatures, works or [""] * len(scores))


def test_a_transposed_and_a_varied_version_join_the_original() -> None:
    assert len(set(groups(tune(1), tune(1, transposed=5), tune(1, changed=3)))) == 1


def test_a_version_with_another_accompaniment_joins_the_original() -> None:
    def accompanied(seed: int) -> Score:
        melody, above = tune(1), tune(seed, transposed=24)
        rows = [
            [track, 0, 0, onset, pitch, 12, 80]
            for track, score in enumerate((melody, above))
            for onset, pitch in zip(score.onset.tolist(), score.pitch.tolist())
        ]
        return build(24, np.array(rows).T, ((0, 120),), ((0, 4, 4),), ())

    assert len(set(groups(accompanied(2), accompanied(3), tune(4)))) == 2


def test_pieces_of_a_known_work_are_joined_whatever_they_share() -> None:
    found = groups(tune(1), tune(2), tune(3), tune(4), works=["a", "b", "a", ""])
    assert found == ["piece-0", "piece-1", "piece-0", "piece-3"]


def test_different_tunes_stay_apart() -> None:
    assert len(set(groups(*map(tune, range(20))))) == 20


def test_the_group_does_not_depend_on_the_order() -> None:
    first = groups(tune(1), tune(2), tune(1, transposed=3))
    assert first[0] == first[2] == "piece-0"
    assert first[1] == "piece-1"


def test_a_tune_shorter_than_a_gram_has_a_signature() -> None:
    short = read(abc.split(f"{abc.HEADER}CDE|{abc.END}"), 24)
    assert versions.signature(short).shape == (versions.PERMUTATIONS,)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9))))
def test_linked_items_share_a_root(links: list[tuple[int, int]]) -> None:
    roots = versions.union(range(10), links)
    assert all(roots[left] == roots[right] for left, right in links)
    assert set(roots) == set(range(10))
