"""Ways between codes: straight, spherical, layer by layer, eased, closed, at constant speed; mixtures of several."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from cocktail.errors import CocktailError

SPACES = ("w+", "w", "z")
EASINGS: dict[str, Callable[[float], float]] = {
    "linear": lambda t: t,
    "smooth": lambda t: t * t * (3 - 2 * t),
    "start slowly": lambda t: t * t,
    "end slowly": lambda t: t * (2 - t),
}
LATEST = 0.8  # of the way: when the last layer sets out at full stagger
MAX_KEYS = 24
MAX_FRAMES = 600  # 24 seconds at 25 frames per second


def slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    """Spherical interpolation of vectors float32 [..., D] (White, 2016): a great circle, the norm changing linearly.

    Directions that are nearly equal are interpolated straight. Raises: CocktailError on opposite directions, between
    which there is no one great circle.
    """
    if t in (0, 1):
        return (b if t else a).clone()
    dtype, a, b = a.dtype, a.double(), b.double()  # in float32 the norm is off between nearly opposite directions
    long_a, long_b = a.norm(dim=-1, keepdim=True), b.norm(dim=-1, keepdim=True)
    unit_a, unit_b = a / long_a.clamp(min=1e-12), b / long_b.clamp(min=1e-12)
    cosine = (unit_a * unit_b).sum(dim=-1, keepdim=True).clamp(-1, 1)
    if (cosine < -1 + 1e-6).any():
        raise CocktailError("The two latents are opposite, so the way between them is not defined. Choose w or w+.")
    angle = torch.acos(cosine)
    sine = torch.sin(angle).clamp(min=1e-6)
    arc = torch.sin((1 - t) * angle) / sine * unit_a + torch.sin(t * angle) / sine * unit_b
    direction = torch.where(angle < 1e-3, torch.lerp(unit_a, unit_b, t), arc)
    return (direction * torch.lerp(long_a, long_b, t)).to(dtype)


def segment(at: float, keys: int, closed: bool, easing: str = "linear") -> tuple[int, int, float]:
    """Where a position 0 <= at <= 1 of the whole way lies: the keys before and after it, and t between the two.

    The keys are hit exactly, at equal distances of `at`; a closed way comes back to the first.

    Raises: CocktailError on fewer than two keys, a position outside the way, or an unknown easing.
    """
    if keys < 2:
        raise CocktailError(f"A way needs at least two pictures; there is {keys or 'none'}. Add one from the shelf.")
    if not 0 <= at <= 1:
        raise CocktailError(f"The position is {at:g}; the way goes from 0 to 1.")
    if easing not in EASINGS:
        raise CocktailError(f"The easing {easing!r} is unknown; known: {', '.join(EASINGS)}.")
    pieces = keys if closed else keys - 1
    first = min(int(at * pieces + 1e-9), pieces - 1)
    t = EASINGS[easing](min(1.0, max(0.0, at * pieces - first)))
    return first, (first + 1) % keys, t


def between(a: Tensor, b: Tensor, t: float, stagger: float = 0.0) -> Tensor:
    """The code at t on the straight way from a to b, w+ float32 [num_ws, w_dim].

    With a `stagger` above 0 the coarse layers set out first and the fine ones arrive last: at 1, layer by layer.
    """
    if not 0 <= stagger <= 1:
        raise CocktailError(f"The stagger is {stagger:g}; expected 0 (all layers together) to 1 (one after the other).")
    # The layers' own ways take (1 - delay) of the time; the last one sets out `delay` later than the first.
    delay = LATEST * stagger
    last = max(1, len(a) - 1)
    shares = [(t - delay * layer / last) / (1 - delay if len(a) > 1 else 1) for layer in range(len(a))]
    return torch.lerp(a, b, torch.tensor(shares, dtype=a.dtype, device=a.device).clamp(0, 1)[:, None])


def barycentric(codes: Tensor, weights: Sequence[float]) -> Tensor:
    """The mean of codes float32 [K, num_ws, w_dim] with weights that need not sum to 1, but to more than 0.

    Raises: CocktailError on weights that are negative, not finite, all zero, or not one for each code.
    """
    good = len(weights) == len(codes) and all(math.isfinite(w) and w >= 0 for w in weights) and sum(weights) > 0
    if not good:
        raise CocktailError(
            f"{len(codes)} pictures and weights {', '.join(f'{w:g}' for w in weights)}; each picture needs a weight of "
            "0 or more, and one of them must be above 0."
        )
    total = sum(weights)
    shares = torch.tensor([weight / total for weight in weights], dtype=codes.dtype, device=codes.device)
    return (codes * shares[:, None, None]).sum(dim=0)


def positions(frames: int, closed: bool) -> list[float]:
    """Evenly spaced positions of so many frames; a closed way leaves out its end, which is its beginning.

    Raises: CocktailError on fewer than 2 frames or more than MAX_FRAMES.
    """
    if frames < 2:
        raise CocktailError(f"The number of frames is {frames}; a film has 2 to {MAX_FRAMES}.")
    if frames > MAX_FRAMES:
        raise CocktailError(
            f"{frames:,} frames are too many: at 25 frames a second they play for {frames / 25 / 60:,.1f} minutes. "
            f"Ask for at most {MAX_FRAMES}, and join several films instead."
        )
    last = frames if closed else frames - 1
    return [i / last for i in range(frames)]


def step_lengths(
    pictures: Tensor, distance: Callable[[Tensor, Tensor], Tensor], closed: bool = False, chunk: int = 16
) -> Tensor:
    """Distances between neighbours of pictures float32 [N, 3, H, W]: float32 [N - 1], or [N] back to the first."""
    after = pictures.roll(-1, dims=0)
    if not closed:
        pictures, after = pictures[:-1], after[:-1]
    pairs = zip(pictures.split(chunk), after.split(chunk))
    return torch.cat([distance(a, b) for a, b in pairs]).float().cpu()


def constant_speed(at: Sequence[float], lengths: Tensor, closed: bool = False) -> list[float]:
    """Positions, as many as before, between which the pictures change by equal amounts.

    `at` are the positions that were looked at, rising, and `lengths` the distances between their pictures (and back to
    the first where closed). The film is cut anew where the pictures' own arc length says (piecewise linear).
    """
    ends = [*at, 1.0] if closed else list(at)
    walked = torch.cat([torch.zeros(1), lengths.double().clamp(min=1e-9).cumsum(0)])
    wanted = torch.linspace(0, float(walked[-1]), len(ends), dtype=torch.float64)
    index = torch.searchsorted(walked, wanted, right=True).clamp(1, len(walked) - 1)
    low, high = walked[index - 1], walked[index]
    place = torch.tensor(ends, dtype=torch.float64)
    found = torch.lerp(place[index - 1], place[index], ((wanted - low) / (high - low)).clamp(0, 1))
    return found[: len(at)].tolist()
