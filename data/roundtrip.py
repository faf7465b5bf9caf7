"""Show what each tokenizer keeps of MIDI files: notes in, notes out, and whether they are equal.

    python -m data.roundtrip song.mid other.mid
    python -m data.roundtrip --tokenizers abc remi -- corpus/*.mid
    python -m data.roundtrip --abc notation song.mid        notation/song.abc, to look at

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

from data.music.files import from_midi
from data.music.score import DEFAULT_TICKS_PER_QUARTER, Score, ScoreError
from data.notation import abc_text
from data.tokens.make import TOKENIZERS, make_tokenizer
from data.tokens.protocol import Tokenizer


@dataclass(frozen=True)
class RoundTrip:
    notes_in: int
    notes_out: int
    kept: int
    """How many notes come back exactly."""
    pitches_kept: int
    """How many come back with onset, pitch, program and drums, whatever track and duration."""
    maps: bool
    """Whether changes of tempo and meter come back."""
    tokens: int

    @property
    def equal(self) -> bool:
        return self.notes_in == self.notes_out == self.kept


def round_trip(score: Score, tokenizer: Tokenizer) -> RoundTrip:
    ids = tokenizer.encode(score)
    again = tokenizer.decode(ids)
    return RoundTrip(
        notes_in=len(score),
        notes_out=len(again),
        kept=_shared(score, again, ("track", "program", "is_drum", "onset", "duration", "pitch")),
        pitches_kept=_shared(score, again, ("program", "is_drum", "onset", "pitch")),
        maps=(score.tempos, score.meters) == (again.tempos, again.meters),
        tokens=len(ids),
    )


def _shared(left: Score, right: Score, columns: tuple[str, ...]) -> int:
    counted = (
        Counter(zip(*(getattr(score, name).tolist() for name in columns)))
        for score in (left, right)
    )
    return sum((next(counted) & next(counted)).values())


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
    args = parser.parse_args()
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
        for tokenizer in tokenizers:
            try:
                trip = round_trip(score, tokenizer)
            except ValueError as error:
                print(f"{path!s:{width}}  {tokenizer.name:9}  {error}")
                failed = True
                continue
            print(
                f"{path!s:{width}}  {tokenizer.name:9}{trip.notes_in:>10,}{trip.notes_out:>10,}"
                f"{trip.kept:>10,}{trip.tokens:>9,}  {'yes' if trip.equal else 'no':5}"
                f"  {'yes' if trip.maps else 'no'}"
            )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
