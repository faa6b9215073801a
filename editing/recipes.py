"""How a picture was made, kept inside its PNG file, and enough to make it again bit by bit.

The recipe is JSON in a PNG text chunk named "gan-cocktail". It names the model by a reference and by a fingerprint of
its weights; a path on disk is cut to its last part, so that a shared picture does not tell where its maker keeps files.
"""

import hashlib
import io
import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import PIL.Image
import torch
from PIL.PngImagePlugin import PngInfo

from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.images import DECODING_ERRORS
from cocktail.runs.folder import LOG
from cocktail.seeds import MAX_SEED
from editing import edits
from editing.edits import EditRecipe

CHUNK = "gan-cocktail"
VERSION = 1
NOISE_MODES = ("const", "random", "none")
PSI_RANGE = (-2.0, 2.0)
MAX_LETTERS = 8_000_000  # of a recipe's JSON
MAX_PICTURES = 4096  # in one recipe: a sheet of contact prints, not a data set
OF_RUNS = {"result": "", "latest": "", "best": " best"}  # folders of a run -> what its model is called after it


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
    def label(self) -> str | None:
        """The class of the first row."""
        return self.labels[0] if self.labels else None

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
    def from_data(cls, data: dict) -> "PictureRecipe":
        """Reads what `to_json` wrote, parsed, and trusts none of it.

        Raises: CocktailError where a value is missing or has the wrong type or range.
        """
        missing = [name for name in ("model", "fingerprint", "labels", "seeds") if name not in data]
        if missing:
            raise CocktailError(f"The settings lack {', '.join(missing)}.")
        known = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        for name in ("labels", "seeds"):
            if not isinstance(known[name], list):
                raise CocktailError(f"The settings' {name} are {known[name]!r:.60}; expected a list.")
            known[name] = tuple(known[name])
        return check(cls(**known))


Recipe = PictureRecipe | EditRecipe


def read(text: object) -> Recipe:
    """Reads the JSON of a recipe, a sheet of samples or an edit, and trusts none of it.

    Raises: CocktailError where it is no JSON, of another version, or a value has the wrong type or range.
    """
    try:
        if not isinstance(text, str) or len(text) > MAX_LETTERS:
            raise ValueError(f"{len(text):,} letters" if isinstance(text, str) else type(text).__name__)
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CocktailError(f"The settings are no valid JSON ({error}).") from error
    version = data.get("version") if isinstance(data, dict) else type(data).__name__
    kinds = {VERSION: PictureRecipe, edits.VERSION: EditRecipe}
    if not isinstance(version, int) or version not in kinds:
        raise CocktailError(f"The settings are of version {version!r:.40}; this program reads 1 and 2.")
    return kinds[version].from_data(data)


def node_of(recipe: Recipe) -> edits.Node:
    """One picture's recipe as a node that further edits start from. Raises: CocktailError on a sheet of several."""
    if isinstance(recipe, EditRecipe):
        return recipe.edit
    if len(recipe.cells()) != 1:
        raise CocktailError(f"This is a sheet of {len(recipe.cells())} pictures; choose one of them.")
    return edits.Seed(recipe.label, recipe.seeds[0], float(recipe.psi), recipe.cutoff)


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
        "psi": isinstance(psi, int | float) and PSI_RANGE[0] <= psi <= PSI_RANGE[1],
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
    """The part of a reference that may be written into a picture: "bundled/union" stays, a path gives its last part, or
    the name of the run that the model is of."""
    path = Path(ref)
    if path.name in OF_RUNS and (path.parent / LOG).is_file():
        return path.parent.name + OF_RUNS[path.name]
    return ref if ref.startswith("bundled/") else path.name


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


def to_png(image: PIL.Image.Image, recipe: Recipe | None = None, quick: bool = False) -> bytes:
    """A PNG file with the exact pixels, and the recipe in it if there is one; a `quick` one is larger."""
    info = PngInfo()
    if recipe is not None:
        info.add_text(CHUNK, recipe.to_json())
        info.add_itxt("Description", recipe.describe())
    info.add_text("Software", "GAN Cocktail Studio")
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=info, compress_level=1 if quick else 6)
    return buffer.getvalue()


def from_png(source: str | Path | bytes, name: str = "") -> Recipe:
    """Reads the recipe of a picture, from its file or its bytes; `name` is what to call it in a message.

    Raises: CocktailError where the file is missing, no picture, or holds no recipe of this program.
    """
    name = name or ("The picture" if isinstance(source, bytes) else Path(source).name)
    try:
        with PIL.Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            image.verify()
            text = image.info.get(CHUNK)
    except DECODING_ERRORS as error:
        reason = getattr(error, "strerror", None) or "it is no picture, or it is damaged"
        raise CocktailError(f"{name} cannot be opened: {reason}. Choose a PNG that was downloaded here.") from error
    if not isinstance(text, str):
        raise CocktailError(
            f"{name} holds no settings. Only a PNG downloaded here does, and messengers and picture editors "
            "often strip them; use the original file."
        )
    return read(text)
