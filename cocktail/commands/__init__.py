"""The commands of `python -m cocktail`: each is one file and one line here."""

from cocktail.commands import merge, runs, recommend, train, sample, evaluate, info, importing, push, space, zoo, export  # noqa: F401, I001  (the order of --help)
from cocktail.commands.base import parser

__all__ = ["parser"]
