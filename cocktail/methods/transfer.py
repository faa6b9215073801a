"""TransferGAN: fine-tune the root, with the new classes added, on the samples of all sources."""

from collections.abc import Generator
from dataclasses import dataclass

from cocktail.gan import Gan
from cocktail.methods import onestage
from cocktail.methods.onestage import OneStageConfig
from cocktail.methods.registry import Context, Teacher, method
from cocktail.options import option
from cocktail.training import Anchors, Progress


@dataclass(frozen=True)
class TransferConfig(OneStageConfig):
    """The baseline is plain fine-tuning; distillation is an aid that needs no rooted model."""

    distill: bool = option(False, "the root's classes follow the root's own generator on shared z")


@method(
    "transfer",
    title="TransferGAN",
    paper="Wang et al., ECCV 2018",
    config=TransferConfig,
    presets=onestage.presets(TransferConfig),
    plan=onestage.plan,
)
def transfer(teachers: list[Teacher], config: TransferConfig, ctx: Context) -> Generator[Progress, None, Gan]:
    """Both networks start from the root and all weights are free."""

    def anchor(root: Gan) -> Anchors:
        return dict.fromkeys(teachers[0].names, root.generator)

    return (yield from onestage.train(teachers, config, ctx, anchor=anchor if config.distill else None))
