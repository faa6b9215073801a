"""Drawn domains by name, and what a domain is."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cocktail.domains.sdf import Canvas
from cocktail.errors import CocktailError
from cocktail.images import resize

PIXELS_AT_ONCE = 2**17  # 32 pictures of 64x64: the canvas of a chunk stays in the cache
NATIVE = 64  # smaller pictures are this one reduced, as features below a pixel cannot be anti-aliased from distances
LEAST, GREATEST = 8, 1024

DOMAINS: dict[str, "Domain"] = {}


@dataclass(frozen=True)
class Domain:
    """A kind of picture that is drawn from independent, uniformly distributed, known factors.

    ranges: factor -> (least, greatest); binary: those that are 0 or 1.
    paint(canvas, f): draws the factors f, float32 [n,1,1,1] each.
    """

    name: str
    ranges: dict[str, tuple[float, float]]
    binary: tuple[str, ...]
    paint: Callable[[Canvas, dict[str, Tensor]], None]

    @property
    def factors(self) -> tuple[str, ...]:
        """Names of the factors, in the order in which they are drawn at random."""
        return tuple(self.ranges)

    def deviation(self, factor: str) -> float:
        """Standard deviation of a factor over drawings: uniform in its range, or two equal halves if binary."""
        low, high = self.ranges[factor]
        return (high - low) * (0.5 if factor in self.binary else 12**-0.5)

    def draw(self, n: int, rng: torch.Generator, resolution: int = NATIVE) -> tuple[Tensor, dict[str, Tensor]]:
        """Draws n random pictures, float32 [n,3,R,R] in [-1,1], with their factors, name -> float32 [n].

        rng: a generator on the CPU; the first pictures do not depend on n. Raises: CocktailError as render() does.
        """
        factors = self.sample(n, rng)
        return self.render(factors, resolution), factors

    def sample(self, n: int, rng: torch.Generator) -> dict[str, Tensor]:
        """Draws the factors of n pictures: name -> float32 [n]."""
        uniform = torch.rand(n, len(self.ranges), generator=rng)
        factors = {}
        for (name, (low, high)), u in zip(self.ranges.items(), uniform.unbind(1)):
            factors[name] = (u < 0.5).float() if name in self.binary else low + (high - low) * u
        return factors

    @torch.no_grad()
    def render(self, factors: dict[str, Tensor], resolution: int = NATIVE) -> Tensor:
        """Draws given factors, name -> float32 [n], as float32 [n,3,R,R] in [-1,1].

        Raises: CocktailError where factors are missing or unknown, or the resolution is out of range.
        """
        if set(factors) != set(self.ranges):
            known, found = ", ".join(self.factors), ", ".join(factors)
            raise CocktailError(f"factors of {self.name!r} are {known}; found {found}: give each of them once")
        if not LEAST <= resolution <= GREATEST:
            raise CocktailError(f"resolution is {resolution}; drawings can have {LEAST} to {GREATEST} pixels a side")
        columns = {name: factors[name].float().view(-1, 1, 1, 1) for name in self.ranges}
        side = max(resolution, NATIVE)
        img = torch.empty(len(columns["yaw"]), 3, resolution, resolution)
        chunk = max(1, PIXELS_AT_ONCE // side**2)
        for start in range(0, len(img), chunk):
            part = {name: column[start : start + chunk] for name, column in columns.items()}
            canvas = Canvas(len(part["yaw"]), side)
            self.paint(canvas, part)
            img[start : start + chunk] = resize(canvas.img, resolution)
        return img.mul_(2).sub_(1).clamp_(-1, 1)


def register(domain: Domain) -> Domain:
    """Adds a domain under its name; a later one of the same name replaces it."""
    DOMAINS[domain.name] = domain
    return domain


def get(name: str) -> Domain:
    """Gives the domain of that name. Raises: CocktailError on an unknown name."""
    if name not in DOMAINS:
        raise CocktailError(f"no drawn domain is called {name!r}; choose one of {', '.join(DOMAINS)}")
    return DOMAINS[name]


def names() -> tuple[str, ...]:
    """Names of all domains, in the order of registration."""
    return tuple(DOMAINS)
