"""Style mixing: some layers of one code, the others of another (StyleGAN, section 3.1)."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from cocktail.errors import CocktailError

GROUPS = ("coarse", "middle", "fine")
# The paper's names: coarse styles act at 4 and 8 pixels, middle ones at 16 and 32, fine ones from 64 on.
COARSE_BELOW, MIDDLE_BELOW = 16, 64


def layer_groups(resolutions: Sequence[int]) -> dict[str, tuple[int, int]]:
    """The layers of each group, "coarse", "middle" and "fine", as (first, last), inclusive.

    `resolutions`: the pixels at which each code acts first. Where the paper's borders leave a group empty, as in a
    network of 32 pixels, the layers are cut into thirds; a network of one or two codes has as many groups.
    """
    count = len(resolutions)
    first = sum(side < COARSE_BELOW for side in resolutions)
    second = sum(side < MIDDLE_BELOW for side in resolutions)
    if not 0 < first < second < count:
        first, second = max(1, count // 3), max(2, 2 * count // 3)
    ranges = zip(GROUPS, [(0, first - 1), (first, second - 1), (second, count - 1)])
    return {name: (low, min(high, count - 1)) for name, (low, high) in ranges if low < count}


def amounts(resolutions: Sequence[int], first: int, last: int, strengths: Mapping[str, float]) -> list[float]:
    """One amount per layer: the strength of its group on the layers first..last, inclusive, else 0.

    Raises: CocktailError where the range is out of order, outside of the layers, or a strength outside [0, 1].
    """
    check_layers(len(resolutions), first, last)
    if not all(0 <= strength <= 1 for strength in strengths.values()):
        found = ", ".join(f"{name} {strength:g}" for name, strength in strengths.items())
        raise CocktailError(f"The strengths are {found}; each goes from 0 to 1.")
    found = [0.0] * len(resolutions)
    for name, (low, high) in layer_groups(resolutions).items():
        for layer in range(max(low, first), min(high, last) + 1):
            found[layer] = float(strengths[name])
    return found


def check_layers(count: int, first: int, last: int) -> None:
    """Raises: CocktailError where first..last is no range of a model of `count` layers."""
    if not 0 <= first <= last < count:
        raise CocktailError(
            f"The layers go from {first} to {last}; this model has layers 0 to {count - 1}, and the first must not be "
            "after the last."
        )


def mix(content: Tensor, style: Tensor, amounts: Sequence[float]) -> Tensor:
    """w+ float32 [num_ws, w_dim] that goes, in each layer, from `content` (amount 0) to `style` (amount 1).

    Both ends are exact. Raises: CocktailError where there is not one amount in [0, 1] for each layer.
    """
    if len(amounts) != len(content) or not all(0 <= amount <= 1 for amount in amounts):
        raise CocktailError(
            f"There are {len(amounts)} strengths, {min(amounts, default=0):g} to {max(amounts, default=0):g}; this "
            f"model has {len(content)} layers, and each needs a strength from 0 to 1."
        )
    return torch.lerp(content, style, torch.tensor(amounts, dtype=content.dtype, device=content.device)[:, None])
