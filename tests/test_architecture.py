"""The import direction of the design: data and fitting at the bottom, sweeps at the top.

Above them stands what tries them: `harness` holds what tests and benchmarks share, and these know
nothing of each other.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PRODUCT = ("data", "fitting", "trainers", "sweeps")
ALLOWED = {
    "data": set(),
    "fitting": set(),
    "trainers": {"data"},
    "sweeps": {"data", "trainers", "fitting"},
    "harness": {*PRODUCT},
    "benchmarks": {*PRODUCT, "harness"},
    "tests": {*PRODUCT, "harness"},
}
# What a package must not know at all, its own layers aside.
FOREIGN = {"fitting": {"ray", "torch"}, "trainers": {"mlflow"}, "data": {"torch", "mlflow"}}


def imported(file: Path) -> set[str]:
    """Top-level names of all that a file imports, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", ALLOWED)
def test_packages_import_downwards_only(package: str) -> None:
    forbidden = set(ALLOWED) - ALLOWED[package] - {package} | FOREIGN.get(package, set())
    against = {
        f"{file.relative_to(ROOT)} imports {name}"
        for file in (ROOT / package).rglob("*.py")
        for name in imported(file) & forbidden
    }
    assert not against


@pytest.mark.parametrize("package", PRODUCT)
def test_packages_start_empty(package: str) -> None:
    assert (ROOT / package / "__init__.py").read_text() == ""


def test_fitting_pulls_in_neither_ray_nor_torch() -> None:
    code = (
        "import sys, fitting.report; print(*sorted({'ray', 'torch', 'mlflow'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
