"""The tab for semantic directions: sliders that move pictures of every class, and the list of directions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import gradio as gr

from cocktail.errors import CocktailError
from editing import direction_files
from editing.directions import Direction, orthogonalise
from editing.labelling import named
from editing.recipes import model_name, node_of
from ui import base, find, layers, live, measure, sheet, slots
from ui.direction_list import MAX_SLIDERS, REACH, at_hand, chosen, knobs, moved
from ui.models import Loaded, Models
from ui.pictures import class_of, connect
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
    steps: gr.Tabs


@base.tab("Directions", order=40)
def build(page: base.Page) -> None:
    with gr.Row(elem_classes="bench"):
        with gr.Column(elem_classes="stage", min_width=280):
            with gr.Tabs(elem_id="direction-steps", selected="move") as steps:
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
    parts = Parts(picture, strip, picks, span, name, fixed, steps)
    _connect_view(page, parts)
    buttons = {"pca": pca, "sefa": sefa, "clear": clear, "rename": rename, "delete": delete, "save": save, "load": load}
    _connect_list(page, parts, buttons, new_name)
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
    shown[parts.picture] = live.view(models, loaded, recipes, knobs(sliders), note, captions)
    if name is None:
        yield shown | {parts.strip: sheet.empty(NONE)}
        return
    for state in strip_states(models, loaded, nodes, captions, known[name]):
        yield shown | {parts.strip: state}
        shown = {}


def strip_states(
    models: Models, loaded: Loaded, nodes: Sequence, names: Sequence[str], direction: Direction
) -> Iterator[dict]:
    """One row per picture, from -3 to +3 sigma of a direction."""
    amounts = [-REACH + 2 * REACH * i / (STEPS - 1) for i in range(STEPS)]
    recipes = [moved(loaded, node, [direction], [amount]) for node in nodes for amount in amounts]
    rows = [class_of(node.label) | {"label": name} for node, name in zip(nodes, names)]
    columns = [{"label": f"{amount:+g}σ" if amount else "0"} for amount in amounts]
    frame = {"note": f"{direction.name}: {direction.origin}"}
    yield from sheet.gather(models, loaded, recipes, rows, columns, frame=frame)


def _connect_view(page: base.Page, parts: Parts) -> None:
    models = page.models
    auto = gr.State([[]])
    quiet = {"show_progress": "hidden", "api_visibility": "private", "concurrency_id": base.DEVICE,
             "trigger_mode": "always_last"}  # fmt: skip
    inputs = [page.visitor, page.model, parts.slots, parts.name]
    shown = [parts.picture, parts.strip, parts.name, parts.fixed, parts.span]

    def show(*values) -> Iterator[dict]:
        yield from view(models, parts, *values)

    def arrive(before, visitor, ref, picks, name):
        if slots.ids(picks) != before:  # somebody chose these
            yield {auto: before}
            return
        yield from renew(visitor, ref, picks, name)

    def renew(visitor, ref, picks, name):
        loaded = models.get(ref)
        count = min(MOST, max(1, len(loaded.gan.classes)))
        wanted = slots.value(picks, slots.fresh(models, loaded, visitor, count))
        if slots.ids(wanted) == slots.ids(picks):
            yield {auto: slots.ids(picks)}
            return
        first = {parts.slots: wanted, auto: slots.ids(wanted)}
        for state in show(visitor, ref, wanted, name):
            yield first | state
            first = {}

    def relayer(visitor, ref, picks, name, sent):
        loaded = models.get(ref)
        direction = chosen(loaded, visitor, name)
        span = layers.chosen(sent, loaded.gan.num_ws)
        visitor, _ = VISITORS.change(visitor, lambda desk: desk.with_direction(replace(direction, layers=span)))
        for state in show(visitor, ref, picks, name):
            state.pop(parts.span, None)  # the hand may have moved it on
            yield state | {page.visitor: visitor}

    gr.on([parts.slots.input, parts.name.input], base.polite(show), inputs, shown, **quiet)
    parts.span.input(base.polite(relayer), [*inputs, parts.span],
                     [page.visitor, *(part for part in shown if part is not parts.span)], **quiet)  # fmt: skip
    page.tab.select(base.polite(arrive), [auto, *inputs], [parts.slots, auto, *shown], **quiet)
    page.model.change(base.polite(renew), inputs, [parts.slots, auto, *shown], **quiet)


def _connect_list(page: base.Page, parts: Parts, buttons: dict, new_name: gr.Textbox) -> None:
    models = page.models
    quiet = {"show_progress": "hidden", "api_visibility": "private", "concurrency_id": base.DEVICE}
    inputs = [page.visitor, page.model, parts.slots, parts.name]
    shown = [page.visitor, new_name, parts.picture, parts.strip, parts.name, parts.fixed, parts.span]

    def then(visitor, ref, picks, name, change) -> Iterator[dict]:
        """Changes the visitor's list and shows it with the direction of that name chosen."""
        visitor, _ = VISITORS.change(visitor, change)
        first = {page.visitor: visitor, new_name: ""}
        for state in view(models, parts, visitor, ref, picks, name):
            yield first | state
            first = {}

    def suggest(way: str):
        def handler(visitor, ref, picks, name):
            found = find.suggestions(models.get(ref), way)

            def change(desk):
                for direction in found:
                    desk = desk.with_direction(direction)
                return desk

            yield from then(visitor, ref, picks, found[0].name, change)

        return handler

    def clear(visitor, ref, picks, name, others):
        loaded = models.get(ref)
        direction, known = chosen(loaded, visitor, name), at_hand(loaded, visitor)
        if not others:
            raise CocktailError("Choose under “Keep fixed” what the direction is to leave as it is.")
        vector = orthogonalise(direction.vector, [known[other].vector for other in others if other in known])
        made = named(loaded.gan, vector, f"{direction.name} without {', '.join(others)}"[:40],
                     f"{direction.name}, orthogonal to {', '.join(others)}"[:500], model_name(ref), loaded.fingerprint,
                     direction.layers)  # fmt: skip
        yield from then(visitor, ref, picks, made.name, lambda desk: desk.with_direction(made))

    def rename(visitor, ref, picks, name, wanted):
        loaded = models.get(ref)
        direction = chosen(loaded, visitor, name)
        wanted = " ".join((wanted or "").split())
        if not 1 <= len(wanted) <= 40:
            raise CocktailError(f"The new name has {len(wanted)} letters; give 1 to 40.")
        if wanted in at_hand(loaded, visitor):
            raise CocktailError(f"A direction is called “{wanted}” already. Choose another name.")
        made = replace(direction, name=wanted)
        change = lambda desk: desk.without_direction(name, loaded.fingerprint).with_direction(made)  # noqa: E731
        yield from then(visitor, ref, picks, wanted, change)

    def delete(visitor, ref, picks, name):
        loaded = models.get(ref)
        chosen(loaded, visitor, name)
        _, desk = VISITORS.enter(visitor)
        if all((d.name, d.fingerprint) != (name, loaded.fingerprint) for d in desk.directions):
            raise CocktailError(f"“{name}” comes with the model and stays. You can rename it or change its layers.")
        yield from then(visitor, ref, picks, None, lambda desk: desk.without_direction(name, loaded.fingerprint))

    def save(visitor, ref, picks, name):
        loaded = models.get(ref)
        data = direction_files.to_bytes(list(at_hand(loaded, visitor).values()))
        return base.delivery("directions.safetensors", data, "application/octet-stream")

    def load(visitor, ref, picks, name, data):
        loaded = models.get(ref)
        found = direction_files.read(data)
        for direction in found:
            direction_files.check_model(direction, loaded.fingerprint, loaded.title, loaded.gan.w_dim)

        def change(desk):
            for direction in found:
                desk = desk.with_direction(direction)
            return desk

        yield from then(visitor, ref, picks, found[0].name if found else name, change)

    buttons["pca"].click(base.polite(suggest("pca")), inputs, shown, **quiet)
    buttons["sefa"].click(base.polite(suggest("sefa")), inputs, shown, **quiet)
    buttons["clear"].click(base.polite(clear), [*inputs, parts.fixed], shown, **quiet)
    buttons["rename"].click(base.polite(rename), [*inputs, new_name], shown, **quiet)
    buttons["delete"].click(base.polite(delete), inputs, shown, **quiet)
    buttons["save"].click(base.polite(save), inputs, page.deliver, **quiet)
    buttons["load"].upload(base.polite(load), [*inputs, buttons["load"]], shown, **quiet)
