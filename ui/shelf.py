"""The shelf at the foot of the page: pictures that a visitor keeps, used in every tab, seen by that visitor only."""

import base64

import gradio as gr
import PIL.Image
from torch import Tensor

from cocktail.errors import CocktailError
from cocktail.images import to_pil
from editing.latents import check_model, codes
from editing.recipes import PictureRecipe, Recipe, model_name, node_of, to_png
from editing.shelf import MAX_NAME, Pick, Shelf
from editing.shelf_files import read_shelf, to_npz, to_safetensors
from ui import base, colours
from ui.models import Loaded, Models, short_name
from ui.visitors import VISITORS, Desk

THUMBNAIL = 128  # pixels at most


def component() -> gr.HTML:
    """Its events: `edit` {do, id, name, place}, `download` {kind}, `upload` {name, data}."""
    return gr.HTML(view(Desk()), html_template='<section class="shelf" aria-label="Shelf"></section>', elem_id="shelf",
                   js_on_load=base.script("shelf.js"), apply_default_css=False, render=False)  # fmt: skip


def connect(page: base.Page) -> None:
    """Fills the shelf when the page opens, and lets its buttons work."""
    where = [page.visitor, page.shelf]

    def enter(key: str):
        key, desk = VISITORS.enter(key)
        return key, view(desk)

    def edit(key: str, event: gr.EventData):
        key, desk = VISITORS.change(key, lambda desk: desk.edited(event._data))
        return key, view(desk)

    def save(key: str, event: gr.EventData):
        _, desk = VISITORS.enter(key)
        return file_of(desk.shelf, event._data.get("kind"))

    def load(key: str, opened: list[str], ref: str | None, event: gr.EventData):
        return loaded_file(page.models, key, opened, ref, event._data)

    page.blocks.load(base.polite(enter), page.visitor, where, queue=False, **base.SILENT)
    page.shelf.edit(base.polite(edit), page.visitor, where, queue=False, trigger_mode="multiple", **base.SILENT)
    page.shelf.download(base.polite(save), page.visitor, page.deliver, queue=False, **base.SILENT)
    page.shelf.upload(base.polite(load), [page.visitor, page.opened, page.model], where, **base.QUIET)


def add(key: str, loaded: Loaded, recipe: Recipe) -> tuple[str, dict]:
    """Puts a picture on a visitor's shelf; returns the visitor's key and what the shelf shows."""
    made = pick(loaded, recipe)
    key, desk = VISITORS.change(key, lambda desk: desk.then(desk.shelf.add(made)))
    return key, view(desk) | {"last": made.id}


def pick(loaded: Loaded, recipe: Recipe, name: str = "") -> Pick:
    """A picture as a pick, drawn anew from its recipe. Raises: CocktailError where another model made it."""
    check_model(recipe, loaded.fingerprint)
    node_of(recipe)  # refuses a sheet of several
    return Pick(
        id=recipe.key,
        name=name or _name(loaded, recipe),
        model=loaded.ref,
        label=recipe.label,
        ws=codes(loaded.gan, recipe)[0].clone().cpu(),
        recipe=recipe,
        thumbnail=_thumbnail(loaded.picture(recipe), recipe),
    )


def _name(loaded: Loaded, recipe: Recipe) -> str:
    if isinstance(recipe, PictureRecipe):
        # A slot shows some ten letters: the model's short name says more there than its title.
        return f"{recipe.label or short_name(loaded.ref)} #{recipe.seeds[0]}"[:MAX_NAME]
    return recipe.describe()[:MAX_NAME]


def _thumbnail(picture: Tensor, recipe: Recipe) -> bytes:
    image = to_pil(picture)[0]
    image.thumbnail((THUMBNAIL, THUMBNAIL), PIL.Image.Resampling.LANCZOS)
    return to_png(image, recipe)


def view(desk: Desk) -> dict:
    """What the browser needs to show a shelf."""
    history = desk.history
    return {"picks": [item(pick) for pick in history.shelf.picks], "last": "",
            "undo": len(history.past), "redo": len(history.future)}  # fmt: skip


def item(pick: Pick) -> dict:
    """A pick for the browser; a tab that works with it sends its recipe back."""
    source = "data:image/png;base64," + base64.b64encode(pick.thumbnail).decode()
    return {"id": pick.id, "name": pick.name, "about": pick.made, "src": source, "recipe": pick.recipe.to_json(),
            "model": model_name(pick.model), **colours.of(pick.label)}  # fmt: skip


def file_of(shelf: Shelf, kind: object) -> dict:
    """A shelf as a file for the browser to save."""
    if kind == "npz":
        return base.delivery("projected_w.npz", to_npz(shelf.picks), base.BYTES)
    return base.delivery("shelf.safetensors", to_safetensors(shelf.picks), base.BYTES)


def loaded_file(models: Models, key: str, opened: list[str], ref: str | None, data: dict) -> tuple[str, dict]:
    """Adds the pictures of a file, a shelf or a PNG with settings, to a visitor's shelf: all of them or none."""
    name = str(data.get("name") or "the file")[:80]
    try:
        raw = base64.b64decode(str(data.get("data")), validate=True)
    except ValueError as error:
        raise CocktailError(f"{name} did not arrive whole. Try again; your shelf is unchanged.") from error
    current, refs = models.get(ref), models.known(opened, ref)
    picks = []
    for entry in read_shelf(raw, name, model_name(current.ref), current.fingerprint):
        loaded = models.named(entry.recipe, refs)
        picks.append(pick(loaded, entry.recipe, entry.name))
    key, desk = VISITORS.change(key, lambda desk: desk.then(desk.shelf.add(*picks)))
    return key, view(desk) | {"last": picks[-1].id}
