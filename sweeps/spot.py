"""Watch for the notice that this spot machine will be taken away, then drain its Ray node.

    python -m sweeps.spot

Runs on each spot worker, beside Ray. A cloud gives notice in the metadata of the machine, which
nothing in Ray reads: AWS two minutes before, Google thirty seconds. A drained node gets no new
work, and Ray Train tells its cells to save.

A pod needs no watcher. Whatever takes it away sends SIGTERM, on which `ray start --block` itself
drains the node (`docs/cluster/rayjob.yaml`).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.error import HTTPError, URLError

METADATA = "http://169.254.169.254"
"""The same address on every cloud."""
GOOGLE_SECONDS = 30
"""From Google's notice until the machine goes."""
MARGIN_SECONDS = 10
"""How long before the machine goes its node should be empty."""


def aws(metadata: str = METADATA) -> datetime | None:
    """When this machine will be taken away; None if no notice has been given.

    IMDSv2: first a token, then the request (AWS, EC2 user guide, "Spot Instance interruption
    notices"). Raises URLError if no metadata server of AWS answers.
    """
    asked = urllib.request.Request(
        f"{metadata}/latest/api/token",
        method="PUT",
        headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"},
    )
    with urllib.request.urlopen(asked, timeout=2) as answer:
        token = answer.read().decode()
    action = urllib.request.Request(
        f"{metadata}/latest/meta-data/spot/instance-action",
        headers={"X-aws-ec2-metadata-token": token},
    )
    try:
        with urllib.request.urlopen(action, timeout=2) as answer:
            told = json.load(answer)
    except HTTPError as error:
        if error.code == 404:
            return None
        raise
    return datetime.fromisoformat(told["time"].replace("Z", "+00:00"))


def google(metadata: str = METADATA) -> datetime | None:
    """As `aws`, on Google Cloud, which says that a machine goes and not when (Compute Engine,
    "Spot VMs", "Detect preemption")."""
    asked = urllib.request.Request(
        f"{metadata}/computeMetadata/v1/instance/preempted",
        headers={"Metadata-Flavor": "Google"},
    )
    with urllib.request.urlopen(asked, timeout=2) as answer:
        preempted = answer.read().decode().strip() == "TRUE"
    return datetime.now(UTC) + timedelta(seconds=GOOGLE_SECONDS) if preempted else None


def watch(drain: Callable[[float], None], metadata: str = METADATA, every: float = 2) -> None:
    """Poll; at the first notice, call `drain` with the seconds that are left.

    Asks as each cloud is asked: the metadata of one answer the other's question with an error.
    """
    while True:
        for notice in (aws, google):
            # A metadata server that is slow once is asked again.
            with contextlib.suppress(URLError, TimeoutError):
                if (time_of_end := notice(metadata)) is not None:
                    left = (time_of_end - datetime.now(UTC)).total_seconds()
                    drain(max(1.0, left - MARGIN_SECONDS))
                    return
        time.sleep(every)


def drain_node(seconds: float) -> None:
    """Tell Ray that this node is going away: it gets no new work, and running cells can save."""
    command = [
        *(str(Path(sys.executable).with_name("ray")), "drain-node"),
        *("--reason", "DRAIN_NODE_REASON_PREEMPTION"),
        *("--reason-message", "the spot machine is taken away"),
        *("--deadline-remaining-seconds", str(int(seconds))),
    ]
    subprocess.run(command, check=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m sweeps.spot",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--metadata",
        default=METADATA,
        help="where the metadata are served [the address that clouds use]",
    )
    args = parser.parse_args()
    try:
        watch(drain_node, args.metadata)
    except subprocess.CalledProcessError as error:
        print(f"spot: Ray did not drain the node: {error}; is it running here?", file=sys.stderr)
        return 1
    print("noticed, drained", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
