"""Add files to a prepared data set: what comes of it is a data set of its own, in another folder.

    python -m data.add runs/data/folk-abc --source my_tunes --out runs/data/folk-and-mine

Nothing of the first is read or made again, and none of its pieces moves. A new piece joins the
split of the works that it is a version of, and is left out if these are in different splits
(`two_splits`) or the piece is there already (`duplicate`); works of its own go by the thresholds
that the splits have. Tokenizer, filters and cuts are those of the first, whose folder stays as it
is. If it is interrupted, the same command continues.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections import Counter
from dataclasses import replace

import pyarrow as pa

from data import cluster, stages
from data.errors import DataError
from data.flatten import flatten
from data.music.filters import Filters
from data.parts import PieceSpec
from data.placing import Settled, place
from data.sources.corpora import CORPORA
from data.sources.named import known_works, open_source, state
from data.store.flat import sums
from data.store.location import Location
from data.store.lock import held
from data.store.manifest import (
    KEEPS_SIGNATURES,
    MANIFEST,
    SCHEMA,
    Addition,
    Manifest,
    read_manifest,
    write_manifest,
)
from data.store.tables import read_table, write_table
from data.tasks import each
from data.tokens.bpe import BpeTokenizer
from data.tokens.make import load_tokenizer


def add(
    parent: Location,
    source: str,
    out: Location,
    *,
    works: str = "",
    facts: str = "",
    mirror: str | None = None,
) -> Manifest:
    """Make the data set of `parent` and `source` in `out`, continue making it, or find it made. Ray
    must run.

    source, facts, mirror: as for `data.prepare.prepare`. works: the same, and by default that of
    the parent. Raises DataError as that does, and if `parent` is older than `KEEPS_SIGNATURES`.
    """
    named = {"works": works or None, "facts": facts or None}
    wanted = {"source": source, "add_to": str(parent), **named}
    if (out / MANIFEST).exists():
        stages.claim(out, wanted)
        return read_manifest(out)
    before = check(parent, source, works, facts)
    with held(out, "adds to data there"):
        stages.claim(out, wanted)
        tokenizer = load_tokenizer(parent / "tokenizer.json")
        base = tokenizer.base if isinstance(tokenizer, BpeTokenizer) else tokenizer
        downloaded = out.parent / "downloads"
        found, downloads = open_source(source, downloaded, mirror)
        works = works or known_works(source) or before.works
        known = stages.naming(source, works, facts, downloaded, mirror)
        now = state(source, found, downloads, known.table, mirror)
        staging = stages.begin(out, f"{before.fingerprint} {now}")
        filters = Filters(**before.filters)  # type: ignore[arg-type]
        spec = PieceSpec(source, base, filters, before.max_tokens)
        staged = stages.read(found, staging, spec)
        old = (parent / "parts").children()
        each(place, [(staged, known, Settled(tuple(old), before.thresholds))])
        taken = [out / "parts" / part.name for part in old]
        each(Location.take, list(zip(taken, old)))
        added = range(len(old), len(old) + len(staged))
        parts = [out / "parts" / f"part-{number:05d}.parquet" for number in added]
        stages.write(staged, parts, tokenizer)
        (out / "tokenizer.json").write_text(tokenizer.to_json())
        rejected = stages.left_out(staged)
        every = pa.concat_tables([read_table(parent / "rejected.parquet"), rejected])
        write_table(out / "rejected.parquet", every.sort_by("path"))
        ((splits, fingerprint),) = each(flatten, [(out, [*taken, *parts], tokenizer)])
        pieces = sum(split["pieces"] for split in splits.values())
        pieces -= sum(split["pieces"] for split in before.splits.values())
        addition = Addition(
            before.fingerprint, source, pieces, stages.reasons(rejected), stages.package_versions()
        )
        manifest = replace(
            before,
            fingerprint=fingerprint,
            splits=splits,
            rejected=stages.reasons(every),
            mended=dict(sorted((stages.mended(staged) + Counter(before.mended)).items())),
            downloads=before.downloads | downloads,
            sums=sums(out),
            added=[*before.added, addition],
            schema=SCHEMA,
        )
        write_manifest(out, manifest)
        staging.delete()
        return manifest


def check(parent: Location, source: str, works: str, facts: str) -> Manifest:
    """The parent's manifest, once all arguments are found to be right. Raises ValueError."""
    before = read_manifest(parent)
    if before.schema < KEEPS_SIGNATURES:
        raise DataError(
            f"{parent} is from before signatures were kept (schema {before.schema}, expected "
            f"{KEEPS_SIGNATURES}): prepare it again, in another folder, and add to that"
        )
    pieces = sum(split["pieces"] for split in before.splits.values())
    found = sum(len(read_table(part, ["split"])) for part in (parent / "parts").children())
    if found != pieces:
        raise DataError(
            f"{parent}: found {found:,} of its {pieces:,} pieces in parts/; bring all of the folder"
        )
    stages.check_files(source, works, facts)
    return before


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m data.add",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "parent", type=Location.of, help="a folder made by data.prepare, or by this"
    )
    parser.add_argument("--source", required=True, help="what is added: as for data.prepare")
    parser.add_argument(
        "--out", type=Location.of, required=True, help="the folder to make, or s3://bucket/prefix"
    )
    parser.add_argument(
        "--works", default="", metavar="REGEX", help="as for data.prepare [the parent's]"
    )
    parser.add_argument("--facts", default="", metavar="FILE", help="as for data.prepare")
    parser.add_argument("--mirror", help="a folder or address from which to take a download")
    args = parser.parse_args()
    if args.mirror and args.source not in CORPORA:
        parser.error(f"--mirror is for what is downloaded: {', '.join(CORPORA)}")

    def make() -> Manifest:
        # Check before Ray starts, which takes seconds.
        if not (args.out / MANIFEST).exists():
            check(args.parent, args.source, args.works, args.facts)
        cluster.join(log_to_driver=False, logging_level=logging.ERROR)
        return add(
            args.parent,
            args.source,
            args.out,
            works=args.works,
            facts=args.facts,
            mirror=args.mirror,
        )

    return stages.told("data.add", args.out, make)


if __name__ == "__main__":
    sys.exit(main())
