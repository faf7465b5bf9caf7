"""Work divided into Ray Data tasks, whose errors stay one line."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import ray
import ray.data
from ray.exceptions import RayError, RayTaskError
from ray.util.annotations import RayDeprecationWarning

from data.crashes import MAX_ATTEMPTS
from data.errors import DataError, one_line

SHOWN = 120
"""Characters of what Ray says of a task that it lost."""
Result = TypeVar("Result")


def each(work: Callable[..., Result], tasks: Sequence[tuple]) -> list[Result]:
    """Call `work` with each tuple of arguments, each in a Ray Data task of its own.

    Returns the results, in no particular order. Raises the first OSError or DataError that one
    raised, when all have been called, and OSError for one whose process was killed again and again.
    """
    if not tasks:
        return []

    def task(batch: dict[str, np.ndarray]) -> dict[str, list[bytes]]:
        outcomes: list[Result | Exception] = []
        for arguments in batch["arguments"].tolist():
            try:
                outcomes.append(work(*ray.cloudpickle.loads(arguments)))
            except (OSError, DataError) as error:  # Returned: Ray would make a page of it.
                outcomes.append(error)
        return {"outcomes": [ray.cloudpickle.dumps(outcome) for outcome in outcomes]}

    ray.data.DataContext.get_current().enable_progress_bars = False
    # What it calls an error is raised as well.
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    rows = [{"arguments": ray.cloudpickle.dumps(arguments)} for arguments in tasks]
    blocks = ray.data.from_items(rows, override_num_blocks=len(rows))
    # A file that kills its process kills the task, which is then started again to find the file.
    # The last start is for the task itself to say that it gives up.
    try:
        with warnings.catch_warnings():
            # Of what 2.64 takes away; that one is not installed.
            warnings.simplefilter("ignore", RayDeprecationWarning)
            done = blocks.map_batches(task, max_retries=MAX_ATTEMPTS + 1).materialize()
    except RayTaskError:  # What nobody foresaw keeps its traceback.
        raise
    except RayError as error:
        said = one_line(error)[:SHOWN]
        raise OSError(
            f"a task that prepares data was killed {MAX_ATTEMPTS + 2} times: {said}; look for the "
            "end of memory, then start again"
        ) from error
    outcomes = [ray.cloudpickle.loads(row["outcomes"]) for row in done.iter_rows()]
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    return outcomes
