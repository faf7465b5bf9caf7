"""The import direction of the design: data and fitting at the bottom, sweeps at the top.

Above them stands what tries them: `harness` holds what tests and benchmarks share, and these know
nothing of each other.
"""

from __future__ import annotations

import ast
import re
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
# Inside a package: each room, or file beside the rooms, and the others that it may import.
LAWS = {"runs", "law", "surface", "scrutiny"}
RESULTS = {*LAWS, "arch_law", "compare", "analysis"}
SWEEP = {"errors", "console", "sweep"}
SWEEPING = {"grids", "scheduling", "tracking", "falls", "results", "view"}
FOR_PIECES = {"errors", "store", "music", "tokens", "sources"}
PREPARING = {"cluster", "parts", "placing", "tasks", "flatten", "stages"}
ROOMS: dict[str, dict[str, set[str]]] = {
    "data": {
        "errors": set(),
        "store": {"errors"},
        "midi": set(),
        "music": {"midi"},
        "abc": {"music"},
        "notation": {"music", "abc"},
        "works": {"store", "music"},
        "tokens": {"errors", "store", "music", "abc"},
        "sources": {"errors", "store", "music", "abc", "notation"},
        "crashes": FOR_PIECES,
        "parts": {*FOR_PIECES, "works", "crashes"},
        "placing": {"errors", "store", "sources", "works", "parts"},
        "flatten": {"errors", "store", "tokens"},
        "leaks": {*FOR_PIECES, "abc", "notation", "works"},
        "tasks": {"errors", "crashes"},
        "cluster": {"store"},
        "stages": {*FOR_PIECES, "works", "parts", "placing", "tasks"},
        "prepare": {*FOR_PIECES, *PREPARING},
        "add": {*FOR_PIECES, *PREPARING},
        "held_out": {"errors", "store"},
        "card": {"errors", "store", "sources", "parts", "held_out"},
        "origin": {"store"},
        "overview": {"store", "tokens"},
        "describe_pictures": {"errors", "store", "music", "overview"},
        "describe": {"errors", "store", "tokens", "overview", "describe_pictures", "card"},
        "roundtrip": {"describe_pictures", "music", "tokens", "notation"},
    },
    "fitting": {
        "contract": set(),
        "perplexity": set(),
        "runs": {"contract"},
        "law": {"runs"},
        "surface": {"runs", "law"},
        "scrutiny": {"runs", "law"},
        "arch_law": LAWS,
        "compare": {"runs", "law", "arch_law"},
        "analysis": {*LAWS, "arch_law", "compare"},
        "export": {*RESULTS, "contract"},
        "forecast": {*RESULTS, "contract", "export"},
        "outcomes": {*RESULTS, "export", "forecast"},
        "page": {*RESULTS, "contract", "perplexity", "export", "forecast", "outcomes"},
        "report": {*RESULTS, "contract", "export", "outcomes", "page"},
        "check": RESULTS,
    },
    "sweeps": {
        "errors": set(),
        "pane": set(),
        "console": {"pane"},
        "records": set(),
        "best": SWEEP,
        "removal": {"sweep", "best", "scheduling"},
        "arguments": set(),
        "spot": set(),
        "grids": {"errors"},
        "sweep": {"errors", "console", "records", "grids"},
        "scheduling": {*SWEEP, "grids", "best"},
        "tracking": set(),
        "falls": {"console"},
        "results": {*SWEEP, "records", "best", "scheduling", "tracking"},
        "view": {*SWEEP, "pane", "best", "scheduling", "results"},
        "phases": {*SWEEP, *SWEEPING, "best"},
        "check": {*SWEEP, "scheduling", "tracking"},
        "ui": {"console", "tracking"},
        "run_grid": {*SWEEP, *SWEEPING, "arguments", "best", "check", "phases", "removal"},
    },
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


def rooms_imported(file: Path, package: str) -> set[str]:
    """Rooms of its own package that a file imports, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == package:
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{package}."):
            names.add(str(node.module).split(".")[1])
    return names


@pytest.mark.parametrize("package", ROOMS)
def test_rooms_import_downwards_only(package: str) -> None:
    rooms = ROOMS[package]
    against = set()
    for file in (ROOT / package).rglob("*.py"):
        if file.name == "__init__.py":
            continue
        room = file.relative_to(ROOT / package).parts[0].removesuffix(".py")
        for other in rooms_imported(file, package) - rooms[room] - {room}:
            against.add(f"{file.relative_to(ROOT)} imports {other}")
    assert not against


@pytest.mark.parametrize("package", ROOMS)
def test_no_two_rooms_import_each_other(package: str) -> None:
    allowed = ROOMS[package]
    below: set[str] = set()
    while open_rooms := {room for room in allowed if room not in below}:
        stands = {room for room in open_rooms if allowed[room] <= below}
        assert stands, f"a circle among {sorted(open_rooms)}"
        below |= stands


def modules(package: str) -> dict[str, Path]:
    """Each module of a package by its dotted name."""
    return {
        ".".join(file.relative_to(ROOT).with_suffix("").parts): file
        for file in (ROOT / package).rglob("*.py")
    }


class Imports(ast.NodeVisitor):
    """Dotted names of all that a module imports when it runs, inside functions too."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) not in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        self.names |= {alias.name for alias in node.names}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        # What is taken from a package may be one of its modules.
        self.names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}


@pytest.mark.parametrize("package", PRODUCT)
def test_no_module_imports_itself_by_way_of_others(package: str) -> None:
    files = modules(package)
    left = {}
    for name, file in files.items():
        found = Imports()
        found.visit(ast.parse(file.read_text()))
        left[name] = found.names & set(files)
    # A module that imports nothing of what is left stands in no circle.
    while leaves := {name for name, imports in left.items() if not imports & set(left)}:
        left = {name: imports for name, imports in left.items() if name not in leaves}
    assert not left


@pytest.mark.parametrize("package", PRODUCT)
def test_modules_that_docstrings_name_exist(package: str) -> None:
    known = {name for each in PRODUCT for name in modules(each)}
    lost = {
        f"{file.relative_to(ROOT)}: {named}"
        for file in modules(package).values()
        for named in re.findall(rf"`((?:{'|'.join(PRODUCT)})(?:\.\w+)+)`", file.read_text())
        if not {named, named.rpartition(".")[0]} & known
    }
    assert not lost


@pytest.mark.parametrize("package", PRODUCT)
def test_packages_start_empty(package: str) -> None:
    """And every folder of modules is one: a wheel leaves out those that are none."""
    starts = {file.with_name("__init__.py") for file in modules(package).values()}
    assert starts
    # The two that are imported first name the environment to a Python without packages.
    first = {ROOT / name / "__init__.py" for name in ("data", "fitting")}
    assert [file for file in starts - first if not file.exists() or file.read_text()] == []


@pytest.mark.parametrize(
    "program", ["sweeps/run_grid.py", "-m trainers.generate", "-m fitting.report"]
)
def test_a_python_without_packages_is_told_where_they_are(program: str) -> None:
    command = [sys.executable, "-S", "-E", *program.split()]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == 1
    assert said.stderr.count("\n") == 1
    assert "source .venv/bin/activate" in said.stderr


def test_fitting_pulls_in_neither_ray_nor_torch() -> None:
    code = (
        "import sys, fitting.report; print(*sorted({'ray', 'torch', 'mlflow'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""


def test_preparing_does_not_write_for_readers() -> None:
    code = "import sys, data.prepare; print('data.notation.abc_text' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
