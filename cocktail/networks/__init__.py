"""The architectures: each is one file and one line here."""

from cocktail.networks import custom, dcgan, onnx_generator, stylegan2, stylegan3
from cocktail.networks.registry import ARCHITECTURES, Architecture, architecture_of, can_be_root

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "architecture_of",
    "can_be_root",
    "custom",
    "dcgan",
    "onnx_generator",
    "stylegan2",
    "stylegan3",
]
