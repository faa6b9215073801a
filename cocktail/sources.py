"""What a student learns from: a GAN, a mixture of sources, an image folder, a drawn domain."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cocktail import domains
from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.images import DECODING_ERRORS, from_pil, from_uint8, resize, to_uint8

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
MAX_PIXELS, MAX_BYTES = 50_000_000, 400_000_000  # of one picture


class ImageSource(Protocol):
    """Pictures with class labels, drawn at random."""

    classes: tuple[str, ...]
    resolution: int

    def sample_class(self, labels: Tensor, rng: torch.Generator) -> Tensor:
        """int64 [n] in [0, len(classes)) -> float32 [n, 3, H, W] in [-1, 1]."""
        ...


class Pairs(ImageSource, Protocol):
    """A source that can say, where `paired` is true, which latent each picture belongs to.

    `contrast_lines` says for each class how many kinds of contrast there are: pairs of pictures that differ in one
    thing alone, for whoever fits a model to pairs and wants to see small things learnt.
    """

    paired: bool
    contrast_lines: tuple[int, ...]

    def sample_pairs(self, labels: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """int64 [n] -> pictures float32 [n, 3, H, W] in [-1, 1] and their latents float32 [n, z_dim]."""
        ...

    def sample_contrasts(self, labels: Tensor, lines: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """int64 [n], kind int64 [n] -> n pictures, then the n that differ, [2n, 3, H, W]; latents [2n, z_dim]."""
        ...


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

    def sample_class(self, labels: Tensor, rng: torch.Generator) -> Tensor:
        return self.draw(torch.randn(len(labels), self.gan.z_dim, generator=rng), labels)

    @torch.no_grad()
    def draw(self, z: Tensor, labels: Tensor) -> Tensor:
        """The pictures of given latents float32 [n, z_dim]: float32 [n, 3, H, W] in [-1, 1]."""
        z = z.to(self.gan.device)
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

    def sample_class(self, labels: Tensor, rng: torch.Generator) -> Tensor:
        images, start = None, 0
        for source in self.sources:
            here = ((labels >= start) & (labels < start + len(source.classes))).nonzero().flatten()
            if len(here):
                part = source.sample_class(labels[here] - start, rng)
                if images is None:
                    images = part.new_empty(len(labels), *part.shape[1:])
                images[here.to(part.device)] = part
            start += len(source.classes)
        return images


class _PoolSource:
    """Pictures kept as uint8 [N, 3, H, W], one pool per class."""

    pools: list[Tensor]

    def _rows(self, labels: Tensor, rng: torch.Generator) -> list[tuple[int, int]]:
        """A random (pool, row) for each label."""
        chances = torch.rand(len(labels), generator=rng).tolist()
        return [(c, int(chance * len(self.pools[c]))) for c, chance in zip(labels.tolist(), chances, strict=True)]

    def sample_class(self, labels: Tensor, rng: torch.Generator) -> Tensor:
        return from_uint8(torch.stack([self.pools[c][row] for c, row in self._rows(labels, rng)]))


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

    def sample_pairs(self, labels: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """int64 [n] -> pictures float32 [n, 3, H, W] in [-1, 1] and their latents float32 [n, z_dim]."""
        rows = self._rows(labels, rng)
        images = torch.stack([self.pools[c][row] for c, row in rows])
        return from_uint8(images), torch.stack([self.latents[c][row] for c, row in rows])

    def sample_contrasts(self, labels: Tensor, lines: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """As `Pairs` says, of the one kind there is: one of the factors named as `contrasts` is drawn anew."""
        rows = self._rows(labels, rng)
        images = [pools[c][row] for pools in (self.pools, self.others) for c, row in rows]
        codes = [codes[c][row] for codes in (self.latents, self.other_latents) for c, row in rows]
        return from_uint8(torch.stack(images)), torch.stack(codes)


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
        found = [from_pil([image], resolution) for image in _pictures(path)]
        if not found:
            raise CocktailError(f"{path}: no pictures found; expected files ending in {', '.join(SUFFIXES)}.")
        self.pools = [torch.cat(found)]


def _pictures(path: Path) -> Iterator[Image.Image]:
    """Yields every picture of a folder (all levels) or zip, decoded, in the order of the names."""
    if path.is_dir():
        for file in sorted(p for p in path.rglob("*") if _is_picture(p) and p.is_file()):
            yield _open(file.read_bytes(), str(file))
    elif path.is_file() and zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                for entry in sorted(archive.infolist(), key=lambda e: e.filename):
                    if _is_picture(Path(entry.filename)):
                        yield _open(_unpack(archive, entry), f"{path}: {entry.filename}")
        except (zipfile.BadZipFile, OSError) as error:
            raise CocktailError(f"{path} is a broken zip ({error}). Make it again.") from error
    else:
        raise CocktailError(
            f"{path}: expected a folder or zip of pictures, found {'a file' if path.exists() else 'nothing'}."
        )


def _is_picture(path: Path) -> bool:
    """By the suffix; names with a leading dot are notes that macOS leaves beside the files of a folder or zip."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _unpack(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    name = f"{archive.filename}: {entry.filename}"
    if entry.file_size > MAX_BYTES:
        raise CocktailError(f"{name} has {entry.file_size:,} bytes; at most {MAX_BYTES:,}. Remove it.")
    try:
        return archive.read(entry)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError) as error:
        raise CocktailError(f"{name} cannot be unpacked ({error}). Make the zip again.") from error


def _open(data: bytes, name: str) -> Image.Image:
    """A decoded picture; 16-bit grey values are brought to 8 bits, which PIL would clip at 255."""
    try:
        image = Image.open(io.BytesIO(data))
        pixels = image.width * image.height
        if pixels <= MAX_PIXELS:
            image.load()
    except (*DECODING_ERRORS, EOFError, zlib.error, struct.error) as error:
        raise CocktailError(f"{name} is not a readable picture ({error}). Remove or replace it.") from error
    if pixels > MAX_PIXELS:
        limit = f"at most {MAX_PIXELS // 10**6} megapixels"
        raise CocktailError(f"{name}: {image.width}x{image.height} pixels; {limit}. Reduce or remove it.")
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) / 257).clip(0, 255).round().astype(np.uint8))
    image.filename = name  # for the message of `from_pil`
    return image
