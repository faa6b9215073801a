"""Distances between rows of feature matrices, some rows at a time, and the checks that every score begins with."""

from collections.abc import Iterator

import torch
from torch import Tensor

from cocktail.errors import CocktailError

ENTRIES = 2**20  # of a distance matrix that are held at a time: 8 MB of float64


def checked(features: Tensor, least: int) -> Tensor:
    """Features float [N, D] as float64 where they are (on the CPU if their device knows no float64).

    Raises: CocktailError where there are fewer than `least` vectors, or a value is not finite.
    """
    if features.ndim != 2 or len(features) < least:
        raise CocktailError(f"features of shape {list(features.shape)}; expected [N, D] with N >= {least}")
    if not torch.isfinite(features).all():
        raise CocktailError("features hold NaN or infinity; the model or the extractor is broken")
    return (features.cpu() if features.device.type == "mps" else features).double()


def checked_pair(a: Tensor, b: Tensor, least: int) -> tuple[Tensor, Tensor]:
    """Two sets that compare, float64 on the device of the first. Raises: CocktailError as `checked`; or D differs."""
    a, b = checked(a, least), checked(b, least)
    if a.shape[1] != b.shape[1]:
        raise CocktailError(f"features of {a.shape[1]} and of {b.shape[1]} numbers; use one extractor for both sides")
    return a, b.to(a.device)


def parts(rows: Tensor, columns: int) -> Iterator[tuple[slice, Tensor]]:
    """`rows` [N, D] in pieces, so that a piece's distances to `columns` others are at most ENTRIES; where, and what."""
    step = max(1, ENTRIES // max(1, columns))
    for start in range(0, len(rows), step):
        where = slice(start, start + step)
        yield where, rows[where]


def squared(a: Tensor, b: Tensor) -> Tensor:
    """Squared distances of float64 [N, D] and [M, D] -> [N, M]."""
    return torch.addmm(a.square().sum(1)[:, None] + b.square().sum(1), a, b.T, alpha=-2).clamp_min_(0)
