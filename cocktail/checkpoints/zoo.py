"""The zoo: well-known public checkpoints, listed in zoo.yaml, fetched by name when asked for and never before."""

import functools
import hashlib
import json
import os
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

import yaml
from filelock import FileLock

from cocktail.checkpoints.download import Report, download
from cocktail.checkpoints.files import write_text
from cocktail.errors import CocktailError
from cocktail.gan import Gan

PREFIX = "zoo/"
LIST = Path(__file__).with_name("zoo.yaml")
CACHE, MIRROR = "COCKTAIL_CACHE", "COCKTAIL_ZOO_MIRROR"
RECORDS = "hashes.json"  # name -> SHA-256 and bytes of the file as it was first fetched
MAX_BYTES = 4 << 30


@dataclass(frozen=True)
class Entry:
    """One model of the zoo. licence is of the weights, data that of the pictures it learned from, "" = not stated."""

    name: str
    title: str
    publisher: str
    url: str
    about: str
    format: str
    resolution: int
    licence: str
    licence_link: str
    data: str = ""
    sha256: str = ""
    classes: tuple[str, ...] = ()

    @property
    def ref(self) -> str:
        return PREFIX + self.name


@functools.cache
def entries() -> dict[str, Entry]:
    """All models of the zoo by name, in the order of the list."""
    listed = yaml.safe_load(LIST.read_text(encoding="utf-8"))
    found = {}
    for name, said in listed["models"].items():
        maker = listed["publishers"][said["from"]]
        found[name] = Entry(
            name, said["title"], maker["publisher"], maker["base"] + said["file"], maker["about"], maker["format"],
            said["resolution"], maker["licence"], maker["licence_link"], said["data"] or "", said["sha256"] or "",
            tuple(said.get("classes", ())),
        )  # fmt: skip
    return found


def entry(name: str) -> Entry:
    """The model of that name, with or without "zoo/". Raises: CocktailError that lists the names."""
    plain = name.removeprefix(PREFIX)
    if plain not in entries():
        raise CocktailError(f"the zoo has no {plain!r}; it has {', '.join(entries())}.")
    return entries()[plain]


def folder() -> Path:
    """Where fetched models are kept: zoo/ in COCKTAIL_CACHE, by default ~/.cache/gan-cocktail."""
    return Path(os.environ.get(CACHE) or Path.home() / ".cache" / "gan-cocktail").expanduser() / "zoo"


def path_of(name: str) -> Path:
    """Where the file of a model is or will be."""
    found = entry(name)
    return folder() / found.name / found.url.rpartition("/")[2]


def is_here(name: str) -> bool:
    """Whether a model has been fetched."""
    return path_of(name).is_file()


def located(ref: str) -> Path:
    """The file of "zoo/NAME", which must have been fetched.

    Raises: CocktailError where the zoo has no such model, or it is not here yet: nothing is downloaded unasked.
    """
    found = entry(ref)
    if not is_here(ref):
        raise CocktailError(
            f"{found.ref} is not on this machine yet ({found.title}, {found.resolution} px, licence {found.licence}). "
            f"Fetch it in the Library, or with: python -m cocktail zoo fetch {found.name}"
        )
    return path_of(ref)


def fetch(name: str, report: Report | None = None) -> Path:
    """Downloads a model of the zoo unless it is here, checks its SHA-256, and returns its file.

    Where none is published the first download's is recorded, and every later one has to equal it.

    Raises: CocktailError where the name is unknown, the download fails, or the file is another than it was.
    """
    found, path = entry(name), path_of(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.parent / ".lock"):
        if path.is_file():
            return path
        arrived = path.with_name(path.name + ".arrived")
        download(address(found), arrived, report, MAX_BYTES)
        _trust(found, arrived)
        os.replace(arrived, path)
    return path


def address(found: Entry) -> str:
    """Where a model is fetched from: its publisher, or the mirror that COCKTAIL_ZOO_MIRROR names."""
    mirror = os.environ.get(MIRROR)
    return f"{mirror.rstrip('/')}/{urllib.parse.quote(found.url.rpartition('/')[2])}" if mirror else found.url


def about(gan: Gan, ref: str) -> Gan:
    """The same model, its card and class names telling what the zoo knows of it."""
    found = entry(ref)
    description = f"{found.publisher}, {found.resolution} px: {found.about}." + (
        f" The pictures that it learned from: {found.data}." if found.data else ""
    )
    stated = {"licence": found.licence, "licence_link": found.licence_link}
    named = {"title": f"{found.title} ({found.name})", "description": description,
             "zoo": {"name": found.name, "url": found.url}}  # fmt: skip
    gan.card = stated | gan.card | named
    if len(found.classes) == len(gan.classes) and gan.classes == tuple(map(str, range(len(gan.classes)))):
        gan.classes = found.classes
    return gan


def recorded(name: str) -> str:
    """The SHA-256 that a model's file has to have: the published one, else as it was first fetched; "" for none."""
    return entry(name).sha256 or str(_records().get(entry(name).name, {}).get("sha256", ""))


def _trust(found: Entry, path: Path) -> None:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    expected = recorded(found.name)
    if expected and digest != expected:
        path.unlink()
        whose = "published" if found.sha256 else f"recorded when it was first fetched (in {folder() / RECORDS})"
        raise CocktailError(
            f"{found.url} is another file than it was: SHA-256 {digest}, expected {expected}, {whose}. It is thrown "
            "away; fetch it again, and if it stays so, ask its publisher."
        )
    if not expected:
        with FileLock(folder() / ".lock"):
            known = _records() | {found.name: {"sha256": digest, "bytes": path.stat().st_size, "url": found.url}}
            write_text(folder() / RECORDS, json.dumps(known, indent=2) + "\n")


def _records() -> dict:
    try:
        found = json.loads((folder() / RECORDS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise CocktailError(f"{folder() / RECORDS} cannot be read ({error}); mend or delete it.") from error
    return found if isinstance(found, dict) else {}
