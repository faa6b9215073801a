"""The page: one module per tab, each one import line here."""

from ui import compare, directions, interpolate, invert, library, merge, mix, sample
from ui.base import build

__all__ = ["build", "compare", "directions", "interpolate", "invert", "library", "merge", "mix", "sample"]
