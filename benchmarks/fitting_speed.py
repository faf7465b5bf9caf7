"""How long the fits and the report take.

    python -m benchmarks.fitting_speed --table chinchilla_figure4.csv [--runs 1000]

Times the surface L(N, D), 1,000 bootstrap draws of it, and everything from an MLflow database of
many runs, each with a training curve, to the written report. Writing that database is not counted.
"""

import argparse
import tempfile
import time
from pathlib import Path

import pandas as pd

from fitting import report
from fitting.surface.fit import bootstrap, fit_surface
from harness.experiments import log_experiment, make_records


def main() -> None:
    """Print the times, in seconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, required=True, help="the runs of figure 4")
    parser.add_argument("--runs", type=int, default=1000, help="runs in MLflow (default: 1000)")
    args = parser.parse_args()
    table = pd.read_csv(args.table).sort_values("loss").iloc[:-5]
    n, flops = table["Model Size"], table["Training FLOP"]

    start = time.perf_counter()
    surface = fit_surface(n, flops / 6 / n, table["loss"])
    fitted = time.perf_counter()
    draws = bootstrap(surface, 1000)
    drawn = time.perf_counter()
    print(
        f"L(N, D) on {len(table)} runs: {fitted - start:.2f} s, objective {surface.objective:.8f}"
    )
    print(f"1,000 bootstrap draws: {drawn - fitted:.2f} s")
    for name in draws.draws:
        error = draws.standard_error(name)
        print(f"  {name} {draws.interval(name)} standard error {error:.4g}")

    with tempfile.TemporaryDirectory() as folder:
        uri = f"sqlite:///{folder}/mlflow.db"
        records = make_records(seeds=-(-args.runs // 16)).iloc[: args.runs]
        log_experiment(records, uri, "many", curve_points=50)
        start = time.perf_counter()
        arguments = ["--experiment", "many", "--tracking-uri", uri, "--out", f"{folder}/report"]
        code = report.main(arguments)
        print(f"{len(records)} runs from MLflow to the report: {time.perf_counter() - start:.2f} s")
        if code:
            raise SystemExit(code)


if __name__ == "__main__":
    main()
