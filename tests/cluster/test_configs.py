"""What `ray up` is given, as far as it can be checked without a cloud: by Ray's own validation."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from sweeps.scheduling.schedule import KIND

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
        # What a cell for this kind of GPU asks for, however many there are.
        assert [n for name, n in kinds[kind]["resources"].items() if name.startswith(KIND)] == [1]


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
    assert re.findall(r"--(?:dashboard-)?host[= ](\S+)", head) == ["127.0.0.1"]
    # Not MLflow's own server, which asks nobody for a secret.
    assert "sweeps/ui.py" in head
    assert "mlflow server" not in head


@pytest.mark.parametrize("name", CONFIGS)
def test_a_shell_on_the_head_joins_the_cluster_as_jobs_do(name: str) -> None:
    config = load(name)
    (export,) = config["head_setup_commands"]
    head = " ".join(config["head_start_ray_commands"])
    assert "RAY_ADDRESS=127.0.0.1:6379" in export
    assert "--port=6379" in head
    assert "RAY_AUTH_MODE=token" in export
    (database,) = set(re.findall(r"MLFLOW_TRACKING_URI=(\S+?)'? ", f"{export} {head}"))
    assert database == "sqlite:////home/ubuntu/mlflow/mlflow.db"
    # What is served is what is written.
    assert "--out /home/ubuntu " in head


def test_what_a_server_prints_is_for_its_owner_alone() -> None:
    """Its link, with the secret in it, goes to a file in the home folder."""
    lines = (ROOT / "sweeps" / "beside_ray.sh").read_text().splitlines()
    (writes,) = [n for n, line in enumerate(lines) if '> "$HOME/$name.log"' in line]
    assert "umask 077" in lines[:writes]


@pytest.mark.parametrize("name", CONFIGS)
def test_no_secret_and_no_result_is_copied(name: str) -> None:
    config = load(name)
    assert {"runs", ".venv", ".git"} <= set(config["rsync_exclude"])
    assert config["file_mounts"]["/home/ubuntu/crescendo"] == "."
    assert not re.search(r"(?i)secret|password|access_key", (ROOT / name).read_text())


@pytest.mark.parametrize("name", CONFIGS)
def test_what_is_installed_is_known_by_its_hash_or_pinned(name: str) -> None:
    *_, by_hash, rest = load(name)["setup_commands"]
    assert by_hash.endswith("--require-hashes --no-deps --requirement hashes.txt")
    assert "--constraint constraints.txt --editable ." in rest


@pytest.mark.parametrize("name", CONFIGS)
def test_no_script_of_another_site_is_run(name: str) -> None:
    assert not re.search(r"\|\s*(ba|z)?sh\b", (ROOT / name).read_text())


def test_a_machine_gives_its_keys_to_those_who_bring_a_token() -> None:
    for kind in load("cluster.yaml")["available_node_types"].values():
        assert kind["node_config"]["MetadataOptions"]["HttpTokens"] == "required"


def test_a_worker_may_use_the_bucket_and_the_head_may_hand_over_no_other_role() -> None:
    kinds = load("cluster.yaml")["available_node_types"]
    profiles = {
        name: kind["node_config"]["IamInstanceProfile"]["Name"] for name, kind in kinds.items()
    }
    assert profiles.pop("head") == "crescendo-head"
    assert set(profiles.values()) == {"crescendo-worker"}
    assert all(action.startswith("s3:") for action, _ in allowed("worker"))
    handed = [resource for action, resource in allowed("head") if action.startswith("iam:")]
    assert handed == ["arn:aws:iam::*:role/crescendo-worker"]
    assert not any(action in ("*", "ec2:*") for action, _ in allowed("head"))


def allowed(role: str) -> list[tuple[str, str]]:
    """Each action that a role may take, and on what."""
    policy = json.loads((ROOT / "docs" / "cluster" / "iam" / f"{role}.json").read_text())
    return [
        (action, statement["Resource"])
        for statement in policy["Statement"]
        for action in [*np.atleast_1d(statement["Action"])]
    ]


def test_on_google_cloud_every_machine_is_in_the_network_that_is_made_for_it() -> None:
    for kind in load("docs/cluster/gcp.yaml")["available_node_types"].values():
        (interface,) = kind["node_config"]["networkInterfaces"]
        assert interface["subnetwork"].endswith("/subnetworks/crescendo")
        assert kind["node_config"]["tags"] == {"items": ["crescendo"]}


@pytest.mark.parametrize("name", CONFIGS[1:])
def test_variants_differ_only_where_they_must(name: str) -> None:
    """The commands are those of the main file."""
    main, variant = load("cluster.yaml"), load(name)
    assert variant["file_mounts"] == main["file_mounts"]
    assert variant["rsync_exclude"] == main["rsync_exclude"]
    assert variant["head_setup_commands"] == main["head_setup_commands"]
    assert variant["head_start_ray_commands"][-1] == main["head_start_ray_commands"][-1]
    # Machines of one's own are not taken away; those of a cloud are, with notice.
    watched = len(main["worker_start_ray_commands"]) if name in CLOUDS else 2
    assert variant["worker_start_ray_commands"] == main["worker_start_ray_commands"][:watched]


@pytest.mark.parametrize("name", CLOUDS)
def test_a_notice_is_watched_for_and_reaches_the_cells(name: str) -> None:
    config = load(name)
    assert config["worker_start_ray_commands"][-1].endswith("-m sweeps.spot")
    assert "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER=1" in " ".join(config["head_start_ray_commands"])
