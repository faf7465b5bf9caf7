"""What `ray up` is given, as far as it can be checked without a cloud: by Ray's own validation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parents[2]
CONFIGS = ["cluster.yaml", "docs/cluster/gcp.yaml", "docs/cluster/local.yaml"]
CLOUDS = CONFIGS[:2]


def load(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / name).read_text())


@pytest.mark.parametrize("name", CONFIGS)
def test_ray_accepts_the_config(name: str) -> None:
    validate_config(prepare_config(load(name)))


@pytest.mark.parametrize("name", CLOUDS)
def test_the_head_stays_and_workers_come_from_zero(name: str) -> None:
    kinds = load(name)["available_node_types"]
    assert "spot" not in str(kinds["head"]["node_config"]).lower()
    assert kinds["head"]["resources"] == {"CPU": 0, "GPU": 0}
    for kind in set(kinds) - {"head"}:
        assert "spot" in str(kinds[kind]["node_config"]).lower()
        assert kinds[kind]["min_workers"] == 0
        assert kinds[kind]["resources"]["GPU"] >= 1


@pytest.mark.parametrize("name", CONFIGS)
def test_every_node_asks_for_the_token_and_only_loopback_is_served(name: str) -> None:
    config = load(name)
    starts = [
        command
        for kind in ("head", "worker")
        for command in config[f"{kind}_start_ray_commands"]
        if "ray start" in command
    ]
    assert len(starts) == 2
    assert all("RAY_AUTH_MODE=token" in command for command in starts)
    assert config["file_mounts"]["/home/ubuntu/.ray/auth_token"] == "~/.ray/auth_token"
    head = " ".join(config["head_start_ray_commands"])
    assert re.findall(r"--(?:dashboard-)?host[= ](\S+)", head) == ["127.0.0.1", "127.0.0.1"]


@pytest.mark.parametrize("name", CONFIGS)
def test_no_secret_and_no_result_is_copied(name: str) -> None:
    config = load(name)
    assert {"runs", ".venv", ".git"} <= set(config["rsync_exclude"])
    assert config["file_mounts"]["/home/ubuntu/crescendo"] == "."
    assert not re.search(r"(?i)secret|password|access_key", (ROOT / name).read_text())


@pytest.mark.parametrize("name", CONFIGS)
def test_what_is_installed_is_pinned(name: str) -> None:
    install = load(name)["setup_commands"][-1]
    assert "--constraint constraints.txt --editable ." in install
    assert re.search(r"^ray==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", CONFIGS[1:])
def test_variants_differ_only_where_they_must(name: str) -> None:
    """Ray's and MLflow's own commands are those of the main file."""
    main, variant = load("cluster.yaml"), load(name)
    assert variant["file_mounts"] == main["file_mounts"]
    assert variant["rsync_exclude"] == main["rsync_exclude"]
    assert variant["head_start_ray_commands"][-1] == main["head_start_ray_commands"][-1]
    assert variant["worker_start_ray_commands"] == main["worker_start_ray_commands"][:2]
