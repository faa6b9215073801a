"""Distillation: the root learns what every source draws from the same z, then goes on as TransferGAN does.

What a baseline can have of the cocktail's further ingredients without rooting: pairs of latent and picture, contrasts,
a fit before the adversarial stage. Nothing aligns the sources, so a z means another thing in every class. A cocktail
whose rooting takes 0 kimg is the same with sources that the root's own pictures align.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.methods import onestage
from cocktail.methods.alignment import PairedSource
from cocktail.methods.onestage import OneStageConfig
from cocktail.methods.preparing import loosened, prepare_root, shared_out
from cocktail.methods.presets import SMALL_FIT, SMALL_MERGE
from cocktail.methods.registry import Context, Planned, Teacher, method
from cocktail.options import option
from cocktail.training import Progress
from cocktail.warmstart import WarmStartConfig


@dataclass(frozen=True)
class DistillationConfig(OneStageConfig):
    """All classes follow their source."""

    warm: WarmStartConfig = option(WarmStartConfig(), "fit to the sources' samples and their latents")
    new_anchor: float = option(1.0, "weight of the pairs of classes that the root lacks, its own counting 1", 0.0)


GOOD = DistillationConfig(merge=SMALL_MERGE, class_w_gain=4.0, warm=SMALL_FIT, new_share=2.0)
PRESETS = {
    "paper": DistillationConfig(),
    "small": GOOD,
    "try": replace(GOOD, merge=replace(GOOD.merge, total_kimg=3.0), warm=replace(GOOD.warm, stage_kimg=(12.0,))),
}


def plan(classes: Sequence[Sequence[str]], config: DistillationConfig, seed: int = 0) -> list[Planned]:
    """The fit, then the adversarial stages."""
    config = replace(config, merge=loosened(config.merge, classes, config.new_anchor))
    fit = replace(shared_out(config.warm, classes, config.new_share), seed=seed)
    return [Planned("distill", fit, sum(map(len, classes))), *onestage.plan(classes, config, seed)]


@method(
    "distillation",
    title="Distillation without rooting",
    paper="no paper: TransferGAN with the pairs of a cocktail, not aligned",
    config=DistillationConfig,
    presets=PRESETS,
    plan=plan,
)
def distillation(teachers: list[Teacher], config: DistillationConfig, ctx: Context) -> Generator[Progress, None, Gan]:
    """Sources that are pictures have no latents. Raises: CocktailError where there are such."""
    student = prepare_root(teachers, config.class_w_gain, ctx)
    for teacher in teachers:
        if teacher.gan is None:
            raise CocktailError(
                f"pictures of {', '.join(teacher.names)} have no latents to learn. Take another method or source."
            )
    sources = [teacher.source(student.resolution) for teacher in teachers]
    data = PairedSource(sources, student.z_dim, ctx)
    for stage in plan([t.names for t in teachers], config, ctx.seed):
        run = ctx.warm_start if stage.name == "distill" else ctx.stage
        student = yield from run(stage.name, student, data, stage.config)
    return student
