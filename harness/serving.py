"""MLflow's server over the database of a folder of sweeps, as `sweeps/ui.py` starts it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Served:
    process: subprocess.Popen[str]
    out: Path
    """The sweeps' folder."""
    uri: str
    token: str

    @property
    def port(self) -> int:
        return int(self.uri.rpartition(":")[2])

    @property
    def environment(self) -> dict[str, str]:
        """With which a program finds it and is let in."""
        return {"MLFLOW_TRACKING_URI": self.uri, "MLFLOW_TRACKING_TOKEN": self.token}


@contextmanager
def served(out: Path, port: int = 5600) -> Iterator[Served]:
    """port: the first to try."""
    (out / "mlflow").mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "sweeps/ui.py", "--out", str(out), "--port", str(port)]
    # Not with the token of whoever runs the tests.
    env = os.environ | {"TMPDIR": str(out)}
    with (out / "ui.log").open("a") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        assert process.stdout
        said = process.stdout.readline()
        found = re.search(r"(http://127\.0\.0\.1:\d+)/\?token=(\w+)", said)
        assert found, said + (out / "ui.log").read_text()
        yield Served(process, out, found[1], found[2])
    finally:
        process.kill()
        process.communicate()
