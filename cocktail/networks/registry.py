"""What an architecture must offer to the engine."""

from dataclasses import dataclass

from torch import nn

from cocktail.errors import CocktailError


@dataclass(frozen=True)
class Architecture:
    """A pair of network classes, each with a frozen config dataclass that is kept as `.config`.

    Generator: map(z, c, truncation, cutoff) -> ws; synthesize(ws, noise_mode) -> images; with_classes(count, rng).
    Discriminator: forward(images, c) -> logits; activations(images) -> list, the features last; logits(features, c);
    with_classes(count, rng).
    """

    name: str
    generator_config: type
    generator: type[nn.Module]
    discriminator_config: type
    discriminator: type[nn.Module]
    root: bool = True  # a merge can start from it; else its models can only teach


ARCHITECTURES: dict[str, Architecture] = {}


def register(architecture: Architecture) -> None:
    ARCHITECTURES[architecture.name] = architecture


def architecture_of(network: nn.Module) -> Architecture:
    """The architecture that a generator or discriminator belongs to.

    Raises:
        CocktailError: the network's class was never registered.
    """
    for architecture in ARCHITECTURES.values():
        if type(network) in (architecture.generator, architecture.discriminator):
            return architecture
    raise CocktailError(f"{type(network).__name__} is no registered architecture; known: {', '.join(ARCHITECTURES)}.")


def can_be_root(generator: nn.Module) -> bool:
    """Whether a merge can start from a generator; of a class that is not registered nobody says that it cannot."""
    return all(kind.root for kind in ARCHITECTURES.values() if type(generator) is kind.generator)


def check_growth(what: str, old: int, new: int) -> None:
    """Raises: CocktailError where a generator or discriminator of `old` classes is asked to have fewer."""
    if new < old:
        raise CocktailError(f"the {what} has {old} classes; {new} would drop some.")


def check_range(config: object, **bounds: tuple[float, float]) -> None:
    """Checks that fields of a config lie in [low, high].

    Raises:
        CocktailError: names the field, the value found and the range.
    """
    for field, (low, high) in bounds.items():
        value = getattr(config, field)
        for item in value if isinstance(value, tuple) else (value,):
            if item is not None and not (isinstance(item, int | float) and low <= item <= high):
                raise CocktailError(
                    f"{type(config).__name__}.{field} is {value!r}; expected a number from {low} to {high}. "
                    "Correct the config, or take the checkpoint from its source again."
                )
