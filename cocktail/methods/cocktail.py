"""GAN Cocktail: root every model on one of them, average the weights, fine-tune the average on all generators."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

import torch

from cocktail.errors import CocktailError
from cocktail.gan import Gan, average, weight_distance
from cocktail.methods.alignment import AlignedSource
from cocktail.methods.fisher import fisher_average, fisher_information
from cocktail.methods.preparing import class_gain, loosened, prepare_root, shared_out
from cocktail.methods.presets import SMALL, SMALL_FIT, SMALL_MERGE
from cocktail.methods.registry import Context, Planned, Teacher, method
from cocktail.options import check_options, option
from cocktail.sources import MixtureSource
from cocktail.training import Progress, TrainConfig
from cocktail.warmstart import WarmStartConfig

FISHER_SAMPLES = 256  # generated pictures of each model


@dataclass(frozen=True)
class CocktailConfig:
    """The defaults are the paper's recipe; everything beyond it is off."""

    root: TrainConfig = option(TrainConfig(), "training of each rooting stage")
    merge: TrainConfig = option(TrainConfig(), "training of the merging stage")
    averaging: str = option(
        "plain", "weights count alike, or as they matter to each model", choices=("plain", "fisher")
    )
    root_weight: float = option(0.0, "share of the root in the average; 0 = equal shares", 0.0, 1.0)
    shares: tuple[float, ...] = option((), "share of each model in the average, root first; empty: as root weight", 0.0)
    class_w_gain: float = option(0.0, "class embedding in W, of this gain; 0 = off", 0.0)
    own_rows: bool = option(False, "class i of the average keeps rooted model i's class row in W")
    distill: bool = option(False, "the merge follows the rooted models on shared z")
    align: bool = option(False, "the merge follows the sources on latents aligned by the rooted models")
    match: bool = option(False, "aligning matches small things of the sources to the root's by where they show")
    warm: WarmStartConfig = option(WarmStartConfig(stage_kimg=(0.0,)), "fit of the average to the aligned sources")
    new_share: float = option(1.0, "how often classes that the root lacks are shown, its own counting 1", 0.0, 100.0)
    new_anchor: float = option(1.0, "weight of the pairs of classes that the root lacks, its own counting 1", 0.0)
    extra_kimg: tuple[float, ...] = option((), "further merging, each a stage of its own, in kimg", 0.0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "extra_kimg", tuple(self.extra_kimg))
        object.__setattr__(self, "shares", tuple(self.shares))
        check_options(self)
        if self.shares and not sum(self.shares):
            raise CocktailError(f"shares is {self.shares}; at least one must be above 0.")
        if self.root.start_resolution or self.merge.start_resolution:
            raise CocktailError("start_resolution must be 0 in a merge: growing starts from new networks.")


# For networks of a million parameters and an hour on a CPU: the bundled union is made with it.
GOOD = CocktailConfig(
    root=replace(SMALL, total_kimg=4.0),
    merge=SMALL_MERGE,
    warm=SMALL_FIT,
    class_w_gain=4.0,
    own_rows=True,
    align=True,
    match=True,
    new_share=2.0,
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
        fit = shared_out(config.warm, classes, config.new_share)
        stages.append(Planned("distill", replace(fit, seed=seed), total))
    merge = loosened(shared_out(config.merge, classes, config.new_share), classes, config.new_anchor)
    merge = replace(merge, seed=seed + count)
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
    union = _average(rooted, [source.classes for source in sources], config, ctx.seed)
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
            else source.with_classes(root.classes, rng, class_w_gain=class_gain(root), class_centers=True)
        )
        ctx.record(f"distance/root-source/{name}", weight_distance(root, widened))
    except CocktailError:
        ctx.record(f"distance/root-source/{name}", "not defined: the source has another architecture or other classes")


def _title(classes: Sequence[str]) -> str:
    """What a source is called in the run: its classes, cut short so that a folder can have the name."""
    return "+".join(classes) if len(classes) < 5 else f"{'+'.join(classes[:3])}+{len(classes) - 3} more"


def _average(rooted: Sequence[Gan], classes: Sequence[Sequence[str]], config: CocktailConfig, seed: int) -> Gan:
    """The mean of root and rooted models (section 3.2), in the shares and with the weights that the config asks for."""
    shares = _shares(len(rooted), config)
    union = average(rooted, shares)
    if config.averaging == "plain":
        return union
    found = [fisher_information(gan, names, FISHER_SAMPLES, seed) for gan, names in zip(rooted, classes, strict=True)]
    return fisher_average(rooted, found, union, shares)


def _shares(count: int, config: CocktailConfig) -> list[float]:
    if config.shares:
        if len(config.shares) != count:
            raise CocktailError(
                f"shares has {len(config.shares)} numbers for {count} models; give one each, root first."
            )
        return [share / sum(config.shares) for share in config.shares]
    if not config.root_weight:
        return [1 / count] * count
    return [config.root_weight] + [(1 - config.root_weight) / (count - 1)] * (count - 1)


@torch.no_grad()
def _take_own_rows(union: Gan, rooted: Sequence[Gan], classes: Sequence[Sequence[str]]) -> None:
    """Copies, for each class, what belongs to it alone in W: learned row and centre, from the model rooted on it."""
    for model, names in zip(rooted, classes, strict=True):
        rows = [union.class_index(name) for name in names]
        for part in ("class_w", "class_w_avg"):
            mine, theirs = (getattr(getattr(m.generator, "mapping", None), part, None) for m in (union, model))
            if mine is not None:
                mine[rows] = theirs[rows]
