"""TransferGAN: fine-tune the root, with the new classes added, on the samples of all sources."""

from collections.abc import Generator

from cocktail.gan import Gan
from cocktail.methods import onestage
from cocktail.methods.onestage import OneStageConfig
from cocktail.methods.registry import Context, Teacher, method
from cocktail.training import Progress


@method(
    "transfer",
    title="TransferGAN",
    paper="Wang et al., ECCV 2018",
    config=OneStageConfig,
    presets=onestage.presets(OneStageConfig),
    plan=onestage.plan,
)
def transfer(teachers: list[Teacher], config: OneStageConfig, ctx: Context) -> Generator[Progress, None, Gan]:
    """Both networks start from the root and all weights are free."""
    return (yield from onestage.train(teachers, config, ctx))
