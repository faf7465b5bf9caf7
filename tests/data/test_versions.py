"""Versions of one tune share a group, in any key; different tunes do not."""

from __future__ import annotations

import numpy as np
from datasketch import MinHash, MinHashLSH
from hypothesis import given, settings
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


@settings(max_examples=40)
@given(st.lists(st.lists(st.integers(0, 40), min_size=12, max_size=12), min_size=2, max_size=12))
def test_the_groups_are_those_of_locality_sensitive_hashing_pair_by_pair(
    contents: list[list[int]],
) -> None:
    """datasketch's own index, asked for every piece, and links followed one by one."""
    permutations = MinHash(versions.PERMUTATIONS, seed=1, scheme="affine32").permutations
    sketches = [
        MinHash(versions.PERMUTATIONS, seed=1, permutations=permutations, scheme="affine32")
        for _ in contents
    ]
    for sketch, content in zip(sketches, contents):
        sketch.update_batch([bytes([value]) for value in content])
    signatures = np.stack([sketch.hashvalues for sketch in sketches]).astype(np.uint32)
    index = MinHashLSH(num_perm=versions.PERMUTATIONS, params=(versions.BANDS, versions.ROWS))
    label = list(range(len(contents)))
    for number, sketch in enumerate(sketches):
        for other in index.query(sketch):
            if (signatures[number] == signatures[other]).mean() >= versions.SIMILAR:
                old, new = label[number], label[other]
                label = [new if value == old else value for value in label]
        index.insert(number, sketch)
    names = [f"{number:02d}" for number in range(len(contents))]
    found = versions.group(names, signatures, [""] * len(names))
    expected = [names[label.index(value)] for value in label]
    assert found == expected
