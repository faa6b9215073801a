"""Which latent of a source belongs to which latent of the root: found from samples alone, without any image data.

A rooted model draws the source's class from the root's latent, and keeps much of the root's picture: its pose, place,
background. So its picture of z can be looked up in the source's own latent space: a linear encoder, fitted on samples
of the source, reads a latent from it, and the rotation that fits best (orthogonal Procrustes, Schoenemann 1966) makes
of many such pairs a map from the root's z to the source's. A rotation keeps z normal. The source's own generator can
then be asked for the picture that belongs to z, which is sharper than the rooted model's and as well aligned.

Pictures of a folder have no latents. Their class follows the model that is rooted on them, whose latents are the root's
already: it is as well aligned, but what that model has not learnt of the pictures the union does not see either.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from cocktail import ops, parallel
from cocktail.gan import Gan
from cocktail.methods.registry import Context
from cocktail.methods.visible import View, matched, view, visible_directions
from cocktail.sources import GanSource, ImageSource, MixtureSource, of_rows

SAMPLES = 6000
BATCH = 50
# Heavy, since the encoder is asked about pictures of another model than it was fitted on. Of 0.01 to 100, chosen on the
# drawn domains as a compromise: yaw was kept best at 10 for dogs, and at 100, hardly better, for faces and cars.
RIDGE = 10.0


class PairedSource(MixtureSource):
    """The samples of all sources, each with the latent of the student that it belongs to.

    A rotation from the student's z to the source's, one for each class, says which. They are found when pictures are
    first asked for, since a finished stage asks for none.
    """

    paired = True

    def __init__(self, sources: Sequence[GanSource], z_dim: int, ctx: Context):
        super().__init__(sources)
        self.z_dim, self.ctx = z_dim, ctx
        self._maps: list[list[Tensor]] = []  # of each source, of each of its classes
        self._directions: list[Tensor] = []  # of each class, in the student's space

    def sample_pairs(self, labels: Tensor, rng: torch.Generator, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """int64 [n] -> pictures float32 [n, 3, H, W] in [-1, 1], student's latents float32 [n, z_dim]; or of rows."""
        z = of_rows(torch.randn(len(labels), self.z_dim, generator=rng), rows)
        return self._draw(z, of_rows(labels, rows)), z

    @property
    def contrast_lines(self) -> tuple[int, ...]:
        """For each class, how many directions of its latent show in its pictures (`visible_directions`)."""
        if not self._directions:
            self._directions = parallel.current().same(self._find_directions())
        return tuple(map(len, self._directions))

    def sample_contrasts(
        self, labels: Tensor, lines: Tensor, rng: torch.Generator, rows: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """int64 [n], int64 [n] -> n pictures, then the n with one thing changed, float32 [2n, 3, H, W], with latents.

        What changes is the part of z along the direction of that number: the whole picture, or just a mouth.
        """
        assert self.contrast_lines
        z = normalized(torch.randn(len(labels), self.z_dim, generator=rng))
        along = torch.stack([self._directions[i][k] for i, k in zip(labels.tolist(), lines.tolist(), strict=True)])
        step = torch.randn(len(labels), 1, generator=rng) - (z * along).sum(dim=1, keepdim=True)
        z = torch.cat([of_rows(z, rows), of_rows(z + step * along, rows)])
        return self._draw(z, of_rows(labels, rows).repeat(2)), z

    def find_maps(self) -> list[list[Tensor]]:
        """The rotations float32 [z_dim, z_dim of the source], a list of one for each class of each source.

        Here latents of student and source are the same numbers: classes have nothing to do with each other.
        """
        return [[torch.eye(self.z_dim, source.gan.z_dim)] * len(source.classes) for source in self.sources]

    @property
    def maps(self) -> list[list[Tensor]]:
        """The main process's maps, for all: what a GPU computes may differ in the last bit."""
        self._maps = self._maps or parallel.current().same(self.find_maps())
        return self._maps

    def _draw(self, z: Tensor, labels: Tensor) -> Tensor:
        """The pictures of the student's latents float32 [n, z_dim]: float32 [n, 3, H, W]."""
        images, start = None, 0
        for source, maps in zip(self.sources, self.maps, strict=True):
            for index, rotation in enumerate(maps):
                here = (labels == start + index).nonzero().flatten()
                if len(here):
                    part = source.draw(normalized(z[here]) @ rotation, torch.full_like(here, index))
                    images = part.new_empty(len(labels), *part.shape[1:]) if images is None else images
                    images[here.to(part.device)] = part
            start += len(maps)
        return images

    def _find_directions(self) -> list[Tensor]:
        found = []
        for source, maps in zip(self.sources, self.maps, strict=True):
            for index, rotation in enumerate(maps):
                rng = torch.Generator().manual_seed(self.ctx.seed + len(found))
                lines = visible_directions(source, index, rng) @ rotation.t()
                found.append(lines / lines.norm(dim=1, keepdim=True))
                self.ctx.record(f"visible_directions/{source.classes[index]}", len(lines))
        return found


class AlignedSource(PairedSource):
    """Pairs whose latents the rooted models align with the root's.

    `rooted` holds one model for each source, of the same latent space; the first is the root itself, whose latents need
    no map. In place of a source that is no model come samples of the model rooted on it (`with_latents`), never its own
    pictures. With `match`, small things of which samples say nothing are matched to the root's (of its first class) by
    where they show.
    """

    def __init__(self, sources: Sequence[ImageSource], rooted: Sequence[Gan], ctx: Context, match: bool = False):
        super().__init__([with_latents(*pair) for pair in zip(sources, rooted, strict=True)], rooted[0].z_dim, ctx)
        self.rooted, self.match = tuple(rooted), match

    def find_maps(self) -> list[list[Tensor]]:
        """As of any `PairedSource`, by `align`."""
        root, found = self.sources[0], []
        found.append([torch.eye(root.gan.z_dim) for _ in root.classes])
        seen = view(root, 0, torch.Generator().manual_seed(self.ctx.seed)) if self.match else None
        for source, model in zip(self.sources[1:], self.rooted[1:], strict=True):
            found.append([])
            for index, name in enumerate(source.classes):
                if source.gan is model:
                    rotation, agreement = torch.eye(model.z_dim), "not needed: it follows the model rooted on pictures"
                else:
                    rng = torch.Generator().manual_seed(self.ctx.seed + len(found))
                    rotation, agreement = align(model, source, index, rng, seen)
                found[-1].append(rotation)
                self.ctx.record(f"alignment/{name}", agreement)
        return found


def with_latents(source: ImageSource, rooted: Gan) -> GanSource:
    """The source where it is a model; where it has no latents, the samples of the model that is rooted on it."""
    return source if isinstance(source, GanSource) else GanSource(rooted, source.classes)


def normalized(z: Tensor) -> Tensor:
    """z float32 [N, D] at its typical length sqrt(D): all that a generator sees of it."""
    return ops.normalize_second_moment(z)


@torch.no_grad()
def align(
    model: Gan, source: GanSource, index: int, rng: torch.Generator, root: View | None = None
) -> tuple[Tensor, float]:
    """The rotation from the rooted model's z to the source's, for class number `index` of the source.

    With what the `root` shows, small things are matched first and the rest of the rotation is fitted beside them.
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
    agreement = z.t() @ encoded / len(z)
    pairs = matched(root, view(source, index, rng), agreement) if root else (z[:0], encoded[:0])
    rotation = rotation_through(*pairs, agreement)
    return rotation, F.cosine_similarity(z @ rotation, encoded, dim=1).mean().item()


def rotation_through(ours: Tensor, theirs: Tensor, agreement: Tensor) -> Tensor:
    """The rotation float32 [D, Z] that fits `agreement` [D, Z] best of those that map `ours` [P, D] to `theirs` [P, Z].

    Both are orthonormal. Where D and Z differ, orthogonal directions of the smaller space are mapped.
    """
    a, b = _complement(ours), _complement(theirs)
    u, _, vt = torch.linalg.svd(a @ agreement @ b.t(), full_matrices=False)
    return ours.t() @ theirs + a.t() @ u @ vt @ b


def _complement(lines: Tensor) -> Tensor:
    """An orthonormal basis [D - P, D] of what is orthogonal to P directions [P, D]."""
    if not len(lines):
        return torch.eye(lines.shape[1])
    return torch.linalg.svd(lines, full_matrices=True)[2][len(lines) :]


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
