"""Where in W a model's own codes of a class lie."""

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from cocktail.gan import Gan
from cocktail.images import resize

CODES = 4096  # samples of w that tell a region
LEAST_AXIS = 0.003  # of the longest; along shorter ones the codes hardly vary
FAR = 4.0  # standard deviations; coordinates beyond are brought back
CHUNK = 4  # pictures drawn at once: hardly slower than more, and the clock is looked at in between
SMALL = 32  # px, at which pictures of candidates are compared


@torch.no_grad()
def class_codes(gan: Gan, index: int, n: int = CODES) -> Tensor:
    """Codes w of n samples of class number `index` (0 without classes), always the same: float32 [n, w_dim]."""
    z = torch.randn(n, gan.z_dim, generator=torch.Generator().manual_seed(0)).to(gan.device)
    return gan.generator.map(z, gan.one_hot(index if gan.classes else None, n))[:, 0]


@dataclass(frozen=True, eq=False)
class Region:
    """w = mean + u @ axes: whitened coordinates u, in which a class's codes have mean 0 and variance 1 on every axis.

    The space P_N of Zhu et al., "Improved StyleGAN Embedding: Where are the Good Latents?", 2020, where the mapping's
    last activation is undone before; it is not here, so that any mapping network will do.
    """

    mean: Tensor  # float32 [w_dim]
    axes: Tensor  # float32 [k, w_dim], orthogonal, each as long as the standard deviation along it

    @classmethod
    def of(cls, gan: Gan, index: int) -> "Region":
        """The region of class number `index`; directions in which its codes hardly vary are left out."""
        w = class_codes(gan, index).double()
        mean = w.mean(dim=0)
        variance, axes = torch.linalg.eigh((w - mean).t() @ (w - mean) / len(w))
        deviation = variance.clamp(min=0).sqrt()
        kept = deviation > LEAST_AXIS * deviation[-1]
        return cls(mean.float(), (axes * deviation).t()[kept].float())

    def code(self, u: Tensor) -> Tensor:
        """float32 [..., k] -> w float32 [..., w_dim]."""
        return self.mean + u @ self.axes

    def coordinates(self, w: Tensor) -> Tensor:
        """w float32 [..., w_dim] -> the u in [-4, 4] whose code is near: float32 [..., k]."""
        return ((w - self.mean) @ self.axes.t() / self.axes.square().sum(dim=1)).clamp(-FAR, FAR)


@torch.no_grad()
def nearest(gan: Gan, target: Tensor, index: int | None, candidates: int, deadline: float) -> tuple[int, Tensor]:
    """The class number and the code float32 [1, num_ws, w_dim] whose picture comes nearest to `target` [1, 3, R, R].

    Tried are the mean code and some samples of class `index`, or of every class; the last are left out when
    `time.monotonic()` has passed the deadline.
    """
    side, best, found = min(SMALL, gan.resolution), math.inf, None
    wanted, chunks = resize(target, side), []
    for i in range(max(1, len(gan.classes))) if index is None else [index]:
        w = class_codes(gan, i)
        tried = torch.cat([w.mean(dim=0, keepdim=True), w[:candidates]])
        chunks += [(start, i, tried[start : start + CHUNK]) for start in range(0, len(tried), CHUNK)]
    for _, i, w in sorted(chunks, key=lambda chunk: chunk[:2]):  # the classes in turn
        if found is not None and time.monotonic() > deadline:
            break
        ws = w[:, None].repeat(1, gan.num_ws, 1)
        drawn = resize(gan.generator.synthesize(ws).clamp(-1, 1), side)
        errors = (drawn - wanted).square().mean(dim=[1, 2, 3])
        if errors.min() < best:
            best, found = errors.min().item(), (i, ws[errors.argmin()][None])
    return found
