"""The studio around one model as a Hugging Face Space: the exact folder, and its way to the Hub."""

import re
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import yaml

from cocktail import checkpoints
from cocktail.checkpoints import hub, modelcard, native
from cocktail.checkpoints.files import write_text
from cocktail.checkpoints.hub_errors import explained, library
from cocktail.checkpoints.push import changes
from cocktail.errors import CocktailError
from cocktail.gan import Gan

ROOT = Path(__file__).parents[2]
FILES, FOLDERS = ("app.py", "LICENSE", "requirements.txt"), ("cocktail", "editing", "ui", "assets")
MADE = {".pyc", ".pyo", ".partial"}  # endings of files that the program writes while it runs
LEFT_OUT = {"__pycache__", "readme"}  # names of folders; bundled models are left out too
MODEL = "model"
FRONT = "---\n"
MAX_DESCRIPTION = 60  # characters of short_description


def build(folder: str | Path, ref: str) -> Path:
    """Writes a Space that opens on a model: the app as it is here, the model in model/NAME, and a README of its own.

    Raises: CocktailError where the folder holds something, or the model cannot be read.
    """
    folder = Path(folder).expanduser()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CocktailError(f"{folder} holds something already; name a new folder for the Space.")
    gan = checkpoints.load(ref)
    bundled = {checkpoints.ASSETS / name for name in checkpoints.bundled()}
    for path in [ROOT / name for name in FILES] + [ROOT / name for name in FOLDERS]:
        if not path.exists():
            raise CocktailError(f"{path} is missing; build a Space from a whole checkout of the program.")
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.is_file() and _belongs(file) and not bundled & set(file.parents):
                goal = folder / file.relative_to(ROOT)
                goal.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, goal)
    shared = replace(gan, card=modelcard.without_paths(gan.card))
    kept = native.save(shared, folder / MODEL / name_of(ref))
    for name in hub.BESIDE:
        found = checkpoints.beside(ref, name)
        if found and not (kept / name).exists():
            shutil.copyfile(found, kept / name)
    write_text(folder / "README.md", readme(gan))
    return folder


def push(repo: str, ref: str, private: bool = False, hardware: str | None = None, token: str | None = None) -> str:
    """Creates or updates the Space user/name so that it opens on a model, as one commit; returns its address.

    hardware: as the Hub calls it, "cpu-basic", "zero-a10g", "t4-small", ...; None leaves what is there. Files of an
    older version of the Space are taken away.

    Raises: CocktailError where the name is none, the model cannot be read, nobody is signed in, or the Hub refuses.
    """
    if not hub.is_name(repo) or "@" in repo:
        raise CocktailError(f"{repo!r} is no name of the Hub; expected user/name.")
    api = library().HfApi()
    with tempfile.TemporaryDirectory() as made:
        folder = build(Path(made) / "space", ref)
        with explained(repo, writing=True):
            url = api.create_repo(repo, repo_type="space", space_sdk="gradio", space_hardware=hardware,
                                  private=private or None, exist_ok=True, token=token)  # fmt: skip
            there = [name for name in api.list_repo_files(repo, repo_type="space", token=token) if name[0] != "."]
            message = f"GAN Cocktail Studio with {name_of(ref)}"
            api.create_commit(repo, changes(folder, there), commit_message=message, repo_type="space", token=token)
    return str(url)


def name_of(ref: str) -> str:
    """What the folder of a model is called in a Space, after its reference."""
    plain = Path(str(ref).partition("@")[0] if hub.is_name(str(ref)) else str(ref)).name
    plain = re.sub(r"\.(safetensors|pkl|pt|pth|onnx)$", "", plain)
    return re.sub(r"[^\w.-]+", "-", plain).strip("-.") or "gan"


def readme(gan: Gan) -> str:
    """README.md of a Space: this program's front matter with the model's title and its models of the Hub."""
    front = front_matter((ROOT / "README.md").read_text(encoding="utf-8"))
    title = str(gan.card.get("title") or "A GAN")
    classes = ", ".join(gan.classes)
    models = [name for name in [modelcard.hub_name(gan.card), *modelcard.base_models(gan.card)] if name]
    front |= {"title": title[:60], "short_description": f"Explore a GAN of {classes or 'pictures'}"[:MAX_DESCRIPTION]}
    front |= {"models": list(dict.fromkeys(models))} if models else {}
    licence = modelcard.licence(gan.card) or "unknown"
    warnings = "".join(f"- {text}\n" for text in modelcard.inherited(gan.card).warnings)
    return (
        f"{FRONT}{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}{FRONT}\n# {title}\n\n"
        "GAN Cocktail Studio, open on one model: sample, interpolate, mix, move along directions, invert photos.\n\n"
        f"Program: Apache-2.0. Model: licence {licence}.\n\n{warnings}"
    )


def front_matter(text: str) -> dict:
    """The front matter of a README. Raises: CocktailError where it has none."""
    parts = text.split(FRONT, 2)
    found = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0] else None
    if not isinstance(found, dict):
        raise CocktailError(f"{ROOT / 'README.md'} does not begin with front matter between two lines of ---.")
    return found


def _belongs(file: Path) -> bool:
    parts = file.relative_to(ROOT).parts
    hidden = any(part.startswith(".") for part in parts)
    return not hidden and not LEFT_OUT & set(parts) and file.suffix not in MADE
