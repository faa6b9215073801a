"""What stands for the names in a checkpoint's pickle: tensors and their storages, numpy's values, plain containers.

Each checks what it is given before it takes memory; none calls anything that a file names.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cocktail.checkpoints.pickles import Attributes, Global, Items, Standin, content, key

STORAGES = {
    "torch.DoubleStorage": torch.float64, "torch.FloatStorage": torch.float32, "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16, "torch.LongStorage": torch.int64, "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16, "torch.CharStorage": torch.int8, "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool, "torch.storage.UntypedStorage": torch.uint8,
}  # fmt: skip
DTYPES = ("float16", "float32", "float64", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "bool")
NUMPY_DTYPES = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"}  # no objects, no text
MAX_DIMENSIONS = 8


@dataclass(frozen=True)
class Storage:
    """The memory of tensors: uint8 [bytes], which may still have to be filled, and the type of its elements."""

    data: Tensor
    dtype: torch.dtype


def inert(*_: object) -> object:
    """For names that are only ever values: calling one is an error."""
    raise TypeError("this name is a value, not something to call")


def tensor(storage: object, offset: object, size: object, stride: object, *_: object) -> Tensor:
    """A tensor on a storage (torch._utils._rebuild_tensor, _v2): it must lie inside, and have no more elements.

    Raises: TypeError, ValueError where an argument is of another kind, or the tensor reaches out of its storage.
    """
    if not isinstance(storage, Storage):
        raise TypeError("no storage")
    size, stride, offset = _whole(size), _whole(stride), _whole((offset,))[0]
    if len(size) != len(stride):
        raise ValueError("size and stride of different lengths")
    count, held = math.prod(size), len(storage.data) // storage.dtype.itemsize
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) if count else offset
    if count > held or last >= held + (count == 0):
        raise ValueError(f"a tensor of {count:,} elements on a storage of {held:,}")
    return torch.as_strided(storage.data.view(storage.dtype), size, stride, offset)


def parameter(data: object, *_: object) -> Tensor:
    """The tensor of a torch.nn.Parameter (torch._utils._rebuild_parameter)."""
    if not isinstance(data, Tensor):
        raise TypeError("no tensor")
    return data


def shape(values: object = ()) -> tuple[int, ...]:
    """A torch.Size as a tuple."""
    return _whole(values)


def items(values: object = ()) -> Items:
    """A dict of some class, from nothing, a dict, or a list of pairs (Python 2)."""
    if isinstance(values, dict):
        return Items(values)
    if not isinstance(values, list | tuple) or not all(
        type(pair) in (list, tuple) and len(pair) == 2 for pair in values
    ):
        raise TypeError("expected a dict or pairs")
    return Items((key(name), value) for name, value in values)


def members(values: object = ()) -> set:
    """A set (Python's pickle protocols up to 3 call `set` with a list)."""
    if not isinstance(values, list | tuple):
        raise TypeError("expected a list")
    return {key(value) for value in values}


def encoded(text: object, encoding: object = "latin1") -> bytes:
    """Bytes that protocols up to 2 write as text (_codecs.encode)."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise TypeError("expected text in Latin-1")
    return text.encode("latin-1")


class Dtype(Standin):
    """A numpy dtype of plain numbers."""

    def __init__(self, name: object, *_: object):
        if not isinstance(name, str) or name.lstrip("<|=") not in NUMPY_DTYPES:
            raise TypeError(f"numpy's dtype {str(name)[:20]!r} is no plain number")
        self.dtype = np.dtype("<" + name.lstrip("<|="))

    def build(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) < 5 or state[1] not in ("<", "|", "=", b"<", b"|", b"="):
            raise TypeError("expected little-endian numbers")
        if any(part is not None for part in state[2:5]):
            raise TypeError("numbers have no fields")


class Array(np.ndarray, Standin):
    """A numpy array of plain numbers, filled by its state."""

    def build(self, state: object) -> None:
        _, size, dtype, fortran, data = state if isinstance(state, tuple) and len(state) == 5 else (None,) * 5
        data = data.encode("latin-1") if isinstance(data, str) else content(data)
        if not isinstance(dtype, Dtype) or math.prod(_whole(size)) * dtype.dtype.itemsize != len(data):
            raise ValueError("an array whose shape and bytes differ")
        np.ndarray.__setstate__(self, (1, _whole(size), dtype.dtype, bool(fortran), data))


def array(cls: object, size: object = (0,), _: object = None) -> Array:
    """An empty array that its state will fill (numpy.core.multiarray._reconstruct)."""
    if not isinstance(cls, Global) or cls.name != "numpy.ndarray":
        raise TypeError("expected numpy.ndarray")
    return np.empty((0,), np.uint8).view(Array)


def frombuffer(data: object, dtype: object, size: object, order: object = "C") -> np.ndarray:
    """An array from its bytes, as pickle protocol 5 keeps it (numpy._core.numeric._frombuffer)."""
    data = content(data)
    if not isinstance(dtype, Dtype) or math.prod(_whole(size)) * dtype.dtype.itemsize != len(data):
        raise ValueError("an array whose shape and bytes differ")
    return np.frombuffer(data, dtype.dtype).reshape(_whole(size), order="F" if order == "F" else "C").copy()


def scalar(dtype: object, data: object = None) -> bool | int | float:
    """A number of numpy's as one of Python's."""
    data = data.encode("latin-1") if isinstance(data, str) else content(data)
    if not isinstance(dtype, Dtype) or len(data) != dtype.dtype.itemsize:
        raise TypeError("expected one plain number")
    return np.frombuffer(data, dtype.dtype)[0].item()


def _whole(values: object) -> tuple[int, ...]:
    """Whole numbers of a shape. Raises: TypeError, ValueError where they are none, negative, or too many."""
    if not isinstance(values, tuple | list) or len(values) > MAX_DIMENSIONS:
        raise TypeError("expected a shape")
    if not all(type(value) is int and 0 <= value < 1 << 48 for value in values):
        raise ValueError("expected whole numbers from 0")
    return tuple(values)


TENSORS: dict[str, Callable[..., object]] = {
    **dict.fromkeys(STORAGES, inert),
    **{f"torch.{name}": inert for name in DTYPES},
    "torch._utils._rebuild_tensor": tensor,
    "torch._utils._rebuild_tensor_v2": tensor,
    "torch._utils._rebuild_parameter": parameter,
    "torch._utils._rebuild_parameter_with_state": parameter,
    "torch.Size": shape,
    "torch.device": lambda kind, index=0: "cpu",
    "collections.OrderedDict": items,
}
NUMPY: dict[str, Callable[..., object]] = {
    f"{core}.{name}": make
    for core in ("numpy.core", "numpy._core")
    for name, make in {
        "multiarray.scalar": scalar,
        "multiarray._reconstruct": array,
        "numeric._frombuffer": frombuffer,
    }.items()
} | {"numpy.dtype": Dtype, "numpy.ndarray": inert, "_codecs.encode": encoded}
COMMON: dict[str, Callable[..., object]] = {
    **TENSORS,
    **NUMPY,
    "argparse.Namespace": Attributes,
    "builtins.set": members,
    "__builtin__.set": members,
    "builtins.bytes": lambda: b"",  # how protocols up to 2 write no bytes
    "__builtin__.bytes": lambda: b"",
}
