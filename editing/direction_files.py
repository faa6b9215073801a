"""A library of named directions in one .safetensors file: vectors as tensors, the rest as JSON in its metadata."""

import json
import struct
from collections.abc import Sequence
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from cocktail.checkpoints import write_atomically
from cocktail.errors import CocktailError
from editing.directions import Direction

FORMAT, VERSION = "gan-cocktail-directions", 1
ENTRY = "directions"  # the one entry of metadata: several would be written in random order
MAX_DIRECTIONS = 500
MAX_BYTES = 50_000_000
MAX_W_DIM = 8192
MAX_LAYERS = 1000
MAX_SIGMA = 1e6
TEXTS = {"name": 100, "model": 300, "fingerprint": 100, "origin": 500}  # field -> most characters


def to_bytes(directions: Sequence[Direction]) -> bytes:
    """The file of a library; equal libraries give equal files.

    Raises: CocktailError where there are more than 500, two of a model share a name, or a text is empty or too long.
    """
    entries = [_describe(direction) for direction in directions]
    _check_entries(entries)
    tensors = {f"{i:03d}": direction.vector.detach().float().cpu().clone() for i, direction in enumerate(directions)}
    text = json.dumps({"format": FORMAT, "version": VERSION, "directions": entries}, sort_keys=True, allow_nan=False)
    return safetensors.torch.save(tensors, {ENTRY: text})


def write(directions: Sequence[Direction], path: Path | str) -> None:
    """Writes a library, whole or not at all. Raises: CocktailError as `to_bytes`, or where nothing can be written."""
    data = to_bytes(directions)
    write_atomically(Path(path), lambda partial: partial.write_bytes(data))


def read(source: Path | str | bytes) -> list[Direction]:
    """Reads a library from a file or from its bytes, and trusts nothing in it.

    Raises: CocktailError where it is missing, too large, damaged, of another kind or version, or a value has the wrong
    type, size or range.
    """
    name = "The file" if isinstance(source, bytes) else Path(source).name
    data = source if isinstance(source, bytes) else _load(Path(source))
    if len(data) > MAX_BYTES:
        raise CocktailError(f"{name} has {len(data):,} bytes; directions take at most {MAX_BYTES:,}.")
    try:
        tensors = safetensors.torch.load(data)
        size = struct.unpack("<Q", data[:8])[0]
        content = json.loads(json.loads(data[8 : 8 + size])["__metadata__"][ENTRY])
    except (SafetensorError, struct.error, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CocktailError(f"{name} holds no directions, or is damaged ({error!r:.80}). Take it anew.") from error
    if not isinstance(content, dict) or (content.get("format"), content.get("version")) != (FORMAT, VERSION):
        found = (content.get("format"), content.get("version")) if isinstance(content, dict) else content
        raise CocktailError(f"{name} is {found!r:.60}; this program reads {FORMAT}, version {VERSION}.")
    entries = content.get("directions")
    _check_entries(entries)
    if set(tensors) != {f"{i:03d}" for i in range(len(entries))}:
        raise CocktailError(f"{name} describes {len(entries)} directions and holds {len(tensors)} vectors.")
    return [_direction(entry, tensors[f"{i:03d}"]) for i, entry in enumerate(entries)]


def check_model(direction: Direction, fingerprint: str, title: str, w_dim: int | None = None) -> None:
    """Refuses a direction of another model than the one with this fingerprint, which a person knows as `title`.

    Raises: CocktailError that names both models, and both sizes of w where `w_dim` is given and differs.
    """
    if direction.fingerprint == fingerprint:
        return
    sizes = f", and has {len(direction.vector)} dimensions of w where that has {w_dim}"
    raise CocktailError(
        f"The direction {direction.name!r} belongs to the model {direction.model!r} ({direction.fingerprint[:8]}), not "
        f"to {title!r} ({fingerprint[:8]}){sizes if w_dim not in (None, len(direction.vector)) else ''}. Open its own "
        "model, or find the direction anew in this one."
    )


def _describe(direction: Direction) -> dict:
    texts = {name: getattr(direction, name) for name in TEXTS}
    return {**texts, "sigma": float(direction.sigma), "layers": list(direction.layers)}


def _load(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise CocktailError(
                f"{path.name} has {path.stat().st_size:,} bytes; directions take at most {MAX_BYTES:,}."
            )
        return path.read_bytes()
    except OSError as error:
        raise CocktailError(f"{path.name} cannot be read: {error.strerror or error}.") from error


def _check_entries(entries: object) -> None:
    if not isinstance(entries, list) or len(entries) > MAX_DIRECTIONS:
        found = len(entries) if isinstance(entries, list) else type(entries).__name__
        raise CocktailError(f"{found} directions found; a file holds a list of at most {MAX_DIRECTIONS}.")
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict):
            raise CocktailError(f"Direction {number} is described by {entry!r:.40}; expected an object.")
        for field, rule in _rules(entry).items():
            if not rule:
                raise CocktailError(f"Direction {number}: its {field} is {entry.get(field)!r:.60}, which cannot be.")
    keys = [(entry["fingerprint"], entry["name"]) for entry in entries]
    twice = next((name for i, (_, name) in enumerate(keys) if keys[i] in keys[:i]), None)
    if twice is not None:
        raise CocktailError(f"Two directions of one model are called {twice!r}; give each a name of its own.")


def _rules(entry: dict) -> dict[str, bool]:
    """Field -> whether its value can be."""
    rules = {
        name: isinstance(text := entry.get(name), str) and bool(text.strip()) and len(text) <= most
        for name, most in TEXTS.items()
    }
    sigma, layers = entry.get("sigma"), entry.get("layers")
    rules["sigma"] = type(sigma) in (int, float) and 0 < sigma < MAX_SIGMA
    whole = isinstance(layers, list) and len(layers) == 2 and all(type(layer) is int for layer in layers)
    rules["layers"] = whole and 0 <= layers[0] <= layers[1] < MAX_LAYERS
    return rules


def _direction(entry: dict, vector: Tensor) -> Direction:
    if vector.dtype != torch.float32 or vector.ndim != 1 or not 1 <= len(vector) <= MAX_W_DIM:
        found = f"{str(vector.dtype).removeprefix('torch.')} {list(vector.shape)}"
        raise CocktailError(f"The vector of {entry['name']!r} is {found}; expected float32 [1 to {MAX_W_DIM}].")
    texts = {name: entry[name] for name in TEXTS}
    return Direction(vector=vector, sigma=float(entry["sigma"]), layers=tuple(entry["layers"]), **texts)
