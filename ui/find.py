"""Finding a direction: judging pictures by hand, by a scorer, or from a list; and suggestions without labels."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
import numpy as np
import plotly.graph_objects as go

from cocktail.errors import CocktailError
from cocktail.seeds import MAX_SEED
from editing import scorers
from editing.directions import Fit
from editing.labelling import Mark, fit_marks, named, origin, score
from editing.onnx_scorer import SCALINGS, OnnxScorer
from editing.recipes import PictureRecipe, model_name
from ui import base, charts
from ui.models import Loaded
from ui.pictures import cell
from ui.visitors import VISITORS

PAGE = 20  # pictures to judge at once
HAND, SCORER, LIST, ONNX = "hand", "scorer", "list", "onnx"
WAYS = {HAND: "judged by hand", SCORER: "by a score", ONNX: "by a classifier", LIST: "from a list"}
TEMPLATE = '<section class="judge" aria-label="Pictures to judge"></section>'
UNREADABLE = "The page sent marks that cannot be read. Load it again."
POSITIVE, NEGATIVE = "#1c887c", "#d2694a"


@dataclass(frozen=True)
class Labels:
    """The values of the controls that say where labels come from, in the order in which they are wired."""

    how: str
    classes: list[str] | None
    known: dict
    scorer: str | None
    onnx: str | None
    output: float | None
    scaling: str
    looked: float
    side: float
    csv: str | None


def stage(public: bool) -> dict:
    """The controls and pictures of the step; a `public` page runs nobody's classifier."""
    ways = [("By hand", HAND), ("By a score", SCORER), ("List of seeds", LIST)]
    with gr.Row(elem_classes="joined", equal_height=True):
        how = gr.Radio(ways if public else [*ways, ("ONNX classifier", ONNX)], value=HAND, label="Labels",
                       elem_id="find-how", info="Where + and − come from.")  # fmt: skip
        classes = gr.CheckboxGroup([], label="Found on", elem_id="find-classes",
                                   info="A direction found on some classes can move all.")  # fmt: skip
    with gr.Column(visible=True) as by_hand:
        judge = gr.HTML({"cells": [], "told": ""}, html_template=TEMPLATE, js_on_load=base.script("judge.js"),
                        elem_id="judge", apply_default_css=False)  # fmt: skip
        with gr.Row(elem_classes="joined"):
            more = gr.Button("More pictures", elem_id="judge-more", min_width=110, scale=0)
            reset = gr.Button("Forget all marks", elem_id="judge-reset", min_width=110, scale=0)
    with gr.Column(visible=False) as by_score:
        scorer = gr.Dropdown([], label="Score", elem_id="find-scorer",
                             info="Statistics of the picture, or what the oracle reads in a drawn class.")  # fmt: skip
    with gr.Column(visible=False) as by_onnx:
        onnx = gr.File(
            label="Classifier (.onnx)", file_types=[".onnx"], type="filepath", elem_id="find-onnx", height=90
        )
        with gr.Row(elem_classes="joined"):
            output = gr.Number(0, precision=0, minimum=0, label="Output", elem_id="find-output", info="Counted from 0.")
            scaling = gr.Dropdown(list(SCALINGS), value="0 to 1", label="Pixel values", elem_id="find-scaling")
    with gr.Column(visible=False) as counts:
        with gr.Row(elem_classes="joined"):
            looked = gr.Slider(50, 2000, 500, step=50, label="Pictures of each class", elem_id="find-count",
                               info="They are drawn and scored.")  # fmt: skip
            side = gr.Slider(5, 200, 50, step=5, label="Labelled of each side", elem_id="find-side",
                             info="The highest and the lowest; the middle is left out.")  # fmt: skip
    with gr.Column(visible=False) as by_list:
        csv = gr.File(label="List (.csv): seed, label, class", file_types=[".csv", ".txt"], type="filepath",
                      elem_id="find-csv", height=140)  # fmt: skip
    with gr.Row(elem_classes="joined finder"):
        name = gr.Textbox(label="Name", elem_id="find-name", max_lines=1, placeholder="turn the head", min_width=160)
        go_on = gr.Button("Find the direction", variant="primary", elem_id="find-go", min_width=150, scale=0)
    told = gr.HTML("", elem_id="find-told", elem_classes="help", js_on_load=None, apply_default_css=False)
    chart = gr.Plot(visible=False, show_label=False, elem_id="margins", container=False)
    groups = {"by_hand": by_hand, "by_score": by_score, "by_onnx": by_onnx, "counts": counts, "by_list": by_list}
    return groups | {
        "how": how, "classes": classes, "judge": judge, "more": more, "reset": reset, "scorer": scorer, "onnx": onnx,
        "output": output, "scaling": scaling, "looked": looked, "side": side, "csv": csv, "name": name, "go": go_on,
        "told": told, "chart": chart,
    }  # fmt: skip


def connect(page: base.Page, parts, own: dict, view: Callable) -> None:
    models, marks, start, entered, told_at = page.models, gr.State({}), gr.State(0), gr.State(""), gr.State(0.0)

    def switch(how):
        shown = {"by_hand": how == HAND, "by_score": how == SCORER, "by_onnx": how == ONNX,
                 "counts": how in (SCORER, ONNX), "by_list": how == LIST}  # fmt: skip
        return {own[name]: gr.Column(visible=on) for name, on in shown.items()}

    def enter(ref, before):
        """Another model: its classes, its scores, its pictures. For the same one the marks stay: a page that loads says
        twice which model it has, and the second time may come after the first marks."""
        loaded = models.get(ref)
        if loaded.fingerprint == before:
            return {entered: before}
        names = loaded.gan.classes
        found = scorers.available(names)
        first = next((name for name in found if name.endswith(": yaw")), found[0])
        return {
            own["classes"]: gr.CheckboxGroup(list(names), value=list(names[:1]), visible=len(names) > 1),
            own["scorer"]: gr.Dropdown(found, value=first),
            own["judge"]: page_of(loaded, names[:1], 0) | {"cleared": time.time()}, marks: {}, start: 0,
            entered: loaded.fingerprint,
        }  # fmt: skip

    def turn(ref, classes, known, first):
        loaded = models.get(ref)
        value = page_of(loaded, classes, first + PAGE) | {"told": tell(loaded, known)}
        return {own["judge"]: value, start: first + PAGE}

    def restart(ref, classes, known, first):
        loaded = models.get(ref)
        return {own["judge"]: page_of(loaded, classes, first) | {"told": tell(loaded, known)}}

    def forget(ref, judged):
        told = tell(models.get(ref), {})
        return {marks: {}, own["judge"]: judged | {"told": told, "at": None, "cleared": time.time()}}

    def mark(ref, known, before, judged, event: gr.EventData):
        """The page tells all its marks each time, and when; what comes late says nothing new."""
        loaded = models.get(ref)
        at, told = marked(loaded, event._data)
        known, at = (told, at) if at > before else (known, before)
        return {marks: known, told_at: at, own["judge"]: judged | {"told": tell(loaded, known), "at": at}}

    def find(visitor, ref, picks, name, *values):
        loaded, asked = models.get(ref), Labels(*values)
        if not (name or "").strip():
            raise CocktailError("The direction needs a name first, such as “turn the head”.")
        for found in labels_of(loaded, asked, models.public):
            if isinstance(found, tuple):
                yield {own["told"]: f"{found[0]} of {found[1]} pictures scored"}
        result = fit_marks(loaded.gan, found)
        made = named(
            loaded.gan, result.vector, name, origin(result, found, WAYS[asked.how]), model_name(ref), loaded.fingerprint
        )
        visitor, _ = VISITORS.change(visitor, lambda desk: desk.with_directions([made]))
        report = {page.visitor: visitor, own["told"]: made.origin + ". Open “Move” to use it.",
                  own["chart"]: gr.Plot(histogram(result), visible=True)}  # fmt: skip
        yield from base.at_first(report, view(models, parts, visitor, ref, picks, made.name))

    judged = [page.model, own["classes"], marks, start]
    shown = [parts.picture, parts.strip, parts.name, parts.fixed, parts.span]
    columns = [own[name] for name in ("by_hand", "by_score", "by_onnx", "counts", "by_list")]
    own["how"].change(switch, own["how"], columns, queue=False, **base.SILENT)
    changed = [own["classes"], own["scorer"], own["judge"], marks, start, entered]
    gr.on([page.blocks.load, page.model.change], base.polite(enter), [page.model, entered], changed, **base.QUIET)
    own["more"].click(base.polite(turn), judged, [own["judge"], start], **base.QUIET)
    own["classes"].input(base.polite(restart), judged, own["judge"], **base.QUIET)
    own["reset"].click(base.polite(forget), [page.model, own["judge"]], [marks, own["judge"]], **base.QUIET)
    own["judge"].like(base.polite(mark), [page.model, marks, told_at, own["judge"]], [marks, told_at, own["judge"]],
                      trigger_mode="multiple", **base.QUIET)  # fmt: skip
    values = [own["how"], own["classes"], marks]
    values += [own[name] for name in ("scorer", "onnx", "output", "scaling", "looked", "side", "csv")]
    inputs = [page.visitor, page.model, parts.slots, own["name"], *values]
    outputs = [page.visitor, own["told"], own["chart"], *shown]
    gr.on([own["go"].click, own["name"].submit], base.polite(find), inputs, outputs, **base.QUIET)


def page_of(loaded: Loaded, classes, start: int) -> dict:
    """Twenty samples of the chosen classes in turn, to be judged."""
    names = [name for name in classes or () if name in loaded.gan.classes] or list(loaded.gan.classes[:1]) or [None]
    cells = []
    for i in range(PAGE):
        label, seed = names[i % len(names)], start + i // len(names)
        recipe = PictureRecipe(model_name(loaded.ref), loaded.fingerprint, (label,) if label else (), (seed,))
        cells.append(cell(recipe, loaded.picture(recipe)) | {"seed": seed})
    return {"cells": cells, "told": "Mark 5 pictures or more with +, and 5 or more with −. Keys: + and −, arrows."}


def marked(loaded: Loaded, data: dict) -> tuple[float, dict]:
    """What the page tells: when, in ms, and all marks, "class/seed" -> (class, seed, positive).

    Raises: CocktailError where it is something else.
    """
    at, marks = data.get("at"), data.get("marks")
    if not isinstance(at, (int, float)) or not isinstance(marks, list):
        raise CocktailError(UNREADABLE)
    found = {}
    for mark in marks:
        if not isinstance(mark, dict):
            raise CocktailError(UNREADABLE)
        label, seed, sign = (mark.get(key) for key in ("label", "seed", "mark"))
        label = label or None
        known_class = label in (loaded.gan.classes or (None,))
        if not isinstance(seed, int) or not 0 <= seed <= MAX_SEED or sign not in (-1, 1) or not known_class:
            raise CocktailError(UNREADABLE)
        found[f"{label}/{seed}"] = (label, seed, sign > 0)
    return at, found


def marks_of(known: dict) -> list[Mark]:
    return [Mark(*values) for values in known.values()]


def tell(loaded: Loaded, known: dict) -> str:
    """How things stand: numbers of each side, and the accuracy if the direction were found now."""
    found = marks_of(known)
    positives = sum(mark.positive for mark in found)
    words = f"{positives} positive, {len(found) - positives} negative."
    if min(positives, len(found) - positives) < 5:
        return f"{words} Five of each are needed."
    result = fit_marks(loaded.gan, found)
    return f"{words} Accuracy if found now, on pictures left out: {result.accuracy:.0%} (chance is 50%)."


def labels_of(loaded: Loaded, asked: Labels, public: bool = False) -> Iterator[tuple[int, int] | list[Mark]]:
    """The marks that the controls describe, with progress before them.

    Raises: CocktailError where something is missing, or a public page is asked to run a classifier.
    """
    if asked.how == HAND:
        yield marks_of(asked.known)
        return
    if asked.how == LIST:
        if not asked.csv:
            raise CocktailError("No list is chosen. It is a text file with lines like 17,+ or 17,+,cat.")
        yield listed(loaded, Path(asked.csv))
        return
    names = [name for name in asked.classes or () if name in loaded.gan.classes]
    if loaded.gan.classes and not names:
        raise CocktailError("Choose at least one class to find the direction on.")
    judge = _judge(asked, public)
    drawn = getattr(judge, "label", None)
    if drawn is not None and names != [drawn]:
        raise CocktailError(f"The oracle's score “{asked.scorer}” fits {drawn} only. Choose {drawn} under “Found on”.")
    yield from score(loaded.gan, names or [None], int(asked.looked), judge, int(asked.side))


def _judge(asked: Labels, public: bool) -> scorers.Scorer:
    if asked.how != ONNX:
        return scorers.scorer(asked.scorer)
    if public:
        raise CocktailError("This page is public and runs no classifiers. Run the studio at home for that.")
    if not asked.onnx:
        raise CocktailError("No classifier is chosen. Give an .onnx file.")
    return OnnxScorer(asked.onnx, int(asked.output or 0), asked.scaling)


def listed(loaded: Loaded, path: Path) -> list[Mark]:
    rows = scorers.read_csv(path)
    first = loaded.gan.classes[0] if loaded.gan.classes else None
    for _, label, _ in rows:
        if label is not None:
            loaded.gan.class_index(label)
    return [Mark(label or first, seed, positive) for seed, label, positive in rows]


def histogram(result: Fit) -> go.Figure:
    """Signed distances of the labelled codes to a plane that was found without them."""
    found = go.Figure()
    margins, labels = result.margins.numpy(), result.labels.numpy()
    reach = float(np.abs(margins).max()) or 1.0
    for name, rows, colour in (("−", ~labels, NEGATIVE), ("+", labels, POSITIVE)):
        found.add_trace(go.Histogram(x=margins[rows], name=name, marker={"color": colour}, opacity=0.7,
                                     xbins={"start": -reach, "end": reach, "size": reach / 15}))  # fmt: skip
    found.update_layout(barmode="overlay", yaxis_title="pictures",
                        xaxis_title="distance to the plane, left out when it was found")  # fmt: skip
    return charts.plain(found, 240, left=40, bottom=40)
