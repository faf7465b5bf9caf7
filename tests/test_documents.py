"""What the documents say can be typed, found and followed.

Every command of ours that stands in a document, or at the head of a program, is one that starts
from a clone, with options that it knows; every path and link leads somewhere.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from fitting import forecast
from fitting.export import tables

ROOT = Path(__file__).parent.parent
ROOMS = ("data", "trainers", "fitting", "sweeps", "benchmarks")
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "sweeps/grids/README.md"]
)
PROGRAMS = sorted(file for room in ROOMS for file in (ROOT / room).rglob("*.py"))

COMMAND = re.compile(rf"(?:^|[\s(])python (-m (?:{'|'.join(ROOMS)})\.[\w.]+|[\w/]+\.py)(.*)")
MAKE = re.compile(r"(?:^|\s)make ([\w-]+)")
OPTION = re.compile(r"(?:^|\s)\[?(--?[a-zA-Z][\w-]*)")
PATH = re.compile(r"[\w.-]+(?:/[\w.-]*)+|[\w-]+\.(?:py|md|yaml|toml|txt|cff)|Makefile")
MADE_LATER = "runs/"
"""Where a user's commands put what they make."""


def code(document: Path) -> list[str]:
    """What a document sets as code, comments left out: a line of a block, or a span of a line."""
    text = document.read_text()
    if document.suffix == ".py":
        text = ast.get_docstring(ast.parse(text)) or ""
        # At the head of a program a command has a line of its own.
        blocks = [line for line in text.splitlines() if re.match(r"\s*(\w+=\S+ )?python ", line)]
    else:
        fenced = re.findall(r"^```.*?$(.*?)^```", text, re.M | re.S)
        text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
        indented = re.findall(r"^ {4}.*$", text, re.M)
        blocks = "\n".join([*fenced, *indented]).replace("\\\n", " ").splitlines()
    spans = re.findall(r"(?<!\[)`([^`]+)`", re.sub(r"^ {4}.*$", "", text, flags=re.M))
    return [re.split(r"\s#|(?<=\S) {3,}", line)[0] for line in [*blocks, *spans]]


def commands() -> dict[str, dict[str, set[str]]]:
    """What is called (`sweeps/run_grid.py`, `-m data.prepare`): options used, and where."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for document in [*DOCUMENTS, *PROGRAMS]:
        for line in code(document):
            for program, arguments in COMMAND.findall(line):
                for option in ["--help", *OPTION.findall(arguments)]:
                    found[program][option].add(str(document.relative_to(ROOT)))
    return found


@pytest.fixture(scope="session")
def as_installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of someone who has installed this tree: only its packages are on the path."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    folder = tmp_path_factory.mktemp("installed")
    for pattern in project["tool"]["setuptools"]["packages"]["find"]["include"]:
        package = pattern.rstrip("*")
        (folder / package).symlink_to(ROOT / package)
    return os.environ | {"PYTHONPATH": str(folder)}


@pytest.mark.parametrize("program", sorted(commands()))
def test_a_command_in_a_document_starts_and_knows_its_options(
    program: str, as_installed: dict[str, str]
) -> None:
    started = subprocess.run(
        [sys.executable, *program.split(), "--help"],
        cwd=ROOT,
        env=as_installed,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert started.returncode == 0, started.stderr
    unknown = {
        option: places
        for option, places in commands()[program].items()
        if not re.search(rf"(?<![\w-]){option}(?![\w-])", started.stdout)
    }
    assert not unknown


def test_every_program_that_takes_arguments_is_called_in_a_document() -> None:
    takes = re.compile(r"ArgumentParser\(|arguments\.parse\(")
    started = {
        file
        for file in PROGRAMS
        if "__main__" in (text := file.name + file.read_text()) and takes.search(text)
    }
    called = {program_file(program) for program in commands()}
    assert started - called == set()


def program_file(called: str) -> Path:
    """The file that `data/x.py`, `-m data.x` or `-m` and the name of a folder starts."""
    path = ROOT / called.removeprefix("-m ").removesuffix(".py").replace(".", "/")
    return path / "__main__.py" if path.is_dir() else path.with_suffix(".py")


def test_every_target_of_make_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = {name for file in DOCUMENTS for line in code(file) for name in MAKE.findall(line)}
    assert named
    assert named <= targets


def paths(document: Path) -> Iterator[str]:
    """Those that a document sets as code, and that open a line of a block, as a map of files."""
    for line in code(document):
        word = line.strip() if not line.startswith("    ") else line.split()[0]
        if PATH.fullmatch(word) and not word.startswith(MADE_LATER):
            yield word


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_every_path_that_is_named_exists(name: str) -> None:
    named = set(paths(ROOT / name))
    assert named
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def headings(document: Path) -> set[str]:
    """As links name them, by GitHub's rule, and what is named in the text itself."""
    text = document.read_text()
    titles = re.findall(r"^#+ (.*)$", text, re.M)
    return set(re.findall(r'<a id="([^"]+)">', text)) | {
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    dead = []
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", document.read_text()):
        path, _, heading = link.partition("#")
        target = document.parent / path if path else document
        if not target.exists() or (heading and heading not in headings(target)):
            dead.append(link)
    assert dead == []


def test_the_citation_is_of_this_version() -> None:
    """The fields that CFF 1.2.0 requires, and those that stand elsewhere as well."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert cited["cff-version"] == "1.2.0"
    assert cited["message"]
    assert cited["title"]
    assert cited["authors"] == [{"name": "The Crescendo authors"}]
    assert cited["version"] == project["version"]
    assert cited["license"] == project["license"]


def test_the_changelog_names_the_schemas_that_are_written() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    stated = dict(re.findall(r"^\| `(\w+\.json)` \|.*\| (\d+) \|$", text, re.M))
    assert stated == {"fit.json": str(tables.SCHEMA), "forecast.json": str(forecast.SCHEMA)}
