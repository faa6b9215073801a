"""From the values of the sampling controls to a recipe, and seeds as text."""

import random
from collections.abc import Iterable
from dataclasses import dataclass

from cocktail.errors import CocktailError
from cocktail.seeds import MAX_SEED, parse_seeds
from editing.recipes import PictureRecipe, model_name
from ui.models import Loaded

ALL = -1  # the value of the choice "every class, same latents"
MAX_PICTURES = 64
MAX_ROWS = 16
OPENING = 12


@dataclass(frozen=True)
class Settings:
    """The values of the controls, in the order in which they are wired."""

    ref: str | None
    label: int | None = ALL
    seeds: str = "0-2"
    psi: float = 1.0
    cutoff: int | None = None
    noise_mode: str = "const"


def plan(loaded: Loaded, settings: Settings) -> PictureRecipe:
    """The recipe of a sheet.

    Raises: CocktailError where the seeds cannot be read or ask for too many pictures.
    """
    names = loaded.gan.classes
    labels = rows(loaded, settings.label)
    numbers = parse_seeds(settings.seeds, limit=MAX_PICTURES)
    if len(numbers) * max(1, len(labels)) > MAX_PICTURES:
        raise CocktailError(
            f"{len(numbers)} seeds for each of {len(labels)} classes are {len(numbers) * len(labels)} pictures; at "
            f"most {MAX_PICTURES} are drawn at a time. Ask for {MAX_PICTURES // len(labels)} seeds or choose one class."
        )
    cutoff = settings.cutoff
    layers = None if cutoff is None or cutoff >= loaded.gan.num_ws else int(cutoff)
    noise_seed = random.randrange(MAX_SEED) if settings.noise_mode == "random" else 0
    return PictureRecipe(
        model_name(loaded.ref), loaded.fingerprint, labels if names else (), tuple(numbers), float(settings.psi),
        layers, settings.noise_mode, noise_seed,
    )  # fmt: skip


def opening(loaded: Loaded | None) -> Settings:
    """What a page opens with: twelve pictures, every class for the same latents."""
    if loaded is None:
        return Settings(None)
    latents = max(1, OPENING // max(1, len(rows(loaded, ALL))))
    return Settings(loaded.ref, seeds=seed_text(range(latents)), cutoff=loaded.gan.num_ws)


def rows(loaded: Loaded, label: int | None) -> tuple[str, ...]:
    """The classes that a choice draws: one, or all up to MAX_ROWS."""
    names = loaded.gan.classes
    return (names[label],) if label in range(len(names)) else names[:MAX_ROWS]


def seed_text(seeds: Iterable[int]) -> str:
    """Seeds as text, runs of neighbours as ranges: [0, 1, 2, 7] gives "0-2, 7"."""
    runs: list[list[int]] = []
    for seed in seeds:
        if runs and seed == runs[-1][1] + 1:
            runs[-1][1] = seed
        else:
            runs.append([seed, seed])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def resized(text: str, count: int) -> str:
    """The first `count` seeds of a text; where there are fewer, the numbers after the last one follow."""
    seeds = parse_seeds(text, limit=MAX_PICTURES)
    more = [(seeds[-1] + 1 + i) % (MAX_SEED + 1) for i in range(count)]
    return seed_text((seeds + more)[:count])


def shuffled(text: str, count: int) -> str:
    """So many seeds in a row from a random start, whatever the text was."""
    start = random.randrange(10000)
    return seed_text(list(range(start, start + count)))
