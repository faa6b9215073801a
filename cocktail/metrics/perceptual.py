"""How different two pictures look, without outside weights: the model's own discriminator is the judge.

Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018, equation 1, with the
discriminator in the place of VGG and without learned channel weights.
"""

import torch.nn.functional as F
from torch import Tensor

from cocktail.errors import CocktailError
from cocktail.gan import Gan

FEATURES, PIXELS = "features of the discriminator", "pixels and edges at several scales"
SMALLEST = 8  # px, of a scale on which pixels are compared


class PerceptualDistance:
    """Distance of pictures float32 [N, 3, R, R] in [-1, 1], pair by pair: float32 [N], >= 0, 0 for equal ones.

    `name` tells in words what it looks at: features of the discriminator's blocks, or, where a model has none, pixels
    and differences of neighbours at several scales. Figures of different models, or names, do not compare.
    """

    def __init__(self, gan: Gan):
        self.discriminator, self.resolution = gan.discriminator, gan.resolution
        self.name = PIXELS if gan.discriminator is None else FEATURES

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        """Raises: CocktailError where the shapes differ, or are not those of the model's pictures."""
        if first.shape != second.shape:
            raise CocktailError(f"pictures of shapes {list(first.shape)} and {list(second.shape)} do not compare.")
        return between(self.features(first), self.features(second))

    def features(self, img: Tensor) -> list[Tensor]:
        """What is compared, float32 [N, C, H, W] each, once for a picture that is compared often.

        Raises: CocktailError where the picture is not of the model's size.
        """
        size = self.resolution
        if img.ndim != 4 or tuple(img.shape[1:]) != (3, size, size):
            raise CocktailError(f"pictures have shape {list(img.shape)}; this model's are [N, 3, {size}, {size}].")
        if self.discriminator is None:
            return _scales(img)
        # The last entries mix the pictures of a batch, and are no maps.
        return [_unit(maps) for maps in self.discriminator.activations(img) if maps.ndim == 4]


def between(first: list[Tensor], second: list[Tensor]) -> Tensor:
    """The distance of two lists of features: sums over channels, means over space and over the list, float32 [N]."""
    pairs = zip(first, second, strict=True)
    return sum((a - b).square().sum(dim=1).mean(dim=[1, 2]) for a, b in pairs) / len(first)


def _unit(maps: Tensor) -> Tensor:
    # Inside the root, so that the gradient is finite where all channels are 0.
    return maps / (maps.square().sum(dim=1, keepdim=True) + 1e-8).sqrt()


def _scales(img: Tensor) -> list[Tensor]:
    """Pixels and their differences along both axes, at every scale from the full one to SMALLEST px."""
    found = []
    while not found or img.shape[-1] >= SMALLEST:
        found += [img, img.diff(dim=2), img.diff(dim=3)]
        img = F.avg_pool2d(img, 2)
    return found
