"""Files a second, in one process, of each step from MIDI bytes to tokens and text.

    python benchmarks/data_speed.py pop909.tar.gz --files 300

The steps are timed file by file and the median taken over passes, so that other work on the
machine disturbs it little.
"""

import argparse
import statistics
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from data.abc_tokenizer import AbcTokenizer
from data.score import ScoreError, from_midi


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
                from_midi(midi, 24)
            except ScoreError:
                continue
            found.append(midi)
            if len(found) == limit:
                break
    return found


def seconds_of(step: Callable[[Any], Any], inputs: list[Any], passes: int) -> float:
    """Median over passes of the seconds that all inputs take."""
    taken = []
    for _ in range(passes):
        start = time.perf_counter()
        for value in inputs:
            step(value)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


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
    scores = [from_midi(midi, 24) for midi in files]
    tokens = [tokenizer.encode(score) for score in scores]
    steps = {
        "score": seconds_of(lambda midi: from_midi(midi, 24), files, args.passes),
        "tokens": seconds_of(tokenizer.encode, scores, args.passes),
        "text": seconds_of(tokenizer.to_text, tokens, args.passes),
    }
    notes = sum(map(len, scores))
    print(f"{len(files)} files, {notes:,} notes, {sum(map(len, tokens)) / notes:.2f} tokens a note")
    print("| step | files a second | ms a file |\n| --- | --- | --- |")
    for name, seconds in [*steps.items(), ("all", sum(steps.values()))]:
        print(f"| {name} | {len(files) / seconds:,.0f} | {1000 * seconds / len(files):.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
