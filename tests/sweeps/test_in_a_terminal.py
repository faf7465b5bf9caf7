"""The real command in a terminal: what a person sees, at two widths."""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sweeps.real_command import ROOT, command, environment, write_grid
from tests.terminal import Terminal, terminal
from tests.waiting import PATIENCE_SECONDS

WORDS = "Sweep|Ray|Data|MLflow|Log|Cells|Report|Samples"
OURS = re.compile(rf"({WORDS}) {{2,}}|[0-9]+/2 cells|jobs: |lstm |$")
"""How a line begins while a sweep runs."""


def watched(columns: int, line: list[str]) -> Terminal:
    """A terminal in which this command has run to its end."""
    with terminal(columns) as seen:
        process = subprocess.Popen(
            line, stdin=seen.slave, stdout=seen.slave, stderr=seen.slave, cwd=ROOT,
            env=environment(TERM="xterm"), start_new_session=True,
        )  # fmt: skip
        assert process.wait(PATIENCE_SECONDS) == 0, seen.everything()
        time.sleep(0.5)
    return seen


@pytest.fixture
def out() -> Iterator[Path]:
    """A folder whose name leaves a line room."""
    with tempfile.TemporaryDirectory(prefix="s-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.mark.parametrize(
    "columns", [pytest.param(80, marks=pytest.mark.slow), pytest.param(120, marks=pytest.mark.long)]
)
def test_a_sweep_is_seen_from_its_beginning_to_its_laws(
    source: Path, tmp_path: Path, out: Path, columns: int
) -> None:
    grid = write_grid(tmp_path, source, archs="lstm", tokens="400k")
    seen = watched(columns, command(grid, out))
    running = [screen for screen in seen.seen if any("cells" in line for line in screen)]
    before = [screen for screen in running if not any("val_loss" in line for line in screen)]
    # Nobody else's words, and no line twice: what is drawn again is drawn over.
    for screen in before:
        assert all(OURS.match(line) for line in screen), screen
        assert sum("/2 cells" in line for line in screen) <= 1, screen
    views = [screen for screen in before if any("tok/s" in line for line in screen)]
    assert views
    for part in ("gone, ", " left", "jobs: ", "CPUs: ", "━", "libraries.log"):
        assert any(part in line for screen in views for line in screen), part
    # When it is over the view is gone, and no table is broken.
    everything = "\n".join(seen.everything())
    assert "tok/s" not in everything
    rows = [line for line in seen.everything() if re.match(r"lstm +[46]k +", line)]
    assert len(rows) == 2
    assert everything.count("Sweep ") == 1
