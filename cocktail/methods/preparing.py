"""What every method begins with: the root, with the classes of all teachers added."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import torch

from cocktail.errors import CocktailError
from cocktail.gan import Gan, new_gan
from cocktail.methods.registry import Context, Teacher
from cocktail.networks import architecture_of, can_be_root
from cocktail.training import TrainConfig
from cocktail.warmstart import WarmStartConfig

Stage = TypeVar("Stage", TrainConfig, WarmStartConfig)


def prepare_root(teachers: Sequence[Teacher], class_w_gain: float, ctx: Context) -> Gan:
    """The root with the classes of all teachers added once, so that every rooted model shares their random rows.

    A root without a discriminator gets a new one of the generator's architecture and widths, untrained: rooting then
    has to train it first, and the record says so. Discriminators of the other teachers are not used.

    Raises: CocktailError where the root is no model that can be trained or not all its classes are taken, or two
    classes have one name.
    """
    first, names = teachers[0], [name for teacher in teachers for name in teacher.names]
    if len(teachers) < 2:
        raise CocktailError("a merge needs two models or more; add a source.")
    if len(set(names)) != len(names):
        raise CocktailError(f"class names must differ, found {', '.join(names)}. Name them apart in the recipe.")
    root = first.root().copy()
    if not can_be_root(root.generator):
        kind = architecture_of(root.generator).name
        raise CocktailError(f"{kind} models can teach, but cannot be the root. Make another model the root.")
    picks = first.picks or root.classes
    if set(picks) != set(root.classes) or len(picks) != len(root.classes):
        raise CocktailError(
            f"the root has classes {', '.join(root.classes)}, but the recipe picks {', '.join(picks)}. "
            "Take all classes of the root, or make another model the root."
        )
    if root.discriminator is None:
        root.discriminator = _new_discriminator(root, ctx.seed)
        ctx.record("root_discriminator", "missing in the source: a new, untrained one is used")
    if root.classes:
        root.classes = tuple(first.names[picks.index(name)] for name in root.classes)
    rng = torch.Generator().manual_seed(ctx.seed)
    # A root that is a union keeps the gain that its rows were trained with.
    root = root.with_classes(names, rng, class_w_gain=class_gain(root) or class_w_gain, class_centers=True)
    root.card = {}
    return root


def _new_discriminator(root: Gan, seed: int) -> torch.nn.Module:
    kind = architecture_of(root.generator)
    shared = set(kind.discriminator_config.__dataclass_fields__) & set(root.generator.config.__dataclass_fields__)
    fields = {name: getattr(root.generator.config, name) for name in shared - {"c_dim"}}
    own = {name: getattr(root.generator.config, name) for name in root.generator.config.__dataclass_fields__}
    own.pop("c_dim")
    return new_gan(kind.name, own, fields, root.classes, seed).discriminator.to(root.device)


def shared_out(stage: Stage, classes: Sequence[Sequence[str]], new_share: float) -> Stage:
    """A stage on all classes, those that the root lacks shown `new_share` times as often as its own.

    `classes` are those of each teacher, the root first. Shares that the stage gives itself stay.
    """
    return stage if stage.class_shares else replace(stage, class_shares=_by_novelty(classes, new_share))


def loosened(stage: TrainConfig, classes: Sequence[Sequence[str]], new_anchor: float) -> TrainConfig:
    """A merge on pairs, those of classes that the root lacks weighing `new_anchor` times as much as its own.

    Light pairs leave more to the discriminator, which helps where a class is far from the root; heavy ones keep the
    latent space shared (measured: docs/RESULTS.md, "One thing other"). Shares that the stage gives itself stay.
    """
    return stage if stage.anchor_shares else replace(stage, anchor_shares=_by_novelty(classes, new_anchor))


def _by_novelty(classes: Sequence[Sequence[str]], new: float) -> tuple[float, ...]:
    """1 for each class of the root and `new` for every other; () where that is 1 as well."""
    root, *others = map(len, classes)
    return () if new == 1 else (1.0,) * root + (new,) * sum(others)


def class_gain(gan: Gan) -> float:
    """The gain of a model's class embedding in W, 0 where it has none."""
    return getattr(gan.generator.config, "class_w_gain", 0.0)


def fresh(gan: Gan, seed: int) -> Gan:
    """The same networks and classes with new weights."""
    kind = architecture_of(gan.generator)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        generator = kind.generator(gan.generator.config).to(gan.device)
        discriminator = kind.discriminator(gan.discriminator.config).to(gan.device)
    return replace(gan, generator=generator.eval(), discriminator=discriminator)
