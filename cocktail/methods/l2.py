"""L2-SP: TransferGAN, held near the root by the squared distance of the weights."""

from collections.abc import Generator
from dataclasses import dataclass

from cocktail.gan import Gan
from cocktail.methods import onestage
from cocktail.methods.onestage import OneStageConfig, pull
from cocktail.methods.registry import Context, Teacher, method
from cocktail.options import option
from cocktail.training import Progress, Restraint


@dataclass(frozen=True)
class L2Config(OneStageConfig):
    """Strengths 0 leave a part free."""

    generator_strength: float = option(1e-3, "weight of the squared distance of the generator's weights", 0.0)
    discriminator_strength: float = option(1e-3, "weight of the squared distance of the discriminator's weights", 0.0)


@method(
    "l2",
    title="L2 to the root",
    paper="Li et al., ICML 2018 (L2-SP)",
    config=L2Config,
    presets=onestage.presets(L2Config),
    plan=onestage.plan,
)
def l2(teachers: list[Teacher], config: L2Config, ctx: Context) -> Generator[Progress, None, Gan]:
    """What the root did not have, its new classes, is free."""
    first = teachers[0].root()

    def restrain(root: Gan) -> Restraint:
        return Restraint(
            pull(root.generator, first.generator, lambda _: config.generator_strength),
            pull(root.discriminator, first.discriminator, lambda _: config.discriminator_strength),
        )

    return (yield from onestage.train(teachers, config, ctx, restrain=restrain))
