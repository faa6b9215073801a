"""Resampling, modulated convolution and activation of StyleGAN2 in plain PyTorch, fast without compiled ops.

Three facts decide the form, each measured by `benchmarks/speed.py`: a depthwise convolution in channels-last memory is
the fastest FIR filter that PyTorch offers on a CPU; scaling activations costs less than a grouped convolution with
one weight per picture; and the gain of a leaky ReLU commutes with it, so it is multiplied into the (small) weights
beforehand.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

LRELU_GAIN = math.sqrt(2)
LRELU_SLOPE = 0.2


def fir_kernel(taps: tuple[float, ...] = (1, 3, 3, 1)) -> Tensor:
    """The separable low-pass filter as a matrix of sum 1: float32 [len(taps), len(taps)] (StyleGAN2, section 4)."""
    row = torch.tensor(taps, dtype=torch.float32)
    kernel = row.outer(row)
    return kernel / kernel.sum()


def _depthwise(kernel: Tensor, x: Tensor, gain: float) -> Tensor:
    channels = x.shape[1]
    return (kernel.flip([0, 1]) * gain).to(x.dtype).expand(channels, 1, *kernel.shape)


def fir(
    x: Tensor, kernel: Tensor, pad: tuple[int, int], gain: float = 1.0, stride: int = 1, bias: Tensor | None = None
) -> Tensor:
    """Zero-pad each side by `pad` = (before, after), convolve each channel with `kernel`, keep each `stride`-th sample.

    x: float [N, C, H, W]; kernel: float32 [k, k]; bias: float [C], added. Returns float [N, C, H', ...] with
    H' = (H + sum(pad) - k) // stride + 1.
    """
    before, after = pad
    symmetric = before == after
    if not symmetric:
        x = F.pad(x, [before, after, before, after])
    padding = before if symmetric else 0
    return F.conv2d(x, _depthwise(kernel, x, gain), bias, stride=stride, padding=padding, groups=x.shape[1])


def upsample2(x: Tensor, kernel: Tensor) -> Tensor:
    """Double the resolution: insert zeros, filter with gain 4. float [N, C, H, W] -> float [N, C, 2H, 2W]."""
    taps = kernel.shape[0]
    if taps % 2 == 0:
        # The transposed convolution is zero insertion and filtering in one; it correlates with the flipped kernel.
        weight = _depthwise(kernel.flip([0, 1]), x, 4.0)
        return F.conv_transpose2d(x, weight, stride=2, padding=taps // 2 - 1, groups=x.shape[1])
    n, c, h, w = x.shape
    spread = x.new_zeros(n, c, 2 * h, 2 * w)
    spread[:, :, ::2, ::2] = x
    return fir(spread, kernel, ((taps + 1) // 2, (taps - 2) // 2), gain=4.0)


def downsample2(x: Tensor, kernel: Tensor) -> Tensor:
    """Filter, then keep each second sample. float [N, C, H, W] -> float [N, C, H/2, W/2]."""
    taps = kernel.shape[0]
    return fir(x, kernel, ((taps - 1) // 2, (taps - 2) // 2), stride=2)


def conv2d_up2(x: Tensor, weight: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """Transposed convolution of stride 2 followed by the FIR filter (StyleGAN2, figure 3). [N,I,H,W] -> [N,O,2H,2W].

    weight: float [O, I, k, k]; bias: float [O]. Folding both into one 6x6 kernel would need four times the
    multiplications.
    """
    size = weight.shape[-1]
    if size == 1:
        y = upsample2(F.conv2d(x, weight), kernel)
        return y if bias is None else y + bias[:, None, None]
    taps = kernel.shape[0]
    y = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
    pad = size // 2 - size + 1
    return fir(y, kernel, (pad + (taps + 1) // 2, pad + (taps - 2) // 2 + 1), gain=4.0, bias=bias)


def conv2d_down2(x: Tensor, weight: Tensor, bias: Tensor | None, kernel: Tensor) -> Tensor:
    """FIR filter followed by a convolution of stride 2. float [N,I,H,W], weight [O,I,k,k] -> float [N,O,H/2,W/2]."""
    size = weight.shape[-1]
    if size == 1:
        return F.conv2d(downsample2(x, kernel), weight, bias)
    taps, pad = kernel.shape[0], size // 2
    y = fir(x, kernel, (pad + (taps - 1) // 2, pad + (taps - 2) // 2))
    return F.conv2d(y, weight, bias, stride=2)


def lrelu(x: Tensor, clamp: float | None = None) -> Tensor:
    """Leaky ReLU of slope 0.2 in place (the gain is in the weights already), then clamped to +-clamp if given."""
    x = F.leaky_relu_(x, LRELU_SLOPE)
    return x.clamp(-clamp, clamp) if clamp is not None else x


def group_size(n: int, limit: int) -> int:
    """How many of a batch of n share a standard deviation (`MinibatchStd`): the largest divisor of n up to a limit."""
    return next(g for g in range(min(limit, n), 0, -1) if n % g == 0)


def full_precision(x: Tensor) -> Tensor:
    """x in float32 if it has fewer bits (under autocast), unchanged otherwise (float64 in gradient checks)."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def normalize_second_moment(x: Tensor) -> Tensor:
    """x / rms(x) along dimension 1, as StyleGAN2 does with z and with the class embedding. float [N, D] -> [N, D]."""
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


def demodulation(weight: Tensor, styles: Tensor) -> Tensor:
    """1 / the standard deviation of each output channel for unit input (StyleGAN2, equation 3).

    weight: float [O, I, k, k]; styles: float [N, I]. Returns float [N, O]. The sum over the kernel does not depend on
    the picture, so the weights of a batch are never written out.
    """
    return (styles.square() @ weight.square().sum(dim=[2, 3]).t() + 1e-8).rsqrt()


def modulated_conv2d(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    bias: Tensor,
    *,
    up_kernel: Tensor | None = None,
    demodulate: bool = True,
    noise: Tensor | None = None,
    gain: float = 1.0,
) -> Tensor:
    """gain * (conv(x, styles * weight) * demodulation + noise + bias): StyleGAN2, equations 1 to 3.

    x: float [N, I, H, W]; weight: float [O, I, k, k]; styles: float [N, I]; bias: float [O]; noise: broadcasts to the
    output. `up_kernel` (FIR) asks for twice the resolution. Returns float [N, O, H', W'].
    """
    scale = demodulation(weight, styles) * gain if demodulate else None
    bias = (bias * gain).to(x.dtype)
    noise = None if noise is None else (noise * gain).to(x.dtype)
    plain = noise is None and up_kernel is None
    if x.shape[0] == 1 and (plain or torch.is_inference_mode_enabled()):
        # One picture: scaling its weights makes an ordinary convolution, and passes over the activations are saved.
        # With noise or upsampling only where a person looks: a run repeats to the last bit what it made before.
        w = weight * styles.reshape(1, -1, 1, 1)
        w = w * scale.reshape(-1, 1, 1, 1) if scale is not None else w * gain
        y = _conv2d(x, w.to(x.dtype), up_kernel, bias)
        return y if noise is None else y.add_(noise)
    if scale is None:
        styles = styles * gain
    y = _conv2d(x * styles.to(x.dtype)[:, :, None, None], weight.to(x.dtype), up_kernel, None)
    shift = bias[:, None, None] if noise is None else bias[:, None, None] + noise
    return torch.addcmul(shift, y, scale.to(x.dtype)[:, :, None, None]) if scale is not None else y + shift


def _conv2d(x: Tensor, weight: Tensor, up_kernel: Tensor | None, bias: Tensor | None) -> Tensor:
    if up_kernel is not None:
        return conv2d_up2(x, weight, up_kernel, bias)
    return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)
