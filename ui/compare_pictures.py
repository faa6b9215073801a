"""Uncurated pictures of several models side by side: the same seeds in every column, a band for each class."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import gradio as gr
import PIL.Image
import torch

from cocktail.errors import CocktailError
from cocktail.images import DECODING_ERRORS, from_pil, to_pil
from cocktail.networks import architecture_of
from cocktail.seeds import parse_seeds
from editing import comparison, comparison_figure
from editing.comparison_figure import Block, Row
from editing.recipes import PictureRecipe, model_name
from ui import base, colours, compare_picks
from ui.compare_picks import Side
from ui.models import Loaded, Models
from ui.pictures import cell, data_uri
from ui.plan import seed_text

ALL = ""  # the value of the choice "every class"
MOST_SEEDS, MOST_PICTURES, MOST_ROWS = 16, 384, 16
GRID_COLUMNS = 8  # of the picture that a run keeps of its average, of the seeds 0 to 7
EVERY_SEC = 0.5
EMPTY = "Pick two models or runs: their pictures for the same seeds are shown here, side by side."
NOTE = "Uncurated: every model draws the same seeds. A click puts a picture on the shelf."
AVERAGE = "plain average before fine-tuning"
TEMPLATE = """
<section class="compare" aria-label="Models side by side">
  <p class="note"></p>
  <div class="sheet-top">
    <p class="status" role="status" aria-live="polite"></p>
    <div class="tools"><div class="toggle" role="group" aria-label="How small pictures are enlarged">
      <button type="button" data-pixels="smooth">Smooth</button>
      <button type="button" data-pixels="exact">Exact pixels</button>
    </div></div>
  </div>
  <div class="compare-scroll"><div class="compare-grid"></div></div>
</section>"""


@dataclass(frozen=True)
class Settings:
    """The values of the controls that choose pictures, in the order in which they are wired."""

    label: str | None = ALL
    seeds: str = "0-7"
    psi: float = 1.0


@dataclass(frozen=True)
class Part:
    """A column's share of a band: a recipe and the model that draws it, or pictures that a run kept, or words."""

    recipe: PictureRecipe | None = None
    loaded: Loaded | None = None
    kept: tuple[PIL.Image.Image, ...] = ()
    words: str = ""

    def recipes(self) -> list[PictureRecipe]:
        return self.recipe.cells() if self.recipe else []


@dataclass(frozen=True)
class Band:
    """A class as all models draw it, or as the averages did before fine-tuning (`words` say so)."""

    label: str
    words: str
    parts: tuple[Part, ...]


def component() -> gr.HTML:
    """Its events are `select` and `download`, of a picture, as for a sheet."""
    return gr.HTML(empty(EMPTY), html_template=TEMPLATE, js_on_load=base.script("compare.js"), elem_id="compare",
                   elem_classes="compare-block", apply_default_css=False)  # fmt: skip


def empty(text: str) -> dict:
    return {"empty": text, "heads": [], "bands": [], "note": "", "status": ""}


def labels(sides: Sequence[Side]) -> list[str]:
    """The classes of what is picked, those that more of them draw first."""
    return [name for name in comparison.rows(_known(sides)) if name]


def plan(models: Models, sides: Sequence[Side], settings: Settings) -> list[Band]:
    """What is to be shown, band by band.

    Raises: CocktailError where the seeds cannot be read or it would be too many pictures.
    """
    seeds = tuple(parse_seeds(settings.seeds, limit=MOST_SEEDS))
    known, shown = _known(sides), _shown_rows(sides, settings.label)
    count = len(seeds) * len(shown) * sum(side.loaded is not None for side in sides)
    if count > MOST_PICTURES:
        raise CocktailError(f"{count} pictures; at most {MOST_PICTURES} are drawn at a time. Ask for fewer seeds, or "
                            "choose one class.")  # fmt: skip
    averages = [_average(models, side) for side in sides]
    bands = []
    for row in shown:
        before = tuple(
            _of_average(average, side, known, row, seeds, settings.psi)
            for average, side in zip(averages, sides, strict=True)
        )
        if any(part.recipe or part.kept for part in before):
            bands.append(Band(row, _said_of_averages(before), before))
        bands.append(Band(row, "", tuple(_of_model(side, known, row, seeds, settings.psi) for side in sides)))
    return bands


def fill(sides: Sequence[Side], bands: Sequence[Band]) -> Iterator[dict]:
    """The states of the component while the pictures are made, band by band; the last one is complete."""
    frame = {"empty": "", "note": _note(sides, bands), "heads": [_head(side) for side in sides]}
    drawn: list[list[list[dict]]] = [
        [[_blank(recipe, band) for recipe in part.recipes()] for part in band.parts] for band in bands
    ]
    total = sum(len(cells) for band in drawn for cells in band)
    start = shown = time.monotonic()
    done = 0
    for b, band in enumerate(bands):
        for p, part in enumerate(band.parts):
            for i, recipe in enumerate(part.recipes()):
                # New objects each time: the page is sent what differs from the state before.
                about = f"{sides[p].name}: {recipe.describe()}"
                made = drawn[b][p][i] | {"src": data_uri(part.loaded.picture(recipe), recipe), "about": about}
                drawn[b] = [*drawn[b][:p], [*drawn[b][p][:i], made, *drawn[b][p][i + 1 :]], *drawn[b][p + 1 :]]
                done += 1
                now = time.monotonic()
                if now - shown > EVERY_SEC and done < total:
                    shown = now
                    yield frame | {"bands": _bands(sides, bands, drawn), "status": f"{done} of {total} pictures"}
    words = f"{total} picture{'s' if total != 1 else ''}, {time.monotonic() - start:.2f} s"
    yield frame | {"bands": _bands(sides, bands, drawn), "status": words}


def figure(sides: Sequence[Side], bands: Sequence[Band], settings: Settings) -> bytes:
    """All that is shown as one labelled PNG, drawn anew. Raises: CocktailError where there is no picture."""
    rows = []
    for band in bands:
        title = ", ".join(part for part in (band.label, band.words) if part).replace("ψ", "psi")  # no such letter there
        blocks = tuple(Block(_pictures(part), part.words, part.recipe) for part in band.parts)
        rows.append(Row(title, colours.class_colours(band.label)[0] if band.label else "", blocks))
    titles = [f"{side.name}, {side.loaded.gan.resolution} px" if side.loaded else side.name for side in sides]
    return comparison_figure.figure(titles, rows, f"seeds {settings.seeds}, psi {settings.psi:g}, uncurated")


def _known(sides: Sequence[Side]) -> list[comparison.Known]:
    return [side.known for side in sides if side.loaded]


def _shown_rows(sides: Sequence[Side], label: str | None) -> list[str]:
    found = comparison.rows(_known(sides)) if _known(sides) else []
    return [label] if label in found and label != ALL else found[:MOST_ROWS]


def _of_model(side: Side, known: list, row: str, seeds: tuple[int, ...], psi: float) -> Part:
    if side.loaded is None:
        return Part(words="has saved no model yet")
    drawn = comparison.drawn_as(side.known, row, known)
    if drawn is None:
        return Part(words=f"draws no {row}")
    return Part(_recipe(side.loaded, drawn, seeds, psi), side.loaded)


def _recipe(loaded: Loaded, drawn: tuple[str, ...], seeds: tuple[int, ...], psi: float) -> PictureRecipe:
    return PictureRecipe(model_name(loaded.ref), loaded.fingerprint, drawn, seeds, float(psi))


def _average(models: Models, side: Side) -> Loaded | list[list[PIL.Image.Image]] | None:
    """What a run keeps of the average of its rooted models: the model, else the pictures of it class by class."""
    folder = compare_picks.average_model(side)
    if folder is not None:
        return models.get(str(folder))
    path = side.run.samples / "average.png" if side.run else None
    if path is None or side.loaded is None or not path.is_file():
        return None
    with contextlib.suppress(CocktailError, *DECODING_ERRORS):
        with PIL.Image.open(path) as picture:
            lines = comparison.cut(picture.convert("RGB"), GRID_COLUMNS)
        return lines if len(lines) == len(side.loaded.gan.classes) else None
    return None


def _of_average(average: object, side: Side, known: list, row: str, seeds: tuple[int, ...], psi: float) -> Part:
    drawn = comparison.drawn_as(side.known, row, known) if side.loaded else None
    if average is None or not drawn:
        return Part(words="has no such stage")
    if isinstance(average, Loaded):
        return Part(_recipe(average, drawn, seeds, psi), average)
    own = [seed for seed in seeds if seed < GRID_COLUMNS]
    own = own if len(own) == len(seeds) else list(range(min(len(seeds), GRID_COLUMNS)))
    line = average[side.loaded.gan.classes.index(drawn[0])]
    return Part(kept=tuple(line[seed] for seed in own), words=f"seeds {seed_text(own)}, ψ 1")


def _said_of_averages(parts: Sequence[Part]) -> str:
    """What a band of averages shows: pictures that a run kept have seeds and psi of their own."""
    own = dict.fromkeys(part.words for part in parts if part.kept)
    return f"{AVERAGE}{', as the run drew it: ' + ' and '.join(own) if own else ''}"


def _pictures(part: Part) -> tuple[PIL.Image.Image, ...]:
    if part.recipe is None:
        return part.kept
    return tuple(to_pil(torch.cat([part.loaded.picture(recipe) for recipe in part.recipes()])))


def _bands(sides: Sequence[Side], bands: Sequence[Band], drawn: list) -> list[dict]:
    """The bands as the browser gets them."""
    return [
        colours.of(band.label) | {"words": band.words, "parts": [
            {"name": side.name, "words": "" if part.recipe or part.kept else part.words,
             "cells": cells or [_kept(side, band, i, picture) for i, picture in enumerate(part.kept)]}
            for side, part, cells in zip(sides, band.parts, cells_of, strict=True)
        ]}
        for band, cells_of in zip(bands, drawn, strict=True)
    ]  # fmt: skip


def _blank(recipe: PictureRecipe, band: Band) -> dict:
    """A picture that is still to come, in the colour of its band: a model without classes draws one all the same."""
    return cell(recipe) | {"caption": ""} | colours.of(band.label)


def _kept(side: Side, band: Band, number: int, picture: PIL.Image.Image) -> dict:
    about = f"{side.name}, {band.label}, {AVERAGE}, picture {number + 1}"
    source = data_uri(from_pil([picture], picture.width))
    return {"src": source, "id": "", "about": about, "recipe": "", "caption": "", **colours.of(band.label)}


def _head(side: Side) -> dict:
    if side.loaded is None:
        return {"label": side.name, "colour": side.colour, "facts": "no model yet"}
    gan, count = side.loaded.gan, side.loaded.gan.num_parameters
    size = f"{count / 1e6:.2f} M" if count >= 1e5 else f"{count:,}"
    state = f"run, {side.status.state} · " if side.status else ""
    return {"label": side.name, "colour": side.colour, "title": side.loaded.title,
            "facts": f"{state}{gan.resolution} px · {size} · {architecture_of(gan.generator).name}"}  # fmt: skip


def _note(sides: Sequence[Side], bands: Sequence[Band]) -> str:
    able = [side for side in sides if side.loaded]
    shown = list(dict.fromkeys(band.label for band in bands))
    more = len(comparison.rows(_known(sides))) - len(shown) if len(shown) >= MOST_ROWS else 0
    sizes = {side.loaded.gan.resolution for side in able}
    parts = [NOTE, comparison.lacking(_known(sides), [side.name for side in able], shown)]
    everywhere = [side.name for side in able if len(shown) > 1 and not side.known.classes
                  and all(comparison.drawn_as(side.known, row, _known(sides)) == () for row in shown)]  # fmt: skip
    if everywhere:
        parts.append(f"{comparison.listed(everywhere)}: no classes, so the same pictures in every band.")
    if more > 0:
        parts.append(f"The first {len(shown)} classes; {more} more can be chosen.")
    if len(sizes) > 1:
        parts.append("Their resolutions differ: all are shown in one size.")
    return " ".join(part for part in parts if part)
