"""The ways to merge or extend GANs: each is one file and one line here."""

from cocktail.methods import cocktail, distillation, ewc, freezed, l2, scratch, transfer, upper_bound
from cocktail.methods.registry import METHODS, Context, Method, Teacher, method

__all__ = [
    "METHODS", "Context", "Method", "Teacher", "cocktail", "distillation", "ewc", "freezed", "l2", "method", "scratch",
    "transfer", "upper_bound",
]  # fmt: skip
