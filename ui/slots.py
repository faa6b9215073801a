"""Strips of chosen pictures, such as the keys of a way: filled from the shelf, by class and seed, or by an example."""

from collections.abc import Sequence

import gradio as gr

from cocktail.errors import CocktailError
from editing.recipes import PictureRecipe, Recipe, model_name, read
from ui import base, shelf
from ui.models import Loaded, Models
from ui.visitors import VISITORS

EXAMPLE_PSI = 0.8
TEMPLATE = '<div class="slots"></div>'


def component(elem_id: str, names: Sequence[str], most: int, least: int = 1) -> gr.HTML:
    """The strips, one for each name; its value is what `value` makes, and it changes in the browser (event `input`).

    A click on the shelf adds to the strip that was used last; pictures can be dragged, moved by keys, and removed.
    """
    start = {"strips": [{"name": name, "items": []} for name in names], "most": most, "least": least}
    return gr.HTML(start, html_template=TEMPLATE, js_on_load=base.script("slots.js"), elem_id=elem_id,
                   apply_default_css=False)  # fmt: skip


def value(before: dict, *strips: Sequence[dict]) -> dict:
    """The value with other items in its strips."""
    named = [strip | {"items": list(items)} for strip, items in zip(before["strips"], strips, strict=True)]
    return before | {"strips": named}


def items(models: Models, loaded: Loaded, recipes: Sequence[Recipe]) -> list[dict]:
    """Pictures as items, drawn now."""
    with models.drawing:
        return [shelf.item(shelf.pick(loaded, recipe)) for recipe in recipes]


def samples(loaded: Loaded, labels: Sequence[str | None], seeds: Sequence[int], psi=EXAMPLE_PSI) -> list[Recipe]:
    """Samples, the i-th of the i-th label and seed."""
    return [
        PictureRecipe(model_name(loaded.ref), loaded.fingerprint, (label,) if label else (), (seed,), psi)
        for label, seed in zip(labels, seeds, strict=True)
    ]


def fresh(models: Models, loaded: Loaded, visitor: str | None, count: int, least: int = 1) -> list[dict]:
    """What a strip opens with: the last pictures on the visitor's shelf of this model, else samples of all classes."""
    key, desk = VISITORS.enter(visitor)
    own = [pick for pick in desk.shelf.picks if pick.recipe.fingerprint == loaded.fingerprint]
    if len(own) >= least:
        return [shelf.item(pick) for pick in own[-count:]]
    return items(models, loaded, samples(loaded, spread(loaded, count), range(count)))


def ids(slots: dict) -> list[list[str]]:
    """Which pictures the strips hold: equal lists mean that nobody changed them."""
    return [[item["id"] for item in strip["items"]] for strip in slots["strips"]]


def spread(loaded: Loaded, count: int) -> list[str | None]:
    """So many labels that go through the model's classes in turn; None for a model without."""
    names = loaded.gan.classes or (None,)
    return [names[i % len(names)] for i in range(count)]


def recipes(strip: object, loaded: Loaded, least: int, what: str) -> list[Recipe]:
    """The recipes of a strip that the browser sent.

    Raises: CocktailError where there are too few, or one belongs to another model than the one that is open.
    """
    found = strip.get("items") if isinstance(strip, dict) else None
    texts = [item.get("recipe") for item in found if isinstance(item, dict)] if isinstance(found, list) else []
    if len(texts) < least:
        raise CocktailError(f"{what} needs {least} picture{'s' if least > 1 else ''} or more. Click one on the shelf.")
    made = [read(text) for text in texts]
    for recipe in made:
        if recipe.fingerprint != loaded.fingerprint:
            raise CocktailError(
                f"“{recipe.describe()[:60]}” was made by the model {recipe.model}, and {loaded.title} is open. "
                "Open that model, or remove the picture from the strip. Your shelf is unchanged."
            )
    return made
