"""python -m cocktail merge: a UnionGAN from a recipe."""

import argparse
import json
import sys
from collections.abc import Generator
from pathlib import Path

from cocktail import runs
from cocktail.commands.base import bar, drain, register
from cocktail.gan import Gan
from cocktail.recipe import Recipe
from cocktail.training import Progress


def add_run_options(command: argparse.ArgumentParser) -> None:
    """The options of every command that trains."""
    command.add_argument("--out", required=True, type=Path, help="folder of the run; the model is in its result/")
    command.add_argument("--resume", action="store_true", help="go on with an interrupted run in that folder")
    command.add_argument("--json", action="store_true", help="print the result as JSON")


def follow(steps: Generator[Progress, None, Gan], args: argparse.Namespace) -> None:
    """Trains beside a progress bar that shows stage and losses, then prints where the model is."""
    stage = None
    try:
        with bar(None, "loading", " img") as shown:

            def show(progress: Progress) -> None:
                nonlocal stage
                if stage != progress.stage:
                    stage = progress.stage
                    shown.reset(progress.total_images)
                    shown.initial = shown.n = progress.images  # a resumed stage counts its time from here
                    shown.set_description(stage, refresh=False)
                shown.set_postfix({name: f"{value:.3g}" for name, value in progress.losses.items()}, refresh=False)
                shown.update(progress.images - shown.n)

            gan = drain(steps, show)
    except KeyboardInterrupt:
        print(f"go on with: --out {args.out} --resume", file=sys.stderr)
        raise
    result = {"result": str(args.out / "result"), "classes": list(gan.classes), "resolution": gan.resolution,
              "images_seen": gan.card.get("images_seen"), "minutes": gan.card.get("minutes"),
              "notes": gan.card.get("notes", {})}  # fmt: skip
    if args.json:
        print(json.dumps(result))
        return
    classes = ", ".join(gan.classes) or "no classes"
    print(f"{result['result']}: {classes}, {gan.resolution} px, {result['minutes']} minutes")
    for name, value in result["notes"].items():
        print(f"  {name}: {value:.4g}" if isinstance(value, float) else f"  {name}: {value}")


def _options(command: argparse.ArgumentParser) -> None:
    command.add_argument("recipe", metavar="RECIPE", help="YAML file: sources, method, root, config")
    add_run_options(command)


@register("merge", "merge models into one, as a recipe says", _options)
def merge(args: argparse.Namespace) -> None:
    """Runs a recipe in a folder, or goes on with it."""
    follow(runs.execute(Recipe.from_yaml(args.recipe), args.out, args.resume), args)
