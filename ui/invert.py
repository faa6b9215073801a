"""The tab for inversion: a photo becomes a code of the model, first by the encoder, then by descent."""

import html
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from weakref import WeakKeyDictionary

import gradio as gr
import torch
from torch import Tensor

from cocktail import domains
from cocktail.errors import CocktailError
from cocktail.images import to_pil, to_uint8
from editing.edits import Array, Code, EditRecipe
from editing.encoder import Encoder, find_encoder, read_encoder, save_encoder
from editing.encoder_training import EncoderConfig, train_encoder
from editing.inversion import InversionConfig, estimate_sec, project
from editing.photos import read_photo
from editing.recipes import model_name
from editing.verdict import Typical, judge, typical_error, typical_of
from ui import base, colours, sheet
from ui.models import Loaded, Models
from ui.pictures import cell, connect, data_uri

GUESS = -1
SHOWN = 384  # pixels of the two pictures under the slider
LONG = "long"  # the concurrency_id of work that takes seconds: it does not make other visitors wait
TRAINED = Path("runs/encoders")  # encoders of models that came without one
FEW, FEW_SEC = 4, 4.0  # own samples to look at where no encoder came with its figures, and seconds for each
TYPICAL: WeakKeyDictionary[Loaded, Typical] = WeakKeyDictionary()
ENCODERS: WeakKeyDictionary[Loaded, Encoder] = WeakKeyDictionary()
COLUMNS = [{"label": "yours"}, {"label": "encoder"}, {"label": "refined"}]
EMPTY = "Drop a photo on the right. The model draws it anew, as far as it can; then edit it in the other tabs."
EXAMPLE = 4242  # the seed of what is shown while there is no photo


@base.tab("Invert", order=50)
def build(page: base.Page) -> None:
    with gr.Row(elem_classes="bench"):
        with gr.Column(elem_classes="stage", min_width=280):
            pictures = sheet.component(sheet.empty(EMPTY), "inverted")
            told = gr.HTML("", elem_id="invert-told", elem_classes="told", js_on_load=None, apply_default_css=False)
            compare = gr.ImageSlider(
                visible=False, label="Yours and refined", elem_id="before-after", type="pil", interactive=False,
                buttons=[], slider_position=50, max_height=420,
            )  # fmt: skip
        with gr.Column(elem_classes="controls", min_width=280):
            photo = gr.File(label="Photo", file_types=["image"], type="filepath", elem_id="photo", height=140)
            label = gr.Radio([("Guess", GUESS)], value=GUESS, label="Class", elem_id="invert-class",
                             elem_classes="by-class", info="What the photo shows.")  # fmt: skip
            space = gr.Radio(["w+", "w"], value="w+", label="Space", elem_id="invert-space",
                             info="w+: nearer to the photo. w: better to edit.")  # fmt: skip
            budget = gr.Slider(1, 60, 10, step=1, label="Seconds at most", elem_id="invert-sec",
                               info="It stops earlier where nothing is gained.")  # fmt: skip
            with gr.Row(elem_classes="joined"):
                start = gr.Button("Invert", variant="primary", elem_id="invert-go", min_width=110)
                stop = gr.Button("Cancel", elem_id="invert-cancel", min_width=90)
            with gr.Accordion("More", open=False, elem_classes="more"):
                steps = gr.Slider(0, 1000, 300, step=10, label="Steps at most", elem_id="invert-steps",
                                  info="0: the encoder alone.")  # fmt: skip
                train = gr.Button("Train an encoder for this model", elem_id="encoder-train",
                                  visible=not page.models.public)  # fmt: skip
                state = gr.HTML("", elem_id="encoder-state", elem_classes="help", js_on_load=None,
                                apply_default_css=False)  # fmt: skip
    parts = {
        "pictures": pictures, "told": told, "compare": compare, "photo": photo, "label": label, "space": space,
        "budget": budget, "start": start, "stop": stop, "steps": steps, "train": train, "state": state,
    }  # fmt: skip
    _connect(page, parts)
    connect(page, pictures)


def _connect(page: base.Page, parts: dict) -> None:
    models = page.models
    long = base.SILENT | {"concurrency_id": LONG}
    shown = [parts["pictures"], parts["told"], parts["compare"]]
    hidden = gr.ImageSlider(visible=False)

    def enter(ref):
        loaded = models.get(ref)
        names = [("Guess", GUESS), *((name, i) for i, name in enumerate(loaded.gan.classes))]
        radio = gr.Radio(names, value=GUESS, visible=len(loaded.gan.classes) > 1)
        return {parts["label"]: radio, parts["state"]: encoder_state(loaded)}

    def arrived(ref, path):
        """What a photo, or the example while there is none, looks like to the model, and how long it will take."""
        loaded = models.get(ref)
        target, notes, name = photo_of(loaded, path)
        low, high = estimate_sec(loaded.gan, InversionConfig())
        words = [*notes, f"Inverting it takes {max(1, round(low))} to {max(2, round(high))} seconds here."]
        return {parts["pictures"]: row(loaded, target, name), parts["told"]: _told(words), parts["compare"]: hidden}

    def arrive(ref, path, pictures):
        if pictures["cells"]:
            return {parts["pictures"]: pictures}
        return arrived(ref, path)

    def invert(ref, path, label, space, seconds, steps):
        for pictures, words, pair in inverted(models.get(ref), path, label, space, seconds, steps):
            found = {parts["pictures"]: pictures, parts["told"]: _told(words)}
            yield found | ({parts["compare"]: gr.ImageSlider(pair, visible=True)} if pair else {})

    def cancelled():
        return _told(["Cancelled. The pictures are the best so far; a click keeps one."])

    def train(ref):
        loaded = models.get(ref)
        for words in trained(models, loaded):
            yield {parts["state"]: words}

    entered = [parts["label"], parts["state"]]
    gr.on([page.blocks.load, page.model.change], base.polite(enter), page.model, entered, **base.QUIET)
    given = [page.model, parts["photo"]]
    gr.on([parts["photo"].change, page.model.change], base.polite(arrived), given, shown, **long)
    page.tab.select(base.polite(arrive), [*given, parts["pictures"]], shown, **long)
    asked = [page.model, *(parts[name] for name in ("photo", "label", "space", "budget", "steps"))]
    running = parts["start"].click(base.polite(invert), asked, shown, **long)
    training = parts["train"].click(base.polite(train), page.model, parts["state"], **long)
    # What was on its way when it was cancelled comes first, and does not take the place of these words.
    stopped = parts["stop"].click(None, None, None, cancels=[running, training], **base.SILENT)
    stopped.then(cancelled, None, parts["told"], **base.SILENT)


def photo_of(loaded: Loaded, path: str | None) -> tuple[Tensor, tuple[str, ...], str]:
    """The photo as the model sees it, float32 [1, 3, R, R], what was done to it, and its name.

    While there is none: a drawing that no model saw, or, where the model's classes are not drawn, a sample of its own.
    """
    if path:
        return *read_photo(path, loaded.gan.resolution), Path(path).name
    label = next((name for name in loaded.gan.classes if name in domains.names()), None)
    if label is None:
        first = loaded.gan.classes[0] if loaded.gan.classes else None
        return (
            loaded.gan.sample([EXAMPLE], first, 0.8).cpu(),
            ("No photo yet: here is a sample of the model.",),
            "sample",
        )
    drawn, _ = domains.get(label).draw(1, torch.Generator().manual_seed(EXAMPLE), loaded.gan.resolution)
    return drawn, (f"No photo yet: here is a drawn {label} that the model never saw.",), f"drawn {label}"


def inverted(
    loaded: Loaded, path: str | None, label: int, space: str, seconds: float, steps: float
) -> Iterator[tuple[dict, list[str], tuple | None]]:
    """The pictures while they come nearer, with what is to be said; at the end also the pair to compare."""
    target, notes, name = photo_of(loaded, path)
    config = InversionConfig(space=space, max_sec=float(seconds), steps=int(steps))
    encoder = encoder_of(loaded)
    chosen = int(label) if label in range(len(loaded.gan.classes)) else None
    way, first = base.Returning(project(loaded.gan, target, chosen, config, encoder=encoder)), None
    for progress in way:
        first = first or progress
        words = [f"Step {progress.step} of at most {progress.steps}, {progress.elapsed_sec:.0f} s, {_error(progress)}."]
        yield row(loaded, target, name, first if encoder else None, progress, label=_label(loaded, chosen)), words, None
    result = way.value
    words = [f"{_error(result)} after {result.steps} steps and {result.elapsed_sec:.1f} s."]
    if result.encoder_psnr is not None:
        words.append(f"The encoder alone: PSNR {result.encoder_psnr:.1f} dB, distance {result.encoder_distance:.3f}.")
    if result.label and chosen is None:
        words.append(f"It was taken for a {result.label}.")
    picture = loaded.gan.synthesize(result.ws[None])
    pair = tuple(image.resize((SHOWN, SHOWN), 3) for image in to_pil(to_uint8(torch.cat([target, picture.cpu()]))))
    pictures = row(loaded, target, name, first if encoder else None, result, label=result.label)
    for usual in _typical(loaded, encoder, config):
        if usual is None:
            yield pictures, [*words, "Looking once at what the model's own samples reach."], pair
    yield pictures, [judge(result, usual).sentence, *words, *notes], pair


def _typical(loaded: Loaded, encoder: Encoder | None, config: InversionConfig) -> Iterator[Typical | None]:
    """At last what inversion reaches on own samples: from the encoder's file, or measured once; None while it is."""
    known = typical_of(encoder) if encoder else None
    if known is None and loaded not in TYPICAL:
        quick = replace(config, max_sec=min(config.max_sec, FEW_SEC))
        measuring = base.Returning(typical_error(loaded.gan, encoder, FEW, quick))
        for _ in measuring:
            yield None
        TYPICAL[loaded] = measuring.value
    yield known or TYPICAL[loaded]


def row(loaded: Loaded, target: Tensor, name: str, encoded=None, refined=None, label: str | None = None) -> dict:
    """The three pictures side by side; those that are not there yet wait."""
    own = {"src": data_uri(to_uint8(target)), "id": "photo", "about": f"To be inverted: {name}", "recipe": ""}
    own |= colours.of(None)
    cells = [own]
    for found, what in ((encoded, "encoder"), (refined, "inverted")):
        if found is None:
            continue
        recipe = _recipe(loaded, found.ws, name, what, label)
        cells.append(cell(recipe, to_uint8(loaded.gan.synthesize(found.ws[None])).cpu()))
    columns = COLUMNS if encoded is not None else [COLUMNS[0], COLUMNS[2]]
    status = "A click keeps a picture on the shelf, to be edited in the other tabs." if refined is not None else ""
    return sheet.empty("") | {"cells": cells, "columns": columns[: len(cells)], "status": status}


def _recipe(loaded: Loaded, ws: Tensor, name: str, what: str, label: str | None) -> EditRecipe:
    code = Code(label, Array.of(ws), f"{name[:60]}, {what}")
    return EditRecipe(model_name(loaded.ref), loaded.fingerprint, code)


def _error(found) -> str:
    return f"PSNR {found.psnr:.1f} dB, distance {found.distance:.3f}"


def _label(loaded: Loaded, index: int | None) -> str | None:
    return loaded.gan.classes[index] if index is not None else None


def _told(sentences: list[str]) -> str:
    return "".join(f"<p>{html.escape(sentence)}</p>" for sentence in sentences if sentence)


def encoder_of(loaded: Loaded) -> Encoder | None:
    """The encoder beside the model, or one that was trained here before; None where there is none."""
    if loaded not in ENCODERS:
        path = _trained_path(loaded)
        found = read_encoder(path, loaded.gan) if path.is_file() else find_encoder(loaded.ref, loaded.gan)
        if found is None:
            return None
        ENCODERS[loaded] = found
    return ENCODERS[loaded]


def encoder_state(loaded: Loaded) -> str:
    try:
        there = encoder_of(loaded) is not None
    except CocktailError as error:
        return html.escape(str(error))
    if there:
        return "This model has an encoder, so inversion starts near the photo."
    return "This model has no encoder: inversion starts from its samples. An encoder makes it faster and better."


def trained(models: Models, loaded: Loaded) -> Iterator[str]:
    """Trains an encoder on the model's own samples and keeps it; what is to be said meanwhile."""
    if models.public:
        raise CocktailError("This page is public: encoders are trained at home. Inversion works without one too.")
    training, start = base.Returning(train_encoder(loaded.gan, EncoderConfig())), time.monotonic()
    for progress in training:
        left = progress.elapsed_sec / max(1, progress.images) * (progress.total_images - progress.images)
        yield (f"{progress.images:,} of {progress.total_images:,} samples; "
               f"{left / 60:.0f} to {1.5 * left / 60 + 1:.0f} minutes left. Cancel stops it.")  # fmt: skip
    ENCODERS[loaded], path = training.value, _trained_path(loaded)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_encoder(ENCODERS[loaded], path)
    yield f"Trained in {(time.monotonic() - start) / 60:.1f} minutes and kept in {path}."


def _trained_path(loaded: Loaded) -> Path:
    return TRAINED / f"{loaded.fingerprint}.safetensors"
