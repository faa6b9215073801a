"""StyleGAN2 in the formulation of NVIDIA's PyTorch code without its compiled operations: the yardstick of `speed.py`.

Written from the formulas of StyleGAN2 and StyleGAN2-ADA for this comparison, to do the same arithmetic in the same way:
modulated weights per picture, applied as one grouped convolution when drawing and by scaling activations when training;
resampling as zero insertion, padding and depthwise convolution at the full rate; bias, leaky ReLU, gain and clamp as
separate passes; everything in NCHW memory. `speed.py --peer` shows that it agrees with NVIDIA's in output and time.

Both networks wrap a copy of one of ours, whose parameters they read by name, so they load the same state dicts.
"""

import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cocktail.networks import stylegan2


def upfirdn(
    x: Tensor, kernel: Tensor, up: int = 1, down: int = 1, pad: tuple[int, int] = (0, 0), gain: float = 1.0
) -> Tensor:
    """Insert up - 1 zeros after each sample, pad, convolve, keep each `down`-th sample: float [N, C, H, W]."""
    n, c, h, w = x.shape
    spread = x.new_zeros(n, c, h, up, w, up)
    spread[:, :, :, 0, :, 0] = x
    padded = F.pad(spread.reshape(n, c, h * up, w * up), [*pad, *pad])
    filters = (kernel * gain).flip([0, 1]).repeat(c, 1, 1, 1)
    return F.conv2d(padded, filters, groups=c)[:, :, ::down, ::down]


def bias_act(x: Tensor, bias: Tensor | None, lrelu: bool, gain: float = 1.0, clamp: float | None = None) -> Tensor:
    """clamp(gain * act(x + bias)), one pass after the other, as NVIDIA's code does without its compiled operation."""
    if bias is not None:
        x = x + bias.reshape(1, -1, *[1] * (x.ndim - 2))
    if lrelu:
        x, gain = F.leaky_relu(x, 0.2), gain * math.sqrt(2)
    if gain != 1:
        x = x * gain
    return x if clamp is None else x.clamp(-clamp, clamp)


def resampled_conv(x: Tensor, weight: Tensor, kernel: Tensor, up: int = 1, down: int = 1, groups: int = 1) -> Tensor:
    """Same-size convolution (weight [O, I/groups, k, k]) with FIR resampling by 2 before or after it."""
    taps, size = kernel.shape[0], weight.shape[-1]
    if up == 2:
        out, inner = weight.shape[0] // groups, weight.shape[1]
        transposed = weight.reshape(groups, out, inner, size, size).transpose(1, 2).reshape(-1, out, size, size)
        y = F.conv_transpose2d(x, transposed, stride=2, groups=groups)
        before, after = (taps + 1) // 2 - (size - 1) + size // 2, taps // 2 - (size - 1) + size // 2
        return upfirdn(y, kernel, pad=(before, after), gain=4.0)
    if down == 2 and size == 1:
        return F.conv2d(upfirdn(x, kernel, down=2, pad=((taps - 1) // 2, (taps - 2) // 2)), weight)
    if down == 2:
        y = upfirdn(x, kernel, pad=((taps - 1) // 2 + size // 2, (taps - 2) // 2 + size // 2))
        return F.conv2d(y, weight, stride=2)
    return F.conv2d(x, weight, padding=size // 2, groups=groups)


def linear(layer: nn.Module, x: Tensor) -> Tensor:
    """Fully connected layer with equalised learning rate: float [N, in] -> float [N, out]."""
    multiplier = layer.gain / (math.sqrt(2) if layer.lrelu else 1)
    weight, bias = layer.weight * (multiplier / math.sqrt(layer.weight.shape[1])), layer.bias
    if multiplier != 1:
        bias = bias * multiplier
    if layer.lrelu:
        return bias_act(x.matmul(weight.t()), bias, lrelu=True)
    return torch.addmm(bias[None], x, weight.t())


def modulated_conv(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    noise: Tensor | None,
    kernel: Tensor,
    up: int,
    demodulate: bool,
    fused: bool,
) -> Tensor:
    """StyleGAN2, equations 1 to 3: x [N, I, H, W], weight [O, I, k, k], styles [N, I] -> float [N, O, H', W']."""
    n, out = len(x), weight.shape[0]
    each, coefficients = None, None
    if demodulate or fused:
        each = weight[None] * styles[:, None, :, None, None]
    if demodulate:
        coefficients = (each.square().sum(dim=[2, 3, 4]) + 1e-8).rsqrt()
    if not fused:
        y = resampled_conv(x * styles[:, :, None, None], weight, kernel, up)
        if coefficients is None:
            return y if noise is None else y + noise
        coefficients = coefficients[:, :, None, None]
        return y * coefficients if noise is None else torch.addcmul(noise, y, coefficients)
    if demodulate:
        each = each * coefficients[:, :, None, None, None]
    y = resampled_conv(x.reshape(1, -1, *x.shape[2:]), each.reshape(n * out, *weight.shape[1:]), kernel, up, groups=n)
    y = y.reshape(n, out, *y.shape[2:])
    return y if noise is None else y.add_(noise)


def mapped(mapping: stylegan2.MappingNetwork, z: Tensor | None, c: Tensor | None) -> Tensor:
    """z [N, z_dim] and one-hot c to w, float32 [N, w_dim]."""
    parts = [] if z is None else [z]
    if hasattr(mapping, "embed"):
        parts.append(linear(mapping.embed, c))
    parts = [p * (p.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt() for p in parts]
    x = torch.cat(parts, dim=1)
    for i in range(mapping.layers):
        x = linear(mapping.get_submodule(f"fc{i}"), x)
    return x


class ReferenceGenerator(nn.Module):
    """A copy of one of our generators that draws by NVIDIA's formulation."""

    def __init__(self, generator: stylegan2.Generator):
        super().__init__()
        self.net = copy.deepcopy(generator)
        self.train(generator.training)

    def map(self, z: Tensor, c: Tensor | None, truncation: float = 1.0, cutoff: int | None = None) -> Tensor:
        """z float32 [N, z_dim] -> ws float32 [N, num_ws, w_dim]."""
        ws = mapped(self.net.mapping, z, c)[:, None].repeat(1, self.net.num_ws, 1)
        if truncation != 1:
            ws[:, :cutoff] = self.net.mapping.w_avg.lerp(ws[:, :cutoff], truncation)
        return ws

    def _layer(self, layer: nn.Module, x: Tensor, w: Tensor, noise_mode: str, rng: torch.Generator | None) -> Tensor:
        noise, styles = None, linear(layer.affine, w)
        if layer.use_noise and noise_mode == "random":
            noise = torch.randn(len(x), 1, *layer.noise_const.shape, generator=rng) * layer.noise_strength
        elif layer.use_noise and noise_mode == "const":
            noise = layer.noise_const * layer.noise_strength
        up, fused = 2 if layer.up else 1, not self.training
        y = modulated_conv(x, layer.weight, styles, noise, layer.resample_filter, up, demodulate=True, fused=fused)
        return bias_act(y, layer.bias, lrelu=True, clamp=layer.conv_clamp)

    def _rgb(self, layer: nn.Module, x: Tensor, w: Tensor, kernel: Tensor) -> Tensor:
        styles = linear(layer.affine, w) * (1 / math.sqrt(layer.weight.shape[1]))
        y = modulated_conv(x, layer.weight, styles, None, kernel, 1, demodulate=False, fused=not self.training)
        return bias_act(y, layer.bias, lrelu=False, clamp=layer.conv_clamp)

    def synthesize(self, ws: Tensor, noise_mode: str = "const", rng: torch.Generator | None = None) -> Tensor:
        """ws float32 [N, num_ws, w_dim] -> pictures float32 [N, 3, H, W]."""
        index, n = 0, len(ws)
        x = img = None
        for resolution in self.net.synthesis.resolutions:
            block = self.net.synthesis.get_submodule(f"b{resolution}")
            codes = iter(ws[:, index : index + block.num_conv + 1].unbind(dim=1))
            index += block.num_conv
            kernel = block.resample_filter
            if not block.first:
                x = self._layer(block.conv0, x, next(codes), noise_mode, rng)
            elif hasattr(block, "input"):
                x = linear(block.input, ws[:, 0]).reshape(n, -1, 4, 4)
            else:
                x = block.const.repeat(n, 1, 1, 1)
            x = self._layer(block.conv1, x, next(codes), noise_mode, rng)
            rgb = self._rgb(block.torgb, x, next(codes), kernel)
            taps = kernel.shape[0]
            pad = ((taps + 1) // 2, (taps - 2) // 2)
            img = rgb if img is None else upfirdn(img, kernel, up=2, pad=pad, gain=4.0).add_(rgb)
        return img


class ReferenceDiscriminator(nn.Module):
    """A copy of one of our discriminators (resnet) that judges by NVIDIA's formulation."""

    def __init__(self, discriminator: stylegan2.Discriminator):
        super().__init__()
        self.net = copy.deepcopy(discriminator)

    def _layer(self, layer: nn.Module, x: Tensor, gain: float = 1.0) -> Tensor:
        weight = layer.weight * (1 / math.sqrt(layer.fan_in))
        y = resampled_conv(x, weight, layer.resample_filter, down=2 if layer.down else 1)
        clamp = None if layer.conv_clamp is None else layer.conv_clamp * gain
        return bias_act(y, layer.bias, layer.lrelu, gain, clamp)

    def forward(self, img: Tensor, c: Tensor | None) -> Tensor:
        """Pictures float32 [N, 3, H, W], one-hot c [N, c_dim] -> logits float32 [N, 1]."""
        x = img
        for resolution in self.net.resolutions:
            block = self.net.get_submodule(f"b{resolution}")
            if hasattr(block, "fromrgb"):
                x = self._layer(block.fromrgb, x)
            y = self._layer(block.skip, x, math.sqrt(0.5))
            x = y.add_(self._layer(block.conv1, self._layer(block.conv0, x), math.sqrt(0.5)))
        last = self.net.b4
        x = self._layer(last.conv, self._with_deviation(x, last.mbstd.group_size))
        out = linear(last.out, linear(last.fc, x.flatten(1)))
        if not self.net.c_dim:
            return out
        return (out * mapped(self.net.mapping, None, c)).sum(dim=1, keepdim=True) * (1 / math.sqrt(self.net.cmap_dim))

    def _with_deviation(self, x: Tensor, group: int) -> Tensor:
        n, c, h, w = x.shape
        group = min(group, n)
        y = x.reshape(group, -1, c, h, w)
        y = ((y - y.mean(dim=0)).square().mean(dim=0) + 1e-8).sqrt().mean(dim=[1, 2, 3])
        return torch.cat([x, y.reshape(-1, 1, 1, 1).repeat(group, 1, h, w)], dim=1)
