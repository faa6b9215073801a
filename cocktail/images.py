"""Float tensors in [-1, 1], uint8 tensors and PIL pictures: conversions, resizing, grids."""

from collections.abc import Sequence

import numpy as np
import PIL.Image
import PIL.ImageOps
import torch
import torch.nn.functional as F
from torch import Tensor

from cocktail.errors import CocktailError

# PIL decodes late, so a broken file shows itself only when its pixels are wanted.
DECODING_ERRORS = (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError)
BACKGROUND = 255  # colour of the gaps of a grid and of what lies under a transparent picture


def to_uint8(img: Tensor) -> Tensor:
    """Converts float32 [N,3,H,W] in [-1,1] to uint8 [N,3,H,W] as StyleGAN does: 127.5 x + 128, clamped, truncated."""
    return (img.float() * 127.5 + 128).clamp(0, 255).to(torch.uint8)


def from_uint8(img: Tensor) -> Tensor:
    """Converts uint8 [N,3,H,W] to float32 [N,3,H,W] in [-1,1]: x / 127.5 - 1."""
    return img.float() / 127.5 - 1


def to_pil(img: Tensor) -> list[PIL.Image.Image]:
    """Converts float [N,3,H,W] in [-1,1] or uint8 [N,3,H,W] to N RGB pictures.

    Raises: CocktailError where the tensor is not [N,3,H,W].
    """
    return [PIL.Image.fromarray(np.ascontiguousarray(array)) for array in _pixels(img).permute(0, 2, 3, 1).numpy()]


def from_pil(images: PIL.Image.Image | Sequence[PIL.Image.Image], resolution: int) -> Tensor:
    """Turns pictures of any size and mode into uint8 [N,3,R,R]: upright by EXIF, centre crop, Lanczos resize.

    Transparent pixels are laid on white. PIL's Lanczos filter widens with the reduction, so it averages over the area
    that a pixel covers. Raises: CocktailError where a picture cannot be decoded or nothing is given.
    """
    if isinstance(images, PIL.Image.Image):
        images = [images]
    if resolution < 1:
        raise CocktailError(f"resolution is {resolution}; expected a positive number of pixels")
    if not images:
        raise CocktailError("no picture given; expected at least one")
    arrays = [np.asarray(_square(image, resolution)) for image in images]
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()


def grid(img: Tensor, columns: int, pad: int = 2) -> PIL.Image.Image:
    """Lays float [N,3,H,W] in [-1,1] or uint8 [N,3,H,W] out row by row, `columns` a row, `pad` white pixels between.

    Raises: CocktailError where there is no picture or `columns` is below 1.
    """
    pixels = _pixels(img)
    n, _, height, width = pixels.shape
    if n == 0:
        raise CocktailError("a grid needs at least one picture; found none")
    if columns < 1 or pad < 0:
        raise CocktailError(f"a grid of {columns} columns with gaps of {pad} pixels; expected columns >= 1, gaps >= 0")
    columns = min(columns, n)
    rows = -(-n // columns)
    sheet = torch.full((3, rows * (height + pad) - pad, columns * (width + pad) - pad), BACKGROUND, dtype=torch.uint8)
    for i, picture in enumerate(pixels):
        top, left = (i // columns) * (height + pad), (i % columns) * (width + pad)
        sheet[:, top : top + height, left : left + width] = picture
    return to_pil(sheet[None])[0]


def resize(img: Tensor, resolution: int) -> Tensor:
    """Resizes float [N,3,H,W] to [N,3,R,R] without aliasing: mean over areas downwards, bilinear upwards."""
    height, width = img.shape[-2:]
    if (height, width) == (resolution, resolution):
        return img
    if height >= resolution and width >= resolution:
        return F.interpolate(img, size=(resolution, resolution), mode="area")
    return F.interpolate(img, size=(resolution, resolution), mode="bilinear", align_corners=False, antialias=True)


def _pixels(img: Tensor) -> Tensor:
    """Gives uint8 [N,3,H,W] on the CPU from either kind of image tensor."""
    if img.ndim != 4 or img.shape[1] != 3:
        raise CocktailError(f"images have shape {list(img.shape)}; expected [N,3,H,W]")
    img = img.detach()
    return (img if img.dtype == torch.uint8 else to_uint8(img)).cpu()


def _square(image: PIL.Image.Image, resolution: int) -> PIL.Image.Image:
    try:
        image = PIL.ImageOps.exif_transpose(image)
        if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
            image = image.convert("RGBA")
            image = PIL.Image.alpha_composite(PIL.Image.new("RGBA", image.size, (BACKGROUND,) * 3 + (255,)), image)
        image = image.convert("RGB")
    except DECODING_ERRORS as error:
        name = getattr(image, "filename", "") or "a picture"
        raise CocktailError(f"{name} cannot be decoded ({error}); remove or replace it") from error
    return PIL.ImageOps.fit(image, (resolution, resolution), method=PIL.Image.Resampling.LANCZOS)
