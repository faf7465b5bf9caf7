"""What the models of a sweep compose: pieces to hear, and how they compare with the test split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

import numpy as np
import torch

from data.errors import printable
from data.music.score import Score
from data.store.flat import local_copy, open_split
from data.store.location import Location
from data.tokens.grammars import grammar, known, refused_at
from data.tokens.make import load_tokenizer
from data.tokens.protocol import Tokenizer
from data.works import signatures
from trainers.samples.apart import Apart, in_turn
from trainers.samples.cells import CellError, Trained
from trainers.samples.excerpt import excerpt
from trainers.samples.measures import Estimate, difference, mean, measure, share
from trainers.samples.novelty import Index
from trainers.samples.prompt import Prompt
from trainers.samples.training import training_lines
from trainers.sampling import Draw, Sample, sample

MEASURES = {
    "pitch_class_entropy": "Pitch-class entropy, bits",
    "scale_consistency": "Scale consistency",
    "groove_consistency": "Groove consistency",
    "polyphony": "Polyphony, notes at once",
    "empty_beats": "Empty beats",
    "note_density": "Notes a quarter",
    "self_similarity": "Self-similarity of bars",
    "copied": "Runs of nine notes found in training",
    "longest": "Longest passage found in training, notes",
}
REFERENCE_PIECES = 400


@dataclass(frozen=True)
class Piece:
    name: str
    """Of its files."""
    score: Score
    tokens: np.ndarray
    log_probability: float | None
    """Nats, of what follows the prompt, under the model that composed it; None if none did."""
    measures: dict[str, float]
    said: str = ""
    """How much of the piece score and measures are of; "" for all of it."""
    seam: int = 0
    """The tick up to which it was given, as a prompt."""


@dataclass(frozen=True)
class Composed:
    """What one cell composed."""

    trained: Trained
    pieces: list[Piece]
    reads: Estimate
    """The share of samples drawn without the grammar that end, and read as music."""
    valid: Estimate
    """The share of those that the grammar would have let through: bars add up, ties meet."""

    def mean(self, name: str) -> Estimate:
        return mean(values(self.pieces, name))


@dataclass(frozen=True)
class Study:
    composed: list[Composed]
    reference: list[Piece]
    """Pieces of the test split."""
    failed: dict[str, str] = field(default_factory=dict)
    """By the names of cells that could not compose: why not, in a line."""

    def mean(self, name: str) -> Estimate:
        """Of the test split."""
        return mean(values(self.reference, name))

    def difference(self, composed: Composed, name: str) -> Estimate:
        return difference(values(composed.pieces, name), values(self.reference, name))


@dataclass(frozen=True)
class Request:
    """How to sample."""

    count: int = 24
    """Samples of each cell."""
    seed: int = 0
    """Of the first; the others follow."""
    max_tokens: int = 512
    bars: int | None = None
    """The most that follow the prompt; None for as many as `max_tokens` give."""
    draw: Draw = field(default_factory=Draw)
    grammar: bool = True
    """As many are drawn without it in any case, to see what share of them is valid."""
    prompt: Prompt | None = None
    """What to go on from; None begins anew."""


def values(pieces: Sequence[Piece], name: str) -> np.ndarray:
    return np.array([piece.measures[name] for piece in pieces], float)


def study(
    cells: Sequence[Trained],
    data: Location,
    request: Request,
    apart: Apart = in_turn,
    tell: Callable[[str], None] = lambda name: None,
) -> Study:
    """Sample every cell and measure what came, beside pieces of the test split.

    data: the folder that the cells were trained on. tell: is told of each cell begun.
    Raises CellError if no cell could compose.
    """
    tokenizer = load_tokenizer(data / "tokenizer.json")
    index = Index.of(training_lines(tokenizer, data, apart))
    composed, failed = [], {}
    results = apart(compose, [(trained,) for trained in cells], (tokenizer, index, request))
    for trained in cells:
        tell(trained.name)
        made = next(results)
        if isinstance(made, Exception):
            failed[trained.name] = in_a_line(made)
        else:
            composed.append(made)
    if not composed:
        raise CellError("; ".join(f"{name}: {why}" for name, why in failed.items()))
    return Study(composed, reference(tokenizer, data, index), failed)


def in_a_line(error: Exception) -> str:
    """What an error says; for one that was not foreseen, its kind as well."""
    text = printable(" ".join(str(error).split()))
    return text if isinstance(error, CellError) else f"{type(error).__name__}: {text}"


def reference(tokenizer: Tokenizer, data: Location, index: Index) -> list[Piece]:
    split = open_split(local_copy(data), "test")
    found = [split.tokens[a:b] for a, b in pairwise(split.starts[: REFERENCE_PIECES + 1].tolist())]
    return [
        piece(f"test-{number}", tokenizer.decode(ids), np.array(ids), None, index)
        for number, ids in enumerate(found, start=1)
    ]


def piece(
    name: str,
    score: Score,
    tokens: np.ndarray,
    log_probability: float | None,
    index: Index,
    seam: int = 0,
) -> Piece:
    heard, said = excerpt(score)
    novelty = index.novelty(signatures.lines(heard))
    copied = {"copied": novelty.copied, "longest": float(novelty.longest)}
    return Piece(name, heard, tokens, log_probability, measure(heard) | copied, said, seam)


def compose(tokenizer: Tokenizer, index: Index, request: Request, trained: Trained) -> Composed:
    """Raises CellError if there is no model to load."""
    # Steps of one token are too short to share: threads that wait for each other are slower. And
    # what is composed must not depend on how many processors there are.
    torch.set_num_threads(1)
    model = trained.model()
    prompt = request.prompt or Prompt(np.array([tokenizer.bos_id]), bars=0, end=0)
    prompts = [prompt.tokens] * request.count
    seeds = [request.seed + number for number in range(request.count)]
    draw = partial(
        sample,
        model,
        prompts,
        seeds,
        tokenizer.eos_id,
        context=trained.cell.context,
        max_tokens=request.max_tokens + len(prompts[0]),
        draw=request.draw,
    )
    free = draw()
    bound = request.grammar and known(tokenizer)
    bars = request.bars and request.bars + prompt.bars
    kept = draw(grammar=partial(grammar, tokenizer, bars)) if bound else free
    pieces = []
    for seed, one in zip(seeds, kept):
        score = read(tokenizer, one)
        if score is not None:
            name = f"{trained.name}-{seed}"
            made = name, score, one.tokens, one.log_probability
            pieces.append(piece(*made, index, prompt.end))
    readable = sum(read(tokenizer, one) is not None for one in free)
    valid = sum(one.complete and refused_at(tokenizer, one.tokens) is None for one in free)
    return Composed(trained, pieces, share(readable, len(free)), share(valid, len(free)))


def read(tokenizer: Tokenizer, one: Sample) -> Score | None:
    """The music of a sample, if it ended and is any."""
    if not one.complete:
        return None
    try:
        score = tokenizer.decode(one.tokens)
    except ValueError:
        return None
    return score if len(score) else None
