"""How different the samples of a class are from each other, and how far a model's pictures move between snapshots."""

import itertools
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.metrics import lpips
from cocktail.metrics.distances import checked, parts, squared
from cocktail.metrics.perceptual import PerceptualDistance

AT_ONCE = 16  # pictures that are compared at a time


class PictureDistance(Protocol):
    """Distance of pictures float32 [N, 3, R, R] in [-1, 1], pair by pair: float32 [N]; `name` says which it is."""

    name: str

    def __call__(self, first: Tensor, second: Tensor) -> Tensor: ...


def picture_distance(gan: Gan) -> PictureDistance:
    """LPIPS where its package and weights are at hand, else the distance in the features of the model's own
    discriminator, or of pixels; its `name` says which. Figures of different names do not compare."""
    return lpips.Lpips() if lpips.missing() is None else PerceptualDistance(gan)


def feature_diversity(features: Tensor) -> float:
    """Feature distance: the mean Euclidean distance of two different samples of one class, float [N, D], N >= 2.

    Raises: CocktailError where there are fewer than two, or a value is not finite.
    """
    features = checked(features, least=2)
    features = features - features.mean(0)  # |a|^2 + |b|^2 - 2ab cancels least near the origin
    total = 0.0
    for where, some in parts(features, len(features)):
        gaps = squared(some, features)
        rows = torch.arange(len(features), device=gaps.device)[where]
        gaps[rows - where.start, rows] = 0  # a sample and itself: 0 but for rounding, whose root is not small
        total += gaps.sqrt_().sum().item()
    return total / (len(features) * (len(features) - 1))


def picture_diversity(distance: PictureDistance, img: Tensor) -> float:
    """The mean distance of the 1st and 2nd picture, the 3rd and 4th, and so on, of float32 [N, 3, R, R] in [-1, 1].

    With LPIPS the diversity that papers report; each picture counts once, so the pairs are independent.
    Raises: CocktailError where there are fewer than two pictures.
    """
    if len(img) < 2:
        raise CocktailError(f"{len(img)} pictures; a diversity needs two or more")
    even = len(img) // 2 * 2
    return _mean_distance(distance, img[0:even:2], img[1:even:2])


def snapshot_distances(snapshots: Sequence[Tensor], distance: PictureDistance) -> list[float]:
    """How far the pictures of the same latents moved from each snapshot of a model to the next.

    snapshots: float32 [N, 3, R, R] in [-1, 1] each, row i of all drawn from one latent.
    distance: one for all, such as `picture_distance` of the last model.
    Raises: CocktailError where there are fewer than two snapshots, or the distance refuses the pictures.
    """
    if len(snapshots) < 2 or not len(snapshots[0]):
        raise CocktailError(f"{len(snapshots)} snapshots; expected two or more, of a picture or more")
    return [_mean_distance(distance, before, after) for before, after in itertools.pairwise(snapshots)]


@torch.no_grad()
def _mean_distance(distance: PictureDistance, first: Tensor, second: Tensor) -> float:
    pairs = zip(first.split(AT_ONCE), second.split(AT_ONCE), strict=True)
    return torch.cat([distance(a, b).double().cpu() for a, b in pairs]).mean().item()
