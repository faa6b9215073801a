"""The ways of merging that the tables compare, on equal terms: one budget, one set of training settings."""

from dataclasses import replace
from typing import Any

from benchmarks.tables_known import BUNDLED, TRAINED
from cocktail.methods.cocktail import GOOD, CocktailConfig
from cocktail.methods.distillation import GOOD as DISTILLATION
from cocktail.methods.ewc import EwcConfig
from cocktail.methods.freezed import FreezeDConfig
from cocktail.methods.l2 import L2Config
from cocktail.methods.presets import SMALL, SMALL_MERGE
from cocktail.methods.scratch import ScratchConfig
from cocktail.methods.transfer import TransferConfig
from cocktail.methods.upper_bound import UpperBoundConfig

ROOT_KIMG = 4.0  # of each rooting stage
PER_CLASS = 6.0  # kimg of the merge stage, fit included
# Of that budget, by px, for the fit. Score of face+car, seed 1, at 32 px: 1 / 3 7.8, 2 / 3 9.3, no fit 8.0; at 64 px:
# 1 / 3 13.1, no fit 12.5.
FIT_SHARE = {16: 1 / 3, TRAINED: 1 / 3, BUNDLED: 0.0}
# For all ways the best of three settings for TransferGAN on face+car, seed 1, after 12 kimg: the paper's loss and gamma
# 39.5; relativistic with gamma 1 (preset `small`) 56.8, with gamma 10 46.3.
LOSS = {"loss": "nonsaturating", "gamma": 10.0}
TITLES = {
    "scratch": "from scratch", "transfer": "TransferGAN", "ewc": "EWC", "l2": "L2", "freezed": "Freeze-D",
    "plain": "GAN Cocktail, the paper's", "ours": "GAN Cocktail, ours", "upper": "upper bound",
    "transfer+": "TransferGAN with our settings", "distillation": "distillation without rooting",
}  # fmt: skip
BASELINES = ("scratch", "transfer", "ewc", "l2", "freezed")
# Baselines with the aids of ours that need no rooted model, but for aligning with the root's own pictures: that is ours
# with "no rooting" (`benchmarks.tables.rooting`).
AIDED = ("transfer+", "distillation")


def ways(
    classes: int, extra_kimg: float = 0.0, scale: float = 1.0, resolution: int = BUNDLED
) -> dict[str, tuple[str, Any]]:
    """Name -> (method, config) for a merge of so many classes at so many px; `extra_kimg` on top of the merge stage's
    budget, and the budget times `scale`."""
    total = scale * PER_CLASS * classes + extra_kimg
    merge = replace(SMALL_MERGE, total_kimg=total, **LOSS)
    root = replace(SMALL, total_kimg=scale * ROOT_KIMG, **LOSS)
    fit = total * FIT_SHARE[resolution]
    short = replace(merge, total_kimg=total - fit)
    return {
        "scratch": ("scratch", ScratchConfig(merge=merge)),
        "transfer": ("transfer", TransferConfig(merge=merge)),
        "ewc": ("ewc", EwcConfig(merge=merge)),
        "l2": ("l2", L2Config(merge=merge)),
        "freezed": ("freezed", FreezeDConfig(merge=merge)),
        "plain": ("cocktail", CocktailConfig(root=root, merge=merge)),
        "ours": ("cocktail", replace(GOOD, root=root, merge=short, warm=replace(GOOD.warm, stage_kimg=(fit,)))),
        "upper": ("upper_bound", UpperBoundConfig(merge=merge)),
        "transfer+": ("transfer", TransferConfig(
            merge=merge, class_w_gain=GOOD.class_w_gain, distill=True, new_share=GOOD.new_share
        )),
        "distillation": (
            "distillation", replace(DISTILLATION, merge=short, warm=replace(DISTILLATION.warm, stage_kimg=(fit,)))
        ),
    }  # fmt: skip
