"""From a config and tensors that nobody vouches for to a network: every check comes before memory is taken."""

import dataclasses

import torch
from torch import Tensor, nn

from cocktail.errors import CocktailError
from cocktail.networks import ARCHITECTURES, Architecture

MAX_PARAMETERS = 1_000_000_000  # 4 GB of float32; the largest published StyleGAN2 has 30 million
NAMES_SHOWN = 5
# What a constructor raises when it is fed nonsense that a config's own checks let through.
BUILDING_ERRORS = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RuntimeError, MemoryError)


def generator(described: dict, where: str) -> nn.Module:
    """Builds a generator on the `meta` device: right shapes, no memory.

    described: {"architecture": name, "config": fields}; where: names the file in messages.

    Raises: CocktailError where the architecture is unknown, or the config has unknown or absurd fields.
    """
    known = _known(described.get("architecture"), where)
    return _build(known.generator, known.generator_config, described.get("config"), f"{where}: generator")


def discriminator(described: dict, where: str) -> nn.Module:
    """Builds a discriminator on the `meta` device. Raises: as `generator`."""
    known = _known(described.get("architecture"), where)
    return _build(known.discriminator, known.discriminator_config, described.get("config"), f"{where}: discriminator")


def check_tensors(
    network: nn.Module, found: dict[str, tuple[tuple[int, ...], torch.dtype]], where: str, prefix: str = ""
) -> None:
    """Compares shapes and dtypes of stored tensors, by name, with what the network needs.

    Raises: CocktailError that counts and names (up to five of) the missing, surplus and differing tensors.
    """
    needed = {name: (tuple(value.shape), value.dtype) for name, value in network.state_dict().items()}
    faults = [
        ("missing", [prefix + name for name in needed if name not in found]),
        ("not part of the network", [prefix + name for name in found if name not in needed]),
        ("of another shape", [_shapes(prefix + name, found[name][0], needed[name][0]) for name in needed
                              if name in found and found[name][0] != needed[name][0]]),
        ("of another type", [f"{prefix + name} ({_name(found[name][1])}, expected {_name(needed[name][1])})"
                             for name in needed if name in found and found[name][1] != needed[name][1]]),
    ]  # fmt: skip
    text = "; ".join(f"{len(names)} tensors {fault}: {some(names)}" for fault, names in faults if names)
    if text:
        raise CocktailError(
            f"{where} does not hold the weights that its config describes. {text}. "
            "Take config and weights from the same checkpoint."
        )


def fill(network: nn.Module, tensors: dict[str, Tensor], where: str, prefix: str = "") -> nn.Module:
    """Gives a network built on `meta` its tensors without a copy; the names, shapes and dtypes are checked already.

    Raises: CocktailError where a weight is NaN or infinite.
    """
    broken = [prefix + k for k, v in tensors.items() if v.is_floating_point() and not torch.isfinite(v).all()]
    if broken:
        raise CocktailError(
            f"{where}: {len(broken)} tensors hold NaN or infinity: {some(broken)}. "
            "The training that wrote this file diverged; take an earlier checkpoint."
        )
    network.load_state_dict(tensors, strict=True, assign=True)
    return network.eval()


def _known(architecture: object, where: str) -> Architecture:
    if not isinstance(architecture, str) or architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise CocktailError(f"{where}: architecture {_short(architecture)} is unknown; known: {known}.")
    return ARCHITECTURES[architecture]


def _build(network: type[nn.Module], config_type: type, fields: object, where: str) -> nn.Module:
    if not isinstance(fields, dict):
        raise CocktailError(f"{where}: config is {_short(fields)}; expected an object with fields.")
    known = {field.name for field in dataclasses.fields(config_type)}
    unknown = [str(name) for name in fields if name not in known]
    if unknown:
        raise CocktailError(f"{where}: config has unknown fields {some(unknown)}; known: {', '.join(sorted(known))}.")
    try:
        config = config_type(**{name: _frozen(value) for name, value in fields.items()})
        with torch.device("meta"):
            built = network(config)
    except CocktailError as error:
        raise CocktailError(f"{where}: {error}") from error
    except BUILDING_ERRORS as error:
        raise CocktailError(f"{where}: no network can be built from this config ({_short(error)}).") from error
    count = sum(tensor.numel() for tensor in built.state_dict().values())
    if count > MAX_PARAMETERS:
        raise CocktailError(f"{where}: config asks for {count:,} weights; at most {MAX_PARAMETERS:,} are accepted.")
    return built


def _frozen(value: object) -> object:
    """JSON has lists where a frozen config has tuples."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def _shapes(name: str, found: tuple[int, ...], expected: tuple[int, ...]) -> str:
    return f"{name} ({list(found)}, expected {list(expected)})"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def some(names: list[str]) -> str:
    """Lists up to five names and counts the rest."""
    shown = ", ".join(_short(name) for name in names[:NAMES_SHOWN])
    return shown if len(names) <= NAMES_SHOWN else f"{shown} and {len(names) - NAMES_SHOWN} more"


def _short(value: object) -> str:
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= 120 else text[:117] + "..."
