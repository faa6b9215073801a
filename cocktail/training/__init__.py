"""Adversarial training of a student on a source: `loop` is the way in, from there to `trainer` and `losses`."""

from cocktail.training.config import Anchors, Progress, State, TrainConfig
from cocktail.training.loop import finetune, start_state
from cocktail.training.losses import adversarial_losses, gradient_penalty, path_length_penalty
from cocktail.training.restraint import FREE, Pull, Restraint
from cocktail.training.state import TrainState, load_optimizer, optimizer_tensors, under
from cocktail.training.trainer import balanced_labels

__all__ = ["FREE", "Anchors", "Progress", "Pull", "Restraint", "State", "TrainConfig", "TrainState",
           "adversarial_losses", "balanced_labels", "finetune", "gradient_penalty", "load_optimizer",
           "optimizer_tensors", "path_length_penalty", "start_state", "under"]  # fmt: skip
