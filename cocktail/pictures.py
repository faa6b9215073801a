"""A folder or zip of pictures: recognised, counted, read, and known again by a fingerprint."""

import contextlib
import hashlib
import io
import itertools
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from cocktail.errors import CocktailError
from cocktail.images import DECODING_ERRORS

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
MAX_PIXELS, MAX_BYTES = 50_000_000, 400_000_000  # of one picture
# What zipfile raises at a zip that is broken or made to confuse it.
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, OSError)
LOOKED_AT = 20_000  # entries of a folder, in the search for a first picture


@dataclass(frozen=True)
class Survey:
    """How many pictures there are, and (width, height) in px, as stored, of the one whose shorter side is shortest."""

    count: int
    smallest: tuple[int, int]


def is_pictures(path: str | Path) -> bool:
    """Whether a folder (all levels, its first 20,000 entries) or zip holds a picture, by the names in it alone.

    A zip that is broken counts, so that whoever reads it hears what is wrong.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        return any(_is_picture(entry) for entry in itertools.islice(path.rglob("*"), LOOKED_AT))
    try:
        return path.is_file() and zipfile.is_zipfile(path) and bool(names(path))
    except CocktailError:
        return True


def names(path: Path) -> list[str]:
    """The pictures of a folder or zip by their names inside it, sorted. Raises: CocktailError where it is neither."""
    return [name for name, _ in _files(path)]


def read(path: Path) -> Iterator[Image.Image]:
    """Yields every picture, decoded, in the order of the names.

    Raises: CocktailError that names the picture which is broken or too large, or says what is there instead.
    """
    for name, load in _files(path):
        yield _decoded(load(), _where(path, name))


def survey(path: Path) -> Survey:
    """Counts the pictures and looks at the size that each states, without decoding one; (0, 0) where there is none.

    Raises: CocktailError as `read`, but for damage behind a picture's header.
    """
    sizes = []
    for name, load in _files(path):
        with _readable(_where(path, name)):
            sizes.append(_header(load(), _where(path, name)).size)
    return Survey(len(sizes), min(sizes, key=lambda size: (min(size), max(size)), default=(0, 0)))


def fingerprint(path: Path) -> str:
    """SHA-256 over the sorted names and the bytes of all pictures, as 64 hexadecimal digits; a zip has its folder's."""
    digest = hashlib.sha256()
    for name, load in _files(path):
        data = load()
        digest.update(os.fsencode(f"{name}\0{len(data)}\0"))
        digest.update(data)
    return digest.hexdigest()


def _files(path: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yields the name of every picture of a folder (all levels) or zip, sorted, and what reads its bytes."""
    if path.is_dir():
        found = {p.relative_to(path).as_posix(): p for p in path.rglob("*") if _is_picture(p) and p.is_file()}
        for name in sorted(found):
            yield name, partial(_bytes, found[name])
    elif path.is_file() and zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                for entry in sorted(archive.infolist(), key=lambda e: e.filename):
                    if _is_picture(Path(entry.filename)):
                        yield entry.filename, partial(_unpack, archive, entry)
        except ZIP_ERRORS as error:
            raise CocktailError(f"{path} is a broken zip ({error}). Make it again.") from error
    else:
        raise CocktailError(
            f"{path}: expected a folder or zip of pictures, found {'a file' if path.exists() else 'nothing'}."
        )


def _is_picture(path: Path) -> bool:
    """By the suffix; names with a leading dot are notes that macOS leaves beside the files of a folder or zip."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _where(path: Path, name: str) -> str:
    """What a message calls a picture."""
    return str(path / name) if path.is_dir() else f"{path}: {name}"


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        reason = error.strerror or error
        raise CocktailError(f"{file} cannot be read ({reason}). Make it readable or remove it.") from error


def _unpack(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    name = f"{archive.filename}: {entry.filename}"
    if entry.file_size > MAX_BYTES:
        raise CocktailError(f"{name} has {entry.file_size:,} bytes; at most {MAX_BYTES:,}. Remove it.")
    try:
        return archive.read(entry)
    except ZIP_ERRORS as error:
        raise CocktailError(f"{name} cannot be unpacked ({error}). Make the zip again.") from error


@contextlib.contextmanager
def _readable(name: str) -> Iterator[None]:
    """Says of which picture PIL complains."""
    try:
        yield
    except CocktailError:
        raise
    except (*DECODING_ERRORS, EOFError, zlib.error, struct.error) as error:
        raise CocktailError(f"{name} is not a readable picture ({error}). Remove or replace it.") from error


def _header(data: bytes, name: str) -> Image.Image:
    """A picture that knows its size and is not decoded yet."""
    image = Image.open(io.BytesIO(data))
    if image.width * image.height > MAX_PIXELS:
        limit = f"at most {MAX_PIXELS // 10**6} megapixels"
        raise CocktailError(f"{name}: {image.width}x{image.height} pixels; {limit}. Reduce or remove it.")
    return image


def _decoded(data: bytes, name: str) -> Image.Image:
    """A decoded picture; 16-bit grey values are brought to 8 bits, which PIL would clip at 255."""
    with _readable(name):
        image = _header(data, name)
        image.load()
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) / 257).clip(0, 255).round().astype(np.uint8))
    image.filename = name  # for the message of `from_pil`
    return image
