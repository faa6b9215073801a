"""python -m cocktail sample: pictures of a model on one sheet."""

import argparse
import json
import math
from pathlib import Path

import torch

from cocktail.checkpoints import load
from cocktail.commands.base import MODEL_HELP, bar, register
from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.images import grid, to_uint8
from cocktail.seeds import parse_seeds

MAX_PIXELS = 400_000_000
CHUNK = 16  # pictures between two steps of the progress bar


def _options(command: argparse.ArgumentParser) -> None:
    command.add_argument("ref", metavar="REF", help=MODEL_HELP)
    command.add_argument("--class", dest="label", help="class name or number; default: all, one row each, same seeds")
    command.add_argument("--seeds", default="0-15", help='numbers and ranges, "0-3,8" (default: %(default)s)')
    command.add_argument("--out", required=True, type=Path, help="picture to write: .png, .jpg or .webp")
    command.add_argument("--truncation", type=float, default=1.0, help="psi (default: %(default)s)")
    command.add_argument("--noise", choices=("const", "random", "none"), default="const", help="(default: %(default)s)")
    command.add_argument("--columns", type=int, help="pictures in a row (default: about as many as rows)")
    command.add_argument("--json", action="store_true", help="print what was drawn as JSON")


@register("sample", "draw pictures of a model on one sheet", _options)
def sample(args: argparse.Namespace) -> None:
    """Draws all seeds of one class, or of every class in a row of its own, and writes the sheet."""
    seeds = parse_seeds(args.seeds)
    if args.out.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise CocktailError(f"--out is {args.out}; expected a name that ends in .png, .jpg or .webp")
    if args.columns is not None and args.columns < 1:
        raise CocktailError(f"--columns is {args.columns}; expected at least 1")
    gan = load(args.ref)
    labels = _labels(gan, args.label)
    cells = [(seed, label) for label in labels for seed in seeds]
    if len(cells) * gan.resolution**2 > MAX_PIXELS:
        size = f"{len(cells)} pictures of {gan.resolution} px"
        raise CocktailError(f"{size} are too many for one sheet; give fewer seeds")
    columns = args.columns or (len(seeds) if len(labels) > 1 else math.ceil(math.sqrt(len(cells))))
    sheet = grid(_draw(gan, cells, args.truncation, args.noise), columns)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(args.out)
    drawn = {"out": str(args.out), "model": args.ref, "classes": list(labels) if gan.classes else [], "seeds": seeds,
             "truncation": args.truncation, "noise": args.noise, "columns": min(columns, len(cells))}  # fmt: skip
    print(json.dumps(drawn) if args.json else f"{len(cells)} pictures in {args.out} ({sheet.width} x {sheet.height})")


def _draw(gan: Gan, cells: list[tuple[int, str | None]], truncation: float, noise: str) -> torch.Tensor:
    """uint8 [N, 3, R, R]: one picture per (seed, class)."""
    parts = []
    with bar(len(cells), "drawing", " pictures") as shown:
        for start in range(0, len(cells), CHUNK):
            chunk = cells[start : start + CHUNK]
            label = [label for _, label in chunk] if gan.classes else None
            parts.append(to_uint8(gan.sample([seed for seed, _ in chunk], label, truncation, noise)))
            shown.update(len(chunk))
    return torch.cat(parts)


def _labels(gan: Gan, text: str | None) -> tuple[str | None, ...]:
    """The classes to draw: one that was named or numbered, else all; (None,) for a model without classes."""
    if text is None:
        return gan.classes or (None,)
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else None
    index = gan.class_index(text if text in gan.classes or number is None else number)
    return (gan.classes[index],)
