"""Settings that methods share, so that what differs between them is the method."""

from dataclasses import replace

from cocktail.training import TrainConfig
from cocktail.warmstart import WarmStartConfig

# For networks of a million parameters on a CPU.
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
SMALL_MERGE = replace(SMALL, total_kimg=96.0, batch=16, lr=0.0015, ema_kimg=0.5, lr_decay=0.5, anchor_weight=10.0)
SMALL_FIT = WarmStartConfig(stage_kimg=(320.0,), batch=16, ema_kimg=1.0, contrast_weight=12.0)
