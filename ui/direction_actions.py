"""What the buttons beside the directions do: suggest, make orthogonal, rename, delete, save, load.

An action gives the step that changes the visitor's desk, and the name of the direction to show then.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import gradio as gr

from cocktail.errors import CocktailError
from editing import direction_files
from editing.directions import Direction, closed_form, orthogonalise, principal
from editing.labelling import MAX_NAME, codes_of, named
from editing.recipes import model_name
from ui import base
from ui.direction_list import at_hand, chosen
from ui.models import Loaded
from ui.visitors import VISITORS, Desk

SUGGESTED = 5
SAMPLES, MAX_CLASSES = 300, 12  # codes of a class, and classes, for the axes of w
Action = tuple[Callable[[Desk], Desk], str | None]


def connect(page: base.Page, parts, view: Callable, buttons: dict, new_name: gr.Textbox) -> None:
    """Lets the buttons work; `view` gives the states of the tab after a change."""
    inputs = [page.visitor, page.model, parts.slots, parts.name]
    shown = [page.visitor, new_name, parts.picture, parts.strip, parts.name, parts.fixed, parts.span]

    def doing(action: Callable[..., Action]) -> Callable[..., Iterator[dict]]:
        def handler(visitor, ref, picks, name, *given):
            step, then = action(page.models.get(ref), visitor, name, *given)
            visitor, _ = VISITORS.change(visitor, step)
            states = view(page.models, parts, visitor, ref, picks, then)
            yield from base.at_first({page.visitor: visitor, new_name: ""}, states)

        return base.polite(handler)

    def save(visitor, ref, *_):
        found = at_hand(page.models.get(ref), visitor)
        return base.delivery("directions.safetensors", direction_files.to_bytes(list(found.values())), base.BYTES)

    for name, action, given in (
        ("pca", axes, []), ("sefa", weights, []), ("clear", orthogonal, [parts.fixed]),
        ("rename", renamed, [new_name]), ("delete", deleted, []),
    ):  # fmt: skip
        buttons[name].click(doing(action), [*inputs, *given], shown, **base.QUIET)
    buttons["load"].upload(doing(loaded_file), [*inputs, buttons["load"]], shown, **base.QUIET)
    buttons["save"].click(base.polite(save), inputs, page.deliver, **base.QUIET)


def axes(loaded: Loaded, *_) -> Action:
    """Suggestions without labels: along which axes the codes of a class vary most (PCA)."""
    classes = loaded.gan.classes[:MAX_CLASSES] or (None,)
    codes = {label or "": codes_of(loaded.gan, [(label, seed) for seed in range(SAMPLES)]) for label in classes}
    return _suggested(loaded, "PCA", "PCA of w within the classes", principal(codes, SUGGESTED))


def weights(loaded: Loaded, *_) -> Action:
    """Suggestions without labels: what the weights amplify most (SeFa)."""
    return _suggested(loaded, "SeFa", "Closed form from the weights", closed_form(loaded.gan.generator, SUGGESTED))


def _suggested(loaded: Loaded, short: str, words: str, found: list) -> Action:
    return _adding([
        named(loaded.gan, vector, f"{short} {i + 1}", f"{words}, number {i + 1}, {share:.0%} of the variance",
              model_name(loaded.ref), loaded.fingerprint)
        for i, (vector, share) in enumerate(found)
    ])  # fmt: skip


def orthogonal(loaded: Loaded, visitor: str, name: str | None, others: list[str]) -> Action:
    """A new direction that leaves as it is what others stand for."""
    direction, known = chosen(loaded, visitor, name), at_hand(loaded, visitor)
    kept = [other for other in others or () if other in known]
    if not kept:
        raise CocktailError("Choose under “Keep fixed” what the direction is to leave as it is.")
    vector, without = orthogonalise(direction.vector, [known[other].vector for other in kept]), ", ".join(kept)
    made = named(
        loaded.gan, vector, f"{direction.name} without {without}"[:MAX_NAME],
        f"{direction.name}, orthogonal to {without}"[:500], model_name(loaded.ref), loaded.fingerprint,
        direction.layers,
    )  # fmt: skip
    return _adding([made])


def renamed(loaded: Loaded, visitor: str, name: str | None, wanted: str | None) -> Action:
    """The direction under another name; one that comes with the model stays beside it."""
    direction, wanted = chosen(loaded, visitor, name), " ".join((wanted or "").split())
    if not 1 <= len(wanted) <= MAX_NAME:
        raise CocktailError(f"The new name has {len(wanted)} letters; give 1 to {MAX_NAME}.")
    if wanted in at_hand(loaded, visitor):
        raise CocktailError(f"A direction is called “{wanted}” already. Choose another name.")
    made = replace(direction, name=wanted)
    return lambda desk: desk.without_direction(name, loaded.fingerprint).with_directions([made]), wanted


def deleted(loaded: Loaded, visitor: str, name: str | None) -> Action:
    chosen(loaded, visitor, name)
    _, desk = VISITORS.enter(visitor)
    if desk.without_direction(name, loaded.fingerprint) == desk:
        raise CocktailError(f"“{name}” comes with the model and stays.")
    return lambda desk: desk.without_direction(name, loaded.fingerprint), None


def loaded_file(loaded: Loaded, visitor: str, name: str | None, data: bytes) -> Action:
    """The directions of a file, all of them or none."""
    found = direction_files.read(data)
    for direction in found:
        direction_files.check_model(direction, loaded.fingerprint, loaded.title, loaded.gan.w_dim)
    return _adding(found) if found else (lambda desk: desk, name)


def _adding(directions: list[Direction]) -> Action:
    return lambda desk: desk.with_directions(directions), directions[0].name
