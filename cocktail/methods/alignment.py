"""Which latent of a source belongs to which latent of the root: found from samples alone, without any image data.

A rooted model draws the source's class from the root's latent, and keeps much of the root's picture: its pose, place,
background. So its picture of z can be looked up in the source's own latent space: a linear encoder, fitted on samples
of the source, reads a latent from it, and the rotation that fits best (orthogonal Procrustes, Schoenemann 1966) makes
of many such pairs a map from the root's z to the source's. A rotation keeps z normal. The source's own generator can
then be asked for the picture that belongs to z, which is sharper than the rooted model's and as well aligned.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from cocktail import ops
from cocktail.gan import Gan
from cocktail.methods.registry import Context
from cocktail.sources import GanSource, MixtureSource

SAMPLES = 6000
BATCH = 50
# Heavy, since the encoder is asked about pictures of another model than it was fitted on. Of 0.01 to 100, chosen on the
# drawn domains as a compromise: yaw was kept best at 10 for dogs, and at 100, hardly better, for faces and cars.
RIDGE = 10.0
PROBES, STEP = 48, 0.25  # latents at which the change of the picture is measured, and how far each is moved
LEAST_SHARE = 1e-3  # of the mean squared change along the strongest direction; smiles of drawn cats have 2e-3


class AlignedSource(MixtureSource):
    """The samples of all sources, each with the latent of the root that it belongs to.

    `rooted` holds one model for each source, of the same latent space; the first is the root itself, whose latents need
    no map. The maps are found when pictures are first asked for, since a finished stage asks for none.
    """

    paired = True

    def __init__(self, sources: Sequence[GanSource], rooted: Sequence[Gan], ctx: Context):
        super().__init__(sources)
        self.rooted, self.ctx = tuple(rooted), ctx
        self._maps: list[list[Tensor]] = []
        self._directions: list[Tensor] = []  # of each class, in the root's space

    def sample_pairs(self, labels: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """int64 [n] -> pictures float32 [n, 3, H, W] in [-1, 1] and the root's latents float32 [n, z_dim]."""
        z = torch.randn(len(labels), self.rooted[0].z_dim, generator=rng)
        return self._draw(z, labels), z

    @property
    def contrast_lines(self) -> tuple[int, ...]:
        """For each class, how many directions of its latent show in its pictures (`visible_directions`)."""
        if not self._directions:
            self._directions = self._find_directions()
        return tuple(map(len, self._directions))

    def sample_contrasts(self, labels: Tensor, lines: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """int64 [n], int64 [n] -> n pictures, then the n with one thing changed, float32 [2n, 3, H, W], with latents.

        What changes is the part of z along the direction of that number: the whole picture, or just a mouth.
        """
        assert self.contrast_lines
        z = normalized(torch.randn(len(labels), self.rooted[0].z_dim, generator=rng))
        along = torch.stack([self._directions[i][k] for i, k in zip(labels.tolist(), lines.tolist(), strict=True)])
        step = torch.randn(len(labels), 1, generator=rng) - (z * along).sum(dim=1, keepdim=True)
        z = torch.cat([z, z + step * along])
        return self._draw(z, labels.repeat(2)), z

    def _draw(self, z: Tensor, labels: Tensor) -> Tensor:
        """The pictures of the root's latents float32 [n, z_dim]: float32 [n, 3, H, W]."""
        if not self._maps:
            self._maps = self._align()
        images, start = None, 0
        for source, maps in zip(self.sources, self._maps, strict=True):
            for index, rotation in enumerate(maps):
                here = (labels == start + index).nonzero().flatten()
                if len(here):
                    part = source.draw(normalized(z[here]) @ rotation, torch.full_like(here, index))
                    images = part.new_empty(len(labels), *part.shape[1:]) if images is None else images
                    images[here.to(part.device)] = part
            start += len(maps)
        return images

    def _find_directions(self) -> list[Tensor]:
        self._maps = self._maps or self._align()
        found = []
        for source, maps in zip(self.sources, self._maps, strict=True):
            for index, rotation in enumerate(maps):
                rng = torch.Generator().manual_seed(self.ctx.seed + len(found))
                lines = visible_directions(source, index, rng) @ rotation.t()
                found.append(lines / lines.norm(dim=1, keepdim=True))
                self.ctx.record(f"visible_directions/{source.classes[index]}", len(lines))
        return found

    def _align(self) -> list[list[Tensor]]:
        root, found = self.sources[0], []
        found.append([torch.eye(root.gan.z_dim) for _ in root.classes])
        for source, model in zip(self.sources[1:], self.rooted[1:], strict=True):
            found.append([])
            for index, name in enumerate(source.classes):
                rng = torch.Generator().manual_seed(self.ctx.seed + len(found))
                rotation, agreement = align(model, source, index, rng)
                found[-1].append(rotation)
                self.ctx.record(f"alignment/{name}", agreement)
        return found


def normalized(z: Tensor) -> Tensor:
    """z float32 [N, D] at its typical length sqrt(D): all that a generator sees of it."""
    return ops.normalize_second_moment(z)


@torch.no_grad()
def align(model: Gan, source: GanSource, index: int, rng: torch.Generator) -> tuple[Tensor, float]:
    """The rotation from the rooted model's z to the source's, for class number `index` of the source.

    Returns float32 [z_dim of the model, z_dim of the source] and the mean cosine between mapped and encoded latents: 0
    for unrelated spaces, 1 where the source's latent is known exactly.
    """
    name, theirs, ours, targets, latents = source.classes[index], [], [], [], []
    for _ in range(0, SAMPLES, BATCH):
        labels = torch.full((BATCH,), index)
        z = torch.randn(BATCH, source.gan.z_dim, generator=rng)
        theirs.append(_features(model, source.draw(z, labels)))
        targets.append(normalized(z))
        z = torch.randn(BATCH, model.z_dim, generator=rng)
        ours.append(_features(model, _sample(model, z, name)))
        latents.append(normalized(z))
    encoded = _regress(torch.cat(theirs), torch.cat(targets), torch.cat(ours))
    z = torch.cat(latents)
    u, _, vt = torch.linalg.svd(z.t() @ encoded, full_matrices=False)
    rotation = u @ vt
    return rotation, F.cosine_similarity(z @ rotation, encoded, dim=1).mean().item()


@torch.no_grad()
def visible_directions(source: GanSource, index: int, rng: torch.Generator) -> Tensor:
    """Directions of a source's z along which pictures of class number `index` change: float32 [K, z_dim], orthonormal.

    The eigenvectors of E[J J^T], J the Jacobian of the picture by finite differences, whose eigenvalue is at least
    LEAST_SHARE of the largest; many latents move nothing that can be seen. At least one is given.
    """
    dim = source.gan.z_dim
    metric = torch.zeros(dim, dim, dtype=torch.float64)
    for z in normalized(torch.randn(PROBES, dim, generator=rng)):
        steps = torch.cat([torch.zeros(1, dim), STEP * torch.eye(dim)])
        parts = (z + steps).split(BATCH)
        images = torch.cat([source.draw(part, torch.full((len(part),), index)).flatten(1).cpu() for part in parts])
        changes = (images[1:] - images[:1]).double() / STEP
        metric += changes @ changes.t() / (PROBES * images.shape[1])
    values, vectors = torch.linalg.eigh(metric)
    return vectors.t()[values >= LEAST_SHARE * values[-1]].float()


def _sample(model: Gan, z: Tensor, name: str) -> Tensor:
    z = z.to(model.device)
    return model.generator.synthesize(model.generator.map(z, model.one_hot(name, len(z)))).clamp(-1, 1)


def _features(model: Gan, images: Tensor) -> Tensor:
    """The discriminator's last two maps at 4x4: float32 [N, features], on the CPU."""
    maps = [F.adaptive_avg_pool2d(a, 4) for a in model.discriminator.activations(images)[-3:-1]]
    return torch.cat([m.flatten(1) for m in maps], dim=1).float().cpu()


def _regress(known: Tensor, targets: Tensor, asked: Tensor) -> Tensor:
    """Ridge regression from `known` [N, F] to `targets` [N, Z], applied to `asked` [M, F]: float32 [M, Z]."""
    mean, scale = known.mean(dim=0), known.std(dim=0) + 1e-6
    x = ((known - mean) / scale).double()
    gram = x.t() @ x / len(x)
    gram += RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=x.dtype)
    weights = torch.linalg.solve(gram, x.t() @ targets.double() / len(x))
    # Rooted pictures lie a little aside of the source's: each set is centred by itself.
    return (((asked - asked.mean(dim=0)) / scale).double() @ weights).float()
