"""A generator that is an ONNX file: it can draw, and so teach, but it cannot be trained, averaged or inverted.

The file's bytes are the network's only tensor, so that saving, loading and fingerprints work as for any other. They run
in onnxruntime, which knows arithmetic only; `onnx_file.check` refuses what would reach outside the bytes.
"""

import threading
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from cocktail.errors import CocktailError
from cocktail.networks import onnx_file
from cocktail.networks.registry import Architecture, check_range, register

MAX_SIDE = 2048
MAX_BATCH = 64
MAX_MEMORY = 6 << 30  # bytes that all files together may take at a time: 1024 px in pieces need 4 GB
PIXELS_AT_ONCE = 1 << 22  # a larger batch is drawn in pieces
Z_FORMS = ("vector", "map")  # [N, z] or [N, z, 1, 1]
C_FORMS = ("one-hot", "index", "index column")  # [N, classes], [N] or [N, 1]
LAYOUTS = ("NCHW", "NHWC")
FLOATS = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}
INTEGERS = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
HINT = "ONNX models need onnxruntime; run: pip install onnxruntime"


@dataclass(frozen=True)
class GeneratorConfig:
    """How to call the file; `cocktail.checkpoints.onnx` finds it out by trying."""

    file_bytes: int = field(default=0, metadata={"help": "length of the file in bytes"})
    weights: int = field(default=0, metadata={"help": "numbers in the file's tensors"})
    z_dim: int = field(default=512, metadata={"help": "dimension of the latent z"})
    c_dim: int = field(default=0, metadata={"help": "number of classes, 0 = unconditional"})
    img_resolution: int = field(default=64, metadata={"help": "width and height in pixels"})
    file_channels: int = field(default=3, metadata={"help": "channels of its pictures, 1 or 3; one is repeated"})
    z_input: str = field(default="z", metadata={"help": "name of the input for z"})
    z_type: str = field(default="tensor(float)", metadata={"help": "type of the input for z"})
    z_form: str = field(default="vector", metadata={"help": "vector [N, z] or map [N, z, 1, 1]"})
    c_input: str = field(default="", metadata={"help": "name of the input for the class, empty = none"})
    c_type: str = field(default="tensor(float)", metadata={"help": "type of the input for the class"})
    c_form: str = field(default="one-hot", metadata={"help": "one-hot, index or index column"})
    psi_input: str = field(default="", metadata={"help": "name of a truncation input, held at 1; empty = none"})
    psi_shape: tuple[int, ...] = field(default=(), metadata={"help": "shape of the truncation input"})
    output: str = field(default="image", metadata={"help": "name of the output with the pictures"})
    layout: str = field(default="NCHW", metadata={"help": "NCHW or NHWC"})
    low: float = field(default=-1.0, metadata={"help": "value of black"})
    high: float = field(default=1.0, metadata={"help": "value of white"})
    batch: int = field(default=0, metadata={"help": "how many pictures it draws at a time, 0 = any number"})

    def __post_init__(self) -> None:
        object.__setattr__(self, "psi_shape", tuple(self.psi_shape))
        check_range(self, file_bytes=(0, onnx_file.MAX_BYTES), weights=(0, onnx_file.MAX_WEIGHTS), z_dim=(1, 8192),
                    c_dim=(0, 10_000), img_resolution=(4, MAX_SIDE), file_channels=(1, 3), batch=(0, MAX_BATCH),
                    low=(-1e4, 1e4), high=(-1e4, 1e4), psi_shape=(1, 1))  # fmt: skip
        known = {"z_form": Z_FORMS, "c_form": C_FORMS, "layout": LAYOUTS, "z_type": tuple(FLOATS),
                 "c_type": tuple(FLOATS | INTEGERS), "file_channels": (1, 3)}  # fmt: skip
        for name, values in known.items():
            if getattr(self, name) not in values:
                raise CocktailError(f"{name} is {getattr(self, name)!r}; known: {', '.join(map(str, values))}.")
        for name in ("z_input", "c_input", "psi_input", "output"):
            if not isinstance(getattr(self, name), str):
                raise CocktailError(f"{name} is {getattr(self, name)!r}; expected the name of an input or output.")
        if not self.low < self.high:
            raise CocktailError(f"black is {self.low} and white {self.high}; white must be the larger number.")
        if bool(self.c_dim) != bool(self.c_input):
            raise CocktailError(f"{self.c_dim} classes and class input {self.c_input!r}; give both, or neither.")


@dataclass(frozen=True)
class NoDiscriminatorConfig:
    """ONNX files hold no discriminator that could be trained."""

    c_dim: int = 0

    def __post_init__(self) -> None:
        raise CocktailError("an ONNX model has no discriminator.")


class NoDiscriminator(nn.Module):
    """Cannot be made, see its config."""


class Generator(nn.Module):
    """w is z joined with the one-hot class; one code serves all layers (num_ws = 1)."""

    num_ws = 1
    layer_resolutions = (4,)

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        self.config = config
        self.z_dim, self.c_dim, self.resolution = config.z_dim, config.c_dim, config.img_resolution
        self.w_dim = config.z_dim + config.c_dim
        self.register_buffer("file", torch.zeros(config.file_bytes, dtype=torch.uint8))
        self._opened: tuple = (None, 0, None)  # the bytes, the threads and the session made for them

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_opened": (None, 0, None)}  # a session cannot be copied; a copy makes its own

    def map(self, z: Tensor, c: Tensor | None, truncation: float = 1.0, cutoff: int | None = None) -> Tensor:
        """z float32 [N, z_dim], one-hot c [N, c_dim] -> ws float32 [N, 1, z_dim + c_dim].

        The centre is z = 0, so truncation scales the z part. There is one code, and no `cutoff`.
        """
        parts = [z.float() * truncation] + ([c.float()] if self.c_dim else [])
        return torch.cat(parts, dim=1)[:, None]

    def synthesize(self, ws: Tensor, noise_mode: str = "const", rng: object = None) -> Tensor:
        """ws float32 [N, 1, w_dim] -> pictures float32 [N, 3, H, W], nominally in [-1, 1]; noise modes do not matter.

        Raises: CocktailError where a gradient is asked for, onnxruntime is missing, or the file fails.
        """
        if torch.is_grad_enabled() and ws.requires_grad:
            raise CocktailError(
                "this model is an ONNX file, which has no gradient: it can draw and teach, but photos cannot be "
                "inverted on it and it cannot be trained. Merge it into a root that can, and use the union."
            )
        rows = ws.detach()[:, 0].float().cpu().numpy()
        size = self.config.batch or max(1, PIXELS_AT_ONCE // self.resolution**2)
        parts = [self._draw(rows[start : start + size], size) for start in range(0, len(rows), size)]
        empty = np.zeros((0, 3, self.resolution, self.resolution), dtype=np.float32)
        return torch.from_numpy(np.concatenate([empty, *parts])).to(ws.device)

    def _draw(self, rows: np.ndarray, size: int) -> np.ndarray:
        """Codes float32 [n, w_dim], n <= size -> pictures float32 [n, 3, H, W]; a file of fixed batch gets copies."""
        config, count = self.config, len(rows)
        if count < size and config.batch:
            rows = np.concatenate([rows, rows[-1:].repeat(size - count, axis=0)])
        found = run(self.session(), config.output, feeds(rows, config))
        expected = _shape(config, len(rows))
        if found.shape != expected:
            raise CocktailError(f"the ONNX file draws pictures {list(found.shape)}; expected {list(expected)}.")
        images = found.astype(np.float32).transpose(0, 3, 1, 2) if config.layout == "NHWC" else found.astype(np.float32)
        if (config.low, config.high) != (-1.0, 1.0):
            images = (images - config.low) * (2 / (config.high - config.low)) - 1
        return images[:count].repeat(3, axis=1) if config.file_channels == 1 else images[:count]

    def session(self) -> "onnxruntime.InferenceSession":  # noqa: F821, the import is optional
        """The file, opened: once for as long as its bytes and torch's threads are the same."""
        threads = torch.get_num_threads()
        if self._opened[0] is not self.file or self._opened[1] != threads:
            data = self.file.detach().cpu().numpy().tobytes()
            self._opened = (self.file, threads, open_session(data, "the ONNX file of this model", threads))
        return self._opened[2]

    def track(self, ws: Tensor, c: Tensor | None) -> None:
        """Nothing to track: the centre of z is 0."""

    def recenter(self, z: Tensor) -> None:
        """Nothing to set, for the same reason."""

    def with_classes(
        self, count: int, rng: torch.Generator, class_w_gain: float = 0.0, class_centers: bool = False
    ) -> "Generator":
        """Raises: CocktailError always."""
        raise CocktailError(
            "a model that is an ONNX file can teach, but cannot be the root: nothing can train it. Make another model "
            "the root."
        )


def open_session(data: bytes, where: str, threads: int) -> "onnxruntime.InferenceSession":  # noqa: F821
    """Checks the bytes of an ONNX file and opens them on the CPU.

    Raises: CocktailError where onnxruntime is not installed, or the file reaches outside itself or cannot be opened.
    """
    onnx_file.check(data, where)
    try:
        import onnxruntime
    except ImportError as error:
        raise CocktailError(HINT) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = max(1, threads), 1, 4
    options.add_session_config_entry("session.use_env_allocators", "1")  # the one with a limit
    try:
        _limit_memory()
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises classes of its own that share no other parent
        raise CocktailError(f"{where} cannot be opened by onnxruntime: {short(error)}") from error


@cache
def _limit_memory() -> None:
    """Gives onnxruntime an allocator that refuses what a hostile file would take; only our sessions ask for it."""
    import onnxruntime

    kind, where = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, onnxruntime.OrtMemType.DEFAULT
    # Strategy 1: as much as is asked for, not the next power of two.
    limits = onnxruntime.OrtArenaCfg({"max_mem": MAX_MEMORY, "arena_extend_strategy": 1})
    onnxruntime.create_and_register_allocator(onnxruntime.OrtMemoryInfo("Cpu", kind, 0, where), limits)


def feeds(rows: np.ndarray, config: GeneratorConfig) -> dict[str, np.ndarray]:
    """What the file's inputs are given for codes float32 [N, z_dim + c_dim]."""
    z, c = rows[:, : config.z_dim].astype(FLOATS[config.z_type]), rows[:, config.z_dim :]
    given = {config.z_input: z[:, :, None, None] if config.z_form == "map" else z}
    if config.c_input:
        if config.c_form != "one-hot":
            c = c.argmax(axis=1) if config.c_form == "index" else c.argmax(axis=1)[:, None]
        given[config.c_input] = c.astype((FLOATS | INTEGERS)[config.c_type])
    if config.psi_input:
        given[config.psi_input] = np.ones(config.psi_shape, dtype=np.float32)
    return given


def run(
    session: "onnxruntime.InferenceSession",  # noqa: F821
    output: str,
    given: dict[str, np.ndarray],
    limit_sec: float = 0,
) -> np.ndarray:
    """One output of a file, given up after so many seconds, 0 = never.

    Raises: CocktailError where the file fails on what it is given.
    """
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.log_severity_level = 4
    timer = threading.Timer(limit_sec, setattr, (options, "terminate", True)) if limit_sec else None
    try:
        if timer:
            timer.start()
        found = session.run([output], given, options)[0]
    except Exception as error:  # as above
        shapes = ", ".join(f"{name} {list(value.shape)}" for name, value in given.items())
        raise CocktailError(f"the ONNX file fails on {shapes}: {short(error)}") from error
    finally:
        if timer:
            timer.cancel()
    if not isinstance(found, np.ndarray):
        raise CocktailError(f"the output {output} of the ONNX file is no array but {type(found).__name__}.")
    return found


def short(error: Exception) -> str:
    """What went wrong, on one line."""
    return " ".join(str(error).split())[:300]


def _shape(config: GeneratorConfig, count: int) -> tuple[int, ...]:
    side, channels = config.img_resolution, config.file_channels
    return (count, channels, side, side) if config.layout == "NCHW" else (count, side, side, channels)


register(Architecture("onnx", GeneratorConfig, Generator, NoDiscriminatorConfig, NoDiscriminator, root=False))
