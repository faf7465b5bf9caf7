"""What is read of MIDI files that symusic alone would read otherwise, and what is refused."""

from __future__ import annotations

import struct
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import ray

from data.abc.tokenizer import AbcTokenizer
from data.midi.reader import MAX_BYTES
from data.music.files import from_midi, parse
from data.music.score import Score, ScoreError
from data.prepare import prepare
from data.store.location import Location
from data.store.manifest import read_manifest
from tests.data.conftest import same_music
from tests.data.midi.smf import END, chunk, hexed, number, quarters, smf

NOTE = "00 90 3c 50 83 60 80 3c 40"
FOUR: list[tuple[float, int]] = [(n, 60 + n) for n in range(4)]
"""The notes of `quarters()`."""
FAR = hexed("ff ff ff 7f ff 01 00")
"""A text, as late as may be."""

SOUND: dict[str, tuple[bytes, list[tuple[float, int]]]] = {
    "a message in packets": (
        smf(
            hexed("00 f0 03 43 12 00 81 40 f7 06 43 12 00 43 12 00 64 f7 04 43 12 00 f7")
            + quarters()
            + END
        ),
        [(292 / 480, 60), (772 / 480, 61), (1252 / 480, 62), (1732 / 480, 63)],
    ),
    "two packets": (smf(hexed("00 f0 02 43 12 00 f7 02 10 f7" + NOTE) + END), [(0, 60)]),
    "packets behind notes": (
        smf(
            quarters()[:18]
            + hexed("00 f0 03 43 12 00 0f f7 05 3c 40 40 40 f7")
            + quarters(70)
            + END
        ),
        [(0, 60), (1, 61), *((2 + 15 / 480 + n, 70 + n) for n in range(4))],
    ),
    "an escape": (smf(hexed("00 f7 03 f3 01 02 00 f7 02 01 02" + NOTE) + END), [(0, 60)]),
    "a status from before a message": (
        smf(hexed("00 90 3c 50 83 60 3c 00 00 f0 05 7e 7f 09 01 f7 00 3e 50 83 60 3e 00") + END),
        [(0, 60), (1, 62)],
    ),
    "one off for four": (
        smf(hexed("00 90 3c 50" + "83 60 90 3c 50" * 3 + "83 60 80 3c 40") + END),
        [(0, 60), (1, 60), (2, 60), (3, 60)],
    ),
    "no off": (smf(hexed("00 90 3c 50 83 60 3e 50 83 60 80 3e 40") + END), [(0, 60), (1, 62)]),
    "all notes off": (
        smf(hexed("00 90 3c 50 83 60 b0 7b 00 00 90 3e 50 83 60 80 3e 40") + END),
        [(0, 60), (1, 62)],
    ),
    "a tempo of nothing": (smf(hexed("00 ff 51 03 00 00 00") + quarters() + END), FOUR),
    "a header of eight bytes": (smf(quarters() + END, more=bytes(2)), FOUR),
    "no track in the header": (smf(quarters() + END, count=0), FOUR),
    "one track of two in the header": (
        smf(hexed(NOTE) + END, quarters(72, 1) + END, count=1),
        [(0, 60), *((n, 72 + n) for n in range(4))],
    ),
    "a controller a day later": (
        smf(quarters() + number(96_000_000) + hexed("b0 07 64") + END),
        FOUR,
    ),
    "a chunk of another kind": (
        smf(hexed(NOTE) + END) + chunk(b"??", b"XFIH"),
        [(0, 60)],
    ),
}  # fmt: skip
"""Bytes, and the onsets in quarters and pitches of their notes, track by track."""


def notes(score: Score) -> list[tuple[float, int]]:
    return list(zip((score.onset / score.ticks_per_quarter).tolist(), score.pitch.tolist()))


@pytest.mark.parametrize("name", SOUND)
def test_notes_stand_where_they_sound(name: str) -> None:
    content, right = SOUND[name]
    found = notes(from_midi(content, 480))
    assert [pitch for _, pitch in found] == [pitch for _, pitch in right]
    assert [onset for onset, _ in found] == pytest.approx([onset for onset, _ in right])


def test_a_riff_file_is_the_midi_file_in_it() -> None:
    content = smf(quarters() + END)
    body = b"RMID" + b"INFO" + struct.pack("<I", 1) + b"x\0" + b"data"
    riff = body + struct.pack("<I", len(content)) + content
    wrapped = b"RIFF" + struct.pack("<I", len(riff)) + riff
    assert same_music(from_midi(wrapped, 24), from_midi(content, 24))


def lasting(content: bytes) -> list[tuple[int, int]]:
    score = from_midi(content, 480)
    return list(zip(score.onset.tolist(), score.duration.tolist()))


def test_a_note_off_ends_the_first_of_equal_pitches_where_all_have_one() -> None:
    both = smf(hexed("00 90 3c 50 60 3c 51 60 80 3c 40 60 3c 40") + END)
    assert [(n.time, n.duration) for n in parse(both).score.tracks[0].notes] == [
        (0, 192),
        (96, 192),
    ]


def test_a_note_off_ends_all_of_equal_pitches_where_some_have_none() -> None:
    """Else a single missing one would make legato of all that follows."""
    one_missing = "00 90 3c 50 60 3c 50 60 3c 00 60 3c 50 60 3c 00 60 3c 50 60 3c 00"
    score = from_midi(smf(hexed(one_missing) + END), 480)
    assert score.duration.tolist() == [96, 96, 96, 96]
    assert score.mended == {"no_off": 1, "overlap": 1}


def test_what_has_no_off_sounds_to_the_end_of_its_track() -> None:
    content = smf(hexed("00 90 3c 50 83 60 ff 2f 00"), quarters(72, 1) + END)
    assert lasting(content)[0] == (0, 480)


@pytest.mark.parametrize("control", [120, 123, 124, 127])
@pytest.mark.parametrize("before", ["b0", "b0 07 64 00 0a 40 60"])
def test_controllers_end_notes_before_their_off(control: int, before: str) -> None:
    silence = hexed("00 90 3c 50 60" + before) + bytes([control, 0])
    late_off = hexed("83 60 80 3c 40")
    ((_, duration),) = lasting(smf(silence + late_off + END))
    assert duration == (96 if before == "b0" else 192)


def test_a_controller_ends_the_notes_of_its_own_track_and_channel_alone() -> None:
    other = hexed("00 91 3c 50 60 b0 7b 00 60 81 3c 40")
    assert lasting(smf(other + END)) == [(0, 192)]


def test_programs_of_a_track_without_notes_hold_where_none_are_set() -> None:
    programs = hexed("00 c0 28 00 c1 46 83 60 c1 47") + END
    own = hexed("00 c0 05") + quarters(40) + END
    score = from_midi(smf(programs, quarters() + END, quarters(72, 1) + END, own), 24)
    found = list(zip(score.track.tolist(), score.program.tolist()))
    assert Counter(found) == {(0, 40): 4, (1, 70): 1, (2, 71): 3, (3, 5): 4}
    assert score.mended == {"program": 2}


def test_drums_are_channel_10_and_what_gs_and_xg_make_drums() -> None:
    gs = "00 f0 0a 41 10 42 12 40 1a 15 02 0f f7"
    xg_part = "00 f0 08 43 10 4c 08 0a 07 02 f7"
    xg_bank = "00 ba 00 7f 00 ca 00"
    for said in (gs, xg_part, xg_bank):
        score = from_midi(smf(hexed(said) + quarters(36, 10) + quarters(60, 0) + END), 24)
        assert score.is_drum.tolist() == [False] * 4 + [True] * 4, said
        assert score.mended == {"drums": 1}


def test_gs_can_take_the_drums_from_channel_10_and_does_not_know_bank_127() -> None:
    melodic = hexed("00 f0 0a 41 10 42 12 40 10 15 00 1b f7") + quarters(60, 9)
    bank = hexed("00 b0 00 7f 00 c0 00") + quarters(60, 0)
    assert not from_midi(smf(melodic + bank + END), 24).is_drum.any()


@pytest.mark.parametrize("power", [6, 32, 33, 255])
def test_absurd_meters_are_left_out_and_counted(power: int) -> None:
    score = from_midi(smf(hexed("00 ff 58 04 03") + bytes([power, 24, 8]) + quarters() + END), 24)
    assert score.meters == ((0, 4, 4),)
    assert score.mended == {"meter": 1}


def tempo(microseconds: int) -> bytes:
    return hexed("00 ff 51 03") + microseconds.to_bytes(3, "big")


@pytest.mark.parametrize(
    ("microseconds", "bpm", "mended"),
    [
        (500_000, 120, {}),
        (697_674, 86, {}),
        (697_675, 86, {}),
        (693_642, 86, {"tempo_rounded": 1}),
        (2**24 - 1, 4, {"tempo_range": 1}),
        (1, 999, {"tempo_range": 1}),
        (0, 120, {"tempo_zero": 1}),
    ],
)
def test_tempos_become_whole_and_whatever_changes_is_counted(
    microseconds: int, bpm: int, mended: dict[str, int]
) -> None:
    score = from_midi(smf(tempo(microseconds) + quarters() + END), 24)
    assert score.tempos == ((0, bpm),)
    assert score.mended == mended


REFUSED = {
    "SMPTE": smf(quarters() + END, division=0xE728),
    "format 2": smf(quarters() + END, quarters(72) + END, form=2),
    "8,947,851 quarters": smf(FAR * 16 + number(976) + hexed("90 48 50 83 60 80 48 40") + END),
    "4,473,927 quarters": smf(FAR * 8 + number(968) + hexed("90 48 50 83 60 80 48 40") + END),
    "792,008 bars": smf(
        hexed("00 ff 58 04 01 05 18 08") + number(47_520_000) + hexed(NOTE[3:]) + END
    ),
    "no notes": smf(hexed("00 90 3c 00") + END),
    "over 7f": smf(hexed("00 90 3c 50 60 b0 07 a8 60 80 3c 40") + END),
    "expected a status": smf(hexed("00 3c 50 60 3c 00") + END),
    "which is no status": smf(hexed("00 f4" + NOTE) + END),
    "ends inside an event": smf(hexed(NOTE + "81")),
    "before its last event": smf(hexed(NOTE + "00 ff 01 7f")),
    "more than are left": smf(quarters() + END)[:-9],
    "more than four bytes": smf(hexed("80 80 80 80 00 90 3c 50") + END),
    "begin with the header": b"RIFF not MIDI",
    "slow reading": smf(hexed("00 f7 00") + b"\x00\xff\x01\x00" * (MAX_BYTES // 4) + END),
}  # fmt: skip
"""By what is said of them."""


@pytest.mark.parametrize("said", REFUSED)
def test_refused_in_one_line_that_says_why(said: str) -> None:
    with pytest.raises(ScoreError, match=said) as caught:
        from_midi(REFUSED[said], 24)
    assert "\n" not in str(caught.value)


def test_as_many_silent_bars_as_the_text_can_count_are_read_again() -> None:
    meter = hexed("00 ff 58 04 01 03 18 08")
    silence = number(240 * 99_997)
    score = from_midi(smf(meter + silence + hexed("90 3c 50 83 60 80 3c 40") + END), 24)
    tokenizer = AbcTokenizer()
    assert same_music(tokenizer.decode(tokenizer.encode(score)), score)


def test_all_in_one_folder_are_pieces_or_have_a_reason(tmp_path: Path) -> None:
    folder = tmp_path / "midi"
    folder.mkdir()
    files = REFUSED | {name: content for name, (content, _) in SOUND.items()}
    for name, content in files.items():
        (folder / f"{name}.mid").write_bytes(content)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        prepare(str(folder), "abc", Location.of(tmp_path / "out"))
    finally:
        ray.shutdown()
    rejected = pq.read_table(tmp_path / "out" / "rejected.parquet").to_pylist()
    unreadable = {row["path"] for row in rejected if row["reason"] == "unreadable"}
    assert unreadable == {f"{name}.mid" for name in REFUSED}
    manifest = read_manifest(Location.of(tmp_path / "out"))
    kept = sum(split["pieces"] for split in manifest.splits.values())
    assert kept + len(rejected) == len(files)
    assert manifest.mended["running_status"] == manifest.mended["tempo_zero"] == 1
