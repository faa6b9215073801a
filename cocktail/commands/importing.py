"""python -m cocktail import: any supported checkpoint becomes a native folder."""

import argparse
from pathlib import Path

import yaml

from cocktail import checkpoints
from cocktail.checkpoints import importing, onnx
from cocktail.commands.base import register
from cocktail.errors import CocktailError


def _options(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", metavar="FILE", help="a checkpoint: see the README for the formats; or user/repo")
    command.add_argument("--out", metavar="DIR", help="new folder for the model (default: one in models/)")
    command.add_argument("--classes", metavar="A,B,...", default="", help="names for its classes, one each")
    command.add_argument("--onnx", nargs="+", default=[], metavar="FIELD=VALUE",
                         help="of an ONNX file: what is known better than it was found, as low=0")  # fmt: skip
    command.add_argument("--licence", default="", help="for a card that states none, such as cc-by-nc-4.0")
    command.add_argument("--title", default="", help="for a card that states none (default: the name of the file)")


@register("import", "read a checkpoint of any supported format and write a native folder", _options)
def run(args: argparse.Namespace) -> None:
    """Imports, and prints what was read and what was left out."""
    file = Path(args.file)
    folder = Path(args.out) if args.out else importing.free_folder(file.name)
    names = [part.strip() for part in args.classes.split(",") if part.strip()]
    gan = checkpoints.load(args.file)
    if args.onnx:
        gan = onnx.changed(gan, dict(map(_field, args.onnx)))
    gan = importing.keep(gan, folder, args.title or file.stem, names, args.licence)
    print(importing.lines(gan) + f"saved in {folder}, with this report in {importing.REPORT}")


def _field(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals:
        raise CocktailError(f"--onnx {text!r} is no FIELD=VALUE; for example: --onnx low=0 high=1")
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise CocktailError(f"--onnx {text!r}: the value cannot be read") from error
