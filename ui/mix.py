"""The tab for style mixing: a grid whose rows give some layers and whose columns give the others."""

import time
from collections.abc import Iterator, Sequence

import gradio as gr

from editing.edits import EditRecipe, Mix
from editing.mixing import GROUPS, amounts, layer_groups
from editing.recipes import model_name, node_of
from ui import base, layers, sheet, slots
from ui.models import Loaded
from ui.pictures import connect

MOST = 8  # rows, and columns
LAYERS = "mix-layers"
EXAMPLE = (3, 4)  # rows and columns
LAYERS_FROM_COLUMN = "Which layers come from the columns; the others come from the rows."
EMPTY = "Choose pictures for the rows and for the columns: click them on the shelf, or fill both with samples."
ANY = -1


@base.tab("Mix", order=30)
def build(page: base.Page) -> None:
    with gr.Row(elem_classes="bench"):
        with gr.Column(elem_classes="stage", min_width=280):
            grid = sheet.component(sheet.empty(EMPTY), "mix", page.models)
        with gr.Column(elem_classes="controls", min_width=280):
            picks = slots.component("mix-slots", ["Rows", "Columns"], MOST)
            span = layers.component(LAYERS, "Layers from the columns", LAYERS_FROM_COLUMN)
            pose = gr.Button("Pose and shape from rows, look from columns", elem_id="mix-pose")
            with gr.Accordion("More", open=False, elem_classes="more"):
                sliders = [
                    gr.Slider(0, 1, 1, step=0.05, label=f"Strength, {name}", elem_id=f"mix-{name}",
                              info=f"How far the {name} layers go from the row's code to the column's.")
                    for name in GROUPS
                ]  # fmt: skip
            with gr.Accordion("Fill with samples", open=False, elem_classes="more"):
                row_class, column_class = (
                    gr.Dropdown([("All in turn", ANY)], value=ANY, label=f"Class of the {what}", elem_id=f"mix-{what}")
                    for what in ("rows", "columns")
                )
                count = gr.Slider(1, MOST, 4, step=1, label="Pictures each", elem_id="mix-count")
                fill = gr.Button("Fill rows and columns", elem_id="mix-fill")
    _connect(page, picks, span, sliders, grid, pose)
    _connect_filling(page, picks, span, sliders, grid, [row_class, column_class, count, fill])
    connect(page, grid)


def _connect(page: base.Page, picks, span, sliders: list, grid, pose) -> None:
    def show(visitor, ref, chosen, sent, *strengths) -> Iterator[dict]:
        loaded = page.models.get(ref)
        stale = sent.get("resolutions") != resolutions(loaded)  # those of another model
        sent = sent | look(loaded) if stale else sent
        states = ({grid: state} for state in mixed(loaded, chosen, sent, strengths))
        yield from base.at_first({span: sent} if stale else {}, states)

    def reset(visitor, ref, chosen, sent, *strengths) -> Iterator[dict]:
        sent = sent | look(page.models.get(ref))
        yield from base.at_first({span: sent}, show(visitor, ref, chosen, sent, *strengths))

    def example(loaded, visitor):
        found = slots.fresh(loaded, visitor, sum(EXAMPLE), least=2)
        half = min(EXAMPLE[0], len(found) // 2)
        return found[:half], found[half:][: EXAMPLE[1]]

    inputs = [page.visitor, page.model, picks, span, *sliders]
    changes = [picks.input, *(slider.change for slider in sliders)]
    gr.on(changes, base.polite(show), inputs, [span, grid], **base.NEWEST)
    pose.click(base.polite(reset), inputs, [span, grid], **base.NEWEST)
    slots.open_with(page, picks, example, show, [span, *sliders], [span, grid])


def _connect_filling(page: base.Page, picks, span, sliders: list, grid, controls: list) -> None:
    """The form that fills rows and columns with samples of chosen classes."""
    *classes, count, fill = controls

    def enter(ref):
        names = page.models.get(ref).gan.classes
        choices = [("All in turn", ANY), *((name, i) for i, name in enumerate(names))]
        return [gr.Dropdown(choices, value=ANY) for _ in classes]

    def filled(ref, chosen, sent, rows, columns, number, *strengths):
        loaded, number = page.models.get(ref), int(number)
        found = []
        for what, start in ((rows, 0), (columns, number)):
            names = slots.spread(loaded, number) if what == ANY else [loaded.gan.classes[what]] * number
            found.append(slots.items(loaded, slots.samples(loaded, names, range(start, start + number))))
        wanted = slots.value(chosen, *found)
        states = ({grid: state} for state in mixed(loaded, wanted, sent, strengths))
        yield from base.at_first({picks: wanted}, states)

    gr.on([page.blocks.load, page.model.change], base.polite(enter), page.model, classes, **base.QUIET)
    inputs = [page.model, picks, span, *classes, count, *sliders]
    fill.click(base.polite(filled), inputs, [picks, grid], **base.NEWEST)


def resolutions(loaded: Loaded) -> list[int]:
    return list(loaded.gan.generator.layer_resolutions)


def look(loaded: Loaded) -> dict:
    """The layers that carry appearance: all but the coarse ones, which carry pose and shape."""
    groups = layer_groups(resolutions(loaded))
    first = groups["middle"][0] if "middle" in groups else 0
    return layers.value(resolutions(loaded), (first, loaded.gan.num_ws - 1))


def mixed(loaded: Loaded, chosen: dict, sent: object, strengths: Sequence[float]) -> Iterator[dict]:
    """The states of the grid while it fills; heads are the pictures that are mixed."""
    rows, columns = chosen["strips"]
    if not rows["items"] or not columns["items"]:
        yield sheet.empty(EMPTY)
        return
    down = [node_of(recipe) for recipe in slots.recipes(rows, loaded, 1, "The rows")[:MOST]]
    across = [node_of(recipe) for recipe in slots.recipes(columns, loaded, 1, "The columns")[:MOST]]
    sides, by_group = resolutions(loaded), dict(zip(GROUPS, strengths, strict=True))
    taken = tuple(amounts(sides, *layers.chosen(sent, len(sides)), by_group))
    recipes = [EditRecipe(model_name(loaded.ref), loaded.fingerprint, Mix(row, column, taken))
               for row in down for column in across]  # fmt: skip
    heads = [[_head(item) for item in strip["items"][:MOST]] for strip in (rows, columns)]
    every = amounts(sides, 0, len(sides) - 1, by_group)
    # The time makes it a new value each time: the browser may have drawn other amounts than those sent last.
    frame = {
        "note": "Each picture is its row's with the chosen layers of its column's. Click one to keep it.",
        # assets/sheet.js draws when the layers change.
        "follow": {"layers": LAYERS, "ref": loaded.ref, "amounts": every, "at": time.monotonic_ns()},
    }
    yield from sheet.gather(loaded, recipes, *heads, frame=frame)


def _head(item: dict) -> dict:
    """The picture of a row or column."""
    return {part: str(item.get(part, "")) for part in ("light", "dark", "src", "about")} | {"label": str(item["name"])}
