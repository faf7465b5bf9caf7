"""Where a grid's file is: found without PyTorch, so that a wrong name is told at once."""

from __future__ import annotations

from pathlib import Path

from data.errors import hint
from sweeps.errors import GridError

SHIPPED = Path(__file__).parent


def grid_file(name: str) -> Path:
    """The file of the shipped grid of that name, or the YAML file at that path. Raises
    GridError."""
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        shipped = sorted(file.stem for file in SHIPPED.glob("*.yaml"))
        if name not in shipped:
            raise GridError(f"unknown grid {name!r}{hint(name, shipped)}")
        path = SHIPPED / f"{name}.yaml"
    if not path.is_file():
        raise GridError(f"no grid file at {path}; give a path, or the name of a shipped grid")
    return path
