"""Which file of a shard kills the process that reads it.

A segfault in a parser is not an exception: the task dies, and Ray starts it again. So a task notes
each file before it touches it. The file that a dead task noted last is under suspicion, and is
tried once in a process of its own; a task that was killed for another reason loses no file.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_TRY = "import sys, symusic; symusic.Score.from_midi(sys.stdin.buffer.read())"


class Journal:
    """The notes of one shard's tasks: a line for each file begun, and `!path` for the fatal."""

    def __init__(self, path: Path) -> None:
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        self.path = path
        self.fatal = {line[1:] for line in lines if line.startswith("!")}
        begun = [line[1:] for line in lines if line.startswith(" ")]
        self.suspect = begun[-1] if begun else None
        self.file = path.open("w")
        self._write(*(f"!{name}" for name in sorted(self.fatal)))

    def is_fatal(self, path: str, content: bytes) -> bool:
        """Note that `path` is begun; whether it must be left alone."""
        name = path.replace("\n", " ")
        if name in self.fatal:
            return True
        if name == self.suspect and kills_its_process(content):
            self.fatal.add(name)
            self._write(f"!{name}")
            return True
        self._write(f" {name}")
        return False

    def close(self) -> None:
        """Forget it all: the shard is done."""
        self.file.close()
        self.path.unlink()

    def _write(self, *lines: str) -> None:
        # To the system at each line: this process may not live to flush.
        os.write(self.file.fileno(), "".join(f"{line}\n" for line in lines).encode())


def kills_its_process(content: bytes) -> bool:
    """Whether a process that parses these bytes ends by a signal."""
    tried = subprocess.run(
        [sys.executable, "-c", _TRY], input=content, capture_output=True, check=False
    )
    return tried.returncode < 0
