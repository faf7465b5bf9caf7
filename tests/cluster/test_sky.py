"""What SkyPilot is given, as far as it can be checked without its hosted catalogue: by the schema
and the reader in its package. And what its machines are told to run, run here.

SkyPilot has pins of its own, so it is no dependency. Where `skypilot` and `pytest` are installed:

    python -m pytest --noconftest tests/cluster/test_sky.py
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.waiting import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docs" / "cluster" / "sky.yaml"
TOKEN = ("RAY_AUTH_TOKEN", "secret")


@pytest.fixture
def task() -> dict[str, Any]:
    return yaml.safe_load(FILE.read_text())


def test_skypilot_accepts_the_task(task: dict[str, Any]) -> None:
    sky = pytest.importorskip("sky", reason="SkyPilot is not installed")
    read = sky.Task.from_yaml_config(task, secrets_overrides=[TOKEN])
    assert read.num_nodes == 4
    assert all(each.use_spot for each in read.resources)
    assert {next(iter(each.accelerators)) for each in read.resources} == {"A10G", "L4"}


@pytest.mark.parametrize(
    ("place", "name"), [((), "num_node"), (("resources",), "accelerator"), (("envs",), "A-B")]
)
def test_what_skypilot_does_not_know_is_refused(
    place: tuple[str, ...], name: str, task: dict[str, Any]
) -> None:
    sky = pytest.importorskip("sky", reason="SkyPilot is not installed")
    section = task
    for key in place:
        section = section[key]
    section[name] = "1"
    with pytest.raises(ValueError, match=name):
        sky.Task.from_yaml_config(task, secrets_overrides=[TOKEN])


def test_the_token_is_asked_for_and_not_in_the_file(task: dict[str, Any]) -> None:
    assert task["secrets"] == {"RAY_AUTH_TOKEN": None}
    assert "RAY_AUTH_MODE=token" in task["run"]
    assert not re.search(r"(?i)password|access_key", FILE.read_text())
    # Of the dashboard, and of MLflow's pages, which are not those of its own server.
    assert re.findall(r"--(?:dashboard-)?host (\S+)", task["run"]) == ["127.0.0.1"]
    assert "sweeps/ui.py" in task["run"]
    assert "mlflow server" not in task["run"]


def test_a_notice_is_watched_for_and_reaches_the_cells(task: dict[str, Any]) -> None:
    assert "-m sweeps.spot" in task["run"]
    before, _ = task["run"].split("ray start --head")
    assert "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER=1" in before


def test_what_is_installed_is_known_by_its_hash_or_pinned(task: dict[str, Any]) -> None:
    uv, by_hash, rest = [line for line in task["setup"].splitlines() if "install" in line]
    assert uv.endswith("--require-hashes --requirement docs/cluster/uv.txt")
    assert by_hash.endswith("--require-hashes --no-deps --requirement hashes.txt")
    assert rest.endswith("--constraint constraints.txt --editable .")


# In the place of the sweep: it waits until both machines are there, and a link to MLflow's pages,
# which take longer to start than this would last.
SWEEP = """\
import os, pathlib, time, ray
ray.init(log_to_driver=False)
while len([node for node in ray.nodes() if node["Alive"]]) < 2: time.sleep(0.5)
while "?token=" not in (pathlib.Path.home() / "mlflow.log").read_text(): time.sleep(0.5)
print("swept", os.environ["GRID"], os.environ["MLFLOW_TRACKING_URI"])
"""


@pytest.mark.slow
def test_the_machines_are_one_cluster_which_ends_with_the_sweep(
    task: dict[str, Any], tmp_path: Path
) -> None:
    """What two machines run, here, by ports of their own."""
    (tmp_path / "sweep.py").write_text(SWEEP)
    head, *agents = map(str, free_ports(3))
    script = task["run"].replace("6379", head)
    script = script.replace("sweeps/run_grid.py", str(tmp_path / "sweep.py"))
    # Sockets have short paths; and no other Ray of this machine may be found, or find this one.
    with tempfile.TemporaryDirectory(prefix="sky") as short:
        machines = []
        for rank, agent in enumerate(agents):
            home = tmp_path / f"home{rank}"
            home.mkdir()
            (home / "venv").symlink_to(sys.prefix)
            given = {
                "PYTHONPATH": str(ROOT),
                "RAY_AUTH_TOKEN": "a" * 64,
                "RAY_TMPDIR": short,
                # For so long a node waits for its head, once that has ended.
                "RAY_gcs_rpc_server_reconnect_timeout_s": "5",
                **of_machine(home, rank),
            }
            with (home / "said.txt").open("w") as said:
                machines.append(
                    subprocess.Popen(
                        ["bash", "-c", script.replace("52366", agent)],
                        cwd=ROOT,
                        env=os.environ | task["envs"] | given,
                        stdout=said,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
                )
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                for machine in machines:
                    machine.wait(PATIENCE_SECONDS)
        finally:
            for machine in machines:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(machine.pid, signal.SIGKILL)
    told = [(tmp_path / f"home{rank}" / "said.txt").read_text() for rank in (0, 1)]
    assert [machine.returncode for machine in machines] == [0, 0], told
    home = tmp_path / "home0"
    assert f"swept lakh sqlite:///{home}/mlflow/mlflow.db" in told[0]
    link = home / "mlflow.log"
    assert "?token=" in link.read_text()
    assert link.stat().st_mode & 0o777 == 0o600


# In the place of `ray`: it notes what it is told, and does what a script of the test says.
RAY = """\
#!/bin/bash
echo "$1" >> ~/calls.txt
{does}
"""


@pytest.mark.parametrize(
    ("ray", "spot", "joined"),
    [
        # It fails once, as on a machine whose ports are taken, and stays until it is told to end.
        ("test $1 = health-check || test $(grep -c start ~/calls.txt) = 2", "sleep 60", 2),
        # Its head ends with it.
        ("test $(grep -c start ~/calls.txt) = 0", "sleep 60", 1),
        # It was taken off after a notice.
        ("test $1 = health-check || { sleep 1; false; }", "exit 0", 1),
    ],
    ids=["could not join", "the head ended", "drained"],
)
def test_a_machine_joins_until_it_is_drained_or_its_head_ends(
    ray: str, spot: str, joined: int, task: dict[str, Any], tmp_path: Path
) -> None:
    (commands := tmp_path / "venv" / "bin").mkdir(parents=True)
    (commands / "ray").write_text(RAY.format(does=ray))
    (commands / "python").write_text(f"#!/bin/bash\n{spot}\n")
    for command in commands.iterdir():
        command.chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", task["run"]],
        env=os.environ | task["envs"] | of_machine(tmp_path, rank=1),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "calls.txt").read_text().split().count("start") == joined


def of_machine(home: Path, rank: int) -> dict[str, str]:
    """What SkyPilot tells a machine of two."""
    return {
        "HOME": str(home),
        "SKYPILOT_NODE_IPS": "127.0.0.1\n127.0.0.1",
        "SKYPILOT_NODE_RANK": str(rank),
    }


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        found = [held.enter_context(socket.create_server(("", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in found]
