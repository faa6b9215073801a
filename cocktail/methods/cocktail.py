"""GAN Cocktail: root every model on one of them, average the weights, fine-tune the average on all generators."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

import torch

from cocktail.errors import CocktailError
from cocktail.gan import Gan, average, new_gan, weight_distance
from cocktail.methods.alignment import AlignedSource
from cocktail.methods.registry import Context, Planned, Teacher, method
from cocktail.networks import architecture_of, can_be_root
from cocktail.options import check_options, option
from cocktail.sources import MixtureSource
from cocktail.training import Progress, TrainConfig
from cocktail.warmstart import WarmStartConfig


@dataclass(frozen=True)
class CocktailConfig:
    """The defaults are the paper's recipe; everything beyond it is off."""

    root: TrainConfig = option(TrainConfig(), "training of each rooting stage")
    merge: TrainConfig = option(TrainConfig(), "training of the merging stage")
    root_weight: float = option(0.0, "share of the root in the average; 0 = equal shares", 0.0, 1.0)
    class_w_gain: float = option(0.0, "class embedding in W, of this gain; 0 = off", 0.0)
    own_rows: bool = option(False, "class i of the average keeps rooted model i's class row in W")
    distill: bool = option(False, "the merge follows the rooted models on shared z")
    align: bool = option(False, "the merge follows the sources on latents aligned by the rooted models")
    match: bool = option(False, "aligning matches small things of the sources to the root's by where they show")
    warm: WarmStartConfig = option(WarmStartConfig(stage_kimg=(0.0,)), "fit of the average to the aligned sources")
    extra_kimg: tuple[float, ...] = option((), "further merging, each a stage of its own, in kimg", 0.0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "extra_kimg", tuple(self.extra_kimg))
        check_options(self)
        if self.root.start_resolution or self.merge.start_resolution:
            raise CocktailError("start_resolution must be 0 in a merge: growing starts from new networks.")


SMALL = TrainConfig(
    batch=8,
    lr=0.0025,
    loss="relativistic",
    gamma=1.0,
    pl_weight=0.0,
    style_mixing=0.3,
    ema_kimg=1.0,
    reuse_samples=True,
)
# For networks of a million parameters and an hour on a CPU: the bundled union is made with it.
GOOD = CocktailConfig(
    root=replace(SMALL, total_kimg=4.0),
    merge=replace(SMALL, total_kimg=96.0, batch=16, lr=0.0015, ema_kimg=0.5, lr_decay=0.5, anchor_weight=10.0),
    warm=WarmStartConfig(stage_kimg=(320.0,), batch=16, ema_kimg=1.0, contrast_weight=12.0),
    class_w_gain=4.0,
    own_rows=True,
    align=True,
    match=True,
)
PRESETS = {
    "paper": CocktailConfig(),
    "small": GOOD,
    # Two such networks in about three minutes: enough to see the one turn into both.
    "try": replace(
        GOOD,
        root=replace(GOOD.root, total_kimg=1.0),
        merge=replace(GOOD.merge, total_kimg=3.0),
        warm=replace(GOOD.warm, stage_kimg=(12.0,)),
    ),
}


def plan(classes: Sequence[Sequence[str]], config: CocktailConfig, seed: int = 0) -> list[Planned]:
    """The stages of a merge of teachers with these classes, the root first, each with a seed of its own."""
    count, total = len(classes), sum(map(len, classes))
    stages = [
        Planned(f"root/{_title(names)}", replace(config.root, seed=seed + index), len(names))
        for index, names in enumerate(classes[1:], start=1)
    ]
    if config.align and sum(config.warm.stage_kimg):
        stages.append(Planned("distill", replace(config.warm, seed=seed), total))
    merge = replace(config.merge, seed=seed + count)
    stages.append(Planned("merge", merge, total))
    for index, kimg in enumerate(config.extra_kimg, start=1):
        more = replace(merge, total_kimg=kimg, seed=merge.seed + index)
        stages.append(Planned(f"extra/{index}", more, total))
    return stages


@method(
    "cocktail",
    title="GAN Cocktail",
    paper="Avrahami et al., ECCV 2022",
    config=CocktailConfig,
    presets=PRESETS,
    plan=plan,
)
def cocktail(teachers: list[Teacher], config: CocktailConfig, ctx: Context) -> Generator[Progress, None, Gan]:
    """Merges the teachers, the first being the root, into one class-conditional GAN (sections 3.1 and 3.2)."""
    root = prepare_root(teachers, config.class_w_gain, ctx)
    sources = [teacher.source(root.resolution) for teacher in teachers]
    stages = {stage.name: stage.config for stage in plan([t.names for t in teachers], config, ctx.seed)}
    rooted = [root]
    for index, source in enumerate(sources[1:], start=1):
        name = f"root/{_title(source.classes)}"
        rooted.append((yield from ctx.stage(name, root, source, stages[name])))
        _record_distances(teachers[index], root, rooted[-1], source.classes, ctx)
    union = average(rooted, _shares(len(rooted), config.root_weight))
    union.card = dict(root.card)
    if config.own_rows:
        _take_own_rows(union, rooted, [source.classes for source in sources])
    ctx.show("average", union)
    data = AlignedSource(sources, rooted, ctx, config.match) if config.align else MixtureSource(sources)
    if "distill" in stages:
        union = yield from ctx.warm_start("distill", union, data, stages["distill"])
    owners = zip(sources, rooted, strict=True)
    anchors = {name: model.generator for source, model in owners for name in source.classes} if config.distill else None
    for name in stages:
        if name.partition("/")[0] in ("merge", "extra"):
            union = yield from ctx.stage(name, union, data, stages[name], anchors)
    return union


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
    root = root.with_classes(names, rng, class_w_gain=_gain(root) or class_w_gain, class_centers=True)
    root.card = {}
    return root


def _new_discriminator(root: Gan, seed: int) -> torch.nn.Module:
    kind = architecture_of(root.generator)
    shared = set(kind.discriminator_config.__dataclass_fields__) & set(root.generator.config.__dataclass_fields__)
    fields = {name: getattr(root.generator.config, name) for name in shared - {"c_dim"}}
    own = {name: getattr(root.generator.config, name) for name in root.generator.config.__dataclass_fields__}
    own.pop("c_dim")
    return new_gan(kind.name, own, fields, root.classes, seed).discriminator.to(root.device)


def _record_distances(teacher: Teacher, root: Gan, rooted: Gan, classes: Sequence[str], ctx: Context) -> None:
    """d(root, rooted), and d(root, source) where both have one architecture, as in the paper's Table 2."""
    name = _title(classes)
    ctx.record(f"distance/root-rooted/{name}", weight_distance(root, rooted))
    source = teacher.gan
    if source is None:
        ctx.record(f"distance/root-source/{name}", "not defined: pictures have no weights")
        return
    try:
        rng = torch.Generator().manual_seed(ctx.seed)
        widened = (
            source
            if source.classes
            else source.with_classes(root.classes, rng, class_w_gain=_gain(root), class_centers=True)
        )
        ctx.record(f"distance/root-source/{name}", weight_distance(root, widened))
    except CocktailError:
        ctx.record(f"distance/root-source/{name}", "not defined: the source has another architecture or other classes")


def _title(classes: Sequence[str]) -> str:
    """What a source is called in the run: its classes, cut short so that a folder can have the name."""
    return "+".join(classes) if len(classes) < 5 else f"{'+'.join(classes[:3])}+{len(classes) - 3} more"


def _gain(gan: Gan) -> float:
    return getattr(gan.generator.config, "class_w_gain", 0.0)


def _shares(count: int, root_weight: float) -> list[float]:
    if not root_weight:
        return [1 / count] * count
    return [root_weight] + [(1 - root_weight) / (count - 1)] * (count - 1)


@torch.no_grad()
def _take_own_rows(union: Gan, rooted: Sequence[Gan], classes: Sequence[Sequence[str]]) -> None:
    """Copies, for each class, what belongs to it alone in W: learned row and centre, from the model rooted on it."""
    for model, names in zip(rooted, classes, strict=True):
        rows = [union.class_index(name) for name in names]
        for part in ("class_w", "class_w_avg"):
            mine, theirs = (getattr(getattr(m.generator, "mapping", None), part, None) for m in (union, model))
            if mine is not None:
                mine[rows] = theirs[rows]
