"""What comes from others' servers, and what is told them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PINNED = re.compile(r"^([\w.-]+)==([^\s;]+)", re.MULTILINE)


def pins(file: str) -> dict[str, str]:
    """Version by package, under the one spelling that indexes know it by (PEP 503)."""
    found = PINNED.findall((ROOT / file).read_text())
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


def test_what_is_known_by_its_hash_is_what_is_pinned() -> None:
    """After a change of `constraints.txt`: make hashes.txt."""
    pinned, hashed = pins("constraints.txt"), pins("hashes.txt")
    both = pinned.keys() & hashed.keys()
    assert {name: hashed[name] for name in both} == {name: pinned[name] for name in both}
    assert {"ray", "mlflow", "miditok", "pyarrow", "numpy"} <= set(hashed)
    assert "torch" not in hashed


@pytest.mark.parametrize("file", ["hashes.txt", "docs/cluster/uv.txt"])
def test_every_package_has_a_hash(file: str) -> None:
    entries = re.split(r"^(?=[\w.-]+==)", (ROOT / file).read_text(), flags=re.MULTILINE)[1:]
    assert entries
    assert all("--hash=sha256:" in entry for entry in entries)


@pytest.mark.parametrize(
    "program", ["sweeps.run_grid", "sweeps.ui", "sweeps.tracking.tracker", "fitting.report"]
)
def test_mlflow_is_told_to_keep_to_itself_before_it_is_loaded(program: str) -> None:
    asked = f"import os, sys, {program}; print('mlflow' in sys.modules, os.environ['{TELEMETRY}'])"
    environment = {name: value for name, value in os.environ.items() if name != TELEMETRY}
    answer = subprocess.check_output([sys.executable, "-c", asked], env=environment, cwd=ROOT)
    assert answer.decode().split() == ["False", "true"]


TELEMETRY = "MLFLOW_DISABLE_TELEMETRY"
