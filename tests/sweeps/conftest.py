"""A server of MLflow, as a user may have one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sweeps.serving import Served, served


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """MLflow's server over the database of a folder of sweeps."""
    with served(tmp_path_factory.mktemp("runs")) as running:
        yield running
