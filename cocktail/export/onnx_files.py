"""A generator as ONNX files: mapping, synthesis, and both in one, with any number of pictures at a time.

The arithmetic is the engine's own (`cocktail.ops`): activations are scaled rather than one weight made per picture, so
that a batch is one convolution. What onnxruntime makes of the files is compared with PyTorch before they are kept.
"""

import json
import logging
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from cocktail.checkpoints import write_atomically, write_text
from cocktail.errors import CocktailError
from cocktail.export import compress
from cocktail.gan import Gan, latents
from cocktail.networks import architecture_of

MAPPING, SYNTHESIS, GENERATOR, REPORT = "mapping.onnx", "synthesis.onnx", "generator.onnx", "export.json"
METADATA = "cocktail"  # the entry of a file's metadata that tells how it is called
LARGEST_DIFFERENCE = 1e-3  # of pictures in [-1, 1]; more would be a fault of the export
SEEDS = tuple(range(8))  # of the pictures that are compared
HINT = "exporting needs onnx, onnxscript and onnxruntime; run: pip install onnx onnxscript onnxruntime"


class Mapping(nn.Module):
    """z [N, z_dim], one-hot c [N, c_dim], psi [N] -> ws [N, num_ws, w_dim]; without classes there is no c."""

    def __init__(self, generator: nn.Module):
        super().__init__()
        self.generator = generator

    def forward(self, z: Tensor, c: Tensor | None, psi: Tensor) -> Tensor:
        # Truncation is linear in psi for every architecture, and a number that varies cannot choose a branch.
        whole, center = self.generator.map(z, c), self.generator.map(z, c, 0.0)
        return center + psi[:, None, None] * (whole - center)


class Synthesis(nn.Module):
    """ws [N, num_ws, w_dim] -> pictures [N, 3, H, W] in [-1, 1], noise "const"."""

    def __init__(self, generator: nn.Module):
        super().__init__()
        self.generator = generator

    def forward(self, ws: Tensor) -> Tensor:
        return self.generator.synthesize(ws).clamp(-1, 1)


class Whole(nn.Module):
    """z [N, z_dim], one-hot c [N, c_dim] -> pictures [N, 3, H, W] in [-1, 1]."""

    def __init__(self, generator: nn.Module):
        super().__init__()
        self.generator = generator

    def forward(self, z: Tensor, c: Tensor | None) -> Tensor:
        return self.generator.synthesize(self.generator.map(z, c)).clamp(-1, 1)


@dataclass(frozen=True)
class Exported:
    """files: name -> bytes; differences, means: name -> largest and mean absolute difference from PyTorch, of pictures
    in [-1, 1], or of codes; ms_per_picture: of onnxruntime on one thread, one picture at a time.
    """

    folder: Path
    files: dict[str, int]
    differences: dict[str, float]
    means: dict[str, float]
    ms_per_picture: float


def to_onnx(gan: Gan, folder: str | Path, *, fp16: bool = False, int8: bool = False) -> Exported:
    """Writes mapping.onnx, synthesis.onnx, generator.onnx and export.json into a folder, which is made if needed.

    fp16 and int8 add files with "-fp16" and "-int8" in their names, whose weights are kept in 16 or 8 bits and
    calculated with in float32: half and a quarter of the size.

    Raises: CocktailError where the model is an ONNX file already, a package is missing, the folder cannot be written,
    or onnxruntime's pictures differ from PyTorch's by more than 1e-3.
    """
    folder = Path(folder).expanduser()
    if folder.exists() and not folder.is_dir():
        raise CocktailError(f"{folder} is a file; name a folder for the export.")
    made = models(gan)
    found = compare(gan, made)
    check(found)
    speed, whole = _speed(gan, made[SYNTHESIS]), dict(made)
    for kind in [kind for kind, wanted in (("fp16", fp16), ("int8", int8)) if wanted]:
        small = {name: compress.COMPRESS[kind](data) for name, data in whole.items()}
        made |= {_named(name, kind): data for name, data in small.items()}
        found |= {_named(name, kind): value for name, value in compare(gan, small).items()}
    for name, data in made.items():
        write_atomically(folder / name, lambda partial, data=data: partial.write_bytes(data))
    sizes = {name: len(data) for name, data in made.items()}
    largest, means = ({name: value[i] for name, value in found.items()} for i in (0, 1))
    report = {"bytes": sizes, "largest_difference": largest, "mean_difference": means, "ms_per_picture": speed}
    write_text(folder / REPORT, json.dumps(describe(gan) | report, indent=2, ensure_ascii=False) + "\n")
    return Exported(folder, sizes, largest, means, speed)


def check(found: dict[str, tuple[float, float]]) -> None:
    """Raises: CocktailError where a file of whole weights does not do what PyTorch does (see `compare`)."""
    worst = max(largest for largest, _ in found.values())
    if not worst <= LARGEST_DIFFERENCE:
        raise CocktailError(f"onnxruntime's pictures differ from PyTorch's by {worst:.2g}; nothing was written.")


def describe(gan: Gan) -> dict:
    """What a file says of the model in its metadata: plain data."""
    described = {
        "architecture": architecture_of(gan.generator).name,
        "classes": list(gan.classes),
        "z_dim": gan.z_dim,
        "w_dim": gan.w_dim,
        "num_ws": gan.num_ws,
        "resolution": gan.resolution,
        "layer_resolutions": list(gan.generator.layer_resolutions),
        "z": "standard normal; for a seed: numpy.random.RandomState(seed).randn(1, z_dim)",
        "image": "float32 [N, 3, H, W] in [-1, 1]; to uint8: 127.5 x + 128, clamped, truncated",
    }
    return described | {key: gan.card[key] for key in ("title", "licence") if isinstance(gan.card.get(key), str)}


def models(gan: Gan, names: Sequence[str] = (MAPPING, SYNTHESIS, GENERATOR)) -> dict[str, bytes]:
    """The files of a model, by name. Raises: CocktailError as `to_onnx`."""
    if architecture_of(gan.generator).name == "onnx":
        raise CocktailError("this model is an ONNX file already; there is nothing to export.")
    copy = gan.copy()
    # In float32 on the CPU, so that the files do not depend on where the model was.
    generator = copy.generator.cpu().float().eval().requires_grad_(False)
    z, psi = torch.randn(2, gan.z_dim), torch.ones(2)
    c = torch.eye(max(2, len(gan.classes)))[:2, : len(gan.classes)] if gan.classes else None
    given = {
        MAPPING: (Mapping(generator), {"z": z, "c": c, "psi": psi}, "ws"),
        SYNTHESIS: (Synthesis(generator), {"ws": generator.map(z, c).clone()}, "image"),
        GENERATOR: (Whole(generator), {"z": z, "c": c}, "image"),
    }
    text = json.dumps(describe(gan), ensure_ascii=False)
    return {name: _convert(*given[name], text) for name in names}


def _convert(module: nn.Module, inputs: dict[str, Tensor | None], output: str, metadata: str) -> bytes:
    """One module as the bytes of an ONNX file, with any number of rows in each input."""
    try:
        import onnx
        import onnxscript  # noqa: F401  (torch's exporter needs it)
    except ImportError as error:
        raise CocktailError(HINT) from error
    rows = torch.export.Dim("N", min=1, max=65536)
    shapes = {name: None if value is None else {0: rows} for name, value in inputs.items()}
    known = logging.getLogger("torch.onnx")
    level = known.level
    known.setLevel(logging.ERROR)  # it lists packages that are not needed
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module.eval(), tuple(inputs.values()), dynamo=True, external_data=False, verbose=False, optimize=True,
                input_names=[name for name, value in inputs.items() if value is not None], output_names=[output],
                dynamic_shapes=shapes,
            )  # fmt: skip
    except Exception as error:  # the exporter's errors share no parent of their own
        raise CocktailError(f"torch cannot export this model ({' '.join(str(error).split())[:200]}).") from error
    finally:
        known.setLevel(level)
    model = program.model_proto
    ends = (*model.graph.input, *model.graph.output)
    if not all(entry.type.tensor_type.shape.dim[0].dim_param for entry in ends):
        raise CocktailError("torch exports this model for one number of pictures only, not for any.")
    compress.drop_notes(model)
    onnx.helper.set_model_props(model, {METADATA: metadata})
    return model.SerializeToString()


def compare(gan: Gan, files: dict[str, bytes]) -> dict[str, tuple[float, float]]:
    """Largest and mean absolute difference from our own pictures of what onnxruntime makes of each file, alone and in a
    batch. Ours are those that a person sees, drawn one by one (`Gan.synthesize`).

    z of SEEDS, classes in turn, psi 0.7; the codes of synthesis.onnx are PyTorch's.
    """
    copy = gan.copy().to("cpu")
    z, count = latents(SEEDS, gan.z_dim), len(SEEDS)
    labels = [i % len(gan.classes) for i in range(count)] if gan.classes else None
    c = copy.one_hot(labels, count)
    ws, codes = copy.map(z, labels, 0.7), copy.map(z, labels)
    truth = {MAPPING: ws, SYNTHESIS: copy.synthesize(ws), GENERATOR: copy.synthesize(codes)}
    given = {"z": z, "c": c, "psi": torch.full((count,), 0.7), "ws": ws}
    return {name: _difference(data, given, truth[name].numpy()) for name, data in files.items()}


def _difference(data: bytes, given: dict[str, Tensor | None], wanted: np.ndarray) -> tuple[float, float]:
    opened = session(data)
    feeds = {entry.name: given[entry.name].numpy() for entry in opened.get_inputs()}
    apart = np.abs(opened.run(None, feeds)[0] - wanted)
    alone = np.abs(opened.run(None, {name: value[:1] for name, value in feeds.items()})[0] - wanted[:1])
    return float(max(apart.max(), alone.max())), float(apart.mean())


def session(data: bytes) -> "onnxruntime.InferenceSession":  # noqa: F821, the import is optional
    """A file of ours, opened on one thread. Raises: CocktailError where onnxruntime is not installed."""
    try:
        import onnxruntime
    except ImportError as error:
        raise CocktailError(HINT) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def _speed(gan: Gan, data: bytes) -> float:
    opened, times = session(data), []
    codes = np.zeros((1, gan.num_ws, gan.w_dim), dtype=np.float32)
    for _ in range(6):
        start = time.perf_counter()
        opened.run(None, {"ws": codes})
        times.append(time.perf_counter() - start)
    return round(1000 * min(times), 2)


def _named(name: str, kind: str) -> str:
    return name.replace(".onnx", f"-{kind}.onnx")
