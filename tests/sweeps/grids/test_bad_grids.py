"""Grids as people get them wrong: one line that names the file, the line and what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.store.manifest import Manifest
from sweeps.errors import GridError
from sweeps.grids.grid_yaml import load_grid
from trainers.ladder import LadderError

DATA = "data: {source: folk}\n"
CELLS = "cells: {arch: lstm, size: 8k, tokens: 100k}\n"
TRAINING = "training: {batch_tokens: 1024, context: 256}\n"
MANIFEST = Manifest("print", "folk", "abc", 24, 139, 0, {}, {}, {}, {})


def refusal(folder: Path, content: str | bytes, *options: str) -> str:
    """What is said of a grid file with this content."""
    path = folder / "mine.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(GridError) as refused:
        load_grid(str(path), options)
    return str(refused.value)


def data(text: str) -> str:
    return f"data: {{source: folk, {text}}}\n{CELLS}{TRAINING}"


def cells(text: str) -> str:
    return f"{DATA}cells: {{{text}}}\n{TRAINING}"


def training(text: str) -> str:
    return f"{DATA}{CELLS}training: {{{text}}}\n"


def placement(text: str) -> str:
    return f"{DATA}{CELLS}{TRAINING}placement: {text}\n"


NO_TEXT = [
    (b"# M\xfcller\n" + DATA.encode(), "1: byte 0xfc is not UTF-8; save it as UTF-8"),
    (b"\n\n" + DATA.encode("utf-16"), "3: byte 0xff is not UTF-8"),
    (f"{DATA}\0{CELLS}", r"2: no YAML: the character '\x00' is not allowed"),
    ("", "1: the grid is empty; it needs 'data' and 'cells'"),
    ("# cells:\n#   arch: lstm\n", "1: the grid is empty"),
    (
        f"{DATA}cells:\n\tarch: lstm\n",
        "3: no YAML: while scanning for the next token, found character '\\t' that cannot start",
    ),
    (f"{DATA}cells: {{arch: lstm\n", "3: no YAML: while parsing a flow mapping"),
    (f"{DATA}cells: &x {{arch: &x lstm}}\n", "2: no YAML: found duplicate anchor"),
    (f"{DATA}cells: *blocks\n", "2: no YAML: found undefined alias 'blocks'"),
    (f"{DATA}cells: &blocks [*blocks]\n", "2: cells must hold keys and values"),
    (
        f"{DATA}---\n{CELLS}",
        "2: no YAML: expected a single document in the stream, but found another document",
    ),
    ("[" * 5000, "1: no YAML that can be read: nested too deeply"),
]

NO_SHAPE = [
    ("folk\n", "1: the grid must hold keys and values: schema, data, cells"),
    (f"{DATA}cells: 5\n", "2: cells must hold keys and values: arch, size"),
    (f"{DATA}cells: []\n", "2: 'cells' is empty"),
    (f"{DATA}{CELLS}training:\n", "3: training must hold keys and values"),
    (f"{DATA}{CELLS}{{a: b}}: 5\n", "3: a key of the grid must be one word"),
    (f"{DATA}{CELLS}? [a, b]\n: 5\n", "3: a key of the grid must be one word"),
    (f"data: folk\n{CELLS}{TRAINING}", "1: data must hold keys and values: source"),
    (f"data:\n  source:\n{CELLS}{TRAINING}", "2: 'source' is empty"),
    (f'data: {{source: "a\\0b"}}\n{CELLS}{TRAINING}', r"1: 'source' holds the control character"),
    (f"data: {{source: [folk, pop909]}}\n{CELLS}{TRAINING}", "1: 'source' takes one value"),
    (f"{DATA}{CELLS}{TRAINING}options: {{long: 5}}\n", "4: long must hold keys and values"),
    (f"{DATA}{CELLS}{TRAINING}options: [long]\n", "4: options must hold keys and values"),
]

NO_DATA = [
    (data("tokenizer: ../../x"), "1: unknown tokenizer '../../x'"),
    (data("tokenizer: [abc, rimi]"), "1: unknown tokenizer 'rimi'; did you mean 'remi'?"),
    (data("tokenizer: abc-bpe10"), "1: abc-bpe10: abc has 140 tokens"),
    (data("tokenizer: abc-bpe1000000"), "1: abc-bpe1000000: abc has 140 tokens"),
    (data("tokenizer: {abc: 1}"), "1: 'tokenizer' takes one value"),
    (data("ticks_per_quarter: 7"), "1: 'ticks_per_quarter' takes one of (8, 12, 24), found 7"),
    (data("max_tokens: 0"), "1: 'max_tokens' takes a number above 0"),
    (data("max_tokens: 5"), "1: 'max_tokens' takes at least 64, found 5"),
    (data("filters: 30"), "1: filters must hold keys and values: too_short"),
    (data("filters: {too_short: -1}"), "1: 'too_short' takes a number from 0 up, found '-1'"),
    (data("filters: {too_short: many}"), "1: 'too_short' takes a number from 0 up, found 'many'"),
    (data("filters: {minimum: 5}"), "1: unknown key 'minimum' in filters"),
]

NO_CELLS = [
    (cells("arch: lstm, size: 0, tokens: 1k"), "2: unknown size '0'"),
    (cells("arch: lstm, size: 0.4, tokens: 1k"), "2: unknown size '0.4'"),
    (cells("arch: lstm, size: 1e6, tokens: 1k"), "2: unknown size '1e6'; write a number with k"),
    (cells("arch: lstm, size: -5M, tokens: 1k"), "2: unknown size '-5M'"),
    (cells('arch: lstm, size: "8,000", tokens: 1k'), "2: unknown size '8,000'"),
    (cells("arch: lstm, size: [8,000], tokens: 1k"), "2: unknown size '000'"),
    (cells(f"arch: lstm, size: {'9' * 400}B, tokens: 1k"), "2: unknown size '999"),
    (cells("arch: lstm, size: [5k, 5K], tokens: 1k"), "2: size '5K' is '5k' again"),
    (cells("arch: [[lstm]], size: 8k, tokens: 1k"), "2: 'arch' takes one value"),
    (cells("arch: ../cell, size: 8k, tokens: 1k"), "2: unknown architecture '../cell'"),
    (cells("arch: , size: 8k, tokens: 1k"), "2: 'arch' is empty"),
    (cells("arch: lstm, size: 8k, tokens: 0"), "2: 'tokens' takes a number such as 2.5M"),
    (cells("arch: lstm, size: 8k, tokens: .nan"), "2: 'tokens' takes a number such as 2.5M"),
    (cells("arch: lstm, size: 8k, tokens: nan"), "2: 'tokens' takes a number such as 2.5M"),
    (cells("arch: lstm, size: 8k, tokens: 1e300"), "2: 'tokens' takes a number such as 2.5M"),
    (cells("arch: lstm, size: 8k, tokens: 0/param"), "2: 'tokens' takes a number such as 2.5M"),
    (cells("arch: lstm, size: 8k, tokens: 1k, lr: 0"), "2: 'lr' takes a rate above 0"),
    (cells("arch: lstm, size: 8k, tokens: 1k, lr: -1"), "2: 'lr' takes a rate above 0"),
    (cells("arch: lstm, size: 8k, tokens: 1k, lr: x"), "2: 'lr' takes a rate above 0"),
    (cells("arch: lstm, size: 8k, tokens: 1k, seed: -1"), "2: 'seed' takes a number from 0 up"),
    (cells("arch: lstm, size: 8k, tokens: 1k, seed: 1e20"), "2: 'seed' takes at most 2^53"),
    (cells("arch: lstm, size: 8k, tokens: 1k, seed: true"), "2: 'seed' takes a number from 0 up"),
]

NO_TRAINING = [
    (training("batch_tokens: 1024, context: 0"), "3: 'context' takes a number above 0"),
    (training("batch_tokens: 0, context: 256"), "3: 'batch_tokens' takes a number above 0"),
    (training("batch_tokens: 1024.5, context: 256"), "3: 'batch_tokens' takes a whole number"),
    (training("batch_tokens: 1024, context: 256, clip: 0"), "3: 'clip' takes a number above 0"),
    (training("batch_tokens: 1024, context: 256, schedule: wds"), "3: unknown schedule 'wds'"),
    (training("batch_tokens: 1k, context: 256"), "3: batch_tokens 1000 is not a multiple"),
    (
        f"{DATA}{CELLS}training:\n  weight_decay: 0.1\n  clip: 1\n  context: 256\n"
        "  batch_tokens:\n    - 1024\n    - 1000\n",
        "9: batch_tokens 1000 is not a multiple of context 256",
    ),
    # Each alone would do with the first of the others.
    (
        training("batch_tokens: [1536, 1024], context: [512, 768]"),
        "3: batch_tokens 1024 is not a multiple of context 768",
    ),
    (
        f"{DATA}{CELLS}training:\n  batch_tokens: 1024\n  context: 256\n  rates: flatt\n",
        "6: unknown rates 'flatt'",
    ),
]

NO_PLACEMENT = [
    (placement("{workers: 0}"), "4: 'workers' takes a number above 0, found '0'"),
    (placement("{workers: -1}"), "4: 'workers' takes a number from 0 up"),
    (placement("{workers: 1.5}"), "4: 'workers' takes a whole number"),
    (placement("{cpus: 0}"), "4: 'cpus' takes a number above 0"),
    (placement("{gpus: all}"), "4: 'gpus' takes a number from 0 up, found 'all'"),
    (placement("{gpus: [1, 2]}"), "4: 'gpus' takes one value"),
    (placement("{gpus: {}}"), "4: 'gpus' is empty"),
    (placement("{gpus: {8k: 1, 8k: 2}}"), "4: '8k' stands twice in gpus"),
    (placement("{gpus: {large: 1}}"), "4: unknown size 'large'"),
    (placement("{gpu_gb: 0}"), "4: 'gpu_gb' takes a number above 0"),
    (placement("{micro_tokens: 0}"), "4: 'micro_tokens' takes a number above 0"),
    (placement("{retries: .inf}"), "4: 'retries' takes a number from 0 up"),
    (placement("{compile: always}"), "4: 'compile' takes auto or on or off, found 'always'"),
    (placement("{accelerator: H100}"), "4: an accelerator and no GPUs; give gpus as well"),
    (placement("{gpus: 1, accelerator: {large: H100}}"), "4: unknown size 'large'"),
    (placement("{gpus: 1, accelerator: {}}"), "4: 'accelerator' is empty"),
    (
        placement("{gpus: 1, accelerator: an H100}"),
        "4: 'accelerator' takes Ray's name of a GPU, such as H100, found 'an H100'",
    ),
    (placement("4 GPUs"), "4: placement must hold keys and values: gpus"),
]

NO_BEST = [
    (f"{DATA}{CELLS}{TRAINING}best: 3\n", "4: best must hold keys and values: epochs"),
    (f"{DATA}{CELLS}{TRAINING}best: {{}}\n", "4: 'best' lacks 'epochs'"),
    (f"{DATA}{CELLS}{TRAINING}best: {{epoch: 3}}\n", "4: unknown key 'epoch' in best"),
    (f"{DATA}{CELLS}{TRAINING}best: {{epochs: 0}}\n", "4: 'epochs' takes a number above 0"),
    (f"{DATA}{CELLS}{TRAINING}best: {{epochs: all}}\n", "4: 'epochs' takes a number from 0 up"),
    (
        data("tokenizer: [abc, remi]") + "best: {epochs: 3}\n",
        "4: found tokenizers abc, remi: no best among losses of several",
    ),
]


@pytest.mark.parametrize(
    ("content", "message"),
    [*NO_TEXT, *NO_SHAPE, *NO_DATA, *NO_CELLS, *NO_TRAINING, *NO_PLACEMENT, *NO_BEST],
)
def test_a_bad_grid_is_refused_in_one_line(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    said = refusal(tmp_path, content)
    assert said.startswith(f"mine.yaml:{message}")
    assert "\n" not in said


def test_an_option_is_refused_before_anybody_asks_for_it(tmp_path: Path) -> None:
    text = f"{DATA}{CELLS}{TRAINING}options:\n  long:\n    cels: {{tokens: 1M}}\n"
    assert refusal(tmp_path, text).startswith("mine.yaml:6: unknown key 'cels' in long")


def test_an_option_is_blamed_for_what_it_lays_over(tmp_path: Path) -> None:
    text = f"{DATA}{CELLS}{TRAINING}options:\n  short:\n    training:\n      context: 100\n"
    said = refusal(tmp_path, text, "short")
    assert said == "mine.yaml:3: batch_tokens 1024 is not a multiple of context 100"


def test_a_size_that_no_model_has_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"{DATA}cells:\n  arch: lstm\n  size: [8k, 20]\n  tokens: 1k\n{TRAINING}")
    with pytest.raises(LadderError, match=r"^mine.yaml:4: no lstm within 3 % of 20 parameters"):
        load_grid(str(path)).resolve([MANIFEST])


def test_budgets_that_are_one_after_rounding_are_named_with_their_cell(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"{DATA}cells:\n  arch: lstm\n  size: 4k\n  tokens: [10k, 10_100]\n{TRAINING}")
    said = (
        r"^mine.yaml:4: tokens 10000 and 10100 are both 10,240 for lstm 4k, in batches of 1,024; "
        "take one of them$"
    )
    with pytest.raises(LadderError, match=said):
        load_grid(str(path)).resolve([MANIFEST])


def test_a_folder_is_no_grid(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").mkdir()
    with pytest.raises(GridError, match=r"no grid file at .*mine.yaml"):
        load_grid(str(tmp_path / "mine.yaml"))
