"""The card of a data folder, in the form of Hugging Face's data sets: what anyone may ask of it.

`write_card` leaves README.md, `splits/` and splits.csv in the folder, by which
`datasets.load_dataset` reads it, from the disk or uploaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import Any

import yaml

from data.errors import DataError, printable
from data.held_out import refuse_missing, splits_of, write_splits
from data.parts import PIECE
from data.sources.licences import Licence, named
from data.sources.named import NAMED, joint_licence
from data.store.flat import SPLITS
from data.store.location import Location
from data.store.manifest import Manifest, read_manifest
from data.store.tables import Rows, row_groups

CARD = "README.md"
FENCE = "---\n"
SIZES = {10**3: "n<1K", 10**4: "1K<n<10K", 10**5: "10K<n<100K", 10**6: "100K<n<1M"}
"""Hugging Face's words for less than so many pieces."""
LARGEST = "1M<n<10M"
MEANINGS = {
    "piece_id": "a hash of the notes",
    "group_id": "the work, of which all versions share a split",
    "source": "the corpus",
    "path": "the file in it; `#bar17` for a section that begins there",
    "split": "train, val or test",
    "num_notes": "how many notes",
    "num_bars": "how many bars",
    "seconds": "how long it lasts",
    "num_tracks": "how many tracks",
    "num_tokens": "how many tokens",
    "tokens": "ids, as `tokenizer.json` has them, with those of beginning and end",
    "abc": "the piece as ABC",
    "licence": "under which it may be used, as far as it was stated",
    "genre": "as the source has it",
    "composer": "as the source has it",
    "work": "as the source has it",
}


def write_card(folder: Location, licence: str | None) -> None:
    """Write the card, and before it what it points at.

    licence: a word of `data.sources.licences`; None for what was stated before, or is known.
    Raises DataError for a wrong one, and for a split without pieces.
    """
    manifest = read_manifest(folder)
    chosen = named(licence) if licence else licence_of(folder)
    refuse_missing(folder, manifest.splits)
    splits = splits_of(folder)
    refuse_missing(folder / "parts", splits.values())
    with ExitStack() as stack:
        files = {}
        for split in SPLITS:
            path = stack.enter_context((folder / "splits" / f"{split}.parquet").writing())
            files[split] = stack.enter_context(Rows(path, PIECE))
        for part in (folder / "parts").children():
            for group in row_groups(part, PIECE.names):
                for row in group:
                    # A path on the machine that made them says nothing to others.
                    shared = row | {"source": corpus(row["source"])}
                    files[row["split"]].write([shared])
    write_splits(folder / "splits.csv", splits)
    (folder / CARD).write_text(card(manifest, chosen))


def licence_of(folder: Location) -> Licence:
    """The licence that the folder's card states, else that of its sources. Raises DataError."""
    known = joint_licence(read_manifest(folder).sources)
    try:
        head = yaml.safe_load((folder / CARD).read_text().split(FENCE)[1])
    except FileNotFoundError:
        return known
    except (IndexError, UnicodeDecodeError, yaml.YAMLError):
        head = None
    if not isinstance(head, dict) or "license" not in head:
        raise DataError(
            f"{folder / CARD}: found no licence in its head; write it with --card again"
        )
    return known if head["license"] == known.word else named(str(head["license"]))


def corpus(source: str) -> str:
    """A source as others may know it: its name, or the last part of its path."""
    return printable(source if source in NAMED else source.rstrip("/").rsplit("/", 1)[-1])


def corpora(manifest: Manifest) -> str:
    """All sources of a data set as others may know them."""
    return " and ".join(map(corpus, manifest.sources))


def card(manifest: Manifest, licence: Licence) -> str:
    """README.md: a head in YAML for programs, and the rest for people."""
    name = corpora(manifest)
    pieces = sum(split["pieces"] for split in manifest.splits.values())
    files = [{"split": split, "path": f"splits/{split}.parquet"} for split in SPLITS]
    head = {
        "pretty_name": name,
        "license": licence.word,
        "task_categories": ["text-generation"],
        "tags": ["music", "symbolic-music", "abc-notation", "midi"],
        "size_categories": [next((word for n, word in SIZES.items() if pieces < n), LARGEST)],
        "configs": [{"config_name": "default", "data_files": files}],
    }
    splits = map(counted, manifest.splits.items())
    columns = ((field.name, field.type, MEANINGS[field.name]) for field in PIECE)
    left_out = table(("reason", "files"), manifest.rejected.items())
    val_to, test_from = (manifest.thresholds.get(name, 0) for name in ("val_to", "test_from"))
    return f"""{FENCE}{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}{FENCE}
# {name}

Pieces of music as ABC and as tokens of `{manifest.tokenizer}`, made by Crescendo.

    datasets.load_dataset(DIR)["train"]["abc"]

## Licence

{licence.said}

## Splits

{table(("split", "pieces", "works", "tokens", "notes", "hours"), splits)}

Versions of one work, in whatever key, are found by their notes and share a `group_id`. Each group
goes to a split by a hash of its id, a number between 0 and 1: those up to {val_to:.6g} to `val`,
those from {test_from:.6g} on to `test`, all others to `train`. So no version of a held-out work is
trained on. Pieces that are added later (`python -m data.add`) go by the same numbers, or to the
split of the works that they are versions of, and move no others.

`splits.csv` has the split of each piece by its id, a hash of its notes. It holds no tune, so it can
be passed on where the tunes cannot: who has the corpus scores on the same pieces with it.

    python -m trainers.likelihood --data DIR --model MODEL --splits splits.csv

## Columns

{table(("column", "type", "meaning"), columns)}

## Left out

{left_out if manifest.rejected else "Nothing was."}

Filters: {listed(manifest.filters)}. Mended while reading, times: {listed(manifest.mended)}.

## Versions

- fingerprint {manifest.fingerprint}: of pieces, splits and tokenizer
- {manifest.ticks_per_quarter} ticks a quarter, vocabulary {manifest.vocab_size:,}
- read by {listed(manifest.versions)}
- downloads, by SHA-256: {listed(manifest.downloads)}
{added(manifest)}"""


def added(manifest: Manifest) -> str:
    """A line for each addition; "" if nothing was added."""
    return "".join(
        f"- added to {each.parent}: {each.pieces:,} pieces of {corpus(each.source)}; left out of "
        f"these: {listed(each.rejected)}; read by {listed(each.versions)}\n"
        for each in manifest.added
    )


def counted(split: tuple[str, Mapping[str, Any]]) -> tuple[object, ...]:
    name, counts = split
    whole = (counts[each] for each in ("pieces", "groups", "tokens", "notes"))
    return (name, *whole, f"{counts['seconds'] / 3600:,.1f}")


def listed(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {_cell(value)}" for name, value in values.items()) or "none"


def table(titles: tuple[str, ...], lines: Iterable[tuple[object, ...]]) -> str:
    """In Markdown."""
    rows = [titles, ["---"] * len(titles), *lines]
    return "\n".join(f"| {' | '.join(map(_cell, row))} |" for row in rows)


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else printable(str(value)).replace("|", r"\|")
