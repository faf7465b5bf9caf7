"""What `sweeps/beside_ray.sh` starts lives as long as Ray does on its machine, and only once."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "sweeps" / "beside_ray.sh"

# In a process namespace of its own, where this `raylet` is the only one. A server has two children.
PLAY = """\
set -eu
cp "$(command -v sleep)" raylet
cp "$(command -v sleep)" child
printf 'echo started >> starts; ./child 1000 & ./child 1000' > server
start() { sh SCRIPT server sh ./server; }
wait_for() {
  for _ in $(seq 300); do [ "$(pgrep -xc child)" = "$1" ] && return; sleep 0.1; done
  echo "$2: $(pgrep -xc child) children"; ps -e -o args; exit 1
}
./raylet 1000 & first=$!
start; wait_for 2 "started"
start; start; sleep 1; wait_for 2 "started twice more"
[ "$(wc -l < starts)" = 1 ]
kill $first; wait $first || true
wait_for 0 "Ray has ended"
./raylet 1000 & second=$!
start; wait_for 2 "Ray and it have started again"
kill $second; wait $second || true
wait_for 0 "Ray has ended again"
sleep 1; wait_for 0 "nothing comes back"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a process namespace")
@pytest.mark.skipif(not shutil.which("unshare"), reason="needs unshare (util-linux)")
def test_it_is_there_once_while_ray_is(tmp_path: Path) -> None:
    alone = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    done = subprocess.run(
        [*alone, "bash", "-c", PLAY.replace("SCRIPT", str(SCRIPT))],
        cwd=tmp_path,
        env=os.environ | {"HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
