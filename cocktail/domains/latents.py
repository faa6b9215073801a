"""The factors of a drawing as a standard normal latent, so that pictures can be paired with z."""

import torch
from torch import Tensor

from cocktail.domains.registry import Domain
from cocktail.errors import CocktailError


def factors_to_latents(domain: Domain, factors: dict[str, Tensor], z_dim: int, rng: torch.Generator) -> Tensor:
    """Factors (name -> float32 [N]) as standard normal latents: float32 [N, z_dim].

    A continuous factor passes through the normal quantile function, a binary one gives the sign of a normal number;
    what is left of z is noise; one random rotation mixes all of it.

    Raises:
        CocktailError: z has fewer dimensions than the domain has factors.
    """
    if z_dim < len(domain.factors):
        raise CocktailError(
            f"z_dim is {z_dim}; {domain.name} has {len(domain.factors)} factors, so it must be as many."
        )
    columns = []
    for name in domain.factors:
        value, (low, high) = factors[name], domain.ranges[name]
        if name in domain.binary:
            columns.append(torch.randn(value.shape, generator=rng).abs() * (2 * value - 1))
        else:
            columns.append(torch.special.ndtri(((value - low) / (high - low)).clamp(1e-4, 1 - 1e-4)))
    noise = torch.randn(len(columns[0]), z_dim - len(columns), generator=rng)
    rotation = torch.linalg.qr(torch.randn(z_dim, z_dim, generator=rng))[0]
    return torch.cat([torch.stack(columns, dim=1), noise], dim=1) @ rotation
