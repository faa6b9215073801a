"""Drawn variants, for tables of many sources: the same drawings with red and blue swapped, as classes of their own.

A GAN of a variant needs no training: with the colours of its last and first layers swapped, a GAN of the domain draws
and judges the swapped pictures. The oracle reads a variant's pictures with the colours swapped back, so a class that
should be blue and is not scores badly.
"""

from torch import Tensor

from cocktail.gan import Gan

PREFIX = "blue-"


def variant(name: str) -> str:
    """What the variant of a domain is called."""
    return PREFIX + name


def domain(name: str) -> str:
    """The domain of a variant; a domain is its own."""
    return name.removeprefix(PREFIX)


def is_variant(name: str) -> bool:
    return name.startswith(PREFIX)


def as_domain(img: Tensor, name: str) -> Tensor:
    """Pictures [N, 3, H, W] of a class with the colours of its domain."""
    return img.flip(1) if is_variant(name) else img


def swapped(gan: Gan) -> Gan:
    """The model, drawing and judging pictures whose red and blue are swapped."""
    gan = gan.copy()
    for network, layer, axis in ((gan.generator, "torgb", 0), (gan.discriminator, "fromrgb", 1)):
        for name, value in network.named_parameters():
            if f".{layer}." in f".{name}" and value.ndim > axis and value.shape[axis] == 3 and "affine" not in name:
                value.data = value.data.flip(axis)
    return gan
