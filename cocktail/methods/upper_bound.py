"""Upper bound: the root, with the new classes added, fine-tuned on real pictures in place of the sources' samples.

The one method that sees data: it says what the others could reach, and is no way to merge without it.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cocktail import domains
from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.methods import onestage
from cocktail.methods.onestage import OneStageConfig
from cocktail.methods.registry import Context, Teacher, method
from cocktail.options import option
from cocktail.sources import DomainSource, FolderSource, ImageSource, MixtureSource
from cocktail.training import Progress


@dataclass(frozen=True)
class UpperBoundConfig(OneStageConfig):
    """Pictures of every class, the root's too."""

    pictures: tuple[str, ...] = option((), "folder, zip or drawn domain of each class, root first; empty: its name")
    drawings: int = option(20_000, "drawings made of each drawn domain", 1)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pictures", tuple(self.pictures))
        super().__post_init__()


@method(
    "upper_bound",
    title="Upper bound, on real pictures",
    paper="the upper bound of Avrahami et al., ECCV 2022, table 3",
    config=UpperBoundConfig,
    presets=onestage.presets(UpperBoundConfig),
    plan=onestage.plan,
)
def upper_bound(teachers: list[Teacher], config: UpperBoundConfig, ctx: Context) -> Generator[Progress, None, Gan]:
    """As TransferGAN, but the sources' generators are not asked for anything."""
    names = [name for teacher in teachers for name in teacher.names]

    def source(root: Gan) -> ImageSource:
        return MixtureSource(real_sources(names, config, root.resolution, ctx.seed))

    return (yield from onestage.train(teachers, config, ctx, source=source))


def real_sources(names: Sequence[str], config: UpperBoundConfig, resolution: int, seed: int) -> list[ImageSource]:
    """Pictures of each class at a resolution: of the drawn domain of that name, or of a folder or zip.

    Raises: CocktailError where there is not one for each class, or it is neither.
    """
    pictures = config.pictures or names
    if len(pictures) != len(names):
        raise CocktailError(
            f"pictures names {len(pictures)} sources for {len(names)} classes, {', '.join(names)}; give one each."
        )
    found = []
    for number, (name, ref) in enumerate(zip(names, pictures, strict=True)):
        if ref in domains.names():
            drawn = DomainSource((ref,), resolution, config.drawings, seed + number)
            drawn.classes = (name,)
            found.append(drawn)
        elif Path(ref).expanduser().exists():
            found.append(FolderSource(ref, resolution, name))
        else:
            raise CocktailError(
                f"pictures: {ref!r} is no folder or zip, and no drawn domain ({', '.join(domains.names())}). Name the "
                "pictures of each class under `pictures`."
            )
    return found
