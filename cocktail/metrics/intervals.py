"""Intervals of scores by half-samples: how far a score would move had other pictures been drawn.

Half-sampling (McCarthy 1969; as the delete-half jackknife, Shao & Wu 1989): each round cuts both sides at random into
halves and scores the two pairs of halves. To first order a score is a mean over pictures, so half of the difference of
the two scores deviates as the score of all pictures does. A bootstrap would draw pictures twice, and copies are their
own nearest neighbours: precision, recall, density and coverage would be wrong. What is left at second order where both
sides are alike makes an interval wider than it need be, by at most 1.4 times, never narrower.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from scipy.special import ndtri, stdtrit
from torch import Tensor

from cocktail.errors import CocktailError

ROUNDS = 12  # each gives the squared deviation one degree of freedom
LEVEL = 0.95


@dataclass(frozen=True)
class HalfSamples:
    """mean: of a score over the half-samples; deviation: standard error of the score of all; each by name."""

    mean: dict[str, float]
    deviation: dict[str, float]
    rounds: int

    def interval(
        self, name: str, value: float, least: float = -math.inf, most: float = math.inf
    ) -> tuple[float, float]:
        """95 % interval of a score whose value is `value`, by Student's t, kept between `least` and `most`.

        It covers the expectation of the score over draws of equally many pictures: the noise of the pictures, on both
        sides. It does not cover what another training would have given, nor the score's bias at this n.
        """
        reach = float(stdtrit(self.rounds, (1 + LEVEL) / 2)) * self.deviation[name]
        return max(value - reach, least), min(value + reach, most)

    def share(self, name: str, value: float, n: int) -> tuple[float, float]:
        """The interval of a share of n pictures, in [0, 1]: at least as wide as Wilson's (1927) for n independent
        draws, as halves that agree on 0 or 1 have no deviation at all."""
        low, high = self.interval(name, value, 0.0, 1.0)
        z2 = float(ndtri((1 + LEVEL) / 2)) ** 2
        middle, reach = value + z2 / (2 * n), math.sqrt(z2 * value * (1 - value) / n + z2**2 / (4 * n**2))
        return max(0.0, min(low, (middle - reach) / (1 + z2 / n))), min(1.0, max(high, (middle + reach) / (1 + z2 / n)))

    def corrected(self, name: str, value: float) -> float:
        """The score without the part of its bias that falls as 1 / n (half as many pictures have twice as much of it):
        2 x value - mean of the half-samples. Its interval is as wide as the score's, and covers the limit for n -> oo.
        Of a Frechet distance only where a half has as many vectors as dimensions: below, its bias falls otherwise.
        """
        return 2 * value - self.mean[name]


def half_samples(
    score: Callable[[Tensor, Tensor], Mapping[str, float]], a: Tensor, b: Tensor, rounds: int = ROUNDS, seed: int = 0,
    blocks: Sequence[int] | None = None,
) -> HalfSamples:  # fmt: skip
    """Scores of random half-samples.

    score: of float [n, D] and [m, D], as figures by name; a: float [N, D]; b: float [M, D]; blocks: lengths of the
    parts, in order, of which both sides are made (classes of a union), each of which is halved.
    Raises: CocktailError where there are no rounds, or fewer than 4 vectors on a side, or the blocks do not sum up.
    """
    for side in (a, b):
        if rounds < 1 or len(side) < 4 or (blocks is not None and sum(blocks) != len(side)):
            given = f", in blocks of {list(blocks)}" if blocks is not None else ""
            raise CocktailError(f"{rounds} rounds of halves of {len(side)} vectors{given}; expected 4 vectors or more")
    rng = torch.Generator().manual_seed(seed)
    means, squares = {}, {}
    for _ in range(rounds):
        halves = zip(_halves(a, blocks, rng), _halves(b, blocks, rng), strict=True)
        first, second = (score(x, y) for x, y in halves)
        for name, value in first.items():
            means[name] = means.get(name, 0.0) + (value + second[name]) / (2 * rounds)
            squares[name] = squares.get(name, 0.0) + (value - second[name]) ** 2 / (4 * rounds)
    return HalfSamples(means, {name: math.sqrt(value) for name, value in squares.items()}, rounds)


def _halves(side: Tensor, blocks: Sequence[int] | None, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two halves of the rows, equally long; of each block. One row of an odd number is left out."""
    first, second = [], []
    for part in side.split(list(blocks or [len(side)])):
        order, half = torch.randperm(len(part), generator=rng).to(side.device), len(part) // 2
        first.append(part[order[:half]])
        second.append(part[order[half : 2 * half]])
    return torch.cat(first), torch.cat(second)
