"""Grids are read as a person would write them, and refused with the line and the nearest word."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.packed import Manifest
from sweeps.grid import SHIPPED, GridError, load_grid

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
    cells = load_grid(write(tmp_path, GOOD)).resolve(MANIFEST)
    assert len(cells) == 8
    assert len({cell.key for cell in cells}) == 8
    assert [cell.flops for cell in cells] == sorted((cell.flops for cell in cells), reverse=True)
    assert all(cell.tokens == 10_240 for cell in cells)


@pytest.mark.parametrize("name", sorted(path.stem for path in SHIPPED.glob("*.yaml")))
def test_shipped_grids_resolve(name: str) -> None:
    assert load_grid(name).resolve(MANIFEST)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("context:", "contxt:", r"mine.yaml:10: unknown key 'contxt' .* did you mean 'context'"),
        ("training:", "trainig:", r"mine.yaml:8: unknown key 'trainig' .* 'training'"),
        ("transformer", "transfomer", r"mine.yaml:4: .*'transfomer'; did you mean 'transformer'"),
        ("9k", "9q", r"mine.yaml:5: unknown size '9q'"),
        ("512", "500", r"batch_tokens 500 is not a multiple of context 128"),
        ("10k", "many", r"mine.yaml:7: 'tokens' takes a number, found 'many'"),
        ("[0, 1]", "0.5", r"mine.yaml:6: 'seed' takes a whole number"),
        ("  context: 128\n", "", r"'training' lacks 'context'"),
        ("data:\n  source: folk\n", "", r"section 'data' is missing"),
        ("context: 128", "context: [1", r"is no YAML"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(GridError, match=message) as refused:
        load_grid(write(tmp_path, GOOD.replace(old, new)))
    assert "\n" not in str(refused.value)


def test_an_unknown_grid_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(GridError, match="did you mean 'quickstart'"):
        load_grid("quikstart")


def test_a_share_of_a_gpu_goes_with_one_worker(tmp_path: Path) -> None:
    with pytest.raises(GridError, match="one worker only"):
        load_grid(write(tmp_path, GOOD + "placement: {workers: 2, gpus: 0.5}\n"))
