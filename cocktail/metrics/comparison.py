"""The scores of one set of samples against two sets of its reference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from cocktail.metrics.diversity import feature_diversity
from cocktail.metrics.intervals import HalfSamples, half_samples
from cocktail.metrics.kernels import SUBSET_SIZE, cubic, kernel_distance, kernel_mmd, median_distance, unbiased_mmd
from cocktail.metrics.scores import NEIGHBOURS, frechet_distance, neighbourhoods

LEAST_FOR_INTERVALS = 2 * (NEIGHBOURS + 1)  # pictures: a half must have k neighbours


@dataclass(frozen=True)
class Scores:
    """Scores of n samples against n reference pictures; None where they cannot be had, or were not asked for.

    frechet: distance of samples and reference; floor: of two independent halves of the reference, so 0 is out of reach;
    frechet_corrected: without the part of the bias that falls as 1 / n, so 0 is in reach, and a little below where both
    sides are alike; only with intervals, and where n is twice the dimension of the features or more.
    class_accuracy: share that the reader takes for their class; yaw_std, reference_yaw_std: spread of the yaw it reads.
    kid, kid_std: mean and deviation over 100 subsets of 1000; of all at once, without a deviation, where there are no
    more; density, coverage: k = 5, as of precision and recall; mmd: the square, by a Gaussian kernel as wide as the
    reference's median distance; diversity, reference_diversity: mean feature distance of two samples, and of two
    pictures of the reference.
    modes: share of the combinations of the class's binary factors that occur (`convergence.modes_covered`).

    intervals: 95 %, by score, for what it would be on average over other draws of as many pictures, of both sides: the
    noise of the pictures, not of training. That of `frechet` stays at its biased value, and tells whether two models
    measured with the same n differ; that of `frechet_corrected` covers the distance itself. Not for n < 12.
    """

    n: int
    frechet: float
    floor: float
    precision: float
    recall: float
    class_accuracy: float | None = None
    yaw_std: float | None = None
    reference_yaw_std: float | None = None
    kid: float | None = None
    kid_std: float | None = None
    density: float | None = None
    coverage: float | None = None
    mmd: float | None = None
    diversity: float | None = None
    reference_diversity: float | None = None
    modes: float | None = None
    frechet_corrected: float | None = None
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """features float32 [n, dim], `blocks` classes of equally many; accuracy, yaw (float32 [n]) and modes are None
    without a reader that knows the class."""

    features: Tensor
    accuracy: float | None
    yaw: Tensor | None
    modes: float | None = None
    blocks: int = 1


def together(parts: Sequence[Measured]) -> Measured:
    """All classes in equal shares; accuracy and modes are means, and None where one class is unknown to the reader."""
    known = all(part.accuracy is not None for part in parts)
    counted = all(part.modes is not None for part in parts)
    return Measured(
        torch.cat([part.features for part in parts]),
        sum(part.accuracy for part in parts) / len(parts) if known else None,
        torch.cat([part.yaw for part in parts]) if known else None,
        sum(part.modes for part in parts) / len(parts) if counted else None,
        sum(part.blocks for part in parts),
    )


def compare(sample: Measured, first: Measured, second: Measured, intervals: bool, seed: int = 0) -> Scores:
    """Scores of samples against the first set of reference pictures; the second gives the floor.

    seed: of the subsets and halves. Intervals score 24 halves: at n = 2000 that takes about as long as the scores.
    """
    fake, real = sample.features, first.features
    near = neighbourhoods(real, fake)
    kid, kid_std = kernel_distance(fake, real, rng=torch.Generator().manual_seed(seed))
    width = median_distance(real)
    scores = {
        "frechet": frechet_distance(fake, real),
        "precision": near.precision,
        "recall": near.recall,
        "kid": kid,
        "density": near.density,
        "coverage": near.coverage,
    }
    if intervals and min(len(fake), len(real)) // sample.blocks >= LEAST_FOR_INTERVALS:
        halves = half_samples(_moving, fake, real, seed=seed, blocks=[len(fake) // sample.blocks] * sample.blocks)
        if len(fake) >= 2 * fake.shape[1]:
            scores["frechet_corrected"] = halves.corrected("frechet", scores["frechet"])
        scores["intervals"] = _intervals(halves, scores, len(fake))
    return Scores(
        n=len(fake),
        floor=frechet_distance(second.features, real),
        class_accuracy=sample.accuracy,
        yaw_std=sample.yaw.std().item() if sample.yaw is not None else None,
        reference_yaw_std=first.yaw.std().item() if first.yaw is not None else None,
        kid_std=kid_std if max(len(fake), len(real)) > SUBSET_SIZE else None,
        mmd=kernel_mmd(fake, real, width) if width > 0 else None,
        diversity=feature_diversity(fake),
        reference_diversity=feature_diversity(real),
        modes=sample.modes,
        **scores,
    )


def _moving(fake: Tensor, real: Tensor) -> dict[str, float]:
    """The scores that get an interval."""
    near, (a, b) = neighbourhoods(real, fake), (fake.double(), real.double())
    return {
        "frechet": frechet_distance(a, b), "precision": near.precision, "recall": near.recall,
        "kid": unbiased_mmd(a, b, cubic), "density": near.density, "coverage": near.coverage,
    }  # fmt: skip


def _intervals(halves: HalfSamples, scores: Mapping[str, float], n: int) -> dict[str, tuple[float, float]]:
    known = "frechet_corrected" in scores
    return {
        "frechet": halves.interval("frechet", scores["frechet"], least=0.0),
        **({"frechet_corrected": halves.interval("frechet", scores["frechet_corrected"])} if known else {}),
        "kid": halves.interval("kid", scores["kid"]),
        "density": halves.interval("density", scores["density"], least=0.0),
        **{name: halves.share(name, scores[name], n) for name in ("precision", "recall", "coverage")},
    }
