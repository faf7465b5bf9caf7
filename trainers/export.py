"""Write trained cells in the form of Hugging Face's `transformers`, to load them elsewhere.

python -m trainers.export --sweep quickstart --best --to my_model
python -m trainers.export --sweep quickstart --cell lstm-300k-seed0 --to my_model
python -m trainers.export --sweep quickstart --all --to my_ladder      a folder for each cell

`AutoModelForCausalLM.from_pretrained` and `AutoTokenizer.from_pretrained` read the folder.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from data.card import licence_of
from data.errors import DataError, printable, with_remedy
from data.store.location import Location
from data.store.manifest import read_manifest
from data.tokens.fast import ends, fast
from data.tokens.make import load_tokenizer
from data.tokens.protocol import Tokenizer
from trainers.chosen import BEST, add_arguments, choose, data_of, of_sweep
from trainers.exports.card import card
from trainers.exports.described import law_of
from trainers.exports.families import FAMILIES, LSTM_MODULE, MARK
from trainers.records import read_record
from trainers.samples.cells import CellError, Trained
from trainers.version import code_version


def main(argv: list[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    failed = False
    try:
        if find_spec("safetensors") is None:
            raise CellError("found no safetensors; pip install --editable '.[export]'")
        sweep, cells = of_sweep(args)
        if not args.all:
            cells = choose(cells, args.cell, args.best)
        data = args.data or data_of(cells, args.out)
        for trained in cells:
            folder = args.to / trained.name if args.all else args.to
            try:
                export(trained, data, sweep / "report", folder)
                print(folder)
            except CellError as error:
                failed = True
                print(f"trainers.export: nothing of {trained.name}: {error}", file=sys.stderr)
    except OSError as error:
        print(f"trainers.export: {with_remedy(error)}", file=sys.stderr)
        return 1
    except (CellError, DataError, ValueError) as error:
        print(f"trainers.export: {error}", file=sys.stderr)
        return 1
    return 1 if failed else 0


def export(trained: Trained, data: Location, report: Location, folder: Location) -> None:
    """Write a cell into a folder, which is new, empty, or one that was exported to before.

    data: what it was trained on. report: that of its sweep, which need not be there.
    Raises CellError for a cell that has no form in `transformers`, and for a folder with other
    files in it.
    """
    cell = trained.cell
    if cell.arch not in FAMILIES:
        there = ", ".join(FAMILIES)
        raise CellError(f"{cell.arch} has no form in transformers; there is one for {there}")
    _refuse_others(folder)
    manifest = read_manifest(data)
    tokenizer = load_tokenizer(data / "tokenizer.json")
    record = read_record(trained.folder.parent, cell.key)
    assert record is not None
    model = trained.model()
    assert isinstance(model, torch.nn.Module)
    family = FAMILIES[cell.arch](cell.rung, model, cell.context)
    code = code_version()
    made = {"cell": cell.key, "data": cell.data, "tokenizer": cell.tokenizer, "code": code}
    special = {"bos_token_id": tokenizer.bos_id, "eos_token_id": tokenizer.eos_id}
    special |= {"pad_token_id": tokenizer.eos_id}
    config = family.config | {"vocab_size": cell.vocab_size, "dtype": "float32"} | special
    law = law_of(report, cell.key)
    licence, name = licence_of(data), family.config["architectures"][0]
    files = {
        **tokenizer_files(tokenizer, cell.context),
        "generation_config.json": _json(drawing(cell.context) | special),
        "README.md": card(trained.name, cell, record.measured, manifest, licence, name, law, code),
        # Last: a folder that has it is whole.
        "config.json": _json(config | {MARK: made}),
    }
    if cell.arch == "lstm":
        module = f"{LSTM_MODULE}.py"
        source = Path(__file__).parent / "exports" / module
        files = {module: source.read_text()} | files
    (folder / "model.safetensors").write_bytes(_packed(family.tensors))
    for file, text in files.items():
        (folder / file).write_text(text)


def tokenizer_files(tokenizer: Tokenizer, context: int) -> dict[str, str]:
    """By name: the tokenizer as `transformers` has it, and as we have it."""
    bos, eos = ends(tokenizer)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": bos,
        "eos_token": eos,
        "pad_token": eos,
        "model_max_length": context,
        "model_input_names": ["input_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
    }
    return {
        "tokenizer.json": fast(tokenizer).to_str(),
        "tokenizer_config.json": _json(config),
        "crescendo_tokenizer.json": tokenizer.to_json(),
    }


def drawing(context: int) -> dict[str, Any]:
    """How pieces are drawn unless one says otherwise: as `trainers.sampling.Draw` does."""
    whole = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}
    return {"do_sample": True, **whole, "max_length": context}


def exported(folder: Location) -> dict[str, Any]:
    """What `export` noted in a folder: cell, data, tokenizer and code; empty if it is none."""
    try:
        found = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError):
        return {}
    noted = found.get(MARK) if isinstance(found, dict) else None
    return noted if isinstance(noted, dict) else {}


def _refuse_others(folder: Location) -> None:
    there = folder.children()
    if there and not exported(folder):
        found = printable(there[0].name)
        raise CellError(f"{folder}: found {found}, expected a new or empty folder, or an export")


def _packed(tensors: dict[str, torch.Tensor]) -> bytes:
    from safetensors.torch import save

    # Parts of one matrix share its memory, which the format refuses.
    whole = {name: each.detach().float().contiguous().clone() for name, each in tensors.items()}
    return save(whole, {"format": "pt"})


def _json(fields: dict[str, Any]) -> str:
    return json.dumps(fields, indent=1) + "\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m trainers.export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--best", action="store_true", help=BEST)
    which.add_argument("--cell", metavar="NAME", help="this cell, such as lstm-300k-seed1")
    which.add_argument("--all", action="store_true", help="every finished cell, a folder for each")
    parser.add_argument(
        "--to", required=True, type=Location.of, metavar="DIR", help="where to write"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
