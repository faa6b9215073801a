"""A warm start: a generator fitted to pictures whose latents are known, before or between adversarial stages.

For a source: adversarial training of a small network needs tens of thousands of pictures before the geometry of a
drawing (its yaw) moves with the latent at all. Where pictures are drawn from known factors there is a shorter way: the
factors, made normal and rotated at random, are the latent, and the generator learns the picture that belongs to it.

For a union: the pictures are the sources' samples, the latents those that `cocktail.methods.alignment` found for them.
Merging has no drawings and never sees a factor.
"""

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.images import resize
from cocktail.options import check_options, option
from cocktail.sources import Pairs
from cocktail.training import Progress


@dataclass(frozen=True)
class WarmStartConfig:
    """How long and how fast to fit."""

    start_resolution: int = option(0, "grow a new generator from here; 0 = go on with the student's at full size", 0)
    stage_kimg: tuple[float, ...] = option((40.0,), "thousands of pictures at each resolution", 0.0)
    batch: int = option(16, "pictures per step", 1, 4096)
    lr: float = option(0.008, "Adam's learning rate, falling towards the end of the last stage", 0.0, 1.0)
    ema_kimg: float = option(0.5, "half-life of the weight average", 0.0)
    seed: int = option(0, "random seed", 0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "stage_kimg", tuple(self.stage_kimg))
        check_options(self)


def warm_start(student: Gan, source: Pairs, config: WarmStartConfig, report_images: int = 1000) -> Iterator[Progress]:
    """Fits a generator to the source's pairs; yields Progress, returns the student with that generator.

    The loss is L1 at full, half and quarter resolution. With a `start_resolution` a new generator of the student's
    architecture is grown, the resolution doubling from stage to stage. The discriminator stays as it is.

    Raises:
        CocktailError: the source knows no latents, a class that the student lacks, the architecture cannot grow, or the
            stages do not end at the student's resolution.
    """
    if not source.paired:
        raise CocktailError("a warm start needs a source that knows its latents, such as a drawn domain with a z_dim.")
    ends_at = (config.start_resolution << len(config.stage_kimg)) // 2
    if config.start_resolution and ends_at != student.resolution:
        raise CocktailError(f"the warm start ends at {ends_at} px; the model has {student.resolution} px.")
    if not config.start_resolution and len(config.stage_kimg) != 1:
        raise CocktailError(f"stage_kimg has {len(config.stage_kimg)} entries; without growth there is one stage.")
    ids = torch.tensor([student.class_index(name) for name in source.classes] if student.classes else [])
    rng, started, seen = torch.Generator().manual_seed(config.seed), time.monotonic(), 0
    total = int(1000 * sum(config.stage_kimg))
    generator = _smallest(student, config) if config.start_resolution else copy.deepcopy(student.generator).train()
    for stage, kimg in enumerate(config.stage_kimg):
        generator = _grown(generator, config.seed) if stage else generator
        average = copy.deepcopy(generator).requires_grad_(False)
        optimizer = torch.optim.Adam(generator.parameters(), betas=(0.9, 0.99))
        steps, last = math.ceil(1000 * kimg / config.batch), stage == len(config.stage_kimg) - 1
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = config.lr * _rate(step, steps, last)
            labels = torch.randint(len(source.classes), (config.batch,), generator=rng)
            images, z = source.sample_pairs(labels, rng)
            wanted = resize(images.to(student.device), generator.resolution)
            c = student.one_hot(ids[labels], len(labels)) if len(ids) else None
            loss = _descend(generator, optimizer, z.to(student.device), c, wanted)
            _follow(average, generator, 0.5 ** (config.batch / max(1e-8, 1000 * config.ema_kimg)))
            seen += config.batch
            if seen % report_images < config.batch:
                yield Progress(seen, total, time.monotonic() - started, {"l1": loss}, None)
        generator = average.requires_grad_(True)
    generator.recenter(torch.randn(4096, student.z_dim, generator=rng).to(student.device))
    return replace(student, generator=generator, card={})


def _smallest(student: Gan, config: WarmStartConfig) -> nn.Module:
    if not hasattr(student.generator, "grown"):
        raise CocktailError("this architecture cannot grow; a warm start needs stylegan2.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        smallest = replace(student.generator.config, img_resolution=config.start_resolution)
        return type(student.generator)(smallest).to(student.device)


def _grown(generator: nn.Module, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + generator.resolution)
        return generator.grown().requires_grad_(True)


def _rate(step: int, steps: int, last: bool) -> float:
    """Warm-up over 30 steps; in the last stage a linear fall to 3 % from 40 % of the way."""
    left = 1 - step / steps
    return min(1.0, (step + 1) / 30) * (max(0.03, left / 0.6) if last and left < 0.6 else 1.0)


def _descend(
    generator: nn.Module, optimizer: torch.optim.Optimizer, z: Tensor, c: Tensor | None, wanted: Tensor
) -> float:
    drawn = generator.synthesize(generator.map(z, c))
    loss = F.l1_loss(drawn, wanted)
    for _ in range(2):
        drawn, wanted = F.avg_pool2d(drawn, 2), F.avg_pool2d(wanted, 2)
        loss = loss + F.l1_loss(drawn, wanted)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.item()


@torch.no_grad()
def _follow(average: nn.Module, generator: nn.Module, keep: float) -> None:
    torch._foreach_lerp_(list(average.parameters()), list(generator.parameters()), 1 - keep)
