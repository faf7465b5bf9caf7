"""The processes that a process has started."""

from __future__ import annotations

import subprocess


def descendants(pid: int, name: str) -> list[int]:
    """The pids of those below `pid` whose command line, or title, starts with `name`."""
    listed = subprocess.run(
        ["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()[1:]]
    family = {pid}
    # Once more than the family is deep: a child may be listed before its parent.
    for _ in range(4):
        family |= {int(row[0]) for row in rows if int(row[1]) in family}
    return [int(row[0]) for row in rows if int(row[0]) in family and row[2].startswith(name)]
