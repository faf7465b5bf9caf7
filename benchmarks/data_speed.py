"""Files per second, in one process, for each step from MIDI bytes to tokens and text.

    python -m benchmarks.data_speed pop909.tar.gz --files 300

Measures processor time, not wall time, and takes the median over passes, so that other work on
the machine disturbs it little. Batches are those of `data.parts`.
"""

import argparse
import statistics
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import symusic

from data.abc.tokenizer import AbcTokenizer
from data.music.files import from_midi, parse
from data.music.quantise import Midi, quantise_all
from data.music.score import ScoreError
from data.parts import BATCH_NOTES
from data.tokens.remi_tsd import MidiTokTokenizer


def read_files(archive: Path, limit: int) -> list[bytes]:
    """The first MIDI files of a tar that have notes."""
    found: list[bytes] = []
    with tarfile.open(archive) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.name.endswith(".mid") else None
            if content is None:
                continue
            midi = content.read()
            try:
                parse(midi)
            except ScoreError:
                continue
            found.append(midi)
            if len(found) == limit:
                break
    return found


def batches(midis: list[Midi]) -> list[list[Midi]]:
    found: list[list[Midi]] = [[]]
    for midi in midis:
        if sum(each.score.note_num() for each in found[-1]) >= BATCH_NOTES:
            found.append([])
        found[-1].append(midi)
    return found


def seconds_of(step: Callable[[Any], Any], inputs: list[Any], passes: int) -> float:
    """Median over passes of the seconds that all inputs take."""
    taken = []
    for _ in range(passes):
        start = time.process_time()
        for value in inputs:
            step(value)
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def beside_miditok(name: str, files: list[bytes]) -> tuple[float, float]:
    """Files a second from bytes to ids: ours, and MidiTok's own, in turn, file by file."""
    tokenizer = MidiTokTokenizer(name)

    def ours(midi: bytes) -> object:
        return tokenizer.encode(from_midi(midi, 24))

    def theirs(midi: bytes) -> object:
        return tokenizer.tokenizer.encode(symusic.Score.from_midi(midi))

    seconds = [[seconds_of(way, [midi], 1) for way in (ours, theirs)] for midi in files]
    own, other = (sum(column) for column in zip(*seconds))
    return len(files) / own, len(files) / other


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("archive", type=Path, help="a tar of MIDI files")
    parser.add_argument("--files", type=int, default=300, help="how many of them [300]")
    parser.add_argument("--passes", type=int, default=3, help="how often [3]")
    args = parser.parse_args()
    if not args.archive.is_file():
        print(f"data_speed: no archive at {args.archive}: expected a tar", file=sys.stderr)
        return 2
    tokenizer = AbcTokenizer()
    files = read_files(args.archive, args.files)
    midis = batches([parse(midi) for midi in files])
    scores = [quantise_all(batch, 24) for batch in midis]
    tokens = [ids for batch in scores for ids in tokenizer.encode_all(batch)]
    steps = {
        "parse": seconds_of(parse, files, args.passes),
        "quantise": seconds_of(lambda batch: quantise_all(batch, 24), midis, args.passes),
        "tokens": seconds_of(tokenizer.encode_all, scores, args.passes),
        "text": seconds_of(tokenizer.to_text, tokens, args.passes),
    }
    notes = sum(len(score) for batch in scores for score in batch)
    print(f"{len(files)} files, {notes:,} notes, {sum(map(len, tokens)) / notes:.2f} tokens a note")
    print("| step | files a second | ms a file |\n| --- | --- | --- |")
    for name, seconds in [*steps.items(), ("all", sum(steps.values()))]:
        print(f"| {name} | {len(files) / seconds:,.0f} | {1000 * seconds / len(files):.2f} |")
    print("\n| tokenizer | ours, files a second | MidiTok's own | ratio |")
    print("| --- | --- | --- | --- |")
    for name in ("remi", "tsd"):
        own, other = beside_miditok(name, files[: args.files // 5])
        print(f"| {name} | {own:.1f} | {other:.1f} | {own / other:.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
