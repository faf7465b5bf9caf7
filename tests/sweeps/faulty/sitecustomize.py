"""A cell that fails, inside the real command: every Python process that has this folder on its
PYTHONPATH runs this at its start.

CRESCENDO_TEST_FAILS names a folder of files, each called after a size and its tokens, such as
4k-1000: the cells of that size and budget raise after 20 % of their steps, and for the word `once`
in the file remove it first.
"""

import importlib.abc
import importlib.util
import os
import sys
from pathlib import Path


class FaultyLoop(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "trainers.loop":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            module.check = raising(module.check)

        spec.loader.exec_module = exec_module
        return spec


def raising(check):
    def faulty(point, curve, cell, past_warmup):
        check(point, curve, cell, past_warmup)
        fault = Path(os.environ["CRESCENDO_TEST_FAILS"]) / f"{cell.size}-{cell.tokens}"
        if point["tokens"] > 0.2 * cell.tokens and fault.exists():
            if fault.read_text() == "once":
                fault.unlink()
            raise RuntimeError(f"the test lets {fault.name} fail")

    return faulty


if "CRESCENDO_TEST_FAILS" in os.environ:
    sys.meta_path.insert(0, FaultyLoop())
