"""ABC text says all of a quantised score but velocity, in the words that a musician would use."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.abc.dialect import HEADER, NATURAL, AbcError, spelling, tokens_of, vocabulary
from data.abc.reader import read
from data.abc.tokenizer import AbcTokenizer
from data.music.files import from_midi
from data.music.quantise import quantise
from data.music.score import Score, ScoreError
from tests.data.conftest import CORPORA, corpus_members, make_midi, melody, same_music, scores


def text_of(score: Score) -> str:
    tokenizer = AbcTokenizer(score.ticks_per_quarter)
    return tokenizer.to_text(tokenizer.encode(score))


def body(score: Score) -> str:
    return text_of(score).removeprefix(HEADER).removesuffix("\n")


@settings(max_examples=300)
@given(scores())
def test_decoding_is_the_inverse_of_encoding(score: Score) -> None:
    tokenizer = AbcTokenizer(score.ticks_per_quarter)
    assert same_music(tokenizer.decode(tokenizer.encode(score)), score)


@settings(max_examples=50)
@given(scores())
def test_the_text_alone_holds_the_score(score: Score) -> None:
    assert same_music(read(tokens_of(text_of(score)), score.ticks_per_quarter), score)


@pytest.mark.parametrize("corpus", CORPORA)
def test_real_music_comes_back(corpus: str) -> None:
    tokenizer = AbcTokenizer()
    for path, midi in corpus_members(corpus, limit=30):
        try:
            score = from_midi(midi, 24)
        except ScoreError:
            assert "corrupt" in path or "empty" in path
            continue
        assert same_music(tokenizer.decode(tokenizer.encode(score)), score), path


@pytest.mark.slow
@pytest.mark.parametrize("corpus", CORPORA)
def test_every_file_of_the_corpora_comes_back(corpus: str) -> None:
    tokenizer = AbcTokenizer()
    unreadable = 0
    for path, midi in corpus_members(corpus):
        try:
            score = from_midi(midi, 24)
        except ScoreError:
            unreadable += 1
            continue
        assert same_music(tokenizer.decode(tokenizer.encode(score)), score), path
    assert unreadable == {"multitrack": 2, "nottingham": 0, "pop909": 1}[corpus]


def test_the_vocabulary_is_small_and_the_same_for_every_grid() -> None:
    tokens = vocabulary()
    assert len(set(tokens)) == len(tokens) < 200
    assert {AbcTokenizer(grid).vocab_size for grid in (8, 12, 24)} == {len(tokens)}


def test_a_melody_reads_as_a_musician_writes_it() -> None:
    assert body(melody([67, 69, 71, 72])) == "GABcz4|"
    assert body(melody([67, 72, 84], duration=96)) == "G2c2c'2z2|"
    assert body(melody([48, 36], duration=192)) == "C,4C,,4|"


def test_a_note_across_a_bar_line_is_tied() -> None:
    assert body(melody([60, 62], duration=288)) == "C6D2-|D4z4|"


def test_thirds_stand_behind_a_tuplet_sign() -> None:
    assert body(melody([60, 62, 64], duration=32)) == "(3CDEz6|"
    assert body(melody([60], duration=64)) == "(3:2:1C2(3:2:1z10|"


def test_a_meter_change_cuts_the_bar_before_it_short() -> None:
    meters = [(0, 3, 4), (192, 2, 4)]
    assert body(melody([60] * 4, duration=96, meters=meters)) == "[M:3/4]C2C2|[M:2/4]C2C2|"


def test_a_new_tempo_ties_the_note_that_it_meets() -> None:
    assert body(melody([60], duration=384, tempos=[(96, 90)])) == "C2-[Q:1/4=90]C6|"


def test_notes_of_the_key_need_no_accidental_and_altered_ones_keep_theirs_to_the_bar_line() -> None:
    in_d = melody([66, 73, 65, 66, 78, 67, 67, 67, 66], keys=[(0, 2, 0)])
    assert body(in_d) == "[K:D]Fc=F^F^fGGG|Fz7|"


@pytest.mark.parametrize(
    ("sharps", "pitch", "written"), [(-2, 66, "^F"), (-1, 61, "^c"), (0, 68, "^G"), (3, 65, "^E")]
)
def test_a_minor_key_raises_its_seventh(sharps: int, pitch: int, written: str) -> None:
    assert written.lower() in body(melody([pitch], keys=[(0, sharps, 1)])).lower()


def test_bars_of_silence_are_counted() -> None:
    late = make_midi([(0, False, [(0, 384, 60), (5 * 384, 384, 62)])])
    assert body(quantise(late, 24)) == "C8|Z4|D8|"


def test_a_voice_is_named_at_once_and_speaks_when_it_sounds() -> None:
    tune = [(bar * 384, 384, 60) for bar in range(4)]
    midi = make_midi([(0, False, tune), (0, False, [(2 * 384, 384, 48)])])
    assert body(quantise(midi, 24)) == "[V:1]C8|[V:2][V:1]C8|C8|[V:2]Z2|C,8|[V:1]C8|"


def test_every_voice_still_to_sound_tells_of_a_new_meter() -> None:
    tune = [(beat * 96, 96, 60) for beat in range(7)]
    midi = make_midi(
        [(0, False, tune), (0, False, [(4 * 96, 96, 48)])], meters=[(96, 2, 4), (480, 3, 4)]
    )
    assert body(quantise(midi, 24)) == (
        "[V:1]C2|[V:2]z2|[V:1][M:2/4]C2C2|C2C2|[V:2][M:2/4]Z|z2C,2|[V:1][M:3/4]C2C2z2|"
    )


def test_voices_alternate_by_systems_and_not_by_short_bars() -> None:
    beats = [(beat * 96, 96, 60) for beat in range(8)]
    midi = make_midi([(0, False, beats), (0, False, beats)], meters=[(0, 1, 4)])
    line = "C2|C2|C2|C2|"
    first = f"[V:1][M:1/4]{line}[V:2][M:1/4]{line}"
    assert body(quantise(midi, 24)) == f"{first}[V:1]{line}[V:2]{line}"


@settings(max_examples=50)
@given(st.lists(scores(), min_size=1, max_size=4))
def test_many_are_written_as_each_alone(several: list[Score]) -> None:
    tokenizer = AbcTokenizer(several[0].ticks_per_quarter)
    alike = [score for score in several if score.ticks_per_quarter == tokenizer.ticks_per_quarter]
    together = tokenizer.encode_all(alike)
    for score, ids in zip(alike, together, strict=True):
        np.testing.assert_array_equal(ids, tokenizer.encode(score))


def test_voices_of_a_track_merge_and_tracks_do_not() -> None:
    held = [(0, 384, 48), (0, 192, 60), (192, 192, 62)]
    midi = make_midi([(24, False, held), (0, True, [(0, 384, 36)])])
    assert body(quantise(midi, 24)) == (
        "[V:1][I:MIDI program 24]C4D4|[V:2 merge][I:MIDI program 24]C,8|"
        "[V:3][I:MIDI channel 10]C,,8|"
    )


@pytest.mark.parametrize("minor", [False, True])
@pytest.mark.parametrize("sharps", range(-7, 8))
def test_every_pitch_has_a_spelling_in_every_key(sharps: int, minor: bool) -> None:
    spelled = np.array([spelling(pitch, sharps, minor) for pitch in range(128)])
    sounding = spelled[:, 2] * 12 + np.array(NATURAL)[spelled[:, 0]] + spelled[:, 1]
    np.testing.assert_array_equal(sounding, np.arange(128))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER + "CD", "ends without"),
        (HEADER + "[CE|\n", "expected a note"),
        (HEADER + "^|\n", "expected a note"),
        (HEADER + "C/32|\n", "off the grid"),
        (HEADER + "[V:2]C|\n", "out of order"),
        (HEADER + "z8|\n", "no notes"),
        (HEADER + "H|\n", "no ABC token"),
    ],
)
def test_what_is_no_piece_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(AbcError, match=message) as caught:
        read(tokens_of(text), 24)
    assert "\n" not in str(caught.value).replace("'\\n'", "")
