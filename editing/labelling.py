"""From labelled samples to a named direction: codes of the samples, labels by a scorer, and sigma."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cocktail.errors import CocktailError
from cocktail.gan import Gan, latents
from cocktail.images import to_uint8
from editing.directions import Direction, Fit, Layers, fit, spread
from editing.scorers import Scorer, extremes

MAX_SCORED = 5000  # pictures
SIGMA_SAMPLES = 200  # a class
MAX_NAME = 40  # letters
BATCH = 16


@dataclass(frozen=True)
class Mark:
    """A sample, psi 1, and whether it shows what the direction is to stand for."""

    label: str | None
    seed: int
    positive: bool


@torch.inference_mode()
def codes_of(gan: Gan, samples: Sequence[tuple[str | None, int]]) -> Tensor:
    """w of samples (class, seed), float32 [N, w_dim] on the CPU."""
    z = latents([seed for _, seed in samples], gan.z_dim)
    labels = [label for label, _ in samples] if gan.classes else None
    return gan.map(z, labels)[:, 0].cpu()


def fit_marks(gan: Gan, marks: Sequence[Mark], seed: int = 0) -> Fit:
    """The direction that marks stand for; classes are centred one by one (see `directions.fit`).

    Raises: CocktailError where there are fewer than 5 of a side, or the labels only tell classes apart.
    """
    if not marks:
        raise CocktailError("Nothing is labelled yet. Mark at least 5 pictures with + and 5 with −.")
    ws = codes_of(gan, [(mark.label, mark.seed) for mark in marks])
    groups = [mark.label or "" for mark in marks]
    return fit(ws, [mark.positive for mark in marks], seed, groups)


def score(
    gan: Gan, classes: Sequence[str | None], count: int, scorer: Scorer, per_side: int, start: int = 0
) -> Iterator[tuple[int, int] | list[Mark]]:
    """Scores `count` samples of each class and marks the `per_side` highest and lowest of each.

    Yields (pictures scored, pictures in all) as it goes and at last the marks. Raises: CocktailError where more than
    MAX_SCORED pictures are asked for, or the scores do not part the pictures.
    """
    total, done, marks = count * len(classes), 0, []
    if not 2 <= total <= MAX_SCORED:
        raise CocktailError(f"{total} pictures are to be scored; ask for 2 to {MAX_SCORED} in all.")
    seeds = list(range(start, start + count))
    for label in classes:
        scores = []
        for first in range(0, count, BATCH):
            pictures = gan.sample(seeds[first : first + BATCH], label)
            scores.append(scorer(to_uint8(pictures).cpu()))
            done += len(pictures)
            yield done, total
        labels, index = extremes(torch.cat(scores), per_side)
        marks += [Mark(label, seeds[i], bool(positive)) for i, positive in zip(index.tolist(), labels.tolist())]
    yield marks


def named(
    gan: Gan, vector: Tensor, name: str, origin: str, model: str, fingerprint: str, layers: Layers | None = None
) -> Direction:
    """A vector as a direction of this model: its sigma is measured on samples of every class."""
    name = " ".join(name.split())
    if not 1 <= len(name) <= MAX_NAME:
        raise CocktailError(f"The name {name[:60]!r} has {len(name)} letters; a direction needs 1 to {MAX_NAME}.")
    classes = gan.classes[:12] or (None,)
    codes = {label or "": codes_of(gan, [(label, seed) for seed in range(SIGMA_SAMPLES)]) for label in classes}
    return Direction(name, vector, spread(codes, vector), model, fingerprint, origin, layers or (0, gan.num_ws - 1))


def origin(found: Fit, marks: Sequence[Mark], how: str) -> str:
    """How a direction was found, in one line."""
    classes = ", ".join(dict.fromkeys(mark.label or "samples" for mark in marks))
    return (
        f"Linear SVM on {classes}, {how}: {found.positives} +, {found.negatives} −, "
        f"held-out accuracy {found.accuracy:.1%} ± {found.accuracy_std:.1%}"
    )
