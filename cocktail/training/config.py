"""What a stage of training is told, and what it reports."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from cocktail.gan import Gan
from cocktail.options import check_options, option


@dataclass(frozen=True)
class TrainConfig:
    """One stage of training. The defaults are the paper's (appendix B): StyleGAN2 losses and fine-tuning settings."""

    total_kimg: float = option(5000.0, "thousands of source pictures to show", 0.0)
    batch: int = option(32, "pictures per step", 1, 4096)
    lr: float = option(0.002, "Adam's learning rate, both networks", 0.0, 1.0)
    loss: str = option("nonsaturating", "adversarial loss", choices=("nonsaturating", "relativistic"))
    gamma: float = option(10.0, "weight of the gradient penalty R1 (relativistic: R1 and R2)", 0.0)
    r1_interval: int = option(16, "steps between gradient penalties", 1)
    pl_weight: float = option(2.0, "path-length regularisation; 0 = off", 0.0)
    pl_interval: int = option(4, "steps between path-length penalties", 1)
    style_mixing: float = option(0.9, "probability of style mixing", 0.0, 1.0)
    ema_kimg: float = option(10.0, "half-life of the weight average", 0.0)
    ema_rampup: float = option(0.0, "shorten the half-life to this x images seen; 0 = off", 0.0)
    lr_decay: float = option(0.0, "last part of the stage, with falling learning rate", 0.0, 1.0)
    start_resolution: int = option(0, "grow from this resolution; 0 = train at full size", 0)
    grow_kimg: tuple[float, ...] = option((), "when to double the resolution, in kimg", 0.0)
    class_shares: tuple[float, ...] = option((), "share of each class in a batch; empty = equal", 0.0)
    reuse_samples: bool = option(False, "the discriminator sees the generator step's pictures")
    anchor_weight: float = option(10.0, "weight of distillation where there are anchors", 0.0)
    anchor_shares: tuple[float, ...] = option((), "anchor_weight of each class, times this; empty = 1", 0.0)
    anchor_kimg: float = option(0.0, "distillation fades to 0 at this kimg; 0 = never", 0.0)
    anchor_only_kimg: float = option(0.0, "first kimg, in which the generator follows its anchors alone", 0.0)
    amp: bool = option(False, "mixed precision (bfloat16) on CUDA")
    seed: int = option(0, "random seed", 0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "grow_kimg", tuple(self.grow_kimg))
        object.__setattr__(self, "class_shares", tuple(self.class_shares))
        object.__setattr__(self, "anchor_shares", tuple(self.anchor_shares))
        check_options(self)


@dataclass(frozen=True)
class Progress:
    """Where a stage stands after a step. Its state can be saved, and the state's student can draw samples.

    `losses` are given in a report, which comes now and then; they are empty in between.
    """

    images: int
    total_images: int
    elapsed_sec: float
    losses: Mapping[str, float]
    state: "State"
    stage: str = ""


class State(Protocol):
    """What a stage needs to go on after an interruption."""

    images: int

    def student(self) -> Gan:
        """The student as it is now."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """Everything as tensors, for a file."""
        ...

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes up what a state of the same student and config gave."""
        ...


Anchors = Mapping[str, nn.Module]  # class -> frozen generator, of the student's classes, to follow on shared z
