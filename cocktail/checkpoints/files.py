"""Files that are either whole or not there."""

import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from cocktail.errors import CocktailError


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Has `write` fill a temporary file, flushes it to disk and renames it over `path`.

    The file lies in a folder of its own beside `path`, since a writer may make files beside its own (safetensors does):
    what a crash leaves is one folder, .NAME.*.partial. A reader sees the old file or the new one, also after a crash.
    Raises: CocktailError where the folder cannot be written.
    """
    folder = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    partial = folder / path.name
    try:
        folder.mkdir(parents=True)
        partial.touch()
        mode = partial.stat().st_mode  # as the umask has it; safetensors would leave the file to its owner alone
        write(partial)
        partial.chmod(mode)
        _flush(partial)
        os.replace(partial, path)
        _flush(path.parent)
    except OSError as error:
        reason = error.strerror or error
        raise CocktailError(f"{path} cannot be written ({reason}); choose a folder that is writable.") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text atomically."""
    write_atomically(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def _flush(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folders; its rename is already journaled
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
