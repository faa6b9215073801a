"""A shelf as a file: safetensors with JSON, or StyleGAN's projected_w.npz. Nothing that comes in is trusted."""

import io
import json
import math
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from cocktail.errors import CocktailError
from editing.edits import Array, Code, EditRecipe
from editing.recipes import Recipe, from_png, read
from editing.shelf import MAX_NAME, MAX_PICKS, Pick

FORMAT, VERSION = "gan-cocktail-shelf", "1"
MAX_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Entry:
    """A pick as a file holds it: its picture is drawn anew from the recipe."""

    name: str
    recipe: Recipe


def to_safetensors(picks: Sequence[Pick]) -> bytes:
    """All picks: codes as tensors "0", "1", ..., float32 [num_ws, w_dim]; names and recipes as JSON metadata.

    Raises: CocktailError on an empty shelf.
    """
    _check_any(picks)
    about = [{"name": pick.name, "label": pick.label, "recipe": pick.recipe.to_json()} for pick in picks]
    tensors = {str(i): pick.ws.contiguous().float() for i, pick in enumerate(picks)}
    return save(tensors, {"format": FORMAT, "version": VERSION, "picks": json.dumps(about)})


def to_npz(picks: Sequence[Pick]) -> bytes:
    """The codes as StyleGAN's projector writes them: key "w", float32 [N, num_ws, w_dim].

    Raises: CocktailError on an empty shelf, or picks of models of different shape.
    """
    _check_any(picks)
    shapes = {tuple(pick.ws.shape) for pick in picks}
    if len(shapes) > 1:
        raise CocktailError("The pictures are of models of different shape, and one npz file holds one shape only.")
    buffer = io.BytesIO()
    np.savez(buffer, w=torch.stack([pick.ws for pick in picks]).float().numpy())
    return buffer.getvalue()


def read_shelf(data: bytes, file_name: str, model: str, fingerprint: str) -> list[Entry]:
    """The picks of a file: a shelf, a picture that was saved here, or npz codes, taken to be of the model that is open.

    Raises: CocktailError where it is none of these, damaged, too large, or holds values that are no codes.
    """
    if len(data) > MAX_BYTES:
        raise CocktailError(f"{file_name} has {len(data) / 2**20:.0f} MB; a shelf has at most {MAX_BYTES // 2**20} MB.")
    if data[:2] == b"PK":
        return _from_npz(data, file_name, model, fingerprint)
    if data[:4] == b"\x89PNG":
        return [Entry("", single) for single in _cells(from_png(data, file_name))]
    return _from_safetensors(data, file_name)


def _cells(recipe: Recipe) -> Sequence[Recipe]:
    """A recipe's pictures one by one."""
    if isinstance(recipe, EditRecipe):
        return [recipe]
    _check_count(len(recipe.cells()), "The sheet")
    return recipe.cells()


def _from_safetensors(data: bytes, file_name: str) -> list[Entry]:
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        about = header.get("__metadata__", {})
        tensors = load(data)
        if about.get("format") != FORMAT or about.get("version") != VERSION:
            raise ValueError(f"format {about.get('format')!r:.40}, version {about.get('version')!r:.20}")
        listed = json.loads(about["picks"])
        found = [(str(entry["name"])[:MAX_NAME], entry["recipe"], tensors[str(i)]) for i, entry in enumerate(listed)]
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CocktailError(
            f"{file_name} is no shelf of this program, or it is damaged ({str(error)[:80]}). Expected a .safetensors "
            "file or a PNG that was saved here, or a projected_w.npz. Your shelf is unchanged."
        ) from error
    _check_count(len(found), file_name)
    for _, _, ws in found:
        _check_codes(ws, file_name)
    return [Entry(name, read(recipe)) for name, recipe, _ in found]


def _from_npz(data: bytes, file_name: str, model: str, fingerprint: str) -> list[Entry]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())  # before anything is unpacked
            if size > MAX_BYTES:
                raise ValueError(f"{size / 2**20:.0f} MB when unpacked")
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            if "w" not in archive:
                raise ValueError(f"keys {', '.join(archive.files[:5]) or 'none'}; expected w")
            values = torch.from_numpy(np.asarray(archive["w"], dtype=np.float32))
    except (
        ValueError,
        OSError,
        EOFError,
        TypeError,
        MemoryError,
        RuntimeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise CocktailError(
            f"{file_name} is no projected_w.npz ({str(error)[:80]}). Your shelf is unchanged."
        ) from error
    if values.ndim != 3:
        raise CocktailError(f"{file_name}: w has shape {list(values.shape)}; expected [N, num_ws, w_dim].")
    _check_count(len(values), file_name)
    stem = file_name.rsplit(".", 1)[0][:40]
    entries = []
    for i, ws in enumerate(values):
        _check_codes(ws, file_name)
        name = stem if len(values) == 1 else f"{stem} {i + 1}"
        entries.append(Entry(name, EditRecipe(model, fingerprint, Code(None, Array.of(ws), name))))
    return entries


def _check_any(picks: Sequence[Pick]) -> None:
    if not picks:
        raise CocktailError("The shelf is empty; there is nothing to save. Click a picture first.")


def _check_count(count: int, file_name: str) -> None:
    if not 1 <= count <= MAX_PICKS:
        raise CocktailError(f"{file_name} holds {count} codes; a shelf takes 1 to {MAX_PICKS}. Yours is unchanged.")


def _check_codes(ws: Tensor, file_name: str) -> None:
    if ws.ndim != 2 or not 0 < math.prod(ws.shape) <= 18 * 1024 or not torch.isfinite(ws.float()).all():
        raise CocktailError(
            f"{file_name} holds a code that cannot be used: shape {list(ws.shape)}, or NaN among its numbers. "
            "Your shelf is unchanged."
        )
