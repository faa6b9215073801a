"""python -m cocktail merge: a UnionGAN from a recipe."""

import argparse
import contextlib
import dataclasses
import json
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from cocktail import parallel, preflight, runs
from cocktail.commands.base import bar, drain, register
from cocktail.commands.events import Events
from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.recipe import Recipe
from cocktail.training import Progress

WAITING = "waiting"  # the stage of a run whose turn has not come


def add_run_options(command: argparse.ArgumentParser, required: bool = True) -> None:
    """The options of every command that trains."""
    command.add_argument("--out", required=required, type=Path, help="folder of the run; the model is in its result/")
    command.add_argument("--resume", action="store_true", help="go on with an interrupted run in that folder")
    command.add_argument("--json", action="store_true", help="print the result as JSON")


def follow(
    steps: Generator[Progress, None, Gan], args: argparse.Namespace, report: Callable[[Progress], None] | None = None
) -> None:
    """Trains beside a progress bar that shows stage and losses, then prints where the model is.

    `report` is told of every step that has losses to tell.
    """
    if not parallel.speaks():
        with contextlib.suppress(runs.Stopped):
            drain(steps, lambda progress: None)
        return
    stage = None
    try:
        with bar(None, "loading", " img") as shown:

            def show(progress: Progress) -> None:
                nonlocal stage
                _show(shown, progress, begins=progress.stage != stage)
                stage = progress.stage
                if progress.losses and report is not None:
                    report(progress)

            gan = drain(steps, show)
    except runs.Stopped as stopped:
        print(stopped)
        return
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


def _show(shown: Any, progress: Progress, begins: bool) -> None:
    """Brings a bar to where the run is; while it waits the bar says for how many others."""
    if progress.stage == WAITING:
        count = progress.total_images
        shown.set_description_str(f"waiting for {count} run{'s' if count > 1 else ''} on this device")
        return
    if begins:
        shown.reset(progress.total_images)
        shown.initial = shown.n = progress.images  # a resumed stage counts its time from here
        shown.set_description(progress.stage, refresh=False)
    if progress.losses:
        named = {name: f"{value:.3g}" for name, value in progress.losses.items()}
        shown.set_postfix(named, refresh=False)
    shown.update(progress.images - shown.n)


def _options(command: argparse.ArgumentParser) -> None:
    command.add_argument("recipe", metavar="RECIPE", help="YAML file: sources, method, root, config")
    add_run_options(command, required=False)
    command.add_argument("--check", action="store_true", help="say what stands in the way and what it will take")
    command.add_argument("--tensorboard", action="store_true", help="write event files to tensorboard/ in the run")


@register("merge", "merge models into one, as a recipe says", _options)
def merge(args: argparse.Namespace) -> None:
    """Runs a recipe in a folder, or goes on with it, or checks it."""
    recipe = Recipe.from_yaml(args.recipe)
    if args.check:
        check(recipe, args)
        return
    if args.out is None:
        raise CocktailError("the following arguments are required: --out (see cocktail merge --help)")
    events = Events(runs.Run(args.out)) if args.tensorboard else None
    try:
        follow(runs.execute(recipe, args.out, args.resume), args, lambda _: events.update() if events else None)
    finally:
        if events:
            events.close()


def check(recipe: Recipe, args: argparse.Namespace) -> None:
    """Prints what a recipe's preflight found, and what the merge will take where nothing stands in its way.

    Raises: CocktailError where something does.
    """
    findings = preflight.check(recipe)
    errors = [finding for finding in findings if finding.level == "error"]
    estimate = None
    if not errors:
        with bar(None, "measuring", "") as shown:
            steps = preflight.estimate(recipe, folder=args.out or runs.home())
            estimate = drain(steps, lambda name: shown.set_description_str(f"measuring {name}"))
    if args.json:
        found = [dataclasses.asdict(finding) for finding in findings]
        print(json.dumps({"findings": found, "estimate": estimate and dataclasses.asdict(estimate)}))
    else:
        for finding in findings:
            about = f"{finding.source}: " if finding.source else ""
            print(f"{finding.level:>5}  {about}{finding.text}{f' ({finding.mend})' if finding.mend else ''}")
        if estimate is not None:
            print(estimate.words())
    if errors:
        count = "1 error stands" if len(errors) == 1 else f"{len(errors)} errors stand"
        raise CocktailError(f"{count} in the way of {args.recipe}: {errors[0].text}")
