"""Scores of pictures by anybody's classifier, given as an ONNX file."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cocktail.errors import CocktailError
from cocktail.hardware import available_threads

MAX_BYTES = 200_000_000
MAX_SIDE = 2048
PROBE_SIDE = 224  # of the grey picture that a model of free size is tried on
BATCH = 16
# What a network was trained on: mean and standard deviation of a channel, for pictures in [0, 1].
SCALINGS = {
    "0 to 1": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "-1 to 1": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "0 to 255": ((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)),
    "ImageNet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


class OnnxScorer:
    """One entry of a classifier's first output, on the CPU; pictures are resized to what the network takes.

    Its input is float32 [N, 3, H, W], N free or 1, H and W fixed or free; its output [N, ...], of which entry
    `output_index` of the flattened rest is the score. The file is tried on a grey picture at once.

    Raises: CocktailError where the file is missing, too large, no such network, or has no such entry; and where
    onnxruntime is not installed.
    """

    def __init__(self, path: Path | str, output_index: int = 0, scaling: str = "0 to 1"):
        self.path, self.output_index = Path(path), output_index
        self.name = f"{self.path.stem}, output {output_index}"
        if scaling not in SCALINGS:
            raise CocktailError(f"Scaling {scaling!r} found; known: {', '.join(SCALINGS)}.")
        self._mean, self._std = (torch.tensor(row).view(3, 1, 1) for row in SCALINGS[scaling])
        self._session = _open(self.path)
        self._input, self._batch, self._size = _input(self._session, self.path.name)
        height, width = self._size
        self(torch.full((1, 3, height or PROBE_SIDE, width or PROBE_SIDE), 128, dtype=torch.uint8))

    def __call__(self, img: Tensor) -> Tensor:
        """Scores uint8 [N, 3, H, W] as float32 [N]. Raises: CocktailError where the network fails on them."""
        size = [wanted or found for wanted, found in zip(self._size, img.shape[2:])]
        scores = [torch.zeros(0)]
        for part in img.split(self._batch) if len(img) else ():
            x = F.interpolate(part.float() / 255, size=size, mode="bilinear", antialias=True)
            scores.append(self._run(((x - self._mean) / self._std).numpy()))
        return torch.cat(scores)

    def _run(self, x: np.ndarray) -> Tensor:
        try:
            output = self._session.run(None, {self._input: x})[0]
        except Exception as error:  # onnxruntime raises classes of its own that share no other parent
            raise CocktailError(
                f"{self.path.name} fails on pictures {list(x.shape)}: {_short(error, self.path)}"
            ) from error
        if not isinstance(output, np.ndarray) or output.ndim < 1 or len(output) != len(x):
            found = list(output.shape) if isinstance(output, np.ndarray) else type(output).__name__
            raise CocktailError(f"{self.path.name} answers {len(x)} pictures with {found}; expected an array [N, ...].")
        rows = output.reshape(len(x), -1)
        if not 0 <= self.output_index < rows.shape[1]:
            raise CocktailError(
                f"{self.path.name} has {rows.shape[1]} outputs, numbered from 0; there is no {self.output_index}."
            )
        return torch.from_numpy(rows[:, self.output_index].astype(np.float32))


def _open(path: Path) -> "onnxruntime.InferenceSession":  # noqa: F821, the import is optional
    try:
        import onnxruntime
    except ImportError as error:
        raise CocktailError("Scoring with an ONNX file needs onnxruntime; run: pip install onnxruntime") from error
    if not path.is_file():
        raise CocktailError(f"{path.name} is no file; name an .onnx file.")
    if path.stat().st_size > MAX_BYTES:
        raise CocktailError(f"{path.name} has {path.stat().st_size:,} bytes; at most {MAX_BYTES:,} are opened.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = available_threads()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # see OnnxScorer._run
        raise CocktailError(f"{path.name} is no ONNX network that can be run: {_short(error, path)}") from error


def _input(
    session: "onnxruntime.InferenceSession",  # noqa: F821
    name: str,
) -> tuple[str, int, tuple[int | None, int | None]]:
    """The input's name, how many pictures go in at once, and the height and width that are fixed."""
    entries = session.get_inputs()
    shapes = ", ".join(f"{entry.type} {entry.shape}" for entry in entries)
    shape = entries[0].shape if len(entries) == 1 and entries[0].type == "tensor(float)" else []
    fixed = [size if isinstance(size, int) else None for size in shape]
    if len(shape) != 4 or fixed[0] not in (None, 1) or fixed[1] not in (None, 3):
        raise CocktailError(f"{name} takes {shapes}; expected one input of floats [N, 3, H, W], N free or 1.")
    if max(side or 1 for side in fixed[2:]) > MAX_SIDE:
        raise CocktailError(f"{name} takes pictures of {fixed[2]} x {fixed[3]}; at most {MAX_SIDE} a side are drawn.")
    return entries[0].name, fixed[0] or BATCH, (fixed[2], fixed[3])


def _short(error: Exception, path: Path) -> str:
    """What went wrong, on one line, without telling where files are kept."""
    return " ".join(str(error).replace(str(path), path.name).split())[:300]
