"""The architectures: each is one file and one line here."""

from cocktail.networks import custom, stylegan2
from cocktail.networks.registry import ARCHITECTURES, Architecture, architecture_of

__all__ = ["ARCHITECTURES", "Architecture", "architecture_of", "custom", "stylegan2"]
