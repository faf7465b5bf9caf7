"""The training loop of one cell: PyTorch only; everything else is passed in.

The result is a function of the cell and the data alone. Where it is interrupted, how many workers
it runs on and how often it reports or saves do not change the weights (bit for bit at one number of
workers; up to rounding between different numbers).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from data.store.flat import open_split
from data.store.manifest import read_manifest
from trainers import device, optim
from trainers.batches import Batches
from trainers.cell import Cell
from trainers.curve import DivergedError, Point, check, is_point
from trainers.divisions import divisions
from trainers.evaluate import evaluate
from trainers.gradients import World, gradient_that_fits, largest_micro_tokens, replicated
from trainers.losses import Losses


class StoppedError(RuntimeError):
    """The cell was asked to stop and has saved."""


def train(
    cell: Cell,
    data: Path,
    world: World,
    *,
    prepare: Callable[[nn.Module, dict[str, Any] | None, int], tuple[nn.Module, dict[str, Any]]],
    restore: Callable[[], dict[str, Any] | None],
    save: Callable[[dict[str, Any]], None],
    keep: Callable[[dict[str, Losses]], None],
    report: Callable[[list[Point]], None],
    stop: Callable[[], bool],
    micro_tokens: int,
    checkpoint_seconds: float,
    save_trunk: Callable[[dict[str, Any]], None] = lambda state: None,
) -> dict[str, float]:
    """Train `cell` to its end and evaluate it on the whole validation and test splits.

    prepare: makes a model fast on its device. It receives the kernels of the state that is restored
    (empty if that has none, None if there is no state) and the tokens that go through the model at
    once; it returns the model to call, and its kernels.
    restore: returns a state that this cell gave to `save`, or that a cell that shares its trunk and
    decays no later gave to `save_trunk`; or None.
    keep: receives the losses by piece of both splits, before this returns.
    report: receives new points of the curve; after a resume, also all earlier ones.
    stop: asked after every step (with several workers, at every point) whether to save and leave.
    micro_tokens: the most tokens that one worker passes through the model at once; halved until
    they fit in memory.
    save_trunk: receives the state before the decay, from which other budgets can continue.
    Returns the final measurements by the names of the run record.
    Raises DivergedError, StoppedError.
    """
    manifest = read_manifest(data)
    if world.size > cell.batch_tokens // cell.context:
        raise ValueError(
            f"{world.size} workers for batches of {cell.batch_tokens // cell.context} windows; "
            "take fewer workers or larger batches"
        )
    split = open_split(data, "train")
    batches = Batches(
        split.tokens,
        manifest.bos_id,
        cell.context,
        cell.batch_tokens // cell.context,
        cell.seed,
        cell.boundaries == "restart",
    )
    torch.manual_seed(cell.seed)
    bare = cell.rung.build().to(world.device)
    windows = -(-batches.windows_per_batch // world.size)
    micro_tokens = largest_micro_tokens(
        bare, world, windows, cell.context, micro_tokens, cell.precision, cell.optimizer
    )
    state = restore()
    before = None if state is None else state.get("kernels", {})
    model, kernels = prepare(replicated(bare, world), before, micro_tokens)
    optimizer = optim.optimizer(bare, cell.peak_rates, cell.weight_decay, cell.optimizer)
    warmup = cell.warmup_tokens
    schedule = optim.SCHEDULES[cell.schedule]

    first_step, curve, seconds_before = 0, [], 0.0
    if state is not None:
        bare.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first_step, curve, seconds_before = state["step"], state["curve"], state["seconds"]
        report(curve)

    started = saved = last_point = time.monotonic()
    last_cpu = time.process_time()
    nats, scored_tokens, last_step = torch.zeros((), device=world.device), 0, first_step
    if state is not None:
        nats += state["nats"]
        scored_tokens = state["scored_tokens"]
    # A card still works on a step while the host makes the next one's batch: nothing here reads
    # from the device, and so waits for it, but at a point of the curve or for a checkpoint.
    for step in range(first_step, cell.steps):
        batch = batches.batch(step)
        optim.set_rate(optimizer, schedule((step + 0.5) * cell.batch_tokens, cell.tokens, warmup))
        summed, micro_tokens = gradient_that_fits(
            model, batches, batch, world, micro_tokens, cell.precision
        )
        nats += summed
        scored_tokens += int(batches.scored(batch[1]).sum())
        nn.utils.clip_grad_norm_(bare.parameters(), cell.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

        last, now = step + 1 == cell.steps, time.monotonic()
        if at_point := is_point(step + 1) or last:
            point: Point = {
                "tokens": (step + 1) * cell.batch_tokens,
                "train_loss": world.sum(nats).item() / scored_tokens,
                "learning_rate": optimizer.param_groups[0]["lr"],
                "tokens_per_second": (step + 1 - last_step)
                * cell.batch_tokens
                / (now - last_point),
                "cpu_cores": (time.process_time() - last_cpu) / (now - last_point),
                **device.use(world.device),
                "time": time.time(),
            }
            check(point, curve, cell, past_warmup=point["tokens"] > 2 * warmup)
            curve.append(point)
            report([point])
            nats, scored_tokens, last_step = torch.zeros_like(nats), 0, step + 1
            last_point, last_cpu = time.monotonic(), time.process_time()
        stopping = (at_point or world.size == 1) and world.agree(stop())
        decays = step + 1 == cell.trunk_steps and not last
        due = stopping or last or (at_point and world.agree(now - saved > checkpoint_seconds))
        if due or decays:
            state = {
                "cell_key": cell.key,
                "step": step + 1,
                "model": bare.state_dict(),
                "optimizer": optimizer.state_dict(),
                "curve": curve,
                "nats": nats.item(),
                "scored_tokens": scored_tokens,
                "seconds": seconds_before + time.monotonic() - started,
                "kernels": kernels,
            }
            if decays:
                save_trunk(state)
            if due:
                save(state)
                saved = time.monotonic()
            last_point, last_cpu = time.monotonic(), time.process_time()
        if stopping and not last:
            raise StoppedError(f"stopped after {step + 1:,} of {cell.steps:,} steps")

    seconds = seconds_before + time.monotonic() - started
    measured = cell.facts(unique_tokens=len(split.tokens)) | {"seconds": seconds}
    started = time.monotonic()
    windows = max(1, micro_tokens // cell.context)
    by_piece: dict[str, Losses] = {}
    for name in ("val", "test"):
        split = open_split(data, name)
        found, by_piece[name] = evaluate(
            bare, split, cell.context, windows, world.device, divisions(data, name)
        )
        if not math.isfinite(found["loss"]):
            raise DivergedError(f"the {name} loss became {found['loss']} at lr {cell.lr}")
        measured |= {f"{name}_{measure}": value for measure, value in found.items()}
    keep(by_piece)
    return measured | {"seconds_evaluate": time.monotonic() - started}
