"""Scores to test with, made up or taken from real files."""

import os
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import ray
import symusic
from hypothesis import strategies as st

from data.music.quantise import quantise
from data.music.score import Score
from data.prepare import prepare
from data.store.location import Location
from tests.waiting import wait_until

VARIABLE = "CRESCENDO_CORPORA"
CORPORA = ("multitrack", "nottingham", "pop909")

Event = tuple[int, int, int]
"""Onset and duration in ticks of 96 a quarter, pitch."""


def corpus_members(name: str, limit: int | None = None) -> Iterator[tuple[str, bytes]]:
    """(path, MIDI bytes) of a corpus's files, in the order of its archive."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        pytest.skip(f"needs {VARIABLE}, the folder that holds {name}.tar.gz")
    taken = 0
    with tarfile.open(Path(folder) / f"{name}.tar.gz") as archive:
        for member in archive:
            content = archive.extractfile(member) if member.name.endswith(".mid") else None
            if content is not None:
                yield member.name, content.read()
                taken += 1
                if taken == limit:
                    return


def make_midi(
    tracks: Sequence[tuple[int, bool, Sequence[Event]]],
    *,
    tempos: Sequence[tuple[int, int]] = (),
    meters: Sequence[tuple[int, int, int]] = (),
    keys: Sequence[tuple[int, int, int]] = (),
) -> symusic.Score:
    """Tracks of (program, is_drum, events); the maps as in `Score`; 96 ticks a quarter."""
    midi = symusic.Score(96)
    for program, is_drum, events in tracks:
        track = symusic.Track("", program, is_drum)
        for onset, duration, pitch in events:
            track.notes.append(symusic.Note(onset, duration, pitch, 80))
        midi.tracks.append(track)
    for tick, bpm in tempos:
        midi.tempos.append(symusic.Tempo(tick, qpm=bpm))
    for tick, numerator, denominator in meters:
        midi.time_signatures.append(symusic.TimeSignature(tick, numerator, denominator))
    for tick, sharps, minor in keys:
        midi.key_signatures.append(symusic.KeySignature(tick, sharps, minor))
    return midi


def melody(pitches: Sequence[int], *, duration: int = 48, **maps: Sequence[tuple]) -> Score:
    """One voice of equal notes from the start, an eighth each unless said otherwise."""
    events = [(n * duration, duration, pitch) for n, pitch in enumerate(pitches)]
    return quantise(make_midi([(0, False, events)], **maps), 24)


@st.composite
def scores(draw: st.DrawFn) -> Score:
    """Any quantised score with notes: tracks, drums, changing tempo, meter and key."""
    tick = st.integers(0, 6 * 4 * 96)
    # Few pitches and onsets make chords, layers and overlaps likely.
    dense = st.tuples(
        st.integers(0, 8).map(lambda step: step * 48),
        st.sampled_from([4, 32, 48, 64, 96, 384]),
        st.integers(58, 66),
    )
    anywhere = st.tuples(tick, st.integers(0, 5 * 96), st.integers(0, 127))
    events = st.lists(dense | anywhere, min_size=1, max_size=25)
    track = st.tuples(st.integers(0, 127), st.booleans(), events)
    midi = make_midi(
        draw(st.lists(track, min_size=1, max_size=4)),
        tempos=draw(st.lists(st.tuples(tick, st.integers(4, 999)), max_size=3)),
        meters=draw(
            st.lists(st.tuples(tick, st.integers(1, 13), st.sampled_from([1, 2, 4, 8])), max_size=3)
        ),
        keys=draw(st.lists(st.tuples(tick, st.integers(-7, 7), st.integers(0, 1)), max_size=3)),
    )
    return quantise(midi, draw(st.sampled_from([24, 12, 8])))


def same_music(left: Score, right: Score) -> bool:
    """Whether everything but velocity is equal."""
    maps = ("ticks_per_quarter", "tempos", "meters", "keys")
    return left.canonical() == right.canonical() and all(
        getattr(left, name) == getattr(right, name) for name in maps
    )


WORKS = 60


def write_works(folder: Path) -> None:
    """Works of 40 notes, every third with a transposed version, a copy, and what is no MIDI."""
    folder.mkdir()
    rng = np.random.default_rng(5)
    for number in range(WORKS):
        pitches = rng.integers(55, 80, 40).tolist()
        for version in range(1 + (number % 3 == 0)):
            events = [(48 * at, 48, pitch + 2 * version) for at, pitch in enumerate(pitches)]
            content = make_midi([(0, False, events)]).dumps_midi()
            (folder / f"{number:02d}-{version}.mid").write_bytes(content)
    (folder / "copy.mid").write_bytes((folder / "07-0.mid").read_bytes())
    (folder / "not.mid").write_bytes(b"RIFF")
    (folder / "notes.txt").write_text("not music")


@pytest.fixture
def ray_here() -> Iterator[None]:
    """For one test alone: the commands that others run would join it."""
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


def pieces(out: Path) -> list[dict]:
    return [
        row for part in sorted((out / "parts").iterdir()) for row in pq.read_table(part).to_pylist()
    ]


def kill_after(names: int, command: list[str], environment: dict[str, str], folder: Path) -> None:
    """Start it, and kill it once so many new names have appeared in the folder, if it lives yet."""
    before = set(folder.rglob("*"))
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as running:

        def far_enough() -> bool:
            new = set(folder.rglob("*")) - before
            return len(new) >= names or running.poll() is not None

        wait_until(far_enough, every=0.005)
        running.kill()


@pytest.fixture(scope="session")
def works(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source") / "works"
    write_works(folder)
    return folder


@pytest.fixture(scope="session")
def made(works: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set of `works`."""
    out = tmp_path_factory.mktemp("made") / "data"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    prepare(str(works), "abc", Location.of(out))
    ray.shutdown()
    return out
