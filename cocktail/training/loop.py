"""The schedule of a stage: growth, learning rate, steps, reports."""

import math
import time
from collections.abc import Iterator
from dataclasses import replace

import torch

from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.sources import ImageSource
from cocktail.training.config import Anchors, Progress, TrainConfig
from cocktail.training.restraint import FREE, Restraint
from cocktail.training.state import TrainState
from cocktail.training.trainer import Trainer


def finetune(
    student: Gan,
    source: ImageSource,
    config: TrainConfig,
    *,
    anchors: Anchors | None = None,
    restraint: Restraint = FREE,
    state: TrainState | None = None,
    report_images: int = 1000,
) -> Iterator[Progress]:
    """Trains a copy of `student` on `source`; yields Progress after every step, returns the trained Gan.

    About every `report_images`, and at the end, the Progress has losses: means since those before.

    Generator: non-saturating logistic loss (or relativistic), path-length regularisation, style mixing; discriminator:
    lazy R1 (StyleGAN2, section 3 and appendix B). Both halves of a batch have the same labels in the same order, since
    the minibatch standard deviation would give a difference away. Classes of the source are found in the student by
    name; the student may have more. `anchors` add distillation on shared z, a `restraint` keeps weights near where they
    were. A `state` that was loaded goes on where it was saved, to the bit on one machine with one thread count. Inside
    `parallel.joined` the processes share each batch.

    Raises:
        CocktailError: no discriminator, a class that the student lacks, other pixels, a batch that the processes cannot
            share, or a gradient that is not finite.
    """
    if not student.classes and len(source.classes) > 1:
        raise CocktailError(f"a student without classes cannot learn {source.classes}; add them (`Gan.with_classes`).")
    if source.resolution != student.resolution:
        raise CocktailError(f"source of {source.resolution} px, student of {student.resolution} px; resize the source.")
    state = state or start_state(student, config)
    trainer = Trainer(state, source, anchors or {}, restraint)
    total, started = int(config.total_kimg * 1000), time.monotonic()
    every = config.batch * max(1, math.ceil(report_images / config.batch))
    while state.images < total:
        while state.resolution < _resolution_at(config, state.images, student.resolution):
            state.grow()
        state.set_learning_rate(_decay(config, state.images, total))
        trainer.step()
        report = state.images % every == 0 or state.images >= total
        losses = state.report() if report else {}
        yield Progress(state.images, total, time.monotonic() - started, losses, state)
    generator, discriminator = (network.eval().requires_grad_(True) for network in (state.ema, state.discriminator))
    return Gan(generator, discriminator, student.classes, dict(student.card))


def start_state(student: Gan, config: TrainConfig) -> TrainState:
    """The state before the first step; with a `start_resolution`, new networks of that size and the student's config.

    Raises:
        CocktailError: the architecture cannot grow, or growth does not end at the student's resolution.
    """
    if not config.start_resolution:
        return TrainState(student, config)
    last_step = config.batch * (math.ceil(1000 * config.total_kimg / config.batch) - 1)
    ends_at = max(config.start_resolution, _resolution_at(config, last_step, student.resolution))
    if ends_at != student.resolution:
        raise CocktailError(
            f"growing from start_resolution {config.start_resolution} at {list(config.grow_kimg)} kimg ends at "
            f"{ends_at} px after {config.total_kimg} kimg; the student has {student.resolution} px. Give one kimg per "
            "doubling."
        )
    parts = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        for network in (student.generator, student.discriminator):
            if not hasattr(network, "grown"):
                raise CocktailError(f"{type(network).__module__} cannot grow; set start_resolution to 0.")
            parts.append(
                type(network)(replace(network.config, img_resolution=config.start_resolution)).to(student.device)
            )
    return TrainState(replace(student, generator=parts[0], discriminator=parts[1]), config)


def _resolution_at(config: TrainConfig, images: int, final: int) -> int:
    if not config.start_resolution:
        return final
    doublings = sum(images >= 1000 * kimg for kimg in config.grow_kimg)
    return min(config.start_resolution << doublings, final)


def _decay(config: TrainConfig, images: int, total: int) -> float:
    """Learning-rate factor: 1, then falling linearly to 0.05 over the last `lr_decay` of the stage."""
    left = (total - images) / max(total, 1)
    return 1.0 if not config.lr_decay or left >= config.lr_decay else max(0.05, left / config.lr_decay)
