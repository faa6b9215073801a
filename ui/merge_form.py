"""The form of a merge: what is picked becomes a recipe, and a recipe fills the form."""

import html
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import torch
import yaml

from cocktail import checkpoints
from cocktail.checkpoints import hub
from cocktail.errors import CocktailError
from cocktail.methods.registry import METHODS, get
from cocktail.metrics.recommend import Recommendation
from cocktail.preflight import Finding
from cocktail.recipe import Recipe, Source
from cocktail.teachers import pictures_at, spoken
from ui import options

PRESETS = [("Try it", "try"), ("Good", "small"), ("Paper", "paper")]
LEFT_OUT = "-"  # in place of a name
MARKS = {"error": "Mend this first", "note": "Know this", "ok": "Fine"}


@dataclass(frozen=True)
class Form:
    """What the controls of the form say, in the order in which they are wired."""

    refs: Sequence[str]
    names: str
    root: str | None
    method: str
    preset: str
    options: dict
    seed: float
    device: str
    amp: bool
    threads: float


def recipe_of(form: Form) -> Recipe:
    """The recipe that the form describes. Raises: CocktailError where something is missing; says what."""
    if len(form.refs) < 2:
        raise CocktailError("A merge needs two models or more. Pick another one.")
    if len(set(form.refs)) < len(form.refs):
        raise CocktailError("A model is picked twice. Each can be merged once.")
    sources = _sources(form.refs, form.names)
    config = options.changed(preset(form.method, form.preset), form.options.get("changes", {}))
    if form.amp:
        config = with_amp(config)
    if form.root not in form.refs:
        raise CocktailError(f"The root is {form.root or 'missing'}; pick one of the models to be merged.")
    root = form.refs.index(form.root)
    return Recipe(sources, form.method, root, int(form.seed or 0), int(form.threads or 0), form.device, config)


def form_of(recipe: Recipe) -> Form:
    """The form that gives this recipe: everything that is not in its preset is a change."""
    names = ", ".join(name for source in recipe.sources for name in _names(source))
    name, config = nearest(recipe)
    value = options.value(config)
    changes = {path: shown for path, shown in _shown(recipe.config).items() if shown != _shown(config).get(path)}
    refs = [source.ref for source in recipe.sources]
    return Form(refs, names, refs[recipe.root], recipe.method, name, value | {"changes": changes}, recipe.seed,
                recipe.device, False, recipe.threads)  # fmt: skip


def preset(method: str, name: str) -> Any:
    """The config of a method's preset; its first one where it has none of that name."""
    known = get(method).presets
    return known.get(name) or next(iter(known.values()))


def nearest(recipe: Recipe) -> tuple[str, Any]:
    """The preset from which the recipe's config differs in the fewest fields."""
    known, wanted = get(recipe.method).presets, _shown(recipe.config)

    def distance(name: str) -> int:
        own = _shown(known[name])
        return sum(own.get(path) != shown for path, shown in wanted.items())

    name = min(known, key=distance)
    return name, known[name]


def with_amp(config: Any) -> Any:
    """The config with mixed precision in every stage of training inside it."""
    inside = {f.name: getattr(config, f.name) for f in fields(config) if is_dataclass(getattr(config, f.name))}
    stages = {name: replace(stage, amp=True) for name, stage in inside.items() if hasattr(stage, "amp")}
    return replace(config, **stages)


def default_names(refs: Sequence[str]) -> str:
    """Names for the classes of these models, none of them twice, as the form's text."""
    found: list[str] = []
    for ref in refs:
        for name in _known_names(ref):
            name = name.replace(",", " ")  # which parts one name from the next
            number, fresh = 2, name
            while fresh in found:
                fresh, number = f"{name} {number}", number + 1
            found.append(fresh)
    return ", ".join(found)


def read_text(text: str) -> Recipe:
    """The recipe of a YAML text. Raises: CocktailError as `Recipe.from_dict`, or where it is no YAML."""
    try:
        return Recipe.from_dict(yaml.safe_load(text), "the recipe")
    except yaml.YAMLError as error:
        raise CocktailError(f"The recipe is no YAML: {' '.join(str(error).split())}.") from error


def devices() -> list[str]:
    """The devices that this machine offers, the fastest first."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    found = [f"cuda:{i}" if i else "cuda" for i in range(count)]
    return [*found, *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]


def free_name(home: Path, names: str) -> str:
    """A name for the next run: its classes, numbered where such a run is there."""
    base = "+".join(part.strip() for part in names.split(",") if part.strip())[:40] or "merge"
    base = "".join(letter if letter.isalnum() or letter in "+-_ " else "-" for letter in base).strip("+-_ ") or "merge"
    number, name = 2, base
    while (home / name).exists():
        name, number = f"{base} {number}", number + 1
    return name


def findings(found: Sequence[Finding], estimate: str = "") -> str:
    """What a check found, as HTML: what stands in the way first."""
    rows = "".join(
        f'<li class="{item.level}"><b>{MARKS[item.level]}</b> {html.escape(_about(item))}'
        + (f" <i>{html.escape(item.mend)}</i>" if item.mend else "") + "</li>"
        for item in found
    )  # fmt: skip
    head = f"<p><b>It takes {html.escape(estimate)}.</b></p>" if estimate else ""
    return f'{head}<ul class="findings">{rows}</ul>' if rows or head else ""


def recommendation(found: Recommendation) -> str:
    """The table of a recommendation with its reason, as HTML."""
    columns = (("recall", "recall", 100, " %"), ("precision", "precision", 100, " %"), ("frechet", "Fréchet", 1, ""),
               ("kid", "KID", 1, ""), ("diversity", "diversity", 1, ""))  # fmt: skip
    head = "".join(f'<th scope="col">{title}</th>' for _, title, _, _ in columns)
    rows = "".join(
        f'<tr{" class=best" if name == found.best else ""}><th scope="row">{html.escape(name)}</th>'
        + "".join(f"<td>{_cell(getattr(row, key), times)}{unit}</td>" for key, _, times, unit in columns)
        + f"<td>{html.escape(row.remark)}</td></tr>"
        for name, row in found.rows.items()
    )  # fmt: skip
    return (
        f"<p>Root: {html.escape(found.best)}</p><p>{html.escape(found.reason)}</p>"
        f'<table class="roots"><thead><tr><td></td>{head}<td></td></tr></thead><tbody>{rows}</tbody></table>'
        f'<p class="help">{found.n} samples of each, {html.escape(found.features)}.</p>'
    )


def _cell(value: float | None, times: float) -> str:
    return "" if value is None else f"{value * times:.3g}"


def _about(item: Finding) -> str:
    return f"{item.source}: {item.text}" if item.source and not item.text.startswith(item.source) else item.text


def _sources(refs: Sequence[str], text: str) -> tuple[Source, ...]:
    """The models with the names of the text, in order. Raises: CocktailError where the numbers do not agree."""
    names = [part.strip() for part in text.split(",") if part.strip()]
    counts = [len(_known_names(ref)) for ref in refs]
    if names and len(names) != sum(counts):
        raise CocktailError(
            f"{len(names)} names for {sum(counts)} classes. Give one for each, in the order of the models, with commas "
            "between them, or none at all."
        )
    names = names or default_names(refs).split(", ")
    rest = iter(names)
    return tuple(_source(ref, list(itertools.islice(rest, count))) for ref, count in zip(refs, counts, strict=True))


def _source(ref: str, names: Sequence[str]) -> Source:
    """A model with a name for each of its classes, or a dash. Raises: CocktailError where nothing is left of it."""
    kept = [(label, name) for label, name in zip(_known_names(ref), names, strict=True) if name != LEFT_OUT]
    if not kept:
        raise CocktailError(f"{ref}: every class is left out. Name one, or take the model away.")
    picks = tuple(label for label, _ in kept) if len(kept) < len(names) else ()
    return Source(ref, picks, tuple(name for _, name in kept))


def _known_names(ref: str) -> tuple[str, ...]:
    """What a model calls its classes; one without any, and pictures, are called as their file or folder."""
    shown = pictures_at(ref)
    if shown is not None:
        return (shown.resolve().stem,)
    # The form asks at every change: a model of the Hub is looked up once, and then known by its place on the disk.
    return checkpoints.load(checkpoints.locate(ref) if hub.is_name(ref) else ref).classes or (spoken(ref),)


def _names(source: Source) -> list[str]:
    """A name for each class of the source's model, a dash for those that are not taken."""
    known = _known_names(source.ref)
    picks = source.classes or known
    given = dict(zip(picks, source.names or picks))
    return [given.get(label, LEFT_OUT).replace(",", " ") for label in known]


def _shown(config: Any) -> dict[str, Any]:
    """Every field of a config by its path, as the form shows it."""
    form = options.value(config)
    shown = [*form["budget"], *(field for group in form["groups"] for field in group["fields"])]
    return {field["path"]: field["value"] for field in shown}


def methods() -> list[tuple[str, str]]:
    return [(known.title, name) for name, known in METHODS.items()]
