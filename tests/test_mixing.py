"""Style mixing: whole pictures at both ends, the groups of layers, and strengths that do not fit."""

import math

import pytest
import torch

from cocktail.errors import CocktailError
from editing.mixing import GROUPS, amounts, check_layers, layer_groups, mix

SIX = (4, 8, 8, 16, 16, 16)  # codes of a network of 16 pixels: two of each group
ALL = dict.fromkeys(GROUPS, 1.0)


def pair(num_ws: int = 6) -> torch.Tensor:
    return torch.randn(2, num_ws, 8, generator=torch.Generator().manual_seed(0)).unbind()


def test_all_layers_are_the_other_picture_and_none_the_first_bit_by_bit():
    content, style = pair()
    assert torch.equal(mix(content, style, amounts(SIX, 0, 5, ALL)), style)
    assert torch.equal(mix(content, style, amounts(SIX, 0, 5, dict.fromkeys(GROUPS, 0.0))), content)


def test_only_chosen_layers_change_and_by_their_strength():
    content, style = pair()
    mixed = mix(content, style, [0, 0, 1, 1, 0.25, 0])
    assert torch.equal(mixed[[0, 1, 5]], content[[0, 1, 5]]) and torch.equal(mixed[2:4], style[2:4])
    assert torch.allclose(mixed[4], 0.75 * content[4] + 0.25 * style[4], atol=1e-6)


@pytest.mark.parametrize(
    "span, by_group, found",
    [((0, 5), (1, 1, 1), [1] * 6), ((0, 5), (0.2, 0.5, 0.9), [0.2, 0.2, 0.5, 0.5, 0.9, 0.9]),
     ((1, 4), (0.2, 0.5, 0.9), [0, 0.2, 0.5, 0.5, 0.9, 0]), ((3, 3), (1, 1, 1), [0, 0, 0, 1, 0, 0]),
     ((2, 5), (1, 0, 1), [0, 0, 0, 0, 1, 1])],
)  # fmt: skip
def test_a_layer_in_the_range_has_the_strength_of_its_group(span, by_group, found):
    assert amounts(SIX, *span, dict(zip(GROUPS, by_group))) == found
    assert amounts((4,), 0, 0, ALL) == [1]


@pytest.mark.parametrize("strength", [1.5, -0.1, math.nan])
def test_a_group_s_strength_beyond_0_to_1_is_refused_by_its_name(strength):
    with pytest.raises(CocktailError, match=f"middle {strength:g}, fine 1; each goes from 0 to 1"):
        amounts(SIX, 0, 5, ALL | {"middle": strength})


@pytest.mark.parametrize(
    "resolution, groups",
    [(1024, {"coarse": (0, 2), "middle": (3, 6), "fine": (7, 17)}),
     (64, {"coarse": (0, 2), "middle": (3, 6), "fine": (7, 9)}),
     (32, {"coarse": (0, 1), "middle": (2, 4), "fine": (5, 7)}),
     (16, {"coarse": (0, 1), "middle": (2, 3), "fine": (4, 5)}),
     (8, {"coarse": (0, 0), "middle": (1, 1), "fine": (2, 3)})],
)  # fmt: skip
def test_layers_of_stylegan2_are_grouped_as_in_the_paper_or_in_thirds(tiny, resolution, groups):
    gan = tiny(resolution=resolution, discriminator=False, channels=(1,) * (resolution.bit_length() - 2))
    assert layer_groups(gan.generator.layer_resolutions) == groups
    assert groups["fine"][1] == gan.num_ws - 1


def test_a_network_of_one_code_has_one_group(tiny):
    gan = tiny(architecture="custom", discriminator=False)
    assert layer_groups(gan.generator.layer_resolutions) == {"coarse": (0, 0)}


def test_groups_are_whole_and_hold_every_layer_once_whatever_the_network():
    for count in range(1, 19):
        for resolutions in ([4] * count, [4 * 2 ** (i // 2) for i in range(count)], [256] * count):
            ranges = list(layer_groups(resolutions).values())
            assert [layer for first, last in ranges for layer in range(first, last + 1)] == list(range(count))


@pytest.mark.parametrize("first, last", [(3, 2), (-1, 2), (0, 6), (6, 6)])
def test_a_range_out_of_order_or_outside_is_refused_with_what_was_found(first, last):
    for check in (lambda: check_layers(6, first, last), lambda: amounts(SIX, first, last, ALL)):
        with pytest.raises(CocktailError, match=f"from {first} to {last}; this model has layers 0 to 5"):
            check()


@pytest.mark.parametrize(
    "found, words",
    [([0.5] * 5, "5 strengths, 0.5 to 0.5; this model has 6 layers"), ([], "0 strengths"),
     ([0, 0, 0, 0, 0, 1.5], "6 strengths, 0 to 1.5"), ([-0.5, 0, 0, 0, 0, 1], "6 strengths, -0.5 to 1"),
     ([math.nan] * 6, "nan")],
)  # fmt: skip
def test_strengths_outside_0_to_1_or_of_another_number_are_refused_with_what_was_found(found, words):
    with pytest.raises(CocktailError, match=words):
        mix(*pair(), found)
