"""The tab for ways between pictures: a slider along the way, a filmstrip, films, mixtures, and the map beside it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import gradio as gr
import torch
from torch import Tensor

from cocktail.errors import CocktailError
from cocktail.images import from_uint8, to_pil
from cocktail.metrics.perceptual import FEATURES, PerceptualDistance
from editing import animation, interpolation
from editing.edits import Blend, EditRecipe, Node, Way
from editing.latents import codes
from editing.recipes import model_name, node_of
from editing.shelf import Pick
from ui import atlas, base, live, sheet, slots
from ui.models import Loaded
from ui.pictures import connect
from ui.visitors import VISITORS

KEYS = 3  # of the example
STRIP = 8  # pictures of the filmstrip
WAY, MIXTURE = "way", "mixture"
NAMES = {"webp": "WebP", "gif": "GIF", "mp4": "MP4"}
WAY_POINTS = 24  # of the line on the map
EMPTY = "Choose two pictures or more: click them on the shelf, or sample some first."


@dataclass(frozen=True)
class Settings:
    """The values of the controls, in the order in which they are wired."""

    ref: str | None
    keys: dict
    mode: str
    space: str
    easing: str
    closed: bool
    frames: float
    even: bool
    stagger: float
    deep: str


@base.tab("Interpolate", order=20)
def build(page: base.Page) -> None:
    models = page.models
    with gr.Row(elem_classes="bench"):
        with gr.Column(elem_classes="stage", min_width=280):
            with gr.Row(elem_classes="pair"):
                picture = live.component(models, "way", live.empty(EMPTY))
                with gr.Column(min_width=240, elem_classes="map"):
                    chart = gr.Plot(show_label=False, elem_id="atlas", container=False)
                    about = gr.HTML("", elem_classes="help", js_on_load=None, apply_default_css=False)
            strip = sheet.component(sheet.empty(EMPTY), "film")
        with gr.Column(elem_classes="controls", min_width=280):
            keys = slots.component("way-keys", ["Keys"], interpolation.MAX_KEYS)
            controls, fps, kind, save = _controls()
    parts = {"picture": picture, "chart": chart, "about": about, "strip": strip}
    _connect(page, keys, parts, controls)

    def export(rate, wanted, *values):
        name, data = film(Settings(*values), models.get(values[0]), rate, wanted)
        return base.delivery(name, data, "video/mp4" if wanted == "mp4" else f"image/{wanted}")

    spinning = base.QUIET | {"show_progress": "minimal", "show_progress_on": save}
    save.click(base.polite(export), [fps, kind, page.model, keys, *controls], page.deliver, **spinning)
    for component in (picture, strip):
        connect(page, component)


def _controls() -> tuple[list, gr.Slider, gr.Radio, gr.Button]:
    mode = gr.Radio([("Way", WAY), ("Mixture", MIXTURE)], value=WAY, label="Between the keys", elem_id="way-mode",
                    info="One after the other, or all at once with a weight each.")  # fmt: skip
    space = gr.Radio([("w+", "w+"), ("w", "w"), ("z", "z")], value="w+", label="Space", elem_id="way-space",
                     info="w+: layer by layer. w: one code for all. z: on the sphere, plain samples only.")  # fmt: skip
    frames = gr.Number(24, precision=0, label="Frames", elem_id="way-frames",
                       info=f"Of the whole way, 2 to {interpolation.MAX_FRAMES}.")  # fmt: skip
    with gr.Row(elem_classes="ticks"):
        closed = gr.Checkbox(False, label="Back to the start", elem_id="way-closed")
        even = gr.Checkbox(False, label="Constant speed", elem_id="way-even")
    with gr.Row(elem_classes="joined"):
        kind = gr.Radio([(NAMES[name], name) for name in animation.kinds()], value="webp", label="Film",
                        elem_id="way-kind", min_width=150)  # fmt: skip
        save = gr.Button("Download film", elem_id="way-save", scale=0, min_width=130)
    with gr.Accordion("More", open=False, elem_classes="more"):
        easing = gr.Radio(list(interpolation.EASINGS), value="linear", label="Easing", elem_id="way-easing",
                          info="Of each piece of the way.")  # fmt: skip
        stagger = gr.Slider(0, 1, 0, step=0.05, label="Coarse layers first", elem_id="way-stagger",
                            info="0: all layers together. 1: shape sets out first, colour arrives last.")  # fmt: skip
        fps = gr.Slider(*animation.FPS, 25, step=1, label="Frames per second", elem_id="way-fps")
        deep = gr.Radio(["2-D", "3-D"], value="2-D", label="Map", elem_id="way-deep")
    return [mode, space, easing, closed, frames, even, stagger, deep], fps, kind, save


def _connect(page: base.Page, keys: gr.HTML, parts: dict, controls: Sequence) -> None:
    shown = list(parts.values())

    def show(visitor, *values) -> Iterator[dict]:
        _, desk = VISITORS.enter(visitor)
        wanted = Settings(*values)
        for state in states(wanted, page.models.get(wanted.ref), desk.shelf.picks):
            yield {parts[name]: value for name, value in state.items()}

    changes = [keys.input, *(control.change for control in controls)]
    gr.on(changes, base.polite(show), [page.visitor, page.model, keys, *controls], shown, **base.NEWEST)
    slots.open_with(page, keys, lambda loaded, visitor: [slots.fresh(loaded, visitor, KEYS, least=2)], show, controls,
                    shown)  # fmt: skip


def states(wanted: Settings, loaded: Loaded, shelved: Sequence[Pick] = ()) -> Iterator[dict]:
    """What the tab shows, as it comes: the live picture first, then the map, then the filmstrip with its lengths.

    `shelved` are the visitor's pictures, which the map shows too.
    """
    items = wanted.keys["strips"][0]["items"]
    if len(items) < 2:
        yield {"picture": live.empty(EMPTY), "strip": sheet.empty(EMPTY)}
        return
    nodes, names = _keys(loaded, wanted), [str(item["name"]) for item in items]
    if wanted.mode == MIXTURE:
        yield from _mixture(loaded, nodes, names, wanted, shelved)
        return
    at, _, lengths = _walk(loaded, nodes, wanted)
    yield {"picture": _along(loaded, nodes, at, wanted)}
    yield _map(loaded, nodes, names, wanted, shelved)
    chosen = sorted({round(i * (len(at) - 1) / (STRIP - 1)) for i in range(STRIP)})
    recipes = [_recipe(loaded, nodes, at[i], wanted) for i in chosen]
    captions = [f"frame {i + 1}" for i in chosen]
    note, bars = _told(lengths, PerceptualDistance(loaded.gan).name), [round(step, 6) for step in lengths.tolist()]
    frame = {"note": note, "across": STRIP, "bars": bars}
    for state in sheet.gather(loaded, recipes, captions=captions, frame=frame):
        yield {"strip": state}


def film(wanted: Settings, loaded: Loaded, fps: float, kind: str) -> tuple[str, bytes]:
    """The film of the way that the controls describe: its name and its bytes."""
    if wanted.mode == MIXTURE:
        raise CocktailError("A mixture has no film. Choose “Way” first.")
    nodes = _keys(loaded, wanted)
    _, pictures, _ = _walk(loaded, nodes, wanted)
    first = _recipe(loaded, nodes, 0.0, wanted).file_name().removesuffix(".png")
    name = f"way-from-{first}-{len(pictures)}-frames.{kind}"
    return name, animation.film(to_pil(pictures), kind, fps)


def _keys(loaded: Loaded, wanted: Settings) -> list[Node]:
    return [node_of(recipe) for recipe in slots.recipes(wanted.keys["strips"][0], loaded, 2, "A way")]


def _walk(loaded: Loaded, nodes: list[Node], wanted: Settings) -> tuple[list[float], Tensor, Tensor]:
    """Positions of the frames, their pictures uint8 [N, 3, H, W], and the lengths of the steps between them."""
    distance, found = PerceptualDistance(loaded.gan), []
    at = interpolation.positions(int(wanted.frames or 0), wanted.closed)
    for attempt in range(2 if wanted.even else 1):
        if attempt:
            at = interpolation.constant_speed(at, found[-1][1], wanted.closed)
        pictures = torch.cat([loaded.picture(_recipe(loaded, nodes, place, wanted)) for place in at])
        with torch.inference_mode():
            seen = from_uint8(pictures).to(loaded.gan.device)
            found.append((pictures, interpolation.step_lengths(seen, distance, wanted.closed)))
    return at, *found[-1]


def _recipe(loaded: Loaded, nodes: Sequence[Node], at: float, wanted: Settings) -> EditRecipe:
    way = Way(tuple(nodes), at, wanted.space, wanted.easing, bool(wanted.closed), float(wanted.stagger))
    return EditRecipe(model_name(loaded.ref), loaded.fingerprint, way)


def _told(lengths: Tensor, name: str) -> str:
    least, most = lengths.min().item(), lengths.max().item()
    judge = "as the discriminator sees it" if name == FEATURES else "by pixels: the model has no discriminator"
    return (
        f"Length of the way {lengths.sum().item():.2f}; steps from {least:.4f} to {most:.4f} "
        f"(ratio {most / max(least, 1e-9):.1f}), {judge}."
    )


def _along(loaded: Loaded, nodes: Sequence[Node], at: list[float], wanted: Settings) -> dict:
    table = (*at, 1.0) if wanted.closed else tuple(at)
    knob = live.Knob("at", "Position", 0, 1, 0.005, 0.5, [(("edit", "at"), 1.0)], table=table, play=True,
                     hint="Where on the way from the first key to the last.")  # fmt: skip
    middle = live.bend(table, 0.5)
    return live.view(loaded, [_recipe(loaded, nodes, middle, wanted)], [knob])


def _mixture(
    loaded: Loaded, nodes: list[Node], names: list[str], wanted: Settings, shelved: Sequence[Pick]
) -> Iterator[dict]:
    """One slider per key: barycentric weights."""
    recipe = EditRecipe(model_name(loaded.ref), loaded.fingerprint, Blend(tuple(nodes), (1.0,) * len(nodes)))
    knobs = [
        live.Knob(f"weight{i}", name, 0, 1, 0.01, 1.0, [(("edit", "weights", str(i)), 1.0)], hint="Weight of this key.")
        for i, name in enumerate(names)
    ]
    yield {"picture": live.view(loaded, [recipe], knobs, "The mean of all keys, each with its weight.")}
    yield _map(loaded, nodes, names, wanted, shelved, codes(loaded.gan, recipe))
    words = "A filmstrip shows a way; this is a mixture. Move the weights, and click the picture to keep it."
    yield {"strip": sheet.empty(words)}


def _map(
    loaded: Loaded,
    nodes: Sequence[Node],
    names: Sequence[str],
    wanted: Settings,
    shelved: Sequence[Pick],
    middle: Tensor | None = None,
) -> dict:
    """The shelf and the keys on the map, with the way between the keys or their mixture."""
    own = [pick for pick in shelved if pick.recipe.fingerprint == loaded.fingerprint]
    with torch.inference_mode():
        places = [atlas.Place(f"{pick.name}, on the shelf", pick.label, pick.ws) for pick in own]
        places += [atlas.Place(name, node.label, node.code(loaded.gan).cpu()) for node, name in zip(nodes, names)]
        way = None
        if middle is None:
            at = [i / (WAY_POINTS - 1) for i in range(WAY_POINTS)]
            way = torch.cat([codes(loaded.gan, _recipe(loaded, nodes, place, wanted)) for place in at])
        else:
            places.append(atlas.Place("mixture", None, middle[0]))
    made = atlas.figure(loaded, places, way, wanted.deep == "3-D")
    return {"chart": made, "about": atlas.atlas_of(loaded).caption}
