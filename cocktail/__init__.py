"""GAN Cocktail: merge pretrained GANs into one class-conditional UnionGAN without a training image."""

from cocktail import domains
from cocktail.checkpoints import bundled, load, push_to_hub, save
from cocktail.errors import CocktailError
from cocktail.gan import Gan, average, latents, weight_distance
from cocktail.recipe import Recipe
from cocktail.runs import start
from cocktail.teachers import load_source

__all__ = [
    "CocktailError",
    "Gan",
    "Recipe",
    "average",
    "bundled",
    "domains",
    "latents",
    "load",
    "load_source",
    "push_to_hub",
    "save",
    "start",
    "weight_distance",
]
