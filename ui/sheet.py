"""A sheet of pictures that fills in place; assets/sheet.js draws it from the plain data made here."""

import time
from collections.abc import Iterator, Sequence
from itertools import chain, repeat

import gradio as gr

from editing.recipes import PictureRecipe, Recipe
from ui import base, colours
from ui.models import Loaded, Models
from ui.pictures import cell, data_uri, painter

EVERY_SEC = 0.5  # between two states of a sheet that fills: a quick one is sent once, whole

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


def component(value: dict, elem_id: str = "sheet", models: Models | None = None) -> gr.HTML:
    """The component; its events are `select` (a picture was clicked) and `download`, both with the recipe as JSON.

    With `models` it can follow a range of layers in the browser: value["follow"] = {"layers", "ref", "amounts"}.
    """
    served = [painter(models)] if models else None
    return gr.HTML(value, html_template=TEMPLATE, js_on_load=base.script("sheet.js"), elem_id=elem_id,
                   elem_classes="sheet-block", server_functions=served, apply_default_css=False)  # fmt: skip


def empty(text: str) -> dict:
    """A sheet without pictures that says what to do."""
    return {"empty": text, "cells": [], "rows": [], "columns": [], "note": "", "status": "", "sheet": ""}


def fill(loaded: Loaded, recipe: PictureRecipe) -> Iterator[dict]:
    """The states of a sheet of samples while its pictures are made; the last one is complete."""
    shared = len(recipe.labels) > 1
    rows = [colours.of(label) for label in recipe.labels] if shared else []
    columns = [{"label": f"seed {seed}"} for seed in recipe.seeds] if shared else []
    captions = [] if shared else [str(single.seeds[0]) for single in recipe.cells()]
    frame = {"note": _note(loaded, recipe), "sheet": recipe.to_json()}
    yield from gather(loaded, recipe.cells(), rows, columns, captions, frame)


def gather(
    loaded: Loaded,
    recipes: Sequence[Recipe],
    rows: Sequence[dict] = (),
    columns: Sequence[dict] = (),
    captions: Sequence[str] = (),
    frame: dict | None = None,
) -> Iterator[dict]:
    """The states of a sheet of any pictures, row by row, while they are made; the last one is complete.

    A head of a row or column is {"label", and optionally "src", "light", "dark"}. `frame` holds other parts of the
    value, such as a note.
    """
    cells = [cell(recipe) | {"caption": caption} for recipe, caption in zip(recipes, chain(captions, repeat("")))]
    frame = empty("") | {"rows": list(rows), "columns": list(columns)} | (frame or {})
    start = shown = time.monotonic()
    for i, recipe in enumerate(recipes):
        source = data_uri(loaded.picture(recipe), recipe)
        # New objects each time: the page is sent what differs from the state before.
        cells = [*cells[:i], cells[i] | {"src": source}, *cells[i + 1 :]]
        now = time.monotonic()
        if now - shown > EVERY_SEC and i + 1 < len(cells):
            shown = now
            yield frame | {"cells": cells, "status": f"{i + 1} of {len(cells)} pictures"}
    size = loaded.gan.resolution
    count = f"{len(cells)} picture{'s' if len(cells) > 1 else ''}"
    yield frame | {"cells": cells, "status": f"{count}, {size} × {size} pixels, {time.monotonic() - start:.2f} s"}


def _note(loaded: Loaded, recipe: PictureRecipe) -> str:
    if len(recipe.labels) > 1:
        cut = f" The first {len(recipe.labels)} of {len(loaded.gan.classes)} classes." if (
            len(recipe.labels) < len(loaded.gan.classes)) else ""  # fmt: skip
        return (
            f"Each column is one latent z, drawn as every class.{cut} "
            "Click two pictures to put them on the shelf, then open Interpolate."
        )
    if recipe.labels:
        words = f"Each picture is one latent z, drawn as {recipe.labels[0]}."
        several = len(loaded.gan.classes) > 1
        return f"{words} Choose “All, same z” to see the same latents as every class." if several else words
    return "Each picture is one latent z. Click two to put them on the shelf, then open Interpolate."
