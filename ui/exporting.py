"""What leaves the studio: a model as a folder, as ONNX files, as a page that draws in the browser, or to the Hub."""

import html
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import gradio as gr

from cocktail import checkpoints, words
from cocktail.checkpoints import modelcard
from cocktail.errors import CocktailError
from cocktail.export import to_onnx, to_page
from cocktail.gan import Gan
from ui import access, base, pushing

KINDS = [("Model folder", "native"), ("ONNX files", "onnx"), ("Web page", "web")]
ABOUT = {
    "native": "config.json, model.safetensors and the card: opens here, in Python and on the Hub.",
    "onnx": "Mapping and synthesis for onnxruntime, on phones, in games, without PyTorch; checked against it.",
    "web": "Samples, interpolates and mixes in any browser, without a server, also offline; a static Space as it is.",
}


def panel(page: base.Page) -> dict:
    """The controls, out of sight until a model is chosen for them."""
    ref = gr.State("")
    with gr.Column(visible=False, elem_id="library-share") as group:
        about = gr.HTML("", elem_id="share-about", js_on_load=None, apply_default_css=False)
        kind = gr.Radio(KINDS, value="web", label="Take it away as", elem_id="share-kind", info=ABOUT["web"])
        with gr.Row(elem_classes="joined"):
            half = gr.Checkbox(False, label="Half precision", elem_id="share-half",
                               info="ONNX and web page: half the size, a little less exact.")  # fmt: skip
            make = gr.Button("Make", variant="primary", elem_id="share-make", min_width=110)
        file = gr.File(label="Made", elem_id="share-file", visible=False, interactive=False)
        told = gr.HTML("", elem_id="share-told", elem_classes="told", js_on_load=None, apply_default_css=False)
        pushing.build(page, ref)
    return {"group": group, "about": about, "kind": kind, "half": half, "make": make, "file": file, "told": told,
            "ref": ref}  # fmt: skip


def shown(panel: dict, ref: str, title: str) -> dict:
    """The values that show the panel for a model."""
    heading = f"<h2>Share {html.escape(title)}</h2>"
    return {panel["group"]: gr.Column(visible=True), panel["about"]: heading, panel["ref"]: ref,
            panel["file"]: gr.File(None, visible=False), panel["told"]: ""}  # fmt: skip


def connect(page: base.Page, panel: dict) -> None:
    """Makes what is asked for, as one zip to save."""
    file, told = panel["file"], panel["told"]

    def made(request: gr.Request, ref: str, kind: str, half: bool) -> Iterator[dict]:
        access.check(page.models, request)
        loaded = page.models.get(ref)
        yield {told: f"<p>Making {html.escape(loaded.title)} …</p>"}
        with tempfile.TemporaryDirectory() as folder:
            path, said = pack(loaded.gan, kind, half, Path(folder), base.file_stem(ref))
            # Gradio copies the file when it is told of it, so the folder can go afterwards.
            yield {file: gr.File(str(path), visible=True), told: f"<p>{html.escape(said)}</p>"}

    panel["kind"].change(lambda kind: gr.Radio(info=ABOUT[kind]), panel["kind"], panel["kind"], **base.SILENT)
    inputs = [panel["ref"], panel["kind"], panel["half"]]
    panel["make"].click(base.polite(made), inputs, [file, told], **base.QUIET).failure(
        lambda: "", None, told, **base.SILENT
    )


def pack(gan: Gan, kind: str, half: bool, folder: Path, name: str) -> tuple[Path, str]:
    """A zip of a model as "native", "onnx" or "web", made in a folder; and what it is, for people.

    Raises: CocktailError as the exports do, or where the kind is unknown.
    """
    shared = replace(gan, card=modelcard.without_paths(gan.card))
    ways: dict[str, Callable[[Path], str]] = {
        "native": lambda target: (
            f"cocktail.load({checkpoints.save(shared, target).name!r}) opens it once it is unpacked."
        ),
        "onnx": lambda target: _exactly(max(to_onnx(gan, target, fp16=half).differences.values())),
        "web": lambda target: "Open index.html. " + _exactly(to_page(gan, target, fp16=half)["difference"]),
    }
    if kind not in ways:
        raise CocktailError(f"{kind!r} is no kind of export; known: {', '.join(ways)}.")
    target = folder / (name if kind == "native" else f"{name}-{kind}")
    said = ways[kind](target)
    path = Path(shutil.make_archive(str(target), "zip", folder, target.name))
    return path, f"{path.name}, {words.size(path.stat().st_size)}. {said}"


def _exactly(difference: float) -> str:
    return f"Largest difference from PyTorch's pictures, which go from -1 to 1: {difference:.1g}."
