"""Fields of config dataclasses that carry their help and range, for the form, the command line and YAML alike."""

import dataclasses
import math
from typing import Any

from cocktail.errors import CocktailError


def option(
    default: Any, text: str, low: float | None = None, high: float | None = None, choices: tuple[str, ...] = ()
) -> Any:
    """A dataclass field with a help text and, where they make sense, the smallest and largest value or the choices."""
    metadata = {"help": text, "min": low, "max": high, "choices": choices}
    return dataclasses.field(default=default, metadata={k: v for k, v in metadata.items() if v not in (None, ())})


def check_options(config: Any) -> None:
    """Checks every field of a config against its range or choices; tuples item by item.

    Raises:
        CocktailError: names the field, the value found and what was expected.
    """
    for item in dataclasses.fields(config):
        value, low, high = getattr(config, item.name), item.metadata.get("min"), item.metadata.get("max")
        choices = item.metadata.get("choices")
        if choices and value not in choices:
            raise CocktailError(f"{item.name} is {value!r}; expected one of {', '.join(choices)}.")
        if low is None and high is None:
            continue
        for each in value if isinstance(value, tuple) else (value,):
            number = isinstance(each, int | float) and math.isfinite(each)
            if not number or (low is not None and each < low) or (high is not None and each > high):
                span = f"from {low} to {high}" if None not in (low, high) else f"of at least {low}"
                raise CocktailError(f"{item.name} is {value!r}; expected a number {span}.")
