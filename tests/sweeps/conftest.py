"""A small source of music for the real command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from data.sources import folk
from tests.sweeps.serving import Served, served


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of MIDI files: a few hundred of the folk tunes."""
    folder = tmp_path_factory.mktemp("midi")
    for index, (_, tune) in enumerate(folk.tunes()[2000:2300]):
        made = folk.to_midi(tune)
        assert isinstance(made, bytes)
        (folder / f"{index:03d}.mid").write_bytes(made)
    return folder


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """MLflow's server over the database of a folder of sweeps."""
    with served(tmp_path_factory.mktemp("runs")) as running:
        yield running
