"""What a file is, told by its content: the first bytes, the list of entries of a zip, the names that a pickle uses."""

import os
import re
import struct
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from cocktail.checkpoints import archive, opcodes
from cocktail.checkpoints.opcodes import Stream
from cocktail.errors import CocktailError

LOOKED_AT = 20_000  # opcodes, in the search for a name that tells who wrote a pickle
MAX_HEADER = 100_000_000  # bytes of a safetensors header
SIGNATURES = {b"\x89HDF\r\n\x1a\n": "hdf5", b"\x1f\x8b": "gzip", b"\x93NUMPY": "numpy"}
TORCH_LEGACY = re.compile(
    rb"\x80.(\x95.{8})?\x8a\x0a" + re.escape((0x1950A86A20F9469CFC6C).to_bytes(10, "little")), re.DOTALL
)
NVIDIA, TENSORFLOW = "torch_utils.persistence._reconstruct_persistent_obj", "dnnlib.tflib.network.Network"
ONNX_NEXT = {0x12, 0x1A, 0x22, 0x2A, 0x32, 0x3A, 0x42}  # tags of the fields that follow the version
GETS, PUTS = {"GET", "BINGET", "LONG_BINGET"}, {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}


def kind(path: str | Path) -> str:
    """One of "folder", "safetensors", "torch-zip", "torch-legacy", "nvidia-pickle", "tensorflow-pickle", "pickle",
    "zip", "gzip", "onnx", "hdf5", "numpy", "empty", "missing", "unknown"; the name of the file counts for nothing.

    It reads a little of the file and raises nothing.
    """
    path = Path(path)
    try:
        if path.is_dir():
            return "folder"
        if not path.is_file():
            return "missing"
        with path.open("rb") as file:
            head, size = file.read(64), os.fstat(file.fileno()).st_size
        return _by_head(head, size) or _zip(path, head) or _pickle(path, head) or "unknown"
    except (OSError, ValueError):  # unreadable, or a name that no file can have
        return "missing"


def names(path: Path, limit: int | None = None) -> Iterator[str]:
    """Yields the names ("module.name") that a pickle asks for, in order, as far as it can be read.

    A hostile file may hide names from this look; `pickles.load` finds each when it is asked for.
    """
    with path.open("rb") as file:
        recent: list[object] = []
        memo: dict[int, object] = {}
        try:
            for name, argument in islice(opcodes.read(Stream(file, str(path))), limit):
                if name == "GLOBAL":
                    yield ".".join(argument)
                elif name == "STACK_GLOBAL" and all(isinstance(text, str) for text in recent[-2:]):
                    yield ".".join(recent[-2:])
                elif name in PUTS:
                    memo[len(memo) if name == "MEMOIZE" else argument] = recent[-1] if recent else None
                else:
                    recent = [*recent[-1:], memo.get(argument) if name in GETS else argument]
        except CocktailError:
            return


def texts(path: Path) -> Iterator[str]:
    """Yields the texts of a pickle, in order, as far as it can be read."""
    with path.open("rb") as file:
        try:
            yield from (text for _, text in opcodes.read(Stream(file, str(path))) if isinstance(text, str))
        except CocktailError:
            return


def _by_head(head: bytes, size: int) -> str | None:
    if not head:
        return "empty"
    for signature, what in SIGNATURES.items():
        if head.startswith(signature):
            return what
    if TORCH_LEGACY.match(head):
        return "torch-legacy"
    if len(head) > 9 and head[8:9] == b"{" and 2 <= struct.unpack("<Q", head[:8])[0] <= min(MAX_HEADER, 1000 * size):
        return "safetensors"
    if head[0] == 8 and len(head) > 2 and 1 <= head[1] <= 32 and head[2] in ONNX_NEXT:
        return "onnx"
    return None


def _zip(path: Path, head: bytes) -> str | None:
    if not head.startswith((b"PK\3\4", archive.END)):
        return None
    listed = archive.listing(path) or b""
    return "torch-zip" if b"data.pkl" in listed else "zip"


def _pickle(path: Path, head: bytes) -> str | None:
    if not head.startswith(b"\x80") and not _reads_as_pickle(path):
        return None
    if head.startswith(b"\x80") and (len(head) < 2 or head[1] > 5):
        return None
    for name in names(path, LOOKED_AT):
        if name == NVIDIA:
            return "nvidia-pickle"
        if name == TENSORFLOW:
            return "tensorflow-pickle"
    return "pickle"


def _reads_as_pickle(path: Path) -> bool:
    """Protocols 0 and 1 have no signature: the file counts if its first opcodes make sense and one is a name."""
    with path.open("rb") as file:
        found = []
        try:
            for name, _ in islice(opcodes.read(Stream(file, str(path))), 50):
                found.append(name)
        except CocktailError:
            pass
    return "GLOBAL" in found or "STACK_GLOBAL" in found or (len(found) > 3 and found[-1] == "STOP")
