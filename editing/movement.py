"""How far the pictures of a run moved from each of its snapshots to the next, by the samples that it kept."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

import PIL.Image
import torch
from torch import Tensor

from cocktail.errors import CocktailError
from cocktail.images import DECODING_ERRORS, from_pil, from_uint8
from cocktail.metrics import snapshot_distances
from cocktail.metrics.diversity import PictureDistance
from cocktail.runs import Status
from editing.comparison import cut, starts_of

Moves = tuple[tuple[int, float], ...]  # images shown at a snapshot, and the distance of its pictures from those before


def moves(status: Status, distance: PictureDistance, every: bool = False) -> Moves:
    """The movement of the model that comes out; pictures of all classes count alike.

    Every snapshot draws the same latents, so what differs is the model. Where the resolution grew between two of them,
    or a picture is gone, nothing is said. `every`: as of `editing.comparison.curves`.
    Raises: CocktailError where the distance refuses the pictures.
    """
    starts, found, before = starts_of(status, every), {}, None
    for snapshot in status.snapshots:
        if snapshot.stage not in starts:
            continue
        shown, now = starts[snapshot.stage] + snapshot.images, _pictures(snapshot.picture)
        # A stage begins with what the one before it ended with.
        if before is not None and now is not None and now.shape == before.shape and snapshot.images:
            found[shown] = snapshot_distances([before, now], distance)[0]
        before = now
    return tuple(sorted(found.items()))


def _pictures(path: Path | None) -> Tensor | None:
    """The samples of a snapshot, float32 [N, 3, R, R]."""
    if path is None:
        return None
    with contextlib.suppress(CocktailError, *DECODING_ERRORS):
        with PIL.Image.open(path) as picture:
            rows: Sequence[list[PIL.Image.Image]] = cut(picture.convert("RGB"))
        return from_uint8(torch.cat([from_pil(row, row[0].width) for row in rows]))
    return None
