"""State dicts of other PyTorch programs, of our own making: random tensors in their layouts, nothing left at zero."""

import math

import torch


def _rng(seed):
    return torch.Generator().manual_seed(seed)


def _linear(state, name, inputs, outputs, rng, scale=1.0, centre=0.0):
    state[name + ".weight"] = torch.randn(outputs, inputs, generator=rng) * scale
    state[name + ".bias"] = centre + 0.3 * scale * torch.randn(outputs, generator=rng)


def _filter(gain):
    row = torch.tensor([1.0, 3.0, 3.0, 1.0])
    return gain * row.outer(row) / 64


def rosinality_generator(widths=(6, 7, 5), style=8, layers=2, seed=0):
    """rosinality's StyleGAN2 generator with so many channels at 4, 8, 16 ... px."""
    rng, state = _rng(seed), {}
    for i in range(layers):
        _linear(state, f"style.{i + 1}", style, style, rng, scale=100)  # learning-rate multiplier 0.01
    state["input.input"] = torch.randn(1, widths[0], 4, 4, generator=rng)

    def modulated(name, inputs, outputs, size):
        state[name + ".weight"] = torch.randn(1, outputs, inputs, size, size, generator=rng)
        _linear(state, name + ".modulation", style, inputs, rng, centre=1.0)

    def styled(name, inputs, outputs, up=False):
        modulated(name + ".conv", inputs, outputs, 3)
        state[name + ".noise.weight"] = 0.3 + torch.rand(1, generator=rng)
        state[name + ".activate.bias"] = 0.3 * torch.randn(outputs, generator=rng)
        if up:
            state[name + ".conv.blur.kernel"] = _filter(4)

    def rgb(name, inputs, up=True):
        modulated(name + ".conv", inputs, 3, 1)
        state[name + ".bias"] = 0.3 * torch.randn(1, 3, 1, 1, generator=rng)
        if up:
            state[name + ".upsample.kernel"] = _filter(4)

    styled("conv1", widths[0], widths[0])
    rgb("to_rgb1", widths[0], up=False)
    for i, (before, width) in enumerate(zip(widths, widths[1:])):
        styled(f"convs.{2 * i}", before, width, up=True)
        styled(f"convs.{2 * i + 1}", width, width)
        rgb(f"to_rgbs.{i}", width)
    for i in range(2 * len(widths) - 1):
        size = 4 << (i + 1) // 2
        state[f"noises.noise_{i}"] = torch.randn(1, 1, size, size, generator=rng)
    return state


def rosinality_discriminator(widths=(6, 7, 5), seed=1):
    """rosinality's discriminator with so many channels at 4, 8, 16 ... px."""
    rng, state = _rng(seed), {}

    def conv(name, inputs, outputs, size, place=0, bias=True):
        state[f"{name}.{place}.weight"] = torch.randn(outputs, inputs, size, size, generator=rng)
        if bias:
            state[f"{name}.{place + 1}.bias"] = 0.3 * torch.randn(outputs, generator=rng)
        if place:
            state[f"{name}.0.kernel"] = _filter(1)

    conv("convs.0", 3, widths[-1], 1)
    for i, (width, after) in enumerate(zip(widths[:0:-1], widths[-2::-1])):
        conv(f"convs.{i + 1}.conv1", width, width, 3)
        conv(f"convs.{i + 1}.conv2", width, after, 3, place=1)
        conv(f"convs.{i + 1}.skip", width, after, 1, place=1, bias=False)
    conv("final_conv", widths[0] + 1, widths[0], 3)
    _linear(state, "final_linear.0", widths[0] * 16, widths[0], rng)
    _linear(state, "final_linear.1", widths[0], 1, rng)
    return state


def _norm(state, name, width, rng):
    state[name + ".weight"] = 0.5 + torch.rand(width, generator=rng)
    state[name + ".bias"] = 0.3 * torch.randn(width, generator=rng)
    state[name + ".running_mean"] = 0.3 * torch.randn(width, generator=rng)
    state[name + ".running_var"] = 0.5 + torch.rand(width, generator=rng)
    state[name + ".num_batches_tracked"] = torch.tensor(7)


def dcgan_generator(nz=6, ngf=4, nc=3, pixels=32, biases="none", last_kernel=4, seed=0):
    """The generator of PyTorch's DCGAN example: ngf channels before the last layer, twice as many in each above."""
    rng, state, inputs, at = _rng(seed), {}, nz, 0
    levels = int(math.log2(pixels)) - (2 if last_kernel == 4 else 1)
    for i in range(levels):
        width = ngf << (levels - 1 - i)
        state[f"main.{at}.weight"] = torch.randn(inputs, width, 4, 4, generator=rng) / math.sqrt(inputs * 4)
        if biases == "all":
            state[f"main.{at}.bias"] = 0.3 * torch.randn(width, generator=rng)
        _norm(state, f"main.{at + 1}", width, rng)
        inputs, at = width, at + 3
    state[f"main.{at}.weight"] = torch.randn(inputs, nc, last_kernel, last_kernel, generator=rng) / math.sqrt(
        inputs * 4
    )
    if biases != "none":
        state[f"main.{at}.bias"] = 0.3 * torch.randn(nc, generator=rng)
    return state


def dcgan_discriminator(ndf=4, nc=3, pixels=32, biases="none", last_kernel=4, seed=1):
    """The discriminator of PyTorch's DCGAN example: ndf channels behind the first layer, then twice as many in each."""
    rng, state, inputs, at = _rng(seed), {}, nc, 0
    levels = int(math.log2(pixels // last_kernel))
    for i in range(levels):
        width = ndf << i
        state[f"main.{at}.weight"] = torch.randn(width, inputs, 4, 4, generator=rng) / math.sqrt(inputs * 8)
        if biases == "all" or (biases == "plain" and i == 0):
            state[f"main.{at}.bias"] = 0.3 * torch.randn(width, generator=rng)
        if i:
            _norm(state, f"main.{at + 1}", width, rng)
        inputs, at = width, at + (3 if i else 2)
    state[f"main.{at}.weight"] = torch.randn(1, inputs, last_kernel, last_kernel, generator=rng) / math.sqrt(
        inputs * 16
    )
    if biases != "none":
        state[f"main.{at}.bias"] = 0.3 * torch.randn(1, generator=rng)
    return state
