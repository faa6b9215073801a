"""How an ONNX generator wants to be called, found out by trying it on a few latents."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
import torch

from cocktail.errors import CocktailError
from cocktail.networks import onnx_file
from cocktail.networks.onnx_generator import (
    FLOATS,
    INTEGERS,
    LAYOUTS,
    MAX_BATCH,
    MAX_SIDE,
    GeneratorConfig,
    feeds,
    open_session,
    run,
)

METADATA = "cocktail"  # under this name `cocktail.export` writes how its files are called
DRAWS = 16
LIMIT_SEC = 60.0  # for one try; a loop without end is given up
Z_DIMS = (512, 128, 100, 256, 64, 120, 32, 140, 1024)  # tried where the file leaves the latent's size open
MAX_CLASSES = 10_000
PSI_NAMES = ("psi", "trunc")
CLASS_NAMES = ("c", "y", "class", "label", "onehot", "cond", "category")
PICTURE_NAMES = ("image", "img", "picture", "rgb", "sample", "output", "fake")


@dataclass(frozen=True)
class Probed:
    """How a file is called, for people to confirm, and what came out when it was tried."""

    config: GeneratorConfig
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    lowest: float
    highest: float
    classes: tuple[str, ...]
    card: dict
    notes: tuple[str, ...]

    def lines(self) -> dict[str, str]:
        """What was found, by name."""
        config = self.config
        shape = f"[N, {config.z_dim}]" if config.z_form == "vector" else f"[N, {config.z_dim}, 1, 1]"
        kind = f"{config.c_input} as {config.c_form}, {config.c_dim} classes" if config.c_dim else "none"
        side = config.img_resolution
        return {
            "inputs": ", ".join(self.inputs),
            "outputs": ", ".join(self.outputs),
            "latent": f"{config.z_input} {shape}",
            "class": kind,
            "pictures": f"{config.output}, {config.layout}, {side} x {side} px, {config.file_channels} channels",
            "values": f"{config.low:g} is black, {config.high:g} is white (found {self.lowest:.3g} to "
                      f"{self.highest:.3g})",
            "batch": f"always {config.batch}" if config.batch else "any",
        } | {f"note {i}": note for i, note in enumerate(self.notes, start=1)}  # fmt: skip


def probe(data: bytes, name: str, changes: Mapping[str, object]) -> Probed:
    """How to call the ONNX generator in `data`; name: of the file, for messages; changes: fields that are known better.

    Raises: CocktailError where it cannot be run safely, or draws no square pictures from a latent.
    """
    unknown = sorted(set(changes) - {field.name for field in fields(GeneratorConfig)})
    if unknown:
        raise CocktailError(f"{name}: {', '.join(unknown)} is no field of an ONNX generator.")
    contents = onnx_file.check(data, name)
    session = open_session(data, name, torch.get_num_threads())
    said = _metadata(contents.metadata.get(METADATA), name)
    try:
        config = GeneratorConfig(file_bytes=len(data), weights=contents.weights)
        config = _outputs(session, _inputs(session, config, said, changes), changes)
        return _described(session, config, said, changes)
    except CocktailError as error:
        raise CocktailError(f"{name}: {error}") from error


def _metadata(text: str | None, name: str) -> dict:
    """What a file that was exported here says of itself: {"z_dim", "classes", "card", ...}; {} for all others."""
    if text is None:
        return {}
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CocktailError(f"{name}: the metadata {METADATA!r} is no valid JSON ({error}).") from error
    classes = said.get("classes") if isinstance(said, dict) else None
    if not isinstance(classes, list) or not all(isinstance(label, str) and label for label in classes):
        raise CocktailError(f"{name}: the metadata {METADATA!r} has no list of class names.")
    return said


def _roles(session: object, changes: Mapping[str, object]) -> dict[str, object]:
    """Which input is the latent, which the class and which a truncation: entries of the session, by role."""
    rest = {entry.name: entry for entry in session.get_inputs()}
    taken = ", ".join(map(_entry, rest.values())) or "nothing"
    psi = changes.get("psi_input") or next((n for n in rest if n.lower().startswith(PSI_NAMES)), "")
    found = {"psi": rest.pop(psi, None)}
    found["c"] = rest.pop(changes.get("c_input") or _class_input(rest), None)
    found["z"] = rest.pop(changes.get("z_input") or next(iter(rest), ""), None)
    if found["z"] is None or rest or found["z"].type not in FLOATS:
        raise CocktailError(f"it takes {taken}; expected a latent of floats, or a latent and a class.")
    if len(found["z"].shape) not in (2, 4) or any(n not in (1, None) for n in _fixed(found["z"].shape)[2:]):
        raise CocktailError(f"it takes {taken}; expected a latent [N, z] or [N, z, 1, 1].")
    return found


def _class_input(entries: dict) -> str:
    """The input for the class: by name or by whole numbers, else the second of two."""
    for name, entry in entries.items():
        if len(entries) > 1 and (name.lower().strip("_0123456789").startswith(CLASS_NAMES) or entry.type in INTEGERS):
            return name
    return list(entries)[1] if len(entries) == 2 else ""


def _inputs(session: object, config: GeneratorConfig, said: dict, changes: Mapping[str, object]) -> GeneratorConfig:
    """The config with the fields for the inputs."""
    roles = _roles(session, changes)
    z, label, psi = roles["z"], roles["c"], roles["psi"]
    fixed = _fixed(z.shape)
    if (fixed[0] or 0) > MAX_BATCH:
        raise CocktailError(f"it draws {fixed[0]} pictures at a time; at most {MAX_BATCH} are possible.")
    found = {"z_input": z.name, "z_type": z.type, "z_form": "map" if len(fixed) == 4 else "vector",
             "batch": fixed[0] or 0}  # fmt: skip
    if psi is not None:
        found |= {"psi_input": psi.name, "psi_shape": (1,) * len(psi.shape)}
    if label is not None:
        shape = _fixed(label.shape)
        form = "one-hot" if len(shape) == 2 and label.type in FLOATS else "index" if len(shape) == 1 else "index column"
        form = "one-hot" if len(shape) == 2 and (shape[1] or 1) > 1 else form
        known = changes.get("c_dim") or len(said.get("classes", ())) or (form == "one-hot" and shape[1]) or 0
        if form == "one-hot" and not known:
            raise CocktailError(f"how many classes {label.name} has is not written in the file; say it (c_dim).")
        found |= {"c_input": label.name, "c_type": label.type, "c_form": form, "c_dim": known or 1}
    z_dim = changes.get("z_dim") or said.get("z_dim") or fixed[1]
    sizes = (z_dim,) if z_dim else Z_DIMS
    own = {name: value for name, value in changes.items() if name in found}
    config = _first_that_runs(session, [replace(config, **(found | own | {"z_dim": size})) for size in sizes])
    counted = label is not None and not known
    return replace(config, c_dim=_count_classes(session, config)) if counted else config


def _first_that_runs(session: object, configs: list[GeneratorConfig]) -> GeneratorConfig:
    reason = None
    for config in configs:
        try:
            run(session, session.get_outputs()[0].name, feeds(_codes(config, 1), config), LIMIT_SEC)
            return config
        except CocktailError as error:
            reason = reason or error
    sizes = ", ".join(str(config.z_dim) for config in configs)
    tried = f" (tried latents of {sizes}; say it: z_dim)" if len(configs) > 1 else ""
    raise CocktailError(f"{reason}{tried}") from reason


def _count_classes(session: object, config: GeneratorConfig) -> int:
    """How many class numbers the file takes before it fails."""

    def fits(count: int) -> bool:
        asked = replace(config, c_dim=count)
        try:
            run(session, session.get_outputs()[0].name, feeds(_codes(asked, 1, label=count - 1), asked), LIMIT_SEC)
        except CocktailError:
            return False
        return True

    low, high = 1, 2
    while high <= MAX_CLASSES and fits(high):
        low, high = high, 2 * high
    if high > MAX_CLASSES:
        raise CocktailError(f"how many classes {config.c_input} has is not written in the file; say it (c_dim).")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _outputs(session: object, config: GeneratorConfig, changes: Mapping[str, object]) -> GeneratorConfig:
    """The config with the fields for the output: the largest square picture that the file gives."""
    entries = session.get_outputs()
    given = ", ".join(map(_entry, entries))
    asked = changes.get("output")
    floats = [entry.name for entry in entries if entry.type in FLOATS and asked in (None, entry.name)]
    candidates = []
    for name in floats:
        shape = run(session, name, feeds(_codes(config, 1), config), LIMIT_SEC).shape
        for layout in (changes["layout"],) if "layout" in changes else LAYOUTS:
            channels, height, width = _sides(shape, layout)
            if channels in (1, 3) and height == width and 4 <= height <= MAX_SIDE:
                named = name.lower().startswith(PICTURE_NAMES)
                candidates.append(((named, height, layout == "NCHW"), name, layout, channels))
                break
    if not candidates:
        raise CocktailError(
            f"it gives {given}; expected square pictures of floats, [N, 3, H, H] or [N, H, H, 3] (or one channel), of "
            f"4 to {MAX_SIDE} px."
        )
    (_, side, _), name, layout, channels = max(candidates)
    return replace(config, output=name, layout=layout, img_resolution=side, file_channels=channels)


def _sides(shape: tuple[int, ...], layout: str) -> tuple[int, int, int]:
    """Channels, height and width."""
    if len(shape) != 4:
        return 0, 0, 0
    return (shape[1], shape[2], shape[3]) if layout == "NCHW" else (shape[3], shape[1], shape[2])


def _described(session: object, config: GeneratorConfig, said: dict, changes: Mapping[str, object]) -> Probed:
    """The whole config, with the values' range and what a batch may be, from pictures drawn."""
    own = {name: value for name, value in changes.items() if name not in ("file_bytes", "weights")}
    config, notes = replace(config, **own), []
    codes = _codes(config, DRAWS)
    size = config.batch or 1
    single = [_draw(session, config, codes[i : i + 1].repeat(size, axis=0))[:1] for i in range(DRAWS)]
    images = np.concatenate(single)
    if not np.isfinite(images).all():
        raise CocktailError("its pictures hold NaN or infinity; the training that made it diverged.")
    if not config.batch and not _in_company(session, config, codes[:3], images[:3]):
        config = replace(config, batch=1)
        notes.append("drawn one at a time: in a batch it fails, or a picture depends on the others")
    if np.ptp(images, axis=0).max() < 1e-4 * max(1e-6, np.abs(images).max()):
        notes.append("all latents give the same picture: is this input the latent?")
    low, high = _range(images)
    config = replace(config, low=changes.get("low", low), high=changes.get("high", high))
    classes = tuple(said.get("classes") or ()) or tuple(str(i) for i in range(config.c_dim))
    if len(classes) != config.c_dim:
        raise CocktailError(f"it names {len(classes)} classes, but takes {config.c_dim}; say how many (c_dim).")
    card = {name: said[name] for name in ("title", "licence") if isinstance(said.get(name), str)}
    entries = [tuple(map(_entry, found)) for found in (session.get_inputs(), session.get_outputs())]
    return Probed(config, *entries, float(images.min()), float(images.max()), classes, card, tuple(notes))


def _draw(session: object, config: GeneratorConfig, codes: np.ndarray) -> np.ndarray:
    images = run(session, config.output, feeds(codes, config), LIMIT_SEC)
    if len(images) != len(codes):
        raise CocktailError(f"it draws {len(images)} pictures for {len(codes)} latents.")
    return images.astype(np.float32)


def _in_company(session: object, config: GeneratorConfig, codes: np.ndarray, alone: np.ndarray) -> bool:
    try:
        together = _draw(session, config, codes)
    except CocktailError:
        return False
    return np.abs(together - alone).max() < 1e-2 * max(1e-6, np.abs(alone).max())


def _range(images: np.ndarray) -> tuple[float, float]:
    """The values of black and white. Pictures may go somewhat beyond them, and few reach them."""
    lowest, highest = float(images.min()), float(images.max())
    if highest > 24 and highest > -2 * lowest:
        return 0.0, 255.0
    return (0.0, 1.0) if lowest > -0.02 and highest < 1.5 else (-1.0, 1.0)


def _codes(config: GeneratorConfig, count: int, label: int | None = None) -> np.ndarray:
    """Latents with one-hot classes in turn, or of one class: float32 [count, z_dim + c_dim], or a whole batch."""
    count = max(count, config.batch)
    z = np.random.RandomState(0).randn(count, config.z_dim)
    hot = np.zeros((count, config.c_dim))
    if config.c_dim:
        hot[np.arange(count), np.arange(count) % config.c_dim if label is None else label] = 1
    return np.concatenate([z, hot], axis=1).astype(np.float32)


def _fixed(shape: list) -> list[int | None]:
    """Sizes that the file fixes, None for those that it leaves open."""
    return [size if isinstance(size, int) and size > 0 else None for size in shape]


def _entry(entry: object) -> str:
    shape = ", ".join("?" if size is None else str(size) for size in _fixed(entry.shape))
    return f"{entry.name} {entry.type.removeprefix('tensor(').removesuffix(')')} [{shape}]"
