"""Show what each tokenizer keeps of MIDI files: notes in, notes out, and whether they are equal.

    python -m data.roundtrip song.mid other.mid
    python -m data.roundtrip --tokenizers abc remi -- corpus/*.mid
    python -m data.roundtrip --abc notation song.mid        notation/song.abc, to look at
    python -m data.roundtrip --picture kept.png song.mid    each note: kept, or lost

Notes are equal if they agree in track, program, drums, onset, duration and pitch. `maps` says
whether changes of tempo and meter come back as well. All this is after quantising. What quantising
changed has a line of its own, with the rules of `data.music.quantise` and `data.midi.reader`.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.describe_pictures import draw_trips
from data.music.files import from_midi
from data.music.score import DEFAULT_TICKS_PER_QUARTER, Score, ScoreError
from data.notation import abc_text
from data.tokens.make import TOKENIZERS, make_tokenizer
from data.tokens.protocol import Tokenizer


@dataclass(frozen=True)
class RoundTrip:
    notes_in: int
    notes_out: int
    came_back: np.ndarray
    """(notes_in,) bool: which notes come back exactly."""
    pitches_kept: int
    """How many come back with onset, pitch, program and drums, whatever track and duration."""
    maps: bool
    """Whether changes of tempo and meter come back."""
    tokens: int

    @property
    def kept(self) -> int:
        return int(self.came_back.sum())

    @property
    def equal(self) -> bool:
        return self.notes_in == self.notes_out == self.kept


def round_trip(score: Score, tokenizer: Tokenizer) -> RoundTrip:
    ids = tokenizer.encode(score)
    again = tokenizer.decode(ids)
    return RoundTrip(
        notes_in=len(score),
        notes_out=len(again),
        came_back=_shared(
            score, again, ("track", "program", "is_drum", "onset", "duration", "pitch")
        ),
        pitches_kept=int(_shared(score, again, ("program", "is_drum", "onset", "pitch")).sum()),
        maps=(score.tempos, score.meters) == (again.tempos, again.meters),
        tokens=len(ids),
    )


def _shared(score: Score, again: Score, columns: tuple[str, ...]) -> np.ndarray:
    """(notes of `score`,) bool: which of them `again` has, each note once."""
    wanted, there = (
        list(zip(*(getattr(each, name).tolist() for name in columns))) for each in (score, again)
    )
    left = Counter(there)
    found = np.zeros(len(wanted), bool)
    for index, note in enumerate(wanted):
        found[index] = left[note] > 0
        left[note] -= 1
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m data.roundtrip",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", type=Path, help="MIDI files")
    parser.add_argument(
        "--tokenizers",
        nargs="+",
        default=list(TOKENIZERS),
        help="the tokenizers to try [abc remi tsd]",
    )
    parser.add_argument(
        "--ticks-per-quarter",
        type=int,
        default=DEFAULT_TICKS_PER_QUARTER,
        help="how finely time is divided: 8, 12 or 24 [24]",
    )
    parser.add_argument(
        "--abc",
        type=Path,
        metavar="DIR",
        help="where to write files as ABC for people [nowhere]",
    )
    parser.add_argument(
        "--picture",
        type=Path,
        metavar="FILE",
        help="draw what came back and what did not, of one file [nowhere]",
    )
    args = parser.parse_args()
    if args.picture and len(args.files) > 1:
        parser.error(f"--picture is of one file, found {len(args.files)}")
    try:
        if args.abc:
            args.abc.mkdir(parents=True, exist_ok=True)
        tokenizers = [make_tokenizer(name, args.ticks_per_quarter) for name in args.tokenizers]
        contents = [path.read_bytes() for path in args.files]
    except (ValueError, OSError) as error:
        print(f"data.roundtrip: {error}", file=sys.stderr)
        return 2
    width = max(len(str(path)) for path in args.files)
    print(f"{'file':{width}}  tokenizer  notes in       out      kept   tokens  equal  maps")
    failed, called = False, Counter[str]()
    for path, content in zip(args.files, contents):
        try:
            score = from_midi(content, args.ticks_per_quarter)
        except ScoreError as error:
            print(f"{path!s:{width}}  {error}")
            failed = True
            continue
        if args.abc:
            called[path.stem] += 1
            # Files of several folders may have one name.
            name = f"{path.stem}-{called[path.stem]}" if called[path.stem] > 1 else path.stem
            (args.abc / f"{name}.abc").write_text(abc_text.write(score, path.stem))
        if score.mended:
            counts = ", ".join(f"{rule} {count:,}" for rule, count in sorted(score.mended.items()))
            print(f"{path!s:{width}}  mended: {counts}")
        trips: dict[str, np.ndarray] = {}
        for tokenizer in tokenizers:
            try:
                trip = round_trip(score, tokenizer)
                trips[tokenizer.name] = trip.came_back
            except ValueError as error:
                print(f"{path!s:{width}}  {tokenizer.name:9}  {error}")
                failed = True
                continue
            print(
                f"{path!s:{width}}  {tokenizer.name:9}{trip.notes_in:>10,}{trip.notes_out:>10,}"
                f"{trip.kept:>10,}{trip.tokens:>9,}  {'yes' if trip.equal else 'no':5}"
                f"  {'yes' if trip.maps else 'no'}"
            )
        if args.picture and trips:
            draw_trips(score, trips, args.picture)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
