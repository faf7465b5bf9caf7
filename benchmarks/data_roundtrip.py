"""What survives a round trip of every file, through each tokenizer and through abc2midi.

    python -m benchmarks.data_roundtrip multitrack.tar.gz nottingham.tar.gz pop909.tar.gz

`abc` and abc2midi see every file, MidiTok's tokenizers one in `--every`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from data.music.files import from_midi
from data.music.score import Score, ScoreError
from data.roundtrip import round_trip
from data.sources.folders import shards
from data.store.location import Location
from data.tokens.make import make_tokenizer
from harness.abc2midi import differences, within_its_limits

BATCH = 100
"""Pieces to a process of abc2midi."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("archives", nargs="+", type=Path)
    parser.add_argument("--every", type=int, default=20, help="for remi and tsd [20]")
    args = parser.parse_args()
    print(
        "| corpus | tokenizer | files | all notes back | notes back | onsets and pitches | maps |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    heard = []
    for archive in args.archives:
        scores: list[Score] = []
        for shard in shards(Location.of(archive)):
            for _, content in shard.read():
                if not isinstance(content, bytes):
                    continue
                try:
                    scores.append(from_midi(content, 24))
                except ScoreError:
                    continue
        for name in ("abc", "remi", "tsd"):
            tokenizer = make_tokenizer(name, 24)
            chosen = scores if name == "abc" else scores[:: args.every]
            trips = [round_trip(score, tokenizer) for score in chosen]
            notes = sum(trip.notes_in for trip in trips)
            print(
                f"| {archive.name} | {name} | {len(trips):,} "
                f"| {sum(trip.equal for trip in trips):,} "
                f"| {sum(trip.kept for trip in trips) / notes:.2%} "
                f"| {sum(trip.pitches_kept for trip in trips) / notes:.2%} "
                f"| {sum(trip.maps for trip in trips):,} |",
                flush=True,
            )
        playable = [score for score in scores if within_its_limits(score)]
        other = [
            line
            for start in range(0, len(playable), BATCH)
            for line in differences(playable[start : start + BATCH])
        ]
        heard.append(
            f"| {archive.name} | {len(scores):,} | {len(playable):,} | "
            f"{len(playable) - len(other):,} | {'; '.join(sorted(set(other))[:3])} |"
        )
    print("\n| corpus | files | within abc2midi's limits | heard alike | otherwise |")
    print("| --- | --- | --- | --- | --- |")
    print("\n".join(heard))
    return 0


if __name__ == "__main__":
    sys.exit(main())
