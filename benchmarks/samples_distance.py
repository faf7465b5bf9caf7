"""How far real pieces are from real pieces: the Frechet distance of samples.html, where it is none.

    python -m benchmarks.samples_distance --data runs/data/folk-abc [--rounds 100]

Of the pieces of the test split that the page compares with, some are drawn and measured against the
others, in many rounds. What is corrected should be 0 whatever the number of pieces, and its 95 %
interval should hold 0 in 95 of 100 rounds.
"""

from __future__ import annotations

import argparse

import numpy as np

from data.store.location import Location
from data.tokens.make import load_tokenizer
from trainers.samples.apart import in_turn
from trainers.samples.frechet import distance, frechet, normal_scores
from trainers.samples.novelty import Index
from trainers.samples.study import MEASURES, reference, values
from trainers.samples.training import training_lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Location.of, required=True, help="a prepared folder")
    parser.add_argument("--rounds", type=int, default=100, help="draws of each number [100]")
    args = parser.parse_args()
    tokenizer = load_tokenizer(args.data / "tokenizer.json")
    index = Index.of(training_lines(tokenizer, args.data, in_turn))
    pieces = reference(tokenizer, args.data, index)
    table = np.stack([values(pieces, name) for name in MEASURES], axis=1)
    table = table[~np.isnan(table).any(axis=1)]
    print(f"{len(table)} pieces, {len(MEASURES)} measures, {args.rounds} rounds")
    print("covariances  pieces   as it is   corrected  ± of one  interval holds 0")
    for covariances in (False, True):
        for count in (8, 16, 24, 48, 96):
            told = row(table, count, covariances, args.rounds)
            print(f"{'yes' if covariances else 'no':11} {count:7} {told}", flush=True)


def row(table: np.ndarray, count: int, covariances: bool, rounds: int) -> str:
    generator, raw, found = np.random.default_rng(0), [], []
    for _ in range(rounds):
        order = generator.permutation(len(table))
        drawn, rest = table[order[:count]], table[order[count:]]
        made, real = normal_scores(drawn, rest), normal_scores(rest, rest)
        raw.append(distance(made, real, covariances))
        found.append(frechet(drawn, rest, covariances))
    corrected = np.array([one.value for one in found])
    held = np.mean([one.low <= 0 <= one.high for one in found])
    return f"{np.mean(raw):10.2f} {corrected.mean():11.2f} {corrected.std():9.2f} {held:17.0%}"


if __name__ == "__main__":
    main()
