"""Where the time of a sweep's cells goes.

python benchmarks/sweep_time.py runs/quickstart
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from sweeps.records import Record


def parts(record: Record) -> tuple[float, float, float, float]:
    """Seconds from the driver's call to the first step, of training, of evaluation, to the end."""
    measured, curve = record.measured, record.curve
    evaluate = measured["seconds_evaluate"]
    first_point = curve[0]["tokens"] / curve[0]["tokens_per_second"]
    start = curve[0]["time"] - first_point - record.started
    stop = record.ended - curve[-1]["time"] - evaluate
    return start, measured["seconds"], evaluate, stop


def main() -> int:
    if len(sys.argv) != 2:
        print((__doc__ or "").strip(), file=sys.stderr)
        return 2
    paths = Path(sys.argv[1]).glob("cells/*/record.json")
    records = [Record(**json.loads(path.read_text())) for path in paths]
    records = sorted((r for r in records if r.status == "finished"), key=lambda r: r.started)
    print("| cell | start | train | evaluate | stop |\n| --- | --- | --- | --- | --- |")
    table = [parts(record) for record in records]
    for record, row in zip(records, table):
        print(f"| {record.cell_key.rpartition('-')[0]} | {' | '.join(f'{s:.1f}' for s in row)} |")
    print(f"| sum | {' | '.join(f'{sum(column):.0f}' for column in zip(*table))} |")
    wall = max(r.ended for r in records) - min(r.started for r in records)
    print(f"\nWall time from the first cell's start to the last one's end: {wall:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
