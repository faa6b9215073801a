"""The opcodes of a pickle, one after the other, read without trusting a length; nothing is built from them here.

Names and meanings are those of Python's `pickletools`; long bytes are not read but pointed to (`Span`), so that a
checkpoint of hundreds of MB is in memory once, in its tensors.
"""

import codecs
import contextlib
import io
import pickletools
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from cocktail.errors import CocktailError

MAX_OPCODES = 500_000  # StyleGAN2 at 1024 px, generator twice and discriminator, has 40,000
MAX_TEXT = 2_000_000  # bytes of one text; the source code inside NVIDIA's files has 40,000
MAX_TEXTS = 50_000_000  # bytes of all texts and short bytes of a file
MAX_DIGITS = 1_000  # bytes of one whole number
SHORT = 32  # bytes objects up to this length are read at once: numbers of numpy
NAMES = {op.code.encode("latin-1"): op.name for op in pickletools.opcodes}
NUMBERS = {"BININT": "<i", "BININT1": "<B", "BININT2": "<H", "BINFLOAT": ">d", "PROTO": "<B", "FRAME": "<Q",
           "BINGET": "<B", "LONG_BINGET": "<I", "BINPUT": "<B", "LONG_BINPUT": "<I"}  # fmt: skip
TEXTS = {"SHORT_BINUNICODE": "<B", "BINUNICODE": "<I", "BINUNICODE8": "<Q"}
LONGS = {"LONG1": "<B", "LONG4": "<i"}
BYTES = {"SHORT_BINBYTES": "<B", "BINBYTES": "<I", "BINBYTES8": "<Q", "BYTEARRAY8": "<Q"}
STRINGS = {"SHORT_BINSTRING": "<B", "BINSTRING": "<i"}  # of Python 2
LINES = {"INT", "LONG", "FLOAT", "STRING", "UNICODE", "PERSID", "GET", "PUT"}
# They take nothing from the stream. What is in none of these tables (OBJ, EXT, DUP, out-of-band buffers) is refused.
PLAIN = {"NONE", "NEWTRUE", "NEWFALSE", "EMPTY_LIST", "EMPTY_DICT", "EMPTY_TUPLE", "EMPTY_SET", "MARK", "LIST", "DICT",
         "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "FROZENSET", "ADDITEMS", "APPEND", "APPENDS", "SETITEM", "SETITEMS",
         "POP", "POP_MARK", "MEMOIZE", "STACK_GLOBAL", "REDUCE", "NEWOBJ", "BUILD", "BINPERSID", "STOP"}  # fmt: skip


@dataclass
class Budget:
    """What may still be spent on a file, its pickles in pickles included: opcodes, bytes of texts, and bytes or items
    that constructors are given, of which some make copies."""

    opcodes: int
    texts: int
    given: int


class Stream:
    """A file or bytes from which nothing is read that is not there; `where` names it in messages."""

    def __init__(self, source: bytes | BinaryIO, where: str, budget: Budget | None = None):
        self.file = io.BytesIO(source) if isinstance(source, bytes) else source
        self.where, self.position = where, self.file.tell()
        self.end = self.file.seek(0, io.SEEK_END)
        self.file.seek(self.position)
        # Every byte of a sound file is given to a constructor once.
        self.budget = budget or Budget(MAX_OPCODES, MAX_TEXTS, 2 * self.end + 1_000_000)

    @property
    def left(self) -> int:
        return self.end - self.position

    def claim(self, length: int) -> None:
        if not 0 <= length <= self.left:
            raise self.error(f"claims {length:,} more bytes where {self.left:,} are left")

    def read(self, length: int) -> bytes:
        self.claim(length)
        data = self.file.read(length)
        self.position += len(data)
        if len(data) < length:
            raise self.error("ends too early")
        return data

    def fill(self, target: memoryview) -> None:
        """Reads as many bytes as the target has."""
        self.claim(len(target))
        if self.file.readinto(target) != len(target):
            raise self.error("ends too early")
        self.position += len(target)

    def text(self, length: int) -> bytes:
        """Reads bytes that will be a text, or short."""
        if length > MAX_TEXT:
            raise self.error(f"holds a text of {length:,} bytes; at most {MAX_TEXT:,} are accepted")
        self.budget.texts -= length
        if self.budget.texts < 0:
            raise self.error(f"holds texts of more than {MAX_TEXTS:,} bytes")
        return self.read(length)

    def give(self, amount: int) -> None:
        """Counts what a constructor is given."""
        self.budget.given -= amount
        if self.budget.given < 0:
            raise self.error("uses the same data again and again")

    def skip(self, length: int) -> None:
        self.claim(length)
        self.position = self.file.seek(self.position + length)

    def line(self) -> bytes:
        text = self.file.readline(MAX_TEXT + 1)
        self.position += len(text)
        self.budget.texts -= len(text)
        if not text.endswith(b"\n") or self.budget.texts < 0:
            raise self.error("has a line without an end")
        return text[:-1].removesuffix(b"\r")

    def number(self, form: str) -> int | float:
        return struct.unpack(form, self.read(struct.calcsize(form)))[0]

    def error(self, fault: str) -> CocktailError:
        return CocktailError(
            f"{self.where} is damaged or no checkpoint: at byte {self.position:,} it {fault}. "
            "Nothing of it was executed. Copy or download it again."
        )


@dataclass(frozen=True)
class Span:
    """Bytes of a stream that were passed over."""

    stream: Stream
    start: int
    length: int

    @contextlib.contextmanager
    def opened(self) -> Iterator[Stream]:
        """A stream of these bytes alone; the stream that they lie in is then where it was."""
        part = Stream(self.stream.file, self.stream.where, self.stream.budget)
        part.position, part.end = part.file.seek(self.start), self.start + self.length
        try:
            yield part
        finally:
            self.stream.file.seek(self.stream.position)

    def read(self) -> bytes:
        with self.opened() as part:
            return part.read(self.length)


def read(stream: Stream) -> Iterator[tuple[str, object]]:
    """Yields (name, argument) of every opcode up to STOP, where the stream then stands.

    The argument of GLOBAL and INST is (module, name), that of long bytes a `Span`.
    Raises: CocktailError at the first opcode that checkpoints do not use, or that is cut off, or past the limit.
    """
    while True:
        stream.budget.opcodes -= 1
        if stream.budget.opcodes < 0:
            raise stream.error(f"has more than {MAX_OPCODES:,} opcodes")
        code = stream.read(1)
        name = NAMES.get(code, "")
        if name not in READERS:
            found = f"has the opcode {name}, which checkpoints do not use" if name else f"has no opcode ({code.hex()})"
            raise stream.error(found)
        try:
            argument = READERS[name](stream, name)
        except (ValueError, OverflowError, struct.error) as error:
            raise error if isinstance(error, CocktailError) else stream.error(f"has a broken {name}") from error
        yield name, argument
        if name == "STOP":
            return


def _text(stream: Stream, name: str) -> str:
    return stream.text(stream.number(TEXTS[name])).decode("utf-8", "surrogatepass")


def _bytes(stream: Stream, name: str) -> bytes | Span:
    length = stream.number(BYTES[name])
    if 0 <= length <= SHORT:
        return stream.text(length)
    span = Span(stream, stream.position, length)
    stream.skip(length)
    return span


def _string(stream: Stream, name: str) -> str | bytes:
    return _python2(stream.text(stream.number(STRINGS[name])))


def _python2(data: bytes) -> str | bytes:
    """A text where it can be one, as PyTorch reads it: Python 2 did not tell text from bytes."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data


def _long(stream: Stream, name: str) -> int:
    length = stream.number(LONGS[name])
    if length > MAX_DIGITS:
        raise stream.error(f"holds a number of {length:,} bytes")
    return int.from_bytes(stream.read(length), "little", signed=True)


def _line(stream: Stream, name: str) -> object:
    text = stream.line()
    if name == "UNICODE":
        return text.decode("raw-unicode-escape")
    if name == "PERSID":
        return text.decode("ascii")
    if name == "STRING":
        if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in b"'\"":
            raise ValueError("no quotes")
        return _python2(codecs.escape_decode(text[1:-1])[0])
    if len(text) > MAX_DIGITS:
        raise ValueError("too many digits")
    if name == "FLOAT":
        return float(text)
    if name == "INT" and text in (b"00", b"01"):
        return text == b"01"
    return int(text.removesuffix(b"L") if name == "LONG" else text)


def _global(stream: Stream, _: str) -> tuple[str, str]:
    return stream.line().decode("utf-8"), stream.line().decode("utf-8")


READERS = (
    {name: lambda stream, name: None for name in PLAIN}
    | {name: lambda stream, name: stream.number(NUMBERS[name]) for name in NUMBERS}
    | dict.fromkeys(TEXTS, _text)
    | dict.fromkeys(LONGS, _long)
    | dict.fromkeys(BYTES, _bytes)
    | dict.fromkeys(STRINGS, _string)
    | dict.fromkeys(LINES, _line)
    | {"GLOBAL": _global, "INST": _global}
)
