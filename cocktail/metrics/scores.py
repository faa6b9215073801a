"""Scores as pure functions of feature vectors: Frechet distance, precision and recall, density, coverage, accuracy."""

from dataclasses import dataclass

import torch
from torch import Tensor

from cocktail.errors import CocktailError
from cocktail.metrics.distances import checked, checked_pair, parts, squared

NEIGHBOURS = 5  # k of precision, recall, density and coverage, unless told


def frechet_distance(features_a: Tensor, features_b: Tensor) -> float:
    """Frechet distance of two Gaussians fitted to features (Heusel et al. 2017, "TTUR", eq. 6; Dowson & Landau 1982).

    |m_a - m_b|^2 + Tr(C_a + C_b - 2 (C_a C_b)^(1/2)), with unbiased covariances.

    features_a: float [N, D]; features_b: float [M, D]. Computed in float64. Returns a number >= 0.
    Raises: CocktailError where there are fewer than two vectors, D differs, or a value is not finite.
    """
    features_a, features_b = checked_pair(features_a, features_b, least=2)
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


class FeatureStatistics:
    """Mean and covariance of features that come in batches and are not kept, and the Frechet distance of two of them.

    Batches are joined by the update of Chan, Golub and LeVeque (1979), which does not cancel where the mean is large.
    """

    def __init__(self) -> None:
        self.n = 0
        self._mean: Tensor | None = None  # float64 [D]
        self._scatter: Tensor | None = None  # float64 [D, D], the sum of outer products about the mean

    def add(self, features: Tensor) -> "FeatureStatistics":
        """Takes a batch in, float [N, D], and gives itself back. Raises: CocktailError where it is empty, of another
        D, or a value is not finite."""
        features = checked(features, least=1)
        mean = features.mean(0)
        centred = features - mean
        self._join(len(features), mean, centred.T @ centred)
        return self

    def merge(self, other: "FeatureStatistics") -> "FeatureStatistics":
        """Takes in what another has seen, as of a second process, and gives itself back."""
        if other.n:
            self._join(other.n, other._mean, other._scatter)
        return self

    @property
    def mean(self) -> Tensor:
        """float64 [D]. Raises: CocktailError before the first vector."""
        if self._mean is None:
            raise CocktailError("no features were added yet; add a batch first")
        return self._mean

    @property
    def covariance(self) -> Tensor:
        """Unbiased, float64 [D, D]. Raises: CocktailError before the second vector."""
        if self.n < 2:
            raise CocktailError(f"{self.n} feature vectors were added; a covariance needs two or more")
        return self._scatter / (self.n - 1)

    def frechet_distance(self, other: "FeatureStatistics") -> float:
        """As the function of that name on all the vectors added. Raises: CocktailError where either has fewer than two
        vectors, or D differs."""
        if self.covariance.shape != other.covariance.shape:
            raise CocktailError(f"features of {len(self.mean)} and of {len(other.mean)} numbers; use one extractor")
        found = (side.to(self.mean.device) for side in (other.mean, other.covariance))
        return gaussian_distance(self.mean, self.covariance, *found)

    def _join(self, n: int, mean: Tensor, scatter: Tensor) -> None:
        if self._mean is None:
            self.n, self._mean, self._scatter = n, mean, scatter
            return
        if mean.shape != self._mean.shape:
            raise CocktailError(f"features of {len(self._mean)} and of {len(mean)} numbers; use one extractor")
        mean, scatter = mean.to(self._mean.device), scatter.to(self._mean.device)
        shift, total = mean - self._mean, self.n + n
        # New tensors: those of one that was merged into another are shared with it.
        self._scatter = self._scatter + scatter + torch.outer(shift, shift) * (self.n * n / total)
        self._mean, self.n = self._mean + shift * (n / total), total


@dataclass(frozen=True)
class Neighbourhoods:
    """Shares in [0, 1], but density, which may be larger: 1 is what is expected where both sides are alike."""

    precision: float
    recall: float
    density: float
    coverage: float


def neighbourhoods(real: Tensor, fake: Tensor, k: int = NEIGHBOURS) -> Neighbourhoods:
    """Precision and recall (Kynkaanniemi et al. 2019, eq. 1-2), density and coverage (Naeem et al. 2020, eq. 3-4).

    Around every vector lies a ball as wide as the distance to its k-th nearest neighbour of its own side, edge
    included. Precision: share of fakes in the ball of any real. Recall: share of reals in the ball of any fake.
    Density: how many balls of reals a fake lies in, on average, over k. Coverage: share of reals whose ball holds a
    fake. Distances are computed some rows at a time, those between the two sides once.

    real: float [N, D]; fake: float [M, D]; N, M > k.
    Raises: CocktailError where there are too few vectors, D differs, or a value is not finite.
    """
    if k < 1:
        raise CocktailError(f"precision and recall with k = {k}; expected at least one neighbour")
    real, fake = checked_pair(real, fake, least=k + 1)
    centre = real.mean(0)  # |a|^2 + |b|^2 - 2ab cancels least near the origin
    real, fake = real - centre, fake - centre
    real_radii, fake_radii = _radii(real, k), _radii(fake, k)
    precise, balls = 0, 0
    covered, recalled = (torch.zeros(len(real), dtype=torch.bool, device=real.device) for _ in range(2))
    for where, some in parts(fake, len(real)):
        gaps = squared(some, real)
        inside = gaps <= real_radii
        around = inside.sum(1)
        precise += (around > 0).sum().item()
        balls += around.sum().item()
        covered |= inside.any(0)
        recalled |= (gaps <= fake_radii[where, None]).any(0)
    recall, coverage = (mask.double().mean().item() for mask in (recalled, covered))
    return Neighbourhoods(precise / len(fake), recall, balls / (k * len(fake)), coverage)


def precision_recall(real: Tensor, fake: Tensor, k: int = NEIGHBOURS) -> tuple[float, float]:
    """Improved precision and recall in [0, 1]; see `neighbourhoods`."""
    found = neighbourhoods(real, fake, k)
    return found.precision, found.recall


def density_coverage(real: Tensor, fake: Tensor, k: int = NEIGHBOURS) -> tuple[float, float]:
    """Density >= 0 and coverage in [0, 1]; see `neighbourhoods`."""
    found = neighbourhoods(real, fake, k)
    return found.density, found.coverage


def class_accuracy(logits: Tensor, index: int) -> float:
    """Share of pictures that a classifier gives to class `index`: logits float [N, C], N >= 1."""
    if len(logits) == 0 or not 0 <= index < logits.shape[1]:
        raise CocktailError(f"class {index} of logits of shape {list(logits.shape)}; expected a class in range, N >= 1")
    return (logits.argmax(1) == index).double().mean().item()


def _radii(points: Tensor, k: int) -> Tensor:
    """Squared distance of each point to its k-th neighbour, with room for rounding: float64 [N]."""
    # The nearest is the point itself.
    found = [squared(some, points).topk(k + 1, largest=False).values for _, some in parts(points, len(points))]
    return torch.cat(found)[:, k] + 1e-12 * points.square().sum(1).mean()
