"""What the report of a sweep is of: its corpus, its runs and what they ran on, in words."""

from __future__ import annotations

from collections.abc import Iterable

from data.sources.licences import UNKNOWN
from data.sources.named import joint_licence, title_of
from data.store.manifest import Manifest
from fitting.page.about import About, day, software
from trainers.records import Record


def about(name: str, manifests: list[Manifest], records: list[Record], code: str) -> About:
    """The words for a report.

    name: of the sweep. manifests: one a tokenizer. records: of the cells that have ended, at
    least one. code: the version of the code.
    """
    sources = manifests[0].sources
    words, licence = " and ".join(map(title_of, sources)), joint_licence(sources)
    facts = {"corpus": f"{words}: {_counted(manifests[0], 'pieces')}"}
    if licence != UNKNOWN:
        facts["licence"] = licence.said
    facts["tokenizer"] = "; ".join(
        f"{manifest.tokenizer}, a vocabulary of {manifest.vocab_size}" for manifest in manifests
    )
    facts["tokens"] = "; ".join(
        f"{manifest.tokenizer}: {_counted(manifest, 'tokens')}" for manifest in manifests
    )
    facts["trained"] = _days(records)
    facts["hardware"] = _listed(_hardware(record) for record in records)
    torch = _listed(str(record.ran_on.get("torch", "")) for record in records)
    facts["software"] = f"{software('ray')}, torch {torch}"
    facts["code"] = code
    return About(f"Sweep {name}: {words}", facts)


def _counted(manifest: Manifest, what: str) -> str:
    """How many pieces or tokens each split has."""
    uses = {"train": f"{what} to train on", "val": "to validate", "test": "to test"}
    return ", ".join(
        f"{manifest.splits.get(name, {}).get(what, 0):,.0f} {use}" for name, use in uses.items()
    )


def _days(records: list[Record]) -> str:
    first = day(min(record.started for record in records))
    last = day(max(record.ended for record in records))
    return first if first == last else f"{first} to {last}"


def _hardware(record: Record) -> str:
    """What a cell ran on; "" where a record does not say, as the first ones do not."""
    on = record.ran_on
    if "device" not in on:
        return ""
    workers = f", {on['workers']} workers a cell" if on.get("workers", 1) != 1 else ""
    if on["device"] != "cpu":
        return f"{on['device']}{workers}"
    threads = f", threads a worker: {on['threads']}" if "threads" in on else ""
    return f"{on.get('processor', 'CPU')}{threads}{workers}"


def _listed(texts: Iterable[str]) -> str:
    """The distinct texts, in their order; "not recorded" where there are none."""
    return "; ".join(dict.fromkeys(text for text in texts if text)) or "not recorded"
