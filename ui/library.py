"""Every model at a glance: pictures, classes, size, scores, where it came from; and the door for models from disk."""

import html
import json
from weakref import WeakKeyDictionary

import gradio as gr
from torch import Tensor

from cocktail.checkpoints import modelcard
from cocktail.errors import CocktailError
from cocktail.networks import architecture_of
from editing.latents import draw
from editing.recipes import PictureRecipe, model_name
from ui import base, colours
from ui.models import Loaded, Models, short_name
from ui.pictures import data_uri

PREVIEW = 8  # pictures on a card
CARDS: WeakKeyDictionary[Loaded, str] = WeakKeyDictionary()  # a card lives as long as its model is in memory
SCORES = (("frechet", "Fréchet"), ("floor", "floor"), ("class_accuracy", "accuracy"), ("precision", "precision"),
          ("recall", "recall"))  # fmt: skip
TEMPLATE = '<div class="library">${value}</div>'
# The cards are HTML made here; a click on a card's button asks for its model.
CLICKS = """element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-ref]");
  if (button) trigger("select", { ref: button.dataset.ref });
});"""
ADVICE = (
    "<div class='blank'><h2>No models yet</h2><p>Type the path of a model folder or a .safetensors file above and "
    "press Open, or run <code>make bundle</code> to train the bundled models.</p></div>"
)


@base.tab("Library", order=90)
def build(page: base.Page) -> None:
    if not page.models.public:
        with gr.Row(elem_classes="joined opener"):
            path = gr.Textbox(
                label="Open a model from disk", elem_id="library-path", max_lines=1, scale=4, min_width=220,
                placeholder="/home/me/my-union",
                info="A model folder (config.json, model.safetensors) or one .safetensors file.",
            )  # fmt: skip
            go = gr.Button("Open", elem_id="library-open", scale=0, min_width=90)
    cards = gr.HTML("", html_template=TEMPLATE, js_on_load=CLICKS, elem_id="library", apply_default_css=False)
    models = page.models

    def show(opened: list[str]) -> str:
        return gallery(models, [*opened, *models.refs()])

    def pick(opened: list[str], event: gr.EventData) -> tuple:
        return visit(models, str(event._data.get("ref")), opened)

    def open_path(text: str, opened: list[str]) -> tuple:
        if not (text or "").strip():
            raise CocktailError("The box is empty. Type the path of a model folder or a .safetensors file.")
        return visit(models, text.strip(), opened)

    outputs = [page.model, page.opened, page.tabs]
    cards.select(base.polite(pick), page.opened, outputs, **base.QUIET)
    if not models.public:
        spinning = base.QUIET | {"show_progress": "minimal", "show_progress_on": path}
        gr.on([path.submit, go.click], base.polite(open_path), [path, page.opened], outputs, **spinning)
    # Cards load every model, so they are made when somebody looks.
    page.tabs.select(base.polite(show), page.opened, cards, **base.NEWEST)


def visit(models: Models, ref: str, opened: list[str]) -> tuple[gr.Dropdown, list[str], gr.Tabs]:
    """Opens a model: the values of the page's list of models, of what this visitor opened, and of the tabs."""
    loaded = models.get(ref)
    opened = [ref, *(known for known in opened if known != ref)] if ref not in models.refs() else opened
    choices = base.choices(ref, [*models.refs(), *opened])
    gr.Info(f"{html.escape(loaded.title)} is open.", duration=3)
    return gr.Dropdown(choices=choices, value=ref), opened, gr.Tabs(selected=base.tab_id("Sample"))


def gallery(models: Models, refs: list[str]) -> str:
    """The cards of these models as HTML; one that cannot be read gets a card that says why."""
    cards = []
    for ref in dict.fromkeys(refs):
        try:
            loaded = models.get(ref)
            if loaded not in CARDS:
                CARDS[loaded] = card(loaded)
            cards.append(CARDS[loaded])
        except CocktailError as error:
            name, reason = html.escape(model_name(ref)), html.escape(str(error))
            cards.append(f'<article class="model broken"><h2>{name}</h2><p>{reason}</p></article>')
    return "".join(cards) or ADVICE


def card(loaded: Loaded) -> str:
    """One model: pictures first, then what it is, how good, whose child, and how it was made."""
    gan, about = loaded.gan, loaded.gan.card
    facts = [f"{gan.resolution} × {gan.resolution}", f"{_short(gan.num_parameters)} parameters",
             architecture_of(gan.generator).name, f"w+ {gan.num_ws} × {gan.w_dim}"]  # fmt: skip
    parents = ", ".join(short_name(ref) for ref in modelcard.parents(about))
    origin = [("Made from", parents), ("Licence", about.get("licence"))]
    more = [("Reference", loaded.ref), ("Fingerprint", loaded.fingerprint),
            ("Images seen", _count(about.get("images_seen"))), ("Trained on", about.get("hardware")),
            ("Discriminator", "included" if gan.discriminator else "not included"),
            ("Recipe", _recipe(about.get("recipe")))]  # fmt: skip
    title, ref = html.escape(loaded.title), html.escape(loaded.ref, quote=True)
    description = f"<p>{html.escape(str(about['description']))}</p>" if about.get("description") else ""
    return (
        f'<article class="model">{_preview(loaded)}<div class="body">'
        f'<header><h2>{title}</h2><button type="button" data-ref="{ref}">'
        f'Open<span class="sr"> {title}</span></button></header>'
        f"{base.chips(gan.classes) or _unconditional()}{description}"
        f'<p class="facts">{" · ".join(facts)}</p>{_scores(about.get("scores"))}{_list(origin)}'
        f"<details><summary>More about this model</summary>{_list(more)}</details></div></article>"
    )


def _preview(loaded: Loaded) -> str:
    names = loaded.gan.classes[:PREVIEW]
    seeds = tuple(range(max(1, PREVIEW // max(1, len(names)))))
    recipe = PictureRecipe(model_name(loaded.ref), loaded.fingerprint, names, seeds, psi=0.9)
    # Column by column: the classes of one latent stand beside each other.
    found = [_tile(picture, cell) for picture, cell in zip(draw(loaded.gan, recipe), recipe.cells())]
    tiles = [found[row * len(seeds) + column] for column in range(len(seeds)) for row in range(max(1, len(names)))]
    return f'<div class="preview">{"".join(tiles)}</div>'


def _tile(picture: Tensor, cell: PictureRecipe) -> str:
    about = html.escape(cell.describe(), quote=True)
    return f'<img src="{data_uri(picture, cell)}" alt="{about}" title="{about}">'


def _scores(scores: object) -> str:
    if not isinstance(scores, dict):
        return ""
    rows = {str(name): row for name, row in scores.items() if isinstance(row, dict)}
    columns = [entry for entry in SCORES if any(isinstance(row.get(entry[0]), int | float) for row in rows.values())]
    if not columns:
        return ""
    head = "".join(f'<th scope="col">{title}</th>' for _, title in columns)
    body = "".join(
        f'<tr><th scope="row" style="{colours.style(name)}">{html.escape(name)}</th>'
        + "".join(f"<td>{_number(row.get(key))}</td>" for key, _ in columns) + "</tr>"
        for name, row in rows.items()
    )  # fmt: skip
    words = "Fréchet distance: lower is better; the floor is what real against real scores."
    return (
        f'<div class="scores"><table><caption>{words}</caption>'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _list(pairs: list[tuple[str, object]]) -> str:
    rows = "".join(
        f"<div><dt>{name}</dt><dd>{value if name == 'Recipe' else html.escape(str(value))}</dd></div>"
        for name, value in pairs if value
    )  # fmt: skip
    return f"<dl>{rows}</dl>" if rows else ""


def _recipe(recipe: object) -> str:
    return f"<pre>{html.escape(json.dumps(recipe, indent=2, default=str))}</pre>" if recipe else ""


def _unconditional() -> str:
    return '<ul class="chips" aria-label="Classes"><li class="chip plain">no classes</li></ul>'


def _short(count: int) -> str:
    return f"{count / 1e6:.2f} M" if count >= 1e5 else f"{count:,}"


def _count(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value or "")


def _number(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, int | float) else "–"
