"""What programs that people open ABC with make of every piece, written for them.

    python -m benchmarks.data_readers folk nottingham.tar.gz pop909.tar.gz --out runs/readers

Each piece is written by `data.notation.abc_text` and read by abcjs, abcm2ps, abc2midi and our own
reader; by music21, which takes seconds a piece, where it is asked for. What was tried stands in a
line of its own, so that a run that was stopped goes on there; `--every N` takes one piece in so
many.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from data.abc.dialect import AbcError
from data.music.files import from_midi
from data.music.score import Score, ScoreError
from data.notation import tunes
from data.notation.abc_text import write
from data.sources import folk
from data.sources.folders import shards
from data.store.location import Location
from harness import abc2midi, readers

BATCH = 20
READERS = ("ours", "abcjs", "abcm2ps", "abc2midi", "music21", "musicxml")
"""The last is music21 as well, of MusicXML."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", nargs="+", help="folk, or archives and folders of MIDI files")
    parser.add_argument("--out", type=Path, required=True, help="where results are kept")
    parser.add_argument("--every", type=int, default=1, help="one piece in so many [1]")
    parser.add_argument(
        "--readers", nargs="+", choices=READERS, default=READERS[:4], help="[the first four]"
    )
    args = parser.parse_args()
    for name in ("abcjs", "abcm2ps"):
        if name in args.readers and (why := readers.lacking(name)):
            print(f"benchmarks.data_readers: {why}", file=sys.stderr)
            return 1
    args.out.mkdir(parents=True, exist_ok=True)
    print("| source | reader | pieces | read alike | otherwise |")
    print("| --- | --- | --- | --- | --- |")
    for source in args.sources:
        kept = args.out / f"{Path(source).name}.jsonl"
        go_on(source, args.every, kept, args.readers)
        for reader in args.readers:
            found = [result[reader] for result in results(kept).values() if reader in result]
            said = Counter(found)
            other = "; ".join(f"{count} {what}" for what, count in said.most_common() if what)
            print(f"| {source} | {reader} | {len(found):,} | {said['']:,} | {other} |", flush=True)
    return 0


def results(kept: Path) -> dict[str, dict[str, str]]:
    """What was found of each piece so far, by reader; a last line that was cut off is left out."""
    found: dict[str, dict[str, str]] = {}
    for line in kept.read_text().splitlines(keepends=True) if kept.exists() else []:
        if line.endswith("\n"):
            name, result = json.loads(line)
            found.setdefault(name, {}).update(result)
    return found


def go_on(source: str, every: int, kept: Path, by: Sequence[str]) -> None:
    done = results(kept)
    kept.write_text("".join(json.dumps(item) + "\n" for item in done.items()))
    left = (
        (name, score)
        for name, score in pieces(source, every)
        if not done.get(name, {}).keys() >= set(by)
    )
    with kept.open("a") as lines:
        while batch := list(itertools.islice(left, BATCH)):
            found = read_by_all([score for _, score in batch], by)
            for number, (name, _) in enumerate(batch):
                said = {reader: answers[number] for reader, answers in found.items()}
                lines.write(json.dumps((name, said)) + "\n")
            lines.flush()


def pieces(source: str, every: int) -> Iterator[tuple[str, Score]]:
    of = folk.shards() if source == "folk" else shards(Location.of(source))
    members = (member for shard in of for member in shard.read())
    for name, content in itertools.islice(members, 0, None, every):
        if isinstance(content, bytes):
            try:
                yield name, from_midi(content, 24)
            except ScoreError:
                continue


def read_by_all(scores: list[Score], by: Sequence[str]) -> dict[str, list[str]]:
    """By reader: what is wrong with each, or nothing."""
    texts = [write(score, "A piece") for score in scores]
    read: dict[str, Callable[[], list[str]]] = {
        "ours": lambda: [*map(ours, texts, scores)],
        "abcjs": lambda: readers.abcjs(texts, scores),
        "abcm2ps": lambda: [readers.abcm2ps(text).split("error: ")[-1] for text in texts],
        "abc2midi": lambda: [*map(heard, scores)],
        "music21": lambda: [*map(readers.music21, scores)],
        "musicxml": lambda: [*map(readers.music21_of_musicxml, scores)],
    }
    return {reader: read[reader]() for reader in by}


def ours(text: str, score: Score) -> str:
    try:
        again = tunes.read(text, score.ticks_per_quarter)
    except AbcError as error:
        return str(error)
    return "" if again.canonical() == score.canonical() else "other notes"


def heard(score: Score) -> str:
    if not abc2midi.within_its_limits(score, write):
        return "more voices than channels, or a pitch below 12"
    return "; ".join(line.split(": ")[1] for line in abc2midi.differences([score], write))


if __name__ == "__main__":
    sys.exit(main())
