"""A warm start for a source GAN: a generator fitted to pictures whose latents are known, before any adversary.

Adversarial training of a small network needs tens of thousands of pictures before the geometry of a drawing (its yaw)
moves with the latent at all. Where pictures are drawn from known factors there is a shorter way: the factors, made
normal and rotated at random, are the latent, and the generator learns the picture that belongs to it. Only sources are
made like this. Merging has no drawings, and never sees a factor.
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
from cocktail.sources import DomainSource
from cocktail.training import Progress


@dataclass(frozen=True)
class WarmStartConfig:
    """How long and how fast to fit."""

    start_resolution: int = option(16, "resolution to grow from", 8)
    stage_kimg: tuple[float, ...] = option((12.0, 20.0, 14.0), "thousands of pictures at each resolution", 0.0)
    batch: int = option(16, "pictures per step", 1, 4096)
    lr: float = option(0.008, "Adam's learning rate, falling towards the end of the last stage", 0.0, 1.0)
    ema_kimg: float = option(0.5, "half-life of the weight average", 0.0)
    seed: int = option(0, "random seed", 0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "stage_kimg", tuple(self.stage_kimg))
        check_options(self)


def warm_start(
    student: Gan, source: DomainSource, config: WarmStartConfig, report_images: int = 1000
) -> Iterator[Progress]:
    """Fits a new generator of the student's architecture to the source's pairs; yields Progress, returns the Gan.

    The loss is L1 at full, half and quarter resolution; the resolution doubles from stage to stage. The discriminator
    stays as it is.
    """
    ends_at = config.start_resolution << (len(config.stage_kimg) - 1)
    if ends_at != student.resolution:
        raise CocktailError(f"the warm start ends at {ends_at} px; the model has {student.resolution} px.")
    rng, started, seen = torch.Generator().manual_seed(config.seed), time.monotonic(), 0
    total = int(1000 * sum(config.stage_kimg))
    generator = _smallest(student, config)
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
            loss = _descend(generator, optimizer, z.to(student.device), wanted)
            _follow(average, generator, 0.5 ** (config.batch / max(1e-8, 1000 * config.ema_kimg)))
            seen += config.batch
            if seen % report_images < config.batch:
                yield Progress(seen, total, time.monotonic() - started, {"l1": loss}, None)
        generator = average.requires_grad_(True)
    with torch.no_grad():
        _, z = source.sample_pairs(torch.arange(4096) % len(source.classes), rng)
        generator.mapping.w_avg.copy_(generator.mapping(z.to(student.device), None).mean(dim=0))
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


def _descend(generator: nn.Module, optimizer: torch.optim.Optimizer, z: Tensor, wanted: Tensor) -> float:
    drawn = generator.synthesize(generator.map(z, None))
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
