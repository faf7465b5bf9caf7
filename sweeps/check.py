"""Before a long run: can every node do what a sweep needs? One line per test, with what to do.

Only running nodes are checked. If the cluster scales up from zero, ask for some first:
`docs/cluster.md` says how.
"""

from __future__ import annotations

import hashlib
import os
import platform
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import torch
from ray.exceptions import GetTimeoutError, RayError
from ray.train import RunConfig, ScalingConfig, TrainingFailedError
from ray.train.torch import TorchConfig, TorchTrainer
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from data import prepare
from data.store.flat import PACKED, SPLITS
from data.store.location import Location
from data.store.manifest import MANIFEST
from sweeps.console import say
from sweeps.scheduling.schedule import DRIVER
from sweeps.sweep import Sweep
from sweeps.tracking import database

ANSWER_SECONDS = 180
"""How long the nodes may take to answer, and after that the workers to train together."""

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Finding:
    subject: str
    found: str
    todo: str = ""
    """What the user should do; empty if all is well."""

    @property
    def line(self) -> str:
        if not self.todo:
            return f"ok    {self.subject:<24} {self.found}"
        return f"FAIL  {self.subject:<24} {self.found}\n      -> {self.todo}"


@dataclass(frozen=True)
class Seen:
    """What a node reports about itself."""

    versions: dict[str, str]
    storage_error: str
    """Empty if there was none."""
    data_error: str


def versions() -> dict[str, str]:
    """The versions that must be the same on every node."""
    code = hashlib.sha256()
    rooms = ("data", "trainers", "sweeps", "fitting")
    for path in sorted(path for room in rooms for path in (ROOT / room).rglob("*.py")):
        code.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return {
        "python": platform.python_version(),
        "ray": ray.__version__,
        "torch": torch.__version__,
        "crescendo": code.hexdigest()[:8],
    }


def error_of(attempt: Callable[[], object]) -> str:
    """The error of a call, in one line; empty if there is none."""
    try:
        attempt()
    except (OSError, ValueError) as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    return ""


def use_storage(folder: Location, word: str) -> None:
    """Read what the head has written; write, rename and read a file of this node's own.

    Raises OSError, or ValueError if the content is not what was written.
    """
    common, own = folder / "head", folder / uuid.uuid4().hex
    if not common.exists() or common.read_text() != word:
        raise ValueError("what the head wrote is not here")
    own.write_text(word)  # On a disk, this writes under another name and renames.
    if own.read_text() != word:
        raise ValueError("what was written is not what is read")


def read_data(sweep: Sweep) -> None:
    """Open the packed files, or the source if there are none. Raises OSError, DataError."""
    spec = sweep.grid.data
    for name in spec.tokenizer:
        data = sweep.data(name)
        if not (data / MANIFEST).exists():
            wanted = (spec.source, name, spec.ticks_per_quarter, spec.max_tokens)
            prepare.check(*wanted, spec.works, spec.facts)
            continue
        for split in SPLITS:
            with (data / PACKED / f"{split}.tokens.npy").open() as file:
                file.read(1)


def look(sweep: Sweep, folder: Location, word: str) -> Seen:
    """Run on a node."""
    return Seen(
        versions(),
        error_of(lambda: use_storage(folder, word)),
        error_of(lambda: read_data(sweep)),
    )


def judge_node(node: str, seen: Seen | str, expected: dict[str, str]) -> list[Finding]:
    """Three findings, or one if the node did not answer and `seen` says why."""
    if isinstance(seen, str):
        return [Finding(node, seen, "the code must be on every node: `ray up` again")]
    other = [name for name in expected if seen.versions[name] != expected[name]]
    wanted = ", ".join(f"{name} {expected[name]}" for name in other)
    told = ", ".join(f"{name} {found}" for name, found in seen.versions.items())
    mount = "--out must be a bucket, or a folder that every node mounts and may write"
    path = "the source must be a bucket, or a path that every node sees"
    return [
        Finding(f"{node} versions", told, f"the head has {wanted}: `ray up` again" * bool(other)),
        Finding(
            f"{node} storage",
            seen.storage_error or "read, written and renamed",
            mount * bool(seen.storage_error),
        ),
        Finding(f"{node} data", seen.data_error or "readable", path * bool(seen.data_error)),
    ]


def judge_mlflow(uri: str | None, error: str) -> Finding:
    if uri is None:
        return Finding("MLflow", "MLFLOW_TRACKING_URI is not set: the sweep has a database")
    listens = "start it on the head, or set MLFLOW_TRACKING_URI to where it listens"
    return Finding(f"MLflow {uri}", error or "answers", listens * bool(error))


def judge_workers(workers: int, backend: str, error: str) -> Finding:
    look_at = "open every port between the nodes"
    if backend == "nccl":
        look_at += "; run nvidia-smi on each; NCCL_DEBUG=INFO says more"
    return Finding(
        f"{workers} workers, {backend}", error or "train together", look_at * bool(error)
    )


def look_everywhere(sweep: Sweep, folder: Location) -> list[Finding]:
    word, until = uuid.uuid4().hex, time.monotonic() + ANSWER_SECONDS
    # If this fails, each node will report it.
    error_of(lambda: (folder / "head").write_text(word))
    asked = {}
    for node in alive():
        here = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        on_node = ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=here)
        asked[node["NodeManagerAddress"]] = on_node(look).remote(sweep, folder, word)
    expected = versions()
    return [
        finding
        for address, answer in sorted(asked.items())
        for finding in judge_node(address, answer_of(answer, until), expected)
    ]


def alive() -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]


def answer_of(answer: ray.ObjectRef, until: float) -> Any:
    """What the task returned, or the reason why it did not, as text."""
    try:
        return ray.get(answer, timeout=max(0.0, until - time.monotonic()))
    except GetTimeoutError:
        ray.cancel(answer, force=True)
        return f"no answer in {ANSWER_SECONDS} s; is a sweep at work?"
    except RayError as error:
        return str(error).strip().splitlines()[-1]


def ask_mlflow(uri: str) -> str:
    """What is wrong with MLflow, as the tracker would see it; empty if nothing is."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    database.make(uri)
    os.environ |= {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
    try:
        MlflowClient(uri).search_experiments(max_results=1)
    except MlflowException as error:
        return str(error).splitlines()[0]
    return ""


def add_up(config: dict[str, int]) -> None:
    """Run in every worker: multiply on its device, and sum the results over all workers."""
    ones = torch.ones(64, 64, device=ray.train.torch.get_device())
    total = (ones @ ones).mean() / 64
    torch.distributed.all_reduce(total)
    if total.item() != config["workers"]:
        raise ValueError(f"{config['workers']} workers add up to {total.item()}")


def train(workers: int, backend: str, folder: Location) -> str:
    """What is wrong with training on this many workers together; empty if nothing is."""
    try:
        TorchTrainer(
            add_up,
            train_loop_config={"workers": workers},
            torch_config=TorchConfig(backend=backend),
            scaling_config=ScalingConfig(
                num_workers=workers, use_gpu=backend == "nccl", placement_strategy="SPREAD"
            ),
            run_config=RunConfig(name="train", storage_path=str(folder)),
        ).fit()
    except TrainingFailedError as error:
        return " ".join(str(error).split())
    return ""


def train_everywhere(folder: Location) -> Finding:
    """Train with a worker on each GPU or, if there are none, on each node that has a CPU."""
    gpus = int(ray.cluster_resources().get("GPU", 0))
    cpus = sum(node["Resources"].get("CPU", 0) >= 1 for node in alive())
    workers, backend = (gpus, "nccl") if gpus else (cpus, "gloo")
    on_head = ray.remote(num_cpus=0, resources=DRIVER, max_retries=0)
    task = on_head(train).remote(workers, backend, folder)
    return judge_workers(workers, backend, answer_of(task, time.monotonic() + ANSWER_SECONDS))


def check(sweep: Sweep, uri: str | None) -> int:
    """Print what each node of the joined cluster can do; 1 if anything failed."""
    folder = sweep.out / f"check-{uuid.uuid4().hex}"
    try:
        findings = look_everywhere(sweep, folder)
        findings.append(judge_mlflow(uri, ask_mlflow(uri) if uri else ""))
        if not any(finding.todo for finding in findings):
            # Training needs storage and code, whose failures would be reported twice.
            findings.append(train_everywhere(folder))
    finally:
        error_of(folder.delete)
    for finding in findings:
        say(finding.line)
    wrong = sum(bool(finding.todo) for finding in findings)
    say(f"{wrong} of {len(findings)} failed" if wrong else "All is well.")
    return 1 if wrong else 0
