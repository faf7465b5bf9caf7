"""The pictures that `data.describe` draws: an overview of a data set, and a piano roll."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from data.errors import printable
from data.music.score import Score
from data.overview import Overview
from data.store.location import Location
from data.store.manifest import Manifest

INK, SHADE = "#24476b", "#b5543c"
OCTAVES = range(0, 128, 12)
ROLL_BARS = 32
"""How many bars of a piece fit into the picture."""


def draw_overview(found: Overview, manifest: Manifest, path: Path) -> None:
    figure = Figure(figsize=(11, 7), layout="constrained")
    axes = figure.subplots(2, 3)
    figure.suptitle(
        f"{_text(manifest.source)}: {len(found.lengths):,} pieces, {found.lengths.sum():,} tokens "
        f"({manifest.tokenizer})"
    )
    _logarithmic(axes[0, 0], found.lengths, "tokens a piece")
    _logarithmic(axes[0, 1], np.maximum(found.seconds, 0.1), "seconds a piece")
    sizes, counts = np.unique(found.group_sizes, return_counts=True)
    axes[0, 2].bar(sizes, counts, color=INK)
    axes[0, 2].set(xlabel="versions of one work", ylabel="works", yscale="log")
    axes[1, 0].bar(np.arange(128), found.pitches, width=1, color=INK)
    heard = np.flatnonzero(found.pitches)
    low, high = (heard[0], heard[-1]) if len(heard) else (0, 127)
    axes[1, 0].set(xlabel="pitch", ylabel="notes", xlim=(low - 2, high + 2))
    axes[1, 0].set_xticks(
        [pitch for pitch in OCTAVES if low - 2 <= pitch <= high + 2],
        [f"C{pitch // 12 - 1}" for pitch in OCTAVES if low - 2 <= pitch <= high + 2],
    )
    _named(axes[1, 1], dict(found.programs.most_common(10)), "notes, by program", INK)
    reasons = dict(sorted(manifest.rejected.items(), key=lambda item: -item[1]))
    _named(axes[1, 2], reasons, "files left out, by reason", SHADE)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


def _logarithmic(axis: Axes, values: np.ndarray, label: str) -> None:
    low, high = np.log10(values.min()), np.log10(values.max())
    bins = np.logspace(low, max(high, low + 0.1), 40)
    axis.hist(values, bins=bins.tolist(), color=INK)
    axis.axvline(float(np.median(values)), color=SHADE)
    axis.set(xlabel=f"{label} (median {np.median(values):,.0f})", ylabel="pieces", xscale="log")


def _named(axis: Axes, counts: dict[str, int], label: str, color: str) -> None:
    names = list(counts)[::-1]
    axis.barh([_text(name) for name in names], [counts[name] for name in names], color=color)
    axis.set_xlabel(label)
    # Leave space, so that a single bar does not fill the picture.
    axis.set_ylim(-0.6, max(len(names), 5) - 0.4)
    axis.ticklabel_format(axis="x", style="plain")
    axis.locator_params(axis="x", nbins=4)
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    if not counts:
        axis.text(0.5, 0.5, "none", ha="center", transform=axis.transAxes)
        axis.set(yticks=[], xticks=[])


def draw_piece(score: Score, title: str, path: Path) -> None:
    """A piano roll of the first bars, with bar lines behind it and a colour for each track."""
    figure = Figure(figsize=(12, 5), layout="constrained")
    axis = figure.subplots()
    lines = score.bars[: ROLL_BARS + 1]
    shown = score.onset < lines[-1]
    colors = matplotlib.color_sequences["tab10"]
    for number, track in enumerate(np.unique(score.track[shown])):
        mine = shown & (score.track == track)
        first = int(np.argmax(mine))
        kind = "drums" if score.is_drum[first] else f"program {score.program[first]}"
        _notes(axis, score, mine, colors[number % 10], f"track {track}: {kind}")
    _roll(axis, score)
    axis.set_title(_text(title), loc="left")
    axis.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=6, fontsize="small", frameon=False)
    _save(figure, path)


def draw_trips(score: Score, came_back: dict[str, np.ndarray], path: Path) -> None:
    """A piano roll for each tokenizer: the notes that came back exactly, and those that did not.

    came_back: (notes,) bool, by the tokenizer's name.
    """
    figure = Figure(figsize=(12, 0.6 + 2.6 * len(came_back)), layout="constrained")
    axes = figure.subplots(len(came_back), 1, squeeze=False, sharex=True)[:, 0]
    for axis, (name, kept) in zip(axes, came_back.items()):
        _notes(axis, score, kept, INK, "as it was")
        _notes(axis, score, ~kept, SHADE, "lost or changed")
        _roll(axis, score)
        axis.set_title(f"{name}: {kept.sum():,} of {len(score):,} notes come back", loc="left")
    for axis in axes[:-1]:
        axis.set_xlabel("")
    axes[0].legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
    _save(figure, path)


def _notes(axis: Axes, score: Score, mine: np.ndarray, color: Any, label: str) -> None:
    """Boxes for these notes, of those in the first bars."""
    last = score.bars[: ROLL_BARS + 1][-1]
    mine = mine & (score.onset < last)
    onset, pitch = score.onset[mine].astype(float), score.pitch[mine].astype(float)
    end = np.minimum(onset + score.duration[mine], last) - 0.5
    corners = [(onset, pitch - 0.4), (end, pitch - 0.4), (end, pitch + 0.4), (onset, pitch + 0.4)]
    boxes = np.stack([np.stack(corner, axis=1) for corner in corners], axis=1)
    axis.add_collection(PolyCollection(list(boxes), color=color, label=label))


def _roll(axis: Axes, score: Score) -> None:
    """Axes and bar lines for the first bars."""
    lines = score.bars[: ROLL_BARS + 1]
    shown = score.onset < lines[-1]
    for line in lines:
        axis.axvline(line, color="#dddddd", linewidth=0.6, zorder=0)
    lowest, highest = int(score.pitch[shown].min()) - 2, int(score.pitch[shown].max()) + 2
    axis.set(xlim=(0, lines[-1]), ylim=(lowest, highest), ylabel="pitch")
    octaves = [pitch for pitch in OCTAVES if lowest <= pitch <= highest]
    axis.set_yticks(octaves, [f"C{pitch // 12 - 1}" for pitch in octaves])
    step = max(1, len(lines) // 16)
    axis.set_xticks(lines[:-1:step], [str(bar + 1) for bar in range(0, len(lines) - 1, step)])
    last = len(score.bars) - 1
    of = f" of {last:,}" if last > ROLL_BARS else ""
    axis.set_xlabel(f"bars 1 to {min(last, ROLL_BARS)}{of}")
    axis.spines[["top", "right"]].set_visible(False)


def _text(name: str) -> str:
    """A name for Matplotlib, which would make mathematics of what is between two dollars."""
    return printable(name).replace("$", r"\$")


def _save(figure: Figure, path: Path) -> None:
    with Location.of(path).writing() as file:
        figure.savefig(file, dpi=110, format=path.suffix[1:] or "png")
