"""`ray up docs/cluster/local.yaml`, over ssh, from a laptop to a head and two workers.

The machines are namespaces of this one (`hosts.py`); all else is real: the launcher, sshd, rsync,
the token, the job, two machines lost on the way, and `ray down`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from data.sources import folk
from tests.cluster.hosts import HOME, ROOT, Host, Network, missing

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(missing() is not None, reason=f"a cluster of namespaces {missing()}"),
]
GRID = """\
data:
  source: {source}
cells:
  arch: lstm
  size: [4k, 6k, 9k]
  tokens: 1M
training:
  batch_tokens: 512
  context: 64
placement:
  cpus: 2
  checkpoint_seconds: 0
"""
DASHBOARD, MLFLOW = "http://127.0.0.1:8265", "http://127.0.0.1:5000"


class Cluster:
    """What a user has: a laptop, a cluster file, and the addresses of three machines."""

    def __init__(self, network: Network, shared: Path) -> None:
        self.network, self.shared = network, shared
        self.laptop = network.add("laptop")
        self.head = network.add("head")
        self.workers = [network.add("worker1"), network.add("worker2")]
        config = yaml.safe_load((ROOT / "docs" / "cluster" / "local.yaml").read_text())
        config["provider"] |= {
            "head_ip": self.head.address,
            "worker_ips": [worker.address for worker in self.workers],
        }
        # Packages are there already, and two tests at a time may not install into one environment.
        config["setup_commands"][-3:] = [f"ln -sfn {sys.prefix} ~/venv"]
        # The machines of a cloud have a watcher beside Ray; here it may stand for those of spot.
        clouds = yaml.safe_load((ROOT / "cluster.yaml").read_text())
        config["worker_start_ray_commands"].append(clouds["worker_start_ray_commands"][-1])
        self.file = shared / "cluster.yaml"
        self.file.write_text(yaml.safe_dump(config))
        (shared / "small.yaml").write_text(GRID.format(source=shared / "midi"))
        self.tunnel: subprocess.Popen | None = None
        self.token = self.laptop.run(["ray", "get-auth-token", "--generate"], 60).split()[-1]

    def up(self) -> None:
        self.laptop.run(f"cd {ROOT} && ray up --yes {self.file}", 180)

    def down(self, workers: list[Host]) -> None:
        """As docs/cluster/local.yaml says: `ray down` does not reach workers of one's own."""
        self.laptop.run(["ray", "down", "--yes", str(self.file)], 120)
        for worker in workers:
            self.laptop.run([*self.ssh, f"ubuntu@{worker.address}", "venv/bin/ray stop"], 60)

    def open_tunnel(self) -> None:
        """As `ray attach --port-forward` does it."""
        if self.tunnel:
            self.tunnel.kill()
            self.tunnel.wait()
        forward = [f"-L{port}:127.0.0.1:{port}" for port in (8265, 5000)]
        self.tunnel = self.laptop.popen([*self.ssh, "-N", *forward, f"ubuntu@{self.head.address}"])

    @property
    def ssh(self) -> list[str]:
        known = ["-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-oLogLevel=ERROR"]
        return ["ssh", "-i", f"{HOME}/.ssh/id_ed25519", *known]

    def ask(self, url: str, *headers: str, body: dict[str, Any] | None = None) -> str:
        """What a web address says to the laptop; nothing if it does not answer."""
        sent = ["--data", json.dumps(body), "-HContent-Type: application/json"] if body else []
        command = ["curl", "--silent", "--max-time", "20", *sent, *headers, url]
        return self.laptop.run(command, 30, check=False)

    def submit(self) -> str:
        """The job's name, at once."""
        sweep = f"sweeps/run_grid.py --grid {self.shared}/small.yaml --out {self.shared}/runs"
        output = self.laptop.run(
            f"cd {ROOT} && ray job submit --address {DASHBOARD} --no-wait --working-dir . "
            f"-- python {sweep}",
            120,
        )
        return output.partition("Job '")[2].partition("'")[0]

    def job_status(self, job: str) -> str:
        """Raises AssertionError, with what the job printed, if it failed."""
        said = self.dashboard(f"api/jobs/{job}")
        assert said.get("status") != "FAILED", said["message"]
        return said.get("status", "")

    def nodes(self) -> int:
        """How many are alive."""
        nodes = self.dashboard("nodes?view=summary").get("data", {}).get("summary", [])
        return sum(node["raylet"]["state"] == "ALIVE" for node in nodes)

    def dashboard(self, page: str) -> Any:
        """What it tells those who have the token; nothing if it does not answer."""
        said = self.ask(f"{DASHBOARD}/{page}", f"-HAuthorization: Bearer {self.token}")
        return json.loads(said or "{}")

    def mlflow(self, page: str, body: dict[str, Any] | None = None) -> str:
        """What it tells those who have read its link on the head; nothing if it does not answer."""
        log = self.head.disk / "home" / "mlflow.log"
        found = re.search(r"\?token=(\w+)", log.read_text() if log.exists() else "")
        if not found:
            return ""
        return self.ask(f"{MLFLOW}/{page}", f"-HAuthorization: Bearer {found[1]}", body=body)

    def runs(self) -> Counter[str]:
        """How many runs MLflow has of each cell, as it tells the laptop."""
        search = {"experiment_ids": ["1"], "filter": "tags.`crescendo.kind` = 'cell'"}
        found = json.loads(self.mlflow("api/2.0/mlflow/runs/search", search))["runs"]
        tags = [{tag["key"]: tag["value"] for tag in run["data"]["tags"]} for run in found]
        return Counter(tag["crescendo.cell_key"] for tag in tags)

    @property
    def cells(self) -> Path:
        return self.shared / "runs" / "small" / "cells"

    def records(self) -> dict[str, dict]:
        found = self.cells.glob("*/record.json")
        return {path.parent.name: json.loads(path.read_text()) for path in found}

    def under_way(self, since: float = 0) -> set[str]:
        """Cells with a checkpoint made since then and no record."""
        found = [path.parent for path in self.cells.glob("*/checkpoint_*/state.sha256")]
        # The time is in the name: Ray Train may remove the file at any moment.
        made = {place: int(place.name.rpartition("_")[2], 16) / 1e9 for place in found}
        return {place.parent.name for place in found if made[place] > since} - set(self.records())


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    shared = tmp_path / "shared"
    (shared / "midi").mkdir(parents=True)
    # Each archive is a task: there is work for two nodes.
    for part in range(4):
        with zipfile.ZipFile(shared / "midi" / f"{part}.zip", "w") as archive:
            for number, (_, tune) in enumerate(folk.tunes()[2000 + part : 2160 : 4]):
                if isinstance(midi := folk.to_midi(tune), bytes):
                    archive.writestr(f"{part}-{number}.mid", midi)
    network = Network(tmp_path)
    try:
        yield Cluster(network, shared)
    finally:
        network.close()


def wait(what: str, condition: Callable[[], Any], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"not within {seconds} s: {what}"
        time.sleep(0.5)


def wait_until_idle(host: Host, seconds: float) -> None:
    until = time.monotonic() + seconds
    while left := host.processes():
        assert time.monotonic() < until, f"after {seconds} s {host.name} runs {left}"
        time.sleep(1)


def has_one_watcher(host: Host) -> bool:
    """Of spot notices, not counting the shells around it."""
    found = (line.split() for line in host.processes())
    return sum(words[0].endswith("python") and words[-1] == "sweeps.spot" for words in found) == 1


def test_a_sweep_survives_the_loss_of_a_worker_and_of_the_head(cluster: Cluster) -> None:
    laptop, head, (first, second) = cluster.laptop, cluster.head, cluster.workers
    cluster.up()
    cluster.open_tunnel()
    wait("the dashboard answers", lambda: cluster.ask(DASHBOARD), 60)
    wait("both workers join", lambda: cluster.nodes() == 3, 120)
    wait("MLflow answers", lambda: cluster.mlflow("health") == "OK", 120)

    for worker in cluster.workers:
        wait("a spot watcher runs", partial(has_one_watcher, worker), 30)

    # The token is on every node, for its owner alone, and in nobody's list of processes.
    for host in (head, first, second):
        path = host.disk / "home" / ".ray" / "auth_token"
        assert path.read_text().strip() == cluster.token
        assert path.stat().st_mode & 0o077 == 0
        assert not [line for line in host.processes() if cluster.token in line]
    # Who has none is refused by the dashboard and by MLflow, who has a wrong one by Ray.
    assert cluster.ask(f"{MLFLOW}/health").startswith("Open the link")
    assert (head.disk / "home" / "mlflow.log").stat().st_mode & 0o077 == 0
    assert cluster.ask(f"{DASHBOARD}/api/jobs/").startswith("Unauthorized")
    stranger = f"RAY_AUTH_TOKEN=wrong ray status --address {head.address}:6379"
    assert "InvalidAuthToken" in laptop.run(stranger, 60, check=False)
    # From outside the head, MLflow and the dashboard are not there at all.
    for port in (5000, 8265):
        assert cluster.ask(f"http://{head.address}:{port}/") == ""

    job = cluster.submit()
    wait("two cells go", lambda: cluster.job_status(job) and len(cluster.under_way()) >= 2, 240)
    killed, interrupted = time.time(), cluster.under_way()
    second.die()
    cluster.network.unplug(second)
    wait("one ends", cluster.records, 240)
    wait("the next one goes", lambda: cluster.under_way(since=time.time() - 5), 240)

    head.die()
    before = cluster.records()
    assert before, "no cell had ended when the head went"
    head.boot()
    cluster.up()
    cluster.open_tunnel()
    wait("the dashboard answers", lambda: cluster.ask(DASHBOARD), 60)
    # The watcher went with the Ray that was stopped, and came with the one that was started.
    wait("one spot watcher runs", partial(has_one_watcher, first), 60)
    again = cluster.submit()
    wait("the grid ends", lambda: cluster.job_status(again) == "SUCCEEDED", 400)

    after = cluster.records()
    assert [record["status"] for record in after.values()] == ["finished"] * 3
    assert {key: after[key] for key in before} == before
    for key in interrupted:
        # Its curve begins before the worker was lost: it went on, and did not start again.
        assert after[key]["curve"][0]["time"] < killed < after[key]["ended"]
    assert cluster.runs() == Counter(list(after))

    cluster.down([first])
    for host in (head, first):
        wait_until_idle(host, 60)
