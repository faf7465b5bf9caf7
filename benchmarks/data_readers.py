"""What programs that people open ABC with make of every piece, written for them.

    python -m benchmarks.data_readers folk nottingham.tar.gz pop909.tar.gz --out runs/readers

Each piece is written by `data.notation.abc_text` and read by abcjs, abcm2ps, abc2midi and our own
reader. What was tried stands in a line of its own, so that a run that was stopped goes on there;
`--every N` takes one piece in so many.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from data.abc.dialect import AbcError
from data.music.files import from_midi
from data.music.score import Score, ScoreError
from data.notation import tunes
from data.notation.abc_text import write
from data.sources import folk
from data.sources.containers import shards
from data.store.location import Location
from harness import abc2midi, readers

BATCH = 20
READERS = ("ours", "abcjs", "abcm2ps", "abc2midi")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", nargs="+", help="folk, or archives and folders of MIDI files")
    parser.add_argument("--out", type=Path, required=True, help="where results are kept")
    parser.add_argument("--every", type=int, default=1, help="one piece in so many [1]")
    args = parser.parse_args()
    for name in ("abcjs", "abcm2ps"):
        if why := readers.lacking(name):
            print(f"benchmarks.data_readers: {why}", file=sys.stderr)
            return 1
    args.out.mkdir(parents=True, exist_ok=True)
    print("| source | reader | pieces | read alike | otherwise |")
    print("| --- | --- | --- | --- | --- |")
    for source in args.sources:
        kept = args.out / f"{Path(source).name}.jsonl"
        go_on(source, args.every, kept)
        found = results(kept)
        for reader in READERS:
            said = Counter(result[reader] for result in found.values())
            other = "; ".join(f"{count} {what}" for what, count in said.most_common() if what)
            print(f"| {source} | {reader} | {len(found):,} | {said['']:,} | {other} |", flush=True)
    return 0


def results(kept: Path) -> dict[str, dict[str, str]]:
    """What was found of each piece so far; a last line that was cut off is left out."""
    lines = kept.read_text().splitlines(keepends=True) if kept.exists() else []
    return dict(json.loads(line) for line in lines if line.endswith("\n"))


def go_on(source: str, every: int, kept: Path) -> None:
    done = results(kept)
    kept.write_text("".join(json.dumps(item) + "\n" for item in done.items()))
    left = ((name, score) for name, score in pieces(source, every) if name not in done)
    with kept.open("a") as lines:
        while batch := list(itertools.islice(left, BATCH)):
            scores = [score for _, score in batch]
            for (name, _), result in zip(batch, read_by_all(scores)):
                lines.write(json.dumps((name, result)) + "\n")
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


def read_by_all(scores: list[Score]) -> list[dict[str, str]]:
    """By reader: what is wrong, or nothing."""
    texts = [write(score, "A piece") for score in scores]
    played = readers.abcjs(texts, scores)
    return [
        {
            "ours": ours(text, score),
            "abcjs": abcjs,
            "abcm2ps": readers.abcm2ps(text).split("error: ")[-1],
            "abc2midi": heard(score),
        }
        for text, score, abcjs in zip(texts, scores, played)
    ]


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
