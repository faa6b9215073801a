"""Smaller ONNX files: weights kept in 16 or 8 bits, turned back into float32 where they are used.

The arithmetic stays in float32, so nothing can overflow, every runtime knows the operators, and the difference is that
of the rounded weights alone. onnxruntime turns 16 bits back once, when it opens the file.
"""

from collections.abc import Callable

import numpy as np

LEAST_NUMBERS = 256  # smaller tensors stay as they are: biases, filters, constants
LARGEST_FP16 = 65504.0


def to_fp16(data: bytes) -> bytes:
    """Weights in half precision, each followed by a Cast."""
    return _replaced(data, _half)


def to_int8(data: bytes) -> bytes:
    """Weights as whole numbers from -127 to 127 times a scale for each row or column, whichever loses less."""
    return _replaced(data, _eight_bits)


COMPRESS: dict[str, Callable[[bytes], bytes]] = {"fp16": to_fp16, "int8": to_int8}


def drop_notes(model: object) -> None:
    """Takes out what an exporter notes for people who debug it: names of modules, source lines, shapes in between."""
    del model.graph.value_info[:], model.metadata_props[:], model.graph.metadata_props[:]
    model.doc_string = model.graph.doc_string = ""
    for item in (*model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output):
        item.doc_string = ""
        if hasattr(item, "metadata_props"):
            del item.metadata_props[:]


def _replaced(data: bytes, smaller: Callable) -> bytes:
    """The file with each large float32 weight replaced by the tensors, and the node, that `smaller` gives."""
    import onnx

    model = onnx.load_from_string(data)
    kept, nodes = [], []
    for tensor in model.graph.initializer:
        numbers = onnx.numpy_helper.to_array(tensor)
        found = smaller(tensor.name, numbers) if _is_weight(numbers) else None
        tensors, node = found if found else ([tensor], None)
        kept += tensors
        nodes += [node] if node else []
    before = list(model.graph.node)
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(nodes + before)
    return model.SerializeToString()


def _is_weight(numbers: np.ndarray) -> bool:
    return numbers.dtype == np.float32 and numbers.size >= LEAST_NUMBERS and numbers.ndim >= 2


def _half(name: str, numbers: np.ndarray) -> tuple[list, object] | None:
    import onnx

    if np.abs(numbers).max() > LARGEST_FP16:
        return None
    stored = onnx.numpy_helper.from_array(numbers.astype(np.float16), name + ".fp16")
    node = onnx.helper.make_node("Cast", [stored.name], [name], name=name + ".cast", to=onnx.TensorProto.FLOAT)
    return [stored], node


def _eight_bits(name: str, numbers: np.ndarray) -> tuple[list, object]:
    import onnx

    axis, stored, scale = min((_quantised(numbers, axis) for axis in (0, 1)), key=lambda found: found[3])[:3]
    tensors = [
        onnx.numpy_helper.from_array(stored, name + ".int8"),
        onnx.numpy_helper.from_array(scale, name + ".scale"),
    ]
    inputs = [tensor.name for tensor in tensors]
    node = onnx.helper.make_node("DequantizeLinear", inputs, [name], name=name + ".dequantize", axis=axis)
    return tensors, node


def _quantised(numbers: np.ndarray, axis: int) -> tuple[int, np.ndarray, np.ndarray, float]:
    """axis, int8 numbers, float32 scales along it, and the mean squared error."""
    others = tuple(i for i in range(numbers.ndim) if i != axis)
    scale = np.maximum(np.abs(numbers).max(axis=others, keepdims=True), 1e-12).astype(np.float32) / np.float32(127)
    stored = np.rint(numbers / scale).clip(-127, 127).astype(np.int8)
    error = float(np.square(stored * scale - numbers).mean())
    return axis, stored, scale.reshape(-1), error
