"""The tab that opens first: pictures of one class, or of every class for the same latents."""

import html
from collections.abc import Callable
from dataclasses import replace

import gradio as gr

from cocktail.errors import CocktailError
from cocktail.seeds import parse_seeds
from editing.latents import draw
from editing.recipes import EditRecipe, PictureRecipe, from_png, model_name
from ui import base, sheet
from ui.models import Loaded, Models
from ui.pictures import connect, data_uri
from ui.plan import ALL, MAX_PICTURES, Settings, opening, plan, resized, rows, seed_text, shuffled

COUNT = 16  # the end of the slider; more seeds can be typed
PSI = (0, 1.5)
HELP = """<p class="help">A PNG downloaded here carries its settings: open it, or drop it on the pictures, to return
to them.</p>"""
Parts = dict[str, gr.components.Component]


@base.tab("Sample", order=10)
def build(page: base.Page) -> None:
    with gr.Row(elem_classes="bench"):
        with gr.Column(elem_classes="stage", min_width=280):
            pictures = sheet.component(_first_sheet(page.models))
        with gr.Column(elem_classes="controls", min_width=280):
            parts = _controls(page.models)
    parts["pictures"] = pictures
    # What is in sight: an event that changes nothing must not draw again, and must not draw new noise.
    parts["drawn"] = gr.State(opening(_first(page.models)))
    _connect(page, parts)
    connect(page, pictures)
    gr.api(_endpoint(page.models), api_name="sample", concurrency_id=base.DEVICE)


def _controls(models: Models) -> Parts:
    loaded = _first(models)
    first, layers = opening(loaded), loaded.gan.num_ws if loaded else 10
    label = gr.Radio(**_label_choices(loaded, ALL), label="Class", elem_id="sample-class", elem_classes="by-class",
                     info="One class, or every class drawn from the same latents.")  # fmt: skip
    with gr.Row(elem_classes="joined"):
        seeds = gr.Textbox(first.seeds, label="Seeds", elem_id="sample-seeds", max_lines=1, scale=3, min_width=150,
                           info="0-15, or 3, 7, 20-24")  # fmt: skip
        dice = gr.Button("Random", elem_id="sample-random", scale=0, min_width=90)
    count = gr.Slider(1, COUNT, len(parse_seeds(first.seeds)), step=1, label="Latents", elem_id="sample-count",
                      info="How many seeds are drawn.")  # fmt: skip
    psi = gr.Slider(*PSI, first.psi, step=0.05, label="Truncation ψ", elem_id="sample-psi",
                    info="0: the class's average. 1: as trained.")  # fmt: skip
    with gr.Accordion("More", open=False, elem_classes="more"):
        noise = gr.Radio([("Constant", "const"), ("Random", "random"), ("None", "none")], value=first.noise_mode,
                         label="Noise", elem_id="sample-noise",
                         info="Fine texture: always the same, new each time, or none.")  # fmt: skip
        cutoff = gr.Slider(0, layers, layers, step=1, label="Truncation cutoff", elem_id="sample-cutoff",
                           info="How many layers of w+ are truncated, from the coarsest on.")  # fmt: skip
    opener = gr.UploadButton("Open a picture", elem_id="open-picture", file_types=[".png"], file_count="single")
    gr.HTML(HELP, apply_default_css=False, js_on_load=None)
    return {"label": label, "seeds": seeds, "dice": dice, "count": count, "psi": psi, "noise": noise,
            "cutoff": cutoff, "opener": opener}  # fmt: skip


def _connect(page: base.Page, parts: Parts) -> None:
    """Every control draws at once; of a dragged slider only the newest value waits."""
    label, seeds, count, psi = parts["label"], parts["seeds"], parts["count"], parts["psi"]
    cutoff, noise, pictures, drawn = parts["cutoff"], parts["noise"], parts["pictures"], parts["drawn"]
    models, settings = page.models, [page.model, label, seeds, psi, cutoff, noise]

    def show(loaded: Loaded, wanted: Settings, values: dict):
        """Draws a sheet and brings the values of other controls with its first state.

        Never the value of the control that asked: by now it may have been moved on.
        """
        states = ({pictures: state} for state in sheet.fill(loaded, plan(loaded, wanted)))
        yield from base.at_first(values | {drawn: wanted}, states)

    def redraw(before, *values):
        wanted = Settings(*values)
        if wanted == before:
            yield {drawn: before}  # a handler that yields nothing would empty the controls among its outputs
            return
        try:
            changed = {} if wanted.seeds == before.seeds else {count: min(COUNT, len(parse_seeds(wanted.seeds)))}
            yield from show(models.get(wanted.ref), wanted, changed)
        except CocktailError as error:
            # Told once: a box that still holds what was refused must not say so again whenever it loses the focus.
            gr.Warning(html.escape(str(error)))
            yield {drawn: wanted}

    def reseed(choose: Callable[[str, int], str]):
        def handler(number, *values):
            wanted = Settings(*values)
            loaded = models.get(wanted.ref)
            most = MAX_PICTURES // max(1, len(rows(loaded, wanted.label)))
            wanted = replace(wanted, seeds=choose(wanted.seeds, min(int(number), most)))
            changed = {seeds: wanted.seeds} | ({count: most} if number > most else {})
            yield from show(loaded, wanted, changed)

        return handler

    def switch(before, *values):
        wanted = Settings(*values)
        if wanted == before:  # `restore` has changed the model and drawn already
            yield {drawn: before}
            return
        loaded = models.get(wanted.ref)
        wanted = replace(wanted, label=ALL, cutoff=loaded.gan.num_ws)
        changed = {label: gr.Radio(**_label_choices(loaded, ALL)), cutoff: _cutoff(loaded, wanted.cutoff)}
        yield from show(loaded, wanted, changed)

    def restore(path, opened, ref):
        recipe = from_png(path)
        if isinstance(recipe, EditRecipe):
            raise CocktailError("This picture was edited, so no seed gives it. Load it on the shelf instead.")
        refs = models.known(opened, ref)
        loaded = models.named(recipe, refs)
        wanted = _settings(loaded, recipe)
        yield from show(loaded, wanted, {
            page.model: gr.Dropdown(choices=base.choices(loaded.ref, refs), value=loaded.ref),
            label: gr.Radio(**_label_choices(loaded, wanted.label)), seeds: wanted.seeds, psi: wanted.psi,
            cutoff: _cutoff(loaded, wanted.cutoff), noise: wanted.noise_mode,
            count: min(COUNT, len(recipe.seeds)),
        })  # fmt: skip

    shown = [drawn, count, pictures]
    changes = [label.input, psi.change, cutoff.change, noise.input, seeds.submit, seeds.blur]
    gr.on(changes, base.polite(redraw), [drawn, *settings], shown, **base.NEWEST)
    count.input(base.polite(reseed(resized)), [count, *settings], [seeds, *shown], **base.NEWEST)
    parts["dice"].click(base.polite(reseed(shuffled)), [count, *settings], [seeds, *shown], **base.NEWEST)
    page.model.change(base.polite(switch), [drawn, *settings], [label, cutoff, *shown], **base.NEWEST)
    opener = parts["opener"]
    opener.upload(base.polite(restore), [opener, page.opened, page.model], [*settings, *shown], **base.NEWEST)


def _cutoff(loaded: Loaded, value: int) -> gr.Slider:
    return gr.Slider(maximum=loaded.gan.num_ws, value=value)


def _settings(loaded: Loaded, recipe: PictureRecipe) -> Settings:
    """The values of the controls that draw a recipe. Raises: CocktailError where none do."""
    names, layers = loaded.gan.classes, loaded.gan.num_ws
    label = names.index(recipe.labels[0]) if len(recipe.labels) == 1 else ALL
    if recipe.labels != rows(loaded, label):
        raise CocktailError(f"The sheet shows {', '.join(recipe.labels)}; this page draws one class or all of them.")
    if not PSI[0] <= recipe.psi <= PSI[1]:
        raise CocktailError(f"The picture was made with psi {recipe.psi:g}; this page goes from {PSI[0]} to {PSI[1]}.")
    cutoff = layers if recipe.cutoff is None else recipe.cutoff
    return Settings(loaded.ref, label, seed_text(recipe.seeds), recipe.psi, cutoff, recipe.noise_mode)


def _endpoint(models: Models):
    def sample(model: str, seeds: str = "0-2", label: str = "", psi: float = 1.0) -> list[str]:
        """Pictures of a model as PNG data URIs, one per seed; `label` is empty for a model without classes."""
        try:
            loaded = models.get(model)
            loaded.gan.class_index(label or None)
            numbers = tuple(parse_seeds(seeds, limit=MAX_PICTURES))
            labels = (label,) if label else ()
            recipe = PictureRecipe(model_name(loaded.ref), loaded.fingerprint, labels, numbers, psi)
            return [data_uri(picture, cell) for picture, cell in zip(draw(loaded.gan, recipe), recipe.cells())]
        except CocktailError as error:
            raise gr.Error(str(error), print_exception=False) from error

    return sample


def _first_ref(models: Models) -> str | None:
    return next(iter(models.refs()), None)


def _first(models: Models) -> Loaded | None:
    try:
        return models.get(_first_ref(models))
    except CocktailError:
        return None


def _first_sheet(models: Models) -> dict:
    """The pictures that the page opens with, made when the app starts: they are there before anything is asked for."""
    try:
        loaded = models.get(_first_ref(models))
        return list(sheet.fill(loaded, plan(loaded, opening(loaded))))[-1]
    except CocktailError as error:
        return sheet.empty(str(error))


def _label_choices(loaded: Loaded | None, value: int | None) -> dict:
    names = loaded.gan.classes if loaded else ()
    options = [("All, same z", ALL), *((name, i) for i, name in enumerate(names))]
    return {"choices": options, "value": value if value in range(len(names)) else ALL, "visible": len(names) > 1}
