"""Zip archives that nobody vouches for: their list of entries, checked before any of them is read or any file made."""

import contextlib
import os
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

from cocktail.errors import CocktailError
from cocktail.pictures import ZIP_ERRORS

MAX_DIRECTORY = 8 << 20  # bytes of the list of entries, some 100,000 of them
TAIL = 22 + 65_535  # the end record and the longest comment behind it
MAX_NAME = 1_000
END, LOCATOR = b"PK\5\6", b"PK\6\7"


@contextlib.contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip open for reading. Raises: CocktailError where it is broken or its list of entries is too long."""
    found = directory(path)
    if found is None:
        raise CocktailError(f"{path} is damaged or no zip: it has no end record. Copy or download it again.")
    size = found[1]
    if size > MAX_DIRECTORY:
        raise CocktailError(f"{path}: its list of entries has {size:,} bytes; at most {MAX_DIRECTORY:,} are accepted.")
    try:
        stored = zipfile.ZipFile(path)
    except ZIP_ERRORS as error:
        raise CocktailError(f"{path} is damaged or no zip ({error}); copy or download it again.") from error
    with stored:
        yield stored


def entries(stored: zipfile.ZipFile, where: str) -> dict[str, zipfile.ZipInfo]:
    """The entries by name, each a stored one, all together no larger than the file.

    Raises: CocktailError for a name that leaves the archive or comes twice, for a packed or encrypted entry (torch
    packs none: what unpacks to more than the file may be a bomb), and for entries that overlap.
    """
    found: dict[str, zipfile.ZipInfo] = {}
    for entry in stored.infolist():
        name = entry.filename
        if name in found:
            raise CocktailError(f"{where} holds {name[:100]!r} twice; it was made to deceive, or is damaged.")
        if len(name) > MAX_NAME or name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/"):
            raise CocktailError(f"{where} holds the name {name[:100]!r}, which leads out of the archive.")
        if entry.flag_bits & 1:
            raise CocktailError(f"{where}: {name[:100]!r} is encrypted; save the file without a password.")
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
            raise CocktailError(
                f"{where}: {name[:100]!r} is packed ({entry.compress_size:,} bytes for {entry.file_size:,}); "
                "torch.save packs nothing. Take the original file, or unpack and zip it without compression."
            )
        found[name] = entry
    total, size = sum(entry.file_size for entry in found.values()), os.path.getsize(stored.filename)
    if total > size:
        raise CocktailError(f"{where} claims entries of {total:,} bytes and has {size:,}; it was made to deceive.")
    return found


def directory(path: Path) -> tuple[int, int] | None:
    """Where the list of entries starts, and its size in bytes, as the end records state; None where there are none."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            start = file.seek(max(0, end - TAIL))
            tail = file.read(TAIL)
            at = tail.rfind(END)
            if at < 0 or len(tail) < at + 22:
                return None
            size, position = struct.unpack("<I", tail[at + 12 : at + 16])[0], start + at
            file.seek(max(0, position - 20))
            kind, _, second, _ = struct.unpack("<4sIQI", file.read(20))
            if kind == LOCATOR:  # a second end record, for large files, counts before the first
                if second > end - 56:
                    return None
                file.seek(second)
                size, position = struct.unpack("<Q", file.read(56)[40:48])[0], second
            return max(0, position - size), size
    except (OSError, struct.error):
        return None


def listing(path: Path) -> bytes | None:
    """The raw list of entries, for a cheap look at the names; None where there is none, or a very long one."""
    found = directory(path)
    if found is None or found[1] > MAX_DIRECTORY:
        return None
    with path.open("rb") as file:
        file.seek(found[0])
        return file.read(found[1])
