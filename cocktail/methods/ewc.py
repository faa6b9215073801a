"""EWC: TransferGAN, in which a weight that matters to the root is held the more."""

from collections.abc import Generator
from dataclasses import dataclass

from cocktail.gan import Gan
from cocktail.methods import onestage
from cocktail.methods.fisher import fisher_information
from cocktail.methods.onestage import OneStageConfig, pull
from cocktail.methods.registry import Context, Teacher, method
from cocktail.options import option
from cocktail.training import Progress, Restraint

MAPPING = "mapping."  # how the parameters of a mapping network begin


@dataclass(frozen=True)
class EwcConfig(OneStageConfig):
    """Strengths are those of a Fisher information of mean 1, so that they compare with those of L2; 0 leaves free."""

    mapping_strength: float = option(1e-3, "weight of the penalty on the mapping network", 0.0)
    synthesis_strength: float = option(1e-3, "weight of the penalty on the rest of the generator", 0.0)
    discriminator_strength: float = option(1e-3, "weight of the penalty on the discriminator", 0.0)
    fisher_samples: int = option(256, "generated pictures from which the Fisher information is taken", 1)


@method(
    "ewc",
    title="EWC",
    paper="Li et al., NeurIPS 2020 (few-shot generation); Kirkpatrick et al., PNAS 2017",
    config=EwcConfig,
    presets=onestage.presets(EwcConfig),
    plan=onestage.plan,
)
def ewc(teachers: list[Teacher], config: EwcConfig, ctx: Context) -> Generator[Progress, None, Gan]:
    """The penalty is the squared change, weighted by the Fisher information; class embeddings are free."""
    first = teachers[0].root()

    def strength(name: str) -> float:
        return config.mapping_strength if name.startswith(MAPPING) else config.synthesis_strength

    def restrain(root: Gan) -> Restraint:
        found = fisher_information(root, teachers[0].names, config.fisher_samples, ctx.seed)
        return Restraint(
            pull(root.generator, first.generator, lambda name: strength(name) * found.generator[name]),
            pull(root.discriminator, first.discriminator,
                 lambda name: config.discriminator_strength * found.discriminator[name]),
        )  # fmt: skip

    return (yield from onestage.train(teachers, config, ctx, restrain=restrain))
