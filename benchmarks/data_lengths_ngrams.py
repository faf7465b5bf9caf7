"""The two dialects of `benchmarks.data_lengths` under a model without a seed: mixed n-grams.

    python -m benchmarks.data_lengths_ngrams runs/lengths/pop909 --pieces 100 400 --orders 4 6 8

Variation between a transformer's seeds hides small differences. Counts have no seed: the
probability of a token given the last n is mixed from those given n, n - 1, ..., 0 tokens by the
rule of Witten and Bell (1991, method C), all learnt from the same pieces in both dialects.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.data_lengths import TIED, TODAY
from data.store.flat import Split, open_split
from data.store.manifest import read_manifest
from fitting.compare.pieces import compare_pieces

Keys = NDArray[np.uint64]
Floats = NDArray[np.float64]
FACTOR = np.uint64(0x9E3779B97F4A7C15)
"""Odd, so that multiplying by it loses nothing. Of 10^8 n-grams two meet in one run of 3,000."""


def grams(tokens: Keys, order: int) -> Keys:
    """(n,) a number for the `order` tokens that end at each place, in order; the stream goes on
    from piece to piece, and before its beginning stand zeros."""
    found = np.zeros(len(tokens), np.uint64)
    for back in range(order - 1, -1, -1):
        shifted = np.concatenate([np.zeros(back, np.uint64), tokens[: len(tokens) - back]])
        found = (found + shifted + np.uint64(1)) * FACTOR
        found ^= found >> np.uint64(29)
    return found


def probabilities(train: Keys, val: Keys, vocab_size: int, order: int) -> Floats:
    """(n,) of each token of `val` after the `order` tokens before it, learnt from `train`."""
    found = np.full(len(val), 1 / vocab_size)
    for n in range(order + 1):
        whole, first, counts = np.unique(grams(train, n + 1), return_index=True, return_counts=True)
        context, of_train = np.unique(before(train, n), return_inverse=True)
        seen = np.bincount(of_train)
        kinds = np.bincount(of_train[first], minlength=len(context))
        count = looked_up(whole, counts, grams(val, n + 1))
        total = looked_up(context, seen, before(val, n))
        distinct = looked_up(context, kinds, before(val, n))
        known = total > 0
        found[known] = ((count + distinct * found) / np.maximum(total + distinct, 1))[known]
    return found


def before(tokens: Keys, order: int) -> Keys:
    """(n,) the context of each token: the gram that ends one place before it."""
    return grams(np.concatenate([np.zeros(1, np.uint64), tokens[:-1]]), order)


def looked_up(keys: Keys, values: NDArray[np.int64], wanted: Keys) -> NDArray[np.int64]:
    """(n,) the value of each wanted key, 0 where it is not among `keys`, which are sorted."""
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)


def nats_by_piece(train: Split, pieces: int, val: Split, vocab_size: int, order: int) -> Floats:
    """(pieces,) of validation, of all tokens but the first of each piece."""
    learnt = np.asarray(train.tokens[: train.starts[pieces]], np.uint64)
    found = -np.log(probabilities(learnt, np.asarray(val.tokens, np.uint64), vocab_size, order))
    found[val.starts[:-1]] = 0
    return np.add.reduceat(found, val.starts[:-1])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="the folder of benchmarks.data_lengths")
    parser.add_argument("--pieces", nargs="+", type=int, required=True, help="to learn from")
    parser.add_argument("--orders", nargs="+", type=int, default=[4, 6, 8], help="[4 6 8]")
    args = parser.parse_args()
    print("| pieces | order | today, nats a note | tied | difference | s.e. by piece |")
    print("| --- | --- | --- | --- | --- | --- |")
    vocab_size = read_manifest(args.out / TODAY).vocab_size
    for pieces in args.pieces:
        for order in args.orders:
            today, tied = (
                nats_by_piece(
                    open_split(args.out / dialect, "train"),
                    pieces,
                    open_split(args.out / dialect, "val"),
                    vocab_size,
                    order,
                )
                for dialect in (TODAY, TIED)
            )
            val = open_split(args.out / TODAY, "val")
            found = compare_pieces(today, tied, val.num_notes, val.groups)
            notes = val.num_notes.sum()
            print(
                f"| {pieces:,} | {order} | {today.sum() / notes:.3f} | {tied.sum() / notes:.3f} | "
                f"{found.difference:+.3f} | {found.error:.3f} |",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
