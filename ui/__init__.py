"""The page: one module per tab, each one import line here."""

from ui import library, sample
from ui.base import build

__all__ = ["build", "library", "sample"]
