"""Strips of chosen pictures, such as the keys of a way: filled from the shelf, by class and seed, or by an example."""

from collections.abc import Callable, Sequence

import gradio as gr

from cocktail.errors import CocktailError
from editing.recipes import PictureRecipe, Recipe, model_name, read
from ui import base, shelf
from ui.models import Loaded
from ui.visitors import VISITORS

EXAMPLE_PSI = 0.8
TEMPLATE = '<div class="slots"></div>'


def component(elem_id: str, names: Sequence[str], most: int) -> gr.HTML:
    """The strips, one for each name; its value is what `value` makes, and it changes in the browser (event `input`).

    A click on the shelf adds to the strip that was used last; pictures can be dragged, moved by keys, and removed.
    """
    start = {"strips": [{"name": name, "items": []} for name in names], "most": most}
    return gr.HTML(start, html_template=TEMPLATE, js_on_load=base.script("slots.js"), elem_id=elem_id,
                   apply_default_css=False)  # fmt: skip


def value(before: dict, *strips: Sequence[dict]) -> dict:
    """The value with other items in its strips."""
    named = [strip | {"items": list(items)} for strip, items in zip(before["strips"], strips, strict=True)]
    return before | {"strips": named}


def items(loaded: Loaded, recipes: Sequence[Recipe]) -> list[dict]:
    """Pictures as items, drawn now."""
    return [shelf.item(shelf.pick(loaded, recipe)) for recipe in recipes]


def samples(loaded: Loaded, labels: Sequence[str | None], seeds: Sequence[int], psi=EXAMPLE_PSI) -> list[Recipe]:
    """Samples, the i-th of the i-th label and seed."""
    return [
        PictureRecipe(model_name(loaded.ref), loaded.fingerprint, (label,) if label else (), (seed,), psi)
        for label, seed in zip(labels, seeds, strict=True)
    ]


def fresh(loaded: Loaded, visitor: str | None, count: int, least: int = 1) -> list[dict]:
    """What a strip opens with: the last pictures on the visitor's shelf of this model, else samples of all classes."""
    _, desk = VISITORS.enter(visitor)
    own = [pick for pick in desk.shelf.picks if pick.recipe.fingerprint == loaded.fingerprint]
    if len(own) >= least:
        return [shelf.item(pick) for pick in own[-count:]]
    return items(loaded, samples(loaded, spread(loaded, count), range(count)))


def ids(slots: dict) -> list[list[str]]:
    """Which pictures the strips hold: equal lists mean that nobody changed them."""
    return [[item["id"] for item in strip["items"]] for strip in slots["strips"]]


def open_with(page: base.Page, picks: gr.HTML, example: Callable, show: Callable, rest: list, shown: list) -> None:
    """Fills the strips of a tab when it is opened, until somebody changes them, and when another model is opened.

    example(loaded, visitor): the items of each strip. show(visitor, ref, value of the strips, *values of `rest`): the
    states of the outputs `shown` that follow from them.
    """
    filled = gr.State(ids(picks.value))  # what this function put there

    def arrive(before, visitor, ref, chosen, *values):
        if ids(chosen) != before:
            yield {filled: before}
            return
        yield from renew(visitor, ref, chosen, *values)

    def renew(visitor, ref, chosen, *values):
        wanted = value(chosen, *example(page.models.get(ref), visitor))
        if ids(wanted) == ids(chosen):
            yield {filled: ids(chosen)}
            return
        first = {picks: wanted, filled: ids(wanted)}
        yield from base.at_first(first, show(visitor, ref, wanted, *values))

    inputs, outputs = [page.visitor, page.model, picks, *rest], [picks, filled, *shown]
    page.tab.select(base.polite(arrive), [filled, *inputs], outputs, **base.NEWEST)
    page.model.change(base.polite(renew), inputs, outputs, **base.NEWEST)


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
