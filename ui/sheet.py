"""A sheet of pictures that fills in place; assets/sheet.js draws it from the plain data made here."""

import base64
import io
import time
from collections.abc import Iterator

import gradio as gr
import PIL.Image
from torch import Tensor

from cocktail.images import to_pil
from editing.latents import draw
from editing.recipes import PictureRecipe, to_png
from ui import base, colours
from ui.models import Loaded

EXACT_UP_TO = 128  # pixels: smaller pictures are shown from their own PNG, larger ones from a lighter copy
SHOWN_AT_MOST = 512
EVERY_SEC = 0.3  # between two states of a sheet that fills: a quick one is sent once, whole

TEMPLATE = """
<section class="sheet" aria-label="Pictures">
  <p class="note"></p>
  <div class="sheet-top">
    <p class="status" role="status" aria-live="polite"></p>
    <div class="tools">
      <button type="button" class="tool" data-do="fit" aria-pressed="false" title="All rows in sight">Fit</button>
      <div class="toggle" role="group" aria-label="How small pictures are enlarged">
        <button type="button" data-pixels="smooth">Smooth</button>
        <button type="button" data-pixels="exact">Exact pixels</button>
      </div>
      <button type="button" class="tool" data-do="sheet" title="One PNG with its settings">Download sheet</button>
    </div>
  </div>
  <div class="sheet-grid" role="group" aria-label="Pictures, in rows"></div>
</section>"""


def component(value: dict) -> gr.HTML:
    """The component; its events are `select` (a picture was clicked) and `download`, both with the recipe as JSON."""
    return gr.HTML(value, html_template=TEMPLATE, js_on_load=base.script("sheet.js"), elem_id="sheet",
                   apply_default_css=False)  # fmt: skip


def empty(text: str) -> dict:
    """A sheet without pictures that says what to do."""
    return {"empty": text, "cells": [], "rows": [], "columns": [], "note": "", "status": "", "sheet": ""}


def fill(loaded: Loaded, recipe: PictureRecipe) -> Iterator[dict]:
    """The states of a sheet while its pictures are made; the last one is complete."""
    cells = [_cell(cell) for cell in recipe.cells()]
    shared = len(recipe.labels) > 1
    frame = {
        "empty": "",
        "rows": [_row(label) for label in recipe.labels] if shared else [],
        "columns": [str(seed) for seed in recipe.seeds] if shared else [],
        "note": _note(loaded, recipe),
        "sheet": recipe.to_json(),
    }
    start = shown = time.monotonic()
    for i, (picture, single) in enumerate(zip(draw(loaded.gan, recipe), recipe.cells())):
        # New objects each time: the page is sent what differs from the state before.
        cells = [*cells[:i], cells[i] | {"src": data_uri(picture, single)}, *cells[i + 1 :]]
        now = time.monotonic()
        if now - shown > EVERY_SEC and i + 1 < len(cells):
            shown = now
            yield frame | {"cells": cells, "status": f"{i + 1} of {len(cells)} pictures"}
    size = loaded.gan.resolution
    count = f"{len(cells)} picture{'s' if len(cells) > 1 else ''}"
    yield frame | {"cells": cells, "status": f"{count}, {size} × {size} pixels, {time.monotonic() - start:.2f} s"}


def data_uri(picture: Tensor, recipe: PictureRecipe) -> str:
    """A picture, uint8 [1, 3, H, W], as a data URI."""
    image = to_pil(picture)[0]
    if image.width <= EXACT_UP_TO:
        return "data:image/png;base64," + base64.b64encode(to_png(image, recipe)).decode()
    image.thumbnail((SHOWN_AT_MOST, SHOWN_AT_MOST), PIL.Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=92)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def _cell(recipe: PictureRecipe) -> dict:
    return {"src": "", "id": recipe.key, "about": recipe.describe(), "seed": recipe.seeds[0],
            "recipe": recipe.to_json(), **_row(recipe.labels[0] if recipe.labels else "")}  # fmt: skip


def _row(label: str) -> dict:
    light, dark = colours.class_colours(label)
    return {"label": label, "light": light, "dark": dark}


def _note(loaded: Loaded, recipe: PictureRecipe) -> str:
    if len(recipe.labels) > 1:
        cut = f" The first {len(recipe.labels)} of {len(loaded.gan.classes)} classes." if (
            len(recipe.labels) < len(loaded.gan.classes)) else ""  # fmt: skip
        return (
            f"Each column is one latent z, drawn as every class.{cut} "
            "Click two pictures to put them on the shelf, then pull ψ towards 0."
        )
    if recipe.labels:
        words = f"Each picture is one latent z, drawn as {recipe.labels[0]}."
        several = len(loaded.gan.classes) > 1
        return f"{words} Choose “All, same z” to see the same latents as every class." if several else words
    return "Each picture is one latent z. Click a picture to put it on the shelf, then pull ψ towards 0."
