"""A model at a glance: pictures, classes, size, scores, where it came from, and what can be done with it."""

import html
import json

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
CARDS: dict[tuple, str] = {}  # by `Models.stamp`: a model is loaded for its card once
SCORES = (("frechet", "Fréchet"), ("floor", "floor"), ("class_accuracy", "accuracy"), ("precision", "precision"),
          ("recall", "recall"))  # fmt: skip
TEMPLATE = '<div class="library">${value}</div>'
ADVICE = (
    "<div class='blank'><h2>No models yet</h2><p>Drop a checkpoint above, type the path of one, or run "
    "<code>make bundle</code> to train the bundled models.</p></div>"
)


def component(elem_id: str, visible: bool = True) -> gr.HTML:
    """A place for cards, HTML made here; its event `select` says which model, and what to do with it."""
    return gr.HTML("", html_template=TEMPLATE, js_on_load=base.script("cards.js"), elem_id=elem_id, visible=visible,
                   apply_default_css=False)  # fmt: skip


def gallery(models: Models, refs: list[str]) -> str:
    """The cards of these models as HTML; one that cannot be read gets a card that says why."""
    cards = []
    for ref in dict.fromkeys(refs):
        try:
            key = (ref, models.stamp(ref))
            if key not in CARDS:
                CARDS[key] = card(models.get(ref))
            cards.append(CARDS[key])
        except CocktailError as error:
            name, reason = html.escape(model_name(ref)), html.escape(str(error))
            cards.append(f'<article class="model broken"><h2>{name}</h2><p>{reason}</p></article>')
    return "".join(cards) or ADVICE


def card(loaded: Loaded, report: str = "") -> str:
    """One model: pictures first, then what it is, how good, whose child, how it was made; `report` is more HTML."""
    gan, about = loaded.gan, loaded.gan.card
    facts = [f"{gan.resolution} × {gan.resolution}", f"{_short(gan.num_parameters)} parameters",
             architecture_of(gan.generator).name, f"w+ {gan.num_ws} × {gan.w_dim}"]  # fmt: skip
    parents = ", ".join(short_name(ref) for ref in modelcard.parents(about))
    origin = [("Made from", parents), ("Licence", modelcard.licence(about) or "unknown")]
    more = [("Reference", loaded.ref), ("Fingerprint", loaded.fingerprint),
            ("Images seen", _count(about.get("images_seen"))), ("Trained on", about.get("hardware")),
            ("Discriminator", "included" if gan.discriminator else "not included"),
            ("Recipe", _recipe(about.get("recipe")))]  # fmt: skip
    title, ref = html.escape(loaded.title), html.escape(loaded.ref, quote=True)
    description = f"<p>{html.escape(str(about['description']))}</p>" if about.get("description") else ""
    return (
        f'<article class="model">{_preview(loaded)}<div class="body">'
        f"<header><h2>{title}</h2>{button(ref, 'open', 'Open', title)}</header>"
        f"{base.chips(gan.classes) or _unconditional()}{description}"
        f'<p class="facts">{" · ".join(facts)}</p>{_scores(about.get("scores"))}{_list(origin)}{report}'
        f'<p class="acts">{button(ref, "merge", "Use in a merge", title)}{button(ref, "share", "Share", title)}</p>'
        f"<details><summary>More about this model</summary>{_list(more)}</details></div></article>"
    )


def button(ref: str, act: str, words: str, title: str) -> str:
    """A button of a card; its model's name is read out with it."""
    return f'<button type="button" data-ref="{ref}" data-do="{act}">{words}<span class="sr"> {title}</span></button>'


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
