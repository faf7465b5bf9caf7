"""Hypothesis strategies for quantised scores."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from data.score import Score, bar_lines, build, changes, disjoint

NOTE = st.tuples(
    st.integers(0, 3),  # track
    st.integers(0, 400),  # onset
    st.integers(0, 127),  # pitch
    st.integers(1, 150),  # duration
)


@st.composite
def scores(draw: st.DrawFn, ticks_per_quarter: int = 24) -> Score:
    notes = draw(st.lists(NOTE, min_size=1, max_size=40))
    # Tracks are numbered in order and none is empty; each has one instrument.
    used = {track: index for index, track in enumerate(sorted({note[0] for note in notes}))}
    drums = [draw(st.booleans()) for _ in used]
    programs = [0 if drum else draw(st.integers(0, 127)) for drum in drums]
    rows = [
        [used[t], programs[used[t]], drums[used[t]], onset, pitch, duration, 80]
        for t, onset, pitch, duration in notes
    ]
    columns = disjoint(np.array(rows, dtype=np.int64).T, {})
    end = int((columns[3] + columns[5]).max())
    ticks = st.integers(0, end - 1)
    tempos = draw(st.dictionaries(ticks, st.integers(4, 999), max_size=3))
    meter = st.sampled_from([(4, 4), (3, 4), (6, 8), (2, 2), (5, 8), (7, 16), (12, 8), (3, 32)])
    meters = draw(st.dictionaries(ticks, meter, max_size=2))
    placed = tuple((tick, *value) for tick, value in changes({0: (4, 4)} | meters))
    lines = [tick for tick in bar_lines(placed, ticks_per_quarter, end) if tick < end]
    key = st.tuples(st.integers(-7, 7), st.booleans())
    keys = draw(st.dictionaries(st.sampled_from(lines), key, max_size=2))
    return build(
        ticks_per_quarter,
        columns,
        changes({0: 120} | tempos),
        placed,
        tuple((tick, *value) for tick, value in changes(keys)),
    )
