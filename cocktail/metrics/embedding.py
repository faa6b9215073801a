"""Feature vectors in few dimensions, so that a few hundred of them tell a mean and a covariance."""

from dataclasses import dataclass

import torch
from torch import Tensor

from cocktail.errors import CocktailError
from cocktail.metrics.scores import covariance

MAX_DIM = 32
PER_DIM = 4  # vectors that a dimension needs for its covariances to mean something


@dataclass(frozen=True)
class Embedding:
    """Principal components of reference features, in units of the reference's own deviation, and the distance of a
    vector from the subspace that they span, so that nothing that leaves it goes unseen.

    mean float64 [D], basis float64 [D, k]; scale > 0, the root of the reference's total variance.
    """

    mean: Tensor
    basis: Tensor
    scale: float

    @classmethod
    def of(cls, reference: Tensor, max_dim: int = MAX_DIM) -> "Embedding":
        """Fits it to features float [n, D]: at most `max_dim` and n / 4 dimensions in all.

        Raises: CocktailError where there are fewer than 8 vectors, or a value is not finite.
        """
        if reference.ndim != 2 or len(reference) < 2 * PER_DIM:
            raise CocktailError(
                f"features of shape {list(reference.shape)}; an embedding needs [n, D] with n >= {2 * PER_DIM}."
            )
        if not torch.isfinite(reference).all():
            raise CocktailError("features hold NaN or infinity; the model or the extractor is broken")
        spread = covariance(reference.double())
        components = min(max_dim, len(reference) // PER_DIM) - 1
        values, vectors = torch.linalg.eigh(spread)
        return cls(reference.double().mean(0), vectors[:, -components:], max(spread.trace().item() ** 0.5, 1e-8))

    def __call__(self, features: Tensor) -> Tensor:
        """float [N, D] -> float64 [N, k + 1]."""
        centred = (features.double() - self.mean) / self.scale
        inside = centred @ self.basis
        outside = (centred.square().sum(1) - inside.square().sum(1)).clamp_min(0).sqrt()
        return torch.cat([inside, outside[:, None]], dim=1)


def total_deviation(features: Tensor) -> float:
    """Root of the trace of the covariance of features float [N, D], N > 1: how far they spread in all."""
    return features.double().var(dim=0).sum().sqrt().item()
