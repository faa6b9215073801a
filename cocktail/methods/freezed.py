"""Freeze-D: TransferGAN with the discriminator's layers of the highest resolution frozen."""

from collections.abc import Generator
from dataclasses import dataclass

from torch import nn

from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.methods import onestage
from cocktail.methods.onestage import OneStageConfig
from cocktail.methods.registry import Context, Teacher, method
from cocktail.networks.layers import Conv2dLayer
from cocktail.options import option
from cocktail.training import Progress, Restraint


@dataclass(frozen=True)
class FreezeDConfig(OneStageConfig):
    """In a resnet discriminator each block has conv0, conv1 and skip, the first one fromrgb too; each is a layer."""

    layers: int = option(4, "frozen layers of the discriminator, from the picture on", 0)


@method(
    "freezed",
    title="Freeze-D",
    paper="Mo et al., 2020",
    config=FreezeDConfig,
    presets=onestage.presets(FreezeDConfig),
    plan=onestage.plan,
)
def freezed(teachers: list[Teacher], config: FreezeDConfig, ctx: Context) -> Generator[Progress, None, Gan]:
    """The generator and the rest of the discriminator are free."""

    def restrain(root: Gan) -> Restraint:
        return Restraint(frozen=first_layers(root.discriminator, config.layers))

    return (yield from onestage.train(teachers, config, ctx, restrain=restrain))


def first_layers(discriminator: nn.Module, count: int) -> frozenset[str]:
    """The names of the parameters of the convolutions nearest to the picture.

    Raises: CocktailError where there are fewer.
    """
    known = [name for name, module in discriminator.named_modules() if isinstance(module, Conv2dLayer | nn.Conv2d)]
    if count > len(known):
        raise CocktailError(f"layers is {count}; this discriminator has {len(known)} convolutions. Freeze fewer.")
    frozen = known[:count]
    return frozenset(n for n, _ in discriminator.named_parameters() if n.rpartition(".")[0] in frozen)
