"""The factors of a drawing as a standard normal latent, so that pictures can be paired with z."""

from collections.abc import Sequence

import torch
from torch import Tensor

from cocktail.domains.registry import Domain
from cocktail.errors import CocktailError


def factors_to_latents(domain: Domain, factors: dict[str, Tensor], z_dim: int, rng: torch.Generator) -> Tensor:
    """Factors (name -> float32 [N]) as latents of length sqrt(z_dim): float32 [N, z_dim].

    A continuous factor passes through the normal quantile function, a binary one gives the sign of a normal number;
    the rest of z is noise of a random direction that fills the length up; one random rotation mixes all of it. For
    z_dim well above the number of factors the result is close to normal.

    The length matters since a mapping network sees z at unit rms only: were it free, it would scale every factor by an
    unknown amount, and the best fit would be a blur.

    Raises:
        CocktailError: z has no dimension left besides the domain's factors.
    """
    if z_dim <= len(domain.factors):
        raise CocktailError(
            f"z_dim is {z_dim}; {domain.name} has {len(domain.factors)} factors, so it must be greater."
        )
    columns = []
    for name in domain.factors:
        value, (low, high) = factors[name], domain.ranges[name]
        if name in domain.binary:
            columns.append(torch.randn(value.shape, generator=rng).abs() * (2 * value - 1))
        else:
            columns.append(torch.special.ndtri(((value - low) / (high - low)).clamp(1e-4, 1 - 1e-4)))
    known = torch.stack(columns, dim=1)
    noise = torch.randn(len(known), z_dim - len(columns), generator=rng)
    left = (z_dim - known.square().sum(dim=1, keepdim=True)).clamp(min=0).sqrt()
    rotation = torch.linalg.qr(torch.randn(z_dim, z_dim, generator=rng))[0]
    return torch.cat([known, noise * left / noise.norm(dim=1, keepdim=True)], dim=1) @ rotation


def one_changed(
    domain: Domain, factors: dict[str, Tensor], names: Sequence[str], rng: torch.Generator
) -> dict[str, Tensor]:
    """The factors with one of `names`, another for each drawing, drawn anew: name -> float32 [N].

    A binary factor takes its other value. Raises: CocktailError where the domain has no such factor.
    """
    unknown = [name for name in names if name not in domain.factors]
    if unknown:
        raise CocktailError(f"{domain.name} has no factor {unknown[0]!r}; it has {', '.join(domain.factors)}.")
    count = len(factors[domain.factors[0]])
    fresh = domain.sample(count, rng) | {name: 1 - factors[name] for name in domain.binary}
    chosen = torch.randint(len(names), (count,), generator=rng)
    changed = {name: torch.where(chosen == i, fresh[name], factors[name]) for i, name in enumerate(names)}
    return factors | changed
