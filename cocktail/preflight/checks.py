"""Whether the sources of a recipe go together, before anything is trained."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cocktail import hardware, pictures
from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.methods.registry import Teacher
from cocktail.networks import architecture_of, can_be_root
from cocktail.recipe import Recipe, Source
from cocktail.teachers import PictureTeacher, teacher

LEVELS = ("error", "note", "ok")
FEW = 1000  # pictures; of fewer a discriminator remembers each
CHANNELS = 3  # of the pictures that this program shows and stores
# What forbids commercial use: cc-by-nc, NVIDIA's source code licence, "for research only".
NON_COMMERCIAL = re.compile(r"\bnc\b|non-?commercial|nvidia|research")
Loaded = Sequence[tuple[Source, Teacher]]


@dataclass(frozen=True)
class Finding:
    """What a check found: level is "error" (the merge cannot run), "note" (it can, but know this) or "ok".

    source: the reference of the model or the pictures that it is about, "" for the recipe as a whole; mend: what to do,
    "" where the text says it or nothing is to be done.
    """

    level: str
    source: str
    text: str
    mend: str = ""


def check(recipe: Recipe) -> list[Finding]:
    """Everything that stands in the way of a recipe or should be known first: errors, then notes, then what is well.

    Loads the models on the CPU, one after the other, and looks at the pictures without decoding them; nothing is
    trained or written.
    """
    found, loaded, root = _machine(recipe), [], None
    for index, source in enumerate(recipe.sources):
        try:
            model = teacher(source, "cpu")
        except CocktailError as error:
            found.append(Finding("error", source.ref, str(error)))
            continue
        loaded.append((source, model))
        root = model if index == recipe.root else root
    base = root and root.gan
    for source, model in loaded:
        if isinstance(model, PictureTeacher):
            found += _pictures(source, model, base, getattr(recipe.config, "align", False))
            continue
        found += _source(source, model)
        if base is not None and model is not root:
            found += _beside(source, model.gan, base)
    if root is not None:
        found += _root(recipe.sources[recipe.root], root, loaded)
    found += _names(loaded) + _licences(loaded)
    return sorted(found, key=lambda finding: LEVELS.index(finding.level))


def _machine(recipe: Recipe) -> list[Finding]:
    found, offered = [], hardware.available_threads()
    try:
        hardware.check_device(recipe.device)
    except CocktailError as error:
        found.append(Finding("error", "", str(error)))
    if recipe.threads > offered:
        text = f"threads is {recipe.threads}, but this machine offers {offered}: the run is slower for it."
        found.append(Finding("note", "", text, f"set threads to {offered}, or to 0 for all that there are"))
    return found


def _pictures(source: Source, shown: PictureTeacher, root: Gan | None, aligned: bool) -> list[Finding]:
    """What a folder or zip of pictures holds, and what comes of it."""
    try:
        seen = pictures.survey(shown.path)
    except CocktailError as error:
        return [Finding("error", source.ref, str(error))]
    (name,), (width, height) = shown.names, seen.smallest
    found = [Finding("ok", source.ref, f"{name}: {seen.count} pictures, smallest {width} x {height} px")]
    if root is not None and min(seen.smallest) < root.resolution:
        text = f"pictures of {name} smaller than the root's {root.resolution} px are enlarged, and blurred thereby"
        found.append(Finding("note", source.ref, text, "take larger ones, or leave the small ones out"))
    if seen.count < FEW:
        text = f"{seen.count} pictures of {name} are few: it will learn them by heart"
        found.append(Finding("note", source.ref, text, f"give {FEW} or more"))
    if aligned:
        text = f"pictures of {name} have no latents: in the merge the class follows the model rooted on them"
        found.append(Finding("note", source.ref, text))
    return found


def _source(source: Source, model: Teacher) -> list[Finding]:
    """What a model is, and what is wrong with it whatever the others are."""
    gan, found = model.gan, []
    channels = _channels(gan)
    judge = "a discriminator" if gan.discriminator is not None else "no discriminator"
    kind, licence = architecture_of(gan.generator).name, model.licence or "unknown"
    text = f"{', '.join(model.names)}: {gan.resolution} px, {channels} channels, {kind}, {judge}, licence {licence}"
    found.append(Finding("ok", source.ref, text))
    if channels != CHANNELS:
        text = f"its pictures have {channels} channels; a merge takes pictures of {CHANNELS} (RGB)."
        found.append(Finding("error", source.ref, text, "take another model in its place"))
    return found


def _beside(source: Source, gan: Gan, root: Gan) -> list[Finding]:
    """How a model differs from the root, which is no hindrance."""
    found = []
    if gan.resolution != root.resolution:
        text = f"{gan.resolution} px; the root has {root.resolution} px: samples are resized to {root.resolution}"
        found.append(Finding("note", source.ref, text))
    mine, roots = architecture_of(gan.generator).name, architecture_of(root.generator).name
    if mine != roots:
        text = f"its architecture is {mine}, the root's {roots}: the root learns it from samples, so they may differ"
        found.append(Finding("note", source.ref, text))
    return found


def _root(source: Source, root: Teacher, loaded: Loaded) -> list[Finding]:
    if root.gan is None:
        others = [other.ref for other, model in loaded if model.gan is not None]
        mend = f"make a model the root: {', '.join(others)}" if others else "add a model and make it the root"
        return [Finding("error", source.ref, f"pictures of {', '.join(root.names)} cannot be the root.", mend)]
    if not can_be_root(root.gan.generator):
        kind = architecture_of(root.gan.generator)
        able = [other.ref for other, model in loaded if model.gan and can_be_root(model.gan.generator)]
        mend = f"make another model the root: {', '.join(able)}" if able else "add a StyleGAN2 and make it the root"
        return [Finding("error", source.ref, f"{kind.name} models can teach, but cannot be the root.", mend)]
    found, classes = [], root.gan.classes
    if sorted(root.picks) != sorted(classes):
        text = f"the root has the classes {', '.join(classes)}, but the recipe picks {', '.join(root.picks)}."
        mend = "take all classes of the root, or make another model the root"
        found.append(Finding("error", source.ref, text, mend))
    if root.gan.discriminator is None:
        others = [other.ref for other, model in loaded if model.gan is not None and model.gan.discriminator is not None]
        text = "the root has no discriminator: a new, untrained one is used, which rooting has to train first"
        mend = f"make a model that has one the root: {', '.join(others)}" if others else ""
        found.append(Finding("note", source.ref, text, mend))
    return found


def _names(loaded: Loaded) -> list[Finding]:
    """Class names that occur more than once."""
    owners: dict[str, list[str]] = {}
    for source, model in loaded:
        for name in model.names:
            owners.setdefault(name, []).append(source.ref)
    return [
        Finding(
            "error",
            refs[1],
            f"the class name {name} is given {len(refs)} times: by {' and '.join(dict.fromkeys(refs))}.",
            f"name them apart under `names`, for example {name} and {name} 2",
        )
        for name, refs in owners.items()
        if len(refs) > 1
    ]


def _licences(loaded: Loaded) -> list[Finding]:
    """Licences that are not stated, and what the others mean for the union."""
    mend = "ask whoever made it before the union is passed on"
    stated = {source.ref: model.licence for source, model in loaded}
    found = [Finding("note", ref, "no licence is stated", mend) for ref, licence in stated.items() if not licence]
    known = {ref: licence for ref, licence in stated.items() if licence}
    strict = [ref for ref, licence in known.items() if NON_COMMERCIAL.search(licence.lower())]
    if strict or len({licence.lower() for licence in known.values()}) > 1:
        text = (
            f"the union inherits the strictest of {', '.join(f'{licence} ({ref})' for ref, licence in known.items())}"
        )
        text += f"; {' and '.join(strict)} forbids commercial use" if strict else ""
        found.append(Finding("note", "", text))
    return found


def _channels(gan: Gan) -> int:
    return getattr(gan.generator.config, "img_channels", CHANNELS)
