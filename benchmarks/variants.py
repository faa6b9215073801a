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
    for name, layer in gan.generator.named_modules():
        if name.endswith(".torgb"):  # weight [3, C, 1, 1], bias [3]
            layer.weight.data, layer.bias.data = layer.weight.data.flip(0), layer.bias.data.flip(0)
    for name, layer in gan.discriminator.named_modules():
        if name.endswith(".fromrgb"):  # weight [C, 3, 1, 1]
            layer.weight.data = layer.weight.data.flip(1)
    return gan
