"""What the buttons of a model's card do: it is opened, taken to the Merge tab, or made ready to be shared."""

import html

import gradio as gr

from ui import base, exporting
from ui.models import Models


def connect(page: base.Page, cards: gr.HTML, share: dict) -> None:
    """Wires the buttons of cards; `share` is the panel of `exporting`."""
    sources = page.shared["merge-sources"]

    def act(opened: list[str], merged: list[str], event: gr.EventData) -> dict:
        ref = str(event._data.get("ref"))
        if event._data.get("do") == "fetch":  # `downloads` sees to it
            return {}
        loaded = page.models.get(ref)
        if event._data.get("do") == "share":
            return exporting.shown(share, ref, loaded.title)
        if event._data.get("do") == "merge":
            return {sources: [*(kept for kept in merged or [] if kept != ref), ref],
                    page.tabs: gr.Tabs(selected=base.tab_id("Merge"))}  # fmt: skip
        return dict(zip((page.model, page.opened, page.tabs), visit(page.models, ref, opened), strict=True))

    panel = [share[name] for name in ("group", "about", "ref", "file", "told")]
    outputs = [page.model, page.opened, page.tabs, sources, *panel]
    cards.select(base.polite(act), [page.opened, sources], outputs, **base.QUIET)


def visit(models: Models, ref: str, opened: list[str]) -> tuple[gr.Dropdown, list[str], gr.Tabs]:
    """Opens a model: the values of the page's list of models, of what this visitor opened, and of the tabs."""
    loaded = models.get(ref)
    opened = [ref, *(known for known in opened if known != ref)] if ref not in models.refs() else opened
    choices = base.choices(ref, [*models.refs(), *opened])
    gr.Info(f"{html.escape(loaded.title)} is open.", duration=3)
    return gr.Dropdown(choices=choices, value=ref), opened, gr.Tabs(selected=base.tab_id("Sample"))
