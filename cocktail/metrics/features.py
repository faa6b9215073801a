"""What turns pictures into the vectors that scores compare."""

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor

from cocktail import parallel
from cocktail.domains.oracle import Oracle, Reading, load_oracle
from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.images import from_uint8, resize, to_uint8
from cocktail.sources import GanSource, ImageSource

MAX_DIM = 256  # of a discriminator's features; more are projected onto as many fixed random directions
DEEP_MAPS = 3  # the discriminator's last maps, in which its features are looked for
BATCH = 64


class FeatureExtractor(Protocol):
    """Maps uint8 [N,3,H,W] to float32 [N, dim]; `name` says in a report which features a score belongs to."""

    name: str
    dim: int

    def __call__(self, img: Tensor) -> Tensor: ...


@runtime_checkable
class FactorReader(Protocol):
    """Reads class and factors from uint8 [N,3,H,W] that are meant to be of class `label`.

    `classes` names the columns of the reading's class logits.
    """

    classes: tuple[str, ...]

    def read(self, img: Tensor, label: str) -> Reading: ...


class OracleFeatures:
    """Features of the oracle, the small network that was trained to read class and factors from drawings.

    It judges and never teaches: no method's loss, stopping or choice of checkpoint sees it.
    """

    name = "oracle"

    def __init__(self, oracle: Oracle | None = None):
        self.oracle = oracle or load_oracle()
        self.dim = self.oracle.dim
        self.classes = self.oracle.classes

    def __call__(self, img: Tensor) -> Tensor:
        return self.oracle.features(img)

    def read(self, img: Tensor, label: str) -> Reading:
        """Class logits, and factors of class `label`, of uint8 [N,3,H,W]."""
        return self.oracle.read(from_uint8(img), label)


class DiscriminatorFeatures:
    """Features of a Gan's own discriminator: its last maps, averaged over the quarters of the picture, and their
    deviations; float32 [N, dim <= 256], on the CPU.

    No other pictures and no outside weights are needed, and a picture's features do not depend on its neighbours in the
    batch. Figures of two discriminators do not compare. `resolution` is what pictures are resized to.

    Raises: CocktailError where the Gan has no discriminator, or pictures have other channels than it knows.
    """

    def __init__(self, gan: Gan):
        if gan.discriminator is None:
            raise CocktailError("this model has no discriminator; take its pixels (`features_of`) instead.")
        self.discriminator, self.resolution = gan.discriminator, gan.discriminator.resolution
        self.name = f"features of the discriminator of {gan.card.get('title') or 'an untitled model'}"
        self.channels, self._projection = gan.discriminator.config.img_channels, None
        pooled = self._pooled(torch.zeros(1, self.channels, self.resolution, self.resolution))
        self.dim = min(pooled.shape[1], MAX_DIM)
        if pooled.shape[1] > MAX_DIM:
            rows = torch.randn(pooled.shape[1], MAX_DIM, generator=torch.Generator().manual_seed(0))
            self._projection = torch.linalg.qr(rows).Q

    def __call__(self, img: Tensor) -> Tensor:
        if img.shape[1] != self.channels:
            raise CocktailError(
                f"pictures of {img.shape[1]} channels, but the {self.name} know {self.channels}; "
                "compare models whose pictures have equally many."
            )
        pooled = torch.cat([self._pooled(resize(from_uint8(part), self.resolution)) for part in img.split(BATCH)])
        return pooled if self._projection is None else pooled @ self._projection

    @torch.no_grad()
    def _pooled(self, img: Tensor) -> Tensor:
        img = img.to(next(self.discriminator.parameters()).device)
        # What is no map mixes the pictures of a batch (minibatch standard deviation).
        maps = [found.float() for found in self.discriminator.activations(img) if found.ndim == 4][-DEEP_MAPS:]
        means = [F.adaptive_avg_pool2d(found, 2).flatten(1) for found in maps]
        deviations = [found.flatten(2).std(dim=2, correction=0) for found in maps]
        return torch.cat(means + deviations, dim=1).cpu()


class PixelFeatures:
    """Pictures averaged to 8x8 pixels in [-1, 1], and how strong brightness changes across and down in each of 4x4
    fields of the picture at `resolution` px: float32 [N, dim], for models that have no discriminator."""

    name = "pixels, 8x8"

    def __init__(self, resolution: int, channels: int = 3):
        self.resolution, self.channels = max(8, resolution), channels
        self.dim = 64 * channels + 32

    def __call__(self, img: Tensor) -> Tensor:
        if img.shape[1] != self.channels:
            raise CocktailError(f"pictures of {img.shape[1]} channels; these pixel features take {self.channels}.")
        img = resize(from_uint8(img.cpu()), self.resolution)
        brightness = img.mean(dim=1, keepdim=True)
        changes = [F.adaptive_avg_pool2d(brightness.diff(dim=axis).abs(), 4).flatten(1) for axis in (3, 2)]
        return torch.cat([resize(img, 8).flatten(1), *changes], dim=1)


def features_of(gan: Gan) -> DiscriminatorFeatures | PixelFeatures:
    """The features in which a Gan's samples are compared without data: its discriminator's, else pixels."""
    if gan.discriminator is not None:
        return DiscriminatorFeatures(gan)
    return PixelFeatures(gan.resolution, getattr(gan.generator.config, "img_channels", 3))


def extractors_of(sources: Sequence[ImageSource]) -> list[DiscriminatorFeatures | PixelFeatures]:
    """The features in which each source's class is compared without data: a model's own (`features_of`); for one that
    is no model, those of the first source that has a discriminator, else pixels."""
    models = [source.gan if isinstance(source, GanSource) else None for source in sources]
    own = [None if gan is None else features_of(gan) for gan in models]
    judge = next((found for found in own if isinstance(found, DiscriminatorFeatures)), None)
    return [found or judge or PixelFeatures(source.resolution) for found, source in zip(own, sources, strict=True)]


def sample_features(
    source: ImageSource, labels: Tensor, rng: torch.Generator, extractors: Sequence[FeatureExtractor]
) -> Iterator[tuple[Tensor, ...]]:
    """Draws a picture for each label int64 [n], rounded to uint8, and yields its features of every extractor, in
    batches: float32 [<= 64, dim] each. Processes that work together draw a share each and give the features to all."""
    team = parallel.current()
    for part in labels.split(BATCH):
        rows = () if team.size == 1 else (torch.tensor(team.share(len(part)), dtype=torch.int64),)
        img = to_uint8(source.sample_class(part, rng, *rows))
        yield tuple(team.gather(extractor(img).cpu(), len(part)) for extractor in extractors)
