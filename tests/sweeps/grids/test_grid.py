"""Grids are read as a person would write them, and refused with the line and the nearest word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from data.music.filters import Filters
from data.store.manifest import Manifest
from sweeps.errors import GridError
from sweeps.grids.grid import DataSpec
from sweeps.grids.grid_file import SHIPPED
from sweeps.grids.grid_yaml import load_grid
from sweeps.grids.needs import Needs, memory_bytes
from trainers.cell import Cell, Placement
from trainers.ladder import load_arch
from trainers.names import varying

MANIFEST = Manifest("print", "folk", "abc", 24, 139, 0, {}, {}, {}, {})
GOOD = """\
data:
  source: folk
cells:
  arch: [lstm, transformer]
  size: [9k, 4k]
  seed: [0, 1]
  tokens: 10k
training:
  batch_tokens: 512
  context: 128
"""


def write(folder: Path, text: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(text)
    return str(path)


def test_every_combination_is_a_cell_and_the_dearest_comes_first(tmp_path: Path) -> None:
    cells = load_grid(write(tmp_path, GOOD)).resolve([MANIFEST])
    assert len(cells) == 8
    assert len({cell.key for cell in cells}) == 8
    assert [cell.flops for cell in cells] == sorted((cell.flops for cell in cells), reverse=True)
    assert all(cell.tokens == 10_240 for cell in cells)


@pytest.mark.parametrize("name", sorted(path.stem for path in SHIPPED.glob("*.yaml")))
def test_shipped_grids_resolve(name: str) -> None:
    assert load_grid(name).resolve([MANIFEST])


def test_tokens_are_fixed_by_parameter_or_by_compute(tmp_path: Path) -> None:
    text = GOOD.replace("10k", "[10k, 20/param, 1e11 flops]").replace("[0, 1]", "0")
    for cell in load_grid(write(tmp_path, text)).resolve([MANIFEST]):
        n_params = cell.rung.counts.n_params
        wanted = (10_000, 20 * n_params, 1e11 / cell.rung.flops_per_token(cell.context))
        assert min(abs(cell.tokens - tokens) for tokens in wanted) <= cell.batch_tokens / 2


def test_a_grid_says_for_how_long_its_best_is_trained(tmp_path: Path) -> None:
    assert load_grid(write(tmp_path, GOOD)).best_epochs == 0
    offered = f"{GOOD}best: {{epochs: 3}}\noptions: {{short: {{best: {{epochs: 0.5}}}}}}\n"
    assert load_grid(write(tmp_path, offered)).best_epochs == 3
    assert load_grid(write(tmp_path, offered), ["short"]).best_epochs == 0.5


def test_rates_may_be_multiples_of_the_architectures_own(tmp_path: Path) -> None:
    text = GOOD.replace("  seed: [0, 1]", "  lr: [0.5x, 1x, 0.003]")
    found = {
        arch: {
            cell.lr
            for cell in load_grid(write(tmp_path, text)).resolve([MANIFEST])
            if cell.arch == arch
        }
        for arch in ("lstm", "transformer")
    }
    assert found == {arch: {load_arch(arch).LR / 2, load_arch(arch).LR, 0.003} for arch in found}


def test_cells_may_come_in_blocks_that_differ(tmp_path: Path) -> None:
    blocks = """cells:
  - {arch: lstm, size: [4k, 9k], tokens: 10k}
  - {arch: [lstm, transformer], size: 4k, tokens: 10k, clip: [0.5, 1.0]}
training:"""
    text = GOOD[: GOOD.index("cells:")] + blocks + GOOD[GOOD.index("training:") + 9 :]
    cells = load_grid(write(tmp_path, text)).resolve([MANIFEST])
    # The 4k LSTM with the usual clipping stands in both blocks and is one cell.
    assert len(cells) == 5
    assert varying(vars(cell) for cell in cells) == ["clip"]


def test_every_tokenizer_is_trained_on(tmp_path: Path) -> None:
    grid = load_grid(write(tmp_path, GOOD.replace("folk", "folk\n  tokenizer: [abc, remi]")))
    assert grid.data.tokenizer == ("abc", "remi")
    remi = replace(MANIFEST, tokenizer="remi", vocab_size=300, fingerprint="other")
    assert len(grid.resolve([MANIFEST, remi])) == 16


def test_the_data_section_takes_what_preparing_takes(tmp_path: Path) -> None:
    wanted = "folk\n  filters: {too_short: 30}\n  max_tokens: 100k\n  works: '/[0-9]{3}/'"
    spec = load_grid(write(tmp_path, GOOD.replace("folk", wanted, 1))).data
    assert spec.filters == Filters(too_short=30)
    assert (spec.max_tokens, spec.works) == (100_000, "/[0-9]{3}/")
    facts = load_grid(
        write(tmp_path, GOOD.replace("folk", "folk\n  facts: mine.csv", 1))
    ).data.facts
    assert facts == "mine.csv"
    for wrong, message in (
        ("folk\n  filters: {too_shrt: 30}", "did you mean 'too_short'"),
        ("folk\n  works: '['", "'works' takes a regular expression"),
        ("folk\n  facts:", "'facts' is empty"),
    ):
        with pytest.raises(GridError, match=f"mine.yaml:3: .*{message}"):
            load_grid(write(tmp_path, GOOD.replace("folk", wrong, 1)))


def test_other_data_of_a_source_have_a_digest_of_their_own() -> None:
    assert DataSpec("folk").digest == DataSpec("folk", ("remi",)).digest == ""
    others = [
        DataSpec("folk", facts="mine.csv"),
        DataSpec("folk", works="mine.csv"),
        DataSpec("folk", max_tokens=500),
        DataSpec("folk", ticks_per_quarter=12),
        DataSpec("folk", filters=Filters(too_short=30)),
        DataSpec("folk", filters=Filters(too_short=31)),
    ]
    digests = [spec.digest for spec in others]
    assert len(set(digests)) == len(others)
    assert all(len(digest) == 8 for digest in digests)
    # Those that were prepared are found again by it.
    assert digests[0] == "284bc911"


def test_options_are_laid_over_the_grid_by_name(tmp_path: Path) -> None:
    text = GOOD + "options:\n  long: {cells: {tokens: 50k}}\n  wide: {training: {context: 256}}\n"
    plain = load_grid(write(tmp_path, text)).resolve([MANIFEST])
    grid = load_grid(write(tmp_path, text), ["long", "wide"])
    assert grid.name == "mine+long+wide"
    assert {cell.context for cell in plain} == {128}
    assert {(cell.context, cell.tokens) for cell in grid.resolve([MANIFEST])} == {(256, 50_176)}
    with pytest.raises(GridError, match=r"mine.yaml has no option 'lang'; did you mean 'long'"):
        load_grid(write(tmp_path, text), ["lang"])


def test_a_grid_may_name_its_schema_and_the_first_value_of_a_later_field(tmp_path: Path) -> None:
    plain = load_grid(write(tmp_path, GOOD)).resolve([MANIFEST])
    named = GOOD.replace("training:", "training:\n  precision: fp32\n  optimizer: adamw")
    assert load_grid(write(tmp_path, f"schema: 1\n{named}")).resolve([MANIFEST]) == plain


@pytest.mark.parametrize(
    ("placement", "precision"),
    [
        ("{}", "fp32"),
        ("{gpus: 0}", "fp32"),
        ("{gpus: 0.25}", "bf16"),
        ("{gpus: auto}", "bf16"),
        # Laws never mix precisions, so the small ones go with the large.
        ("{gpus: {4k: 0, 9k: 1}}", "bf16"),
    ],
)
def test_an_automatic_precision_is_that_of_the_placement_for_the_whole_grid(
    tmp_path: Path, placement: str, precision: str
) -> None:
    def resolved(wanted: str) -> list[Cell]:
        text = GOOD.replace("training:", f"training:\n  precision: {wanted}")
        path = write(tmp_path, f"{text}placement: {placement}\n")
        return load_grid(path).resolve([MANIFEST])

    assert {cell.precision for cell in resolved("auto")} == {precision}
    assert [cell.key for cell in resolved("auto")] == [cell.key for cell in resolved(precision)]


def test_compiling_is_a_matter_of_placement(tmp_path: Path) -> None:
    usual = load_grid(write(tmp_path, GOOD))
    never = load_grid(write(tmp_path, GOOD + "placement: {compile: off}\n"))
    cells = usual.resolve([MANIFEST])
    assert never.resolve([MANIFEST]) == cells
    compiled = [grid.placement.placement(cells[0]).compile for grid in (usual, never)]
    assert compiled == ["auto", "off"]


def test_gpus_may_go_by_size(tmp_path: Path) -> None:
    needs = load_grid(write(tmp_path, GOOD + "placement: {gpus: {4k: 0.25, 9k: 4}}\n")).placement
    cells = load_grid(write(tmp_path, GOOD)).resolve([MANIFEST])
    placed = {cell.size: needs.placement(cell) for cell in cells}
    assert (placed["4k"].workers, placed["4k"].gpus) == (1, 0.25)
    assert (placed["9k"].workers, placed["9k"].gpus) == (4, 1)


def test_a_cell_may_ask_for_a_kind_of_gpu_which_makes_it_no_other_cell(tmp_path: Path) -> None:
    cells = load_grid(write(tmp_path, GOOD + "placement: {gpus: 1}\n")).resolve([MANIFEST])
    for text, kinds in (
        ("{gpus: 1, accelerator: H100}", {"4k": "H100", "9k": "H100"}),
        ("{gpus: auto, accelerator: {4k: A10G, 9k: H100}}", {"4k": "A10G", "9k": "H100"}),
        ("{gpus: {4k: 0.5, 9k: 2}}", {"4k": "", "9k": ""}),
    ):
        grid = load_grid(write(tmp_path, GOOD + f"placement: {text}\n"))
        assert grid.resolve([MANIFEST]) == cells
        assert {c.size: grid.placement.placement(c).accelerator for c in cells} == kinds


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("context:", "contxt:", r"mine.yaml:10: unknown key 'contxt' .* did you mean 'context'"),
        ("training:", "trainig:", r"mine.yaml:8: unknown key 'trainig' .* 'training'"),
        ("transformer", "transfomer", r"mine.yaml:4: .*'transfomer'; did you mean 'transformer'"),
        ("9k", "9q", r"mine.yaml:5: unknown size '9q'"),
        ("512", "500", r"batch_tokens 500 is not a multiple of context 128"),
        ("10k", "many", r"mine.yaml:7: 'tokens' takes a number such as 2.5M.*found 'many'"),
        ("[0, 1]", "0.5", r"mine.yaml:6: 'seed' takes a whole number"),
        ("  context: 128\n", "", r"'training' lacks 'context'"),
        ("10k", "3/step", r"mine.yaml:7: 'tokens' takes a number such as 2.5M, 20/param"),
        ("seed: [0, 1]", "lr: fast", r"mine.yaml:6: 'lr' takes a rate above 0, or a multiple"),
        ("seed:", "size:", r"mine.yaml:6: 'size' stands twice in cells"),
        ("[0, 1]", "[]", r"mine.yaml:6: 'seed' is empty"),
        ("data:\n  source: folk\n", "", r"section 'data' is missing"),
        ("context: 128", "context: [1", r"mine.yaml:\d+: no YAML"),
        ("data:", "schema: 2\ndata:", r"mine.yaml:1: found schema '2', expected 1; .* update"),
        ("context:", "precision: fp16\n  context:", r"unknown precision 'fp16'; "),
        ("context:", "optimizer: sgd\n  context:", r"unknown optimizer 'sgd'; "),
        ("context:", "optimizer: muon\n  rates: flat\n  context:", "muon with rates flat"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(GridError, match=message) as refused:
        load_grid(write(tmp_path, GOOD.replace(old, new)))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("targets", "chosen"),
    [
        ("{size: 9k}", lambda cell: cell.size == "9k"),
        ("{size: 9k, arch: lstm}", lambda cell: (cell.size, cell.arch) == ("9k", "lstm")),
        ("{seed: [1, 0], arch: lstm}", lambda cell: cell.arch == "lstm"),
        ("{context: 256}", lambda cell: cell.context == 256),
        ("{tokens: 20_000}", lambda cell: cell.tokens > 15_000),
        ("{lr: 2x, schedule: cosine}", lambda cell: cell.lr == 2 * load_arch(cell.arch).LR),
    ],
)
def test_a_target_is_a_cell_that_has_all_of_the_values(
    tmp_path: Path, targets: str, chosen: Callable[[Cell], bool]
) -> None:
    text = GOOD.replace("tokens: 10k", "tokens: [10k, 20k]\n  lr: [1x, 2x]").replace(
        "context: 128", "context: [128, 256]"
    )
    grid = load_grid(write(tmp_path, f"{text}forecast:\n  targets: {targets}\n"))
    cells = grid.resolve([MANIFEST])
    assert grid.target_keys([MANIFEST]) == {cell.key for cell in cells if chosen(cell)}


@pytest.mark.parametrize(
    ("forecast", "message"),
    [
        ("{targets: {size: 12k}}", "mine.yaml:11: no cell has size '12k'; there are 9k, 4k"),
        ("{targets: {seed: [1, 7]}}", "mine.yaml:11: no cell has seed '7'; there are 0, 1"),
        ("{targets: {tokens: 20/param}}", "no cell has tokens '20/param'; there are 10000"),
        ("{targets: {lr: 3x}}", "mine.yaml:11: no cell has lr '3x'; .*1x"),
        ("{targets: {sise: 9k}}", "mine.yaml:11: unknown key 'sise' .*did you mean 'size'"),
        ("{targets: {size: [9k, 4k]}}", "mine.yaml:11: every cell is a target: none is left"),
        ("{targets: {}}", "mine.yaml:11: every cell is a target"),
        ("{target: {size: 9k}}", "mine.yaml:11: unknown key 'target' in forecast"),
        ("{}", "mine.yaml:11: 'forecast' lacks 'targets'"),
        ("{targets: 9k}", "mine.yaml:11: targets must hold keys and values"),
        ("{targets: {size: []}}", "mine.yaml:11: 'size' is empty"),
    ],
)
def test_a_mistake_in_a_target_is_named_with_its_line(
    tmp_path: Path, forecast: str, message: str
) -> None:
    with pytest.raises(GridError, match=message) as refused:
        load_grid(write(tmp_path, f"{GOOD}forecast: {forecast}\n"))
    assert "\n" not in str(refused.value)


def test_values_that_no_cell_has_together_make_no_target(tmp_path: Path) -> None:
    blocks = "cells:\n  - {arch: lstm, size: 4k, tokens: 10k}\n"
    blocks += "  - {arch: transformer, size: 9k, tokens: 10k}\ntraining:"
    text = GOOD[: GOOD.index("cells:")] + blocks + GOOD[GOOD.index("training:") + 9 :]
    with pytest.raises(GridError, match=r"mine.yaml:9: no cell has all of these values"):
        load_grid(write(tmp_path, text + "forecast: {targets: {arch: lstm, size: 9k}}\n"))


def test_an_unknown_grid_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(GridError, match="did you mean 'quickstart'"):
        load_grid("quikstart")


def test_a_share_of_a_gpu_goes_with_one_worker(tmp_path: Path) -> None:
    with pytest.raises(GridError, match="one worker only"):
        load_grid(write(tmp_path, GOOD + "placement: {workers: 2, gpus: 0.5}\n"))


def test_more_than_one_gpu_is_a_whole_number(tmp_path: Path) -> None:
    with pytest.raises(GridError, match=r"mine.yaml:11: 1.5 GPUs; above one"):
        load_grid(write(tmp_path, GOOD + "placement: {gpus: 1.5}\n"))


def test_auto_gives_the_smallest_share_of_a_gpu_that_is_large_enough(tmp_path: Path) -> None:
    cells = load_grid(write(tmp_path, GOOD)).resolve([MANIFEST])
    largest = max(cells, key=lambda cell: memory_bytes(cell, Placement(gpus=1)))
    needed = memory_bytes(largest, Placement(gpus=1)) / 1e9
    assert Needs(gpus="auto", gpu_gb=20 * needed).placement(largest).gpus == 0.125
    assert Needs(gpus="auto", gpu_gb=1.5 * needed).placement(largest).gpus == 1
    # Too large for any: the whole GPU, and smaller micro-batches.
    tight = Needs(gpus="auto", gpu_gb=0.8 * needed).placement(largest)
    assert tight.gpus == 1
    assert tight.micro_tokens < Placement.micro_tokens


def test_each_correction_of_the_published_study_is_an_option() -> None:
    plain = load_grid("published").resolve([MANIFEST])
    assert {(cell.rates, cell.lr, cell.steps) for cell in plain} == {("flat", 3e-4, 22)}
    options = ["tokens", "seeds", "batches", "rates", "decay"]
    corrected = load_grid("published", options).resolve([MANIFEST])
    assert len(corrected) == 3 * len(plain)
    assert {cell.rates for cell in corrected} == {"transferred"}
    assert all(abs(cell.tokens / cell.rung.counts.n_params - 20) < 1 for cell in corrected)
