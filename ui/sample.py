"""The tab that opens first: pictures of one class, or of every class for the same latents."""

import base64
import random

import gradio as gr

from cocktail.errors import CocktailError
from cocktail.seeds import MAX_SEED, parse_seeds
from editing.latents import draw, render
from editing.recipes import NOISE_MODES, PictureRecipe, from_png, model_name, to_png
from ui import base, sheet, shelf
from ui.models import Loaded, Models

ALL = -1  # the value of the choice "every class, same latents"
MAX_PICTURES = 64
MAX_ROWS = 16
START = "0-2"
HELP = """<p class="help">A PNG downloaded here carries its settings: open it, or drop it on the pictures, to return
to them.</p>"""


@base.tab("Sample", order=10)
def build(page: base.Page) -> None:
    with gr.Row(elem_classes="bench"):
        with gr.Column(elem_classes="stage", min_width=280):
            pictures = sheet.component(_first_sheet(page.models))
        with gr.Column(elem_classes="controls", min_width=280):
            controls = _controls(page.models)
    _connect(page, pictures, controls)


def plan(
    loaded: Loaded, label: int | None, seeds: str, psi: float, cutoff: int | None, noise_mode: str
) -> PictureRecipe:
    """The recipe of a sheet from the values of the controls.

    Raises: CocktailError where the seeds cannot be read or ask for too many pictures.
    """
    names = loaded.gan.classes
    label = ALL if label is None or not -1 <= label < len(names) else label
    labels = names[:MAX_ROWS] if label == ALL else (names[label],)
    numbers = parse_seeds(seeds, limit=MAX_PICTURES)
    if len(numbers) * max(1, len(labels)) > MAX_PICTURES:
        raise CocktailError(
            f"{len(numbers)} seeds for each of {len(labels)} classes are {len(numbers) * len(labels)} pictures; at "
            f"most {MAX_PICTURES} are drawn at a time. Ask for {MAX_PICTURES // len(labels)} seeds or choose one class."
        )
    layers = None if cutoff is None or cutoff >= loaded.gan.num_ws else int(cutoff)
    noise_seed = random.randrange(MAX_SEED) if noise_mode == "random" else 0
    return PictureRecipe(
        model_name(loaded.ref), loaded.fingerprint, labels, tuple(numbers), float(psi), layers, noise_mode, noise_seed
    )


def seed_text(seeds: list[int] | tuple[int, ...]) -> str:
    """Seeds as text, runs of neighbours as ranges: [0, 1, 2, 7] gives "0-2, 7"."""
    runs: list[list[int]] = []
    for seed in seeds:
        if runs and seed == runs[-1][1] + 1:
            runs[-1][1] = seed
        else:
            runs.append([seed, seed])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def resized(seeds: list[int], count: int) -> list[int]:
    """The first `count` seeds; where there are fewer, the numbers after the last one follow."""
    start = seeds[-1] + 1 if seeds else 0
    return (seeds + [(start + i) % (MAX_SEED + 1) for i in range(count)])[:count]


def _controls(models: Models) -> dict[str, gr.components.Component]:
    loaded = _open_first(models)
    layers = loaded.gan.num_ws if loaded else 10
    label = gr.Radio(**_label_choices(loaded), label="Class", elem_id="sample-class", elem_classes="by-class",
                     info="One class, or every class drawn from the same latents.")  # fmt: skip
    with gr.Row(elem_classes="joined"):
        seeds = gr.Textbox(START, label="Seeds", elem_id="sample-seeds", max_lines=1, scale=3, min_width=150,
                           info="0-15, or 3, 7, 20-24")  # fmt: skip
        dice = gr.Button("Random", elem_id="sample-random", scale=0, min_width=90)
    count = gr.Slider(1, 16, 3, step=1, label="Latents", elem_id="sample-count",
                      info="How many seeds are drawn.")  # fmt: skip
    psi = gr.Slider(0, 1.5, 1, step=0.05, label="Truncation ψ", elem_id="sample-psi",
                    info="0: the class's average. 1: as trained.")  # fmt: skip
    with gr.Accordion("More", open=False, elem_classes="more"):
        noise = gr.Radio([("Constant", "const"), ("Random", "random"), ("None", "none")], value="const",
                         label="Noise", elem_id="sample-noise",
                         info="Fine texture: always the same, new each time, or none.")  # fmt: skip
        cutoff = gr.Slider(0, layers, layers, step=1, label="Truncation cutoff", elem_id="sample-cutoff",
                           info="How many layers of w+ are truncated, from the coarsest on.")  # fmt: skip
    opener = gr.UploadButton("Open a picture", elem_id="open-picture", file_types=[".png"], file_count="single")
    gr.HTML(HELP, apply_default_css=False, js_on_load=None)
    return {"label": label, "seeds": seeds, "dice": dice, "count": count, "psi": psi, "noise": noise,
            "cutoff": cutoff, "opener": opener}  # fmt: skip


def _connect(page: base.Page, pictures: gr.HTML, controls: dict) -> None:
    label, seeds, count, psi = controls["label"], controls["seeds"], controls["count"], controls["psi"]
    cutoff, noise = controls["cutoff"], controls["noise"]
    drawn = gr.State(START)  # the seeds in sight: leaving the box unchanged must not draw again
    settings = [page.model, label, seeds, psi, cutoff, noise]
    models = page.models
    live = {"show_progress": "hidden", "api_visibility": "private", "concurrency_id": base.DEVICE,
            "trigger_mode": "always_last"}  # fmt: skip
    once = live | {"trigger_mode": "once"}

    def redraw(ref, *values):
        loaded = models.get(ref)
        yield from sheet.fill(loaded, plan(loaded, *_ordered(values)))

    def retype(before, ref, *values):
        if values[1] == before:
            return
        loaded = models.get(ref)
        recipe = plan(loaded, *_ordered(values))
        yield {drawn: values[1], count: min(16, len(recipe.seeds))}
        for state in sheet.fill(loaded, recipe):
            yield {pictures: state}

    def reseed(choose):
        def handler(wanted, ref, *values):
            loaded = models.get(ref)
            rows = 1 if values[0] != ALL else max(1, len(loaded.gan.classes[:MAX_ROWS]))
            text = seed_text(choose(values[1], min(int(wanted), MAX_PICTURES // rows)))
            recipe = plan(loaded, *_ordered((values[0], text, *values[2:])))
            yield {seeds: text, drawn: text, count: len(recipe.seeds)}
            for state in sheet.fill(loaded, recipe):
                yield {pictures: state}

        return handler

    def switch(ref, *values):
        loaded = models.get(ref)
        options = _label_choices(loaded, values[0])
        layers = loaded.gan.num_ws
        keep = values[3] if values[3] < layers else layers
        yield {label: gr.Radio(**options), cutoff: gr.Slider(maximum=layers, value=keep)}
        for state in sheet.fill(loaded, plan(loaded, *_ordered((options["value"], *values[1:3], keep, values[4])))):
            yield {pictures: state}

    reseeded = [seeds, drawn, count, pictures]
    changed = [label.input, psi.input, psi.release, cutoff.input, cutoff.release, noise.input]
    gr.on(changed, base.polite(redraw), settings, pictures, **live)
    gr.on([seeds.submit, seeds.blur], base.polite(retype), [drawn, *settings], [drawn, count, pictures], **live)
    count.input(base.polite(reseed(_continue)), [count, *settings], reseeded, **live)
    controls["dice"].click(base.polite(reseed(_shuffle)), [count, *settings], reseeded, **live)
    page.model.change(base.polite(switch), settings, [label, cutoff, pictures], **live)
    outputs = [page.model, label, seeds, drawn, count, psi, cutoff, noise, pictures]
    controls["opener"].upload(base.polite(_restore(models, outputs)), [controls["opener"], page.opened, page.model],
                              outputs, **once)  # fmt: skip
    _connect_pictures(page, pictures, once)


def _connect_pictures(page: base.Page, pictures: gr.HTML, options: dict) -> None:
    """Clicks on the sheet: to the shelf, and download."""

    def asked(event: gr.EventData, opened: list[str], ref: str | None) -> tuple[Loaded, PictureRecipe]:
        recipe = PictureRecipe.from_json(event._data.get("recipe"))
        return page.models.named(recipe, known(page.models, opened, ref)), recipe

    def to_shelf(visitor, opened, ref, event: gr.EventData):
        loaded, recipe = asked(event, opened, ref)
        return shelf.add(visitor, loaded, recipe, render(loaded.gan, recipe, loaded.fingerprint))

    def download(opened, ref, event: gr.EventData):
        loaded, recipe = asked(event, opened, ref)
        image = render(loaded.gan, recipe, loaded.fingerprint)
        data = base64.b64encode(to_png(image, recipe)).decode()
        return {"name": _file_name(recipe), "data": data, "nonce": random.random()}

    options = options | {"trigger_mode": "multiple"}
    which = [page.opened, page.model]
    pictures.select(base.polite(to_shelf), [page.visitor, *which], [page.visitor, page.shelf], **options)
    pictures.download(base.polite(download), which, page.deliver, **options)
    gr.api(_endpoint(page.models), api_name="sample", concurrency_id=base.DEVICE)


def known(models: Models, opened: list[str], ref: str | None) -> list[str]:
    """The references among which this visitor's pictures may have been made, the current one first."""
    return list(dict.fromkeys([*([ref] if ref else []), *opened, *models.refs()]))


def _restore(models: Models, outputs: list):
    def handler(path, opened, ref):
        recipe = from_png(path)
        refs = known(models, opened, ref)
        loaded = models.named(recipe, refs)
        text = seed_text(recipe.seeds)
        if len(recipe.labels) > 1 and recipe.labels != loaded.gan.classes[:MAX_ROWS]:
            shown = ", ".join(recipe.labels)
            raise CocktailError(f"The sheet shows {shown}; this page draws one class or all of them.")
        value = loaded.gan.classes.index(recipe.labels[0]) if len(recipe.labels) == 1 else ALL
        layers = loaded.gan.num_ws
        settings = (
            gr.Dropdown(choices=base.choices(loaded.ref, refs), value=loaded.ref),
            gr.Radio(**_label_choices(loaded, value)),
            text, text, min(16, len(recipe.seeds)), recipe.psi,
            gr.Slider(maximum=layers, value=layers if recipe.cutoff is None else recipe.cutoff), recipe.noise_mode,
        )  # fmt: skip
        for i, state in enumerate(sheet.fill(loaded, recipe)):
            yield (*(settings if i == 0 else [gr.skip()] * len(settings)), state)

    return handler


def _endpoint(models: Models):
    def sample(model: str, seeds: str = START, label: str = "", psi: float = 1.0) -> list[str]:
        """Pictures of a model as PNG data URIs, one per seed; `label` is empty for a model without classes."""
        try:
            loaded = models.get(model)
            loaded.gan.class_index(label or None)
            numbers = tuple(parse_seeds(seeds, limit=MAX_PICTURES))
            labels = (label,) if label else ()
            recipe = PictureRecipe(model_name(loaded.ref), loaded.fingerprint, labels, numbers, psi)
            return [sheet.data_uri(picture, cell) for picture, cell in zip(draw(loaded.gan, recipe), recipe.cells())]
        except CocktailError as error:
            raise gr.Error(str(error), print_exception=False) from error

    return sample


def _open_first(models: Models) -> Loaded | None:
    try:
        return models.get(next(iter(models.refs()), None))
    except CocktailError:
        return None


def _first_sheet(models: Models) -> dict:
    """The pictures that the page opens with, made when the app starts: they are there before anything is asked for."""
    try:
        loaded = models.get(next(iter(models.refs()), None))
        return list(sheet.fill(loaded, plan(loaded, ALL, START, 1.0, None, NOISE_MODES[0])))[-1]
    except CocktailError as error:
        return sheet.empty(str(error))


def _label_choices(loaded: Loaded | None, value: int | None = ALL) -> dict:
    names = loaded.gan.classes if loaded else ()
    options = [("All, same z", ALL), *((name, i) for i, name in enumerate(names))]
    return {"choices": options, "value": value if value in range(len(names)) else ALL, "visible": len(names) > 1}


def _ordered(values: tuple) -> tuple:
    label, seeds, psi, cutoff, noise = values
    return label, seeds, psi, cutoff, noise


def _continue(text: str, count: int) -> list[int]:
    return resized(parse_seeds(text, limit=MAX_PICTURES), count)


def _shuffle(text: str, count: int) -> list[int]:
    start = random.randrange(10000)
    return list(range(start, start + count))


def _file_name(recipe: PictureRecipe) -> str:
    first, last = recipe.seeds[0], recipe.seeds[-1]
    what = recipe.labels[0] if len(recipe.labels) == 1 else "classes" if recipe.labels else recipe.model.split("/")[-1]
    name = f"{what}-seed{first}" + (f"-{last}" if last != first else "") + f"-psi{recipe.psi:g}"
    return "".join(letter if letter.isalnum() or letter in "-." else "-" for letter in name)[:80] + ".png"
