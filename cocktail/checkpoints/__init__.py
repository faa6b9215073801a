"""Checkpoints: bundled models, native folders and files; a foreign format is one more file and one more import line."""

import json
from pathlib import Path

from cocktail.checkpoints import native  # isort: skip  (the first to be asked)
from cocktail.checkpoints import dcgan, hub, nvidia, onnx, rosinality, stylegan3, unreadable, zoo  # noqa: F401
from cocktail.checkpoints.files import write_atomically, write_text
from cocktail.checkpoints.formats import FORMATS
from cocktail.checkpoints.native import read_config, save
from cocktail.checkpoints.push import push_to_hub
from cocktail.errors import CocktailError
from cocktail.gan import Gan

__all__ = [
    "ASSETS",
    "beside",
    "bundled",
    "load",
    "locate",
    "push_to_hub",
    "read_config",
    "save",
    "write_atomically",
    "write_text",
]

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
    """The existing path that a reference means: "bundled/NAME", "zoo/NAME", any path, or a name of the Hub.

    A path wins over a name. "user/repo" and "user/repo@revision" are fetched when a process first asks for them; a
    model of the zoo has to be here. The folder of a finished run means the model in its result/.

    Raises: CocktailError that lists the bundled models and what else is accepted, or as `hub.fetch`.
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
    if text.startswith(zoo.PREFIX):
        return zoo.located(text)
    if hub.is_name(text):
        return hub.located(text)
    raise CocktailError(f"{text!r} is neither a path nor a bundled model. {_accepted()}")


def beside(ref: str | Path, name: str) -> Path | None:
    """The file of that name beside a model's weights, None where there is none. Raises: CocktailError as `locate`."""
    path = locate(ref)
    file = (path if path.is_dir() else path.parent) / name
    return file if file.is_file() else None


def load(ref: str | Path, revision: str | None = None) -> Gan:
    """Loads a model: "bundled/NAME", a path in any known format, "zoo/NAME", or "user/repo" of the Hub.

    On the CPU, in eval mode. revision: a branch, a tag or a commit of a model of the Hub; "user/repo@revision" says
    the same. A name of the Hub is looked up anew, and its card then tells the commit.

    Raises: CocktailError where there is no such model or it cannot be used; the message says why and what to do.
    """
    text = str(ref).strip()
    if hub.is_name(text) and not Path(text).exists():
        snapshot = hub.fetch(text, revision)
        return hub.load_card(_read(snapshot.path), snapshot)
    if revision:
        raise CocktailError(f"a revision belongs to a model of the Hub, user/repo; {text!r} is none.")
    gan = _read(locate(ref))
    return zoo.about(gan, text) if text.startswith(zoo.PREFIX) and not Path(text).exists() else gan


def _read(path: Path) -> Gan:
    for known in FORMATS:
        if known.recognises(path):
            return known.load(path)
    if path.is_dir():
        native.read_config(path)  # says what the folder lacks
    raise unreadable.refuse(path, _accepted())


def _accepted() -> str:
    names = ", ".join(BUNDLED + name for name in bundled()) or "none yet"
    return f"Accepted: {', '.join(known.title for known in FORMATS)}, a bundled model ({names}), user/repo of the Hub."
