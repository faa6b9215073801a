"""Checkpoints: bundled models, native folders and files; a foreign format is one more file and one more import line."""

import json
from pathlib import Path

from cocktail.checkpoints import native
from cocktail.checkpoints.files import write_atomically, write_text
from cocktail.checkpoints.formats import FORMATS
from cocktail.checkpoints.native import read_config, save
from cocktail.errors import CocktailError
from cocktail.gan import Gan

__all__ = ["ASSETS", "beside", "bundled", "load", "locate", "read_config", "save", "write_atomically", "write_text"]

ASSETS = Path(__file__).parents[2] / "assets"
BUNDLED = "bundled/"
RESULT = "result"  # where a run leaves its model


def bundled() -> tuple[str, ...]:
    """The names of the models that come with the program, without "bundled/", in alphabetical order."""
    names = []
    for path in sorted(ASSETS.glob(f"*/{native.CONFIG}")):
        try:
            described = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(described, dict) and described.get("format") == native.FORMAT:
            names.append(path.parent.name)
    return tuple(names)


def locate(ref: str | Path) -> Path:
    """The existing path that a reference means: "bundled/NAME", or any path; a path wins over a name of the Hub.

    The folder of a finished run means the model in its result/.

    Raises: CocktailError that lists the bundled models and what else is accepted.
    """
    text = str(ref).strip()
    if text.startswith(BUNDLED) and text.removeprefix(BUNDLED) in bundled():
        return ASSETS / text.removeprefix(BUNDLED)
    path = Path(text).expanduser()
    try:
        exists = bool(text) and path.exists()
    except (OSError, ValueError):  # a name that is too long, or holds a zero byte
        exists = False
    if exists:
        finished = path / RESULT
        return finished if not native.is_folder(path) and native.is_folder(finished) else path
    if text.startswith(BUNDLED):
        raise CocktailError(f"no bundled model {text!r}. {_accepted()}")
    if text.count("/") == 1 and not text.startswith((".", "/", "~")) and not path.suffix:
        reason = "is no path here, and loading from the Hub is not available in this version"
    else:
        reason = "is neither a path nor a bundled model"
    raise CocktailError(f"{text!r} {reason}. {_accepted()}")


def beside(ref: str | Path, name: str) -> Path | None:
    """The file of that name beside a model's weights, None where there is none. Raises: CocktailError as `locate`."""
    path = locate(ref)
    file = (path if path.is_dir() else path.parent) / name
    return file if file.is_file() else None


def load(ref: str | Path) -> Gan:
    """Loads a model: "bundled/NAME", a native folder, or a .safetensors file; on the CPU, in eval mode.

    Raises: CocktailError where there is no such model or it cannot be used; the message says why and what to do.
    """
    path = locate(ref)
    for known in FORMATS:
        if known.recognises(path):
            return known.load(path)
    if path.is_dir():
        native.read_config(path)  # says what the folder lacks
    size = f"{path.stat().st_size:,} bytes" if path.is_file() else "no regular file"
    raise CocktailError(f"{path} ({size}) is no checkpoint that this version reads. {_accepted()}")


def _accepted() -> str:
    names = ", ".join(BUNDLED + name for name in bundled()) or "none yet"
    return f"Accepted: {', '.join(known.title for known in FORMATS)}, a bundled model ({names})."
