"""A model has the size that it is named by."""

from __future__ import annotations

import pytest

from trainers.ladder import TOLERANCE, LadderError, archs, load_arch, parse_size, rung

SIZES = ["3k", "4k", "9k", "20k", "50k", "120k", "300k", "1M", "5M", "20M", "50M", "100M", "300M"]


@pytest.mark.parametrize(("vocab_size", "sizes"), [(139, SIZES), (512, SIZES[3:])])
@pytest.mark.parametrize("arch", archs())
def test_every_size_is_met_within_three_percent(
    arch: str, vocab_size: int, sizes: list[str]
) -> None:
    for size in sizes:
        found = rung(arch, size, vocab_size).counts.n_params
        assert abs(found / parse_size(size) - 1) <= TOLERANCE


@pytest.mark.parametrize("size", SIZES[:7])
@pytest.mark.parametrize("arch", archs())
def test_counts_are_those_of_the_model(arch: str, size: str) -> None:
    blueprint = rung(arch, size, 139)
    counts, model = blueprint.counts, blueprint.build()
    total = sum(parameter.numel() for parameter in model.parameters())
    assert counts.n_params + counts.embedding == total
    assert counts.embedding == sum(
        parameter.numel()
        for name, parameter in model.named_parameters()
        if name.startswith("embedding") and parameter is not model.head.weight
    )
    assert counts.head == model.head.weight.numel()


@pytest.mark.parametrize("arch", archs())
def test_larger_models_are_never_narrower(arch: str) -> None:
    widths = [rung(arch, size, 139).shape.width for size in SIZES]
    assert widths == sorted(widths)


@pytest.mark.parametrize("arch", ["gpt", "transformer"])
def test_heads_share_every_width_and_rotate_in_pairs(arch: str) -> None:
    shapes = load_arch(arch).candidates(10**9, 139, 1024)
    heads = {shape.d_model: shape.d_model / shape.n_heads for shape in shapes}
    assert len(heads) > 50
    assert all(head % 2 == 0 for head in heads.values())
    assert {head for width, head in heads.items() if width >= 1024} == {64}


@pytest.mark.parametrize(("size", "heads"), [("300k", 6), ("1M", 6), ("5M", 8), ("20M", 7)])
def test_heads_are_as_wide_as_six_of_them_may_be(size: str, heads: int) -> None:
    assert rung("transformer", size, 139).shape.n_heads == heads


def test_sizes_are_read_as_people_write_them() -> None:
    assert [parse_size(size) for size in ("4k", "1.5M", "2b", "300")] == [
        4000,
        1500000,
        2 * 10**9,
        300,
    ]


@pytest.mark.parametrize("size", ["", "big", "0", "-3k", "5X"])
def test_an_unknown_size_is_refused(size: str) -> None:
    with pytest.raises(LadderError, match="unknown size"):
        parse_size(size)


def test_an_unknown_architecture_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(LadderError, match="did you mean 'transformer'"):
        load_arch("transfomer")


def test_a_size_that_no_shape_can_have_is_refused() -> None:
    with pytest.raises(LadderError, match="within 3 %"):
        rung("transformer", "1k", 512)
