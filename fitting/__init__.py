import importlib.util
import sys

if importlib.util.find_spec("pandas") is None:
    raise SystemExit(
        f"Crescendo's packages are not installed for {sys.executable}. "
        "After `make sweep` or `make test`: source .venv/bin/activate"
    )
