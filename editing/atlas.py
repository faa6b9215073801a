"""A map of w: its principal axes, a cloud of samples for each class, and where a code lies on it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cocktail.errors import CocktailError
from cocktail.gan import Gan, latents

AXES = 3


@dataclass(frozen=True, eq=False)
class Atlas:
    """labels, seeds: one for each point; points float32 [N, 3]; mean [w_dim], axes [3, w_dim] orthonormal."""

    labels: tuple[str | None, ...]
    seeds: tuple[int, ...]
    points: Tensor
    mean: Tensor
    axes: Tensor
    explained: tuple[float, ...]  # share of the variance of the samples that each axis shows

    def place(self, ws: Tensor) -> Tensor:
        """Where codes lie: w+ float32 [..., num_ws, w_dim], by the mean of their layers, as float32 [..., 3]."""
        return (ws.mean(dim=-2) - self.mean) @ self.axes.t()

    @property
    def caption(self) -> str:
        two, three = sum(self.explained[:2]), sum(self.explained)
        return f"The map shows {two:.0%} of the variance of w in two dimensions, {three:.0%} in three."


@torch.inference_mode()
def survey(gan: Gan, classes: Sequence[str | None], count: int = 200) -> Atlas:
    """Samples `count` seeds of each class and finds the principal axes of w (Pearson, 1901).

    All classes weigh the same. `classes` is (None,) for a model without. An axis' sign is such that its largest
    component is positive, so that a map looks the same each time.

    Raises: CocktailError on fewer samples than axes.
    """
    if count * len(classes) <= AXES:
        raise CocktailError(f"{count} samples of {len(classes)} classes are too few for a map; ask for more.")
    z = latents(range(count), gan.z_dim)
    codes = torch.cat([gan.map(z, label)[:, 0] for label in classes]).cpu()
    mean = codes.mean(dim=0)
    _, values, rows = torch.linalg.svd((codes - mean).double(), full_matrices=False)
    rows = rows[:AXES]
    rows = rows * rows.gather(1, rows.abs().argmax(dim=1, keepdim=True)).sign()
    axes, share = rows.float(), values.square() / values.square().sum()
    return Atlas(
        labels=tuple(label for label in classes for _ in range(count)),
        seeds=tuple(range(count)) * len(classes),
        points=(codes - mean) @ axes.t(),
        mean=mean,
        axes=axes,
        explained=tuple(share[:AXES].tolist()),
    )
