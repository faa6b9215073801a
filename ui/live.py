"""Pictures that follow the hand: sliders in the browser that set numbers in recipes, drawn without a queue.

The value says which recipes are shown and what each slider sets in them; assets/live.js keeps the sliders' positions
and asks `ui.pictures.painter` for one set of pictures at a time, always the newest.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, repeat

import gradio as gr

from editing.recipes import EditRecipe
from ui import base
from ui.models import Loaded, Models
from ui.pictures import cell, painter

TEMPLATE = """
<section class="live" aria-label="Live pictures">
  <p class="note"></p>
  <div class="live-grid"></div>
  <p class="status" role="status" aria-live="polite"></p>
  <div class="knobs"></div>
</section>"""


@dataclass(frozen=True)
class Knob:
    """A slider: at x it sets, in every recipe, the entry at each path to x times a factor.

    `table` bends the scale: x is a position in a list of values, interpolated. `play` adds a button that runs through,
    `resets` one that goes back to 0.
    """

    id: str
    label: str
    low: float
    high: float
    step: float
    start: float
    sets: Sequence[tuple[Sequence[str], float]]
    unit: str = ""
    hint: str = ""
    table: Sequence[float] = ()
    play: bool = False
    resets: bool = False

    def plain(self) -> dict:
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}


def component(models: Models, elem_id: str, value: dict) -> gr.HTML:
    """The component; its events are `select` and `download`, as for a sheet."""
    return gr.HTML(value, html_template=TEMPLATE, js_on_load=base.script("live.js"), elem_id=elem_id,
                   elem_classes="live-block", server_functions=[painter(models)], apply_default_css=False)  # fmt: skip


def view(
    loaded: Loaded, recipes: Sequence[EditRecipe], knobs: Sequence[Knob], note: str = "", captions: Sequence[str] = ()
) -> dict:
    """The value that shows these recipes, as they are now, under these sliders."""
    cells = [
        cell(recipe, loaded.picture(recipe)) | {"caption": caption}
        for recipe, caption in zip(recipes, chain(captions, repeat("")))
    ]
    return empty("") | {
        "ref": loaded.ref, "cells": cells, "recipes": [json.loads(recipe.to_json()) for recipe in recipes],
        "knobs": [knob.plain() for knob in knobs], "note": note,
    }  # fmt: skip


def empty(text: str) -> dict:
    """A value without pictures that says what to do."""
    return {"ref": "", "cells": [], "recipes": [], "knobs": [], "note": "", "empty": text}


def bend(table: Sequence[float], x: float) -> float:
    """The entry at x, 0 to 1, of a table whose values lie at equal distances, between two of them in proportion."""
    place = x * (len(table) - 1)
    low = min(int(place), len(table) - 2)
    return table[low] + (table[low + 1] - table[low]) * (place - low)
