"""Open MLflow on the runs of earlier sweeps, until Ctrl-C.

python sweeps/ui.py --out runs
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from sweeps.server import Server


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs"), help="the sweeps' folder [runs]")
    parser.add_argument("--port", type=int, default=5000, help="the first port to try [5000]")
    args = parser.parse_args()
    folder = args.out.resolve() / "mlflow"
    if not folder.is_dir():
        print(f"ui: no runs at {args.out}; make some with make sweep", file=sys.stderr)
        return 2
    server = Server.start(folder, args.port)
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    try:
        server.wait()
        print(f"MLflow   {server.uri}   (Ctrl-C ends it)", flush=True)
        over.wait()
    finally:
        server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
