"""The sources that a recipe names, loaded and checked: what a method is given."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from cocktail import checkpoints, pictures
from cocktail.checkpoints.formats import FORMATS
from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.methods.registry import Teacher
from cocktail.recipe import Source
from cocktail.sources import FolderSource, GanSource, ImageSource

MAX_NAME = 50  # characters; a class gives its name to a folder
LEAST_PICTURES = 10
PICTURES_PX = 64  # of a folder or zip, where nobody says another resolution


@dataclass(frozen=True)
class ModelTeacher:
    """A source model of a merge: which of its classes are taken (`picks`, () = all) and their names in the union."""

    gan: Gan
    picks: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def licence(self) -> str:
        """As the model's card states it; "" where it does not."""
        return str(self.gan.card.get("licence") or "").strip()

    def root(self) -> Gan:
        """The model."""
        return self.gan

    def source(self, resolution: int) -> GanSource:
        """Its samples, at the student's resolution in px."""
        return GanSource(self.gan, self.picks, self.names, resolution)

    def fingerprint(self) -> str:
        """As `fingerprint` of the model."""
        return fingerprint(self.gan)


@dataclass(frozen=True)
class PictureTeacher:
    """A folder or zip of pictures as one class of a merge: it teaches the root like samples of a model, without one."""

    path: Path
    names: tuple[str, ...]
    gan: ClassVar[None] = None
    picks: ClassVar[tuple[str, ...]] = ()
    licence: ClassVar[str] = ""
    _sources: dict[int, FolderSource] = field(default_factory=dict, init=False, repr=False, compare=False)

    def root(self) -> Gan:
        """Raises: CocktailError always."""
        raise CocktailError(f"{self.path} holds pictures, which cannot be the root. Make a model the root.")

    def source(self, resolution: int) -> FolderSource:
        """The pictures at a resolution in px, decoded once. Raises: CocktailError that names a broken picture."""
        if resolution not in self._sources:
            self._sources[resolution] = FolderSource(self.path, resolution, *self.names)
        return self._sources[resolution]

    def fingerprint(self) -> str:
        """As `pictures.fingerprint` of the folder or zip."""
        return pictures.fingerprint(self.path)


def teacher(source: Source, device: str) -> Teacher:
    """Loads a source: a model onto a device, frozen, with the classes that are taken and their names, or pictures.

    Raises:
        CocktailError: there is neither, the model cannot be loaded or lacks a class, the pictures are too few, or the
            names are not one for each class or cannot name a folder.
    """
    path = pictures_at(source.ref)
    found = _model(source, device) if path is None else _pictures(source, path)
    for name in found.names:
        if not name.strip() or name.startswith(".") or set(name) & set("/\\\0") or len(name) > MAX_NAME:
            raise CocktailError(
                f"{source.ref}: class {name!r} cannot name a folder; give it another name under `names`, of at most "
                f"{MAX_NAME} characters and without slashes."
            )
    return found


def load_source(ref: str | Path, resolution: int | None = None) -> ImageSource:
    """Whatever can give pictures, and be learned from: any model, also one that can do no more, or a folder or zip.

    resolution: of its pictures in px, default the model's own, of a folder or zip 64.

    Raises: CocktailError as `teacher`.
    """
    found = teacher(Source(str(ref)), "cpu")
    return found.source(resolution or (found.gan.resolution if found.gan else PICTURES_PX))


def pictures_at(ref: str) -> Path | None:
    """The folder or zip of pictures that a reference means, None where it means a model; cheap.

    Raises: CocktailError where there is nothing, a run that has no result yet, or neither model nor pictures.
    """
    path = checkpoints.locate(ref)
    if any(known.recognises(path) for known in FORMATS):
        return None
    if (path / checkpoints.native.RECIPE).is_file():
        raise CocktailError(f"{path} is a run without a result yet. Finish it, or name its folder latest/.")
    if pictures.is_pictures(path):
        return path
    raise CocktailError(
        f"{path} holds neither a model nor pictures. Expected {', '.join(known.title for known in FORMATS)}, or a "
        f"folder or zip with files ending in {', '.join(pictures.SUFFIXES)}."
    )


def spoken(ref: str) -> str:
    """What a class is called that no model names: the end of the reference, without revision or suffix."""
    path = Path(ref)
    return (path.parent.name if path.name in ("result", "latest") else path.stem).partition("@")[0] or "image"


def fingerprint(gan: Gan) -> str:
    """SHA-256 over the generator's and the discriminator's tensors, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for module in (gan.generator, gan.discriminator):
        for name, value in (module.state_dict() if module is not None else {}).items():
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def described(teachers: Sequence[Teacher]) -> str:
    """What a union is made from, for its card: "2 generators, made without a training image"."""
    shown = [name for teacher in teachers if teacher.gan is None for name in teacher.names]
    count = len(teachers) - len(shown)
    models = f"{count} generator{'s' if count > 1 else ''}"
    return f"{models} and pictures of {', '.join(shown)}" if shown else f"{models}, made without a training image"


def _model(source: Source, device: str) -> ModelTeacher:
    gan = checkpoints.load(source.ref).to(device)
    gan.generator.eval().requires_grad_(False)
    picks = source.classes or gan.classes
    for pick in picks:
        gan.class_index(pick)
    names = source.names or picks or (spoken(source.ref),)
    if len(names) != max(1, len(picks)):
        raise CocktailError(f"{source.ref}: {len(names)} names for {max(1, len(picks))} classes; give one each.")
    return ModelTeacher(gan, tuple(picks), tuple(names))


def _pictures(source: Source, path: Path) -> PictureTeacher:
    if source.classes:
        raise CocktailError(
            f"{source.ref} holds pictures, which are one class; found classes {', '.join(source.classes)}. Leave "
            "`classes` out and name the class under `names`."
        )
    if len(source.names) > 1:
        raise CocktailError(f"{source.ref}: {len(source.names)} names for pictures, which are one class; give one.")
    count = len(pictures.names(path))
    if count < LEAST_PICTURES:
        raise CocktailError(f"{source.ref}: {count} pictures; a class needs {LEAST_PICTURES} or more. Add some.")
    return PictureTeacher(path, source.names or (path.resolve().stem,))
