"""What a method is, what it is given, and the register of all methods."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.sources import ImageSource, Pairs
from cocktail.training import FREE, Anchors, Progress, Restraint, TrainConfig
from cocktail.warmstart import WarmStartConfig


class Teacher(Protocol):
    """A source of a merge: a model, or pictures, which are one class and have no model.

    `picks` are the classes that are taken of the model, () = all; `names` what they are called in the union; `licence`
    is as its card states it, "" where it does not.
    """

    gan: Gan | None
    picks: tuple[str, ...]
    names: tuple[str, ...]
    licence: str

    def root(self) -> Gan:
        """Its model, as the root of a merge. Raises: CocktailError where there is none."""
        ...

    def source(self, resolution: int) -> ImageSource:
        """What the student learns from, at the student's resolution in px; latents belong to a `GanSource` only."""
        ...

    def fingerprint(self) -> str:
        """64 hexadecimal digits that change with any weight, or with any picture."""
        ...


class Context(Protocol):
    """Where a method runs: it keeps what is done, so that a method can be written as if it ran in one go."""

    seed: int

    def stage(
        self, name: str, student: Gan, source: ImageSource, config: TrainConfig, anchors: Anchors | None = None,
        restraint: Restraint = FREE,
    ) -> Generator[Progress, None, Gan]:  # fmt: skip
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


@dataclass(frozen=True)
class Planned:
    """A stage that a method will run: what it is called, with which config, and on how many classes of pictures."""

    name: str
    config: TrainConfig | WarmStartConfig
    classes: int

    @property
    def images(self) -> int:
        """Pictures that the stage shows in all, as its Progress counts them."""
        kimg = self.config.total_kimg if isinstance(self.config, TrainConfig) else sum(self.config.stage_kimg)
        return int(1000 * kimg)


Function = Callable[[list[Teacher], object, Context], Generator[Progress, None, Gan]]
Plan = Callable[[Sequence[Sequence[str]], object, int], list[Planned]]


@dataclass(frozen=True)
class Method:
    """A registered method: teachers (the root first), its config and a context in; Progress out; a student at last.

    `plan` tells the stages beforehand from the class names of each teacher, the root first, the config and the seed.
    """

    name: str
    title: str
    paper: str
    config: type
    presets: dict[str, object]
    plan: Plan
    run: Function


METHODS: dict[str, Method] = {}


def method(
    name: str, *, title: str, paper: str, config: type, presets: dict[str, object], plan: Plan
) -> Callable[[Function], Function]:
    """Registers a method under a name; `presets` are configs with names, the first is what a recipe starts from."""

    def decorate(function: Function) -> Function:
        METHODS[name] = Method(name, title, paper, config, presets, plan, function)
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
