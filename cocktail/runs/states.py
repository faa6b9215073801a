"""Whether a run is at work, waits, or how it ended, as its folder and the queue tell."""

import json
import os
import platform
import time
from pathlib import Path

from cocktail.checkpoints import native
from cocktail.errors import CocktailError
from cocktail.runs.folder import OUTPUT, RECIPE, Run
from cocktail.runs.publishing import published
from cocktail.runs.queue import waiting

STARTING_SEC = 120.0  # that a new process may take until it holds the run's lock
ALIVE = ("starting", "waiting", "running", "stopping")


def state_of(run: Run, entries: list[dict]) -> tuple[str, str]:
    if run.alive():
        if run.asked():
            return "stopping", "It saves and stops after the step in progress."
        return ("waiting", "") if ahead(run) else ("running", "")
    if _starting(run):
        return ("stopping", "It stops as soon as it has started.") if run.asked() else ("starting", "")
    if _complete(run):
        return "finished", ""
    if run.asked():
        return {"pause": "paused", "cancel": "cancelled"}[run.asked()], ""
    return _ended(run, entries)


def _ended(run: Run, entries: list[dict]) -> tuple[str, str]:
    """How the last process of a run that is not finished came to its end."""
    last = next(
        (e for e in reversed(entries) if e.keys() & {"session", "failed", "stopped", "finished", "branched"}), None
    )
    if last is not None and "failed" in last:
        return "failed", str(last["failed"])
    if last is not None and "stopped" in last:
        return "stopped", "It was asked to stop and saved its state."
    if last is not None and "finished" in last:
        return "stopped", "It was finished, and its recipe now goes further."
    said = [line for line in _tail(run).splitlines() if line.startswith("error: ")]
    if said:  # what the log could not take
        return "failed", said[-1].removeprefix("error: ")
    if last is None or "branched" in last:
        return "new", ""
    return "interrupted", "Its process ended without a word, by a crash or a power cut. The last saved state is kept."


def _complete(run: Run) -> bool:
    """Tells whether the result is that of the recipe as it stands: an extended run has one that is too short."""
    if not published(run.result):
        return False
    try:
        return native.read_config(run.result)["card"].get("recipe") == _recipe(run)
    except (CocktailError, OSError, ValueError):
        return False


def _recipe(run: Run) -> dict:
    """What recipe.yaml says, as a result's card repeats it: a merge, or a source that was trained, as JSON."""
    try:
        return run.recipe().to_dict()
    except CocktailError:
        return json.loads((run.folder / RECIPE).read_text(encoding="utf-8"))


def _starting(run: Run) -> bool:
    """Tells whether a process was started that does not hold the lock yet."""
    about = run.process()
    if not about or about.get("working") or about.get("host") != platform.node():
        return False
    if not 0 <= time.time() - about["started"] < STARTING_SEC:
        return False
    try:
        os.kill(about["pid"], 0)
    except OSError:
        return False
    return True


def ahead(run: Run) -> list[Path]:
    """The runs that come before this one on its device."""
    try:
        queue = waiting(run.recipe().device)
    except CocktailError:  # nobody, as far as this process can tell
        return []
    here = run.folder.resolve()
    return queue[: queue.index(here)] if here in queue else []


def _tail(run: Run, characters: int = 4000) -> str:
    """The end of what the process wrote."""
    try:
        with (run.folder / OUTPUT).open("rb") as file:
            file.seek(max(0, (run.folder / OUTPUT).stat().st_size - characters))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
