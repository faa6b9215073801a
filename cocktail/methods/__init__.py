"""The ways to merge or extend GANs: each is one file and one line here."""

from cocktail.methods import cocktail
from cocktail.methods.registry import METHODS, Context, Method, Teacher, method

__all__ = ["METHODS", "Context", "Method", "Teacher", "cocktail", "method"]
