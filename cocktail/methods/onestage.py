"""What the baselines share: the root with all classes added, and one stage on the samples of all sources."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.methods.preparing import prepare_root, shared_out
from cocktail.methods.presets import SMALL_MERGE
from cocktail.methods.registry import Context, Planned, Teacher
from cocktail.options import check_options, option
from cocktail.sources import ImageSource, MixtureSource
from cocktail.training import FREE, Anchors, Progress, Pull, Restraint, TrainConfig

CLASS_PARTS = ("embed", "class_w")  # parameters that hold a row or column for each class


@dataclass(frozen=True)
class OneStageConfig:
    """One stage of training on all sources; the defaults are the paper's."""

    merge: TrainConfig = option(TrainConfig(), "training on the samples of all sources")
    class_w_gain: float = option(0.0, "class embedding in W, of this gain; 0 = off", 0.0)
    new_share: float = option(1.0, "how often classes that the root lacks are shown, its own counting 1", 0.0, 100.0)
    extra_kimg: tuple[float, ...] = option((), "further training, each a stage of its own, in kimg", 0.0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "extra_kimg", tuple(self.extra_kimg))
        check_options(self)
        if self.merge.start_resolution:
            raise CocktailError("start_resolution must be 0 in a merge: growing starts from new networks.")


def presets(kind: type, **fields: Any) -> dict[str, Any]:
    """The presets of a one-stage method, under the names that all methods use."""
    return {
        "paper": kind(),
        "small": kind(merge=SMALL_MERGE, **fields),
        "try": kind(merge=replace(SMALL_MERGE, total_kimg=15.0), **fields),
    }


def plan(classes: Sequence[Sequence[str]], config: OneStageConfig, seed: int = 0) -> list[Planned]:
    """The one stage, and those it was extended by."""
    total = sum(map(len, classes))
    merge = replace(shared_out(config.merge, classes, config.new_share), seed=seed + len(classes))
    stages = [Planned("merge", merge, total)]
    for index, kimg in enumerate(config.extra_kimg, start=1):
        stages.append(Planned(f"extra/{index}", replace(merge, total_kimg=kimg, seed=merge.seed + index), total))
    return stages


def train(
    teachers: Sequence[Teacher],
    config: OneStageConfig,
    ctx: Context,
    *,
    begin: Callable[[Gan], Gan] | None = None,
    restrain: Callable[[Gan], Restraint] | None = None,
    source: Callable[[Gan], ImageSource] | None = None,
    anchor: Callable[[Gan], Anchors] | None = None,
) -> Generator[Progress, None, Gan]:
    """Trains the root with all classes on all sources.

    Each function is given the prepared root: `begin` makes the student of it (default: the root itself), `restrain`
    what holds the student near it, `source` what it learns from (default: the samples of all teachers), `anchor` the
    generators that it follows on shared z.
    """
    root = prepare_root(teachers, config.class_w_gain, ctx)
    data = source(root) if source else MixtureSource([teacher.source(root.resolution) for teacher in teachers])
    anchors = anchor(root) if anchor else None
    restraint = restrain(root) if restrain else FREE
    student = begin(root) if begin else root
    for stage in plan([t.names for t in teachers], config, ctx.seed):
        student = yield from ctx.stage(stage.name, student, data, stage.config, anchors, restraint)
    return student


def pull(network: nn.Module, original: nn.Module | None, weight: Callable[[str], float | Tensor]) -> Pull | None:
    """Holds what a network inherited from the original where it is now, each parameter with the weight of its name.

    None where nothing was inherited, or every weight is 0.
    """
    weights = {name: weight(name) * mask for name, mask in inherited(network, original).items()}
    weights = {name: value for name, value in weights.items() if value.any()}
    reference = {name: p.detach().clone() for name, p in network.named_parameters() if name in weights}
    return Pull(reference, weights) if weights else None


def inherited(network: nn.Module, original: nn.Module | None) -> dict[str, Tensor]:
    """Which weights of a network with classes added come from the original: masks of 0 and 1 by parameter name.

    Class embeddings are left out, and so is what the original lacks; where a layer was given new inputs, those are 0.
    Without an original nothing was inherited.
    """
    before: Mapping[str, Tensor] = dict(original.named_parameters()) if original is not None else {}
    masks = {}
    for name, parameter in network.named_parameters():
        if name not in before or any(part in name.split(".") for part in CLASS_PARTS):
            continue
        mask = torch.ones_like(parameter)
        if parameter.ndim == 2 and before[name].shape[1] < parameter.shape[1]:
            mask[:, before[name].shape[1] :] = 0
        masks[name] = mask
    return masks
