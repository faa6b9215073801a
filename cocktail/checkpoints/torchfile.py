"""Files of torch.save, zip or legacy, read without torch.load: their pickle by `pickles`, their storages by hand."""

import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch

from cocktail.checkpoints import archive, content, pickles
from cocktail.checkpoints.constructors import COMMON, STORAGES, TENSORS, Storage
from cocktail.checkpoints.opcodes import Stream
from cocktail.checkpoints.pickles import Global
from cocktail.errors import CocktailError

__all__ = ["COMMON", "read", "storage_of_bytes"]

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of the legacy format, before torch 1.6
MAX_PICKLE = 64 << 20  # bytes of data.pkl, which holds no tensor data
MAX_STORAGES = 20_000
DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, OSError)


def read(path: Path, allowed: Mapping[str, Callable[..., object]] = COMMON) -> object:
    """What torch.save wrote: tensors on the CPU that own their memory or share it as they did when they were saved.

    allowed: as in `pickles.load`; `COMMON` has tensors, OrderedDict, numbers and arrays of numpy, argparse.Namespace.
    Raises: CocktailError where the file asks for any other name, is damaged, or claims more than it holds.
    """
    path = Path(path)
    if content.kind(path) == "torch-zip":
        return _zip(path, allowed)
    try:
        with path.open("rb") as file:
            return _legacy(Stream(file, str(path)), allowed)
    except OSError as error:
        raise CocktailError(f"{path} cannot be read ({error.strerror or error}).") from error


def storage_of_bytes(data: object) -> Storage:
    """A storage inside a pickle (torch.storage._load_from_bytes): a legacy file that holds nothing else."""
    if not isinstance(data, pickles.Span):  # none is as short as bytes that are no span
        raise TypeError("expected the bytes of a file")
    with data.opened() as part:
        found = _legacy(part, TENSORS)
    if not isinstance(found, Storage):
        raise TypeError("expected a storage")
    return found


def _legacy(stream: Stream, allowed: Mapping[str, Callable[..., object]]) -> object:
    """Three pickles that tell the version, one with the object, one with the storages' order, then their bytes."""
    head = [pickles.load(stream, {}, stream.where) for _ in range(3)]
    if head[:2] != [MAGIC, PROTOCOL] or not isinstance(head[2], dict):
        raise stream.error("has no header of torch.save")
    if head[2].get("little_endian") is not True or sys.byteorder != "little":
        raise stream.error("holds big-endian numbers, which are not read")
    found: dict[str, Storage] = {}
    claimed = 0

    def persistent(name: object) -> Storage:
        nonlocal claimed
        dtype, key, count = _storage_id(name)
        if key not in found:
            claimed += count * dtype.itemsize
            stream.claim(claimed)  # all storages follow: together they cannot have more bytes than are left
            found[key] = Storage(torch.empty(count * dtype.itemsize, dtype=torch.uint8), dtype)
        if found[key].dtype != dtype or len(found[key].data) != count * dtype.itemsize:
            raise ValueError("a storage of two sizes or types")
        return _view(found[key], name)

    root = pickles.load(stream, allowed, stream.where, persistent)
    keys = pickles.load(stream, {}, stream.where)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or sorted(keys) != sorted(found):
        raise stream.error("lists other storages than it uses")
    for key in keys:
        storage = found[key]
        if stream.number("<q") * storage.dtype.itemsize != len(storage.data):
            raise stream.error("has a storage of another size than its tensors need")
        stream.fill(memoryview(storage.data.numpy()))
    return root


def _storage_id(name: object) -> tuple[torch.dtype, str, int]:
    """The type, key and number of elements from ("storage", type, key, device, count ...)."""
    if not isinstance(name, tuple) or len(name) < 5 or name[0] not in ("storage", b"storage"):
        raise TypeError("expected a storage")
    kind, key, count = name[1], name[2], name[4]
    if not isinstance(kind, Global) or kind.name not in STORAGES:
        raise TypeError("the storage's type is unknown")
    if not isinstance(key, str) or len(key) > 100 or type(count) is not int or not 0 <= count < 1 << 60:
        raise TypeError("the storage has no name or size")
    return STORAGES[kind.name], key, count


def _view(storage: Storage, name: tuple) -> Storage:
    """The part of a storage that an old file may ask for with a sixth entry: (key, offset, count)."""
    part = name[5] if len(name) > 5 else None
    if part is None:
        return storage
    if not isinstance(part, tuple) or len(part) != 3 or not all(type(n) is int and n >= 0 for n in part[1:]):
        raise TypeError("expected (key, offset, count)")
    start, stop = (n * storage.dtype.itemsize for n in (part[1], part[1] + part[2]))
    if stop > len(storage.data):
        raise ValueError("a part outside its storage")
    return Storage(storage.data[start:stop], storage.dtype)


def _zip(path: Path, allowed: Mapping[str, Callable[..., object]]) -> object:
    where = str(path)
    with archive.opened(path) as stored:
        _check_kind(stored, where)
        entries = archive.entries(stored, where)
        root = next((name for name in entries if name.rpartition("/")[2] == "data.pkl"), None)
        if root is None:
            raise CocktailError(f"{where} is a zip without data.pkl; expected a file of torch.save.")
        prefix = root.removesuffix("data.pkl")
        _check_order(stored, entries.get(f"{prefix}byteorder"), where)
        if entries[root].file_size > MAX_PICKLE:
            raise CocktailError(f"{where}: data.pkl has {entries[root].file_size:,} bytes; at most {MAX_PICKLE:,}.")
        found: dict[str, Storage] = {}

        def persistent(name: object) -> Storage:
            dtype, key, count = _storage_id(name)
            if key not in found:
                entry = entries.get(f"{prefix}data/{key}")
                if entry is None or entry.file_size != count * dtype.itemsize:
                    held = "nothing" if entry is None else f"{entry.file_size:,} bytes"
                    raise CocktailError(
                        f"{where}: storage {key!r} should have {count * dtype.itemsize:,} bytes, {held} found. "
                        "The file is damaged; copy or download it again."
                    )
                if len(found) >= MAX_STORAGES:
                    raise ValueError("too many storages")
                found[key] = Storage(_bytes(stored, entry), dtype)
            if found[key].dtype != dtype:
                raise ValueError("a storage of two types")
            return found[key]

        with _damage(where):
            data = stored.read(entries[root])
        return pickles.load(data, allowed, where, persistent)


def _check_kind(stored: zipfile.ZipFile, where: str) -> None:
    if any(name.rpartition("/")[2] == "constants.pkl" for name in stored.namelist()):
        raise CocktailError(
            f"{where} is a TorchScript program, not weights: it is code and is not run. Save the model's state_dict() "
            "with torch.save, or export the generator to ONNX."
        )


def _check_order(stored: zipfile.ZipFile, entry: zipfile.ZipInfo | None, where: str) -> None:
    with _damage(where):
        if entry is not None and (entry.file_size > 16 or stored.read(entry) != b"little"):
            raise CocktailError(f"{where} holds big-endian numbers, which are not read.")


def _bytes(stored: zipfile.ZipFile, entry: zipfile.ZipInfo) -> torch.Tensor:
    """The bytes of an entry as uint8 [n], read in place."""
    data = torch.empty(entry.file_size, dtype=torch.uint8)
    view, done = memoryview(data.numpy()), 0
    with _damage(stored.filename), stored.open(entry) as file:
        while done < len(view):
            count = file.readinto(view[done : done + (1 << 24)])
            if not count:
                raise zipfile.BadZipFile(f"{entry.filename} ends too early")
            done += count
        file.read(1)  # the checksum is compared at the end
    return data


@contextmanager
def _damage(where: object):
    """Says of which file the zip reader complains."""
    try:
        yield
    except DAMAGE as error:
        if isinstance(error, CocktailError):
            raise
        raise CocktailError(f"{where} is damaged ({error}); copy or download it again.") from error
