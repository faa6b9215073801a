"""The tab for semantic directions: sliders that move pictures of every class, and the list of directions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import gradio as gr

from editing.directions import Direction
from editing.edits import Node
from editing.recipes import node_of
from ui import base, colours, direction_actions, find, layers, live, measure, sheet, slots
from ui.direction_list import MAX_SLIDERS, REACH, at_hand, chosen, knobs, moved
from ui.models import Loaded, Models
from ui.pictures import connect
from ui.visitors import VISITORS

MOST = 4  # pictures that move together
STEPS = 7  # of the strip, from -3 to +3 sigma
EMPTY = "Choose a picture to edit: click one on the shelf."
NONE = "No direction yet. Find one by judging pictures, or take a suggestion on the right."
SUGGESTIONS = "Without labels, to try and name. PCA: along which codes vary most. SeFa: what the layers amplify most."
LAYERS_HELP = "Which layers of the code the chosen direction moves."


@dataclass(frozen=True)
class Parts:
    """The components that the steps of the tab share."""

    picture: gr.HTML  # live
    strip: gr.HTML  # sheet
    slots: gr.HTML
    span: gr.HTML  # layers
    name: gr.Dropdown  # the chosen direction
    fixed: gr.Dropdown


@base.tab("Directions", order=40)
def build(page: base.Page) -> None:
    with gr.Row(elem_classes="bench"):
        with gr.Column(elem_classes="stage", min_width=280):
            with gr.Tabs(elem_id="direction-steps", selected="move"):
                with gr.Tab("Move", id="move"):
                    picture = live.component(page.models, "move", live.empty(EMPTY))
                    strip = sheet.component(sheet.empty(NONE), "strip")
                with gr.Tab("Find", id="find"):
                    finder = find.stage(page.models.public)
                with gr.Tab("Measure", id="measure"):
                    gauges = measure.stage()
        with gr.Column(elem_classes="controls", min_width=280):
            picks = slots.component("move-slots", ["Pictures"], MOST)
            name = gr.Dropdown(
                [], label="Direction", elem_id="direction", info="Shown in the strip, and changed below."
            )
            span = layers.component("move-layers", "Layers that move", LAYERS_HELP)
            with gr.Accordion("Suggestions", open=False, elem_classes="more"):
                with gr.Row(elem_classes="joined"):
                    pca = gr.Button("Axes of w (PCA)", elem_id="suggest-pca", min_width=90)
                    sefa = gr.Button("Weights (SeFa)", elem_id="suggest-sefa", min_width=90)
                gr.HTML(SUGGESTIONS, elem_classes="help", js_on_load=None, apply_default_css=False)
            with gr.Accordion("Keep fixed, rename, delete", open=False, elem_classes="more"):
                fixed = gr.Dropdown([], multiselect=True, label="Keep fixed", elem_id="keep-fixed",
                                    info="Makes a direction that leaves what these stand for as it is.")  # fmt: skip
                clear = gr.Button("Make orthogonal to these", elem_id="orthogonal")
                new_name = gr.Textbox(label="New name", elem_id="direction-name", max_lines=1)
                with gr.Row(elem_classes="joined"):
                    rename = gr.Button("Rename", elem_id="direction-rename", min_width=80)
                    delete = gr.Button("Delete", elem_id="direction-delete", min_width=80)
            with gr.Row(elem_classes="joined"):
                save = gr.Button("Save directions", elem_id="direction-save", min_width=90)
                load = gr.UploadButton("Load", elem_id="direction-load", file_types=[".safetensors"], type="binary",
                                       min_width=80)  # fmt: skip
    parts = Parts(picture, strip, picks, span, name, fixed)
    _connect(page, parts)
    buttons = {"pca": pca, "sefa": sefa, "clear": clear, "rename": rename, "delete": delete, "save": save, "load": load}
    direction_actions.connect(page, parts, view, buttons, new_name)
    find.connect(page, parts, finder, view)
    measure.connect(page, parts, gauges)
    for component in (picture, strip):
        connect(page, component)


def view(
    models: Models, parts: Parts, visitor: str | None, ref: str | None, chosen_slots: dict, name: str | None
) -> Iterator[dict]:
    """What the tab shows after a change: the list, the live pictures, and then the strip as it fills."""
    loaded = models.get(ref)
    known = at_hand(loaded, visitor)
    name = name if name in known else next(iter(known), None)
    sliders = list(known.values())[-MAX_SLIDERS:]
    shown = {
        parts.name: gr.Dropdown(list(known), value=name),
        parts.fixed: gr.Dropdown([other for other in known if other != name], value=[]),
        parts.span: layers.value(loaded.gan.generator.layer_resolutions,
                                 known[name].layers if name else (0, loaded.gan.num_ws - 1))
                    | {"label": "Layers that move", "info": LAYERS_HELP},
    }  # fmt: skip
    strip = chosen_slots["strips"][0]
    if not strip["items"]:
        yield shown | {parts.picture: live.empty(EMPTY), parts.strip: sheet.empty(EMPTY)}
        return
    nodes = [node_of(recipe) for recipe in slots.recipes(strip, loaded, 1, "Moving")[:MOST]]
    recipes = [moved(loaded, node, sliders, [0.0] * len(sliders)) for node in nodes]
    note = "Drag a slider: every picture moves in the same direction of w." if sliders else NONE
    captions = [str(item["name"]) for item in strip["items"]]
    shown[parts.picture] = live.view(loaded, recipes, knobs(sliders), note, captions)
    if name is None:
        yield shown | {parts.strip: sheet.empty(NONE)}
        return
    states = strip_states(loaded, nodes, captions, known[name])
    yield from base.at_first(shown, ({parts.strip: state} for state in states))


def strip_states(loaded: Loaded, nodes: Sequence[Node], names: Sequence[str], direction: Direction) -> Iterator[dict]:
    """One row per picture, from -3 to +3 sigma of a direction."""
    amounts = [-REACH + 2 * REACH * i / (STEPS - 1) for i in range(STEPS)]
    recipes = [moved(loaded, node, [direction], [amount]) for node in nodes for amount in amounts]
    rows = [colours.of(node.label) | {"label": name} for node, name in zip(nodes, names)]
    columns = [{"label": f"{amount:+g}σ" if amount else "0"} for amount in amounts]
    frame = {"note": f"{direction.name}: {direction.origin}"}
    yield from sheet.gather(loaded, recipes, rows, columns, frame=frame)


def _connect(page: base.Page, parts: Parts) -> None:
    inputs = [page.visitor, page.model, parts.slots, parts.name]
    shown = [parts.picture, parts.strip, parts.name, parts.fixed, parts.span]
    but_span = [part for part in shown if part is not parts.span]  # the hand may have moved it on

    def show(*values) -> Iterator[dict]:
        yield from view(page.models, parts, *values)

    def example(loaded, visitor):
        return [slots.fresh(loaded, visitor, min(MOST, max(1, len(loaded.gan.classes))))]

    def relayer(visitor, ref, picks, name, sent):
        loaded = page.models.get(ref)
        direction = chosen(loaded, visitor, name)
        changed = replace(direction, layers=layers.chosen(sent, loaded.gan.num_ws))
        visitor, _ = VISITORS.change(visitor, lambda desk: desk.with_directions([changed]))
        for state in base.at_first({page.visitor: visitor}, show(visitor, ref, picks, name)):
            yield {part: value for part, value in state.items() if part is not parts.span}

    gr.on([parts.slots.input, parts.name.input], base.polite(show), inputs, shown, **base.NEWEST)
    parts.span.input(base.polite(relayer), [*inputs, parts.span], [page.visitor, *but_span], **base.NEWEST)
    slots.open_with(page, parts.slots, example, show, [parts.name], shown)
