"""The card of an exported model, README.md: what it is, what it was trained on, how good it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, nan

import yaml

from data.card import FENCE, corpora, table
from data.sources.licences import Licence
from data.store.manifest import Manifest
from trainers.cell import Cell

Z95 = 1.96
"""Standard errors on each side of a mean that hold it in 95 % of cases."""

LEFT_OUT = ("arch", "size", "data", "tokenizer", "vocab_size")
"""Fields of a cell that the card names elsewhere."""


def card(
    name: str,
    cell: Cell,
    measured: Mapping[str, float],
    manifest: Manifest,
    licence: Licence,
    family: str,
    law: Sequence[str],
    code: str,
) -> str:
    """law: sentences; code: the version that exported it."""
    remote = ", trust_remote_code=True" if cell.arch == "lstm" else ""
    source, counts = corpora(manifest), cell.rung.counts
    head = {
        "license": licence.word,
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["music", "symbolic-music", "abc-notation", "crescendo"],
    }
    parts = [
        ("between embedding and head", counts.non_embedding),
        ("head", counts.head),
        ("together, the N of scaling laws", counts.n_params),
        ("embedding, looked up", counts.embedding),
    ]
    settings = {key: value for key, value in vars(cell).items() if key not in LEFT_OUT}
    told = "\n".join(f"- {line}" for line in law) or "No report of its sweep has a law of it."
    pieces = manifest.splits.get("train", {}).get("pieces", 0)
    return f"""{FENCE}{yaml.safe_dump(head, sort_keys=False)}{FENCE}
# {name}

`{cell.arch}` of {counts.n_params:,} parameters, which composes music as `{manifest.tokenizer}`;
trained by Crescendo on {cell.tokens:,} tokens of `{source}`. It loads as `{family}`.

## Compose

    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(DIR{remote})
    model = AutoModelForCausalLM.from_pretrained(DIR{remote})
    start = tokenizer(tokenizer.bos_token, return_tensors="pt")
    print(tokenizer.decode(model.generate(**start)[0]))

{reading(manifest.tokenizer)} Pieces begin with `bos_token` and end with `eos_token`; the
model reads {cell.context:,} tokens at most. Unless you say otherwise, tokens are drawn at
temperature 1 from all that there are.

## Data

`{source}`, fingerprint `{manifest.fingerprint}`, with {pieces:,} pieces to train on.
{licence.said}

## Parameters

{table(("part", "parameters"), parts)}

## Training

{table(("setting", "value"), settings.items())}

{cell.flops:.3g} FLOPs in all. The weights are in fp32.

## Losses

{losses(measured)}

Nats, on whole splits, each piece from its own beginning; intervals at 95 %, over works. No version
of a work in val or test was trained on.

## Law

{told}

## Made by

Crescendo {code}, cell `{cell.key}`.
"""


def reading(tokenizer: str) -> str:
    """What comes out of `decode`."""
    if tokenizer.startswith("abc"):
        return "What is printed is ABC."
    return (
        "What is printed are names of MIDI tokens (MidiTok's); Crescendo's "
        '`load_tokenizer("crescendo_tokenizer.json").decode(ids)` makes a score of the ids.'
    )


def losses(measured: Mapping[str, float]) -> str:
    """What was measured of both splits, as a table; what an old record lacks is left open."""
    lines = []
    for split in ("val", "test"):
        loss, error, note, second = (
            measured.get(f"{split}_loss{part}", nan)
            for part in ("", "_se", "_per_note", "_per_second")
        )
        low, high = loss - Z95 * error, loss + Z95 * error
        numbers = (f"{each:.4f}" for each in (exp(loss), note, second))
        lines.append((split, f"{loss:.4f}", f"[{low:.4f}, {high:.4f}]", *numbers))
    titles = ("split", "per token", "interval", "perplexity", "per note", "per second")
    return table(titles, lines)
