"""python -m cocktail edit: an edited picture again, bit by bit, from its settings."""

import argparse
import json
from pathlib import Path

import torch

from cocktail.checkpoints import load
from cocktail.commands.base import MODEL_HELP, register
from cocktail.errors import CocktailError
from cocktail.hardware import available_threads
from editing.latents import render
from editing.recipes import Recipe, fingerprint, from_png, read, to_png


def _options(command: argparse.ArgumentParser) -> None:
    command.add_argument("recipe", type=Path, metavar="RECIPE", help="settings as .json, or a PNG that holds them")
    command.add_argument("--out", type=Path, help="picture to write, .png")
    command.add_argument("--model", metavar="REF", help=f"{MODEL_HELP}; default: the one that the settings name")
    command.add_argument("--json", action="store_true", help="print the settings as JSON")


@register("edit", "make a picture of the studio again from its settings", _options)
def edit(args: argparse.Namespace) -> None:
    """Draws what the settings describe with the very model that made it, and writes it with its settings inside."""
    recipe = _recipe(args.recipe)
    if args.out is None and not args.json:
        raise CocktailError("nothing to do: give --out PICTURE.png, or --json to see the settings")
    if args.out is not None:
        if args.out.suffix.lower() != ".png":
            raise CocktailError(f"--out is {args.out}; expected a name that ends in .png, which keeps every bit")
        torch.set_num_threads(available_threads())  # as the studio does: the last bit may depend on it
        gan = load(args.model or recipe.model)
        image = render(gan, recipe, fingerprint(gan))
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_bytes(to_png(image, recipe))
    print(json.dumps(json.loads(recipe.to_json()), indent=2) if args.json else f"{recipe.describe()}: {args.out}")


def _recipe(path: Path) -> Recipe:
    if path.suffix.lower() == ".png":
        return from_png(path)
    try:
        return read(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise CocktailError(f"{path} is no text; expected settings as JSON, or a .png that holds them") from error
