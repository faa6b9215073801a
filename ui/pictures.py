"""Pictures on the page: drawing them for the browser, and what a click on one of them does, in every tab alike."""

import base64
import io
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import gradio as gr
import PIL.Image
from torch import Tensor

from cocktail.errors import CocktailError
from cocktail.images import to_pil
from editing.latents import check_model, render
from editing.recipes import EditRecipe, PictureRecipe, Recipe, read, to_png
from ui import base, colours, shelf
from ui.models import Loaded, Models

EXACT_UP_TO = 128  # pixels: smaller pictures are shown from their own PNG, larger ones from a lighter copy
SHOWN_AT_MOST = 512
MAX_AT_ONCE = 64  # pictures that one move of a slider may ask for


def connect(page: base.Page, component: gr.HTML) -> None:
    """Lets the pictures of a component go to the shelf (event `select`) and be saved (event `download`)."""
    which = [page.opened, page.model]
    each = base.QUIET | {"trigger_mode": "multiple"}

    def asked(event: gr.EventData, opened: list[str], ref: str | None) -> tuple[Loaded, Recipe]:
        recipe = read(event._data.get("recipe"))
        return page.models.named(recipe, page.models.known(opened, ref)), recipe

    def to_shelf(visitor, opened, ref, event: gr.EventData):
        return shelf.add(visitor, *asked(event, opened, ref))

    def download(opened, ref, event: gr.EventData):
        loaded, recipe = asked(event, opened, ref)
        image = render(loaded.gan, recipe, loaded.fingerprint)
        return base.delivery(recipe.file_name(), to_png(image, recipe), "image/png")

    component.select(base.polite(to_shelf), [page.visitor, *which], [page.visitor, page.shelf], **each)
    component.download(base.polite(download), which, page.deliver, **each)


def cell(recipe: Recipe, picture: Tensor | None = None) -> dict:
    """What the browser needs to show a picture, uint8 [1, 3, H, W]; without one its place is kept."""
    return {"src": data_uri(picture, recipe) if picture is not None else "", "id": recipe.key,
            "about": recipe.describe(), "recipe": recipe.to_json(), **colours.of(recipe.label)}  # fmt: skip


def data_uri(picture: Tensor, recipe: Recipe | None = None) -> str:
    """A picture, uint8 [1, 3, H, W], as a data URI; a small one carries its recipe, if it has one."""
    image = to_pil(picture)[0]
    if image.width <= EXACT_UP_TO:
        return "data:image/png;base64," + base64.b64encode(to_png(image, recipe, quick=True)).decode()
    image.thumbnail((SHOWN_AT_MOST, SHOWN_AT_MOST), PIL.Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=92)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def painter(models: Models) -> Callable[[dict], dict]:
    """The function that a live component calls from the browser: settings in, pictures out, without a queue.

    It takes {"ref": the model that is open, "recipes": [JSON, ...]} and gives {"cells": [...], "sec": seconds} or
    {"error": text}. It keeps nothing between two calls.
    """

    def paint(asked: dict) -> dict:
        start = time.perf_counter()
        try:
            recipes = _asked(asked)
            loaded = models.named(recipes[0], models.known([], asked.get("ref")))
            packed = []
            with ThreadPoolExecutor(1) as packer:  # the next picture is drawn while the last one is packed
                for recipe in recipes:
                    check_model(recipe, loaded.fingerprint)
                    packed.append(packer.submit(cell, recipe, loaded.picture(recipe)))
            return {"cells": [item.result() for item in packed], "sec": time.perf_counter() - start}
        except CocktailError as error:
            return {"error": str(error)}
        except Exception:
            base.LOG.exception("a picture could not be drawn")
            return {"error": "A fault of this program, noted in its log. The pictures are those of before."}

    return paint


def _asked(asked: object) -> Sequence[EditRecipe | PictureRecipe]:
    texts = asked.get("recipes") if isinstance(asked, dict) else None
    if not isinstance(texts, list) or not 1 <= len(texts) <= MAX_AT_ONCE:
        raise CocktailError(f"The page asked for no pictures, or for more than {MAX_AT_ONCE} at once. Load it again.")
    recipes = [read(text) for text in texts]
    if not all(isinstance(recipe, EditRecipe) or len(recipe.cells()) == 1 for recipe in recipes):
        raise CocktailError("The page asked for a sheet where one picture was expected. Load it again.")
    return recipes
