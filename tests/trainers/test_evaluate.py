"""The loss over a split: every token once, weighted alike."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from data.origin import ORIGINS
from data.store.flat import Split, open_split
from data.tokens.kinds import KINDS
from data.tokens.make import make_tokenizer
from trainers.divisions import QUARTERS, divisions, quarters
from trainers.evaluate import Parts, evaluate, summarise
from trainers.ladder import archs, rung
from trainers.losses import Losses


def split(
    tokens: list[list[int]], notes: list[int] | None = None, groups: list[int] | None = None
) -> Split:
    """A split to count by hand: the tokens of each piece, its notes (1), and the number of its work
    (each piece is a work of its own). A second a piece."""
    return Split(
        tokens=np.concatenate(tokens).astype(np.uint16),
        starts=np.cumsum([0, *map(len, tokens)]),
        num_notes=np.array(notes or [1] * len(tokens)),
        seconds=np.ones(len(tokens)),
        groups=np.array(groups or range(len(tokens))),
    )


def random_split(lengths: list[int], vocab: int = 30) -> Split:
    """Pieces of so many tokens; half as many notes; two pieces a work."""
    generator = np.random.default_rng(0)
    tokens = generator.integers(2, vocab, size=sum(lengths)).astype(np.uint16)
    starts = np.cumsum([0, *lengths])
    counts = np.array(lengths)
    return Split(tokens, starts, counts // 2, counts / 4, np.arange(len(lengths)) // 2)


class Constant(torch.nn.Module):
    """A model that gives every next token the same probabilities (vocab,)."""

    def __init__(self, probabilities: list[float]) -> None:
        super().__init__()
        self.logits = torch.tensor(probabilities).log()

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """tokens: (windows, time) int64 -> logits (windows, time, vocab)."""
        return self.logits.expand(*tokens.shape, -1)


def model(arch: str) -> torch.nn.Module:
    torch.manual_seed(0)
    built = rung(arch, "20k", 30).build()
    torch.nn.init.normal_(built.head.weight)
    return built


def test_the_loss_of_a_split_that_can_be_counted_by_hand() -> None:
    """The first token of a piece is not scored; those left are 3, 3 and 2: an eighth, twice, and a
    half."""
    data = split(tokens=[[2, 3, 3], [3, 2]], notes=[2, 5])
    half_of_2 = Constant([1 / 8, 1 / 4, 1 / 2, 1 / 8])
    found, losses = evaluate(half_of_2, data, context=8, windows=2, device=torch.device("cpu"))
    assert losses.nats == pytest.approx([2 * math.log(8), math.log(2)])
    assert losses.tokens.tolist() == [2, 1]
    assert found["loss"] == pytest.approx(7 * math.log(2) / 3)
    assert found["loss_per_note"] == pytest.approx(math.log(2))
    assert found["loss_per_second"] == pytest.approx(7 * math.log(2) / 2)
    assert (found["pieces"], found["works"]) == (2, 2)


@pytest.mark.parametrize("arch", archs())
def test_pieces_within_the_context_are_scored_whole(arch: str) -> None:
    net, data = model(arch), random_split([5, 17, 30, 2, 30])
    found, _ = evaluate(net, data, context=64, windows=2, device=torch.device("cpu"))
    nats, count = 0.0, 0
    for start, stop in zip(data.starts, data.starts[1:]):
        tokens = torch.from_numpy(data.tokens[start:stop].astype(np.int64))[None]
        logits = net(tokens[:, :-1])
        nats += torch.nn.functional.cross_entropy(logits[0], tokens[0, 1:], reduction="sum").item()
        count += stop - start - 1
    assert found["loss"] == pytest.approx(nats / count, rel=1e-5)


@pytest.mark.parametrize("length", [2, 32, 33, 34, 48, 49, 50, 200])
def test_every_token_is_scored_once_however_long_the_piece(length: int) -> None:
    """An untrained model gives each token log(vocab): the sum tells how many were scored."""
    net, data = rung("lstm", "20k", 30).build(), random_split([length])
    found, _ = evaluate(net, data, context=32, windows=4, device=torch.device("cpu"))
    scored = found["loss_per_note"] * (length // 2) / math.log(30)
    assert scored == pytest.approx(length - 1, rel=1e-5)


def test_padding_changes_nothing() -> None:
    net, data = model("transformer"), random_split([60, 3, 9, 44])
    alone, _ = evaluate(net, data, 64, windows=1, device=torch.device("cpu"))
    together, _ = evaluate(net, data, 64, windows=4, device=torch.device("cpu"))
    assert together == pytest.approx(alone, rel=1e-5)


def test_the_loss_by_position_adds_up_to_the_whole() -> None:
    net, data = model("lstm"), random_split([2, 9, 17, 33])
    found, _ = evaluate(net, data, context=32, windows=4, device=torch.device("cpu"))
    # How many of the 1, 8, 16 and 32 scored tokens see 1, 2 to 3, 4 to 7, ... tokens before them.
    counts = {1: 4, 2: 6, 4: 12, 8: 1 + 8 + 8, 16: 1 + 16, 32: 1}
    assert sum(counts.values()) == 57
    total = sum(found[f"loss_at_{seen}"] * count for seen, count in counts.items())
    assert total / 57 == pytest.approx(found["loss"], rel=1e-5)


def test_the_losses_by_piece_add_up_to_the_whole() -> None:
    data = random_split([5, 17, 60, 2, 30])
    found, losses = evaluate(model("lstm"), data, 32, windows=2, device=torch.device("cpu"))
    assert losses.tokens.tolist() == [4, 16, 59, 1, 29]
    assert losses.groups.tolist() == [0, 0, 1, 1, 2]
    assert losses.nats.sum() / losses.tokens.sum() == pytest.approx(found["loss"], rel=1e-12)
    assert losses.nats.sum() / losses.notes.sum() == pytest.approx(found["loss_per_note"])
    assert losses.nats.sum() / losses.seconds.sum() == pytest.approx(found["loss_per_second"])
    assert (found["pieces"], found["works"]) == (5, 3)


def test_the_loss_of_each_part_can_be_counted_by_hand() -> None:
    """Of the scored tokens 3, 3 and 2, an eighth twice and a half, the last two are of one part;
    the first of each piece is of none."""
    data = split(tokens=[[2, 3, 3], [3, 2]])
    half_of_2 = Constant([1 / 8, 1 / 4, 1 / 2, 1 / 8])
    parts = Parts(("early", "late", "never"), np.array([1, 0, 1, 0, 1], np.uint8))
    found, _ = evaluate(half_of_2, data, 8, 2, torch.device("cpu"), [parts])
    assert found["loss_early"] == pytest.approx(math.log(8))
    assert found["loss_late"] == pytest.approx((math.log(8) + math.log(2)) / 2)
    assert (found["loss_early_share"], found["loss_late_share"]) == pytest.approx((1 / 3, 2 / 3))
    # Two works with a token each in it, one nat above the mean and one below.
    assert found["loss_late_se"] == pytest.approx(math.log(2))
    assert "loss_never" not in found


def test_losses_of_parts_add_up_to_the_whole() -> None:
    data = random_split([5, 17, 60, 2, 30])
    parts = Parts(("a", "b", "c"), np.random.default_rng(1).integers(0, 3, 114).astype(np.uint8))
    found, _ = evaluate(model("lstm"), data, 32, 2, torch.device("cpu"), [parts])
    total = sum(found[f"loss_{name}"] * found[f"loss_{name}_share"] for name in parts.names)
    assert total == pytest.approx(found["loss"], rel=1e-9)


def test_the_error_of_a_part_is_that_of_the_whole_if_it_is_all() -> None:
    data = random_split([5, 17, 60, 2, 30])
    parts = Parts(("all",), np.zeros(114, np.uint8))
    found, _ = evaluate(model("lstm"), data, 32, 2, torch.device("cpu"), [parts])
    assert found["loss_all_se"] == pytest.approx(found["loss_se"], rel=1e-9)


def test_a_piece_has_four_quarters() -> None:
    assert quarters(split(tokens=[[2] * 8, [2] * 3])).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 0, 1, 2]


def test_a_data_set_without_a_tokenizer_is_divided_by_origin_and_place(packed: Path) -> None:
    assert [parts.names for parts in divisions(packed, "val")] == [ORIGINS, QUARTERS]


def test_a_data_set_with_its_tokenizer_is_divided_by_kind_too(packed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(packed, folder)
    (folder / "tokenizer.json").write_text(make_tokenizer("abc", 24).to_json())
    names, kinds = divisions(folder, "val")[-1].names, divisions(folder, "val")[-1].of
    assert names == KINDS
    assert len(kinds) == len(open_split(folder, "val").tokens)
    (folder / "tokenizer.json").write_text("{}")
    assert len(divisions(folder, "val")) == 2


@pytest.mark.parametrize("versions", [1, 4])
def test_the_standard_error_is_that_of_independent_works(versions: int) -> None:
    """Against the spread of the loss over many drawn splits."""
    generator = np.random.default_rng(0)
    works = 60

    def draw() -> dict[str, float]:
        groups = np.repeat(np.arange(works), versions)
        tokens = generator.integers(50, 400, size=len(groups))
        level = generator.normal(1.5, 0.3, size=works)[groups]
        return summarise(Losses(level * tokens, tokens, tokens, tokens.astype(float), groups))

    draws = [draw() for _ in range(600)]
    spread = np.std([each["loss"] for each in draws])
    assert np.mean([each["loss_se"] for each in draws]) == pytest.approx(spread, rel=0.1)
