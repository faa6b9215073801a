"""What to merge, how, and for how long: a frozen description, YAML in and YAML out."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from cocktail.errors import CocktailError
from cocktail.methods.registry import get
from cocktail.options import check_options, option


@dataclass(frozen=True)
class Source:
    """One model of a merge, or folder or zip of pictures: where it is, which of its classes are taken, and their names.

    `classes` () takes all; `names` default to the class names, or for a model without classes to the end of `ref`.
    """

    ref: str
    classes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """A merge: the first of `sources`, or the one numbered `root`, is the root; `config` belongs to the method."""

    sources: tuple[Source, ...]
    method: str = "cocktail"
    root: int = option(0, "number of the root among the sources, from 0", 0)
    seed: int = option(0, "random seed", 0)
    threads: int = option(0, "CPU threads, part of what makes a run repeatable; 0 = all", 0)
    device: str = option("cpu", "cpu, cuda or mps")
    config: Any = None

    def __post_init__(self) -> None:
        kind = get(self.method)
        if len(self.sources) < 2:
            raise CocktailError(f"the recipe names {len(self.sources)} sources; a merge needs two or more.")
        if not 0 <= self.root < len(self.sources):
            raise CocktailError(f"root is {self.root}; expected the number of a source, 0 to {len(self.sources) - 1}.")
        check_options(self)
        if self.config is None:
            object.__setattr__(self, "config", kind.config())

    @classmethod
    def from_yaml(cls, path: str | Path) -> "Recipe":
        """Reads a recipe file.

        Raises:
            CocktailError: missing, no YAML, an unknown or missing field, or a value of the wrong kind; names the field.
        """
        try:
            data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise CocktailError(f"{path} cannot be read ({error}).") from error
        except yaml.YAMLError as error:
            raise CocktailError(f"{path} is no YAML: {' '.join(str(error).split())}.") from error
        return cls.from_dict(data, str(path))

    @classmethod
    def from_dict(cls, data: Any, where: str = "recipe") -> "Recipe":
        """Builds a recipe from plain data; `config` changes single fields of the `preset`. Raises: as `from_yaml`."""
        if not isinstance(data, dict):
            raise CocktailError(
                f"{where} holds {type(data).__name__}; expected a mapping with sources, method and config."
            )
        data = dict(data)
        kind, preset = get(str(data.get("method", "cocktail"))), data.pop("preset", "paper")
        if not isinstance(preset, str) or preset not in kind.presets:
            raise CocktailError(f"{where}: preset is {preset!r}; {kind.name} knows {', '.join(kind.presets)}.")
        config = build(kind.config, data.pop("config", None) or {}, f"{where}: config", kind.presets[preset])
        return dataclasses.replace(build(cls, data, where), config=config)

    def to_dict(self) -> dict:
        """Plain data that `from_dict` takes: only what differs from the defaults of the method's config."""
        data = plain(self)
        data["config"] = changed(self.config, get(self.method).config())
        return data

    def to_yaml(self) -> str:
        """The recipe as YAML text."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True)


def plain(value: Any) -> Any:
    """Dataclasses and tuples as dicts and lists, so that YAML and JSON can hold them."""
    if dataclasses.is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return [plain(item) for item in value] if isinstance(value, tuple | list) else value


def changed(value: Any, default: Any) -> dict:
    """The fields of a config dataclass that differ from another of its kind, as plain data."""
    found = {}
    for item in dataclasses.fields(value):
        mine, other = getattr(value, item.name), getattr(default, item.name)
        if mine != other:
            found[item.name] = changed(mine, other) if dataclasses.is_dataclass(mine) else plain(mine)
    return found


def build(kind: type, data: Any, where: str, base: Any = None) -> Any:
    """A config dataclass from plain data, nested ones included; fields that are not named come from `base`.

    Raises:
        CocktailError: an unknown or missing field, or a value of the wrong type; names the field and what was expected.
    """
    if not isinstance(data, dict):
        raise CocktailError(f"{where} is {data!r}; expected a mapping.")
    hints, fields = get_type_hints(kind), {f.name: f for f in dataclasses.fields(kind)}
    unknown = [str(name) for name in data if name not in fields]
    if unknown:
        raise CocktailError(f"{where} has an unknown field {unknown[0]!r}; known: {', '.join(fields)}.")
    values = {n: _convert(hints[n], v, f"{where}: {n}", getattr(base, n, None)) for n, v in data.items()}
    if base is not None:
        return dataclasses.replace(base, **values)
    absent = dataclasses.MISSING
    missing = [n for n, f in fields.items() if n not in data and f.default is absent and f.default_factory is absent]
    if missing:
        raise CocktailError(f"{where} lacks the field {missing[0]!r}.")
    return kind(**values)


def _convert(hint: Any, value: Any, where: str, base: Any = None) -> Any:
    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint):
        return build(hint, value, where, base)
    if get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise CocktailError(f"{where} is {value!r}; expected a list.")
        return tuple(_convert(get_args(hint)[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        raise CocktailError(f"{where} is {value!r}; expected {hint.__name__}.")
    return value
