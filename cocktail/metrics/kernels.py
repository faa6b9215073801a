"""Kernel distances of two sets of features: KID and the Gaussian MMD, both by the unbiased estimator of its square."""

from collections.abc import Callable

import torch
from torch import Tensor

from cocktail.errors import CocktailError
from cocktail.metrics.distances import checked, checked_pair, parts, squared

SUBSETS, SUBSET_SIZE = 100, 1000  # of KID, as its authors have them
MEDIAN_OF = 1000  # vectors at most, of which the median distance is taken

Kernel = Callable[[Tensor, Tensor], Tensor]  # float64 [N, D], [M, D] -> [N, M]


def kernel_distance(
    a: Tensor, b: Tensor, subsets: int = SUBSETS, size: int = SUBSET_SIZE, rng: torch.Generator | None = None
) -> tuple[float, float]:
    """Kernel distance, KID (Binkowski et al. 2018, section 4): the mean over random subsets of both sides of the
    unbiased MMD^2 with the kernel (x.y / D + 1)^3, and the standard deviation over the subsets (n in the divisor).

    It is unbiased at any size, so it is small and may be negative where both sides are alike. The deviation tells how
    subsets of `size` scatter; of the mean it is no error bar, as the subsets overlap (`intervals` gives one).

    a: float [N, D]; b: float [M, D]; size: vectors of a subset, all there are where there are fewer; rng: on the CPU,
    seed 0 unless given. Where a subset is all, one is computed and the deviation is 0.
    Raises: CocktailError where size or subsets are too small, D differs, or a value is not finite.
    """
    if size < 2 or subsets < 1:
        raise CocktailError(f"{subsets} subsets of {size}; expected one or more, of two vectors or more")
    a, b = checked_pair(a, b, least=2)
    if size >= max(len(a), len(b)):
        return unbiased_mmd(a, b, cubic), 0.0
    rng = rng if rng is not None else torch.Generator().manual_seed(0)
    found = []
    for _ in range(subsets):
        picks = [torch.randperm(len(side), generator=rng)[:size].to(side.device) for side in (a, b)]
        found.append(unbiased_mmd(a[picks[0]], b[picks[1]], cubic))
    values = torch.tensor(found, dtype=torch.float64)
    return values.mean().item(), values.std(correction=0).item()


def kernel_mmd(a: Tensor, b: Tensor, bandwidth: float | None = None) -> float:
    """Squared maximum mean discrepancy (Gretton et al. 2012, eq. 3: the unbiased estimator, which may be negative) with
    the Gaussian kernel exp(-|x - y|^2 / (2 s^2)).

    a: float [N, D]; b: float [M, D]; bandwidth: s > 0, by default the median distance of both sides together. Figures
    of different bandwidths do not compare: where several models are held against one reference, give
    `median_distance(reference)`.
    Raises: CocktailError where there are fewer than two vectors, D differs, or the bandwidth is not positive.
    """
    a, b = checked_pair(a, b, least=2)
    if bandwidth is None:
        bandwidth = median_distance(torch.cat([_spread(side, MEDIAN_OF // 2) for side in (a, b)]))
    if not bandwidth > 0:
        raise CocktailError(f"the bandwidth is {bandwidth}; expected a positive number, or vectors that differ")
    centre = a.mean(0)  # squared distances cancel least near the origin
    return unbiased_mmd(a - centre, b - centre, lambda x, y: squared(x, y).mul_(-0.5 / bandwidth**2).exp_())


def median_distance(features: Tensor) -> float:
    """Median distance of two different vectors of float [N, D], of at most 1000 of them, evenly spread over the rows.

    Raises: CocktailError where there are fewer than two, or a value is not finite.
    """
    return torch.pdist(_spread(checked(features, least=2), MEDIAN_OF)).median().item()


def unbiased_mmd(a: Tensor, b: Tensor, kernel: Kernel) -> float:
    """Unbiased MMD^2 of float64 [N, D] and [M, D], N, M >= 2: pairs of a vector with itself are left out, all between
    the sides are taken."""
    own = [(_sum(x, x, kernel) - _diagonal(x, kernel)) / (len(x) * (len(x) - 1)) for x in (a, b)]
    return own[0] + own[1] - 2 * _sum(a, b, kernel) / (len(a) * len(b))


def cubic(a: Tensor, b: Tensor) -> Tensor:
    """KID's polynomial kernel (x.y / D + 1)^3."""
    found = (a @ b.T).div_(a.shape[1]).add_(1)
    return found * found * found


def _sum(a: Tensor, b: Tensor, kernel: Kernel) -> float:
    return sum(kernel(some, b).sum().item() for _, some in parts(a, len(b)))


def _diagonal(a: Tensor, kernel: Kernel) -> float:
    """The kernel of each vector with itself, summed, a few rows at a time."""
    return sum(kernel(some, some).diagonal().sum().item() for some in a.split(64))


def _spread(features: Tensor, most: int) -> Tensor:
    """At most so many rows, evenly spread."""
    return features[:: -(-len(features) // most)]
