"""What compared models are measured against: drawings, the sources of a union, or one of the models themselves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
import torch
from torch import Tensor

from cocktail import domains
from cocktail.checkpoints import hub, modelcard
from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.metrics import (
    DiscriminatorFeatures,
    DrawnDomains,
    FeatureExtractor,
    InceptionFeatures,
    OracleFeatures,
    PixelFeatures,
)
from cocktail.metrics.choosing import SideBySide, is_drawn
from cocktail.recipe import Source
from cocktail.sources import GanSource, ImageSource
from cocktail.teachers import teacher
from editing.recipes import fingerprint
from ui import access
from ui.compare_picks import Side
from ui.models import Models, short_name

DRAWN, SOURCES, MODEL = "drawn", "sources:", "model:"
AUTO = "auto"
FEATURES = [("Automatic", AUTO), ("Oracle", "oracle"), ("Discriminator", "discriminator"),
            ("Inception", "inception"), ("Pixels", "pixels")]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Reference:
    """Pictures to measure against.

    words: what they are, for people; key: equal for equal pictures; gans: the models that draw them, () for drawings;
    at: resolution in px -> the sources, with the classes that each stands for; left_out: the model that is the
    reference itself.
    """

    words: str
    key: tuple
    gans: tuple[Gan, ...]
    at: Callable[[int], list[ImageSource]]
    left_out: str = ""

    def of(self, side: Side) -> list[ImageSource]:
        """The sources for the classes of one of the compared models. Raises: CocktailError where there are none."""
        gan = side.loaded.gan
        found = self.at(gan.resolution)
        names = [name for source in found for name in source.classes]
        if gan.classes:
            if not set(names) & set(gan.classes):
                raise CocktailError(f"none of its classes is there: the reference has {_some(names)}.")
            return [source for source in found if set(source.classes) & set(gan.classes)]
        wanted = side.known.called if side.known.called in names else names[0] if len(names) == 1 else None
        if wanted is None:
            raise CocktailError(f"it has no classes, and the reference has none called {side.known.called}.")
        source = next(source for source in found if wanted in source.classes)
        return [OneClass(source, source.classes.index(wanted))]


class OneClass:
    """One class of a source as a source of its own."""

    def __init__(self, source: ImageSource, index: int):
        self.source, self.index = source, index
        self.classes, self.resolution = (source.classes[index],), source.resolution

    def sample_class(self, labels: Tensor, rng: torch.Generator, rows: Tensor | None = None) -> Tensor:
        own = torch.full_like(labels, self.index)
        return self.source.sample_class(own, rng) if rows is None else self.source.sample_class(own, rng, rows)


def choices(sides: Sequence[Side]) -> list[tuple[str, str]]:
    """What these can be measured against, the default first."""
    able = [side for side in sides if side.loaded]
    drawn = [("Drawings", DRAWN)] if any(_drawable(side) for side in able) else []
    unions = [side for side in able if modelcard.parents(side.loaded.gan.card)]
    return [*drawn, *((f"Sources of {side.name}", SOURCES + side.value) for side in unions),
            *((f"{side.name} itself", MODEL + side.value) for side in able)]  # fmt: skip


def reference(sides: Sequence[Side], choice: str | None, models: Models, request: gr.Request | None) -> Reference:
    """The reference that a choice means.

    Raises: CocktailError where it is none of `choices`, or a source of a union cannot be read by this visitor.
    """
    if choice not in [value for _, value in choices(sides)]:
        raise CocktailError("Choose what to measure against: drawings, the sources of a union, or one of the models.")
    if choice == DRAWN:
        names = tuple(domains.names())
        return Reference("drawings made on the spot", (DRAWN,), (), lambda px: [DrawnDomains(names, px)])
    value = choice.partition(":")[2]
    side = next(side for side in sides if side.value == value)
    if choice.startswith(MODEL):
        gan, called = side.loaded.gan, side.known.called
        return Reference(f"samples of {side.name}", (MODEL, side.loaded.fingerprint, called), (gan,),
                         lambda px: [GanSource(gan, (), gan.classes or (called,), px)], side.name)  # fmt: skip
    return _of_sources(side, models, request)


def extractor(reference: Reference, features: str, resolution: int) -> FeatureExtractor:
    """The features in which all are measured, one for all of them, whatever each shares with the reference.

    As `cocktail.metrics.choose_features`, which is asked model by model: "auto" is the oracle for drawn classes, else
    the reference's own discriminators side by side, else pixels at `resolution` px.
    Raises: CocktailError where they are not to be had.
    """
    sources = reference.at(resolution)
    judges = [gan for gan in reference.gans if gan.discriminator is not None]
    if features == AUTO:
        features = "oracle" if all(map(is_drawn, sources)) else "discriminator" if judges else "pixels"
    if features == "oracle":
        return OracleFeatures()
    if features == "inception":
        return InceptionFeatures()
    if features == "pixels":
        return PixelFeatures(resolution)
    if features != "discriminator" or not judges:
        raise CocktailError("The reference has no discriminator. Choose other features.")
    return SideBySide([DiscriminatorFeatures(judge) for judge in judges], sources)


def _drawable(side: Side) -> bool:
    names = side.loaded.gan.classes or (side.known.called,)
    return bool(set(names) & set(domains.names()))


def _of_sources(side: Side, models: Models, request: gr.Request | None) -> Reference:
    """The models and pictures that a union was made from, as its card names them."""
    teachers = []
    for source in _sources(side):
        access.check_refs(models, [source.ref], request)
        if hub.is_name(source.ref) and not Path(source.ref).exists():
            raise CocktailError(f"{side.name} was made from {source.ref}, which is on the Hub. Import it in the "
                                "Library, or measure against something else: nothing is fetched here.")  # fmt: skip
        teachers.append(teacher(source, str(models.device)))
    gans = tuple(one.gan for one in teachers if one.gan is not None)
    key = (SOURCES, *((one.names, fingerprint(one.gan) if one.gan else one.fingerprint()) for one in teachers))
    words = ", ".join(short_name(source.ref) for source in _sources(side))
    return Reference(f"the sources of {side.name}: {words}", key, gans, lambda px: [t.source(px) for t in teachers])


def _sources(side: Side) -> list[Source]:
    """What the card says of the sources. Raises: CocktailError where it does not say what they are."""
    card = side.loaded.gan.card
    recipe = card.get("recipe") if isinstance(card.get("recipe"), dict) else {}
    listed = recipe.get("sources") or card.get("parents")
    found = []
    for entry in listed if isinstance(listed, list) else []:
        data = entry if isinstance(entry, dict) else {"ref": entry}
        names = data.get("names") or ([] if recipe.get("sources") else data.get("classes")) or []
        picks = data.get("classes") or [] if recipe.get("sources") else []
        if not isinstance(data.get("ref"), str) or not all(isinstance(x, str) for x in [*names, *picks]):
            raise CocktailError(f"{side.name}'s card does not say which models it was made from.")
        found.append(Source(data["ref"], tuple(picks), tuple(names)))
    return found


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (" ..." if len(names) > 6 else "")
