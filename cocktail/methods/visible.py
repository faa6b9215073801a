"""What of a latent shows in pictures, and which small thing of a source is like which small thing of the root.

Samples of rooted models (`cocktail.methods.alignment`) say which pose, place and tone of a source belong to the root's.
Of small things, like a smile, they say nothing: they left the directions of z that those have to chance. But much of z
is dead in the root's mapping network, and a smile that falls on such a direction is never learnt in a union. So small
things are matched by where in the picture they show: the face's mouth then moves with what moves the cat's.
"""

from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from cocktail import ops
from cocktail.sources import GanSource

BATCH = 50
PROBES, STEP = 48, 0.25  # latents at which the change of the picture is measured, and how far each is moved
LEAST_SHARE = 1e-3  # of the mean squared change along the strongest direction; smiles of drawn cats have 2e-3
LOOKS = 64  # pictures in which a step along one direction is looked at
# Mean product of the root's latent and the one encoded from the rooted picture along a direction: from here on samples
# decide. Of the drawn domains pose, place, size and tone have 0.2 to 0.9, smiles and eyes 0.02 to 0.1.
DETERMINED = 0.15
LIVE = 0.05  # of the largest change: what the root shows less is hardly alive in its mapping network


@dataclass(frozen=True)
class View:
    """The K directions along which pictures of one class change, and what a step from -1 to 1 along each does."""

    lines: Tensor  # float32 [K, z_dim], orthonormal
    changes: Tensor  # float32 [K, 3 * H * W]: mean change
    energies: Tensor  # float32 [K, H * W]: mean squared change


@torch.no_grad()
def visible_directions(source: GanSource, index: int, rng: torch.Generator) -> Tensor:
    """Directions of a source's z along which pictures of class number `index` change: float32 [K, z_dim], orthonormal.

    The eigenvectors of E[J J^T], J the Jacobian of the picture by finite differences, whose eigenvalue is at least
    LEAST_SHARE of the largest; many latents move nothing that can be seen. At least one is given, the strongest last.
    """
    dim = source.gan.z_dim
    metric = torch.zeros(dim, dim, dtype=torch.float64)
    for z in ops.normalize_second_moment(torch.randn(PROBES, dim, generator=rng)):
        steps = torch.cat([torch.zeros(1, dim), STEP * torch.eye(dim)])
        parts = (z + steps).split(BATCH)
        images = torch.cat([source.draw(part, torch.full((len(part),), index)).flatten(1).cpu() for part in parts])
        changes = (images[1:] - images[:1]).double() / STEP
        metric += changes @ changes.t() / (PROBES * images.shape[1])
    values, vectors = torch.linalg.eigh(metric)
    return vectors.t()[values >= LEAST_SHARE * values[-1]].float()


@torch.no_grad()
def view(source: GanSource, index: int, rng: torch.Generator) -> View:
    """What class number `index` of a source shows."""
    lines, changes, energies = visible_directions(source, index, rng), [], []
    z = ops.normalize_second_moment(torch.randn(LOOKS, source.gan.z_dim, generator=rng))
    labels = torch.full((LOOKS,), index)
    for line in lines:
        middle = z - (z @ line)[:, None] * line
        change = (source.draw(middle + line, labels) - source.draw(middle - line, labels)).cpu()
        changes.append(change.mean(dim=0).flatten())
        energies.append(change.square().mean(dim=(0, 1)).flatten())
    return View(lines, torch.stack(changes), torch.stack(energies))


def matched(root: View, source: View, agreement: Tensor) -> tuple[Tensor, Tensor]:
    """Pairs of directions that belong together, of root and source: float32 [P, root's z_dim], [P, source's z_dim].

    `agreement` float32 [root's z_dim, source's z_dim] is the mean product of latents, known from samples. What it
    determines is left alone. The rest is paired so that the overlap of what the two change, times its size, is largest.
    """
    known = root.lines @ agreement @ source.lines.t()
    strength = root.energies.mean(dim=1)
    ours = ((known.norm(dim=1) < DETERMINED) & (strength >= LIVE * strength.max())).nonzero().flatten()
    theirs = (known.norm(dim=0) < DETERMINED).nonzero().flatten()
    a, b = root.energies[ours], source.energies[theirs]
    overlap = _unit(a) @ _unit(b).t() * (a.mean(dim=1)[:, None] * b.mean(dim=1)).pow(0.25)
    rows, columns = (torch.as_tensor(i) for i in linear_sum_assignment(-overlap.numpy()))
    rows, columns = ours[rows], theirs[columns]
    same = (_unit(root.changes[rows]) * _unit(source.changes[columns])).sum(dim=1, keepdim=True) >= 0
    return root.lines[rows], torch.where(same, 1.0, -1.0) * source.lines[columns]


def _unit(x: Tensor) -> Tensor:
    return torch.nn.functional.normalize(x, dim=1)
