"""Find the files of a shard that kill the process which reads them.

A segmentation fault in a parser is not an exception: the task dies, and Ray starts it again. So a
task leaves a mark when it begins. A task that finds the mark of an earlier one first has a separate
process go through the shard, once more for each file that kills it. If the earlier task died for
another reason, no file is lost.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys

from data.errors import DataError
from data.music.files import from_midi
from data.music.score import ScoreError
from data.sources.containers import Shard
from data.sources.members import Refused
from data.store.location import Location
from data.tokens.protocol import Tokenizer

MAX_ATTEMPTS = 5
"""How often a shard may be begun in one run. What kills it after that is not one of its files."""


def begin(mark: Location, run: str, source: str) -> int:
    """Note that a shard is begun, and return how often it was begun before, in any run.

    run: the name of this run. source: that of the shard, for a message. Raises DataError after
    `MAX_ATTEMPTS` attempts in one run.
    """
    before = mark.read_text().splitlines() if mark.exists() else []
    if before.count(run) >= MAX_ATTEMPTS:
        raise DataError(
            f"{source}: a task that reads it was killed {MAX_ATTEMPTS} times and by none of its "
            "files; look for the end of memory, then start again"
        )
    mark.write_text("\n".join([*before, run]))
    return len(before)


def fatal_files(shard: Shard, tokenizer: Tokenizer) -> dict[str, str]:
    """The files of a shard that kill the process which reads them: the reason by path."""
    found: dict[str, str] = {}
    command = [sys.executable, "-m", "data.crashes"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    while True:
        tried = subprocess.run(
            command,
            input=pickle.dumps((shard, tokenizer, found)),
            capture_output=True,
            env=environment,
            check=False,
        )
        if tried.returncode > 0:
            said = tried.stderr.decode(errors="replace").strip().splitlines()
            raise DataError(f"cannot look for the file that ends the process: {said[-1:]}")
        begun = tried.stdout.decode().splitlines()
        if tried.returncode == 0 or not begun:
            return found
        found[json.loads(begun[-1])] = f"its parser was killed by signal {-tried.returncode}"


def _go_through() -> None:
    """Read the shard that comes on stdin, and name each file before it is touched."""
    shard, tokenizer, known = pickle.load(sys.stdin.buffer)
    for path, content in shard.read():
        if path not in known and not isinstance(content, Refused):
            # As JSON, because a name may hold a newline.
            print(json.dumps(path), flush=True)
            try:
                tokenizer.encode(from_midi(content, tokenizer.ticks_per_quarter))
            except ScoreError:
                continue


if __name__ == "__main__":
    _go_through()
