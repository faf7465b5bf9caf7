"""Versions of one work share a group, in any key and as performed; different works do not."""

from __future__ import annotations

import re
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.music.files import from_midi
from data.music.score import Score, ScoreError, build
from data.works import buckets, versions
from data.works.signatures import BINS, signature
from harness.performances import DISTURBANCES, perform
from tests.data.conftest import corpus_members, make_midi


def tune(seed: int, transposed: int = 0, changed: int = 0) -> Score:
    generator = np.random.default_rng(seed)
    pitches = generator.integers(50, 80, size=120)
    pitches[60 : 60 + changed] += 1
    rows = [[0, 0, 0, 12 * i, p + transposed, 12, 80] for i, p in enumerate(pitches)]
    return build(24, np.array(rows).T, ((0, 120),), ((0, 4, 4),), ())


def piano(seed: int, bars: int = 60) -> Score:
    """A melody in quarters over chords that are broken in eighths, in a way of the work's own."""
    rng = np.random.default_rng(seed)
    broken = rng.permutation([0, 2, 4, 7, 9, 2, 4, 7]).tolist()
    rows = []
    scale = np.array([0, 2, 4, 5, 7, 9, 11])
    place = 7
    for bar in range(bars):
        root = int(rng.integers(0, 7))
        for beat in range(4):
            place = int(np.clip(place + rng.integers(-3, 4), 0, 13))
            high = 60 + 12 * (place // 7) + int(scale[place % 7])
            rows.append([0, 0, 0, 96 * bar + 24 * beat, high, 24, 80])
        for eighth, step in enumerate(broken):
            low = 36 + 12 * ((root + step) // 7) + int(scale[(root + step) % 7])
            rows.append([1, 0, 0, 96 * bar + 12 * eighth, low, 12, 60])
    return build(24, np.array(rows).T, ((0, 100),), ((0, 4, 4),), ())


def groups(*scores: Score, works: list[str] | None = None) -> list[str]:
    names = [f"piece-{index}" for index in range(len(scores))]
    signatures = np.stack([signature(score) for score in scores])
    works = works or [""] * len(scores)
    first = [works.index(work) if work else n for n, work in enumerate(works)]
    return [names[n] for n in versions.group(signatures, np.array(first, np.int32))]


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


@pytest.mark.parametrize("names", [[name] for name in DISTURBANCES] + [list(DISTURBANCES)])
def test_performances_of_a_score_join_it_and_those_of_others_do_not(names: list[str]) -> None:
    rng = np.random.default_rng(5)
    works = [piano(seed) for seed in range(8)]
    played = [perform(work, names, rng) for work in works for _ in range(2)]
    found = groups(*works, *played)
    assert found[8::2] == found[9::2] == found[:8]
    assert len(set(found)) == 8


def test_pieces_of_a_known_work_are_joined_whatever_they_share() -> None:
    found = groups(tune(1), tune(2), tune(3), tune(4), works=["a", "b", "a", ""])
    assert found == ["piece-0", "piece-1", "piece-0", "piece-3"]


def test_different_tunes_stay_apart() -> None:
    assert len(set(groups(*map(tune, range(20))))) == 20


def test_tunes_too_short_for_two_runs_are_joined_if_they_are_one() -> None:
    def short(*pitches: int) -> Score:
        rows = [[0, 0, 0, 24 * n, pitch, 24, 80] for n, pitch in enumerate(pitches)]
        return build(24, np.array(rows).T, ((0, 120),), ((0, 4, 4),), ())

    assert groups(short(60, 62, 64), short(65, 67, 69), short(60, 62, 63)) == [
        "piece-0",
        "piece-0",
        "piece-2",
    ]


def test_pieces_for_drums_are_grouped_by_their_beat_and_not_by_being_for_drums() -> None:
    def beat(seed: int, bpm: int) -> Score:
        rng = np.random.default_rng(seed)
        onsets = np.cumsum(rng.choice([24, 48, 96], 64)).tolist()
        hits = [(onset, 24, int(rng.choice([36, 38, 42]))) for onset in onsets]
        return from_midi(make_midi([(0, True, hits)], tempos=[(0, bpm)]).dumps_midi(), 24)

    assert groups(beat(1, 100), beat(2, 100), beat(1, 140)) == ["piece-0", "piece-1", "piece-0"]


def test_the_group_does_not_depend_on_the_order() -> None:
    first = groups(tune(1), tune(2), tune(1, transposed=3))
    assert first[0] == first[2] == "piece-0"
    assert first[1] == "piece-1"


def sketches(runs: list[set[int]]) -> np.ndarray:
    """Signatures in which run n is value 1 + n // BINS of bin n % BINS; of two, the lesser."""
    found = np.zeros((len(runs), BINS), np.uint16)
    for sketch, held in zip(found, runs):
        for run in sorted(held, reverse=True):
            sketch[run % BINS] = 1 + run // BINS
    return found


def test_a_figure_that_many_pieces_share_joins_none_of_them() -> None:
    figure = set(range(versions.ENOUGH + 4))
    own = [set(range(100 * n + 100, 100 * n + 200)) for n in range(versions.COMMON + 1)]
    found = versions.group(sketches([figure | runs for runs in own]))
    assert found.tolist() == list(range(len(own)))


def test_a_work_of_many_versions_is_one_group_all_the_same() -> None:
    """What they share would pass for a figure, if it were not so much of each."""
    rng = np.random.default_rng(6)
    work = rng.permutation(400)
    versions_of_it = [
        set(rng.choice(work, 160, replace=False).tolist())
        | set(rng.integers(512, 9999, 160).tolist())
        for _ in range(12 * versions.COMMON)
    ]
    assert set(versions.group(sketches(versions_of_it)).tolist()) == {0}


def many(pieces: int, bins: int = BINS) -> tuple[np.ndarray, np.ndarray]:
    """Signatures of pieces without a common run, but that every second is a version of the one
    before and shares a few bins more than are enough; and the first piece of each work."""
    rng = np.random.default_rng(9)
    found = rng.integers(1, 2**16, (pieces, bins), dtype=np.uint16)
    for piece in range(0, pieces, 2):
        shared = rng.choice(bins, versions.ENOUGH + 4, replace=False)
        found[piece + 1, shared] = found[piece, shared]
    order = rng.permutation(pieces)
    first = np.minimum(np.argsort(order), np.argsort(order)[np.arange(pieces) ^ 1])
    return found[order], first[order]


@pytest.mark.slow
def test_versions_among_very_many_pieces_are_found_though_most_bins_agree_by_chance() -> None:
    """Of 100,000 pieces another has the same value in each bin; two such bins are what counts."""
    signatures, works = many(100_000)
    found = versions.group(signatures, threads=2)
    assert np.count_nonzero(found != works) <= 100_000 / 1000


def test_the_groups_do_not_depend_on_how_the_work_is_divided(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    signatures, works = many(1000)
    assert versions.group(signatures.copy()).tolist() == works.tolist()
    monkeypatch.setattr(buckets, "BLOCK", 7)
    assert versions.group(signatures.copy(), threads=5).tolist() == works.tolist()


def test_equal_signatures_are_of_one_work_though_all_that_they_hold_are_figures() -> None:
    """And in bins among which nothing is looked for while figures still count."""
    first, second = 2 * BINS // 3, 2 * BINS // 3 + 1
    others = [{figure, n} for n, figure in enumerate(versions.COMMON * (first, second))]
    found = versions.group(sketches([{first, second}, {first, second}, *others]))
    assert found.tolist() == [0, 0, *range(2, 2 + len(others))]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sets(st.integers(0, 60), max_size=25), min_size=2, max_size=12))
def test_the_groups_are_those_of_comparing_every_pair(contents: list[set[int]]) -> None:
    signatures = sketches(contents)
    label = list(range(len(contents)))
    for left in range(len(contents)):
        for right in range(left):
            if versions.similar(signatures[[left]], signatures[[right]], versions.ENOUGH)[0]:
                label = [label[left] if old == label[right] else old for old in label]
    expected = [label.index(value) for value in label]
    assert versions.group(signatures).tolist() == expected


def test_hardly_a_song_of_pop909_is_torn_and_no_two_are_merged_but_for_doubles() -> None:
    """Of 909 songs 4 were torn when this was written, 3 by a file that shares nothing with them."""
    works, signatures = [], []
    for path, content in corpus_members("pop909"):
        try:
            signatures.append(signature(from_midi(content, 24)))
        except ScoreError:
            continue
        works.append(re.findall(r"/(\d{3})/", path)[0])
    groups_of, works_of = defaultdict(set), defaultdict(set)
    for work, group in zip(works, versions.group(np.stack(signatures)).tolist()):
        groups_of[work].add(group)
        works_of[group].add(work)
    assert sum(len(found) > 1 for found in groups_of.values()) <= 4
    merged = sum(len(held) * (len(held) - 1) // 2 for held in works_of.values())
    assert merged * 1000 <= 909 * 908 // 2
    assert max(map(len, works_of.values())) <= 3
