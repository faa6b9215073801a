"""The tab that merges: pick, root, budget, start; and below, the run, read from its folder by a timer."""

from pathlib import Path

import gradio as gr

from cocktail import hardware, runs
from cocktail.errors import CocktailError
from cocktail.metrics.recommend import recommend
from cocktail.sources import GanSource
from cocktail.teachers import pictures_at
from ui import access, base, launching, merge_form, merge_preview, options, run_actions, space
from ui.merge_form import PRESETS, Form, devices, recipe_of
from ui.models import Models

LONG = "measuring"  # the concurrency_id of probes: they take seconds, and one at a time measures right
EXAMPLE = ("bundled/cat", "bundled/dog")
ROOT_SAMPLES = 300
WRITTEN = 7  # texts before the last one that are still known as the form's


@base.tab("Merge", order=60)
def build(page: base.Page) -> None:
    with gr.Row(elem_classes="bench"):
        with gr.Column(elem_classes="stage", min_width=280):
            parts = run_actions.stage(page)
        with gr.Column(elem_classes="controls", min_width=300):
            parts |= _controls(page)
    _connect_form(page, parts)
    run_actions.connect(page, parts)


def _controls(page: base.Page) -> dict:
    """The four steps: pick, root, budget, start."""
    refusal = _words("merge-refused")
    access.door()
    refs = page.models.refs()
    chosen = [ref for ref in EXAMPLE if ref in refs] or refs[:2]
    parts = {
        "refusal": refusal,
        "sources": gr.Dropdown(refs, value=chosen, multiselect=True, label="1  Models to merge",
                               elem_id="merge-sources", allow_custom_value=not page.models.public,
                               info="Two or more; type a path for one from disk, also a folder of pictures."),
        "names": gr.Textbox(_default_names(chosen), label="Names of their classes", elem_id="merge-names",
                            max_lines=2, info="In this order, with commas between them; a dash leaves a class out."),
    }  # fmt: skip
    page.shared["merge-sources"] = parts["sources"]
    with gr.Row(elem_classes="joined", equal_height=True):
        # Gradio refuses a value that the list, which follows the models, lacks for an instant; `recipe_of` checks it.
        parts["root"] = gr.Dropdown(chosen, value=chosen[0] if chosen else None, label="2  Root", elem_id="merge-root",
                                    info="Its weights are where all others begin.", min_width=150,
                                    allow_custom_value=True)  # fmt: skip
        parts["recommend"] = gr.Button("Recommend", elem_id="merge-recommend", min_width=110, scale=0)
    parts["roots"] = _words("merge-roots")
    parts["preset"] = gr.Radio(PRESETS, value="try", label="3  Budget", elem_id="merge-preset",
                               info="Try it: about 3 minutes. Good: an hour. Paper: days on a GPU.")  # fmt: skip
    parts["options"] = options.component("merge-options")
    with gr.Accordion("More", open=False, elem_classes="more"):
        parts["method"] = gr.Dropdown(merge_form.methods(), value="cocktail", label="Method", elem_id="merge-method",
                                      info="GAN Cocktail, or a baseline to compare it with.")  # fmt: skip
        with gr.Row(elem_classes="joined"):
            parts["seed"] = gr.Number(0, label="Seed", precision=0, minimum=0, elem_id="merge-seed", min_width=80)
            parts["threads"] = gr.Number(max(1, hardware.available_threads() - 1), label="Threads", precision=0,
                                         minimum=0, elem_id="merge-threads", min_width=80)  # fmt: skip
        parts["device"] = gr.Dropdown(devices(), value=devices()[0], label="Device", elem_id="merge-device")
        parts["amp"] = gr.Checkbox(False, label="Mixed precision", elem_id="merge-amp",
                                   info="On CUDA: faster, less memory; a little less exact.")  # fmt: skip
    parts["name"] = gr.Textbox("", label="4  Name of the run", elem_id="merge-name", max_lines=1)
    with gr.Row(elem_classes="joined"):
        parts["check"] = gr.Button("Check", elem_id="merge-check", min_width=90)
        parts["start"] = gr.Button("Start", variant="primary", elem_id="merge-start", min_width=110)
    parts["told"] = _words("merge-told")
    with gr.Accordion("Recipe", open=False, elem_classes="more"):
        parts["recipe"] = gr.Code("", language="yaml", label="recipe.yaml", elem_id="merge-recipe", max_lines=24,
                                  interactive=True)  # fmt: skip
        gr.HTML("<p class='help'>The form writes it, and what stands here is what runs: "
                "<code>python -m cocktail merge recipe.yaml --out runs/NAME</code>.</p>", js_on_load=None,
                apply_default_css=False)  # fmt: skip
        with gr.Row(elem_classes="joined"):
            parts["save"] = gr.Button("Save", elem_id="merge-save", min_width=90)
            parts["load"] = gr.UploadButton("Load", file_types=[".yaml", ".yml"], elem_id="merge-load", min_width=90)
    parts["cluster"] = _words("merge-cluster")
    parts["probed"] = gr.State({})
    parts["written"] = gr.State({})  # the recipe's text as the form wrote it lately, and the name that it proposed
    parts["named"] = gr.State(chosen)  # the models that the names are for
    return parts


def _words(elem_id: str) -> gr.HTML:
    return gr.HTML("", elem_id=elem_id, elem_classes="told", js_on_load=None, apply_default_css=False)


def _default_names(refs: list[str]) -> str:
    try:
        return merge_form.default_names(refs)
    except CocktailError:
        return ""


def _connect_form(page: base.Page, parts: dict) -> None:
    wired = [parts[name] for name in ("sources", "names", "root", "method", "preset", "options", "seed", "device",
                                      "amp", "threads")]  # fmt: skip
    quiet = base.SILENT | {"trigger_mode": "always_last", "concurrency_id": launching.FORM}
    text, told, name = parts["recipe"], parts["told"], parts["name"]

    def compose(request: gr.Request, old, now, last, *values):
        form = Form(*values)
        try:
            access.check_refs(page.models, form.refs, request)
            recipe = recipe_of(form)
        except CocktailError as error:
            return {told: launching.plain(str(error))}
        written = launching.rewritten(old, recipe)
        free = merge_form.free_name(runs.home(), form.names)
        # A name that somebody typed stays, also one that is being typed while this is on its way.
        called = free if now in ("", last.get("name")) else now
        return {text: written, told: "", name: gr.skip() if called == now else called,
                parts["cluster"]: run_actions.cluster(called),
                parts["written"]: {"texts": [*last.get("texts", ())[-WRITTEN:], written], "name": free}}  # fmt: skip

    def picked(refs, root, named, request: gr.Request):
        access.check_refs(page.models, refs, request)
        if refs == named:  # told twice, or of a recipe that was loaded: names and root are theirs already
            return gr.skip(), gr.skip(), gr.skip()
        chosen = gr.Dropdown(refs, value=root if root in refs else next(iter(refs), None))
        return _default_names(refs), chosen, refs

    def budget(method, preset):
        return options.value(merge_form.preset(method, preset))

    def shown(refs, root):
        return merge_preview.preview(page.models, refs, root)

    def greeted(request: gr.Request):
        reason = access.refusal(page.models, access.signed_in(request))
        buttons = {parts[key]: gr.Button(interactive=not reason) for key in ("check", "start", "recommend")}
        why = f"{launching.plain(reason)}<p>{space.duplicate()}</p>" if reason else ""
        return {parts["refusal"]: why, **buttons}

    composed = [text, told, name, parts["cluster"], parts["written"]]
    parts["form"], parts["loaded"] = wired, [text, parts["written"], parts["named"], *wired]
    given = [text, name, parts["written"], *wired]
    page.tab.select(base.polite(greeted), None, [parts[key] for key in ("refusal", "check", "start", "recommend")],
                    **base.SILENT)  # fmt: skip
    looked = [parts["sources"], parts["root"]]
    gr.on([page.tab.select, parts["sources"].change, parts["root"].change], base.polite(shown), looked,
          parts["preview"], **base.NEWEST)  # fmt: skip
    chosen = [parts["sources"], parts["root"], parts["named"]]
    proposed = [parts["names"], parts["root"], parts["named"]]
    again = {"fn": base.polite(compose), "inputs": given, "outputs": composed} | quiet
    parts["sources"].change(base.polite(picked), chosen, proposed, **quiet).then(**again)
    gr.on([parts["preset"].input, parts["method"].input], base.polite(budget), [parts["method"], parts["preset"]],
          parts["options"], **quiet).then(**again)  # fmt: skip
    # Gradio tells of no input that comes with an answer of the server's; of a change it always does.
    changed = [parts[key].input for key in ("root", "options", "seed", "device", "amp", "threads")]
    gr.on([parts["names"].change, *changed], **again)
    page.blocks.load(base.polite(budget), [parts["method"], parts["preset"]], parts["options"], **quiet).then(**again)
    _connect_checks(page, parts, again)
    _connect_files(page, parts)


def _connect_checks(page: base.Page, parts: dict, compose: dict) -> None:
    models, long = page.models, base.SILENT | {"concurrency_id": LONG}

    def recommended(refs, request: gr.Request):
        access.check(models, request)
        candidates = {ref: _source(models, ref) for ref in refs if pictures_at(ref) is None}
        found = recommend(candidates, ROOT_SAMPLES)
        return found.best, merge_form.recommendation(found)

    def checked(request: gr.Request, text, written, *form):
        access.check(models, request)
        yield from launching.check_steps(launching.newest(text, written, Form(*form)))

    parts["recommend"].click(lambda: launching.plain("Measuring …"), None, parts["roots"], **base.SILENT).then(
        base.polite(recommended), parts["sources"], [parts["root"], parts["roots"]], **long
    ).then(**compose)
    asked = [parts["recipe"], parts["written"], *parts["form"]]
    parts["check"].click(base.polite(checked), asked, [parts["told"], parts["probed"]], **long)


def _connect_files(page: base.Page, parts: dict) -> None:
    def recipe_loaded(path, request: gr.Request):
        access.check(page.models, request)
        return launching.filled(Path(path).read_text(encoding="utf-8", errors="replace"))

    def save(text, written, *form):
        text = launching.newest(text, written, Form(*form))
        merge_form.read_text(text)
        return base.delivery("recipe.yaml", text.encode(), "application/yaml")

    parts["load"].upload(
        base.polite(recipe_loaded), parts["load"], parts["loaded"], **base.SILENT, concurrency_id=launching.FORM
    )
    shown = [parts["recipe"], parts["written"], *parts["form"]]
    parts["save"].click(base.polite(save), shown, parts["deliver"], **base.SILENT)


def _source(models: Models, ref: str) -> GanSource:
    gan = models.get(ref).gan
    return GanSource(gan, names=gan.classes or (ref,))
