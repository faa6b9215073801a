"""Descent from a start to the code that draws a picture: one step at a time, the best so far kept."""

import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cocktail.gan import Gan
from cocktail.metrics.perceptual import PerceptualDistance, between
from editing.region import Region

GAIN = 0.002  # share of its error that a code must lose to count as better
# Of the noise inputs' correlation; 1e5 in StyleGAN2, appendix D. On small maps that leaves the noise nothing to fit,
# while 1 is enough to keep it white (correlation below 1e-4).
NOISE_WEIGHT = 1.0
SMALLEST = 8  # px, of a scale at which noise is compared with itself
PEAK = 2.0  # of pictures in [-1, 1]


def psnr(first: Tensor, second: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of pictures float32 [N, 3, H, W] in [-1, 1], in dB, at most 100: float32 [N]."""
    error = (first - second).square().mean(dim=[1, 2, 3])
    return 10 * torch.log10(PEAK**2 / error.clamp(min=PEAK**2 * 1e-10))


class Descent:
    """The way to a picture float32 [1, 3, R, R] in [-1, 1].

    The code is sought in whitened coordinates (`Region`), where a small prior keeps it among the codes that the model
    draws well and one learning rate suits all models. With `noise` the noise inputs are fitted too, on a copy of the
    generator, since the model may be drawing for somebody else meanwhile.
    """

    # The caller may be in inference mode, whose tensors have no gradients: hence the decorators.
    @torch.inference_mode(False)
    def __init__(self, gan: Gan, target: Tensor, perceptual_weight: float, prior_weight: float, noise: bool):
        self.gan, self.perceptual_weight, self.prior_weight = gan, perceptual_weight, prior_weight
        self.generator, self.noise, self.judge = gan.generator, {}, PerceptualDistance(gan)
        self.target = target.to(gan.device, torch.float32).clone()
        # Pictures are cut off at -1 and 1: where this one is, the model may go beyond.
        self.low = torch.where(self.target <= -1, -1.0, -torch.inf)
        self.high = torch.where(self.target >= 1, 1.0, torch.inf)
        with torch.no_grad():
            self.wanted = self.judge.features(self.target)
        if noise and noise_inputs(gan.generator):
            self.generator = copy.deepcopy(gan.generator)
            self.noise = {name: value.requires_grad_() for name, value in noise_inputs(self.generator).items()}
        self.step = self.gained = 0
        self.error = math.inf

    @torch.inference_mode(False)
    def begin(self, index: int, ws: Tensor, one: bool) -> None:
        """Starts in the region of class number `index` from ws float32 [1, num_ws, w_dim].

        Where all layers shall have `one` code it is the mean of the given ones.
        """
        ws = ws.mean(dim=1, keepdim=True).expand_as(ws) if one else ws.clone()
        self.region = Region.of(self.gan, index)
        self.u = self.region.coordinates(ws[:, :1] if one else ws).requires_grad_()
        self.optimizer = torch.optim.Adam([self.u, *self.noise.values()], betas=(0.9, 0.99))
        with torch.no_grad():
            self._keep(ws, *self._errors(ws))

    @torch.inference_mode(False)
    def descend(self, rate: float) -> None:
        """One step of Adam; the code before it is kept if it is the best."""
        self.step += 1
        ws = self.region.code(self.u).expand(-1, self.gan.num_ws, -1)
        error, figures = self._errors(ws)
        self._keep(ws, error, figures)
        loss = error + self.prior_weight * self.u.square().mean()
        loss = loss + NOISE_WEIGHT * sum(correlation(value) for value in self.noise.values())
        leaves = self.optimizer.param_groups[0]["params"]
        # Of the leaves alone: the model's own parameters gather no gradients.
        for leaf, gradient in zip(leaves, torch.autograd.grad(loss, leaves), strict=True):
            leaf.grad = gradient
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.step()
        with torch.no_grad():
            for value in self.noise.values():
                value.sub_(value.mean()).mul_(value.square().mean().rsqrt())

    @torch.no_grad()
    def look(self, ws: Tensor) -> tuple[float, float]:
        """PSNR in dB and perceptual distance of what ws float32 [1, num_ws, w_dim] draws."""
        return self._errors(ws)[1]

    def _errors(self, ws: Tensor) -> tuple[Tensor, tuple[float, float]]:
        drawn = self.generator.synthesize(ws).clamp(self.low, self.high)
        distance = between(self.judge.features(drawn), self.wanted)[0]
        error = (drawn - self.target).square().mean() + self.perceptual_weight * distance
        return error, (psnr(drawn.detach().clamp(-1, 1), self.target).item(), distance.item())

    def _keep(self, ws: Tensor, error: Tensor, figures: tuple[float, float]) -> None:
        if error < (1 - GAIN) * self.error:
            self.gained = self.step
        if error < self.error:
            self.error, self.best, self.figures = error.item(), ws[0].detach().clone(), figures
            self.best_noise = {name: value.detach().clone() for name, value in self.noise.items()}


def noise_inputs(generator: nn.Module) -> dict[str, Tensor]:
    """The generator's constant noise maps by name, float32 [R, R]; none where it was built without noise."""
    return {name: value for name, value in generator.named_buffers() if name.endswith("noise_const")}


def correlation(noise: Tensor) -> Tensor:
    """How far a noise map [R, R] is from white: squared correlation of neighbours, at all scales from 8 px up."""
    total = noise.new_zeros(())
    while True:
        for axis in (0, 1):
            total = total + (noise * noise.roll(1, dims=axis)).mean().square()
        if len(noise) <= SMALLEST:
            return total
        noise = F.avg_pool2d(noise[None, None], 2)[0, 0] * 2  # the mean of 4 has half the deviation
