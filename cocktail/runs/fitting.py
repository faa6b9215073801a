"""Whether a folder, a recipe and the sources belong to one run."""

import json
from pathlib import Path

from cocktail.checkpoints import write_text
from cocktail.errors import CocktailError
from cocktail.methods.registry import Teacher
from cocktail.recipe import Recipe, changed
from cocktail.runs.folder import RECIPE, Run

HASHES = "source_hashes.json"


def prepare(folder: str | Path, resume: bool, description: str) -> Run:
    """Makes a run's folder, or takes up one that has the same description (the text of recipe.yaml).

    Raises:
        CocktailError: the folder is in use without `resume`, or holds another recipe.
    """
    run = fitting(folder, resume, description)
    if not (run.folder / RECIPE).is_file():
        write_text(run.folder / RECIPE, description)
    return run


def fitting(folder: str | Path, resume: bool, description: str) -> Run:
    """The run of a folder that may hold one of this description, made or not. Raises: CocktailError as `prepare`."""
    run = Run(Path(folder))
    path = run.folder / RECIPE
    if run.folder.exists() and not run.folder.is_dir():
        raise CocktailError(f"{folder} is a file. Name a folder for the run.")
    if run.folder.is_dir() and any(not entry.name.startswith(".") for entry in run.folder.iterdir()):
        if not resume:
            raise CocktailError(
                f"{folder} is not empty. Add --resume to go on with the run there, or name a new folder."
            )
        if not path.is_file() or description not in (path.read_text(encoding="utf-8"), _as_written(run)):
            raise CocktailError(f"{folder} holds another run: its recipe.yaml differs. Name a new folder.")
    return run


def _as_written(run: Run) -> str | None:
    """A recipe.yaml that somebody edited, in this program's words; None where it is no merge."""
    try:
        return run.recipe().to_yaml()
    except CocktailError:
        return None


def check_recipe(run: Run, recipe: Recipe) -> None:
    """Compares the recipe with the one that the run last went on with, and warns of what was changed.

    Raises: CocktailError where what is done already would not fit any more.
    """
    entries = [entry["recipe"] for entry in run.entries() if isinstance(entry.get("recipe"), dict)]
    before, now = (entries[-1] if entries else None), recipe.to_dict()
    if before is None or before == now:
        return
    differs = [name for name in now if before.get(name) != now[name]]
    fixed = [name for name in differs if name in ("sources", "root", "method")]
    if fixed:
        raise CocktailError(
            f"{run.folder / RECIPE} has been edited: {' and '.join(fixed)} cannot change in the middle of a run. Put "
            "the old text back and resume, or start a new run."
        )
    if "config" in differs:
        differs.remove("config")
        differs += sorted(changed(recipe.config, Recipe.from_dict(before).config))
    run.log(warning=f"recipe.yaml has been edited ({', '.join(differs)}): the run goes on with it from here")


def check_sources(run: Run, teachers: list[Teacher]) -> None:
    """Writes the hashes of the sources, or compares them with those that the run began with."""
    path = run.folder / HASHES
    found = {"+".join(t.names): t.fingerprint() for t in teachers}
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        for name, digest in found.items():
            if before.get(name) != digest:
                raise CocktailError(
                    f"the source of {name} has changed since this run began. Put the old file back and resume, or "
                    "start a new run."
                )
        return
    if run.writes:
        write_text(path, json.dumps(found, indent=1))
