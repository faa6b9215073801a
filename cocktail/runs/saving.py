"""The stage in progress on disk: its newest state, and the one before until the newest is known to be readable."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from cocktail.checkpoints import write_atomically
from cocktail.errors import CocktailError
from cocktail.runs.explaining import out_of_memory
from cocktail.runs.folder import Run
from cocktail.training import State

STATE, PREVIOUS = "state.safetensors", "state.previous.safetensors"
UNREADABLE = (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError)


def save(run: Run, described: dict, state: State) -> None:
    """Writes a state, proves that it can be read, and only then lets it take the place of the one before.

    `described` is plain data that says which stage it belongs to: {"name": ..., "config": ...}.
    Raises: CocktailError where a value is not finite or the file cannot be written; the last saved state stays.
    """
    tensors, metadata = state.state_dict(), {"stage": json.dumps(described)}
    check_finite(tensors, state.images)
    run.flush_log()
    path = run.folder / STATE

    def write(partial: Path) -> None:
        try:
            save_file(tensors, partial, metadata=metadata)
        except SafetensorError as error:  # also a full disk
            raise OSError(str(error)) from error
        with safe_open(partial, framework="pt") as stored:
            if set(stored.keys()) != set(tensors):
                raise OSError("what was written is not what is read")
        if path.exists():
            os.replace(path, run.folder / PREVIOUS)

    write_atomically(path, write)


def restore(run: Run, described: dict, start: Callable[[], State]) -> State | None:
    """The newest saved state of a stage that can be read, taken up by what `start` gives; None where there is none.

    Raises: CocktailError where all that was saved of the stage is damaged.
    """
    faults = []
    for path in (run.folder / STATE, run.folder / PREVIOUS):
        try:
            found = _read(run, path, described, start) if path.is_file() else None
        except UNREADABLE as error:
            if out_of_memory(error):
                raise
            faults.append(f"{path} cannot be read ({error})")
            continue
        if found is not None:
            if faults:
                run.log(warning=f"{faults[0]}; went on from the state before it")
            return found
    if faults:
        raise CocktailError(f"{'; '.join(faults)}. Remove it: the stage then starts again.")
    return None


def stage_of(run: Run) -> str | None:
    """The name of the stage that a state was saved of; None where there is none that can be read."""
    for path in (run.folder / STATE, run.folder / PREVIOUS):
        try:
            return _described(path)["name"]
        except UNREADABLE:
            continue
    return None


def forget(run: Run) -> None:
    """Removes what was saved of the stage in progress."""
    for name in (PREVIOUS, STATE):
        (run.folder / name).unlink(missing_ok=True)


def check_finite(tensors: Mapping[str, Tensor], images: int) -> None:
    """Raises: CocktailError where one of the tensors holds NaN or infinity."""
    for name, value in tensors.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise CocktailError(
                f"training stopped at image {images}: {name} is not finite. The last saved state is kept; lower the "
                "learning rate, and resume."
            )


def _read(run: Run, path: Path, described: dict, start: Callable[[], State]) -> State | None:
    saved = _described(path)
    if saved["name"] != described["name"]:
        return None
    state = start()
    state.load_state_dict(load_file(path))
    if saved != described:
        run.log(warning=f"{described['name']} goes on from image {state.images} with another config than before")
    return state


def _described(path: Path) -> dict:
    with safe_open(path, framework="pt") as stored:
        return json.loads(stored.metadata()["stage"])
