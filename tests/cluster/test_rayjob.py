"""What KubeRay is given, as far as it can be checked without Kubernetes: by its operator's schema,
and by Ray's own reading of it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.kuberay.autoscaling_config import (
    _derive_autoscaling_config_from_ray_cr,
)

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "cluster"
VARIABLE = "CRESCENDO_KUBERAY"
"""A folder with the operator's schema of a RayJob."""
GROUPS = ["one-gpu", "four-gpus"]
Edit = Callable[[dict[str, Any]], Any]


@pytest.fixture
def job() -> dict[str, Any]:
    # Copied, because what stands once in the file is one object at all its places.
    return json.loads(json.dumps(yaml.safe_load((FOLDER / "rayjob.yaml").read_text())))


@pytest.fixture
def schema() -> dict[str, Any]:
    if VARIABLE not in os.environ:
        pytest.skip(f"set {VARIABLE} to a folder with KubeRay's rayjob_v1.schema.json")
    return closed(json.loads((Path(os.environ[VARIABLE]) / "rayjob_v1.schema.json").read_text()))


def closed(schema: Any) -> Any:
    """The schema without room for other fields, which Kubernetes drops without a word."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(value) for key, value in schema.items()}
    listed = isinstance(schema.get("properties"), dict) and schema.get("type") == "object"
    if listed and not schema.get("x-kubernetes-preserve-unknown-fields"):
        found.setdefault("additionalProperties", False)
    return found


def worker(job: dict[str, Any], group: str) -> dict[str, Any]:
    groups = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    (found,) = [each for each in groups if each["groupName"] == group]
    return found


def head(job: dict[str, Any]) -> dict[str, Any]:
    return job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]


def pods(job: dict[str, Any]) -> list[dict[str, Any]]:
    return [head(job), *(worker(job, group)["template"]["spec"] for group in GROUPS)]


def env(container: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container["env"]}


def test_kuberay_accepts_the_job(job: dict[str, Any], schema: dict[str, Any]) -> None:
    jsonschema.validate(job, schema)


@pytest.mark.parametrize(
    "edit",
    [
        lambda job: job["spec"].update(entryPoint="python"),
        lambda job: job["spec"]["rayClusterSpec"].update(rayversion="2.60.0"),
        lambda job: head(job)["containers"][0].update(lifeCycle={}),
        lambda job: worker(job, "four-gpus")["template"]["spec"].update(gracePeriod=1),
        lambda job: worker(job, "one-gpu").update(maxReplicas="eight"),
        lambda job: worker(job, "one-gpu").pop("minReplicas"),
        lambda job: job["spec"]["rayClusterSpec"]["authOptions"].update(mode="password"),
    ],
)
def test_what_kuberay_does_not_know_is_refused(
    edit: Edit, job: dict[str, Any], schema: dict[str, Any]
) -> None:
    edit(job)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(job, schema)


def test_ray_scales_workers_from_zero_and_trains_nothing_on_the_head(job: dict[str, Any]) -> None:
    cluster = {"metadata": {"name": "crescendo", "namespace": "default"}}
    read = _derive_autoscaling_config_from_ray_cr(cluster | {"spec": job["spec"]["rayClusterSpec"]})
    kinds = {name: kind for name, kind in read["available_node_types"].items() if name in GROUPS}
    of_head = read["available_node_types"][read["head_node_type"]]["resources"]
    assert (of_head["CPU"], of_head["GPU"]) == (0, 0)
    assert [kind["min_workers"] for kind in kinds.values()] == [0, 0]
    assert {name: kind["resources"]["GPU"] for name, kind in kinds.items()} == {
        "one-gpu": 1,
        "four-gpus": 4,
    }
    for kind in kinds.values():
        assert kind["resources"]["accelerator_type:A10G"] == 1
    assert read["idle_timeout_minutes"] == 5
    assert job["spec"]["rayClusterSpec"]["enableInTreeAutoscaling"] is True


def test_the_head_stays_and_workers_are_of_the_spot_market(job: dict[str, Any]) -> None:
    markets = [pod["nodeSelector"]["eks.amazonaws.com/capacityType"] for pod in pods(job)]
    assert markets == ["ON_DEMAND", "SPOT", "SPOT"]


@pytest.mark.parametrize("group", GROUPS)
def test_ray_has_drained_the_node_before_the_pod_is_killed(job: dict[str, Any], group: str) -> None:
    pod = worker(job, group)["template"]["spec"]
    (container,) = pod["containers"]
    drains = float(env(container)["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"])
    assert drains < pod["terminationGracePeriodSeconds"]
    # A container that is started again, or a command of its own, would not get the signal.
    assert pod["restartPolicy"] == "Never"
    assert not {"command", "args", "lifecycle"} & set(container)
    assert env(head(job)["containers"][0])["RAY_TRAIN_ENABLE_PREEMPTION_WATCHER"] == "1"


def test_every_node_asks_for_the_token_which_is_not_in_the_file(job: dict[str, Any]) -> None:
    assert job["spec"]["rayClusterSpec"]["authOptions"] == {"mode": "token"}
    assert not re.search(r"(?i)secret|password|access_key", (FOLDER / "rayjob.yaml").read_text())


def test_what_mlflow_shows_is_what_the_head_writes_and_only_loopback_is_served(
    job: dict[str, Any],
) -> None:
    ray, mlflow = head(job)["containers"]
    assert env(ray)["MLFLOW_TRACKING_URI"] == "sqlite:////home/ray/mlflow/mlflow.db"
    assert ray["volumeMounts"] == mlflow["volumeMounts"]
    (mount,) = mlflow["volumeMounts"]
    assert mount["mountPath"] == "/home/ray/mlflow"
    assert "/home/ray/crescendo/sweeps/ui.py" in mlflow["command"]
    assert mlflow["command"][mlflow["command"].index("--out") + 1] == "/home/ray"
    assert not {"ports", "hostNetwork"} & (set(mlflow) | set(ray) | set(head(job)))


def test_workers_may_not_do_what_the_head_may(job: dict[str, Any]) -> None:
    accounts = [pod["serviceAccountName"] for pod in pods(job)]
    assert accounts == ["crescendo-head", "crescendo-worker", "crescendo-worker"]
    assert all(pod["automountServiceAccountToken"] is False for pod in pods(job)[1:])


def test_all_pods_run_one_image_with_the_ray_of_the_constraints(job: dict[str, Any]) -> None:
    assert len({each["image"] for pod in pods(job) for each in pod["containers"]}) == 1
    version = job["spec"]["rayClusterSpec"]["rayVersion"]
    assert f"\nray=={version}\n" in (ROOT / "constraints.txt").read_text()
    image = (FOLDER / "Dockerfile").read_text()
    assert f"FROM rayproject/ray:{version}-py311" in image
    assert "--require-hashes --no-deps --requirement hashes.txt" in image
    assert "--constraint constraints.txt --editable ." in image


def test_no_run_and_no_history_is_copied_into_the_image() -> None:
    left_out = (FOLDER / "Dockerfile.dockerignore").read_text().split()
    assert {"runs", ".venv", ".git"} <= set(left_out)
