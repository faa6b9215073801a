"""Trains the oracle on drawings, degraded towards what a small GAN paints, and measures it on clean ones."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from cocktail.domains.oracle import SIDE, Oracle, read_oracle, save_oracle, spec_of_domains
from cocktail.domains.registry import get
from cocktail.images import from_uint8, to_uint8

HELD_OUT_SEED = 2**31  # no training seed of a sensible size draws these pictures
CLEAN_SHARE = 0.3  # of the training pictures stay as drawn
COARSE = {32: 0.2, 16: 0.1}  # resolution -> share of the pictures that are reduced to it and enlarged again


@dataclass(frozen=True)
class OracleConfig:
    """How to train: batches, drawings in a batch, greatest learning rate, seed; held-out drawings of each class."""

    steps: int = 2600
    batch: int = 64
    learning_rate: float = 2e-3
    seed: int = 0
    held_out: int = 1000


def train_oracle(out: Path, config: OracleConfig) -> dict:
    """Trains an oracle, stores it under `out` with its held-out scores, and returns these.

    Every batch is drawn afresh, so nothing can be learnt by heart. Adam with a one-cycle learning rate (Smith and
    Topin 2019, arXiv:1708.07120).
    """
    torch.manual_seed(config.seed)
    rng = torch.Generator().manual_seed(config.seed)
    layout = torch.channels_last  # an eighth faster here
    oracle = Oracle(spec_of_domains()).train().to(memory_format=layout)
    optimiser = torch.optim.AdamW(oracle.parameters(), lr=config.learning_rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, config.steps, pct_start=0.1)
    start = time.monotonic()
    for step in range(1, config.steps + 1):
        img, labels, targets, known = batch(oracle, config.batch, rng)
        seen, degradation = degrade(img, rng)
        value = loss(oracle, seen.contiguous(memory_format=layout), labels, targets, known, degradation)
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        optimiser.step()
        schedule.step()
        if step % 200 == 0 or step == config.steps:
            print(f"step {step}/{config.steps}  loss {value.item():.4f}  {time.monotonic() - start:.0f} s", flush=True)
    training = asdict(config) | {"minutes": round((time.monotonic() - start) / 60, 1)}
    save_oracle(oracle, out, training, {})
    stored = read_oracle(out)  # what is measured is what float16 left of it
    scores = measure(stored, config.held_out, torch.Generator().manual_seed(HELD_OUT_SEED))
    save_oracle(stored, out, training, scores)
    for name, entry in scores.items():
        factors = "  ".join(f"{factor} {score:.3f}" for factor, score in entry["factors"].items())
        print(f"{name}: class accuracy {entry['accuracy']:.4f}; {factors}")
    return scores


def batch(oracle: Oracle, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draws about n pictures, equally many of each class.

    Gives img float32 [N,3,64,64] in [-1,1], labels int64 [N], targets float32 [N,factors] (binary 0 or 1, else scaled
    to [-1,1]) and known bool [N,factors], false where the class has no such factor.
    """
    share = max(1, n // len(oracle.classes))
    imgs, targets = [], torch.zeros(len(oracle.classes), share, len(oracle.factor_names))
    known = torch.zeros_like(targets, dtype=torch.bool)
    for index, name in enumerate(oracle.classes):
        img, factors = get(name).draw(share, rng, SIDE)
        imgs.append(img)
        for factor, (low, high) in get(name).ranges.items():
            column, value = oracle.factor_names.index(factor), factors[factor]
            targets[index, :, column] = value if factor in get(name).binary else 2 * (value - low) / (high - low) - 1
            known[index, :, column] = True
    labels = torch.arange(len(oracle.classes)).repeat_interleave(share)
    return torch.cat(imgs), labels, targets.flatten(0, 1), known.flatten(0, 1)


def degrade(img: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Blurs, coarsens, tints and stains float32 [N,3,H,W] in [-1,1] in the manner of a small GAN.

    Gives the pictures and how much was done to each, float32 [N,3]: blur, noise, coarseness in [0,1].
    """
    n, _, side, _ = img.shape
    amount = torch.rand(n, 2, generator=rng) * (torch.rand(n, 1, generator=rng) > CLEAN_SHARE)
    blur, noise = amount[:, :1, None, None], amount[:, 1:, None, None]
    out, coarseness = img.clone(), torch.zeros(n, 1)
    lot = torch.rand(n, generator=rng)
    for resolution, share in COARSE.items():
        rows = (lot < share) & (amount[:, 0] > 0)
        lot = lot - share + (lot < share) * 2  # a picture is reduced at most once
        if rows.any():
            small = F.interpolate(img[rows], size=resolution, mode="area")
            out[rows] = F.interpolate(small, size=side, mode="bilinear", align_corners=False)
            coarseness[rows] = 0.5 if resolution == 32 else 1.0
    for _ in range(2):
        soft = F.avg_pool2d(F.pad(out, (1, 1, 1, 1), mode="replicate"), 3, 1)
        out = torch.lerp(out, soft, blur)
    stains = F.interpolate(torch.randn(n, 3, 8, 8, generator=rng), size=side, mode="bilinear", align_corners=False)
    grain = torch.randn(img.shape, generator=rng)
    tint = 0.03 * torch.randn(n, 3, 1, 1, generator=rng)
    out = out + noise * (0.06 * grain + 0.06 * stains + tint)
    return out.clamp_(-1, 1), torch.cat([amount, coarseness], 1)


def loss(oracle: Oracle, img: Tensor, labels: Tensor, targets: Tensor, known: Tensor, degradation: Tensor) -> Tensor:
    """Cross-entropy of class and binary factors, squared error of the others and (weakly) of the degradation."""
    hidden = oracle.embedding(img)
    raw = oracle.raw_factors(hidden)[torch.arange(len(img)), labels]
    names = oracle.factor_names
    binary = torch.tensor([[name in oracle.spec[c]["binary"] for name in names] for c in oracle.classes])[labels]
    error = (raw - targets).square()
    doubt = F.binary_cross_entropy_with_logits(raw, targets.clamp(0, 1), reduction="none")
    factors = torch.where(binary, doubt, error)[known].mean()
    done = F.mse_loss(oracle.degradation_head(hidden), degradation)
    return 0.1 * F.cross_entropy(oracle.class_head(hidden), labels) + factors + 0.1 * done


@torch.inference_mode()
def measure(oracle: Oracle, n: int, rng: torch.Generator) -> dict[str, dict]:
    """Reads n fresh undegraded drawings of each class: class -> {"accuracy", "factors": {name: score}}.

    The score of a continuous factor is R^2 = 1 - mean squared error / variance, that of a binary one the accuracy.
    Factors are read under the true class, so that a confusion of classes counts once.
    """
    scores = {}
    for index, name in enumerate(oracle.classes):
        domain = get(name)
        img, factors = domain.draw(n, rng, SIDE)
        img = from_uint8(to_uint8(img))  # as stored pictures are
        reading = oracle.read(img, name)
        entry = {"accuracy": (reading.class_logits.argmax(1) == index).float().mean().item(), "factors": {}}
        for factor, truth in factors.items():
            found = reading.factors[factor]
            if factor in domain.binary:
                score = ((found > 0.5) == (truth > 0.5)).float().mean()
            else:
                score = 1 - (found - truth).square().mean() / truth.var(unbiased=False)
            entry["factors"][factor] = score.item()
        scores[name] = entry
    return scores
