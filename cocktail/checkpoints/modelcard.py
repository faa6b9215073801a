"""README.md of a saved model, with the front matter that the Hugging Face Hub reads."""

import re

import yaml

from cocktail.gan import Gan
from cocktail.networks import architecture_of

SCORES = {"frechet": "Frechet distance", "floor": "its floor (real against real)", "class_accuracy": "class accuracy",
          "precision": "precision", "recall": "recall"}  # fmt: skip
LICENCES = {"apache-2.0", "mit", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "openrail"}


def render(gan: Gan) -> str:
    """The card as Markdown: what the model is, where it came from, its scores, and how to use it."""
    card = gan.card
    title = str(card.get("title") or "A GAN")
    parts = [f"---\n{yaml.safe_dump(_front_matter(gan), sort_keys=False)}---\n", f"# {title}\n"]
    if card.get("description"):
        parts.append(f"{card['description']}\n")
    parts.append("\n".join(["| | |", "|---|---|", *(f"| {k} | {_cell(v)} |" for k, v in facts(gan).items() if v), ""]))
    if isinstance(card.get("scores"), dict) and card["scores"]:
        parts.append(_scores(card["scores"]))
    label = f', label="{gan.classes[0]}"' if gan.classes else ""
    shape = f"[3, 3, {gan.resolution}, {gan.resolution}]"
    parts.append(
        "## Use\n\n```python\nimport cocktail\n\n"
        'gan = cocktail.load("path/to/this/folder")\n'
        f"img = gan.sample(seeds=[0, 1, 2]{label})  # float32 {shape} in [-1, 1]\n```\n"
    )
    return "\n".join(parts)


def _front_matter(gan: Gan) -> dict:
    made_from = parents(gan.card)
    # The Hub links to models of its own only: owner/name, and nothing that names a file or a bundled model.
    hub = [name for name in made_from if re.fullmatch(r"[\w-]+/[\w.-]+", name) and not name.startswith("bundled/")]
    licence = str(gan.card.get("licence") or "").lower()
    front: dict = {"library_name": "gan-cocktail", "pipeline_tag": "unconditional-image-generation"}
    front["tags"] = (["merge"] if made_from else []) + ["gan", architecture_of(gan.generator).name]
    if hub:
        front |= {"base_model": hub, "base_model_relation": "merge"}
    if licence in LICENCES:
        front["license"] = licence
    elif licence:
        front |= {"license": "other", "license_name": re.sub(r"[^a-z0-9.-]+", "-", licence).strip("-")}
    return front


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
        "licence": card.get("licence"),
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
