"""The tab for style mixing: a grid whose rows give some layers and whose columns give the others."""

from collections.abc import Iterator, Sequence

import gradio as gr

from cocktail.errors import CocktailError
from editing.edits import EditRecipe, Mix
from editing.mixing import layer_groups
from editing.recipes import model_name, node_of
from ui import base, layers, sheet, slots
from ui.models import Loaded, Models
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
                amounts = [
                    gr.Slider(0, 1, 1, step=0.05, label=f"Strength, {name}", elem_id=f"mix-{name}",
                              info=f"How far the {name} layers go from the row's code to the column's.")
                    for name in ("coarse", "middle", "fine")
                ]  # fmt: skip
            with gr.Accordion("Fill with samples", open=False, elem_classes="more"):
                row_class, column_class = (
                    gr.Dropdown([("All in turn", ANY)], value=ANY, label=f"Class of the {what}", elem_id=f"mix-{what}")
                    for what in ("rows", "columns")
                )
                count = gr.Slider(1, MOST, 4, step=1, label="Pictures each", elem_id="mix-count")
                fill = gr.Button("Fill rows and columns", elem_id="mix-fill")
    _connect(page, {"grid": grid, "picks": picks, "span": span, "pose": pose, "amounts": amounts, "fill": fill,
                    "classes": [row_class, column_class], "count": count})  # fmt: skip
    connect(page, grid)


def _connect(page: base.Page, parts: dict) -> None:
    models, picks, span, grid = page.models, parts["picks"], parts["span"], parts["grid"]
    auto = gr.State([[], []])
    quiet = {"show_progress": "hidden", "api_visibility": "private", "concurrency_id": base.DEVICE,
             "trigger_mode": "always_last"}  # fmt: skip

    def show(ref, chosen, sent, *amounts) -> Iterator[dict]:
        for state in mixed(models, models.get(ref), chosen, sent, amounts):
            yield {grid: state}

    def arrive(before, visitor, ref, chosen, sent, *amounts):
        if slots.ids(chosen) != before:  # somebody chose these
            yield {auto: before}
            return
        yield from renew(visitor, ref, chosen, sent, *amounts)

    def renew(visitor, ref, chosen, sent, *amounts):
        loaded = models.get(ref)
        found = slots.fresh(models, loaded, visitor, sum(EXAMPLE), least=2)
        half = min(EXAMPLE[0], len(found) // 2)
        wanted = slots.value(chosen, found[:half], found[half:][: EXAMPLE[1]])
        if slots.ids(wanted) == slots.ids(chosen):
            yield {auto: slots.ids(chosen)}
            return
        span_now = sent | look(loaded) if sent.get("resolutions") != resolutions(loaded) else sent
        names = [("All in turn", ANY), *((name, i) for i, name in enumerate(loaded.gan.classes))]
        first = {picks: wanted, auto: slots.ids(wanted), span: span_now}
        first |= {part: gr.Dropdown(names, value=ANY) for part in parts["classes"]}
        for state in show(ref, wanted, span_now, *amounts):
            yield first | state
            first = {}

    def pose(ref, chosen, sent, *amounts):
        loaded = models.get(ref)
        sent = sent | look(loaded)
        for state in show(ref, chosen, sent, *amounts):
            yield {span: sent} | state

    def fill(ref, chosen, sent, rows, columns, count, *amounts):
        loaded = models.get(ref)
        found = []
        for what, start in ((rows, 0), (columns, int(count))):
            seeds = range(start, start + int(count))
            names = slots.spread(loaded, int(count)) if what == ANY else [loaded.gan.classes[what]] * int(count)
            found.append(slots.items(models, loaded, slots.samples(loaded, names, seeds)))
        wanted = slots.value(chosen, *found)
        for state in show(ref, wanted, sent, *amounts):
            yield {picks: wanted} | state

    inputs = [page.model, picks, span, *parts["amounts"]]
    changes = [picks.input, *(amount.change for amount in parts["amounts"])]
    gr.on(changes, base.polite(show), inputs, [grid], **quiet)
    shown = [picks, auto, span, *parts["classes"], grid]
    page.tab.select(base.polite(arrive), [auto, page.visitor, *inputs], shown, **quiet)
    page.model.change(base.polite(renew), [page.visitor, *inputs], shown, **quiet)
    parts["pose"].click(base.polite(pose), inputs, [span, grid], **quiet)
    filled = [page.model, picks, span, *parts["classes"], parts["count"], *parts["amounts"]]
    parts["fill"].click(base.polite(fill), filled, [picks, grid], **quiet)


def resolutions(loaded: Loaded) -> list[int]:
    return list(loaded.gan.generator.layer_resolutions)


def look(loaded: Loaded) -> dict:
    """The layers that carry appearance: all but the coarse ones, which carry pose and shape."""
    groups = layer_groups(resolutions(loaded))
    first = groups["middle"][0] if "middle" in groups else 0
    return layers.value(resolutions(loaded), (first, loaded.gan.num_ws - 1))


def mixed(models: Models, loaded: Loaded, chosen: dict, sent: object, amounts: Sequence[float]) -> Iterator[dict]:
    """The states of the grid while it fills; heads are the pictures that are mixed."""
    rows, columns = chosen["strips"]
    if not rows["items"] or not columns["items"]:
        yield sheet.empty(EMPTY)
        return
    down = [node_of(recipe) for recipe in slots.recipes(rows, loaded, 1, "The rows")[:MOST]]
    across = [node_of(recipe) for recipe in slots.recipes(columns, loaded, 1, "The columns")[:MOST]]
    taken = tuple(layer_amounts(loaded, layers.chosen(sent, loaded.gan.num_ws), amounts))
    recipes = [EditRecipe(model_name(loaded.ref), loaded.fingerprint, Mix(row, column, taken))
               for row in down for column in across]  # fmt: skip
    heads = [[_head(item) for item in strip["items"][:MOST]] for strip in (rows, columns)]
    every = layer_amounts(loaded, (0, loaded.gan.num_ws - 1), amounts)
    frame = {
        "note": "Each picture is its row's with the chosen layers of its column's. Click one to keep it.",
        "follow": {"layers": LAYERS, "ref": loaded.ref, "amounts": every},  # assets/sheet.js draws when they change
    }
    yield from sheet.gather(models, loaded, recipes, *heads, frame=frame)


def _head(item: dict) -> dict:
    """The picture of a row or column."""
    return {part: str(item.get(part, "")) for part in ("light", "dark", "src", "about")} | {"label": str(item["name"])}


def layer_amounts(loaded: Loaded, span: tuple[int, int], amounts: Sequence[float]) -> list[float]:
    """One strength per layer: that of its group where the layer is in the range, else 0."""
    strengths = dict(zip(("coarse", "middle", "fine"), amounts, strict=True))
    if not all(0 <= amount <= 1 for amount in amounts):
        raise CocktailError(f"The strengths are {', '.join(f'{a:g}' for a in amounts)}; each goes from 0 to 1.")
    found = [0.0] * loaded.gan.num_ws
    for name, (first, last) in layer_groups(resolutions(loaded)).items():
        for layer in range(max(first, span[0]), min(last, span[1]) + 1):
            found[layer] = float(strengths[name])
    return found
