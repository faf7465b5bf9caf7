"""Any MIDI file is read as a player hears it that knows the events and never sees the bytes."""

from __future__ import annotations

import contextlib
from collections import Counter

import pytest
import symusic
from hypothesis import given, settings
from hypothesis import strategies as st

from data.midi.chunks import marked
from data.midi.events import MidiError
from data.midi.reader import read
from data.music.files import MAX_QUARTERS, parse
from data.music.quantise import quantise
from data.music.score import ScoreError
from tests.data.conftest import CORPORA, corpus_members, same_music
from tests.data.midi.smf import number, smf

Said = tuple[int, str, int, int, int]
"""Delta time, what, channel, and two numbers."""
Sounding = tuple[int, bool, int, int, int, int]
"""Program, whether drums, start, duration, pitch, velocity."""

Event = tuple[int, str, int, tuple[int, bool]]
"""Tick, `on`, `off` or `silence`, velocity; program and whether it is drums."""

LENGTHS = {"program": 1, "pressure": 1}
STATUSES = {"off": 0x80, "on": 0x90, "touch": 0xA0, "control": 0xB0, "program": 0xC0}
STATUSES |= {"pressure": 0xD0, "bend": 0xE0}


@st.composite
def said(draw: st.DrawFn) -> list[Said]:
    """A track: few channels and pitches, so that notes meet; in the end one with an off."""
    channel, byte = st.sampled_from([0, 1, 9]), st.integers(0, 127)
    note = st.tuples(st.sampled_from(["on", "on", "off"]), channel, st.integers(60, 62), byte)
    control = st.sampled_from([(7, 100), (0, 127), (0, 0), (64, 127), (120, 0), (121, 0), (123, 0)])
    system = st.sampled_from(["text", "tempo", "message", "packets", "escape"])
    other = st.one_of(
        st.tuples(st.just("control"), channel, control).map(lambda c: (c[0], c[1], *c[2])),
        st.tuples(st.just("program"), channel, st.integers(0, 3), st.just(0)),
        st.tuples(st.sampled_from(["touch", "pressure", "bend"]), channel, byte, byte),
        st.tuples(system, byte, byte, byte),
    )
    delta = st.sampled_from([0, 1, 10, 127, 128, 14_400, 15_300, 2**14, 2**21])
    events = draw(st.lists(st.tuples(delta, st.one_of(note, note, note, other)), max_size=25))
    last = [(0, "on", 0, 59, 64), (96, "off", 0, 59, 64)]
    return [*((delta, *event) for delta, event in events), *last]


def written(track: list[Said], draw_status: st.DataObject) -> bytes:
    """With running status wherever that may be and is drawn."""
    out, running = b"", -1
    for delta, what, channel, first, second in track:
        out += number(delta)
        if what in STATUSES:
            status = STATUSES[what] | channel
            if status != running or draw_status.draw(st.booleans()):
                out += bytes([status])
            out += bytes([first, second])[: LENGTHS.get(what, 2)]
            running = status
            continue
        running = -1
        out += {
            "text": b"\xff\x01" + number(first) + bytes([second | 0x80]) * first,
            "tempo": b"\xff\x51\x03" + bytes([1 + first, 0xF0, 0xF7]),
            "message": b"\xf0" + number(first + 1) + bytes([second]) * first + b"\xf7",
            "packets": b"\xf0\x02\x43"
            + bytes([first])
            + number(delta)
            + b"\xf7\x02"
            + bytes([second])
            + b"\xf7",
            "escape": b"\xf7" + number(first) + bytes([second | 0x80]) * first,
        }[what]
    return out + number(7) + b"\xff\x2f\x00"


def played(track: list[Said]) -> list[Sounding]:
    """What a synthesiser makes of it, line by line."""
    tick = 0
    program, bank = dict.fromkeys(range(16), (0, False)), dict.fromkeys(range(16), 0)
    lines: dict[tuple[int, int], list[Event]] = {}
    for delta, what, channel, first, second in track:
        # A second packet comes after the same delta time again.
        tick += delta * (2 if what == "packets" else 1)
        if what in ("on", "off"):
            kind = "on" if what == "on" and second else "off"
            lines.setdefault((channel, first), []).append((tick, kind, second, program[channel]))
        elif what == "program":
            program[channel] = (first, bank[channel] == 127)
        elif what == "control" and first == 0:
            bank[channel] = second
        elif what == "control" and first in (120, 123):
            for (other, _), line in lines.items():
                if other == channel:
                    line.append((tick, "silence", 0, program[channel]))
    end = tick + 7
    return [
        (number, channel == 9 or drums, start, until - start, pitch, velocity)
        for (channel, pitch), line in lines.items()
        for start, until, velocity, (number, drums) in ended(line, end)
    ]


def ended(line: list[Event], end: int) -> list[tuple[int, int, int, tuple[int, bool]]]:
    """Start, end, velocity and program of the notes of one pitch."""
    ons = [at for at, (_, what, _, _) in enumerate(line) if what == "on"]
    after = [[n for n in range(at, len(line)) if line[n][1] != "on"] for at in ons]
    spent: set[int] = set()
    ends = []
    for following in after:
        free = [n for n in following if n not in spent]
        ends += free[:1]
        # An off is for one note, a silence for all.
        spent |= {n for n in free[:1] if line[n][1] == "off"}
    if len(ends) < len(ons):
        ends = [following[0] if following else len(line) for following in after]
    ticks = [tick for tick, *_ in line] + [end]
    return [(line[at][0], ticks[n], *line[at][2:]) for at, n in zip(ons, ends)]


@settings(max_examples=300)
@given(st.lists(said(), min_size=1, max_size=2), st.data())
def test_any_file_is_read_as_it_is_played(tracks: list[list[Said]], drawn: st.DataObject) -> None:
    content = smf(*[written(track, drawn) for track in tracks])
    right = Counter(note for track in tracks for note in played(track))
    careful, _ = read(content, MAX_QUARTERS)
    for midi in (parse(content).score, careful):
        found = Counter(
            (track.program, track.is_drum, n.time, n.duration, n.pitch, n.velocity)
            for track in midi.tracks
            for n in track.notes
        )
        assert found == right


@pytest.mark.parametrize("corpus", CORPORA)
def test_both_readers_agree_on_real_music(corpus: str) -> None:
    slow = total = 0
    for path, content in corpus_members(corpus, limit=100):
        try:
            midi = parse(content)
            score, mended = read(content, MAX_QUARTERS)
        except (ScoreError, MidiError):
            continue
        total += 1
        slow += not marked(content)
        left, right = quantise(midi.score, 24), quantise(score, 24)
        assert same_music(left, right), path
        assert left.velocity.tolist() == right.velocity.tolist(), path
        if not mended:
            plain = quantise(symusic.Score.from_midi(content), 24)
            assert same_music(left, plain), path
            assert left.velocity.tolist() == plain.velocity.tolist(), path
    assert slow <= 0.05 * total


@settings(max_examples=300)
@given(st.binary(max_size=60), st.integers(0, 3))
def test_damaged_tracks_are_read_or_refused(body: bytes, tracks: int) -> None:
    content = smf(*[body] * tracks)
    marked(content)
    with contextlib.suppress(MidiError):
        read(content, MAX_QUARTERS)
