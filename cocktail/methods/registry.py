"""What a method is, what it is given, and the register of all methods."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Protocol

from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.sources import GanSource, ImageSource, Pairs
from cocktail.training import Anchors, Progress, TrainConfig
from cocktail.warmstart import WarmStartConfig


@dataclass(frozen=True)
class Teacher:
    """A source model of a merge: which of its classes are taken (`picks`, () = all) and their names in the union."""

    gan: Gan
    picks: tuple[str, ...]
    names: tuple[str, ...]

    def source(self, resolution: int) -> GanSource:
        """Its samples, at the student's resolution."""
        return GanSource(self.gan, self.picks, self.names, resolution)


class Context(Protocol):
    """Where a method runs: it keeps what is done, so that a method can be written as if it ran in one go."""

    seed: int

    def stage(
        self, name: str, student: Gan, source: ImageSource, config: TrainConfig, anchors: Anchors | None = None
    ) -> Generator[Progress, None, Gan]:
        """Runs one `finetune`, or goes on with it, or returns what it gave when it was finished before."""
        ...

    def warm_start(
        self, name: str, student: Gan, source: Pairs, config: WarmStartConfig
    ) -> Generator[Progress, None, Gan]:
        """Runs one `warm_start`, or returns what it gave when it was finished before."""
        ...

    def record(self, name: str, value: float | str) -> None:
        """Writes a number or a remark into the log and the result's card."""
        ...

    def show(self, name: str, gan: Gan) -> None:
        """Writes a grid of samples, the same z for all classes."""
        ...


Function = Callable[[list[Teacher], object, Context], Generator[Progress, None, Gan]]


@dataclass(frozen=True)
class Method:
    """A registered method: teachers (the root first), its config and a context in; Progress out; a student at last."""

    name: str
    title: str
    paper: str
    config: type
    presets: dict[str, object]
    run: Function


METHODS: dict[str, Method] = {}


def method(
    name: str, *, title: str, paper: str, config: type, presets: dict[str, object]
) -> Callable[[Function], Function]:
    """Registers a method under a name; `presets` are configs with names, the first is what a recipe starts from."""

    def decorate(function: Function) -> Function:
        METHODS[name] = Method(name, title, paper, config, presets, function)
        return function

    return decorate


def get(name: str) -> Method:
    """The method of this name.

    Raises:
        CocktailError: unknown; lists the known ones.
    """
    if name not in METHODS:
        raise CocktailError(f"unknown method {name!r}; known: {', '.join(METHODS)}.")
    return METHODS[name]
