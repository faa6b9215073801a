"""README.md of a saved model, with the front matter that the Hugging Face Hub reads."""

import re
from collections.abc import Sequence
from pathlib import Path

import yaml

from cocktail.checkpoints import licences
from cocktail.gan import Gan
from cocktail.networks import architecture_of

SCORES = {"frechet": "Frechet distance", "floor": "its floor (real against real)", "class_accuracy": "class accuracy",
          "precision": "precision", "recall": "recall"}  # fmt: skip
NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")  # a model of the Hub: owner/name
OWN = ("bundled/", "zoo/")  # references that look like one and are none
HERE = "path/to/this/folder"


def render(gan: Gan, ref: str = HERE, pictures: Sequence[tuple[str, str]] = ()) -> str:
    """The card as Markdown: what the model is, where it came from, its scores, and how to use it.

    ref: what a reader loads it by; pictures: (caption, file beside the card) to show.
    """
    card = gan.card
    title = str(card.get("title") or "A GAN")
    parts = [f"---\n{yaml.safe_dump(_front_matter(gan), sort_keys=False)}---\n", f"# {title}\n"]
    if card.get("description"):
        parts.append(f"{card['description']}\n")
    parts.append("\n".join(["| | |", "|---|---|", *(f"| {k} | {_cell(v)} |" for k, v in facts(gan).items() if v), ""]))
    if pictures:
        parts.append("\n".join(["## Pictures", "", *(f"![{_cell(text)}]({file})" for text, file in pictures), ""]))
    if isinstance(card.get("scores"), dict) and card["scores"]:
        parts.append(_scores(card["scores"]))
    warnings = inherited(card).warnings
    if warnings:
        lines = "\n".join(f"- {text}" for text in warnings)
        parts.append(f"## Licences of the sources\n\n{lines}\n")
    label = f', label="{gan.classes[0]}"' if gan.classes else ""
    shape = f"[3, 3, {gan.resolution}, {gan.resolution}]"
    parts.append(
        "## Use\n\n```python\nimport cocktail\n\n"
        f'gan = cocktail.load("{ref}")\n'
        f"img = gan.sample(seeds=[0, 1, 2]{label})  # float32 {shape} in [-1, 1]\n```\n"
    )
    return "\n".join(parts)


def _front_matter(gan: Gan) -> dict:
    front: dict = {"library_name": "gan-cocktail", "pipeline_tag": "unconditional-image-generation"}
    merged, bases = bool(parents(gan.card)), base_models(gan.card)
    front["tags"] = (["merge"] if merged else []) + ["gan", architecture_of(gan.generator).name]
    if bases:
        front["base_model"] = bases
        front |= {"base_model_relation": "merge"} if merged else {}
    return front | licences.front_matter(licence(gan.card))


def licence(card: dict) -> str:
    """The licence that a model's card states, else the one that its sources leave; "" where it is unknown."""
    return str(card.get("licence") or "").strip() or inherited(card).licence


def inherited(card: dict) -> licences.Proposal:
    """What the licences of a merged model's sources mean for it; nothing for a model that has no sources."""
    given = card.get("parents")
    named = zip(parents(card), given if isinstance(given, list) else [])
    return licences.strictest({ref: p.get("licence") if isinstance(p, dict) else None for ref, p in named})


def base_models(card: dict) -> list[str]:
    """The models of the Hub that this one was made from, as owner/name, without revisions."""
    given = card.get("parents")
    found = [hub_name(p) for p in given] if isinstance(given, list) else []
    found = found or [hub_name(card)]
    return list(dict.fromkeys(name for name in found if name))


def hub_name(part: object) -> str:
    """owner/name of what a card or one of its parents was loaded from; "" where that was not the Hub.

    The Hub links to its own models only, so a path, a bundled model and the like give "".
    """
    known = part.get("hub") if isinstance(part, dict) else None
    ref = known.get("repo", "") if isinstance(known, dict) else part.get("ref", "") if isinstance(part, dict) else part
    name = str(ref).partition("@")[0]
    if not NAME.fullmatch(name) or name.startswith(OWN) or (not known and Path(name).exists()):
        return ""
    return name


def without_paths(card: dict) -> dict:
    """The same card, of paths on this disk the last part only: nobody is told where a model's maker keeps files."""
    made_from, recipe, shared = card.get("parents"), card.get("recipe"), {}
    if isinstance(made_from, list):
        shared["parents"] = [_shared(parent) for parent in made_from]
    if isinstance(recipe, dict) and isinstance(recipe.get("sources"), list):
        shared["recipe"] = recipe | {"sources": [_shared(source) for source in recipe["sources"]]}
    return card | shared


def _shared(part: object) -> object:
    """A parent or a source of a recipe, as a reference or with one under "ref", without the folders of a path."""
    if isinstance(part, dict):
        return part | {"ref": _shared(part.get("ref"))} if "ref" in part else part
    if not isinstance(part, str) or part.startswith(OWN) or hub_name(part):
        return part
    return Path(part).name


def facts(gan: Gan) -> dict[str, object]:
    """What a reader wants to know of a model, by name; an entry is None where the card does not say."""
    card = gan.card
    return {
        "classes": ", ".join(gan.classes) or "none (unconditional)",
        "resolution": f"{gan.resolution} x {gan.resolution}",
        "parameters of the generator": f"{gan.num_parameters:,}",
        "discriminator": "included" if gan.discriminator else "not included",
        "made from": ", ".join(parents(card)) or None,
        "images seen in training": card.get("images_seen"),
        "hardware": card.get("hardware"),
        "licence": licence(card) or ("unknown" if parents(card) else None),
    }


def parents(card: dict) -> list[str]:
    """References to the models that this one was made from; a card keeps each as a name, or as an object with "ref"."""
    given = card.get("parents")
    found = given if isinstance(given, list) else []
    return [str(parent.get("ref", "")) if isinstance(parent, dict) else str(parent) for parent in found]


def _scores(scores: dict) -> str:
    rows = {str(name): values for name, values in scores.items() if isinstance(values, dict)}
    columns = [key for key in SCORES if any(values.get(key) is not None for values in rows.values())]
    lines = ["## Scores", "", "| class | " + " | ".join(SCORES[key] for key in columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for name, values in rows.items():
        lines.append(f"| {_cell(name)} | " + " | ".join(_cell(values.get(key)) for key in columns) + " |")
    return "\n".join([*lines, ""])


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")
