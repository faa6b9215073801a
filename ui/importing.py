"""How a model comes in: a file that is dropped, a path, a repository of the Hub; the report says what was read."""

import html
from collections.abc import Callable, Iterator
from pathlib import Path

import gradio as gr

from cocktail import checkpoints, words
from cocktail.checkpoints import hub, importing, onnx
from cocktail.errors import CocktailError
from cocktail.networks import architecture_of
from cocktail.networks.onnx_generator import LAYOUTS
from ui import base, cards, downloads, opening
from ui.models import Loaded

FORMATS = "StyleGAN2 and 3 .pkl, rosinality .pt, DCGAN .pth, ONNX, .safetensors. Nothing in it is executed."
FOUND = "as found"
VALUES = {FOUND: {}, "-1 and 1": {"low": -1.0, "high": 1.0}, "0 and 1": {"low": 0.0, "high": 1.0},
          "0 and 255": {"low": 0.0, "high": 255.0}}  # fmt: skip
EMPTY = "The box is empty. Type the path of a model, or user/repo of the Hub."


def doors() -> dict:
    """The controls: a place to drop files, a box for paths and references; and below, what was read of one."""
    with gr.Row(elem_classes="opener", equal_height=True):
        drop = gr.File(label="Drop a checkpoint", elem_id="library-drop", height=132, scale=1, min_width=280)
        with gr.Column(scale=1, min_width=280):
            box = gr.Textbox(label="Open from disk or from the Hub", elem_id="library-path", max_lines=1,
                             placeholder="/home/me/network.pkl or user/repo", info=FORMATS)  # fmt: skip
            with gr.Row(elem_classes="joined"):
                go = gr.Button("Open", elem_id="library-open", min_width=90)
                keep = gr.Button("Import", elem_id="library-import", min_width=90)
    with gr.Row(visible=False, elem_id="library-otherwise", elem_classes="joined opener") as otherwise:
        values = gr.Dropdown(list(VALUES), value=FOUND, label="Black and white are", elem_id="library-values",
                             info="Do the pictures look wrong? Say how the file means them.")  # fmt: skip
        layout = gr.Dropdown([FOUND, *LAYOUTS], value=FOUND, label="Layout", elem_id="library-layout")
        again = gr.Button("Read it so", elem_id="library-again", min_width=110)
    told = gr.HTML("", elem_id="library-told", elem_classes="told", js_on_load=None, apply_default_css=False,
                   visible=False)  # fmt: skip
    return {"drop": drop, "box": box, "go": go, "keep": keep, "told": told,
            "otherwise": otherwise, "values": values, "layout": layout, "again": again, "ref": gr.State(""),
            "report": cards.component("library-report", visible=False)}  # fmt: skip


def connect(page: base.Page, doors: dict, gallery: gr.HTML, share: dict, show: Callable[[list[str]], str]) -> None:
    """Lets files and references in; `show` draws the cards of `gallery`, of which the new model's is one."""
    told, box, report = doors["told"], doors["box"], doors["report"]
    opening.connect(page, report, share)

    def dropped(path: str | None, opened: list[str]) -> Iterator[dict]:
        if path is None:
            raise CocktailError("No file arrived. Drop it again.")
        yield from brought(path, opened)

    def typed(text: str, opened: list[str]) -> Iterator[dict]:
        yield from brought(_reference(text), opened)

    def brought(ref: str, opened: list[str]) -> Iterator[dict]:
        for line in _reading(ref):
            yield {told: gr.HTML(line, visible=True)}
        folder = importing.free_folder(Path(ref).name)
        importing.keep(checkpoints.load(ref), folder, base.file_stem(ref))
        # The file is let go, so that the next one can be dropped.
        yield {**_shown(doors, page.models.get(str(folder))), gallery: show(opened), doors["drop"]: None,
               page.model: gr.Dropdown(choices=base.choices(str(folder), page.models.refs()))}  # fmt: skip

    def read_so(ref: str, values: str, layout: str, opened: list[str]) -> dict:
        changes = VALUES.get(values, {}) | ({"layout": layout} if layout in LAYOUTS else {})
        checkpoints.save(onnx.changed(checkpoints.load(ref), changes), ref)
        return _shown(doors, page.models.get(ref)) | {gallery: show(opened)}

    def cleared() -> gr.HTML:
        return gr.HTML("", visible=False)

    def opened_at(text: str, opened: list[str]) -> tuple:
        return opening.visit(page.models, _reference(text), opened)

    outputs = [told, report, gallery, doors["drop"], page.model, doors["ref"], doors["otherwise"]]
    comings = (doors["drop"].upload, dropped, doors["drop"]), (doors["keep"].click, typed, box)
    for event, handler, given in comings:
        coming = event(base.polite(handler), [given, page.opened], outputs, **base.QUIET)
        coming.failure(cleared, None, told, **base.SILENT)
    asked = [doors["ref"], doors["values"], doors["layout"], page.opened]
    doors["again"].click(base.polite(read_so), asked, outputs, **base.QUIET)
    spinning = base.QUIET | {"show_progress": "minimal", "show_progress_on": box}
    gr.on([box.submit, doors["go"].click], base.polite(opened_at), [box, page.opened],
          [page.model, page.opened, page.tabs], **spinning)  # fmt: skip


def _shown(doors: dict, loaded: Loaded) -> dict:
    """The values that show a model that came in; one that was found out by trying can be read otherwise."""
    tried = architecture_of(loaded.gan.generator).name == "onnx"
    return {doors["told"]: gr.HTML("", visible=False), doors["ref"]: loaded.ref,
            doors["report"]: gr.HTML(cards.card(loaded, found(loaded)), visible=True),
            doors["otherwise"]: gr.Row(visible=tried)}  # fmt: skip


def found(loaded: Loaded) -> str:
    """What an import found, as HTML."""
    rows = importing.report(loaded.gan) | {"kept in": loaded.ref}
    pairs = "".join(f"<div><dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd></div>" for k, v in rows.items())
    return f'<dl class="report">{pairs}</dl>'


def _reference(text: str | None) -> str:
    if not (text or "").strip():
        raise CocktailError(EMPTY)
    return text.strip()


def _reading(ref: str) -> Iterator[str]:
    """What is told while a model comes in, as HTML; one of the Hub is fetched on the way."""
    path = Path(ref)
    if hub.is_name(ref) and not path.exists():
        yield from downloads.from_hub(ref)
    size = f" ({words.size(path.stat().st_size)})" if path.is_file() else ""
    yield f"<p>Reading {html.escape(path.name)}{size} …</p>"
