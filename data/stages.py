"""The stages that making a data set and adding to one have in common: what lies in its folder from
the request to the manifest."""

from __future__ import annotations

import json
import sys
import uuid
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pyarrow as pa

from data.errors import DataError, with_remedy
from data.parts import PieceSpec, finish, rejected_path, stage
from data.placing import LEFT_OUT, Naming
from data.sources.containers import Shard
from data.sources.facts import Table
from data.sources.named import check_source, known_facts, known_licence, known_works
from data.sources.spool import divided, spool, to_spool
from data.store.location import Location
from data.store.manifest import Manifest
from data.store.tables import read_table
from data.store.versioned import Word, read_versioned
from data.tasks import each
from data.tokens.bpe import BpeTokenizer
from data.tokens.protocol import Tokenizer
from data.works.named import check_pattern


def check_files(source: str, works: str, facts: str) -> None:
    """Raises DataError for a source that holds nothing to read, an expression that is none, and a
    table that cannot be read."""
    try:
        check_pattern(works)
    except ValueError as error:
        raise DataError(f"works {works!r} is no regular expression: {error}") from None
    check_source(source)
    if facts:
        Table(Location.of(facts)).rows()


def naming(source: str, works: str, facts: str, downloads: Location, mirror: str | None) -> Naming:
    """What is known of the files of a source that has been opened: as the user says, or else as the
    registry has it."""
    own = Table(Location.of(facts)) if facts else None
    table = own or known_facts(source, downloads, mirror)
    return Naming(works or known_works(source), table, known_licence(source).word)


def claim(out: Location, wanted: dict[str, Any]) -> None:
    """Record what `out` will be made from. Raises DataError if it was begun from something else."""
    path = out / "request.json"
    wanted = {"schema": 1} | {name: value for name, value in wanted.items() if value is not None}
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


def begin(out: Location, state: str) -> Location:
    """The folder of staged parts, which are all of a source in one state.

    Raises DataError if some were made of another: parts are matched by their numbers.
    """
    staging = out / "staging"
    path = staging / "source"
    if not staging.children():
        path.write_text(state)
    elif not path.exists() or path.read_text() != state:
        raise DataError(
            f"{out}: files of the source were added, removed or changed since this was begun; put "
            f"them back, or remove {out} to begin anew"
        )
    return staging


def read(found: list[Shard], staging: Location, spec: PieceSpec) -> list[Location]:
    """A staged part for each shard; those that are there are not made again."""
    each(spool, to_spool(found, staging))
    found, run = divided(found, staging), uuid.uuid4().hex
    staged = [staging / f"part-{index:05d}.parquet" for index in range(len(found))]
    each(
        lambda shard, part: stage(shard, part, spec, run),
        [(shard, part) for shard, part in zip(found, staged) if not part.exists()],
    )
    return staged


def write(staged: list[Location], parts: list[Location], tokenizer: Tokenizer) -> None:
    """Finish each staged part that has not been finished."""
    shorten = tokenizer.shorten if isinstance(tokenizer, BpeTokenizer) else None
    each(
        lambda before, part: finish(before, part, shorten),
        [task for task in zip(staged, parts) if not task[1].exists()],
    )


def left_out(staged: list[Location]) -> pa.Table:
    """The files and pieces of the staged parts that were left out, with reasons."""
    files = [*map(rejected_path, staged), staged[0].parent / LEFT_OUT]
    return pa.concat_tables([read_table(rows) for rows in files]).sort_by("path")


def reasons(rejected: pa.Table) -> dict[str, int]:
    return dict(sorted(Counter(rejected["reason"].to_pylist()).items()))


def mended(staged: list[Location]) -> Counter[str]:
    """How often each rule for reading and quantising was applied, and long pieces were cut."""
    total: Counter[str] = Counter()
    for part in staged:
        for counts in read_table(part, ["mended"])["mended"].to_pylist():
            total.update(json.loads(counts))
    return total


def package_versions() -> dict[str, str]:
    """Of the packages on which the tokens depend."""
    return {name: version(name) for name in ("symusic", "miditok", "music21")}


def told(program: str, out: Location, make: Callable[[], Manifest]) -> int:
    """Have a data set made and print what it holds, or the line of what is wrong; the exit code."""
    try:
        made = make()
    except ValueError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{program}: {with_remedy(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{program}: interrupted; the same command continues", file=sys.stderr)
        return 130
    for name, split in made.splits.items():
        print(f"{name:6}{split['pieces']:>9,} pieces {split['tokens']:>13,} tokens")
    for reason, count in made.rejected.items():
        print(f"left out: {count:,} {reason} (see {out}/rejected.parquet)")
    print(f"fingerprint {made.fingerprint}")
    return 0
