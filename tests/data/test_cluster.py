"""Which Ray is joined: the one that the user names or has started, and never a stranger's."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from ray._common.usage.usage_lib import usage_stats_enabled

from data import cluster
from tests.strangers import STRANGER, as_root, folder_of_all, mode, stranger
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
ADDRESS = "10.213.47.2:6379"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Ray looks for the cluster that was last started on this machine."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("no_proxy", "NO_PROXY"):  # What is added to them is taken back.
        monkeypatch.setenv(name, os.environ.get(name, ""))
    (tmp_path / "ray").mkdir()
    return tmp_path / "ray" / "ray_current_cluster"


@pytest.fixture
def raylet() -> Iterator[Callable[..., None]]:
    """Starts what looks like a process of a node of that cluster, of any user."""
    started: list[subprocess.Popen] = []

    def start(address: str = ADDRESS, **options: Any) -> None:
        command = ["sh", "-c", "sleep 600; :", "raylet", f"--gcs-address={address}"]
        process = subprocess.Popen(command, start_new_session=True, **options)
        started.append(process)
        # A process has no command line for the first moments of its program.
        wait_until(Path(f"/proc/{process.pid}/cmdline").read_text)

    yield start
    for process in started:
        os.killpg(process.pid, 9)
        process.wait()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """What `ray.init` is called with, in place of being called."""
    calls: list[tuple] = []
    monkeypatch.setattr("ray.init", lambda *given, **options: calls.append((*given, options)))
    return calls


@pytest.mark.parametrize("named", [None, "", "auto"])
def test_a_cluster_that_this_user_started_here_is_joined(
    file: Path,
    raylet: Callable,
    asked: list[tuple],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    named: str | None,
) -> None:
    if named is not None:
        monkeypatch.setenv("RAY_ADDRESS", named)
    with socket.create_server(("127.0.0.1", 0)) as listens:
        address = f"127.0.0.1:{listens.getsockname()[1]}"
        file.write_text(f"{address}\n")
        raylet(address)
        assert not cluster.join(log_to_driver=False)
    assert asked == [(address, {"log_to_driver": False})]
    # Ray itself would follow its file for these words.
    assert "RAY_ADDRESS" not in os.environ
    assert capfd.readouterr().err == ""


def test_one_that_does_not_answer_is_named_at_once(
    file: Path, raylet: Callable, asked: list[tuple]
) -> None:
    """Its head has died, and a node has not noticed."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        file.write_text(address)
        raylet(address)
        with pytest.raises(OSError, match=f"said that there is a cluster at {address}, where"):
            cluster.join()
    assert asked == []


def test_the_word_for_no_cluster_is_taken_at_its_word(
    file: Path, raylet: Callable, asked: list[tuple], monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(ADDRESS)
    raylet()
    monkeypatch.setenv("RAY_ADDRESS", "local")
    assert cluster.join()
    assert asked[0][0] == "local"


@as_root
@pytest.mark.parametrize("named", ["", "auto"])
def test_no_word_has_ray_follow_a_strangers_file(
    file: Path, raylet: Callable, asked: list[tuple], monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    strangers(file)
    raylet()
    monkeypatch.setenv("RAY_ADDRESS", named)
    if named:
        with pytest.raises(OSError, match="RAY_ADDRESS is auto"):
            cluster.join()
        assert asked == []
    else:
        assert cluster.join()
        assert asked[0][0] == "local"


def test_without_one_ray_starts_here_out_of_reach_of_others(
    file: Path, asked: list[tuple], capfd: pytest.CaptureFixture[str]
) -> None:
    assert cluster.join(log_to_driver=False)
    ((address, options),) = asked
    assert address == "local"
    assert mode(Path(options["_temp_dir"]).parent) == 0o700
    assert mode(file.parents[1] / ".ray" / "auth_token") == 0o600
    assert capfd.readouterr().err == ""


def test_a_terminal_that_closes_tells_this_process_and_not_its_ray(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = []
    monkeypatch.setattr("ray.init", lambda *_, **__: heard.append(signal.getsignal(signal.SIGHUP)))
    before = signal.getsignal(signal.SIGHUP)
    assert cluster.join()
    assert heard == [signal.SIG_IGN]
    assert signal.getsignal(signal.SIGHUP) == before


def test_a_cluster_that_is_named_is_joined_whatever_the_file_says(
    file: Path, asked: list[tuple], monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(file)
    with socket.create_server(("127.0.0.1", 0)) as listens:
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{listens.getsockname()[1]}")
        assert not cluster.join(log_to_driver=False)
    # Ray reads the variable itself.
    assert asked == [({"log_to_driver": False},)]


def strangers(file: Path) -> None:
    file.write_text(ADDRESS)
    os.chown(file, STRANGER, STRANGER)


def link(file: Path) -> None:
    file.with_name("other").write_text(ADDRESS)
    file.symlink_to(file.with_name("other"))


@pytest.mark.parametrize("plant", [pytest.param(strangers, marks=as_root), link, os.mkfifo])
def test_what_a_stranger_may_have_planted_is_not_followed(
    file: Path, raylet: Callable, plant: Callable, capfd: pytest.CaptureFixture[str]
) -> None:
    plant(file)
    raylet()
    assert cluster.started_here() is None
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert f"the cluster in {file} is not joined" in error
    assert "RAY_ADDRESS names one to join" in error


def test_a_cluster_that_has_died_is_not_waited_for(
    file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file.write_text(ADDRESS)
    assert cluster.started_here() is None
    assert f"no Ray of yours serves {ADDRESS} any more" in capfd.readouterr().err


@as_root
def test_nor_is_a_stranger_who_has_taken_its_address(file: Path, raylet: Callable) -> None:
    file.write_text(ADDRESS)
    raylet(user=STRANGER, group=STRANGER)
    assert cluster.started_here() is None


LISTENING = """
import ipaddress, sys, ray, psutil
from data import cluster

assert cluster.join(num_cpus=1)
ray.get(ray.remote(lambda: None).remote())
here = psutil.Process()
for process in (here, *here.children(recursive=True)):
    for found in process.net_connections():
        if found.status == psutil.CONN_LISTEN:
            address = ipaddress.ip_address(found.laddr.ip)
            print(process.name(), getattr(address, "ipv4_mapped", None) or address)
print("session", ray._private.worker._global_node.get_session_dir_path(), flush=True)
sys.stdin.read()
"""


@as_root
@pytest.mark.slow
def test_nobody_else_reaches_the_ray_that_starts_here(monkeypatch: pytest.MonkeyPatch) -> None:
    with folder_of_all() as folder:
        monkeypatch.delenv("RAY_ADDRESS", raising=False)
        monkeypatch.setenv("RAY_TMPDIR", str(folder))
        monkeypatch.setenv("HOME", str(folder / "home"))
        with subprocess.Popen(
            [sys.executable, "-c", LISTENING],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout
            lines = []
            while (line := process.stdout.readline()).split()[:1] != ["session"]:
                assert line, "Ray did not start"
                lines.append(line.split())
            session = Path(line.split()[1])
            assert {"gcs_server", "raylet"} <= {name for name, _ in lines}
            assert {address for _, address in lines} == {"127.0.0.1"}
            assert session.is_relative_to(folder)
            with stranger(), pytest.raises(PermissionError):
                os.listdir(session)
            process.communicate("")


def test_an_address_where_nothing_listens_is_named_at_once(
    file: Path, asked: list[tuple], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        assert not cluster.join()
    with pytest.raises(OSError, match=f"RAY_ADDRESS is {address}, where nothing answers"):
        cluster.join()
    assert len(asked) == 1


def test_a_ray_that_does_not_start_is_a_line(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(*_: object, **__: object) -> None:
        raise Exception("The node timed out.\nSee the log, and more lines.")

    monkeypatch.setattr("ray.init", late)
    with pytest.raises(OSError, match="Ray did not start") as raised:
        cluster.join()
    said = str(raised.value)
    assert said.endswith(
        ": The node timed out. See the log, and more lines. The same command tries again."
    )


@pytest.mark.parametrize(
    ("name", "own"), [("RAY_USAGE_STATS_ENABLED", "0"), ("MALLOC_ARENA_MAX", "1")]
)
@pytest.mark.parametrize("given", [None, "4"])
def test_what_ray_starts_here_tells_its_makers_nothing_and_has_one_heap_unless_the_user_has_it_so(
    file: Path,
    asked: list[tuple],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    own: str,
    given: str | None,
) -> None:
    monkeypatch.setenv(name, "")  # What is set is taken back.
    monkeypatch.delenv(name)
    if given:
        monkeypatch.setenv(name, given)
    cluster.join()
    assert os.environ[name] == (given or own)
    if name == "RAY_USAGE_STATS_ENABLED" and not given:
        assert not usage_stats_enabled()


def test_no_proxy_stands_between_a_process_and_its_own_machine(
    file: Path, asked: list[tuple], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "example.org")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    cluster.join()
    assert os.environ["no_proxy"] == "example.org,localhost,127.0.0.1,::1"
    assert requests.utils.should_bypass_proxies("http://127.0.0.1:8265", None)
    assert not requests.utils.should_bypass_proxies("http://example.com", None)
