"""Semantic directions in w: what one is, moving along it, and measuring what it changes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cocktail.domains.oracle import Reading
from cocktail.errors import CocktailError
from cocktail.gan import Gan, latents
from cocktail.images import to_uint8
from cocktail.metrics.features import FactorReader
from editing.finding import Codes, Fit, Layers, closed_form, fit, principal, within_classes
from editing.mixing import check_layers

__all__ = [
    "Codes",
    "Direction",
    "Fit",
    "Layers",
    "closed_form",
    "cosines",
    "effects",
    "fit",
    "keeps_class",
    "move",
    "orthogonalise",
    "principal",
    "readings",
    "spread",
]

PIXELS_AT_ONCE = 2**17  # 32 pictures of 64x64 are drawn fastest together; one of 1024x1024 fills memory enough
LEAST_LEFT = 1e-3
UNIT_TOLERANCE = 1e-4


@dataclass(frozen=True, eq=False)
class Direction:
    """A named direction in one model's w; one sigma of movement is `sigma * vector`.

    Raises: CocktailError where the vector is not finite or not of unit length, sigma is not positive, or the layers are
    out of order.
    """

    name: str
    vector: Tensor  # float32 [w_dim], unit length
    sigma: float  # standard deviation of the model's codes along the vector, pooled within classes
    model: str  # the reference that the model was opened with
    fingerprint: str  # editing.recipes.fingerprint of that model
    origin: str  # how it was found, one line for a person
    layers: Layers  # what it is meant for

    def __post_init__(self) -> None:
        who, (first, last) = f"The direction {self.name!r}", self.layers
        if self.vector.ndim != 1 or not torch.isfinite(self.vector).all():
            raise CocktailError(f"{who} is no row of finite numbers (its shape is {list(self.vector.shape)}).")
        length = self.vector.double().norm().item()
        if abs(length - 1) > UNIT_TOLERANCE:
            raise CocktailError(f"{who} has length {length:.6g}; expected 1.")
        if not (math.isfinite(self.sigma) and self.sigma > 0):
            raise CocktailError(f"{who} has a sigma of {self.sigma}; expected a positive number.")
        if not 0 <= first <= last:
            raise CocktailError(f"{who} is for layers {first} to {last}; expected 0 <= first <= last.")


def move(ws: Tensor, vector: Tensor, distance: float, layers: Layers | None = None) -> Tensor:
    """Codes moved by `distance`, in units of w, along a vector float32 [w_dim] on some layers (None = all).

    ws: float32 [N, num_ws, w_dim] or [num_ws, w_dim]; the result has its shape, and other layers stay bit by bit.
    Raises: CocktailError where shapes, layers or the distance do not fit.
    """
    num_ws, w_dim = ws.shape[-2:]
    if vector.shape != (w_dim,):
        raise CocktailError(f"The direction has shape {list(vector.shape)}; these codes need [{w_dim}].")
    first, last = (0, num_ws - 1) if layers is None else layers
    check_layers(num_ws, first, last)
    if not math.isfinite(distance):
        raise CocktailError(f"The distance to move is {distance}; expected a finite number.")
    moved = ws.clone()
    moved[..., first : last + 1, :] += distance * vector.to(ws)
    return moved


def orthogonalise(vector: Tensor, others: Sequence[Tensor]) -> Tensor:
    """What of a vector is orthogonal to all others, at unit length: float32 [w_dim].

    Conditional manipulation (InterFaceGAN, section 2.2): moving along it leaves what the others stand for as it is.
    Raises: CocktailError where less than a thousandth of the vector is left.
    """
    rest = _unit(vector)
    if others:
        _, values, rows = torch.linalg.svd(torch.stack([_unit(other) for other in others]), full_matrices=False)
        basis = rows[values > 1e-6]  # others that repeat each other add nothing
        rest = rest - basis.T @ (basis @ rest)
    left = rest.norm().item()
    if left < LEAST_LEFT:
        raise CocktailError(f"Only {left:.1e} of the direction is left beside what is kept fixed; keep less fixed.")
    return (rest / left).float()


def cosines(vectors: Sequence[Tensor]) -> Tensor:
    """Cosine of every two vectors: float32 [K, K] with 1 on the diagonal.

    Raises: CocktailError on a vector without length.
    """
    rows = torch.stack([_unit(vector) for vector in vectors])
    return (rows @ rows.T).clamp(-1, 1).fill_diagonal_(1).float()


def spread(codes: Codes, vector: Tensor) -> float:
    """Standard deviation of codes along a unit vector, pooled within classes.

    Raises: CocktailError where a class has fewer than two codes, or a code is not finite.
    """
    along = within_classes(codes) @ vector.detach().double().cpu()
    return math.sqrt(along.square().sum().item() / (len(along) - len(codes)))


@torch.no_grad()
def readings(gan: Gan, ws: Tensor, label: str, read: FactorReader) -> Reading:
    """What a reader sees in the pictures of codes float32 [N, num_ws, w_dim] that are meant to be of class `label`.

    Drawn in batches: twice as fast as one by one, and the last bit of a picture does not matter to a mean.
    Raises: CocktailError where there is no code, or the reader does not know the class.
    """
    if label not in read.classes or not len(ws):
        raise CocktailError(f"{len(ws)} codes of {label!r} to read; expected some, of {', '.join(read.classes)}.")
    batch = max(1, PIXELS_AT_ONCE // gan.resolution**2)
    pictures = (to_uint8(gan.generator.synthesize(part.to(gan.device))).cpu() for part in ws.split(batch))
    seen = [read.read(img, label) for img in pictures]
    factors = {name: torch.cat([part.factors[name] for part in seen]) for name in seen[0].factors}
    return Reading(torch.cat([part.class_logits for part in seen]), factors)


def effects(
    gan: Gan, vector: Tensor, sigma: float, labels: Sequence[str], seeds: Sequence[int], read: FactorReader,
    layers: Layers | None = None, step: float = 1.0,
) -> dict[str, dict[str, float]]:  # fmt: skip
    """Class -> factor -> change per sigma in the factor's units: central difference at +-step sigma, mean over seeds.

    Binary factors change in probability; factors that a class lacks are left out. `labels` are names that the reader
    knows; a model without classes is read as each of them. Raises: CocktailError as `move` and `readings`.
    """
    found = {}
    for label in labels:
        low, high = _both_ends(gan, vector, step * sigma, label, seeds, read, layers)
        change = {name: (high.factors[name] - low.factors[name]).double().mean().item() for name in low.factors}
        found[label] = {name: value / (2 * step) for name, value in change.items() if not math.isnan(value)}
    return found


def keeps_class(
    gan: Gan, vector: Tensor, sigma: float, labels: Sequence[str], seeds: Sequence[int], read: FactorReader,
    layers: Layers | None = None, strength: float = 2.0,
) -> dict[str, float]:  # fmt: skip
    """Class -> share, in [0, 1], of the pictures at +strength and -strength sigma that still look like the class.

    Raises: as `effects`.
    """
    found = {}
    for label in labels:
        ends = _both_ends(gan, vector, strength * sigma, label, seeds, read, layers)
        logits = torch.cat([end.class_logits for end in ends])
        found[label] = (logits.argmax(dim=1) == read.classes.index(label)).double().mean().item()
    return found


def _both_ends(
    gan: Gan, vector: Tensor, distance: float, label: str, seeds: Sequence[int], read: FactorReader,
    layers: Layers | None,
) -> list[Reading]:  # fmt: skip
    ws = gan.map(latents(seeds, gan.z_dim), label if gan.classes else None)
    return [readings(gan, move(ws, vector, way * distance, layers), label, read) for way in (-1, 1)]


def _unit(vector: Tensor) -> Tensor:
    """The vector at length 1: float64 [w_dim] on the CPU."""
    vector = vector.detach().double().cpu()
    length = vector.norm()
    if not (torch.isfinite(length) and length > 0):
        raise CocktailError(f"A direction has length {length.item():g}; expected a positive number.")
    return vector / length
