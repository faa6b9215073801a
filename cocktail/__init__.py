"""GAN Cocktail: merge pretrained GANs into one class-conditional UnionGAN without a training image."""

from cocktail import domains
from cocktail.checkpoints import bundled, load, save
from cocktail.errors import CocktailError
from cocktail.gan import Gan, average, latents, weight_distance
from cocktail.recipe import Recipe
from cocktail.runs import start

__all__ = [
    "CocktailError",
    "Gan",
    "Recipe",
    "average",
    "bundled",
    "domains",
    "latents",
    "load",
    "save",
    "start",
    "weight_distance",
]
