"""How fast a score converges, and which modes of a distribution samples reach."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cocktail.errors import CocktailError

TOLERANCE = 0.05
FAIR_SHARE = 0.1  # of the share that a mode has in a fair draw: from there on it counts as covered
MODES_AT_MOST = 2**16


def convergence_images(
    curve: Sequence[tuple[float, float]], tolerance: float = TOLERANCE, rising: bool = False
) -> float:
    """Images until a score is within `tolerance` (5 %) of the best of its curve: the first point that is as good, not
    interpolated, so a curve measured every 10 kimg answers in steps of 10 kimg.

    curve: (images, score) in the order of training; rising: large scores are good (recall), else small ones
    (Frechet distance). It tells how fast the curve's own best is reached, not how good that is; compare two curves of
    one length only.
    Raises: CocktailError where the curve is empty, its images do not rise, or a score is not finite.
    """
    if not curve or not all(math.isfinite(score) for _, score in curve):
        raise CocktailError(f"a curve of {len(curve)} points; expected one or more, with finite scores")
    if any(after <= before for (before, _), (after, _) in itertools.pairwise(curve)):
        raise CocktailError("the images of a curve must rise from point to point; sort it and drop repetitions")
    if tolerance < 0:
        raise CocktailError(f"the tolerance is {tolerance}; expected a share from 0")
    sign = -1 if rising else 1
    best = min(sign * score for _, score in curve)
    return next(images for images, score in curve if sign * score <= best + tolerance * abs(best))


@dataclass(frozen=True)
class Modes:
    """shares: of the samples in each mode, by name; covered: the modes that hold enough of them, in the same order."""

    shares: dict[str, float]
    covered: tuple[str, ...]

    @property
    def share(self) -> float:
        """Share of the modes that are covered, in [0, 1]."""
        return len(self.covered) / len(self.shares)


def modes_covered(found: Tensor, names: Sequence[str], fair_share: float = FAIR_SHARE) -> Modes:
    """Which of several equally likely modes occur in samples.

    A mode is covered where at least `fair_share` (10 %) of the samples fall into it that would in a fair draw,
    n / modes, and one sample at least: a reader errs now and then, and a single misread picture should not count.

    found: the mode of each sample, int64 [n] in [0, len(names)), as `class_modes` or `factor_modes` give it.
    Raises: CocktailError where there are no samples or modes, or a number is out of range.
    """
    if found.ndim != 1 or not len(found) or not names or not 0 <= int(found.min()) <= int(found.max()) < len(names):
        raise CocktailError(
            f"modes of shape {list(found.shape)} for {len(names)} names; expected one number per sample, in range"
        )
    counts = torch.bincount(found.cpu(), minlength=len(names)).tolist()
    least = max(1.0, fair_share * len(found) / len(names))
    shares = {name: count / len(found) for name, count in zip(names, counts, strict=True)}
    return Modes(shares, tuple(name for name, count in zip(names, counts, strict=True) if count >= least))


def class_modes(logits: Tensor, classes: Sequence[str]) -> tuple[Tensor, tuple[str, ...]]:
    """Modes that are classes: the most probable of each picture. logits: float [n, C] of C classes, as the oracle's.

    Returns numbers int64 [n] and the modes' names, for `modes_covered`. Raises: CocktailError where C differs.
    """
    if logits.ndim != 2 or logits.shape[1] != len(classes):
        raise CocktailError(f"logits of shape {list(logits.shape)} for the classes {', '.join(classes)}")
    return logits.argmax(1), tuple(classes)


def factor_modes(factors: Mapping[str, Tensor]) -> tuple[Tensor, tuple[str, ...]]:
    """Modes that are combinations of binary factors: {"hair", "glasses"} -> "hair glasses", "hair no glasses", ...

    factors: name -> probability that it is 1, float [n], as the oracle reads it. One or more, independent and 1 in
    half of all fair draws, as in the drawn domains, so all combinations are equally likely.
    Returns numbers int64 [n] and the modes' names, for `modes_covered`.
    Raises: CocktailError where there is no factor, they are too many, or a probability is none.
    """
    if not factors or 2 ** len(factors) > MODES_AT_MOST:
        raise CocktailError(f"{len(factors)} binary factors; expected 1 to {int(math.log2(MODES_AT_MOST))}")
    found = torch.zeros(len(next(iter(factors.values()))), dtype=torch.int64)
    for name, values in factors.items():
        if not ((values >= 0) & (values <= 1)).all():
            raise CocktailError(f"the factor {name} is no probability; the class has none such, or it is not binary")
        found = 2 * found + (values.cpu() < 0.5).long()
    words = [(name, f"no {name}") for name in factors]
    return found, tuple(" ".join(choice) for choice in itertools.product(*words))
