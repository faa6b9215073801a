"""The losses of StyleGAN2 and R3GAN as functions of logits and pictures."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from cocktail.parallel import ALONE, Team


def adversarial_losses(kind: str, real: Tensor, fake: Tensor) -> Tensor:
    """Loss of the side that wants `real` above `fake`, from logits [N, 1]; the generator swaps the two.

    "nonsaturating": softplus(-real) + softplus(fake) (Goodfellow et al. 2014, logistic as in StyleGAN2);
    "relativistic": softplus(fake - real) on pairs (Jolicoeur-Martineau 2018; R3GAN, Huang et al. 2024, equation 2).
    """
    if kind == "relativistic":
        return F.softplus(fake - real).mean()
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def gradient_penalty(images: Tensor, logits: Tensor) -> Tensor:
    """E |d logit / d image|^2, a scalar: R1 on real pictures (Mescheder et al. 2018, eq. 9), R2 on generated ones."""
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.square().sum(dim=[1, 2, 3]).mean()


def path_length_penalty(
    images: Tensor, ws: Tensor, average: Tensor, noise: Tensor, team: Team = ALONE
) -> tuple[Tensor, Tensor]:
    """(E (|J^T y| - a)^2, new a) with y ~ `noise`/sqrt(pixels) and a the running mean (StyleGAN2, equation 4).

    The running mean is that of the pictures of the whole team.
    """
    noise = noise / math.sqrt(images.shape[2] * images.shape[3])
    (gradient,) = torch.autograd.grad((images * noise).sum(), ws, create_graph=True)
    lengths = gradient.square().sum(dim=2).mean(dim=1).sqrt()
    mean = lengths.mean().detach()
    team.mean_([mean])
    average = average.lerp(mean, 0.01)
    return (lengths - average).square().mean(), average
