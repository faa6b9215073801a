"""What an ONNX file holds, read from its bytes before onnxruntime sees them; nothing is followed, nothing is run.

A file is a protocol buffer (fields as in onnx.proto3 of the ONNX standard). onnxruntime follows paths of "external
data", also of a model that it is given as bytes, and loads custom operators: both are refused here.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from cocktail.errors import CocktailError

MAX_BYTES = 1_000_000_000  # as many as a native folder's tensors may have
MAX_NODES, MAX_DEPTH = 200_000, 32
MAX_WEIGHTS = 1_000_000_000
MAX_VERSION = 40
# Operators of onnxruntime itself; whatever else a node names must be a function that the file defines.
DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}
# Of those, the ones that reach outside the file: Python code, and compiled code kept beside it.
REFUSED_OPS = {"PythonOp", "PythonOpGrad", "EPContext", "ATen"}
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
Field = tuple[int, int, int | memoryview]  # number, wire type, value


class _Broken(ValueError):
    pass


@dataclass
class Contents:
    """domains: of all nodes; weights: numbers in initializers; metadata: what the file says of itself."""

    ir_version: int
    domains: set[str]
    operators: set[str]
    nodes: int
    weights: int
    external: list[str]
    metadata: dict[str, str]
    functions: set[str]
    has_graph: bool = False


def inspect(data: bytes, where: str) -> Contents:
    """Reads what is in a file. Raises: CocktailError where it is no whole protocol buffer, or absurdly large."""
    found = Contents(0, set(), set(), 0, 0, [], {}, set())
    if len(data) > MAX_BYTES:
        raise CocktailError(f"{where} has {len(data):,} bytes; at most {MAX_BYTES:,} are read.")
    try:
        for number, kind, value in _fields(memoryview(data)):
            if number == 1 and kind == VARINT:
                found.ir_version = int(value)
            elif kind == BYTES:
                _model_field(number, value, found)
    except (_Broken, UnicodeDecodeError) as error:
        raise CocktailError(f"{where} is damaged or no ONNX file ({error}); take it from its source again.") from error
    return found


def check(data: bytes, where: str) -> Contents:
    """What is in a file that may be run.

    Raises: CocktailError as `inspect`, or where the file refers to other files, needs operators that onnxruntime does
    not bring, or holds no graph.
    """
    found = inspect(data, where)
    if not found.has_graph or not 1 <= found.ir_version <= MAX_VERSION:
        raise CocktailError(f"{where} is no ONNX model: it holds no graph of operators.")
    if found.external:
        raise CocktailError(
            f"{where} keeps weights in another file ({found.external[0][:80]!r}); only a file that holds all its "
            "weights is read. Save it again as one file: onnx.save(onnx.load(path), new_path)."
        )
    strange = sorted(found.domains - DOMAINS - found.functions)
    if strange:
        raise CocktailError(
            f"{where} needs custom operators ({', '.join(strange)[:120]}), which are code outside the file and are not "
            "run. Export the generator with standard ONNX operators."
        )
    refused = sorted(found.operators & REFUSED_OPS)
    if refused:
        raise CocktailError(f"{where} has the operator {refused[0]}, which runs code outside the file: refused.")
    if found.weights > MAX_WEIGHTS or found.nodes > MAX_NODES:
        raise CocktailError(
            f"{where} has {found.nodes:,} operators and {found.weights:,} weights; at most {MAX_NODES:,} and "
            f"{MAX_WEIGHTS:,} are accepted."
        )
    return found


def _fields(data: memoryview) -> Iterator[Field]:
    """The fields of one message."""
    position, end = 0, len(data)
    while position < end:
        key, position = _varint(data, position)
        if key >> 32:
            raise _Broken("a field number of more than 32 bits")  # other readers would cut it down to another field
        kind, value = key & 7, 0
        if kind == VARINT:
            value, position = _varint(data, position)
        elif kind == BYTES:
            size, position = _varint(data, position)
            value, position = data[position : position + size], position + size
        elif kind in (FIXED32, FIXED64):
            position += 4 if kind == FIXED32 else 8
        else:
            raise _Broken(f"wire type {kind} at byte {position}")
        if position > end:
            raise _Broken(f"a field ends {position - end:,} bytes behind the end")
        yield key >> 3, kind, value


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data) and shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise _Broken("a number is cut off")


def _model_field(number: int, value: memoryview, found: Contents) -> None:
    if number == 7:
        found.has_graph = True
        _graph(value, found, 0)
    elif number == 14:  # metadata
        pair = {n: bytes(v).decode() for n, kind, v in _fields(value) if kind == BYTES}
        found.metadata[pair.get(1, "")] = pair.get(2, "")
    elif number == 20:  # training: two more graphs
        for n, kind, v in _fields(value):
            if n in (1, 2) and kind == BYTES:
                _graph(v, found, 0)
    elif number == 25:  # a function: operators made of operators
        for n, kind, v in _fields(value):
            if n == 10 and kind == BYTES:
                found.functions.add(bytes(v).decode())
            elif n == 7 and kind == BYTES:
                _node(v, found, 0)
            elif n == 11 and kind == BYTES:
                _attribute(v, found, 0)


def _graph(data: memoryview, found: Contents, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise _Broken(f"graphs nested more than {MAX_DEPTH} deep")
    for number, kind, value in _fields(data):
        if kind != BYTES:
            continue
        if number == 1:
            _node(value, found, depth)
        elif number == 5:
            _tensor(value, found)
        elif number == 15:
            _sparse(value, found)


def _node(data: memoryview, found: Contents, depth: int) -> None:
    found.nodes += 1
    domain = ""
    for number, kind, value in _fields(data):
        if kind != BYTES:
            continue
        if number == 4:
            found.operators.add(bytes(value).decode())
        elif number == 7:
            domain = bytes(value).decode()
        elif number == 5:
            _attribute(value, found, depth)
    found.domains.add(domain)


def _attribute(data: memoryview, found: Contents, depth: int) -> None:
    for number, kind, value in _fields(data):
        if kind != BYTES:
            continue
        if number in (5, 10):
            _tensor(value, found)
        elif number in (6, 11):
            _graph(value, found, depth + 1)
        elif number in (22, 23):
            _sparse(value, found)


def _sparse(data: memoryview, found: Contents) -> None:
    for number, kind, value in _fields(data):
        if number in (1, 2) and kind == BYTES:
            _tensor(value, found)


def _tensor(data: memoryview, found: Contents) -> None:
    count, name, external, place = 1, "", False, ""
    for number, kind, value in _fields(data):
        if number == 1 and kind == VARINT:
            count *= value
        elif number == 1 and kind == BYTES:  # packed
            position = 0
            while position < len(value):
                size, position = _varint(value, position)
                count *= size
        elif number == 8 and kind == BYTES:
            name = bytes(value).decode()
        elif number == 13 and kind == BYTES:
            external = True
            pair = {n: bytes(v).decode() for n, k, v in _fields(value) if k == BYTES}
            place = pair.get(2, "") if pair.get(1) == "location" else place
        elif number == 14 and kind == VARINT:
            external = external or value != 0
        count = min(count, 1 << 62)
    found.weights = min(found.weights + count, 1 << 62)
    if external:
        found.external.append(place or name)
