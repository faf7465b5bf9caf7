"""Our own reader of MIDI files, for files that symusic misreads.

It agrees with symusic wherever symusic is right, and otherwise reads what a synthesiser would play.
It follows these rules, and counts each use:

    no_off          a note-on whose pitch has too few note-offs: each note-off there ends all notes
                    that sound, and what is left sounds until the track ends
    program         a channel for which its track sets no program takes the one that a track without
                    notes sets for it
    drums           a channel becomes drums, or stops being drums, by a GS or XG message or by XG's
                    drum bank
    header          a header that gets the number of tracks wrong
    running_status  a status used again after a system-exclusive message, which cancels it
    meter           a meter whose denominator is over 128 is dropped

The channels of one track are separate from those of another: note-offs and controllers end only
notes of their own track. Where a pitch sounds several times at once, a note-off ends the note that
began first. The controllers 120 and 123 to 127 end all notes.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import symusic

from data.midi.chunks import RHYTHM, tracks
from data.midi.events import (
    CONTROL,
    END_OF_TRACK,
    KEY,
    META,
    METER,
    NOTE_OFF,
    NOTE_ON,
    PROGRAM,
    SYSEX,
    TEMPO,
    MidiError,
    events,
)

DRUM_CHANNEL = 9
XG_DRUM_BANK = 127
GS_MESSAGE = re.compile(rb"\x41.\x42\x12", re.DOTALL)

MAX_BYTES = 4 * 2**20
"""Of one file. Every byte takes a hundred bytes of memory and a microsecond."""
ALL_OFF = -1
"""Stands for a velocity where all notes end."""


@dataclass
class Channel:
    """The events of one track on one channel."""

    pitches: dict[int, list[tuple[int, int, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """By pitch, in order of time: tick; the velocity of a note-on, 0 for a note-off, or `ALL_OFF`;
    the index in `programs` of the current program, -1 before the first."""
    programs: list[tuple[int, int, bool]] = field(default_factory=list)
    """In order of time: tick, program, and whether it was chosen from XG's drum bank."""
    bank: int = 0
    end: int = 0


@dataclass
class Maps:
    """What holds for all tracks; every entry begins with its tick."""

    tempos: list[tuple[int, int]] = field(default_factory=list)
    """In microseconds per quarter."""
    meters: list[tuple[int, int, int]] = field(default_factory=list)
    keys: list[tuple[int, int, int]] = field(default_factory=list)
    rhythm: dict[int, bool] = field(default_factory=dict)
    """Whether a channel is drums, for channels that GS or XG messages assign."""
    gs: bool = False
    """Whether there are GS messages; bank 127 is then an old sound set and not drums."""


def read(data: bytes, max_quarters: int) -> tuple[symusic.Score, Counter[str]]:
    """The notes, tempos, meters and keys of a MIDI file, and how often each rule was applied.

    Raises MidiError if it is not a MIDI file, if it is too large, or if its notes last longer than
    `max_quarters`.
    """
    if len(data) > MAX_BYTES:
        raise MidiError(f"it needs slow reading, and has {len(data):,} bytes, over {MAX_BYTES:,}")
    ticks_per_quarter, count, bodies = tracks(data)
    mended: Counter[str] = Counter()
    mended["header"] = int(count != len(bodies))
    maps = Maps()
    in_tracks = [_channels(body, maps, mended) for body in bodies]
    _share_programs(in_tracks, mended)
    score = symusic.Score(ticks_per_quarter)
    for track in in_tracks:
        voices: dict[tuple[int, int, bool], list[tuple[int, ...]]] = defaultdict(list)
        for number, channel in sorted(track.items()):
            for program, is_drum, note in _notes(channel, number, maps, mended):
                voices[number, program, is_drum].append(note)
        for (_, program, is_drum), notes in sorted(voices.items()):
            columns = np.array(notes, np.int64).T
            last = int((columns[0] + columns[1]).max())
            if last > min(max_quarters * ticks_per_quarter, np.iinfo(np.int32).max):
                raise MidiError(f"its notes last {last // max(ticks_per_quarter, 1):,} quarters")
            time, duration, pitch, velocity = columns.astype(np.int32)
            score.tracks.append(
                symusic.Track(
                    program=program,
                    is_drum=is_drum,
                    notes=symusic.Note.from_numpy(
                        time, duration, pitch.astype(np.int8), velocity.astype(np.int8)
                    ),
                )
            )
    _add_maps(score, maps)
    return score, +mended


def _channels(body: bytes, maps: Maps, mended: Counter[str]) -> dict[int, Channel]:
    """The events of a track by channel; those that concern all channels are added to `maps`."""
    channels: dict[int, Channel] = defaultdict(Channel)
    for tick, status, data in events(body, mended):
        if status == META:
            if data[0] == END_OF_TRACK:
                for channel in channels.values():
                    channel.end = tick
            else:
                _add_meta(tick, data, maps, mended)
            continue
        if status == SYSEX:
            _add_rhythm(data, maps)
            continue
        kind, channel = status & 0xF0, channels[status & 0x0F]
        if kind in (NOTE_ON, NOTE_OFF):
            pitch, velocity = data
            sounds = velocity if kind == NOTE_ON else 0
            channel.pitches[pitch].append((tick, sounds, len(channel.programs) - 1))
        elif kind == PROGRAM:
            channel.programs.append((tick, data[0], channel.bank == XG_DRUM_BANK))
        elif kind == CONTROL and data[0] == 0:
            channel.bank = data[1]
        elif kind == CONTROL and (data[0] == 120 or data[0] > 122):
            for line in channel.pitches.values():
                if line[-1][1] != ALL_OFF:
                    line.append((tick, ALL_OFF, -1))
    return channels


def _add_meta(tick: int, data: bytes, maps: Maps, mended: Counter[str]) -> None:
    kind, data = data[0], data[1:]
    if kind == TEMPO and len(data) >= 3:
        maps.tempos.append((tick, int.from_bytes(data[:3], "big")))
    elif kind == METER and len(data) >= 2:
        if data[1] < 8:
            maps.meters.append((tick, data[0], 1 << data[1]))
        else:
            mended["meter"] += 1
    elif kind == KEY and len(data) >= 2:
        maps.keys.append((tick, int.from_bytes(data[:1], "big", signed=True), data[1] & 1))


def _add_rhythm(message: bytes, maps: Maps) -> None:
    maps.gs = maps.gs or GS_MESSAGE.match(message) is not None
    if found := RHYTHM.match(message):
        if found["gs"]:
            # Blocks begin with the drum channel: 10, then 1 to 9, then 11 to 16.
            block = message[5] & 0x0F
            channel = DRUM_CHANNEL if block == 0 else block - (block < 10)
            maps.rhythm[channel] = found["gs"] > b"\x00"
        elif found["xg_part"] < b"\x10":
            maps.rhythm[found["xg_part"][0]] = found["xg"] > b"\x00"


def _share_programs(tracks: Iterable[dict[int, Channel]], mended: Counter[str]) -> None:
    """Let channels without a program take the one that a track without notes sets for them."""
    shared: dict[int, list[tuple[int, int, bool]]] = defaultdict(list)
    waiting = []
    for track in tracks:
        has_notes = any(channel.pitches for channel in track.values())
        for number, channel in track.items():
            if not has_notes:
                shared[number] += channel.programs
            elif channel.pitches and not channel.programs:
                waiting.append((number, channel))
    for number, channel in waiting:
        if shared[number]:
            channel.programs = sorted(shared[number], key=lambda change: change[0])
            starts = [tick for tick, _, _ in channel.programs]
            for line in channel.pitches.values():
                at = np.searchsorted(starts, [event[0] for event in line], side="right") - 1
                line[:] = [(tick, velocity, int(n)) for (tick, velocity, _), n in zip(line, at)]
            mended["program"] += 1


def _notes(
    channel: Channel, number: int, maps: Maps, mended: Counter[str]
) -> Iterable[tuple[int, bool, tuple[int, ...]]]:
    """The program, whether it is drums, and (tick, duration, pitch, velocity) of each note."""
    found = []
    for pitch, line in channel.pitches.items():
        notes, left = pair(line, channel.end, all_at_once=False)
        if left:
            mended["no_off"] += left
            notes, _ = pair(line, channel.end, all_at_once=True)
        found += [(program, (tick, end - tick, pitch, v)) for tick, end, v, program in notes]
    usual = number == DRUM_CHANNEL
    by_rule = False
    for index, note in found:
        _, program, drum_bank = channel.programs[index] if index >= 0 else (0, 0, False)
        is_drum = maps.rhythm.get(number, usual or (drum_bank and not maps.gs))
        by_rule = by_rule or is_drum != usual
        yield program, is_drum, note
    mended["drums"] += by_rule


def pair(
    line: list[tuple[int, int, int]], end: int, *, all_at_once: bool
) -> tuple[list[tuple[int, int, int, int]], int]:
    """(start, end, velocity, program) of the notes on one pitch, and how many had no note-off.

    line: as in `Channel.pitches`. end: the tick at which notes without a note-off end. all_at_once:
    whether a note-off ends every note that sounds, or only the one that began first.
    """
    notes: list[tuple[int, int, int, int]] = []
    sounding: list[tuple[int, int, int]] = []
    for tick, velocity, program in line:
        if velocity > 0:
            sounding.append((tick, velocity, program))
        elif sounding:
            count = len(sounding) if all_at_once or velocity == ALL_OFF else 1
            notes += [(start, tick, loud, prog) for start, loud, prog in sounding[:count]]
            del sounding[:count]
    notes += [(start, end, loud, prog) for start, loud, prog in sounding]
    return notes, len(sounding)


def _add_maps(score: symusic.Score, maps: Maps) -> None:
    """Changes later than symusic can count are later than all notes, and are left out."""
    last = np.iinfo(np.int32).max
    for tick, microseconds in sorted(maps.tempos, key=lambda change: change[0]):
        if tick <= last:
            score.tempos.append(symusic.Tempo(tick, mspq=microseconds))
    for tick, numerator, denominator in sorted(maps.meters, key=lambda change: change[0]):
        if tick <= last:
            score.time_signatures.append(symusic.TimeSignature(tick, numerator, denominator))
    for tick, sharps, minor in sorted(maps.keys, key=lambda change: change[0]):
        if tick <= last:
            score.key_signatures.append(symusic.KeySignature(tick, sharps, minor))
