"""Models that a run puts in place: whole, or not at all."""

import contextlib
import os
import shutil
from pathlib import Path

from cocktail import checkpoints
from cocktail.checkpoints import native
from cocktail.gan import Gan


def publish(gan: Gan, folder: Path) -> None:
    """Saves a model so that the folder holds either what it held before or the whole new model.

    Killed between its two renames it leaves the old model aside, where `Run.tidy` finds it.
    Raises: CocktailError as `checkpoints.save`; the folder is unchanged then.
    """
    partial, old = folder.with_name(f".{folder.name}.partial"), folder.with_name(f".{folder.name}.old")
    for leftover in (partial, old):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        checkpoints.save(gan, partial)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    _flush(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def published(folder: Path) -> bool:
    """Tells whether `publish` left a model there."""
    return native.is_folder(folder)


def _flush(folder: Path) -> None:
    """Has the renames in a folder on the disk; a file system that cannot do so is no reason to stop."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
