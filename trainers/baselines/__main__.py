"""What counting alone makes of held-out music: the losses that a network has to beat.

python -m trainers.baselines --data runs/data/folk-abc

An n-gram with back-off, PPM* that knows the training split, the piece so far, or both, and an
n-gram mixed with PPM* of the piece; each in nats per token, by where the tokens come from. They are
written to baselines.json beside the data, where the report of a sweep finds them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from data.errors import with_remedy
from data.origin import ORIGINS, kept_origins
from data.store.flat import Split, local_copy, open_split
from data.store.location import Location
from data.store.manifest import read_manifest
from trainers.baselines.counts import by_piece, by_training, mixed
from trainers.evaluate import Parts, by_part, summarise
from trainers.evaluate import by_piece as losses_of

ORDER = 5
"""Of the n-gram: on the folk tunes' validation split better than 4 and 6."""
TRAIN_TOKENS = 4_000_000
"""Counted of a training split, in seconds and less than a gigabyte. Of a piece all is counted."""
FILE = "baselines.json"
SCHEMA = 1
HELD_OUT = ("val", "test")
TITLES = f"{'baseline':<24}  split" + "".join(f"  {each:>7} ± s.e." for each in ("loss", *ORIGINS))


def main(argv: list[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    try:
        manifest = read_manifest(args.data)
        data = local_copy(args.data)
        whole = open_split(data, "train")
        train = first_pieces(whole, args.train_tokens)
        print(f"counted: {len(train.tokens):,} of {len(whole.tokens):,} tokens of training")
        print(TITLES)
        measured: dict[str, dict[str, float]] = {}
        for split in HELD_OUT:
            for name, found in baselines(data, split, train, manifest.vocab_size).items():
                measured.setdefault(name, {}).update(found)
                print(line(name, split, found), flush=True)
        said = {
            "schema": SCHEMA,
            "data": manifest.fingerprint,
            "counted_tokens": len(train.tokens),
            "train_tokens": len(whole.tokens),
            "baselines": measured,
        }
        (args.data / FILE).write_text(json.dumps(said, indent=1))
    except (OSError, ValueError) as error:
        said_of = with_remedy(error) if isinstance(error, OSError) else error
        print(f"trainers.baselines: {said_of}", file=sys.stderr)
        return 1
    print(f"written: {args.data / FILE}")
    return 0


def first_pieces(train: Split, tokens: int) -> Split:
    """The first pieces of a split, with this many tokens or, by part of a piece, more.

    Pieces lie in the order of a hash: the first are a sample of all.
    """
    stop = min(int(np.searchsorted(train.starts, tokens)), len(train.starts) - 1)
    return Split(
        train.tokens[: train.starts[stop]],
        train.starts[: stop + 1],
        train.num_notes[:stop],
        train.seconds[:stop],
        train.groups[:stop],
    )


def baselines(data: Path, name: str, train: Split, vocab_size: int) -> dict[str, dict[str, float]]:
    """The measurements of each baseline on a split of the data, by the names of the run record."""
    split = open_split(data, name)
    ngram = by_training(split, train, vocab_size, ORDER - 1)
    training, piece = by_training(split, train, vocab_size), by_piece(split, vocab_size)
    found = {
        f"{ORDER}-gram": ngram,
        "PPM* training": training,
        "PPM* piece": piece,
        "PPM* both": mixed(training, piece, split),
        f"{ORDER}-gram, PPM* piece": mixed(ngram, piece, split),
    }
    parts = Parts(ORIGINS, kept_origins(data, name))
    return {each: measurements(-np.log(found[each]), split, name, parts) for each in found}


def measurements(nats: np.ndarray, split: Split, name: str, parts: Parts) -> dict[str, float]:
    """Losses, errors and shares of a split whose tokens cost `nats`, (n,)."""
    whole = summarise(losses_of(nats, split))
    kept = {measure: whole[measure] for measure in ("loss", "loss_se")}
    return {f"{name}_{each}": value for each, value in (kept | by_part(nats, split, parts)).items()}


def line(name: str, split: str, found: Mapping[str, float]) -> str:
    columns = [f"{split}_loss", *(f"{split}_loss_{origin}" for origin in ORIGINS)]
    told = (
        f"{found[each]:.3f} ± {found[f'{each}_se']:.3f}" if each in found else "–"
        for each in columns
    )
    return f"{name:<24}  {split:<5}" + "".join(f"  {each:>14}" for each in told)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m trainers.baselines",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--data",
        type=Location.of,
        required=True,
        metavar="DIR",
        help="a folder made by python -m data.prepare",
    )
    parser.add_argument(
        "--train-tokens",
        type=int,
        default=TRAIN_TOKENS,
        metavar="N",
        help=f"of the training split, the first pieces with so many tokens [{TRAIN_TOKENS}]",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
