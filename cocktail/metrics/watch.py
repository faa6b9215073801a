"""The scores that a run shows while it trains: student against sources, class by class, without any data."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.metrics.embedding import Embedding, total_deviation
from cocktail.metrics.features import FeatureExtractor, extractors_of, sample_features
from cocktail.metrics.scores import frechet_distance
from cocktail.sources import GanSource, ImageSource

PICTURES = 256  # of a set, unless told
LEAST = 16  # pictures of a set
SNAPSHOTS, SNAPSHOT_IMAGES = 20, 1000  # at most so many in a stage; one to so many pictures and class at most
REFERENCE, FLOOR, STUDENT = range(3)  # which set of a class, for its seed


@dataclass(frozen=True)
class _Owner:
    """Who draws a class, as which of its own, and in which features the class is compared."""

    source: ImageSource
    index: int
    extractor: FeatureExtractor


class _Reference:
    """A class as its source draws it: features float32 [n, dim] of one set, and the distance of another from it."""

    def __init__(self, features: Tensor, again: Tensor):
        self.embedding = Embedding.of(features)
        self.features, self.deviation = self.embedding(features), max(total_deviation(features), 1e-8)
        self.floor = self.frechet(again)

    def frechet(self, features: Tensor) -> float:
        return frechet_distance(self.embedding(features), self.features)


def snapshots(images: int, classes: int) -> int:
    """How often a stage that shows `images` pictures of so many classes is measured on the way: 1 to 20 times, beside
    once before its first step and once after its last."""
    return min(SNAPSHOTS, max(1, images // (SNAPSHOT_IMAGES * max(1, classes))))


class Watch:
    """Measures a student against the sources that it is made from; the same watch and student give the same figures.

    Each class is seen by the features of its own source. Of n pictures no covariance of hundreds of dimensions can be
    had, so distances are embedded ones: of the reference's principal components, and of what lies beside them, at most
    32 dimensions in all, in units of the reference's own total variance: 1 is a shift as long as the source spreads.

    Raises: CocktailError where two sources have a class of one name, n is below 16, or there is not one extractor each.
    """

    def __init__(
        self, sources: Sequence[ImageSource], extractors: Sequence[FeatureExtractor], n: int = PICTURES, seed: int = 0
    ):
        if n < LEAST or len(extractors) != len(sources):
            raise CocktailError(
                f"{len(sources)} sources, {len(extractors)} extractors, n is {n}; expected one extractor per source "
                f"and n >= {LEAST}."
            )
        self.classes = tuple(name for source in sources for name in source.classes)
        if len(set(self.classes)) != len(self.classes):
            raise CocktailError(f"class names must differ, found {', '.join(self.classes)}. Rename one of the sources.")
        self.n, self.seed = n, seed
        self.name = "; ".join(dict.fromkeys(extractor.name for extractor in extractors))
        pairs = zip(sources, extractors, strict=True)
        self._owners = {name: _Owner(s, i, e) for s, e in pairs for i, name in enumerate(s.classes)}
        self._references: dict[str, _Reference] = {}

    @classmethod
    def of(cls, sources: Sequence[ImageSource], n: int = PICTURES, seed: int = 0) -> "Watch":
        """A watch whose features are those of each source's own discriminator, as `extractors_of` says."""
        return cls(sources, extractors_of(sources), n, seed)

    def floor(self, name: str) -> float:
        """The sources' own score: the Frechet distance of two independent sets of n pictures of a class's source.

        A folder of fewer than n pictures gives each several times: its sets resemble each other, the floor is low.
        """
        return self._reference(name).floor

    def measure(self, gan: Gan, classes: Sequence[str] | None = None) -> dict[str, dict[str, float]]:
        """Scores per class (default: all that the model has): {"frechet": >= 0, "spread": >= 0}.

        spread: root of the trace of the covariance, as a share of the source's; near 0 all pictures look alike.
        Raises: CocktailError where a class is unknown to the watch or to the model.
        """
        if classes is None:
            classes = [name for name in self.classes if name in gan.classes] if gan.classes else self.classes
        if not classes or (not gan.classes and len(classes) > 1):
            raise CocktailError(
                f"a model of the classes {', '.join(gan.classes) or 'none'} cannot be measured on "
                f"{', '.join(classes or self.classes)}; name classes that it has."
            )
        return {name: self._scores(gan, name) for name in classes}

    def _scores(self, gan: Gan, name: str) -> dict[str, float]:
        reference = self._reference(name)
        student = GanSource(gan, (name,) if gan.classes else (), (name,))
        drawn = self._draw(student, 0, name, STUDENT)
        return {"frechet": reference.frechet(drawn), "spread": total_deviation(drawn) / reference.deviation}

    def _reference(self, name: str) -> _Reference:
        if name not in self._owners:
            raise CocktailError(f"no source draws the class {name!r}; known: {', '.join(self.classes)}.")
        if name not in self._references:
            owner = self._owners[name]
            sets = (self._draw(owner.source, owner.index, name, kind) for kind in (REFERENCE, FLOOR))
            self._references[name] = _Reference(*sets)
        return self._references[name]

    def _draw(self, source: ImageSource, index: int, name: str, kind: int) -> Tensor:
        """Features float32 [n, dim] of a class of a source, from a seed that differs with class and set."""
        number = len(self.classes) * kind + self.classes.index(name)
        rng = torch.Generator().manual_seed((self.seed * 1_000_003 + number) % 2**63)
        labels, extractor = torch.full((self.n,), index, dtype=torch.int64), self._owners[name].extractor
        return torch.cat([part for (part,) in sample_features(source, labels, rng, [extractor])])
