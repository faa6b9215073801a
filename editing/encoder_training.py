"""How an encoder learns: from the model's own samples, so that no data is needed.

Part of them is drawn again from the guess, since the picture counts and not the code alone (Zhu et al., "In-Domain GAN
Inversion for Real Image Editing", ECCV 2020, section 3.1, with own samples in the place of real pictures).
"""

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from cocktail.gan import Gan
from cocktail.options import check_options, option
from cocktail.warmstart import fit_loss
from editing.encoder import Encoder, new_encoder

PSI = (0.5, 1.2)  # truncation of the samples


@dataclass(frozen=True)
class EncoderConfig:
    """How long to train an encoder, and on what."""

    total_kimg: float = option(60.0, "thousands of samples to learn from", 0.0)
    batch: int = option(16, "samples per step", 2, 4096)
    lr: float = option(0.002, "AdamW's learning rate at its peak", 0.0, 1.0)
    redrawn: float = option(1.0, "share of a batch that is drawn again from its guess", 0.0, 1.0)
    redraw_weight: float = option(0.5, "weight of the error of what is drawn again; that of the code has 1", 0.0)
    class_weight: float = option(0.1, "weight of the cross entropy of the class", 0.0)

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class EncoderProgress:
    """A report from inside the training."""

    images: int
    total_images: int
    elapsed_sec: float
    losses: dict[str, float]


def train_encoder(gan: Gan, config: EncoderConfig | None = None, seed: int = 0) -> Iterator[EncoderProgress]:
    """Trains an encoder; yields progress, returns the Encoder. Closing the generator cancels.

    The loss is the squared error of the code in standard deviations of its class, the error of the pictures that are
    drawn again (`fit_loss`), and the cross entropy of the class.
    """
    config, started = config or EncoderConfig(), time.monotonic()
    steps, report = max(1, math.ceil(1000 * config.total_kimg / config.batch)), 10
    training = _Training(gan, config, steps, seed)
    for step in range(1, steps + 1):
        losses = training.step()
        if step % report == 0 or step == steps:
            yield EncoderProgress(step * config.batch, steps * config.batch, time.monotonic() - started, losses)
    # Rounded already, so that what is judged is what a file will hold.
    encoder = training.encoder.half().float().eval().requires_grad_(False)
    minutes = round((time.monotonic() - started) / 60, 2)
    encoder.notes = {"config": asdict(config), "seed": seed, "minutes": minutes}
    return encoder


class _Training:
    """Encoder, optimiser and random generator."""

    # The caller may be in inference mode, whose tensors have no gradients: hence the decorators.
    @torch.inference_mode(False)
    def __init__(self, gan: Gan, config: EncoderConfig, steps: int, seed: int):
        self.gan, self.config, self.rng = gan, config, torch.Generator().manual_seed(seed)
        self.encoder = new_encoder(gan, seed)
        self.parameters = list(self.encoder.parameters())
        self.optimizer = torch.optim.AdamW(self.parameters, weight_decay=1e-3)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, config.lr, steps + 1, pct_start=0.1)

    @torch.inference_mode(False)
    def step(self) -> dict[str, float]:
        """Learns from one batch; the losses before."""
        losses = self._losses(*samples(self.gan, self.encoder, self.config.batch, self.rng))
        # Of the encoder alone: the model's own parameters gather no gradients.
        gradients = torch.autograd.grad(sum(losses.values()), self.parameters)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        self.optimizer.step()
        self.schedule.step()
        return {name: value.item() for name, value in losses.items()}

    def _losses(self, img: Tensor, ws: Tensor, labels: Tensor) -> dict[str, Tensor]:
        guess, logits = self.encoder(degraded(img, self.rng), labels)
        # A direction in which the class does not vary has no scale, and no error counts there.
        error = (guess - ws) / self.encoder.scale[labels][:, None].clamp(min=1e-6)
        losses = {"code": error.square().mean(), "class": self.config.class_weight * F.cross_entropy(logits, labels)}
        again = math.ceil(self.config.redrawn * len(img))
        if again and self.config.redraw_weight:
            drawn = self.gan.generator.synthesize(guess[:again])
            losses["picture"] = self.config.redraw_weight * fit_loss(drawn, img[:again])[0]
        return losses


@torch.no_grad()
def samples(gan: Gan, encoder: Encoder, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures float32 [n, 3, R, R] in [-1, 1], codes float32 [n, num_ws, w_dim], classes int64 [n].

    Truncated by psi from 0.5 to 1.2, half of them with the later layers of another code of the class (style mixing,
    StyleGAN, section 3.1).
    """
    labels = torch.randint(encoder.classes, (n,), generator=rng).to(gan.device)
    c = F.one_hot(labels, len(gan.classes)).float() if gan.classes else None
    first, second = (gan.generator.map(torch.randn(n, gan.z_dim, generator=rng).to(gan.device), c) for _ in range(2))
    # A crossing at or beyond the last layer leaves the code unmixed.
    crossing = torch.randint(1, 2 * gan.num_ws, (n, 1), generator=rng)
    late = (torch.arange(gan.num_ws) >= crossing)[:, :, None].to(gan.device)
    psi = (PSI[0] + (PSI[1] - PSI[0]) * torch.rand(n, 1, 1, generator=rng)).to(gan.device)
    ws = torch.lerp(encoder.center[labels][:, None], torch.where(late, second, first), psi)
    return gan.generator.synthesize(ws).clamp(-1, 1), ws, labels


def degraded(img: Tensor, rng: torch.Generator) -> Tensor:
    """Pictures float32 [N, 3, H, W] in [-1, 1] a little blurred, tinted and noisy, each by another amount.

    What people bring is not as clean as samples are.
    """
    n = len(img)
    blur, noise, gain = torch.rand(3, n, 1, 1, 1, generator=rng).to(img.device)
    tint = 0.05 * torch.randn(n, 3, 1, 1, generator=rng).to(img.device)
    grain = torch.randn(img.shape, generator=rng).to(img.device)
    soft = F.avg_pool2d(F.pad(img, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return (torch.lerp(img, soft, blur) * (0.9 + 0.2 * gain) + tint + 0.08 * noise.square() * grain).clamp(-1, 1)
