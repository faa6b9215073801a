"""Which features a model is judged by: the oracle's for drawings, the sources' own discriminators' for all else."""

from collections.abc import Sequence

import torch
from torch import Tensor

from cocktail import domains
from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.images import to_uint8
from cocktail.metrics.embedding import total_deviation
from cocktail.metrics.features import MAX_DIM, DiscriminatorFeatures, FeatureExtractor, OracleFeatures, PixelFeatures
from cocktail.metrics.inception import InceptionFeatures
from cocktail.metrics.references import DrawnDomains
from cocktail.sources import DomainSource, GanSource, ImageSource

CHOICES = ("auto", "oracle", "discriminator", "inception", "pixels")
PICTURES = 256  # of each class, from which the scales of several discriminators are taken
BATCH = 64


class SideBySide:
    """Features of one or more extractors side by side: float32 [N, dim <= 256], on fixed random directions if there are
    more. Each is centred and scaled so that over pictures of all the sources its mean is 0 and its variance 1 per
    dimension, on average: so all weigh the same, and a kernel distance does not depend on the zero and the units in
    which a discriminator happens to reckon.
    """

    def __init__(self, extractors: Sequence[FeatureExtractor], sources: Sequence[ImageSource], seed: int = 0):
        self._extractors = tuple(extractors)
        self.name = "; ".join(dict.fromkeys(extractor.name for extractor in extractors))
        wide = sum(extractor.dim for extractor in extractors)
        self.dim, self._projection = min(wide, MAX_DIM), None
        if wide > MAX_DIM:
            rows = torch.randn(wide, MAX_DIM, generator=torch.Generator().manual_seed(0))
            self._projection = torch.linalg.qr(rows).Q
        found = zip(*(self._blocks(img) for source in sources for img in _pictures(source, seed)), strict=True)
        units = (wide / len(self._extractors)) ** 0.5
        joined = [torch.cat(blocks) for blocks in found]
        self._means = [block.mean(0) for block in joined]
        self._scales = [max(total_deviation(block), 1e-8) / units for block in joined]

    def __call__(self, img: Tensor) -> Tensor:
        parts = zip(self._blocks(img), self._means, self._scales, strict=True)
        joined = torch.cat([(block - mean) / scale for block, mean, scale in parts], dim=1)
        return joined if self._projection is None else joined @ self._projection

    def _blocks(self, img: Tensor) -> list[Tensor]:
        return [extractor(img).cpu() for extractor in self._extractors]


def choose_features(choice: str, gan: Gan, references: Sequence[ImageSource], seed: int = 0) -> FeatureExtractor:
    """The features of that name (CHOICES) for a model and what it is compared with.

    auto: the oracle's where every class that is compared is drawn: its reference is a drawn domain, or a model whose
    card says that it was trained on one; else the discriminators'.
    discriminator: of the references' own discriminators (`SideBySide`); never of the model's own, which would be judge
    in its own cause. "auto" falls back on pixels where no reference has one.

    Raises: CocktailError where the choice is unknown, no reference has a discriminator, or weights are missing.
    """
    if choice not in CHOICES:
        raise CocktailError(f"no features are called {choice!r}; choose {', '.join(CHOICES)}.")
    compared = [source for source in references if not gan.classes or set(source.classes) & set(gan.classes)]
    if choice == "oracle" or (choice == "auto" and compared and all(map(is_drawn, compared))):
        return OracleFeatures()
    if choice == "inception":
        return InceptionFeatures()
    judges = [source.gan for source in compared if isinstance(source, GanSource) and source.gan.discriminator]
    if choice == "pixels" or (choice == "auto" and not judges):
        return PixelFeatures(gan.resolution, getattr(gan.generator.config, "img_channels", 3))
    if not judges:
        raise CocktailError("no reference has a discriminator whose features could be taken; choose pixels instead.")
    # One model may be the reference of several classes.
    extractors = [DiscriminatorFeatures(judge) for judge in {id(judge): judge for judge in judges}.values()]
    return SideBySide(extractors, compared, seed)


def is_drawn(source: ImageSource) -> bool:
    """Whether a source gives drawings of a drawn domain, or is a model that was trained on one."""
    if isinstance(source, GanSource):
        recipe = source.gan.card.get("recipe")
        return isinstance(recipe, dict) and recipe.get("domain") in domains.names()
    return isinstance(source, DrawnDomains | DomainSource)


def _pictures(source: ImageSource, seed: int) -> list[Tensor]:
    """PICTURES of each class, uint8 [n, 3, R, R] in batches."""
    rng = torch.Generator().manual_seed(seed)
    labels = torch.arange(PICTURES * len(source.classes)) % len(source.classes)
    return [to_uint8(source.sample_class(part, rng)).cpu() for part in labels.split(BATCH)]
