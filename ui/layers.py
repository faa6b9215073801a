"""A slider with two ends for a range of w+ layers, with the resolution that each layer acts on written beside it."""

from collections.abc import Sequence

import gradio as gr

from cocktail.errors import CocktailError
from editing.mixing import check_layers, layer_groups
from ui import base

TEMPLATE = '<div class="layers" role="group"></div>'


def component(elem_id: str, label: str, info: str) -> gr.HTML:
    """The slider; its value is what `value` makes, and it changes in the browser (event `input`)."""
    return gr.HTML(value((4,), (0, 0)) | {"label": label, "info": info}, html_template=TEMPLATE, elem_id=elem_id,
                   js_on_load=base.script("layers.js"), apply_default_css=False)  # fmt: skip


def value(resolutions: Sequence[int], chosen: tuple[int, int]) -> dict:
    """The value for a model's layers, float range (first, last), inclusive."""
    groups = [{"name": name, "first": low, "last": high} for name, (low, high) in layer_groups(resolutions).items()]
    return {"resolutions": list(resolutions), "groups": groups, "first": chosen[0], "last": chosen[1]}


def chosen(sent: object, count: int) -> tuple[int, int]:
    """The range that the browser sent. Raises: CocktailError where it is no range of a model of `count` layers."""
    ends = [sent.get(end) for end in ("first", "last")] if isinstance(sent, dict) else [None, None]
    if not all(isinstance(end, int) and not isinstance(end, bool) for end in ends):
        raise CocktailError("The page sent no range of layers. Load it again.")
    check_layers(count, *ends)
    return ends[0], ends[1]
