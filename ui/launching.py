"""From a recipe's text to a run: what stands in its way, what it will take, and the start."""

import html
from collections.abc import Iterator

import gradio as gr

from cocktail import runs
from cocktail.errors import CocktailError
from cocktail.preflight import check, estimate
from cocktail.recipe import Recipe
from cocktail.runs.control import named
from ui import base, merge_form

FORM = "form"  # the concurrency_id of all that writes form and text: the answer to an older change never comes last


def check_steps(text: str) -> Iterator[tuple[str, dict]]:
    """What stands in the way of a recipe, then also what it takes; and the speeds that were measured for it."""
    recipe = merge_form.read_text(text)
    found = check(recipe)
    words = merge_form.findings(found)
    if any(item.level == "error" for item in found):
        yield words, {}
        return
    steps = base.Returning(estimate(recipe, folder=runs.home()))
    for stage in steps:
        yield plain(f"Trying out what it takes: {stage} …") + words, {}
    yield merge_form.findings(found, steps.value.words()), {"text": text, "estimate": steps.value}


def filled(text: str) -> list:
    """A recipe's text and the form that gives it: text, what was written, what the names are for, the controls."""
    form = merge_form.form_of(merge_form.read_text(text))
    values = vars(form) | {"root": gr.Dropdown(form.refs, value=form.root)}
    return [text, {"texts": [text]}, list(form.refs), *values.values()]


def rewritten(text: str, recipe: Recipe) -> str:
    """The text of a recipe: the one that is there where it says the same, with somebody's comments."""
    try:
        return text if merge_form.read_text(text) == recipe else recipe.to_yaml()
    except CocktailError:
        return recipe.to_yaml()


def newest(text: str, written: dict, form: merge_form.Form) -> str:
    """The text that is to run: as somebody edited it, else what the form says at this very moment.

    The form's last change may not have reached the text when a button is pressed, and what was written for it may not
    have reached the page: the text is the form's if it is one of the last that it wrote. The page's editor drops blank
    lines at the end.
    """
    of_form = text.strip() in (known.strip() for known in written.get("texts", ()))
    return rewritten(text, merge_form.recipe_of(form)) if of_form else text


def start(text: str, name: str, probed: dict) -> runs.Run:
    """Starts the recipe of a text as a run of that name. Raises: CocktailError with what stands in its way first."""
    recipe = merge_form.read_text(text)
    folder = named(name)
    wrong = next((item for item in check(recipe) if item.level == "error"), None)
    if wrong:
        raise CocktailError(f"{wrong.source}: {wrong.text} {wrong.mend}".strip(": "))
    return runs.start(recipe, folder, probed.get("estimate") if probed.get("text") == text else None)


def plain(text: str) -> str:
    """Text as a paragraph of HTML."""
    return f"<p>{html.escape(text)}</p>"
