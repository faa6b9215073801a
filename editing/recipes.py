"""How a picture was made, kept inside its PNG file, and enough to make it again bit by bit.

The recipe is JSON in a PNG text chunk named "gan-cocktail". It names the model by a reference and by a fingerprint of
its weights; a path on disk is cut to its last part, so that a shared picture does not tell where its maker keeps files.
"""

import hashlib
import io
import json
import math
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import PIL.Image
import torch
from PIL.PngImagePlugin import PngInfo

from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.images import DECODING_ERRORS
from cocktail.seeds import MAX_SEED

CHUNK = "gan-cocktail"
VERSION = 1
NOISE_MODES = ("const", "random", "none")
PSI_RANGE = (-2.0, 2.0)
MAX_PICTURES = 4096  # in one recipe: a sheet of contact prints, not a data set


@dataclass(frozen=True)
class PictureRecipe:
    """One picture, or a sheet of them: every class in `labels` (one row each) for every seed (one column each).

    `labels` is () for an unconditional model. `cutoff` counts the layers that psi acts on, None = all. With noise mode
    "random" the i-th picture's noise comes from torch's generator seeded with `noise_seed` + i.
    """

    model: str
    fingerprint: str
    labels: tuple[str, ...]
    seeds: tuple[int, ...]
    psi: float = 1.0
    cutoff: int | None = None
    noise_mode: str = "const"
    noise_seed: int = 0

    def cells(self) -> list["PictureRecipe"]:
        """One recipe per picture, row by row."""
        rows = [(label,) for label in self.labels] or [()]
        pairs = [(row, seed) for row in rows for seed in self.seeds]
        step = 1 if self.noise_mode == "random" else 0
        return [
            replace(self, labels=row, seeds=(seed,), noise_seed=(self.noise_seed + i * step) % (MAX_SEED + 1))
            for i, (row, seed) in enumerate(pairs)
        ]

    @property
    def key(self) -> str:
        """Equal for equal recipes: 16 hexadecimal digits."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def describe(self) -> str:
        """One line for a person: "cat, seed 12, psi 0.7"."""
        words = [", ".join(self.labels)] if self.labels else []
        words.append(f"seed {self.seeds[0]}" if len(self.seeds) == 1 else f"{len(self.seeds)} seeds")
        words.append(f"psi {self.psi:g}" + (f" up to layer {self.cutoff}" if self.cutoff is not None else ""))
        if self.noise_mode != "const":
            words.append(f"noise {self.noise_mode}")
        return ", ".join(words)

    def file_name(self) -> str:
        """A name for the PNG that any file system takes: "cat-seed12-psi0.7.png"."""
        what = self.labels[0] if len(self.labels) == 1 else "classes" if self.labels else self.model.split("/")[-1]
        last = f"-{self.seeds[-1]}" if len(self.seeds) > 1 else ""
        name = f"{what}-seed{self.seeds[0]}{last}-psi{self.psi:g}"
        return "".join(letter if letter.isalnum() or letter in "-." else "-" for letter in name)[:80] + ".png"

    def to_json(self) -> str:
        return json.dumps({"version": VERSION, **asdict(self)}, ensure_ascii=True, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "PictureRecipe":
        """Reads what `to_json` wrote and trusts none of it.

        Raises: CocktailError where it is no JSON, of another version, or a value has the wrong type or range.
        """
        try:
            data = json.loads(text)
        except (TypeError, ValueError, RecursionError) as error:
            raise CocktailError(f"The settings are no valid JSON ({error}).") from error
        if not isinstance(data, dict) or data.get("version") != VERSION:
            found = data.get("version") if isinstance(data, dict) else type(data).__name__
            raise CocktailError(f"The settings are of version {found!r}; this program reads version {VERSION}.")
        missing = [name for name in ("model", "fingerprint", "labels", "seeds") if name not in data]
        if missing:
            raise CocktailError(f"The settings lack {', '.join(missing)}.")
        known = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        for name in ("labels", "seeds"):
            if not isinstance(known[name], list):
                raise CocktailError(f"The settings' {name} are {known[name]!r:.60}; expected a list.")
            known[name] = tuple(known[name])
        return check(cls(**known))


def check(recipe: PictureRecipe) -> PictureRecipe:
    """Returns the recipe if every value has its type and range.

    Raises: CocktailError that names the first value that has not.
    """

    def whole(value: object, low: int, high: int) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

    psi = recipe.psi
    rules = {
        "model": isinstance(recipe.model, str) and len(recipe.model) < 300,
        "fingerprint": isinstance(recipe.fingerprint, str) and len(recipe.fingerprint) < 100,
        "labels": all(isinstance(label, str) for label in recipe.labels),
        "seeds": bool(recipe.seeds) and all(whole(seed, 0, MAX_SEED) for seed in recipe.seeds),
        "psi": isinstance(psi, int | float) and math.isfinite(psi) and PSI_RANGE[0] <= psi <= PSI_RANGE[1],
        "cutoff": recipe.cutoff is None or whole(recipe.cutoff, 0, 1000),
        "noise_mode": recipe.noise_mode in NOISE_MODES,
        "noise_seed": whole(recipe.noise_seed, 0, MAX_SEED),
    }
    for name, good in rules.items():
        if not good:
            raise CocktailError(f"The setting {name} is {getattr(recipe, name)!r:.60}, which cannot be drawn.")
    if len(recipe.seeds) * max(1, len(recipe.labels)) > MAX_PICTURES:
        raise CocktailError(f"The settings ask for more than {MAX_PICTURES} pictures.")
    return recipe


def model_name(ref: str) -> str:
    """The part of a reference that may be written into a picture: "bundled/union" stays, a path gives its last part."""
    return ref if ref.startswith("bundled/") else Path(ref).name


def fingerprint(gan: Gan) -> str:
    """SHA-256 of the generator's tensors (names, shapes, bytes), its config and class names: 32 hexadecimal digits."""
    config = gan.generator.config
    # Defaults are left out: an option that a later version adds must not disown the pictures of today.
    options = {f.name: getattr(config, f.name) for f in fields(config) if getattr(config, f.name) != f.default}
    digest = hashlib.sha256(repr((gan.classes, sorted(options.items()))).encode())
    for name, value in sorted(gan.generator.state_dict().items()):
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:32]


def to_png(image: PIL.Image.Image, recipe: PictureRecipe) -> bytes:
    """A PNG file with the exact pixels and the recipe in it."""
    info = PngInfo()
    info.add_text(CHUNK, recipe.to_json())
    info.add_itxt("Description", recipe.describe())
    info.add_text("Software", "GAN Cocktail Studio")
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def from_png(path: str | Path) -> PictureRecipe:
    """Reads the recipe of a picture.

    Raises: CocktailError where the file is missing, no picture, or holds no recipe of this program.
    """
    try:
        with PIL.Image.open(path) as image:
            image.verify()
            text = image.info.get(CHUNK)
    except DECODING_ERRORS as error:
        reason = getattr(error, "strerror", None) or "it is no picture, or it is damaged"
        name = Path(path).name
        raise CocktailError(f"{name} cannot be opened: {reason}. Choose a PNG that was downloaded here.") from error
    if not isinstance(text, str):
        raise CocktailError(
            f"{Path(path).name} holds no settings. Only a PNG downloaded here does, and messengers and picture editors "
            "often strip them; use the original file."
        )
    return PictureRecipe.from_json(text)
