"""Where the time of a sweep's cells goes, and how much trunks have saved.

python -m benchmarks.sweep_time runs/quickstart 2     the 2: jobs at a time
"""

from __future__ import annotations

import argparse
import heapq
import json
import statistics
import sys
from pathlib import Path

from sweeps.scheduling.paid import spent, steps_began, taken_over
from trainers.records import Record


def gaps(records: list[Record], at_a_time: int) -> list[float]:
    """Seconds from the end of one cell's work to the first step of the one that takes its place:
    what a cell adds to the sweep beyond its training and evaluation."""
    ends: list[float] = []
    found = []
    began = [(steps_began(record) or record.started, record) for record in records]
    for first_step, record in sorted(began, key=lambda pair: pair[0]):
        if len(ends) == at_a_time:
            found.append(first_step - heapq.heappop(ends))
        heapq.heappush(ends, record.curve[-1]["time"] + record.measured["seconds_evaluate"])
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sweep", type=Path, help="its folder, such as runs/quickstart")
    parser.add_argument("at_a_time", type=int, help="how many jobs it ran at a time")
    args = parser.parse_args()
    paths = args.sweep.glob("cells/*/record.json")
    records = [Record(**json.loads(path.read_text())) for path in paths]
    records = sorted((r for r in records if r.status == "finished"), key=lambda r: r.started)
    print("| cell | start | train | evaluate | stop |\n| --- | --- | --- | --- | --- |")
    table = [(s.waiting, s.training, s.evaluating, s.rest) for s in map(spent, records)]
    for record, row in zip(records, table):
        print(f"| {record.cell_key.rpartition('-')[0]} | {' | '.join(f'{s:.1f}' for s in row)} |")
    print(f"| sum | {' | '.join(f'{sum(column):.0f}' for column in zip(*table))} |")
    wall = max(r.ended for r in records) - min(r.started for r in records)
    print(f"\nWall time from the first cell's start to the last one's end: {wall:.0f} s")
    added = gaps(records, args.at_a_time)
    middle = statistics.median(added)
    print(
        f"From one cell's end to the next one's first step: median {middle:.1f} s, "
        f"{min(added):.1f} to {max(added):.1f}"
    )
    tokens = sum(r.params["tokens"] for r in records)
    trained = tokens - sum(map(taken_over, records))
    print(f"Tokens trained: {trained:,} of {tokens:,} from nothing ({trained / tokens:.3f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
