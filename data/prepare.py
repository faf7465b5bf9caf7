"""Prepare a data set: MIDI to ABC and tokens in Parquet, split without leaks, packed for training.

    python -m data.prepare --source folk --tokenizer abc --out runs/data/folk-abc
    python -m data.prepare --source my_midi_folder --out my_data

If it is interrupted, the same command continues: a finished part is not made again.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data import cluster
from data.errors import DataError, with_remedy
from data.flatten import flatten, with_groups
from data.music.filters import RULES, Filters
from data.music.score import DEFAULT_TICKS_PER_QUARTER
from data.parts import PieceSpec, finish, placed_path, rejected_path, stage
from data.placing import DUPLICATES, place
from data.sources.corpora import CORPORA
from data.sources.facts import Table
from data.sources.named import (
    check_source,
    known_facts,
    known_licence,
    known_works,
    open_source,
)
from data.sources.spool import divided, spool, to_spool
from data.store.flat import sums
from data.store.location import Location
from data.store.lock import held
from data.store.manifest import MANIFEST, Manifest, read_manifest, write_manifest
from data.store.tables import read_table, row_groups, write_table
from data.store.versioned import Word, read_versioned
from data.tasks import each
from data.tokens.bpe import BpeTokenizer
from data.tokens.make import TOKENIZERS, make_tokenizer
from data.tokens.pieces import MIN_CUT
from data.tokens.protocol import Tokenizer
from data.works.named import check_pattern

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
    options: dict[str, Any] = {
        "max_tokens": max_tokens,
        "works": works or None,
        "facts": facts or None,
    }
    options |= filters.chosen()
    wanted = {"source": source, "tokenizer": tokenizer, "grid": ticks_per_quarter}
    wanted |= {name: value for name, value in options.items() if value is not None}
    if (out / MANIFEST).exists():
        # The source may be elsewhere by now: a data set travels without it.
        _claim(out, wanted)
        return with_groups(out, read_manifest(out))
    chosen = check(source, tokenizer, ticks_per_quarter, max_tokens, works, facts)
    with held(out, "prepares data there"):
        _claim(out, wanted)
        base = chosen.base if isinstance(chosen, BpeTokenizer) else chosen
        downloaded = out.parent / "downloads"
        found, downloads = open_source(source, downloaded, mirror)
        works = works or known_works(source)
        own = Table(Location.of(facts)) if facts else None
        table = own or known_facts(source, downloaded, mirror)
        spec, run = PieceSpec(source, base, filters, max_tokens), uuid.uuid4().hex

        staging = out / "staging"
        each(spool, to_spool(found, staging))
        found = divided(found, staging)
        staged = [staging / f"part-{index:05d}.parquet" for index in range(len(found))]
        each(
            lambda shard, part: stage(shard, part, spec, run),
            [(shard, part) for shard, part in zip(found, staged) if not part.exists()],
        )
        licence = known_licence(source).word
        (thresholds,) = each(place, [(staged, works, table, licence)])
        if isinstance(chosen, BpeTokenizer):
            chosen = chosen.trained(_training_tokens(staged))
        (out / "tokenizer.json").write_text(chosen.to_json())
        shorten = chosen.shorten if isinstance(chosen, BpeTokenizer) else np.asarray
        parts = [out / "parts" / part.name for part in staged]
        each(
            lambda before, part: finish(before, part, shorten),
            [task for task in zip(staged, parts) if not task[1].exists()],
        )
        left_out = [*map(rejected_path, staged), staging / DUPLICATES]
        rejected = pa.concat_tables([read_table(rows) for rows in left_out]).sort_by("path")
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
            rejected=dict(sorted(Counter(rejected["reason"].to_pylist()).items())),
            mended=mended(staged),
            thresholds=thresholds,
            filters=filters.chosen(),
            downloads=downloads,
            versions={name: version(name) for name in ("symusic", "miditok", "music21")},
            sums=sums(out),
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
    try:
        check_pattern(works)
    except ValueError as error:
        raise DataError(f"works {works!r} is no regular expression: {error}") from None
    if max_tokens is not None and max_tokens < MIN_CUT:
        raise DataError(f"max_tokens is {max_tokens}, expected at least {MIN_CUT}")
    check_source(source)
    if facts:
        Table(Location.of(facts)).rows()
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


def mended(staged: list[Location]) -> dict[str, int]:
    """How often each rule for reading and quantising was applied, and long pieces were cut."""
    total: Counter[str] = Counter()
    for part in staged:
        for counts in read_table(part, ["mended"])["mended"].to_pylist():
            total.update(json.loads(counts))
    return dict(sorted(total.items()))


# --- edges: Ray, files, words --------------------------------------------------------------------


def _claim(out: Location, wanted: dict) -> None:
    """Record what `out` will be made from. Raises DataError if it was begun from something else."""
    path = out / "request.json"
    wanted = {"schema": 1} | wanted
    try:
        found = read_versioned(path, dict[Word, Any], 1, "use another folder")
    except FileNotFoundError:
        path.write_text(json.dumps(wanted))
        return
    if found != wanted:
        held, asked = (
            ", ".join(f"{k} {v}" for k, v in each.items() if k != "schema")
            for each in (found, wanted)
        )
        raise DataError(f"{out} holds {held}; wanted {asked}: use another folder")


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
    try:
        # Check before Ray starts, which takes seconds.
        known = (args.source, args.tokenizer, args.ticks_per_quarter)
        check(*known, args.max_tokens, args.works, args.facts)
        filters = Filters(**{name: getattr(args, name) for name in RULES})
        cluster.join(log_to_driver=False, logging_level=logging.ERROR)
        made = prepare(
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
    except ValueError as error:
        print(f"data.prepare: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"data.prepare: {with_remedy(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("data.prepare: interrupted; the same command continues", file=sys.stderr)
        return 130
    for name, split in made.splits.items():
        print(f"{name:6}{split['pieces']:>9,} pieces {split['tokens']:>13,} tokens")
    for reason, count in made.rejected.items():
        print(f"left out: {count:,} {reason} (see {args.out}/rejected.parquet)")
    print(f"fingerprint {made.fingerprint}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
