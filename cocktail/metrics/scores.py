"""Scores as pure functions of feature vectors: Frechet distance, precision and recall, class accuracy."""

import torch
from torch import Tensor

from cocktail.errors import CocktailError

CHUNK = 2048  # rows of a distance matrix held at a time: 2048 x 10000 float64 are 160 MB


def frechet_distance(features_a: Tensor, features_b: Tensor) -> float:
    """Frechet distance of two Gaussians fitted to features (Heusel et al. 2017, "TTUR", eq. 6; Dowson & Landau 1982).

    |m_a - m_b|^2 + Tr(C_a + C_b - 2 (C_a C_b)^(1/2)), with unbiased covariances.

    features_a: float [N, D]; features_b: float [M, D]. Computed in float64. Returns a number >= 0.
    Raises: CocktailError where there are fewer than two vectors, D differs, or a value is not finite.
    """
    features_a, features_b = _pair(features_a, features_b, least=2)
    return gaussian_distance(features_a.mean(0), covariance(features_a), features_b.mean(0), covariance(features_b))


def gaussian_distance(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> float:
    """Frechet distance of two given Gaussians: mean float64 [D], cov float64 [D, D].

    Tr (C_a C_b)^(1/2) is the sum of the square roots of the eigenvalues of C_a^(1/2) C_b C_a^(1/2): that product is
    symmetric, so its eigenvalues are real, and what is negative is rounding.
    """
    values, vectors = torch.linalg.eigh(cov_a)
    root_a = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    product = root_a @ cov_b @ root_a
    trace_root = torch.linalg.eigvalsh((product + product.T) / 2).clamp_min(0).sqrt().sum()
    distance = (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * trace_root
    return max(distance.item(), 0.0)


def covariance(features: Tensor) -> Tensor:
    """Unbiased covariance of float64 [N, D] -> float64 [D, D]."""
    centred = features - features.mean(0)
    return centred.T @ centred / (len(features) - 1)


def precision_recall(real: Tensor, fake: Tensor, k: int = 5) -> tuple[float, float]:
    """Improved precision and recall (Kynkaanniemi et al. 2019, eq. 1-2).

    Precision: share of fakes inside the union of balls around the reals, each as wide as the distance to its k-th
    nearest real neighbour. Recall: the same with the roles swapped.

    real: float [N, D]; fake: float [M, D]; N, M > k. Returns (precision, recall) in [0, 1].
    Raises: CocktailError where there are too few vectors, D differs, or a value is not finite.
    """
    if k < 1:
        raise CocktailError(f"precision and recall with k = {k}; expected at least one neighbour")
    real, fake = _pair(real, fake, least=k + 1)
    centre = real.mean(0)  # |a|^2 + |b|^2 - 2ab cancels least near the origin
    real, fake = real - centre, fake - centre
    return _covered(fake, real, k), _covered(real, fake, k)


def class_accuracy(logits: Tensor, index: int) -> float:
    """Share of pictures that a classifier gives to class `index`: logits float [N, C], N >= 1."""
    if len(logits) == 0 or not 0 <= index < logits.shape[1]:
        raise CocktailError(f"class {index} of logits of shape {list(logits.shape)}; expected a class in range, N >= 1")
    return (logits.argmax(1) == index).double().mean().item()


def _covered(points: Tensor, centres: Tensor, k: int) -> float:
    """Share of points that lie in the ball of at least one centre."""
    rounding = 1e-12 * centres.square().sum(1).mean()
    radii = torch.cat([_squared(chunk, centres).kthvalue(k + 1, dim=1).values for chunk in centres.split(CHUNK)])
    inside = [(_squared(chunk, centres) <= radii + rounding).any(1) for chunk in points.split(CHUNK)]
    return torch.cat(inside).double().mean().item()


def _squared(a: Tensor, b: Tensor) -> Tensor:
    """Squared distances of float64 [N, D] and [M, D] -> [N, M]."""
    return torch.addmm(a.square().sum(1)[:, None] + b.square().sum(1), a, b.T, alpha=-2).clamp_min_(0)


def _pair(a: Tensor, b: Tensor, least: int) -> tuple[Tensor, Tensor]:
    for features in (a, b):
        if features.ndim != 2 or len(features) < least:
            raise CocktailError(f"features of shape {list(features.shape)}; expected [N, D] with N >= {least}")
        if not torch.isfinite(features).all():
            raise CocktailError("features hold NaN or infinity; the model or the extractor is broken")
    if a.shape[1] != b.shape[1]:
        raise CocktailError(f"features of {a.shape[1]} and of {b.shape[1]} numbers; use one extractor for both sides")
    return a.double(), b.double()
