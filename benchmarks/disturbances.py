"""Disturb sweeps at random moments: what the user sees, after how long, and what is lost.

    python -m benchmarks.disturbances

Every kind of `harness/disturbances.py` happens to a sweep of two cells; then the same command runs
undisturbed, and its losses are compared with those of a sweep that nothing happened to. What has
been tried is kept in the folder, and the same command goes on with the next. It ends with a table.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from data.sources import folk
from data.store.location import Location
from harness.disturbances import KINDS, Disturbance, NothingThereError
from harness.sweeping import ROOT, Sweeping, command

GRID = """\
data:
  source: {source}
cells: {{arch: lstm, size: [4k, 6k], tokens: 4M}}
training: {{batch_tokens: 512, context: 64}}
placement: {{checkpoint_seconds: 1}}
"""
PATIENCE_SECONDS = 900
WITHIN_SECONDS = 10
"""A disturbance comes up to so long after it may."""
LEFT_SECONDS = 10
"""After a sweep's end: what still runs then is left behind."""


@dataclass(frozen=True)
class Seen:
    """What came of a disturbance."""

    what: str
    line: str
    seconds: float
    """From the disturbance to the end of the sweep."""
    code: int
    left: int
    """Processes that still ran LEFT_SECONDS after its end."""
    same: bool
    """Whether the same command then gave the undisturbed losses."""
    as_meant: bool
    """Whether what was said and the exit code are as they should be."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    where = Path("runs/disturbances")
    parser.add_argument(
        "--folder", type=Path, default=where, help=f"of sweeps and results [{where}]"
    )
    parser.add_argument("--only", nargs="*", choices=KINDS, default=list(KINDS), help="[all]")
    parser.add_argument("--repeat", type=int, default=3, help="how often each [3]")
    args = parser.parse_args()
    # What `nohup` or a shell has this process ignore, its children would ignore as well.
    for ignored in (signal.SIGHUP, signal.SIGINT):
        signal.signal(ignored, signal.SIG_DFL)
    folder = args.folder.resolve()
    grid = reference(folder)
    found = []
    for number in range(args.repeat):
        for name in args.only:
            kept = folder / f"{name}-{number}.json"
            if not kept.exists():
                chance = random.Random(f"{name}{number}")
                while not (seen := disturbed(KINDS[name], grid, folder, chance)):
                    print(f"{name}: what it happens to was not there; once more", flush=True)
                Location.of(kept).write_text(json.dumps(asdict(seen)))
            found.append(Seen(**json.loads(kept.read_text())))
            print(found[-1], flush=True)
    print("\n".join(table(found)))


def reference(folder: Path) -> Path:
    """The grid; and beside it, a sweep that nothing happened to."""
    source, grid = folder / "midi", folder / "small.yaml"
    if (folder / "reference" / "small" / "tracked.txt").exists():
        return grid
    source.mkdir(parents=True, exist_ok=True)
    for index, (_, tune) in enumerate(folk.tunes()[2000:2300]):
        made = folk.to_midi(tune)
        assert isinstance(made, bytes)
        (source / f"{index:03d}.mid").write_bytes(made)
    grid.write_text(GRID.format(source=source))
    subprocess.run(command(grid, folder / "reference"), cwd=ROOT, check=True)
    return grid


def losses(out: Path) -> dict[str, float]:
    records = [json.loads(path.read_text()) for path in out.glob("*/cells/*/record.json")]
    return {each["cell_key"]: each["measured"].get("val_loss") for each in records}


def disturbed(kind: Disturbance, grid: Path, folder: Path, chance: random.Random) -> Seen | None:
    """What came of it; nothing if what it happens to was not there any more."""
    out = folder / "runs"
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(folder / "reference" / "data", out / "data")
    with kind.around(out) as more:
        sweep = Sweeping(grid, out, more)
        try:
            if not kind.from_its_start:
                wait(lambda: kind.ready(sweep) or sweep.has_ended())
                time.sleep(chance.uniform(0, WITHIN_SECONDS))
                if sweep.has_ended():
                    return None
            done = time.monotonic()
            kind.do(sweep)
            wait(sweep.has_ended)
            seconds, code = time.monotonic() - done, sweep.process.returncode
            time.sleep(LEFT_SECONDS)
            left = len(sweep.left())
        except NothingThereError:
            return None
        finally:
            sweep.stop()
        kind.mend(out)
    said = [line for line in sweep.text().splitlines() if line.strip()]
    meant = [line for line in said if kind.says in line]
    again = subprocess.run(command(grid, out), cwd=ROOT, capture_output=True, check=False)
    same = again.returncode == 0 and losses(out) == losses(folder / "reference")
    line = (meant or said or ["(nothing)"])[-1].replace(f"{folder}/", "")
    as_meant = bool(meant or not kind.says) and code == kind.code
    return Seen(kind.what, line, seconds, code, left, same, as_meant)


def wait(what: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not what():
        if time.monotonic() > until:
            raise TimeoutError(f"it did not happen in {PATIENCE_SECONDS} s")
        time.sleep(0.2)


def table(found: list[Seen]) -> Iterator[str]:
    yield "| what was done | what the user saw | s | exit code | left | same losses | as meant |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for seen in found:
        same, meant = ("yes" if each else "NO" for each in (seen.same, seen.as_meant))
        line = seen.line.strip().replace("|", "/")
        yield (
            f"| {seen.what} | {line} | {seen.seconds:.0f} | {seen.code} | {seen.left} | {same} "
            f"| {meant} |"
        )


if __name__ == "__main__":
    main()
