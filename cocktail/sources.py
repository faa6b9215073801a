"""What a student learns from: a GAN, a mixture of sources, an image folder, a drawn domain."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from cocktail import domains, pictures
from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.images import from_pil, from_uint8, resize, to_uint8


class ImageSource(Protocol):
    """Pictures with class labels, drawn at random.

    Labels are those of a whole batch; `rows`, int64, are those of it that are wanted, where several processes share it:
    the source draws the random numbers of all and the pictures of these. They are given in such a case only.
    """

    classes: tuple[str, ...]
    resolution: int

    def sample_class(self, labels: Tensor, rng: torch.Generator, rows: Tensor | None = None) -> Tensor:
        """int64 [n] in [0, len(classes)) -> float32 [n or len(rows), 3, H, W] in [-1, 1]."""
        ...


class Pairs(ImageSource, Protocol):
    """A source that can say, where `paired` is true, which latent each picture belongs to.

    `contrast_lines` says for each class how many kinds of contrast there are: pairs of pictures that differ in one
    thing alone, for whoever fits a model to pairs and wants to see small things learnt.
    """

    paired: bool
    contrast_lines: tuple[int, ...]

    def sample_pairs(self, labels: Tensor, rng: torch.Generator, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """int64 [n] -> pictures float32 [n, 3, H, W] in [-1, 1] and their latents float32 [n, z_dim]; or of rows."""
        ...

    def sample_contrasts(
        self, labels: Tensor, lines: Tensor, rng: torch.Generator, rows: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """int64 [n], kind int64 [n] -> n pictures, then the n that differ, [2n, 3, H, W]; latents [2n, z_dim]."""
        ...


def of_rows(batch: Tensor, rows: Tensor | None) -> Tensor:
    """The rows int64 [m] of [n, ...]: [m, ...]; all where there are none."""
    return batch if rows is None else batch[rows]


def sample(source: ImageSource, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """n pictures with classes in equal shares at random: float32 [n, 3, H, W] in [-1, 1], int64 [n]."""
    labels = torch.randint(len(source.classes), (n,), generator=rng)
    return source.sample_class(labels, rng), labels


class GanSource:
    """Samples of a pretrained generator: the only data that merging needs.

    `picks` are the classes to take from a conditional model (default all), `names` what to call them (default their
    own; an unconditional model is one class, "image"). Pictures are resized to `resolution` when one is given.
    """

    def __init__(self, gan: Gan, picks: Sequence[str] = (), names: Sequence[str] = (), resolution: int | None = None):
        self.gan = gan
        picks = tuple(picks) or gan.classes
        self._picks = torch.tensor([gan.class_index(c) for c in picks], dtype=torch.long)
        self.classes = tuple(names) or picks or ("image",)
        if len(self.classes) != max(1, len(picks)):
            raise CocktailError(
                f"{len(self.classes)} names {self.classes} for {max(1, len(picks))} classes; give one each."
            )
        self.resolution = resolution or gan.resolution

    def sample_class(self, labels: Tensor, rng: torch.Generator, rows: Tensor | None = None) -> Tensor:
        z = torch.randn(len(labels), self.gan.z_dim, generator=rng)
        return self.draw(of_rows(z, rows), of_rows(labels, rows))

    @torch.no_grad()
    def draw(self, z: Tensor, labels: Tensor) -> Tensor:
        """The pictures of given latents float32 [n, z_dim]: float32 [n, 3, H, W] in [-1, 1]."""
        z = z.to(self.gan.device)
        if not len(z):
            return z.new_zeros(0, 3, self.resolution, self.resolution)
        c = self.gan.one_hot(self._picks[labels], len(labels)) if len(self._picks) else None
        images = self.gan.generator.synthesize(self.gan.generator.map(z, c)).clamp(-1, 1)
        return images if images.shape[-1] == self.resolution else resize(images, self.resolution)


class MixtureSource:
    """Several sources side by side; class i of the mixture is the i-th class of all sources in order."""

    def __init__(self, sources: Sequence[ImageSource]):
        self.sources = tuple(sources)
        self.classes = tuple(name for source in sources for name in source.classes)
        if len(set(self.classes)) != len(self.classes):
            raise CocktailError(f"class names must differ, found {', '.join(self.classes)}. Rename one of the sources.")
        sizes = {source.resolution for source in sources}
        if len(sizes) != 1:
            raise CocktailError(f"sources of {sorted(sizes)} px cannot be mixed. Give each the root's resolution.")
        self.resolution = sizes.pop()

    def sample_class(self, labels: Tensor, rng: torch.Generator, rows: Tensor | None = None) -> Tensor:
        images, start = None, 0
        for source in self.sources:
            here = ((labels >= start) & (labels < start + len(source.classes))).nonzero().flatten()
            if len(here):
                # Where rows are wanted: which of the source's labels they are, and where their pictures go.
                mine, place = (None, here) if rows is None else _shared(here, rows)
                part = source.sample_class(labels[here] - start, rng, *([] if mine is None else [mine]))
                if images is None:
                    images = part.new_empty(len(labels if rows is None else rows), *part.shape[1:])
                images[place.to(images.device)] = part.to(images.device)  # pictures of a folder are on the CPU
            start += len(source.classes)
        return images


def _shared(here: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """What two lists of numbers int64 have in common: positions in `here`, and in `rows`, int64 [k] each."""
    return (here[:, None] == rows).nonzero().unbind(dim=1)


class _PoolSource:
    """Pictures kept as uint8 [N, 3, H, W], one pool per class."""

    pools: list[Tensor]

    def _picks(self, labels: Tensor, rng: torch.Generator, rows: Tensor | None) -> list[tuple[int, int]]:
        """A random (pool, row) for each label, or for those that are wanted."""
        chances = of_rows(torch.rand(len(labels), generator=rng), rows).tolist()
        labels = of_rows(labels, rows).tolist()
        return [(c, int(chance * len(self.pools[c]))) for c, chance in zip(labels, chances, strict=True)]

    def _images(self, pools: list[Tensor], picks: list[tuple[int, int]]) -> Tensor:
        found = [pools[c][row] for c, row in picks]
        return from_uint8(torch.stack(found) if found else pools[0][:0])

    def sample_class(self, labels: Tensor, rng: torch.Generator, rows: Tensor | None = None) -> Tensor:
        return self._images(self.pools, self._picks(labels, rng, rows))


class DomainSource(_PoolSource):
    """Drawn domains (`cocktail.domains`), from a pool of `pool` drawings each, since drawing costs more than training.

    With a `z_dim` every drawing keeps the latent that its factors stand for (`domains.factors_to_latents`), and the
    source can give pairs. With `contrasts`, names of factors, there is a second drawing to each, in which one of these
    is drawn anew and all else stays, the noise in its latent too.
    """

    def __init__(
        self,
        names: Sequence[str],
        resolution: int,
        pool: int = 20_000,
        seed: int = 0,
        z_dim: int = 0,
        contrasts: Sequence[str] = (),
    ):
        self.classes, self.resolution, self.paired = tuple(names), resolution, bool(z_dim)
        self.contrast_lines = (int(bool(z_dim and contrasts)),) * len(self.classes)
        self.pools, self.latents, self.others, self.other_latents = [], [], [], []
        for name in names:
            domain, rng = domains.get(name), torch.Generator().manual_seed(seed)
            parts = [domain.draw(min(500, pool - i), rng, resolution) for i in range(0, pool, 500)]
            self.pools.append(torch.cat([to_uint8(images) for images, _ in parts]))
            if not z_dim:
                continue
            factors = {key: torch.cat([known[key] for _, known in parts]) for key in domain.factors}
            before = rng.get_state()
            self.latents.append(domains.factors_to_latents(domain, factors, z_dim, rng))
            if contrasts:
                changed = domains.one_changed(domain, factors, contrasts, torch.Generator().manual_seed(seed + 1))
                self.others.append(_drawn(domain, changed, resolution))
                rng.set_state(before)
                self.other_latents.append(domains.factors_to_latents(domain, changed, z_dim, rng))

    def sample_pairs(self, labels: Tensor, rng: torch.Generator, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """int64 [n] -> pictures float32 [n, 3, H, W] in [-1, 1] and their latents float32 [n, z_dim]; or of rows."""
        picks = self._picks(labels, rng, rows)
        return self._images(self.pools, picks), torch.stack([self.latents[c][row] for c, row in picks])

    def sample_contrasts(
        self, labels: Tensor, lines: Tensor, rng: torch.Generator, rows: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """As `Pairs` says, of the one kind there is: one of the factors named as `contrasts` is drawn anew."""
        picks = self._picks(labels, rng, rows)
        images = [self._images(pools, picks) for pools in (self.pools, self.others)]
        codes = [codes[c][row] for codes in (self.latents, self.other_latents) for c, row in picks]
        return torch.cat(images), torch.stack(codes)


def _drawn(domain: domains.Domain, factors: dict[str, Tensor], resolution: int, chunk: int = 500) -> Tensor:
    """The drawings of factors, uint8 [n, 3, R, R], a chunk at a time."""
    columns = {name: values.split(chunk) for name, values in factors.items()}
    parts = [{name: column[i] for name, column in columns.items()} for i in range(len(columns["yaw"]))]
    return torch.cat([to_uint8(domain.render(part, resolution)) for part in parts])


class FolderSource(_PoolSource):
    """A folder or zip of pictures as one class, cropped to the centre square and resized.

    Raises:
        CocktailError: no picture inside, or a broken one (named), or one that is too large.
    """

    def __init__(self, path: str | Path, resolution: int, name: str | None = None):
        path = Path(path).expanduser()
        self.classes, self.resolution = (name or path.resolve().stem,), resolution
        found = [from_pil([image], resolution) for image in pictures.read(path)]
        if not found:
            raise CocktailError(f"{path}: no pictures found; expected files ending in {', '.join(pictures.SUFFIXES)}.")
        self.pools = [torch.cat(found)]
