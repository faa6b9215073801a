"""What commands share: registration, one-line errors, progress bars, tables, options made from config dataclasses."""

import argparse
import dataclasses
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from types import UnionType
from typing import Any, NoReturn, get_args, get_origin, get_type_hints

from cocktail.errors import CocktailError

MODEL_HELP = "bundled/NAME, zoo/NAME, a path, or user/repo of the Hub"


@dataclasses.dataclass(frozen=True)
class Command:
    """name and help for the list of commands; options adds arguments to a parser; run performs it."""

    name: str
    help: str
    options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], None]


COMMANDS: list[Command] = []


def register(name: str, text: str, options: Callable[[argparse.ArgumentParser], None]) -> Callable:
    """Registers the decorated function as a command."""

    def decorate(run: Callable[[argparse.Namespace], None]) -> Callable[[argparse.Namespace], None]:
        COMMANDS.append(Command(name, text, options, run))
        return run

    return decorate


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise CocktailError(f"{message} (see {self.prog} --help)")


def parser() -> argparse.ArgumentParser:
    """The parser of all registered commands: `args.run(args)` runs one; what it cannot read is a CocktailError."""
    main = _Parser(prog="cocktail", description="Merge pretrained GANs without data, and use what comes out.")
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    for command in COMMANDS:
        own = commands.add_parser(command.name, help=command.help, description=command.help)
        command.options(own)
        own.set_defaults(run=command.run)
    return main


@contextmanager
def bar(total: int | None, what: str, unit: str) -> Iterator[Any]:
    """A progress bar on stderr; none where that is no terminal.

    Raises: CocktailError where tqdm is not installed.
    """
    try:
        from tqdm import tqdm
    except ImportError as error:
        raise CocktailError("the command line needs tqdm for its progress bars: pip install tqdm") from error
    with tqdm(total=total, desc=what, unit=unit, disable=None, leave=False, dynamic_ncols=True) as shown:
        yield shown


def drain(steps: Generator[Any, None, Any], report: Callable[[Any], None]) -> Any:
    """Runs a generator to its end, reports what it yields, gives what it returns."""
    while True:
        try:
            report(next(steps))
        except StopIteration as end:
            return end.value


def table(rows: dict[str, dict[str, object]], of: str = "class") -> str:
    """Scores of classes, or of what `of` says, as aligned columns; "-" where there is none."""
    columns = list(dict.fromkeys(key for values in rows.values() for key in values))
    cells = [[of, *columns]]
    cells += [[name, *(_cell(values.get(column)) for column in columns)] for name, values in rows.items()]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths)) for row in cells)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def add_config(command: argparse.ArgumentParser, defaults: Any) -> None:
    """One option per field of a config dataclass, with the help, bounds and choices of its metadata.

    defaults: an instance; fields that are configs themselves are left out.
    """
    hints = get_type_hints(type(defaults))
    group = command.add_argument_group(type(defaults).__doc__.split(".")[0])
    for field in dataclasses.fields(defaults):
        value, hint = getattr(defaults, field.name), hints[field.name]
        if dataclasses.is_dataclass(value):
            continue
        flag, text = "--" + field.name.replace("_", "-"), _help(field, value)
        if hint is bool:
            group.add_argument(flag, action=argparse.BooleanOptionalAction, default=value, help=text)
            continue
        choices = field.metadata.get("choices")
        group.add_argument(flag, type=_reader(hint), default=value, choices=choices, help=text, metavar=_metavar(hint))


def read_config(kind: type, args: argparse.Namespace) -> Any:
    """The config that the options of `add_config` describe. Raises: CocktailError as the config's own checks do."""
    return kind(**{field.name: getattr(args, field.name) for field in dataclasses.fields(kind)})


def _help(field: dataclasses.Field, value: object) -> str:
    low, high = field.metadata.get("min"), field.metadata.get("max")
    bounds = "" if low is None else f", at least {low:g}" if high is None else f", {low:g} to {high:g}"
    choices = ", " + " or ".join(map(str, field.metadata["choices"])) if "choices" in field.metadata else ""
    shown = ",".join(map(str, value)) if isinstance(value, tuple) else value
    text = f"{field.metadata.get('help', field.name.replace('_', ' '))}{bounds}{choices} (default: {shown or 0})"
    return text.replace("%", "%%")


def _reader(hint: Any) -> Callable[[str], Any]:
    """What turns an option's text into a field's type; argparse names it in its message."""
    if isinstance(hint, UnionType):
        return _reader(get_args(hint)[0])
    if get_origin(hint) is not tuple:
        return hint
    item = get_args(hint)[0]

    def numbers(text: str) -> tuple:
        return tuple(item(part) for part in text.split(",") if part.strip())

    return numbers


def _metavar(hint: Any) -> str:
    if get_origin(hint) is tuple:
        return "A,B,..."
    return {int: "N", float: "X"}.get(hint, "NAME")
