"""Layers with equalised learning rate, under the tensor names of NVIDIA's published StyleGAN2 checkpoints.

Equalised learning rate (Progressive GAN, section 4.1): weights are stored with unit variance and multiplied by
1/sqrt(fan-in) when used, so that Adam's step has the same relative size everywhere.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cocktail import ops


class FullyConnectedLayer(nn.Module):
    """y = act(x W^T / sqrt(in) + b): float [N, in] -> float [N, out]; `lr_multiplier` scales both as in StyleGAN."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        lrelu: bool = False,
        lr_multiplier: float = 1.0,
        bias_init: float = 0.0,
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((out_features,), float(bias_init)))
        self.lrelu = lrelu
        self.gain = (ops.LRELU_GAIN if lrelu else 1.0) * lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        weight_gain = self.gain / math.sqrt(self.weight.shape[1])
        y = torch.addmm(self.bias, x, self.weight.t(), beta=self.gain, alpha=weight_gain)
        return ops.lrelu(y) if self.lrelu else y


class Conv2dLayer(nn.Module):
    """Convolution with optional FIR downsampling: float [N, in, H, W] -> float [N, out, H', W']."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        size: int,
        *,
        lrelu: bool = True,
        bias: bool = True,
        down: bool = False,
        conv_clamp: float | None = None,
        taps: tuple[float, ...] = (1, 3, 3, 1),
    ):
        super().__init__()
        self.register_buffer("resample_filter", ops.fir_kernel(taps))
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, size, size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.lrelu, self.down, self.conv_clamp = lrelu, down, conv_clamp
        self.fan_in = in_channels * size * size

    def forward(self, x: Tensor, gain: float = 1.0) -> Tensor:
        act_gain = (ops.LRELU_GAIN if self.lrelu else 1.0) * gain
        weight = (self.weight * (act_gain / math.sqrt(self.fan_in))).to(x.dtype)
        bias = (self.bias * act_gain).to(x.dtype) if self.bias is not None else None
        if self.down:
            x = ops.conv2d_down2(x, weight, bias, self.resample_filter)
        else:
            x = F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)
        clamp = self.conv_clamp * gain if self.conv_clamp is not None else None
        if self.lrelu:
            return ops.lrelu(x, clamp)
        return x.clamp(-clamp, clamp) if clamp is not None else x


class MinibatchStd(nn.Module):
    """Appends the standard deviation over groups of the batch, one channel per part of the channels (Progressive GAN,
    section 3, where it is one).

    float [N, C, H, W] -> float [N, C + parts, H, W]. The group is the largest divisor of N up to `group_size`, its
    members N/group apart; the deviation is averaged over a part's channels and all pixels. Without parts nothing is
    appended.
    """

    def __init__(self, group_size: int, parts: int = 1):
        super().__init__()
        self.group_size, self.parts = group_size, parts

    def forward(self, x: Tensor) -> Tensor:
        if not self.parts:
            return x
        n, c, h, w = x.shape
        group = ops.group_size(n, self.group_size)
        grouped = x.reshape(group, n // group, self.parts, c // self.parts, h, w)
        variance = (grouped - grouped.mean(dim=0)).square().mean(dim=0)
        std = (variance + 1e-8).sqrt().mean(dim=[2, 3, 4]).repeat(group, 1)
        return torch.cat([x, std[:, :, None, None].expand(n, self.parts, h, w)], dim=1)


def widen_inputs(old: Tensor, in_features: int) -> Tensor:
    """Weights [out, in] of an equalised layer for `in_features` inputs, the new ones zero, so that its output stays.

    The gain 1/sqrt(fan-in) falls with the number of inputs: old columns grow by sqrt(new / old).
    """
    new = old.new_zeros(old.shape[0], in_features)
    new[:, : old.shape[1]] = old * math.sqrt(in_features / old.shape[1])
    return new
