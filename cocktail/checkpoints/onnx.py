"""ONNX generators as models that can teach.

Whatever draws pictures from a normal latent, and for a class if it has some, becomes a `Gan` whose generator is that
file (`cocktail.networks.onnx_generator`); how it wants to be called is found out by trying (`onnx_probing`).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from cocktail.checkpoints import content, formats, onnx_probing
from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.networks import onnx_file
from cocktail.networks.onnx_generator import Generator


def recognises(path: Path) -> bool:
    """Whether a file begins as an ONNX model does."""
    return content.kind(path) == "onnx"


def probe(path: str | Path, changes: Mapping[str, object] | None = None) -> onnx_probing.Probed:
    """How a file is called, for people to confirm. Raises: as `load`."""
    path = Path(path)
    return onnx_probing.probe(_read(path), path.name, changes or {})


def load(path: str | Path, changes: Mapping[str, object] | None = None) -> Gan:
    """The generator in an ONNX file. changes: fields of its config that are known better than probing finds them.

    Raises: CocktailError where the file is none that can be run safely, draws no square pictures from a latent, or a
    change does not fit it.
    """
    path = Path(path)
    return _made(_read(path), path.name, changes or {})


def changed(gan: Gan, changes: Mapping[str, object]) -> Gan:
    """The same file, called otherwise than probing found: fields of its config that are known better.

    Raises: CocktailError where the model is no ONNX file, or a change does not fit it.
    """
    if not isinstance(gan.generator, Generator):
        raise CocktailError("only an ONNX file can be called otherwise; this model says itself how it is drawn.")
    said = gan.card.get("imported")
    name = str(said.get("file")) if isinstance(said, dict) else "the file"
    made = _made(gan.generator.file.cpu().numpy().tobytes(), name, changes)
    return replace(made, card=gan.card | {"imported": made.card["imported"]})


def _made(data: bytes, name: str, changes: Mapping[str, object]) -> Gan:
    probed = onnx_probing.probe(data, name, changes)
    with torch.device("meta"):
        generator = Generator(probed.config)
    generator.load_state_dict({"file": torch.frombuffer(bytearray(data), dtype=torch.uint8)}, assign=True)
    card = probed.card | {
        "imported": {
            "format": "ONNX generator",
            "file": name,
            "sha256": hashlib.sha256(data).hexdigest(),
            "read": 1,
            "ignored": {},
            "found": probed.lines(),
        }
    }
    return Gan(generator.eval(), None, probed.classes, card)


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > onnx_file.MAX_BYTES:
            raise CocktailError(f"{path.name} has {size:,} bytes; at most {onnx_file.MAX_BYTES:,} are read.")
        return path.read_bytes()
    except OSError as error:
        raise CocktailError(f"{path} cannot be read ({error.strerror or error}); name an .onnx file.") from error


formats.register("an ONNX generator (.onnx)", recognises, load)
