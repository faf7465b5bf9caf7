"""How likely models find music that they were not trained on: a benchmark that does not leak.

python -m trainers.likelihood --data runs/data/folk-abc --model runs/quickstart/cells/*
python -m trainers.likelihood --data my_data --model my_export --splits splits.csv

A model is the folder of a cell, of an export, or of any causal model of `transformers` that reads
ABC text, or MIDI tokens by MidiTok. It is told in nats per token, per note and per second, each
with its standard error over works. Tokens differ between tokenizers; notes and seconds do not.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import torch

from data.errors import DataError, with_remedy
from data.held_out import HELD_OUT, held_out, read_splits, splits_of
from data.store.flat import Split
from data.store.location import Location
from data.store.manifest import read_manifest
from data.tokens.make import load_tokenizer
from trainers.cell import Placement
from trainers.evaluate import evaluate, per
from trainers.exports.scored import Scored, Written, scored
from trainers.losses import Losses
from trainers.samples.cells import CellError

MOST_LOGITS = 2**26
"""Numbers that a forward pass puts out, where a window has no more: 256 MB."""
TITLES = f"{'model':<40}  split  {'pieces':>7}  {'works':>7}  {'tokens':>11}" + "".join(
    f"  {'per ' + unit:>10}  ± s.e." for unit in ("token", "note", "second")
)


def main(argv: list[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    try:
        manifest = read_manifest(args.data)
        tokenizer = load_tokenizer(args.data / "tokenizer.json")
        own = splits_of(args.data)
        splits = read_splits(args.splits) if args.splits else own
        rows = held_out(args.data, splits)
    except (OSError, ValueError) as error:
        return complain(error)
    print(TITLES)
    code = 0
    for folder in args.model:
        try:
            model = scored(folder, manifest, tokenizer)
            if model.trained_on == manifest.fingerprint:
                refuse_leak(folder, own, splits)
            else:
                said = f"was trained on {model.trained_on or 'data that nobody noted'}"
                print(f"{folder.name}: {said}; it may have seen these pieces", file=sys.stderr)
            for split in HELD_OUT:
                print(line(folder.name, split, likelihood(model, rows[split])), flush=True)
        except (OSError, ValueError) as error:
            code = complain(error)
    return code


def complain(error: OSError | ValueError) -> int:
    said = with_remedy(error) if isinstance(error, OSError) else error
    print(f"trainers.likelihood: {said}", file=sys.stderr)
    return 1


def refuse_leak(model: Location, trained: Mapping[str, str], splits: Mapping[str, str]) -> None:
    """Raises DataError if a piece to score on was trained on.

    trained: the split of each piece when the model was trained. splits: where it is now.
    """
    seen = [
        piece for piece, split in splits.items() if split in HELD_OUT and trained[piece] == "train"
    ]
    if seen:
        raise DataError(
            f"{model}: was trained on {len(seen):,} of the pieces that the splits hold out; "
            "score it by the splits of its own data"
        )


def likelihood(model: Scored, rows: pa.Table) -> Losses:
    """The losses of a model by piece. rows: as `data.held_out.held_out` has them."""
    ids, notes = model.write(rows)
    split = laid_out(rows, (ids, notes))
    if int(split.tokens.max()) >= model.vocab_size:
        raise CellError(
            f"its tokenizer has the id {split.tokens.max()}, and the model {model.vocab_size:,} ids"
        )
    context = int(min(model.context, max(map(len, ids))))
    tokens = min(Placement.micro_tokens, MOST_LOGITS // model.vocab_size)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    windows = max(1, tokens // context)
    return evaluate(model.model.to(device), split, context, windows, device)[1]


def laid_out(rows: pa.Table, written: Written) -> Split:
    """The pieces end to end, as evaluation reads them."""
    ids, notes = written
    _, groups = np.unique(rows["group_id"].to_pylist(), return_inverse=True)
    starts = np.cumsum([0, *map(len, ids)])
    return Split(np.concatenate(ids), starts, notes, rows["seconds"].to_numpy(), groups)


def line(name: str, split: str, losses: Losses) -> str:
    works = len(np.unique(losses.groups))
    counts = f"{len(losses.nats):>7,}  {works:>7,}  {int(losses.tokens.sum()):>11,}"
    told = [per(losses, each) for each in (losses.tokens, losses.notes, losses.seconds)]
    numbers = "".join(f"  {loss:>10.4f}  {error:.4f}" for loss, error in told)
    return f"{name:<40}  {split:<5}  {counts}{numbers}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m trainers.likelihood",
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
        "--model",
        type=Location.of,
        required=True,
        nargs="+",
        metavar="DIR",
        help="the folder of a cell, of an export, or of a model of transformers",
    )
    parser.add_argument(
        "--splits",
        type=Location.of,
        metavar="FILE",
        help="which pieces are val and test, by id: a splits.csv [as the data have it]",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
