"""A signature is of the music: not of its key, its tempo, its chords' spread or its repeats."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.abc.dialect import END, HEADER, tokens_of
from data.abc.reader import read
from data.music.score import Score, build
from data.music.transpose import transpose
from data.works.signatures import BINS, GRAM, LEAP, lines, runs, signature
from tests.data.conftest import melody, scores

pitches = st.lists(st.integers(50, 78), min_size=1, max_size=60)


def same(left: Score, right: Score) -> bool:
    return bool((signature(left) == signature(right)).all())


def drums(hits: list[tuple[int, int]], bpm: int = 120) -> Score:
    """hits: (tick, drum)."""
    rows = [[0, 0, 1, tick, drum, 6, 80] for tick, drum in hits]
    return build(24, np.array(rows).T, ((0, bpm),), ((0, 4, 4),), ())


@settings(max_examples=50, deadline=None)
@given(scores(), st.integers(-5, 6))
def test_no_key_changes_it(score: Score, semitones: int) -> None:
    assert same(score, transpose(score, semitones))


@settings(max_examples=50, deadline=None)
@given(pitches, st.integers(40, 999))
def test_no_tempo_changes_it(pitches: list[int], bpm: int) -> None:
    tune = melody(pitches)
    assert same(tune, replace(tune, tempos=((0, bpm),)))


@settings(max_examples=50, deadline=None)
@given(pitches, st.data())
def test_spread_chords_are_chords(pitches: list[int], data: st.DataObject) -> None:
    """At 120 quarters a minute three ticks are 62 ms."""
    together = [[0, 0, 0, 24 * n, p - k, 20, 80] for n, p in enumerate(pitches) for k in (0, 4, 7)]
    delays = data.draw(st.lists(st.integers(0, 3), min_size=len(together), max_size=len(together)))
    spread = np.array(together)
    spread[:, 3] += delays
    assert same(
        *(build(24, np.array(x).T, ((0, 120),), ((0, 4, 4),), ()) for x in (together, spread))
    )


@pytest.mark.parametrize(("duration", "intervals"), [(7, [4, 0]), (6, [4, -4, 4])])
def test_a_chord_is_gathered_by_the_clock_while_it_sounds(
    duration: int, intervals: list[int]
) -> None:
    """Six ticks are 125 ms at 120, and 62 ms at 240, from tick 24 on."""
    notes = [(0, 60), (6, 64), (24, 60), (30, 64)]
    rows = [[0, 0, 0, tick, pitch, duration, 80] for tick, pitch in notes]
    score = build(24, np.array(rows).T, ((0, 120), (24, 240)), ((0, 4, 4),), ())
    found = lines(score)[0].view(np.int8).tolist()
    assert found == [*intervals, *[127] * (GRAM - len(intervals))]


def test_what_is_repeated_adds_nothing_but_the_seam() -> None:
    once = np.random.default_rng(1).integers(50, 80, 100).tolist()
    twice = once + once
    assert len(set(runs(melody(twice)).tolist()) - set(runs(melody(once)).tolist())) <= GRAM


def test_a_run_is_the_shorter_the_more_it_leaps() -> None:
    def length(interval: int) -> int:
        run = runs(melody([40 + interval * (n % 2) for n in range(12)]))[:1]
        return int(np.count_nonzero(run.view(np.int8)))

    assert [length(LEAP - 1), length(LEAP)] == [GRAM, GRAM // 2]


def test_a_performance_in_one_track_shares_the_line_of_all_tracks() -> None:
    rng = np.random.default_rng(2)
    rows = np.array(
        [
            [track, 0, 0, 24 * n, pitch, 20, 80]
            for track, low in enumerate((70, 40))
            for n, pitch in enumerate(rng.integers(low, low + 20, 50).tolist())
        ]
    )
    tracks = build(24, rows.T, ((0, 120),), ((0, 4, 4),), ())
    rows[:, 0] = 0
    one = build(24, rows.T, ((0, 120),), ((0, 4, 4),), ())
    assert set(runs(one).tolist()) <= set(runs(tracks).tolist())


def test_drums_beside_other_tracks_are_not_heard() -> None:
    tune = melody([60, 64, 62, 67, 65, 69, 60, 72, 71, 67])
    columns = [
        np.append(getattr(tune, name), value)
        for name, value in zip(
            ("track", "program", "is_drum", "onset", "pitch", "duration", "velocity"),
            (1, 0, True, 0, 36, 6, 80),
        )
    ]
    assert same(tune, build(24, np.stack(columns), tune.tempos, tune.meters, tune.keys))


def test_drums_alone_have_a_signature_of_what_is_struck_and_when() -> None:
    rng = np.random.default_rng(3)
    ticks = np.cumsum(rng.choice([6, 12, 24], 200))
    struck = rng.choice([36, 38, 42, 46], 200)
    beat = list(zip(ticks.tolist(), struck.tolist()))
    slower = [(2 * tick, drum) for tick, drum in beat]
    even = [(12 * n, drum) for n, drum in enumerate(struck.tolist())]
    other = list(zip(ticks.tolist(), rng.permutation(struck).tolist()))
    assert same(drums(beat), drums(beat, bpm=150))
    assert same(drums(beat), drums(slower))
    assert not set(runs(drums(beat)).tolist()) & set(runs(drums(even)).tolist())
    assert not set(runs(drums(beat)).tolist()) & set(runs(drums(other)).tolist())


@pytest.mark.parametrize("notes", [[60], [60, 62, 64], [60] * 9])
def test_a_tune_shorter_than_a_run_has_a_signature(notes: list[int]) -> None:
    assert np.count_nonzero(signature(melody(notes))) == 1


def test_a_tune_read_from_text_has_the_shape_of_any() -> None:
    sketch = signature(read(tokens_of(f"{HEADER}CDE|{END}"), 24))
    assert (sketch.shape, sketch.dtype) == ((BINS,), np.uint16)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(20, 1500), st.floats(0, 1))
def test_equal_bins_estimate_the_jaccard_similarity_of_runs(
    seed: int, notes: int, kept: float
) -> None:
    """Within five standard errors of drawing as many runs as there are filled bins."""
    rng = np.random.default_rng(seed)
    first = rng.integers(40, 90, notes)
    second = np.append(first[: int(kept * notes)], rng.integers(40, 90, notes))
    left, right = (melody(line.tolist()) for line in (first, second))
    a, b = (set(runs(tune).tolist()) for tune in (left, right))
    exact = len(a & b) / len(a | b)
    x, y = signature(left), signature(right)
    filled = (x > 0) | (y > 0)
    found = ((x == y) & filled).sum() / filled.sum()
    assert abs(found - exact) < 5 * np.sqrt(0.25 / filled.sum())
