"""How well are forty cells, of a quarter of a GPU to four GPUs, packed on two nodes of four GPUs?

    python -m benchmarks.sweep_packing

GPUs are logical, and cells are stand-ins that hold the same resources and sleep; Tune, the
admission and Ray's placement groups are those of a sweep. Prints the makespan against a lower bound
for any order.
"""

from __future__ import annotations

import argparse

import ray

from harness.stand_ins import mixed, most_at_once, run_stand_ins, two_nodes
from sweeps.scheduling.packing import Capacity, lower_bound

EIGHT = Capacity(cpus=64, gpus=8)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cells", type=int, default=40, help="how many [40]")
    parser.add_argument("--seconds", type=float, default=25, help="of a cell, about [25]")
    args = parser.parse_args()
    demands = mixed(args.cells, args.seconds)
    cluster = two_nodes()
    ray.init(cluster.address, log_to_driver=False)
    try:
        held = run_stand_ins(demands)
    finally:
        ray.shutdown()
        cluster.shutdown()
    span = max(each.released for each in held) - min(each.asked for each in held)
    bound = lower_bound(demands, EIGHT)
    print("| cells | lower bound, s | makespan, s | ratio | most GPUs held |")
    print("| --- | --- | --- | --- | --- |")
    print(
        f"| {len(held)} | {bound:.1f} | {span:.1f} | {span / bound:.3f} | {most_at_once(held):g} |"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
