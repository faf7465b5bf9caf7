"""Prepare a data set: MIDI to ABC and tokens in Parquet, split without leaks, packed for training.

    python -m data.prepare --source folk --tokenizer abc --out runs/data/folk-abc
    python -m data.prepare --source my_midi_folder --out my_data

If it is interrupted, the same command continues: a finished part is not made again.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data import cluster, stages
from data.errors import DataError
from data.flatten import flatten, with_groups
from data.music.filters import RULES, Filters
from data.music.score import DEFAULT_TICKS_PER_QUARTER
from data.parts import PieceSpec, placed_path
from data.placing import place
from data.sources.corpora import CORPORA
from data.sources.named import open_source, state
from data.store.flat import sums
from data.store.location import Location
from data.store.lock import held
from data.store.manifest import MANIFEST, Manifest, read_manifest, write_manifest
from data.store.tables import read_table, row_groups, write_table
from data.tasks import each
from data.tokens.bpe import BpeTokenizer
from data.tokens.make import TOKENIZERS, make_tokenizer
from data.tokens.pieces import MIN_CUT
from data.tokens.protocol import Tokenizer

BPE_TOKENS = 20_000_000
"""Merges are learnt from at most so many tokens of the training split, in order of piece_id."""


def prepare(
    source: str,
    tokenizer: str,
    out: Location,
    *,
    ticks_per_quarter: int = DEFAULT_TICKS_PER_QUARTER,
    filters: Filters | None = None,
    max_tokens: int | None = None,
    works: str = "",
    facts: str = "",
    mirror: str | None = None,
) -> Manifest:
    """Make the data set of `source` in `out`, continue making it, or find it made. Ray must run.

    source: `folk`, one of `CORPORA`, an archive, or a folder or prefix of MIDI files and archives.
    filters: which pieces to leave out; by default none. max_tokens: longer pieces are cut at bar
    lines. works: a regular expression; files whose paths contain the same match are versions of one
    work, whatever their notes are. Some of `CORPORA` have one of their own. facts: a table of
    `data.sources.facts`; some have that as well. mirror: a folder or address from which to take one
    of `CORPORA` instead of its own address.
    Raises DataError for an unknown or empty source, and if `out` was made from something else or
    another process prepares it, ValueError for an unknown tokenizer, and OSError for a full disk.
    """
    filters = filters or Filters()
    wanted: dict[str, Any] = {
        "source": source,
        "tokenizer": tokenizer,
        "grid": ticks_per_quarter,
        "max_tokens": max_tokens,
        "works": works or None,
        "facts": facts or None,
        **filters.chosen(),
    }
    if (out / MANIFEST).exists():
        # The source may be elsewhere by now: a data set travels without it.
        stages.claim(out, wanted)
        return with_groups(out, read_manifest(out))
    chosen = check(source, tokenizer, ticks_per_quarter, max_tokens, works, facts)
    with held(out, "prepares data there"):
        stages.claim(out, wanted)
        base = chosen.base if isinstance(chosen, BpeTokenizer) else chosen
        downloaded = out.parent / "downloads"
        found, downloads = open_source(source, downloaded, mirror)
        known = stages.naming(source, works, facts, downloaded, mirror)
        now = state(source, found, downloads, known.table, mirror)
        staging = stages.begin(out, now)
        staged = stages.read(found, staging, PieceSpec(source, base, filters, max_tokens))
        (thresholds,) = each(place, [(staged, known)])
        if isinstance(chosen, BpeTokenizer):
            chosen = chosen.trained(_training_tokens(staged))
        (out / "tokenizer.json").write_text(chosen.to_json())
        parts = [out / "parts" / part.name for part in staged]
        stages.write(staged, parts, chosen)
        rejected = stages.left_out(staged)
        write_table(out / "rejected.parquet", rejected)
        ((splits, fingerprint),) = each(flatten, [(out, parts, chosen)])
        manifest = Manifest(
            fingerprint=fingerprint,
            source=source,
            tokenizer=tokenizer,
            ticks_per_quarter=ticks_per_quarter,
            vocab_size=chosen.vocab_size,
            bos_id=chosen.bos_id,
            splits=splits,
            rejected=stages.reasons(rejected),
            mended=dict(sorted(stages.mended(staged).items())),
            thresholds=thresholds,
            filters=filters.chosen(),
            downloads=downloads,
            versions=stages.package_versions(),
            sums=sums(out),
            max_tokens=max_tokens,
            works=known.works,
        )
        write_manifest(out, manifest)
        staging.delete()
        return manifest


def check(
    source: str,
    tokenizer: str,
    ticks_per_quarter: int,
    max_tokens: int | None,
    works: str,
    facts: str = "",
) -> Tokenizer:
    """The tokenizer, once all arguments are found to be right. Raises ValueError."""
    stages.check_files(source, works, facts)
    if max_tokens is not None and max_tokens < MIN_CUT:
        raise DataError(f"max_tokens is {max_tokens}, expected at least {MIN_CUT}")
    return make_tokenizer(tokenizer, ticks_per_quarter)


def _training_tokens(staged: list[Location]) -> Iterator[np.ndarray]:
    """Staged pieces of the training split, up to `BPE_TOKENS`, and the same ones each time.

    They are chosen by piece_id, so that the number of shards does not matter.
    """
    places = [read_table(placed_path(part), ["split"])["split"] for part in staged]
    tables = [
        read_table(part, ["piece_id", "num_tokens"]).filter(pc.equal(split, "train"))
        for part, split in zip(staged, places)
    ]
    pieces = pa.concat_tables(tables).sort_by("piece_id")
    lengths = pieces["num_tokens"].to_numpy().astype(np.int64)
    begins_within = np.cumsum(lengths) - lengths < BPE_TOKENS
    chosen = set(pieces["piece_id"].to_numpy()[begins_within].tolist())
    for part, split in zip(staged, places):
        of_part = iter(split.to_pylist())
        for group in row_groups(part, ["piece_id", "tokens"]):
            for row, name in zip(group, of_part):
                if name == "train" and row["piece_id"] in chosen:
                    yield row["tokens"]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m data.prepare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--source",
        required=True,
        help=f"folk, {', '.join(CORPORA)}, or a folder, bucket's prefix, tar or zip of MIDI files",
    )
    parser.add_argument(
        "--tokenizer",
        default="abc",
        help=f"{', '.join(TOKENIZERS)}; with learnt merges up to 1,000 tokens: remi-bpe1000 [abc]",
    )
    parser.add_argument(
        "--out", type=Location.of, required=True, help="the folder to make, or s3://bucket/prefix"
    )
    parser.add_argument(
        "--ticks-per-quarter",
        type=int,
        default=DEFAULT_TICKS_PER_QUARTER,
        help="how finely time is divided: 8, 12 or 24 [24]",
    )
    parser.add_argument(
        "--works",
        default="",
        metavar="REGEX",
        help="files whose paths contain the same match are versions of one work, in addition to "
        "those that are found by their notes; '/[0-9]{3}/' for POP909",
    )
    parser.add_argument(
        "--facts",
        default="",
        metavar="FILE",
        help="CSV or Parquet with a row a file: path, and any of licence, genre, composer, work; "
        "files of one work and composer are versions of it",
    )
    parser.add_argument("--max-tokens", type=int, help="cut longer pieces at bar lines")
    parser.add_argument(
        "--mirror",
        help="a folder or address from which to take a download; of gigamidi, the folder itself",
    )
    rules = parser.add_argument_group("filters", "leave pieces out; each is off unless it is given")
    for name, rule in RULES.items():
        rules.add_argument(f"--{name.replace('_', '-')}", type=float, help=rule.help)
    args = parser.parse_args()
    if args.mirror and args.source not in CORPORA:
        parser.error(f"--mirror is for what is downloaded: {', '.join(CORPORA)}")

    def make() -> Manifest:
        # Check before Ray starts, which takes seconds.
        if not (args.out / MANIFEST).exists():
            known = (args.source, args.tokenizer, args.ticks_per_quarter)
            check(*known, args.max_tokens, args.works, args.facts)
        filters = Filters(**{name: getattr(args, name) for name in RULES})
        cluster.join(log_to_driver=False, logging_level=logging.ERROR)
        return prepare(
            args.source,
            args.tokenizer,
            args.out,
            ticks_per_quarter=args.ticks_per_quarter,
            filters=filters,
            max_tokens=args.max_tokens,
            works=args.works,
            facts=args.facts,
            mirror=args.mirror,
        )

    return stages.told("data.prepare", args.out, make)


if __name__ == "__main__":
    sys.exit(main())
