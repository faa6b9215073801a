"""What a model is measured against: drawings made on the spot, or the samples of another model."""

from collections.abc import Sequence

import torch
from torch import Tensor

from cocktail import checkpoints, domains
from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.sources import GanSource, ImageSource


class DrawnDomains:
    """Drawn domains without a pool: every drawing is new, so that two halves share none and the floor is honest."""

    def __init__(self, names: Sequence[str], resolution: int):
        self.classes, self.resolution = tuple(names), resolution
        self._domains = [domains.get(name) for name in names]

    def sample_class(self, labels: Tensor, rng: torch.Generator) -> Tensor:
        """int64 [n] in [0, len(classes)) -> float32 [n, 3, R, R] in [-1, 1]."""
        img = torch.empty(len(labels), 3, self.resolution, self.resolution)
        for index in labels.unique().tolist():
            rows = (labels == index).nonzero().flatten()
            img[rows] = self._domains[index].draw(len(rows), rng, self.resolution)[0]
        return img


def reference(text: str, gan: Gan) -> ImageSource:
    """The source that a text names for a model's classes: "REF" or "CLASS=REF", REF a drawn domain or a model.

    Without CLASS, a domain or an unconditional model stands for the class of its own name, which is the last part of
    the reference ("bundled/cat" -> cat), and a conditional model for all its classes. Where the model under test has
    no classes, anything of one class will do.
    Raises: CocktailError where REF is neither domain nor model, or names no class of the model under test.
    """
    label, ref = _split(text)
    if ref in domains.names():
        source: ImageSource = DrawnDomains((ref,), gan.resolution)
    else:
        other = checkpoints.load(ref)
        name = ref.rstrip("/").removesuffix("/result").rsplit("/", 1)[-1].removesuffix(".safetensors")
        picked = (label,) if label is not None and label in other.classes else ()
        source = GanSource(other, picked, () if other.classes else (name,), gan.resolution)
    if label is not None:
        if len(source.classes) != 1:
            known = ", ".join(source.classes)
            raise CocktailError(f"{text!r}: {ref} has the classes {known} and none called {label!r}.")
        source.classes = (label,)
    if gan.classes and not set(source.classes) & set(gan.classes):
        raise CocktailError(
            f"{text!r} stands for {', '.join(source.classes)}, but the model's classes are {', '.join(gan.classes)}; "
            f'say which one is meant, for example "{gan.classes[0]}={ref}".'
        )
    return source


def _split(text: str) -> tuple[str | None, str]:
    label, equals, ref = text.partition("=")
    # A path may hold "=", a class name holds no slash.
    return (label.strip(), ref.strip()) if equals and "/" not in label else (None, text.strip())
