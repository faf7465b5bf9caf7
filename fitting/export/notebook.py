"""report.ipynb: the same laws from the same records, step by step, for a reader to modify.

The cells are run in this process and their output is stored with them, so the notebook can be read
without running it, and writing it does not need Jupyter.
"""

import ast
import base64
import contextlib
import io
import json
from pathlib import Path
from typing import Any

from fitting.runs.axis import Axis
from fitting.runs.loss import VAL_LOSS

INTRODUCTION = """# {law}

Every number of `report.html` comes from the calls below. `records.json` lies beside this notebook:
one row per training run. Change a line, run the rest again, and see how the law changes. Run it
where `import fitting` works: from the folder of Crescendo, or after `pip install -e` of it."""

CELLS = (
    """from fitting.analysis import analyse
from fitting.runs.read import read_json
from fitting.export.tables import laws_table

records = read_json({path})
records[["arch", "size", "seed", "n_params", "tokens", {loss}, "status"]]""",
    "## Laws, intervals, verdicts",
    """analysis = analyse(records, against="{column}"{chosen})
print("\\n".join(analysis.lines()))""",
    'laws_table(analysis).set_index("arch").T',
    "## Which runs were fitted, and which were left out",
    """for arch, law in analysis.laws.items():
    print(f"{{arch}}: {{len(law.selection.runs)}} fitted, {{len(law.selection.left_out)}} left out")
    for reason in law.verdict.reasons:
        print("  -", reason)""",
    "## The plot",
    """import matplotlib.pyplot  # tells Jupyter how to show a figure

from fitting.export.figures import figure

figure(analysis, "law")""",
    "## Residuals",
    'figure(analysis, "residuals")',
    "## Without some run\n\nFilter `records` as you like; here, each law without its largest size.",
    """largest = records.groupby("arch")["{column}"].transform("max")
smaller = records[records["{column}"] < largest]
print("\\n".join(analyse(smaller, against="{column}"{chosen}).lines()))""",
)


def write(axis: Axis, loss: str, folder: Path) -> Path:
    """Write report.ipynb beside the records.json of `folder`, with the output of its cells.

    `loss`: the column of the loss.
    """
    law = f"L({axis.symbol}) = a {axis.symbol}^-alpha + c"
    sources = [INTRODUCTION.format(law=law)]
    named = json.dumps(loss)
    chosen = "" if loss == VAL_LOSS else f", loss={named}"
    sources += [
        text.format(column=axis.column, path='"records.json"', loss=named, chosen=chosen)
        for text in CELLS
    ]
    names: dict[str, Any] = {}
    cells: list[dict[str, Any]] = []
    for count, source in enumerate(sources):
        if source.startswith("#"):
            cells.append(
                {"cell_type": "markdown", "id": f"c{count}", "metadata": {}} | _text(source)
            )
            continue
        code = source.replace('"records.json"', repr(str(folder / "records.json")))
        cells.append(
            {
                "cell_type": "code",
                "id": f"c{count}",
                "metadata": {},
                "execution_count": count,
                "outputs": _run(code, names, count),
            }
            | _text(source)
        )
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "cells": cells,
    }
    path = folder / "report.ipynb"
    path.write_text(json.dumps(notebook, indent=1), encoding="utf-8")
    return path


def _text(source: str) -> dict[str, list[str]]:
    return {"source": source.splitlines(keepends=True)}


def _run(code: str, names: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Run a cell as Jupyter does: its printed output, then the value of its last expression.

    A cell that raises ValueError shows the error: the records may be more than it can handle.
    """
    *body, last = ast.parse(code).body
    value, printed, errors = None, io.StringIO(), []
    with contextlib.redirect_stdout(printed):
        try:
            if isinstance(last, ast.Expr):
                exec(compile(ast.Module(body, []), "cell", "exec"), names)
                value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
            else:
                exec(compile(ast.Module([*body, last], []), "cell", "exec"), names)
        except ValueError as error:
            kind = type(error).__name__
            said = {"ename": kind, "evalue": str(error), "traceback": [f"{kind}: {error}"]}
            errors.append({"output_type": "error"} | said)
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        lines = printed.getvalue().splitlines(keepends=True)
        outputs.append({"output_type": "stream", "name": "stdout", "text": lines})
    if value is not None:
        shown = {"execution_count": count, "metadata": {}, "data": _shown(value)}
        outputs.append({"output_type": "execute_result"} | shown)
    return outputs + errors


def _shown(value: Any) -> dict[str, Any]:
    """A value in each format that Jupyter would request."""
    data: dict[str, Any] = {"text/plain": repr(value)}
    if hasattr(value, "_repr_html_") and (html := value._repr_html_()):
        data["text/html"] = html
    if hasattr(value, "savefig"):
        picture = io.BytesIO()
        value.savefig(picture, format="png", dpi=110)
        data["image/png"] = base64.b64encode(picture.getvalue()).decode()
    return data
