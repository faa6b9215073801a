"""Any checkpoint that `load` knows becomes a native folder of one's own, with a report of what was read."""

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cocktail.checkpoints import native
from cocktail.checkpoints.files import write_text
from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.networks import architecture_of

HOME = "COCKTAIL_MODELS"
REPORT = "import.txt"  # beside the weights
UNNAMED = "model"


def home() -> Path:
    """The folder of imported models: COCKTAIL_MODELS, else models/ where the program runs."""
    return Path(os.environ.get(HOME) or "models")


def models() -> tuple[str, ...]:
    """References of the models in `home`, in alphabetical order."""
    folder = home()
    return tuple(str(path) for path in sorted(folder.glob("*")) if native.is_folder(path))


def free_folder(file_name: str) -> Path:
    """A folder in `home` for a file of that name, numbered where such a one is there."""
    stem = re.sub(r"\.(pkl|pt|pth|onnx|safetensors|zip)$", "", file_name, flags=re.IGNORECASE)
    base = re.sub(r"[^\w.+-]+", "-", stem).strip(".-+_")[:60] or UNNAMED
    number, folder = 2, home() / base
    while folder.exists():
        folder, number = home() / f"{base}-{number}", number + 1
    return folder


def keep(gan: Gan, folder: str | Path, title: str, names: Sequence[str] = (), licence: str = "") -> Gan:
    """Writes a model that was read from anywhere as a native folder, which must not be there yet, and returns it.

    The report of what was read lies in it as import.txt.

    title and licence: for the card, where it does not say; names: what to call the classes, one each.

    Raises: CocktailError where the folder holds something, the names do not fit, or as `native.save`.
    """
    folder = Path(folder).expanduser()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CocktailError(f"{folder} holds something already; name a new folder for the import.")
    if names and len(names) != len(gan.classes):
        raise CocktailError(
            f"{len(names)} names ({', '.join(names)}) for a model of {len(gan.classes)} classes; give one for each"
            + ("." if gan.classes else ", none here: the model is unconditional.")
        )
    said = {key: value for key, value in (("title", title), ("licence", licence)) if value}
    gan = replace(gan, classes=tuple(names) or gan.classes, card=said | gan.card)
    native.save(gan, folder)
    write_text(folder / REPORT, lines(gan))
    return gan


def lines(gan: Gan) -> str:
    """The report of an import as text, a line for each entry."""
    rows = report(gan)
    width = max(map(len, rows))
    return "".join(f"{name:{width}}  {value}\n" for name, value in rows.items())


def report(gan: Gan) -> dict[str, str]:
    """What an import found, by name, for people: format, architecture, what was read, what was left out and why."""
    found = gan.card.get("imported")
    found = found if isinstance(found, dict) else {}
    ignored = found.get("ignored")
    judge = architecture_of(gan.discriminator).name if gan.discriminator is not None else "none in the file"
    lines = {
        "format": str(found.get("format") or "native"),
        "generator": f"{architecture_of(gan.generator).name}, {gan.resolution} x {gan.resolution} px, "
                     f"z {gan.z_dim}, {gan.num_parameters:,} parameters",
        "discriminator": judge,
        "classes": ", ".join(gan.classes) or "none (unconditional)",
        "tensors read": str(found.get("read") or "all"),
        "licence": str(gan.card.get("licence") or "not stated in the file: ask whoever made it before passing it on"),
    }  # fmt: skip
    if isinstance(found.get("found"), dict):  # of a file that was tried out, such as ONNX
        lines |= {str(what): str(said) for what, said in found["found"].items()}
    if isinstance(ignored, dict):
        lines |= {f"left out: {what}": str(why) for what, why in ignored.items()}
    return lines
