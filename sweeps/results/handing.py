"""The best cell that was trained on, written for others to load: `best` in the sweep's folder."""

from __future__ import annotations

from importlib.util import find_spec

from data.errors import one_line
from sweeps import best
from sweeps.console import busy, say
from sweeps.sweep import Sweep


def export_best(sweep: Sweep) -> None:
    """Export it once; what keeps it from that is told in a line, and nothing is raised."""
    from trainers.export import export, exported
    from trainers.samples.cells import CellError, finished

    one = best.shown(sweep)
    record = sweep.records([one.cell]).get(one.cell) if one else None
    if one is None or record is None or record.status != "finished":
        return
    if exported(sweep.best).get("cell") == one.cell:
        return
    again = f"python -m trainers.export --sweep {sweep.folder} --best --to {sweep.best}"
    if find_spec("safetensors") is None:
        say(f"The best is not exported: found no safetensors; pip install '.[export]'. {again}")
        return
    try:
        (trained,) = [each for each in finished(sweep.cells) if each.cell.key == one.cell]
        # What was the best before, or was half written.
        sweep.best.delete()
        with busy("Best     is written for transformers"):
            export(trained, sweep.data(trained.cell.tokenizer), sweep.report, sweep.best)
    except (CellError, ValueError, OSError) as error:
        say(f"The best is not exported: {one_line(error)}. Again: {again}")
