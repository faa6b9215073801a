"""What can be done to a run from outside its process: start, pause, cancel, resume, extend, branch, delete."""

import contextlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import fields, replace
from pathlib import Path

from cocktail import hardware
from cocktail.checkpoints import native, write_text
from cocktail.errors import CocktailError
from cocktail.methods.registry import Planned, get
from cocktail.preflight.estimate import ALIGNMENT, Estimate
from cocktail.recipe import Recipe, plain
from cocktail.runs import saving
from cocktail.runs.fitting import HASHES
from cocktail.runs.folder import CANCEL, LOG, OUTPUT, PAUSE, PROCESS, RECIPE, Run
from cocktail.runs.publishing import published
from cocktail.runs.reading import read
from cocktail.runs.saving import PREVIOUS, STATE
from cocktail.runs.speed import ESTIMATE

HOME = "COCKTAIL_RUNS"  # the environment variable that names another folder of runs than ./runs
NAME = re.compile(r"[\w][\w .+-]{0,79}")
NICE = 10  # training gives way to the page
ROOT = Path(__file__).parents[2]


def home() -> Path:
    """The folder of runs."""
    return Path(os.environ.get(HOME) or "runs")


def named(name: str, inside: Path | None = None) -> Path:
    """The folder of a run of that name.

    Raises: CocktailError where the name cannot be a folder of its own.
    """
    if not NAME.fullmatch(name.strip()):
        raise CocktailError(
            f"{name!r} cannot name a run; letters, digits, spaces and . + - _ can, beginning with a letter or digit."
        )
    return (inside or home()) / name.strip()


def start(recipe: Recipe, folder: str | Path, estimate: Estimate | None = None) -> Run:
    """Starts a merge in a process of its own, which outlives this one.

    With an `estimate` its time left is right before it has measured anything itself.

    The number of threads is written into the recipe, since it is part of what makes the run repeatable.

    Raises: CocktailError where the folder holds something already, or cannot be written.
    """
    folder = _unused(folder)
    run = Run(folder)
    recipe = replace(recipe, threads=recipe.threads or hardware.available_threads())
    write_text(folder / RECIPE, recipe.to_yaml())
    if estimate:
        expected = {"rates": estimate.rates, "alignment_sec": sum(estimate.seconds.get(ALIGNMENT, (0.0,))) / 2}
        write_text(folder / ESTIMATE, json.dumps(expected))
    return _launch(run)


def resume(run: Run) -> Run:
    """Goes on with a run that waits for nobody's process.

    Raises: CocktailError where one is at work on it, it is finished, or it is no merge.
    """
    status = read(run.folder)
    if status.alive:
        raise CocktailError(f"{run.name} is {status.state} already.")
    if status.state == "finished":
        raise CocktailError(f"{run.name} is finished. Extend it to go on.")
    run.recipe()
    run.ask(None)
    return _launch(run)


def pause(run: Run) -> None:
    """Has the process save and end; the run is the next that `resume` goes on with."""
    _ask(run, PAUSE)


def cancel(run: Run) -> None:
    """Has the process save and end for good; `resume` still takes it up."""
    _ask(run, CANCEL)


def extend(run: Run, kimg: float) -> Run:
    """Adds a stage of further merging to a run that is at rest, and goes on with it.

    Raises: CocktailError where it is at work, or its method knows no further stages.
    """
    if read(run.folder).alive:
        raise CocktailError(f"{run.name} is at work. Pause it first, or let it finish.")
    recipe = run.recipe()
    if not kimg > 0:
        raise CocktailError(f"{kimg:g} kimg is nothing to extend by; give more than 0.")
    if not hasattr(recipe.config, "extra_kimg"):
        raise CocktailError(f"the method {recipe.method} cannot be extended.")
    longer = replace(recipe.config, extra_kimg=(*recipe.config.extra_kimg, float(kimg)))
    recipe = replace(recipe, config=longer)
    write_text(run.folder / RECIPE, recipe.to_yaml())
    run.log(recipe=recipe.to_dict())  # or the process would take it for an edit by hand
    return resume(run)


def branch(run: Run, folder: str | Path, recipe: Recipe | None = None) -> Run:
    """A new run, not started, that has what this one has finished and saved; with another recipe it differs from there.

    A finished stage whose config the new recipe changes is made again, and so is every stage after it; the stage in
    progress goes on from where it is.

    Raises: CocktailError where the folder is in use, or the recipe has other sources.
    """
    folder, old = _unused(folder), run.recipe()
    recipe = recipe or old
    if (recipe.sources, recipe.root, recipe.method) != (old.sources, old.root, old.method):
        raise CocktailError("a branch has the sources, the root and the method of its run. Start a new run instead.")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("stages", "samples"):
        if (run.folder / name).is_dir():
            shutil.copytree(run.folder / name, folder / name, ignore=shutil.ignore_patterns(".*"))
    for name in (STATE, PREVIOUS, HASHES, LOG, ESTIMATE):
        if (run.folder / name).is_file():
            shutil.copy2(run.folder / name, folder / name)
    write_text(folder / RECIPE, recipe.to_yaml())
    made = Run(folder)
    _drop_changed(made, old, recipe)
    made.log(recipe=recipe.to_dict(), warning=f"branched from {run.folder}", branched=True)
    return made


def delete(run: Run) -> None:
    """Removes a run's folder with all that is in it.

    Raises: CocktailError where a process is at work on it, or where all other runs would go with it.
    """
    if read(run.folder).alive:
        raise CocktailError(f"{run.name} is at work. Cancel it first.")
    for kept in (home(), Path.cwd()):
        if kept.resolve().is_relative_to(run.folder.resolve()):
            raise CocktailError(f"{run.folder} holds {kept.resolve()} as well. Remove what is to go by hand.")
    gone = run.folder.with_name(f".{run.name}.deleted")
    shutil.rmtree(gone, ignore_errors=True)
    with run.owned():  # nobody begins in the meantime
        run.folder.rename(gone)  # or whoever looks for its lock at this moment would make a new one
    shutil.rmtree(gone)


def _unused(folder: str | Path) -> Path:
    """Raises: CocktailError where a run cannot be made in the folder."""
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CocktailError(f"{folder} is not empty. Give the run another name.")
    return folder


def _drop_changed(run: Run, old: Recipe, recipe: Recipe) -> None:
    """Removes the finished stages that the recipe would make otherwise, with all that follows them."""
    classes = next((entry["classes"] for entry in reversed(run.entries()) if "classes" in entry), None)
    stages = get(recipe.method).plan(classes, recipe.config, recipe.seed) if classes else []
    fits, goes_on = bool(stages) and not _changed_between(stages, classes, old, recipe), None
    for planned in stages:
        folder = run.stage(planned.name)
        done = published(folder)
        if fits and done and native.read_config(folder)["card"].get("config") == plain(planned.config):
            continue
        if fits and not done:
            goes_on = planned.name  # the stage in progress, if it is the one that was saved
        fits = False
        shutil.rmtree(folder, ignore_errors=True)
        if planned.name != goes_on:
            run.trim_log(lambda entry, name=planned.name: entry.get("stage") == name)
    if goes_on is None or saving.stage_of(run) != goes_on:
        saving.forget(run)


def _changed_between(stages: list[Planned], classes: list[list[str]], old: Recipe, recipe: Recipe) -> bool:
    """Tells whether the recipes differ in what no stage's config shows, such as how the average is taken."""
    hidden = []
    for field in fields(recipe.config):
        mine, theirs = getattr(recipe.config, field.name), getattr(old.config, field.name)
        if mine != theirs:
            without = replace(recipe.config, **{field.name: theirs})
            hidden.append(get(recipe.method).plan(classes, without, recipe.seed) == stages)
    return any(hidden)


def _ask(run: Run, word: str) -> None:
    if read(run.folder).state == "finished":
        raise CocktailError(f"{run.name} is finished.")
    run.ask(word)


def _launch(run: Run) -> Run:
    recipe, out = run.folder / RECIPE, run.folder
    command = [sys.executable, "-m", "cocktail", "merge", str(recipe), "--out", str(out), "--resume"]
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
    with (run.folder / OUTPUT).open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment,
            start_new_session=True,
        )  # fmt: skip
    about = {"pid": process.pid, "host": platform.node(), "started": time.time()}
    write_text(run.folder / PROCESS, json.dumps(about))
    if hasattr(os, "setpriority"):
        with contextlib.suppress(OSError):  # it may be nicer already, or gone
            os.setpriority(os.PRIO_PROCESS, process.pid, NICE)
    threading.Thread(target=process.wait, daemon=True).start()  # or it would stay a zombie as long as this process
    return run
