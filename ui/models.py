"""The models that the page can use, and a cache of those in memory."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from cocktail import checkpoints
from cocktail.checkpoints import importing
from cocktail.errors import CocktailError
from cocktail.gan import Gan
from editing.recipes import Recipe, fingerprint, model_name
from ui import sharing, space

BUNDLED = "bundled/"
DEFAULT = "bundled/union"
DRAWING = threading.Lock()  # two networks at once on the same cores are slower than one after the other
CAPACITY = 6  # models in memory; the bundled ones are 5


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model in memory, ready to draw."""

    ref: str
    gan: Gan
    fingerprint: str

    def picture(self, recipe: Recipe) -> Tensor:
        """The one picture of a recipe of this model, uint8 [1, 3, H, W] on the CPU; one is drawn at a time."""
        with DRAWING:
            sharing.apply()
            return space.picture(self.gan, recipe, self.ref, self.fingerprint)

    @property
    def title(self) -> str:
        return str(self.gan.card.get("title") or model_name(self.ref))


@dataclass
class Models:
    """Loads models by reference and keeps the last few; a file that changed on disk is read again.

    `given` are references that the app was started with. A public app opens these and the bundled ones and nothing
    else, so that a visitor cannot look around on the server's disk.
    """

    given: Sequence[str] = ()
    public: bool = False
    device: torch.device = field(default_factory=lambda: best_device())

    def __post_init__(self) -> None:
        self._loaded: OrderedDict[tuple, Loaded] = OrderedDict()
        self._lock = threading.RLock()
        self._merged: set[str] = set()

    def allow(self, ref: str) -> None:
        """Lets every visitor open a model that was merged here, also where the page is public."""
        self._merged.add(ref)

    def refs(self) -> list[str]:
        """References that every visitor may choose from, the one to open first in front."""
        bundled = [BUNDLED + name for name in checkpoints.bundled()]
        bundled.sort(key=lambda ref: ref != DEFAULT)
        imported = [] if self.public else importing.models()
        return list(dict.fromkeys([*self.given, *bundled, *imported]))

    def stamp(self, ref: str) -> tuple:
        """What is equal as long as a model's files are: its path, their names, sizes and times. Raises: as `locate`."""
        path = checkpoints.locate(ref).resolve()
        return str(path), _stamp(path)

    def get(self, ref: str | None) -> Loaded:
        """The model of a reference, loaded now unless it is in memory.

        Raises: CocktailError where there is none, it cannot be read, or a public app may not open it.
        """
        if not ref:
            raise CocktailError("No model is open. Go to the Library and open one.")
        if self.public and ref not in (*self.refs(), *self._merged):
            raise CocktailError("This page is public: it opens its own models only. Run the app at home to open yours.")
        key = self.stamp(ref)
        with self._lock:
            if key not in self._loaded:
                gan = checkpoints.load(ref).to(self.device)
                self._loaded[key] = Loaded(ref, gan, fingerprint(gan))
                while len(self._loaded) > CAPACITY:
                    self._loaded.popitem(last=False)
            self._loaded.move_to_end(key)
            return self._loaded[key]

    def known(self, opened: Sequence[str], ref: str | None) -> list[str]:
        """The references among which a visitor's pictures may have been made, the one that is open first."""
        return list(dict.fromkeys([*([ref] if ref else []), *opened, *self.refs()]))

    def named(self, recipe: Recipe, refs: Sequence[str]) -> Loaded:
        """The model that made a picture, found among `refs` by its fingerprint; those whose name fits are tried first.

        Raises: CocktailError where none of them made it.
        """
        for ref in sorted(refs, key=lambda ref: model_name(ref) != recipe.model):
            try:
                loaded = self.get(ref)
            except CocktailError:
                continue
            if loaded.fingerprint == recipe.fingerprint:
                return loaded
        raise CocktailError(
            f"This picture was made by the model {recipe.model!r} ({recipe.fingerprint[:8]}), which is not open here. "
            "Open it in the Library, then open the picture again."
        )


def short_name(ref: str) -> str:
    """What the page calls a model where there is little room."""
    return model_name(ref).removeprefix(BUNDLED)


def best_device() -> torch.device:
    if space.on_zero():  # its GPU is lent for a picture at a time
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def describe_device(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return "Apple GPU" if device.type == "mps" else f"CPU, {threads} thread{'s' if threads != 1 else ''}"


def _stamp(path: Path) -> tuple:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return tuple((file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files if file.is_file())
