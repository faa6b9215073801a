"""Resampling, modulated convolution and activation against independent formulations, and their gradients."""

import numpy as np
import pytest
import scipy.signal
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck

from cocktail import ops

KERNELS = {"smooth": (1, 3, 3, 1), "skewed": (1, 4, 2, 3), "odd": (1, 2, 1), "box": (1, 1)}


def randn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def kernel_of(taps, dtype=torch.float64):
    return ops.fir_kernel(taps).to(dtype)


def zero_inserted(x, up=2):
    n, c, h, w = x.shape
    y = x.new_zeros(n, c, h * up, w * up)
    y[:, :, ::up, ::up] = x
    return y


def correlate(x, matrix):
    return F.conv2d(x, matrix.expand(x.shape[1], 1, *matrix.shape), groups=x.shape[1])


def test_the_low_pass_filter_has_sum_one_and_is_separable():
    kernel = ops.fir_kernel((1, 3, 3, 1))
    assert kernel.sum() == 1
    assert torch.allclose(kernel, torch.outer(kernel.sum(1), kernel.sum(0)))
    assert torch.equal(kernel.sum(0) * 8, torch.tensor([1.0, 3, 3, 1]))


@pytest.mark.parametrize("taps", KERNELS.values(), ids=KERNELS)
@pytest.mark.parametrize("pad", [(0, 0), (2, 1), (1, 1)])
@pytest.mark.parametrize("stride", [1, 2])
def test_fir_is_scipys_convolution_of_the_padded_picture(taps, pad, stride):
    x, kernel = randn(2, 3, 8, 6), kernel_of(taps)
    found = ops.fir(x, kernel, pad, gain=1.5, stride=stride)
    for n in range(2):
        for c in range(3):
            padded = np.pad(x[n, c].numpy(), [pad, pad])
            expected = scipy.signal.convolve2d(padded, 1.5 * kernel.numpy(), mode="valid")[::stride, ::stride]
            np.testing.assert_allclose(found[n, c].numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("taps", KERNELS.values(), ids=KERNELS)
def test_upsampling_is_scipys_upfirdn_along_both_axes_cut_to_twice_the_size(taps):
    x = randn(1, 1, 6, 6)
    row = kernel_of(taps).sum(dim=0).numpy()
    wide = scipy.signal.upfirdn(2 * row, x[0, 0].numpy(), up=2, axis=1)
    full = scipy.signal.upfirdn(2 * row, wide, up=2, axis=0)
    # StyleGAN pads (taps + 1) // 2 samples before; the full convolution has taps - 1: the difference is cut off.
    start = len(taps) - 1 - (len(taps) + 1) // 2
    expected = np.pad(full, [(0, 2), (0, 2)])[start : start + 12, start : start + 12]
    np.testing.assert_allclose(ops.upsample2(x, kernel_of(taps))[0, 0].numpy(), expected, atol=1e-7)


@pytest.mark.parametrize("taps", KERNELS.values(), ids=KERNELS)
def test_downsampling_filters_and_keeps_each_second_sample(taps):
    x, kernel = randn(2, 3, 8, 8), kernel_of(taps)
    before, after = (len(taps) - 1) // 2, (len(taps) - 2) // 2
    expected = correlate(F.pad(x, [before, after, before, after]), kernel.flip([0, 1]))[:, :, ::2, ::2]
    assert torch.allclose(ops.downsample2(x, kernel), expected, atol=1e-12)
    assert ops.downsample2(x, kernel).shape == (2, 3, 4, 4)


def test_resampling_keeps_a_constant_picture_inside():
    x, kernel = torch.ones(1, 3, 8, 8, dtype=torch.float64), kernel_of((1, 3, 3, 1))
    assert torch.allclose(ops.upsample2(x, kernel)[:, :, 2:-2, 2:-2], torch.ones(()).double())
    assert torch.allclose(ops.downsample2(x, kernel)[:, :, 1:-1, 1:-1], torch.ones(()).double())


@pytest.mark.parametrize("taps", KERNELS.values(), ids=KERNELS)
@pytest.mark.parametrize("size", [1, 3])
def test_convolution_with_upsampling_is_zero_insertion_convolution_and_filter(taps, size):
    x, weight, kernel = randn(2, 3, 5, 5), randn(4, 3, size, size, seed=1), kernel_of(taps)
    # The transposed convolution uses the weights mirrored; what runs over the zero-inserted picture is a correlation.
    mirrored = weight.flip([2, 3])
    full = F.conv2d(F.pad(zero_inserted(x), [size - 1, size - 1] * 2), mirrored)
    smooth = 4 * correlate(F.pad(full, [len(taps) - 1] * 4), kernel.flip([0, 1]))
    start = len(taps) - 1 + size // 2 - (len(taps) + 1) // 2
    expected = F.pad(smooth, [0, 2, 0, 2])[:, :, start : start + 10, start : start + 10]
    assert torch.allclose(ops.conv2d_up2(x, weight, kernel), expected, atol=1e-10)


@pytest.mark.parametrize("taps", KERNELS.values(), ids=KERNELS)
@pytest.mark.parametrize("size", [1, 3])
def test_convolution_with_downsampling_is_filter_convolution_and_decimation(taps, size):
    x, weight, bias, kernel = randn(2, 3, 8, 8), randn(4, 3, size, size, seed=1), randn(4, seed=2), kernel_of(taps)
    before, after = (len(taps) - 1) // 2 + size // 2, (len(taps) - 2) // 2 + size // 2
    smooth = correlate(F.pad(x, [before, after, before, after]), kernel.flip([0, 1]))
    expected = F.conv2d(smooth, weight, bias)[:, :, ::2, ::2]
    assert torch.allclose(ops.conv2d_down2(x, weight, bias, kernel), expected, atol=1e-10)


def explicit_modulated_conv(x, weight, styles, bias, kernel, demodulate, noise, gain):
    """One picture at a time, weights written out (StyleGAN2, equations 1 to 3)."""
    found = []
    for picture, style in zip(x, styles, strict=True):
        w = weight * style[None, :, None, None]
        if demodulate:
            w = w / (w.square().sum(dim=[1, 2, 3], keepdim=True) + 1e-8).sqrt()
        y = F.conv2d(picture[None], w, padding=w.shape[-1] // 2)
        if kernel is not None:
            y = ops.conv2d_up2(picture[None], w, kernel)
        found.append(y)
    y = torch.cat(found) + bias[:, None, None]
    return gain * (y if noise is None else y + noise)


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("demodulate", [False, True])
@pytest.mark.parametrize("noise", ["none", "const", "random"])
@pytest.mark.parametrize("size", [1, 3])
def test_modulated_convolution_is_one_convolution_per_picture(batch, up, demodulate, noise, size):
    x, weight, styles, bias = randn(batch, 5, 6, 6), randn(4, 5, size, size), randn(batch, 5, seed=1), randn(4, seed=2)
    edge = 12 if up else 6
    noise = {"none": None, "const": randn(edge, edge, seed=3), "random": randn(batch, 1, edge, edge, seed=3)}[noise]
    kernel = kernel_of((1, 3, 3, 1)) if up else None
    with torch.inference_mode(batch == 1):
        found = ops.modulated_conv2d(
            x, weight, styles, bias, up_kernel=kernel, demodulate=demodulate, noise=noise, gain=1.25
        )
    expected = explicit_modulated_conv(x, weight, styles, bias, kernel, demodulate, noise, 1.25)
    assert torch.allclose(found, expected, atol=1e-9)


def test_one_picture_is_the_same_for_a_person_and_in_a_run():
    x, weight, styles, bias = randn(1, 5, 6, 6), randn(4, 5, 3, 3), randn(1, 5, seed=1), randn(4, seed=2)
    known = {"up_kernel": kernel_of((1, 3, 3, 1)), "noise": randn(12, 12, seed=3), "gain": 1.25}
    with torch.inference_mode():
        shown = ops.modulated_conv2d(x, weight, styles, bias, **known)
    assert torch.allclose(shown, ops.modulated_conv2d(x, weight, styles, bias, **known), atol=1e-12)


def test_the_inputs_of_a_modulated_convolution_stay_as_they_are():
    x, weight, styles, bias = randn(1, 5, 6, 6), randn(4, 5, 3, 3), randn(1, 5, seed=1), randn(4, seed=2)
    copies = [t.clone() for t in (x, weight, styles, bias)]
    with torch.inference_mode():
        ops.modulated_conv2d(x, weight, styles, bias, noise=randn(6, 6), gain=2.0)
    assert all(torch.equal(a, b) for a, b in zip((x, weight, styles, bias), copies, strict=True))


def test_demodulation_gives_unit_variance():
    x, weight, styles = randn(64, 32, 10, 10), randn(16, 32, 3, 3, seed=1) * 3, randn(64, 32, seed=2).exp()
    y = ops.modulated_conv2d(x, weight, styles, torch.zeros(16).double())[:, :, 1:-1, 1:-1]
    # Over pictures and pixels: 4096 values a channel, correlated among neighbours.
    assert y.var(dim=[0, 2, 3]).sub(1).abs().max() < 0.12
    assert abs(y.var() - 1) < 0.03


def test_leaky_relu_has_slope_a_fifth_and_clamps():
    x = torch.tensor([-100.0, -1, 0, 1, 100])
    assert torch.equal(ops.lrelu(x.clone()), torch.tensor([-20.0, -0.2, 0, 1, 100]))
    assert torch.equal(ops.lrelu(x.clone(), clamp=10.0), torch.tensor([-10.0, -0.2, 0, 1, 10]))


def test_the_second_moment_is_normalised_per_row():
    x = randn(5, 64) * torch.tensor([[1e-1], [1], [10], [100], [1000]])
    assert torch.allclose(ops.normalize_second_moment(x).square().mean(dim=1), torch.ones(5).double(), atol=1e-5)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("up", [False, True])
def test_gradients_of_the_modulated_convolution_to_second_order(batch, up):
    inputs = [randn(batch, 3, 4, 4), randn(2, 3, 3, 3, seed=1), randn(batch, 3, seed=2), randn(2, seed=3)]
    inputs = [t.requires_grad_() for t in inputs]
    kernel = kernel_of((1, 3, 3, 1)) if up else None

    def layer(x, weight, styles, bias):
        return ops.modulated_conv2d(x, weight, styles, bias, up_kernel=kernel, gain=1.5)

    assert gradcheck(layer, inputs)
    assert gradgradcheck(layer, inputs)


@pytest.mark.parametrize("function", [
    lambda x: ops.fir(x, kernel_of((1, 4, 2, 3)), (2, 1)),
    lambda x: ops.upsample2(x, kernel_of((1, 3, 3, 1))),
    lambda x: ops.downsample2(x, kernel_of((1, 3, 3, 1))),
    lambda x: ops.lrelu(x * 1.0),
    lambda x: ops.lrelu(x * 1.0, clamp=1.5),
], ids=["fir", "upsample2", "downsample2", "lrelu", "clamped lrelu"])  # fmt: skip
def test_gradients_of_resampling_and_activation_to_second_order(function):
    x = randn(2, 2, 4, 4).requires_grad_()
    assert gradcheck(function, [x])
    assert gradgradcheck(function, [x])


@pytest.mark.parametrize("size", [1, 3])
def test_gradients_of_the_downsampling_convolution_to_second_order(size):
    inputs = [randn(2, 2, 4, 4).requires_grad_(), randn(2, 2, size, size, seed=1).requires_grad_()]
    assert gradcheck(lambda x, w: ops.conv2d_down2(x, w, None, kernel_of((1, 3, 3, 1))), inputs)
    assert gradgradcheck(lambda x, w: ops.conv2d_down2(x, w, None, kernel_of((1, 3, 3, 1))), inputs)
