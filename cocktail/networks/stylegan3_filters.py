"""Low-pass filters and the filtered leaky ReLU of StyleGAN3 in plain PyTorch.

Karras et al., "Alias-Free Generative Adversarial Networks", 2021: section 3.2 and appendix C. A nonlinearity makes
frequencies that the sampling grid cannot hold; it is applied at a higher rate, and a low-pass filter takes them away
before the signal returns to its own rate. Filters are separable or radial; the former are two passes, and channels-last
memory makes depthwise (transposed) convolutions several times faster on a CPU.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import j1
from torch import Tensor

from cocktail import ops

MAX_VALUES = 1 << 26  # of the signal at the higher rate, 256 MB; more is done in groups of channels


def kaiser_beta(taps: int, width: float) -> float:
    """The shape of the Kaiser window for a transition band of `width`, 1 = the Nyquist frequency (appendix C)."""
    attenuation = 2.285 * (taps - 1) * math.pi * width + 7.95  # in dB, that such a filter reaches
    if attenuation > 50:
        return 0.1102 * (attenuation - 8.7)
    if attenuation > 21:
        return 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21)
    return 0.0


def lowpass(taps: int, cutoff: float, width: float, rate: float) -> Tensor:
    """A Kaiser-windowed sinc of sum 1, float32 [taps]; cutoff, transition width and sampling rate in one unit.

    h(x) = 2 f_c sinc(2 f_c x) w(x) at the `taps` points nearest to 0 of a grid of that rate (appendix C).
    """
    x = (np.arange(taps) - (taps - 1) / 2) / rate
    kernel = np.sinc(2 * cutoff * x) * np.kaiser(taps, kaiser_beta(taps, 2 * width / rate))
    return torch.as_tensor(kernel / kernel.sum(), dtype=torch.float32)


def radial_lowpass(taps: int, cutoff: float, width: float, rate: float) -> Tensor:
    """The same with a disc for its pass band: a jinc under a separable Kaiser window, float32 [taps, taps], sum 1.

    h(r) = f_c J_1(2 pi f_c r) / r (appendix C, configuration R).
    """
    x = (np.arange(taps) - (taps - 1) / 2) / rate
    r = np.maximum(np.hypot(x[:, None], x[None, :]), 1e-9 / rate)  # the limit at 0 is pi f_c^2
    window = np.kaiser(taps, kaiser_beta(taps, 2 * width / rate))
    kernel = j1(2 * np.pi * cutoff * r) / r * np.outer(window, window)
    return torch.as_tensor(kernel / kernel.sum(), dtype=torch.float32)


def filtered_lrelu(
    x: Tensor,
    up_filter: Tensor | None,
    down_filter: Tensor | None,
    up: int,
    down: int,
    out_size: int,
    clamp: float | None = None,
) -> Tensor:
    """Upsample, leaky ReLU with gain sqrt(2), clamp, downsample: float [N, C, H, H] -> [N, C, out_size, out_size].

    The filters are float32 [taps] or [taps, taps] and symmetric, None where the factor is 1. The picture's centre
    stays where it is (samples sit in the middles of pixels, appendix C); beyond its border the signal is 0.
    """
    channels, wide = x.shape[1], (out_size * down) ** 2
    group = max(1, MAX_VALUES // (x.shape[0] * wide))
    if group >= channels:
        return _filtered(x, up_filter, down_filter, up, down, out_size, clamp)
    parts = x.split(group, dim=1)
    return torch.cat([_filtered(part, up_filter, down_filter, up, down, out_size, clamp) for part in parts], dim=1)


def _filtered(
    x: Tensor,
    up_filter: Tensor | None,
    down_filter: Tensor | None,
    up: int,
    down: int,
    out_size: int,
    clamp: float | None,
) -> Tensor:
    up_reach = len(up_filter) - 1 if up_filter is not None else 0
    down_reach = len(down_filter) - 1 if down_filter is not None else 0
    # What the output reaches over at the higher rate, less what the input spans there.
    gap = (out_size - 1) * down + up_reach + down_reach - (x.shape[-1] - 1) * up
    before = (gap + 1) // 2
    x = (x * ops.LRELU_GAIN).contiguous(memory_format=torch.channels_last)  # here, where it has fewer samples
    x = ops.lrelu(_upsample(x, up_filter, up, before, gap - before), clamp)
    return _downsample(x, down_filter, down)


def _upsample(x: Tensor, kernel: Tensor | None, factor: int, before: int, after: int) -> Tensor:
    """Puts factor - 1 zeros between samples, pads each axis by (before, after), filters with gain factor^2."""
    if kernel is None:
        return F.pad(x, [before, after, before, after])
    # A transposed convolution is as if padded by the filter's reach; `padding` cuts what that is too much.
    surplus = len(kernel) - 1 - max(before, after)
    crop = max(0, surplus)
    for weight, axis in _passes(kernel * factor if kernel.ndim == 1 else kernel * factor**2, x):
        stride, padding = [factor if on else 1 for on in axis], [crop if on else 0 for on in axis]
        x = F.conv_transpose2d(x, weight, stride=stride, padding=padding, groups=x.shape[1])
    reach = len(kernel) - 1 - crop
    return x if before == after == reach else F.pad(x, [before - reach, after - reach] * 2)


def _downsample(x: Tensor, kernel: Tensor | None, factor: int) -> Tensor:
    """Filters, then keeps every factor-th sample."""
    if kernel is None:
        return x[:, :, ::factor, ::factor]
    for weight, axis in _passes(kernel, x):
        x = F.conv2d(x, weight, stride=[factor if on else 1 for on in axis], groups=x.shape[1])
    return x


def _passes(kernel: Tensor, x: Tensor) -> list[tuple[Tensor, tuple[bool, bool]]]:
    """Depthwise weights [C, 1, h, w] and the axes that they act on: two for a separable filter, else one."""
    kernel, taps = kernel.to(x.dtype), len(kernel)
    if kernel.ndim == 2:
        return [(kernel.expand(x.shape[1], 1, taps, taps), (True, True))]
    column = kernel[:, None].expand(x.shape[1], 1, taps, 1)
    row = kernel[None, :].expand(x.shape[1], 1, 1, taps)
    return [(column, (True, False)), (row, (False, True))]
