"""The tab that compares: models and runs side by side, in pictures, scores, curves and weights."""

from dataclasses import replace

import gradio as gr

from ui import base, compare_actions, compare_picks, compare_pictures, compare_references
from ui.compare_actions import Shown
from ui.compare_pictures import ALL, MOST_SEEDS
from ui.models import Models
from ui.pictures import connect

COUNTED = [("Merging alone", "merge"), ("All stages", "all")]
SAMPLES = [200, 500, 1000, 2000, 5000]


@base.tab("Compare", order=70)
def build(page: base.Page) -> None:
    # What is compared stays apart in memory: six models would push out the one that the page works with. `check` sees
    # to it that only what a visitor may name gets in here.
    models = Models(page.models.given, False, page.models.device)
    # Where there is little room the controls come between the pictures and what is below them.
    with gr.Row(elem_classes="bench compare-bench"):
        with gr.Column(elem_classes="stage", min_width=280):
            parts = {"pictures": compare_pictures.component()}
        with gr.Column(elem_classes="controls", min_width=280):
            parts |= _controls(page.models)
        with gr.Column(elem_classes="below", min_width=280):
            parts |= _below()
    parts |= {"shown": gr.State(Shown()), "scored": gr.State(None), "moves": gr.State([]), "refs": gr.State([]),
              "kept": gr.BrowserState([], storage_key="cocktail-compare")}  # fmt: skip
    compare_actions.connect(page, models, parts)
    # Pictures on the shelf come from the models that this visitor compares, which the server alone knows.
    connect(replace(page, models=models, opened=parts["refs"], model=gr.State(None)), parts["pictures"])


def _controls(models: Models) -> dict:
    chosen = compare_picks.example(models)
    parts = {
        "picks": gr.Dropdown(compare_picks.choices(models, [], None), value=chosen, multiselect=True,
                             label="Models and runs", elem_id="compare-picks", max_choices=compare_picks.MOST,
                             allow_custom_value=not models.public,
                             info="Two to six, in this order; type a path for one from disk."),
        "label": gr.Dropdown([("All classes", ALL)], value=ALL, label="Class", elem_id="compare-class",
                             info="One class, or every class that any of them has."),
    }  # fmt: skip
    with gr.Row(elem_classes="joined"):
        parts["seeds"] = gr.Textbox("0-7", label="Seeds", elem_id="compare-seeds", max_lines=1, scale=3, min_width=150,
                                    info="0-7, or 3, 7, 20-24")  # fmt: skip
        parts["dice"] = gr.Button("Random", elem_id="compare-random", scale=0, min_width=90)
    parts["count"] = gr.Slider(1, MOST_SEEDS, 8, step=1, label="Pictures", elem_id="compare-count",
                               info="Of every class and model.")  # fmt: skip
    parts["psi"] = gr.Slider(0, 1.5, 1.0, step=0.05, label="Truncation ψ", elem_id="compare-psi",
                             info="1: as trained, and what scores measure.")  # fmt: skip
    with gr.Row(elem_classes="joined"):
        parts["png"] = gr.Button("Figure (PNG)", elem_id="compare-png", min_width=110)
        parts["csv"] = gr.Button("Tables (CSV)", elem_id="compare-csv", min_width=110)
    gr.HTML("<p class='help'>The figure carries class, seeds and ψ of every picture; the tables are scores with "
            "intervals, curves and distances, one CSV file each, in a zip.</p>", js_on_load=None,
            apply_default_css=False)  # fmt: skip
    return parts


def _below() -> dict:
    """Scores, curves, weights, each with its controls."""
    parts = {}
    _heading("Scores")
    with gr.Row(elem_classes="joined compare-tools", equal_height=True):
        parts["against"] = gr.Dropdown([], label="Against", elem_id="compare-against", min_width=150,
                                       info="What counts as real.",
                                       allow_custom_value=True)  # fmt: skip
        parts["features"] = gr.Dropdown(compare_references.FEATURES, value=compare_references.AUTO, label="Features",
                                        elem_id="compare-features", min_width=130,
                                        info="In which pictures are compared.")  # fmt: skip
        parts["samples"] = gr.Dropdown(SAMPLES, value=500, label="Samples", elem_id="compare-samples", min_width=90,
                                       info="Of each class.")  # fmt: skip
        parts["measure"] = gr.Button("Measure", variant="primary", elem_id="compare-measure", scale=0, min_width=100)
        parts["cancel"] = gr.Button("Cancel", elem_id="compare-cancel", scale=0, min_width=90)
    parts["told"] = _words("compare-told")
    parts["table"] = gr.HTML("", elem_id="compare-scores", js_on_load=None, apply_default_css=False)
    _heading("Convergence")
    parts["counted"] = gr.Radio(COUNTED, value="merge", label="Images counted", elem_id="compare-counted",
                                visible=False, info="From the start of merging, or rooting too.")  # fmt: skip
    parts["curve_words"] = _words("compare-curve-words")
    parts["curves"] = gr.Plot(visible=False, show_label=False, elem_id="compare-curves", container=False)
    parts["curve_table"] = gr.HTML("", elem_id="compare-curve-table", js_on_load=None, apply_default_css=False)
    with gr.Row(elem_classes="joined compare-tools"):
        parts["move"] = gr.Button("How far the pictures moved", elem_id="compare-move", visible=False, scale=0,
                                  min_width=230)  # fmt: skip
    parts["moved_words"] = _words("compare-moved-words")
    parts["moved"] = gr.Plot(visible=False, show_label=False, elem_id="compare-moved", container=False)
    _heading("Weights")
    parts["base"] = gr.Dropdown([], label="From", elem_id="compare-base", allow_custom_value=True,
                                info="Every other model’s distance from this one.")  # fmt: skip
    parts["weight_words"] = _words("compare-weight-words")
    parts["weights"] = gr.Plot(visible=False, show_label=False, elem_id="compare-weights", container=False)
    return parts


def _heading(text: str) -> None:
    gr.HTML(f"<h2>{text}</h2>", elem_classes="compare-heading", js_on_load=None, apply_default_css=False)


def _words(elem_id: str) -> gr.HTML:
    return gr.HTML("", elem_id=elem_id, elem_classes="help", js_on_load=None, apply_default_css=False)
