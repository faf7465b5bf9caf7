"""Models whose likelihood can be told: a cell's folder, an export, others of `transformers`.

Each is given the same pieces, as its own tokenizer writes them. What is the same for all is the
music and not the tokens, so nats are also told per note and per second.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from torch import Tensor, float32, nn

from data.errors import one_line
from data.music.files import to_symusic
from data.store.location import Location
from data.store.manifest import Manifest
from data.tokens.fast import fast
from data.tokens.protocol import Tokenizer
from trainers.cell import Cell
from trainers.exports.families import MARK
from trainers.records import read_record
from trainers.samples.cells import CellError, Trained

Written = tuple[list[np.ndarray], np.ndarray]
"""The ids of each piece, and how many notes they hold, (pieces,)."""


@dataclass(frozen=True)
class Scored:
    model: nn.Module
    """From tokens, (batch, time) int64, to logits, (batch, time, vocab)."""
    context: float
    """The most tokens that it reads; infinite where it has no bound."""
    vocab_size: int
    trained_on: str
    """The fingerprint of the data that it was trained on; "" if nobody noted it."""
    write: Callable[[pa.Table], Written]
    """From rows of a data folder, with `tokens`, `abc` and `num_notes`."""


def scored(folder: Location, manifest: Manifest, tokenizer: Tokenizer) -> Scored:
    """The model in a folder, for the data of this manifest and tokenizer.

    Raises CellError if there is none, or none that can read these data.
    """
    if (folder / "record.json").exists():
        return _cell(folder, manifest)
    if not (folder / "config.json").exists():
        raise CellError(f"{folder}: found no record.json of a cell and no config.json of an export")
    return _transformers(folder, tokenizer)


def as_they_are(rows: pa.Table) -> Written:
    """The ids of the data themselves."""
    ids = [np.asarray(each.values) for each in rows["tokens"]]
    return ids, rows["num_notes"].to_numpy()


def _cell(folder: Location, manifest: Manifest) -> Scored:
    record = read_record(folder.parent, folder.name)
    if record is None or record.status != "finished":
        raise CellError(f"{folder}: the cell has not finished")
    cell = Cell.of(record.params)
    if cell.key != folder.name:
        raise CellError(f"{folder}: a cell of another version; train it again")
    theirs, ours = (
        # Merges are learnt from data, and so are their own.
        (one.tokenizer, one.vocab_size, found if "-bpe" in one.tokenizer else "")
        for one, found in ((cell, cell.data), (manifest, manifest.fingerprint))
    )
    if theirs != ours:
        raise CellError(
            f"{folder}: reads {cell.tokenizer} of {cell.vocab_size:,} tokens, and the data have "
            f"{manifest.tokenizer} of {manifest.vocab_size:,}; prepare the same music for it"
        )
    measured = record.measured
    trained = Trained(cell, folder, measured["n_params"], measured["val_loss"], folder.name)
    model = trained.model()
    assert isinstance(model, nn.Module)
    return Scored(model, cell.context, cell.vocab_size, cell.data, as_they_are)


class _Logits(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor) -> Tensor:
        return self.model(input_ids=tokens, use_cache=False).logits


def _transformers(folder: Location, tokenizer: Tokenizer) -> Scored:
    if find_spec("transformers") is None:
        raise CellError("found no transformers; pip install --editable '.[export]'")
    if folder.local is None:
        raise CellError(f"{folder}: a model is read from a disk; copy it there")
    try:
        model = load(folder.local)
        write = _writer(folder.local, tokenizer)
    except Exception as error:  # Which one depends on what is wrong with whose files.
        raise CellError(f"{folder}: {type(error).__name__}: {one_line(error)}") from None
    config = model.config
    context = getattr(config, "max_position_embeddings", None) or math.inf
    noted = getattr(config, MARK, None) or {}
    trained_on = str(noted.get("data", "")) if isinstance(noted, dict) else ""
    return Scored(_Logits(model), context, config.vocab_size, trained_on, write)


def load(folder: Path) -> Any:
    """A causal model of `transformers`, in fp32, offline, without running code of the folder."""
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.utils import logging

    from trainers.exports.modeling_crescendo_lstm import (
        CrescendoLstmConfig,
        CrescendoLstmForCausalLM,
    )

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    AutoConfig.register("crescendo_lstm", CrescendoLstmConfig, exist_ok=True)
    AutoModelForCausalLM.register(CrescendoLstmConfig, CrescendoLstmForCausalLM, exist_ok=True)
    return AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=float32,
        trust_remote_code=False,
        use_safetensors=True,
        local_files_only=True,
    )


def _writer(folder: Path, tokenizer: Tokenizer) -> Callable[[pa.Table], Written]:
    content = (
        (folder / "tokenizer.json").read_text() if (folder / "tokenizer.json").exists() else ""
    )
    if content == fast(tokenizer).to_str():
        return as_they_are
    kind = json.loads(content).get("tokenization") if content else None
    if kind:
        return _midi_writer(folder / "tokenizer.json", kind, tokenizer)
    return _text_writer(folder)


def _text_writer(folder: Path) -> Callable[[pa.Table], Written]:
    """For a model of text: it is given the ABC. Its beginning is put before, if it has one."""
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)

    def ids_of(text: str) -> np.ndarray:
        ids = theirs(text).input_ids
        if theirs.bos_token_id is not None and ids[:1] != [theirs.bos_token_id]:
            ids = [theirs.bos_token_id, *ids]
        # A text that cannot be had back has other likelihoods than its tokens.
        back = "".join(theirs.decode(ids).split())
        if theirs.unk_token_id in ids or "".join(text.split()) not in back:
            raise CellError(f"{folder}: its tokenizer does not keep ABC")
        return np.array(ids)

    def write(rows: pa.Table) -> Written:
        try:
            ids = [ids_of(text) for text in rows["abc"].to_pylist()]
        except CellError:
            raise
        except Exception as error:  # `tokenizers` raises nothing more special.
            raise CellError(f"{folder}: its tokenizer reads no ABC: {one_line(error)}") from None
        return ids, rows["num_notes"].to_numpy()

    return write


def _midi_writer(path: Path, kind: str, tokenizer: Tokenizer) -> Callable[[pa.Table], Written]:
    """For a model of MIDI tokens by MidiTok: notes are those that its tokens hold."""
    import miditok

    theirs = getattr(miditok, kind)(params=path)

    def write(rows: pa.Table) -> Written:
        ids, notes = [], []
        for tokens in rows["tokens"]:
            found = theirs(to_symusic(tokenizer.decode(np.asarray(tokens.values))))
            if isinstance(found, list):
                raise CellError(f"{path}: one sequence for each track, expected one for a piece")
            notes.append(theirs.decode(found).note_num())
            around = [theirs.vocab.get(f"{end}_None") for end in ("BOS", "EOS")]
            first, last = ([] if each is None else [each] for each in around)
            ids.append(np.array([*first, *found.ids, *last]))
        return ids, np.array(notes)

    return write
