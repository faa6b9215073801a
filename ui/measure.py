"""How far directions are entangled: their cosines, and by the oracle what each one changes in every class."""

import gradio as gr
import plotly.graph_objects as go
import torch

from cocktail import domains
from cocktail.errors import CocktailError
from cocktail.metrics.features import OracleFeatures
from editing.directions import Direction, cosines, effects, keeps_class, move
from editing.latents import codes
from ui import atlas, base, charts, slots
from ui.direction_list import REACH, at_hand, chosen
from ui.models import Loaded

SEEDS = 40  # pictures of each class at either end
HELP = (
    "<p class='help'>Cosines between the directions: 0 is independent, 1 the same. Effects: by how much one sigma "
    "of the chosen direction moves each factor that the oracle reads, in that factor's standard deviations.</p>"
)


def stage() -> dict:
    gr.HTML(HELP, js_on_load=None, apply_default_css=False)
    go_on = gr.Button("Measure", variant="primary", elem_id="measure-go", scale=0, min_width=120)
    told = gr.HTML("", elem_id="measure-told", elem_classes="help", js_on_load=None, apply_default_css=False)
    angles = gr.Plot(visible=False, show_label=False, elem_id="cosines", container=False)
    changes = gr.Plot(visible=False, show_label=False, elem_id="effects", container=False)
    chart = gr.Plot(visible=False, show_label=False, elem_id="direction-map", container=False)
    return {"go": go_on, "told": told, "angles": angles, "changes": changes, "chart": chart}


def connect(page: base.Page, parts, own: dict) -> None:
    def measure(visitor, ref, picks, name):
        loaded = page.models.get(ref)
        known = at_hand(loaded, visitor)
        direction = chosen(loaded, visitor, name)
        vectors = [each.vector for each in known.values()]
        yield {own["angles"]: gr.Plot(cosine_map(list(known), cosines(vectors).tolist()), visible=True),
               own["chart"]: gr.Plot(on_map(loaded, direction, picks), visible=True),
               own["told"]: "Drawing and reading pictures."}  # fmt: skip
        try:
            table, kept = entanglement(loaded, direction)
        except CocktailError as error:
            yield {own["told"]: str(error), own["changes"]: gr.Plot(visible=False)}
            return
        shares = ", ".join(f"{label} {share:.0%}" for label, share in kept.items())
        yield {own["changes"]: gr.Plot(effect_map(direction.name, table), visible=True),
               own["told"]: f"At ±2σ of “{direction.name}” these keep their class: {shares}."}  # fmt: skip

    inputs = [page.visitor, page.model, parts.slots, parts.name]
    shown = [own[name] for name in ("angles", "changes", "chart", "told")]
    own["go"].click(base.polite(measure), inputs, shown, **base.QUIET)


def on_map(loaded: Loaded, direction: Direction, picks: dict) -> go.Figure:
    """The map of w with the first picture's way along a direction, from -3 to +3 sigma."""
    strip = picks["strips"][0]["items"]
    recipes = slots.recipes(picks["strips"][0], loaded, 1, "The map") if strip else slots.samples(
        loaded, loaded.gan.classes[:1] or (None,), (0,))  # fmt: skip
    with torch.inference_mode():
        places = [atlas.Place(recipe.describe(), recipe.label, codes(loaded.gan, recipe)[0]) for recipe in recipes]
        amounts = torch.linspace(-REACH, REACH, 13) * direction.sigma
        way = torch.stack([move(places[0].ws.cpu(), direction.vector, float(amount)) for amount in amounts])
    return atlas.figure(loaded, places, way)


def entanglement(loaded: Loaded, direction: Direction) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """Class -> factor -> change per sigma in standard deviations of the factor; class -> share that keeps its class.

    Raises: CocktailError where the oracle knows none of the model's classes.
    """
    drawn = [label for label in loaded.gan.classes if label in domains.names()]
    if not drawn:
        raise CocktailError("The oracle reads drawn faces, cats, dogs and cars only; this model has none of these.")
    reader, seeds = OracleFeatures(), range(SEEDS)
    found = effects(loaded.gan, direction.vector, direction.sigma, drawn, seeds, reader, direction.layers)
    kept = keeps_class(loaded.gan, direction.vector, direction.sigma, drawn, seeds, reader, direction.layers)
    table = {label: {f: v / domains.get(label).deviation(f) for f, v in row.items()} for label, row in found.items()}
    return table, kept


def cosine_map(names: list[str], values: list[list[float]]) -> go.Figure:
    return _heat(names, names, values, 1.0, "cosine")


def effect_map(name: str, table: dict[str, dict[str, float]]) -> go.Figure:
    factors = list(dict.fromkeys(factor for row in table.values() for factor in row))
    values = [[row.get(factor) for factor in factors] for row in table.values()]
    reach = max(0.2, max(abs(v) for row in values for v in row if v is not None))
    return _heat(factors, list(table), values, reach, f"sd per σ of {name}")


def _heat(columns: list[str], rows: list[str], values: list[list], reach: float, what: str) -> go.Figure:
    text = [["" if v is None else f"{v:+.2f}" for v in row] for row in values]
    found = go.Figure(go.Heatmap(
        x=columns, y=rows, z=values, text=text, texttemplate="%{text}", zmin=-reach, zmax=reach, colorscale="RdBu_r",
        colorbar={"title": {"text": what, "side": "right"}, "thickness": 12},
        hovertemplate="%{y}, %{x}: %{z:+.3f}<extra></extra>",
    ))  # fmt: skip
    charts.plain(found, 90 + 34 * max(3, len(rows)))
    return found.update_yaxes(autorange="reversed", automargin=True).update_xaxes(automargin=True)
