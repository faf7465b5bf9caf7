"""What Crescendo needs beside PyTorch in one archive, for a machine that reaches no network.

    python -m benchmarks.gpu.bundle site.tar.xz --python 3.12

For Linux on x86-64. There: `tar xJf site.tar.xz -C site`, with that folder on PYTHONPATH and its
`bin` on PATH. Left out are the packages that are there already (`have.txt` beside this file, or
--have), verovio, without which samples have no engraved score, and of the others what no sweep
needs: Ray's Java, RLlib and dashboard pages, MLflow's pages, tests, symbols. Of music21 the tunes
are kept, which are read without importing it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
HAVE = Path(__file__).with_name("have.txt")

NOT_MISSED = ("torch", "verovio", "py-spy", "skops", "virtualenv", "setuptools", "pip")
"""Packages that are not taken along even where they are missing."""

GLIBC = ("2_28", "2_27", "2_26", "2_24", "2_17", "2_12", "2_5")
PLATFORMS = [f"manylinux_{version}_x86_64" for version in GLIBC]
PLATFORMS += ["manylinux2014_x86_64", "manylinux1_x86_64"]

UNUSED = ("ray/jars", "ray/rllib", "ray/dashboard/client", "mlflow/server/js", "pyarrow/include")
NEEDS_TESTS = "numpy"
"""It imports some of its own."""

COMMANDS = {"ray": "ray.scripts.scripts:main", "mlflow": "mlflow.cli:cli"}
"""What is called by name: no installer writes the scripts."""


def main() -> int:
    args = parse_args()
    have: set[str] = {canonicalize_name(name) for name in args.have.read_text().split()}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        report = resolved(args.python, work)
        packages: dict[str, dict[str, Any]] = {
            canonicalize_name(each["metadata"]["name"]): each for each in report
        }
        if lacking := unmet(packages, have, args.python):
            print(f"bundle: Python {args.python} lacks {', '.join(lacking)}", file=sys.stderr)
            return 1
        taken = [name for name in packages if name not in have and name not in NOT_MISSED]
        pins = [f"{name}=={packages[name]['metadata']['version']}" for name in sorted(taken)]
        pip(args.python, "download", "--no-deps", "-d", str(work / "wheels"), *pins)
        site = work / "site"
        for wheel in sorted((work / "wheels").glob("*.whl")):
            unpack(wheel, site)
        slim(site)
        write_commands(site / "bin")
        with tarfile.open(args.out, "w:xz", preset=7) as archive:
            archive.add(site, ".")
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.0f} MB, {len(taken)} packages")
    return 0


def resolved(python: str, work: Path) -> list[dict[str, Any]]:
    """What pip would install for the project's dependencies and its tests, PyTorch aside."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [each for each in project["dependencies"] if Requirement(each).name != "torch"]
    report = work / "report.json"
    words = (
        "--dry-run",
        "--ignore-installed",
        "--report",
        str(report),
        "--target",
        str(work / "x"),
    )
    constraints = ("-c", str(ROOT / "constraints.txt"))
    pip(python, "install", *words, *constraints, *wanted, "pytest", "hypothesis")
    return json.loads(report.read_text())["install"]


def pip(python: str, command: str, *words: str) -> None:
    """For that Python, whichever runs this. Raises CalledProcessError."""
    target = ["--only-binary=:all:", "--implementation", "cp", "--python-version", python]
    target += [word for platform in PLATFORMS for word in ("--platform", platform)]
    subprocess.run([sys.executable, "-m", "pip", command, "-qq", *target, *words], check=True)


def unmet(packages: dict[str, dict[str, Any]], have: set[str], python: str) -> list[str]:
    """Requirements of the packages that neither they nor what is there already meet.

    pip judges the markers of requirements by the Python that runs it; here they are judged by the
    one that is meant.
    """
    meant = {"python_version": python, "python_full_version": f"{python}.0", "extra": ""}
    there = {*packages, *have, *NOT_MISSED}
    lacking = {
        f"{requirement.name} (of {name})"
        for name, each in packages.items()
        for requirement in map(Requirement, each["metadata"].get("requires_dist", []))
        if requirement.marker is None or requirement.marker.evaluate(meant)
        if canonicalize_name(requirement.name) not in there
    }
    return sorted(lacking)


def unpack(wheel: Path, site: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        for entry in files.infolist():
            path = Path(files.extract(entry, site))
            # zipfile itself keeps no run bits.
            if (entry.external_attr >> 16) & 0o111 and path.is_file():
                path.chmod(0o755)
    # What an installer would lay beside the rest; scripts and headers are not missed.
    for extra in site.glob("*.data"):
        for kind in ("purelib", "platlib"):
            if (extra / kind).exists():
                shutil.copytree(extra / kind, site, dirs_exist_ok=True)
        shutil.rmtree(extra)


def slim(site: Path) -> None:
    """Remove what no sweep needs."""
    for name in UNUSED:
        shutil.rmtree(site / name, ignore_errors=True)
    # Ray's dashboard does not start without a folder of its pages.
    (site / "ray/dashboard/client/build/static").mkdir(parents=True)
    for path in (site / "music21").rglob("*"):
        if path.is_file() and path.suffix != ".abc" and path.name != "__init__.py":
            path.unlink()
    for tests in sorted(site.rglob("tests"), reverse=True):
        if tests.is_dir() and tests.relative_to(site).parts[0] != NEEDS_TESTS:
            shutil.rmtree(tests)
    programs = [path for path in site.rglob("*") if path.is_file() and is_program(path)]
    for program in programs:
        program.chmod(program.stat().st_mode | 0o200)
        subprocess.run(["strip", "--strip-unneeded", str(program)], check=False)


def is_program(path: Path) -> bool:
    """Whether it is a large ELF file, which may hold symbols."""
    if path.stat().st_size < 200_000:
        return False
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def write_commands(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name, call in COMMANDS.items():
        module, _, function = call.partition(":")
        path = folder / name
        path.write_text(
            f"#!/usr/bin/env python3\nimport sys\nfrom {module} import {function}\n"
            f"sys.exit({function}())\n"
        )
        path.chmod(0o755)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu.bundle",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", type=Path, help="the archive to write: NAME.tar.xz")
    parser.add_argument("--python", default="3.12", help="the version over there [3.12]")
    parser.add_argument(
        "--have", type=Path, default=HAVE, metavar="FILE", help="names of the packages over there"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
