"""From scratch: new networks of the root's architecture, trained on the samples of all sources."""

from collections.abc import Generator
from dataclasses import dataclass, replace

from cocktail.gan import Gan
from cocktail.methods import onestage
from cocktail.methods.onestage import OneStageConfig
from cocktail.methods.preparing import fresh
from cocktail.methods.registry import Context, Teacher, method
from cocktail.options import option
from cocktail.training import Progress


@dataclass(frozen=True)
class ScratchConfig(OneStageConfig):
    """The baseline has no part of the root; for the comparison of what a student inherits, it can keep one network."""

    keep: str = option(
        "nothing", "network that starts from the root", choices=("nothing", "generator", "discriminator")
    )


@method(
    "scratch",
    title="From scratch",
    paper="the baseline of Avrahami et al., ECCV 2022, table 3",
    config=ScratchConfig,
    presets=onestage.presets(ScratchConfig),
    plan=onestage.plan,
)
def scratch(teachers: list[Teacher], config: ScratchConfig, ctx: Context) -> Generator[Progress, None, Gan]:
    """Weights are new, drawn from the run's seed, but for those of the network that is kept (Grigoryev et al. 2022)."""

    def begin(root: Gan) -> Gan:
        kept = {} if config.keep == "nothing" else {config.keep: getattr(root, config.keep)}
        return replace(fresh(root, ctx.seed), **kept)

    return (yield from onestage.train(teachers, config, ctx, begin=begin))
