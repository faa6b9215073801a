"""The uncurated grids of several models as one labelled PNG, with the recipes of all its pictures inside."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
from PIL.PngImagePlugin import PngInfo

from cocktail.errors import CocktailError
from cocktail.images import DECODING_ERRORS
from editing.recipes import PictureRecipe, read

CHUNK, VERSION = "gan-cocktail-comparison", 1
SMALLEST, LARGEST = 128, 256  # side of a picture in px: smaller and larger ones are scaled
GAP, BETWEEN, MARGIN = 4, 28, 24  # px between pictures, between models, around all
INK, QUIET, PAPER = "#171b1e", "#4f5860", "#ffffff"


@dataclass(frozen=True)
class Block:
    """What one model shows in a row: pictures with their common recipe, or words in their place."""

    pictures: tuple[PIL.Image.Image, ...] = ()
    words: str = ""
    recipe: PictureRecipe | None = None


@dataclass(frozen=True)
class Row:
    """A class, or the models before their last stage: a heading in its colour, and a block of each model."""

    title: str
    colour: str
    blocks: tuple[Block, ...]


def figure(titles: Sequence[str], rows: Sequence[Row], caption: str) -> bytes:
    """A PNG: one column per model under its title, one band per row, the caption below; the recipes in its metadata.

    Every picture gets one size, that of the largest between 128 and 256 px, by Lanczos resampling.
    """
    pictures = [picture for row in rows for block in row.blocks for picture in block.pictures]
    if not pictures:
        raise CocktailError("there are no pictures to make a figure of. Pick models that can draw first.")
    side = min(LARGEST, max(SMALLEST, *(picture.width for picture in pictures)))
    most = max(len(block.pictures) for row in rows for block in row.blocks)
    across = min(most, 4 if len(titles) < 5 else 3)
    width = across * (side + GAP) - GAP
    title_font, font = (PIL.ImageFont.load_default(size) for size in (24, 19))
    heights = [-(-max(1, *(len(b.pictures) for b in row.blocks)) // across) * (side + GAP) for row in rows]
    size = (2 * MARGIN + len(titles) * (width + BETWEEN) - BETWEEN, 2 * MARGIN + 84 + sum(h + 44 for h in heights))
    sheet = PIL.Image.new("RGB", size, PAPER)
    draw = PIL.ImageDraw.Draw(sheet)
    lefts = [MARGIN + number * (width + BETWEEN) for number in range(len(titles))]
    for left, title in zip(lefts, titles, strict=True):
        draw.text((left, MARGIN), _short(title, title_font, width), INK, title_font)
    top = MARGIN + 44
    for row, height in zip(rows, heights, strict=True):
        draw.text((MARGIN, top), _short(row.title, font, size[0] - 2 * MARGIN), row.colour or INK, font)
        for left, block in zip(lefts, row.blocks, strict=True):
            _paste(sheet, draw, block, (left, top + 30), (side, across, width), font)
        top += height + 44
    draw.text((MARGIN, top), _short(caption, font, size[0] - 2 * MARGIN), QUIET, font)
    return _png(sheet, titles, rows, caption)


def recipes_in(source: bytes | str | Path) -> tuple[list[str], list[list[PictureRecipe | None]]]:
    """The models' titles and, row by row, the recipes of their pictures, of a PNG that `figure` made.

    Raises: CocktailError where it is no picture, or holds no comparison of this version.
    """
    try:
        with PIL.Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            image.verify()
            data = json.loads(image.info.get(CHUNK) or "null")
        if not isinstance(data, dict) or data.get("version") != VERSION:
            raise CocktailError("This picture holds no comparison. Only a figure of the Compare tab does.")
        titles, lines = [str(title) for title in data["titles"]], data["rows"]
        return titles, [[read(text) if text else None for text in line["recipes"]] for line in lines]
    except (*DECODING_ERRORS, KeyError, TypeError, RecursionError) as error:
        raise CocktailError(f"This picture cannot be read as a comparison ({error}).") from error


def _paste(
    sheet: PIL.Image.Image, draw: PIL.ImageDraw.ImageDraw, block: Block, at: tuple[int, int],
    shape: tuple[int, int, int], font: PIL.ImageFont.ImageFont,
) -> None:  # fmt: skip
    (left, top), (side, across, width) = at, shape
    if not block.pictures:
        draw.text((left, top), _short(block.words, font, width), QUIET, font)
    for number, picture in enumerate(block.pictures):
        place = left + number % across * (side + GAP), top + number // across * (side + GAP)
        fitted = picture if picture.width == side else picture.resize((side, side), PIL.Image.Resampling.LANCZOS)
        sheet.paste(fitted, place)


def _short(text: str, font: PIL.ImageFont.ImageFont, width: int) -> str:
    """The text, cut where it is wider than `width` px."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text.rstrip() + "..."


def _png(sheet: PIL.Image.Image, titles: Sequence[str], rows: Sequence[Row], caption: str) -> bytes:
    recipes = [
        {"title": row.title, "recipes": [block.recipe and block.recipe.to_json() for block in row.blocks]}
        for row in rows
    ]
    info = PngInfo()
    info.add_text(CHUNK, json.dumps({"version": VERSION, "titles": list(titles), "rows": recipes, "caption": caption}))
    info.add_itxt("Title", " | ".join(titles))
    info.add_itxt("Description", "; ".join([caption, *(row.title for row in rows)]))
    info.add_text("Software", "GAN Cocktail Studio")
    out = io.BytesIO()
    sheet.save(out, "PNG", pnginfo=info)
    return out.getvalue()
