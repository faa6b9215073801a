"""A person's picture made ready for a model: opened safely, turned upright, cut square, brought to the model's size."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
from PIL.ExifTags import Base
from torch import Tensor

from cocktail.errors import CocktailError
from cocktail.images import DECODING_ERRORS, from_pil, from_uint8

# Spelled out: of all that PIL reads, some formats start another program (EPS) and some are rarely tested.
FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "AVIF", "GIF", "BMP", "TIFF")
MAX_PIXELS = 100_000_000
MIN_SIDE = 8  # px
BROKEN = (*DECODING_ERRORS, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)


def read_photo(source: str | Path | bytes, resolution: int) -> tuple[Tensor, tuple[str, ...]]:
    """A picture file, or its bytes, as float32 [1, 3, R, R] in [-1, 1], and short sentences on what was done to it.

    Upright by EXIF, first frame, transparent parts on white, the middle square, Lanczos (`cocktail.images.from_pil`).

    Raises: CocktailError where it is missing, no picture, damaged, below 8 px or above 100 megapixels.
    """
    name = "The picture" if isinstance(source, bytes) else Path(source).name
    with _opened(source, name) as image:
        _check_size(image, name)
        upright, notes = _decoded(image, name)
    upright.filename = name  # for the message of `from_pil`
    pixels = from_uint8(from_pil(upright, resolution))
    return pixels, (*notes, *_measures(upright, resolution))


def _opened(source: str | Path | bytes, name: str) -> PIL.Image.Image:
    PIL.Image.init()
    formats = [known for known in FORMATS if known in PIL.Image.OPEN]
    try:
        return PIL.Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=formats)
    except PIL.Image.DecompressionBombError as error:
        raise CocktailError(f"{name} has far more than {MAX_PIXELS:,} pixels. Reduce it first.") from error
    except BROKEN as error:
        reason = getattr(error, "strerror", None)  # of the file system; None where the content is at fault
        if reason:
            raise CocktailError(f"{name} cannot be opened: {reason}. Choose another file.") from error
        raise CocktailError(
            f"{name} is no picture that can be read, or it is damaged. Choose a PNG, JPEG or WebP file; a HEIC photo "
            "must be exported as JPEG first."
        ) from error


def _check_size(image: PIL.Image.Image, name: str) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        found = f"{width} x {height} pixels ({width * height / 1e6:.0f} megapixels)"
        raise CocktailError(f"{name} has {found}; at most {MAX_PIXELS // 10**6} megapixels are read. Reduce it first.")
    if min(width, height) < MIN_SIDE:
        raise CocktailError(
            f"{name} has {width} x {height} pixels; at least {MIN_SIDE} on each side are needed. Choose a larger one."
        )


def _decoded(image: PIL.Image.Image, name: str) -> tuple[PIL.Image.Image, list[str]]:
    """The first frame, upright, in a mode that `from_pil` converts rightly; and what there is to tell."""
    notes = []
    try:
        if getattr(image, "is_animated", False):
            notes.append("The file holds several frames; the first one is taken.")
        image.load()
        if image.getexif().get(Base.Orientation, 1) != 1:
            notes.append("Turned upright, as the camera noted.")
        upright = PIL.ImageOps.exif_transpose(image)
        if image.mode == "F" or image.mode.startswith("I"):
            upright = _eight_bits(upright)
        if upright.has_transparency_data and upright.convert("RGBA").getchannel("A").getextrema()[0] < 255:
            notes.append("Transparent parts lie on white.")
    except BROKEN as error:
        raise CocktailError(f"{name} is damaged or cut off ({error}). Copy or download it again.") from error
    if image.mode == "CMYK":
        notes.append("Converted from CMYK; colours may shift a little.")
    return upright, notes


def _eight_bits(image: PIL.Image.Image) -> PIL.Image.Image:
    """Grey of 8 bits from grey of 16, or stretched from the range of numbers that have no natural white."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0, neginf=0)
    low, high = values.min(), values.max()
    if image.mode != "F" and low >= 0 and high < 2**16:
        low, high = 0, 2**16 - 1
    return PIL.Image.fromarray(np.round((values - low) * (255 / max(high - low, 1e-12))).astype(np.uint8))


def _measures(image: PIL.Image.Image, resolution: int) -> list[str]:
    short, long = sorted(image.size)
    notes = [f"Cropped to the middle square, {short} of {long} pixels."] if short < long else []
    if short < resolution:
        notes.append(f"Enlarged from {short} to {resolution} pixels, so it is soft.")
    return notes
