"""How much each weight matters to a GAN: the diagonal of the Fisher information, from its own samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from cocktail.gan import Gan

LEAST = 1e-3  # of the mean: below it a weight matters as little as nothing, and a division by it would be noise


@dataclass(frozen=True)
class Fisher:
    """E[(d loss / d theta)^2] of every parameter by name, float32 of its shape, each network's divided by its mean."""

    generator: Mapping[str, Tensor]
    discriminator: Mapping[str, Tensor]


def fisher_information(gan: Gan, classes: Sequence[str], samples: int, seed: int) -> Fisher:
    """The diagonal Fisher information of both networks on generated pictures of the classes named.

    Squared gradients of softplus(-D(G(z))), one picture at a time (Li et al. 2020, "Few-shot Image Generation with
    Elastic Weight Consolidation", section 3). No other picture is needed.
    """
    gan, rng = gan.copy(), torch.Generator().manual_seed(seed)
    networks = (gan.generator.requires_grad_(True), gan.discriminator.requires_grad_(True))
    parameters = [p for network in networks for p in network.parameters()]
    sums = [torch.zeros_like(p) for p in parameters]
    for number in range(samples):
        z = torch.randn(1, gan.z_dim, generator=rng).to(gan.device)
        c = gan.one_hot(classes[number % len(classes)], 1) if gan.classes else None
        images = gan.generator.synthesize(gan.generator.map(z, c), "none")
        loss = F.softplus(-gan.discriminator(images, c)).sum()
        for total, gradient in zip(sums, torch.autograd.grad(loss, parameters, allow_unused=True), strict=True):
            if gradient is not None:
                total += gradient.square() / samples
    found = iter(sums)
    return Fisher(*(_scaled({name: next(found) for name, _ in n.named_parameters()}) for n in networks))


def _scaled(sums: Mapping[str, Tensor]) -> dict[str, Tensor]:
    mean = sum(s.sum() for s in sums.values()) / sum(s.numel() for s in sums.values())
    return {name: s / mean.clamp_min(1e-30) for name, s in sums.items()}


@torch.no_grad()
def fisher_average(gans: Sequence[Gan], fishers: Sequence[Fisher], plain: Gan, shares: Sequence[float]) -> Gan:
    """The mean of models where a weight counts as much as it matters to its model (Matena and Raffel 2022, eq. 4).

    theta = sum_i share_i F_i theta_i / sum_i share_i F_i for parameters; buffers are those of the `plain` average.
    """
    result = plain.copy()
    for part in ("generator", "discriminator"):
        rows = [dict(getattr(gan, part).named_parameters()) for gan in gans]
        for name, target in getattr(result, part).named_parameters():
            weights = [share * (getattr(f, part)[name] + LEAST).double() for f, share in zip(fishers, shares)]
            terms = [w * row[name].double() for w, row in zip(weights, rows, strict=True)]
            target.copy_(torch.stack(terms).sum(0) / torch.stack(weights).sum(0))
    return replace(result, card={})
