"""Machines for tests, made of Linux namespaces: addresses, processes, /tmp and /home of their own.

What they share with this machine: its files elsewhere, its cores, its user ids. It takes root.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOME = "/home/ubuntu"
NETWORK = "10.213.47"
NEEDED = (
    "ip",
    "unshare",
    "nsenter",
    "setpriv",
    "ssh",
    "ssh-keygen",
    "sshd",
    "rsync",
    "mount",
    "curl",
)

# The first process of a machine. `ubuntu` is the user that the cluster files name; here it is root
# under another name, which has no other rights outside its namespaces than the test itself.
BOOT = """\
set -eu
mount --make-rprivate /
mount --rbind / /srv
for folder in /tmp /home /dev/shm /run; do mount -t tmpfs own $folder; done
for folder in {visible}; do mkdir -p $folder; mount --bind /srv$folder $folder; done
mkdir -p {home} /run/sshd /tmp/empty
mount --bind {disk}/home {home}
mount --bind {disk}/passwd /etc/passwd
$(command -v sshd) -f {disk}/sshd_config -E {disk}/sshd.log
# Bash buries the orphans that come to process 1.
while true; do sleep 1000 & wait; done
"""
SSHD = """\
HostKey {disk}/host_key
PidFile none
AuthorizedKeysFile {home}/.ssh/authorized_keys
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
MaxStartups 100
# The test's environment stands in for the one that `setup_commands` would install.
SetEnv PYTHONPATH={home}/crescendo PATH={path}
"""


def missing() -> str | None:
    """Why no machines can be made here; None if they can."""
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    lacking = [name for name in NEEDED if not shutil.which(name, path=path)]
    return f"needs {', '.join(lacking)}" if lacking else None


@dataclass
class Host:
    """A machine: a network namespace that stays, and processes and a /tmp that go when it dies."""

    name: str
    address: str
    disk: Path
    """What outlives a crash: home, keys."""
    visible: list[Path]
    """Folders of this machine that it sees where its own /tmp or /home would cover them."""
    alive: subprocess.Popen | None = None

    def boot(self) -> None:
        script = BOOT.format(
            disk=self.disk,
            home=HOME,
            visible=" ".join(shlex.quote(str(folder)) for folder in self.visible),
        )
        # Not even a test that is killed leaves it behind.
        tied = ["setpriv", "--pdeathsig", "KILL"]
        alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        with (self.disk / "boot.log").open("ab") as log:
            self.alive = subprocess.Popen(
                [*tied, "ip", "netns", "exec", self.name, *alone, "bash", "-c", script],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def die(self) -> None:
        """All its processes at once, as if the power were cut."""
        if self.alive:
            self.alive.send_signal(signal.SIGKILL)
            self.alive.wait()
            self.alive = None

    def popen(self, command: list[str] | str, **options: object) -> subprocess.Popen:
        """Start a command on the machine, as `ubuntu`; a string goes through a shell."""
        assert self.alive, f"{self.name} is dead"
        children = Path(f"/proc/{self.alive.pid}/task/{self.alive.pid}/children")
        until = time.monotonic() + 10
        while not (first := children.read_text().split()):
            assert time.monotonic() < until, (self.disk / "boot.log").read_text()
            time.sleep(0.05)
        enter = ["nsenter", "--target", first[0], "--mount", "--net", "--pid"]
        environment = {
            "HOME": HOME,
            "USER": "ubuntu",
            "PATH": search_path(),
            "PYTHONPATH": str(ROOT),
            "RAY_UP_enable_autoscaler_v2": "0",
            "RAY_AUTH_MODE": "token",
        }
        shell = ["bash", "-c", command] if isinstance(command, str) else command
        return subprocess.Popen([*enter, *shell], env=environment, text=True, **options)  # type: ignore[call-overload]

    def run(self, command: list[str] | str, seconds: float, check: bool = True) -> str:
        """What the command printed. Raises RuntimeError with it if the command failed."""
        process = self.popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            raise RuntimeError(f"{command} on {self.name} took over {seconds} s") from None
        if check and process.returncode:
            raise RuntimeError(f"{command} on {self.name}: {process.returncode}\n{output}")
        return output

    def processes(self) -> list[str]:
        """Command lines of all that runs on it, without its first process and ssh."""
        listing = self.run(["ps", "-e", "-o", "pid=,comm=,args="], 30)
        found = [line.split(maxsplit=2) for line in listing.splitlines()]
        return [
            args for pid, name, args in found if pid != "1" and name not in ("sshd", "sleep", "ps")
        ]


def search_path() -> str:
    system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return f"{Path(sys.executable).parent}:{system}"


@dataclass
class Network:
    """A laptop with a bridge, and the machines that hang on it. Close it in a `finally`."""

    folder: Path
    prefix: str = field(default_factory=lambda: f"cr{os.getpid()}")
    hosts: list[Host] = field(default_factory=list)

    def add(self, name: str) -> Host:
        """A machine, booted. The first one is the laptop."""
        number = len(self.hosts) + 1
        disk = self.folder / name
        (disk / "home" / ".ssh").mkdir(parents=True)
        self._keys(disk)
        visible = [ROOT, Path(sys.prefix), Path(sys.base_prefix), self.folder]
        host = Host(f"{self.prefix}-{name}", f"{NETWORK}.{number}", disk, visible)
        self.hosts.append(host)
        link, laptop = f"{self.prefix}v{number}", self.hosts[0].name
        _ip("netns", "add", host.name)
        _ip("-n", host.name, "link", "set", "lo", "up")
        if number == 1:
            _ip("-n", laptop, "link", "add", "bridge", "type", "bridge")
            _ip("-n", laptop, "addr", "add", f"{host.address}/24", "dev", "bridge")
            _ip("-n", laptop, "link", "set", "bridge", "up")
        else:
            peer = ("peer", "name", "eth0", "netns", host.name)
            _ip("-n", laptop, "link", "add", link, "type", "veth", *peer)
            _ip("-n", laptop, "link", "set", link, "master", "bridge", "up")
            _ip("-n", host.name, "addr", "add", f"{host.address}/24", "dev", "eth0")
            _ip("-n", host.name, "link", "set", "eth0", "up")
            # Leads nowhere; Ray asks for the route to an outside address to learn its own.
            _ip("-n", host.name, "route", "add", "default", "via", self.hosts[0].address)
        host.boot()
        return host

    def unplug(self, host: Host) -> None:
        _ip("-n", host.name, "link", "set", "eth0", "down")

    def _keys(self, disk: Path) -> None:
        """One key opens every machine; every machine has it, as the head reaches the workers."""
        key = self.folder / "id_ed25519"
        if not key.exists():
            _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(disk / "host_key"))
        ssh = disk / "home" / ".ssh"
        shutil.copy(key, ssh / "id_ed25519")
        shutil.copy(f"{key}.pub", ssh / "authorized_keys")
        (disk / "sshd_config").write_text(SSHD.format(disk=disk, home=HOME, path=search_path()))
        passwd = Path("/etc/passwd").read_text()
        (disk / "passwd").write_text(f"ubuntu:x:0:0::{HOME}:/bin/bash\n{passwd}")

    def close(self) -> None:
        for host in self.hosts:
            host.die()
            subprocess.run(["ip", "netns", "delete", host.name], check=False)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def _ip(*arguments: str) -> None:
    _run("ip", *arguments)
