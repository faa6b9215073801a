"""The checkpoint formats that `load` knows; each is one file that registers itself and one import line."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cocktail.gan import Gan


@dataclass(frozen=True)
class Format:
    """One way to store a Gan.

    title: what a message calls it, "a native folder"; recognises: tells by looking at an existing path, cheaply and
    without trusting it; load: reads it or raises CocktailError.
    """

    title: str
    recognises: Callable[[Path], bool]
    load: Callable[[Path], Gan]


FORMATS: list[Format] = []


def register(title: str, recognises: Callable[[Path], bool], load: Callable[[Path], Gan]) -> None:
    FORMATS.append(Format(title, recognises, load))
