"""The last step of a sweep: its models compose, beside each other on the cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from sweeps.console import busy, say
from sweeps.sweep import Sweep
from trainers.generate import make_page
from trainers.samples.study import in_a_line


def samples(sweep: Sweep, folder: Path) -> dict[str, Path]:
    """Let the cells compose a little, one page a tokenizer in `folder`: name to path.

    What fails is told in a line that says how to make it again; nothing is raised.
    """
    pages, several = {}, len(sweep.grid.data.tokenizer) > 1
    for tokenizer in sweep.grid.data.tokenizer:
        name = f"samples-{tokenizer}.html" if several else "samples.html"
        data, page = sweep.data(tokenizer), folder / name
        again = f"Again: python -m trainers.generate --sweep {sweep.folder} --data {data}"
        try:
            with busy("Samples  let every model compose"):
                failed = make_page(sweep.cells, data, page, 8, 2, beside_each_other)
        except Exception as error:
            say(f"No samples: {in_a_line(error)}. {again}")
            continue
        for cell, why in failed.items():
            say(f"No samples of {cell}: {why}. {again} --cell {cell}")
        pages[name] = page
    return pages


def beside_each_other(
    work: Callable[..., Any], tasks: Sequence[tuple], shared: tuple
) -> Iterator[Any]:
    """As `trainers.samples.apart.in_turn`, but as Ray tasks of one CPU each, on any node."""
    # Ray would try one that lacks memory for ever.
    call = ray.remote(num_cpus=1, max_retries=0)(work).remote
    # A node fetches it once for all its tasks.
    common = [ray.put(each) for each in shared]
    begun = [call(*common, *task) for task in tasks]
    for answer, task in zip(begun, tasks):
        result = _result(answer)
        if isinstance(result, RayError):
            # Its process or its node died, perhaps for lack of memory: once more, by itself.
            ray.wait(begun, num_returns=len(begun))
            result = _result(call(*common, *task))
        yield result


def _result(answer: ray.ObjectRef) -> Any:
    """What a task returned, the error it raised, or the RayError of which it died."""
    try:
        return ray.get(answer)
    except RayTaskError as error:
        return error.cause
    except RayError as error:
        return error
