"""StyleGAN3's generator, configurations T and R; tensor names and shapes as in NVIDIA's published checkpoints.

Karras et al., "Alias-Free Generative Adversarial Networks", 2021. Every signal is band-limited: the input are Fourier
features of random frequencies, moved by a transform that w decides; layers have cutoffs and sampling rates that grow
geometrically; nonlinearities are filtered (`stylegan3_filters`). Its discriminator is StyleGAN2's.

It serves as a source. Its weights have nothing in common with those of StyleGAN2, so the two cannot be averaged.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cocktail import ops, parallel
from cocktail.errors import CocktailError
from cocktail.networks import stylegan2
from cocktail.networks.layers import FullyConnectedLayer
from cocktail.networks.registry import Architecture, check_range, register
from cocktail.networks.stylegan3_filters import filtered_lrelu, lowpass, radial_lowpass
from cocktail.parallel import RowsRng


@dataclass(frozen=True)
class GeneratorConfig:
    """The generator's architecture; the defaults are configuration T for large pictures.

    Configuration R has conv_kernel 1, use_radial_filters, and twice the channel_base and channel_max.
    """

    img_resolution: int = field(default=256, metadata={"help": "width and height in pixels, a power of two"})
    img_channels: int = 3
    z_dim: int = field(default=512, metadata={"help": "dimension of the latent z"})
    c_dim: int = field(default=0, metadata={"help": "number of classes, 0 = unconditional"})
    w_dim: int = field(default=512, metadata={"help": "dimension of the intermediate latent w"})
    mapping_layers: int = field(default=2, metadata={"help": "fully connected layers from z to w"})
    mapping_lr_multiplier: float = field(default=0.01, metadata={"help": "learning-rate multiplier of the mapping"})
    channel_base: int = field(default=32768, metadata={"help": "channels are channel_base / (2 x cutoff)"})
    channel_max: int = 512
    num_layers: int = field(default=14, metadata={"help": "layers between the Fourier features and RGB"})
    num_critical: int = field(default=2, metadata={"help": "last layers that use all frequencies of the grid"})
    first_cutoff: float = field(default=2, metadata={"help": "cutoff of the first layer in cycles per picture"})
    first_stopband: float = field(default=2**2.1, metadata={"help": "stopband of the first layer, the same unit"})
    last_stopband_rel: float = field(default=2**0.3, metadata={"help": "stopband of the last layer / its cutoff"})
    margin_size: int = field(default=10, metadata={"help": "pixels kept beyond the picture's border"})
    output_scale: float = field(default=0.25, metadata={"help": "factor of the picture"})
    conv_kernel: int = field(default=3, metadata={"help": "3 for configuration T, 1 for R"})
    filter_size: int = field(default=6, metadata={"help": "taps of a filter / its factor"})
    lrelu_upsampling: int = field(default=2, metadata={"help": "rate of the nonlinearity / rate of the signal"})
    use_radial_filters: bool = field(default=False, metadata={"help": "downsample with radial filters, R"})
    conv_clamp: float | None = field(default=256, metadata={"help": "clamp activations to +-this"})
    magnitude_ema_beta: float = field(default=0.999, metadata={"help": "memory of the mean input magnitude"})

    def __post_init__(self) -> None:
        check_range(self, img_resolution=(8, 2048), img_channels=(1, 4), z_dim=(1, 8192), c_dim=(0, 10_000),
                    w_dim=(1, 8192), mapping_layers=(1, 64), mapping_lr_multiplier=(1e-6, 100),
                    channel_base=(1, 1 << 20), channel_max=(1, stylegan2.MAX_CHANNELS), num_layers=(2, 64),
                    num_critical=(0, 63), first_cutoff=(0.5, 1024), first_stopband=(0.5, 2048),
                    last_stopband_rel=(1.01, 16), margin_size=(0, 256), output_scale=(1e-6, 1e6), conv_kernel=(1, 9),
                    filter_size=(2, 32), lrelu_upsampling=(1, 8), conv_clamp=(0, 1e9),
                    magnitude_ema_beta=(0, 1))  # fmt: skip
        if self.img_resolution & (self.img_resolution - 1):
            raise CocktailError(f"img_resolution is {self.img_resolution}; StyleGAN3 needs a power of two.")
        if self.num_critical >= self.num_layers:
            raise CocktailError(
                f"num_critical is {self.num_critical}; expected less than num_layers {self.num_layers}."
            )
        if not self.first_cutoff < min(self.first_stopband, self.img_resolution / 2):
            raise CocktailError(
                f"first_cutoff is {self.first_cutoff}; expected less than first_stopband {self.first_stopband} "
                f"and half of {self.img_resolution} px."
            )


@dataclass(frozen=True)
class Band:
    """The signal that a layer gives: its frequencies, in cycles per picture, and its samples."""

    cutoff: float
    half_width: float  # of the transition band
    rate: int  # samples per picture width
    size: int  # samples, those beyond the picture's border included
    channels: int


def bands(config: GeneratorConfig) -> list[Band]:
    """What each of the num_layers + 1 layers gives, RGB the last (section 3.2, flexible layer specifications).

    Cutoff f_c and stopband f_t grow geometrically up to the first of the critically sampled layers; the sampling rate
    is the next power of two above 2 f_t, the picture's resolution at most.
    """
    steps = config.num_layers - config.num_critical
    # numpy, as the files were made with: at 256 px a rate is decided by the last bit of a power.
    progress = np.minimum(np.arange(config.num_layers + 1) / steps, 1)
    last_cutoff = config.img_resolution / 2
    last_stopband = last_cutoff * config.last_stopband_rel
    cutoffs = config.first_cutoff * (last_cutoff / config.first_cutoff) ** progress
    stopbands = config.first_stopband * (last_stopband / config.first_stopband) ** progress
    rates = np.exp2(np.ceil(np.log2(np.minimum(2 * stopbands, config.img_resolution))))
    half_widths = np.maximum(stopbands, rates / 2) - cutoffs
    found = []
    for index in range(config.num_layers + 1):
        cutoff, rate = float(cutoffs[index]), int(rates[index])
        # The last two need no more than the picture itself.
        size = rate + 2 * config.margin_size if index < config.num_layers - 1 else config.img_resolution
        channels = int(np.rint(min(config.channel_base / 2 / cutoff, config.channel_max)))
        if index == config.num_layers:
            channels = config.img_channels
        if not channels or half_widths[index] <= 0:
            raise CocktailError(
                f"layer {index} has {channels} channels and a transition band of {2 * half_widths[index]:.3g} cycles; "
                "both must be positive. Check channel_base, first_stopband and last_stopband_rel."
            )
        found.append(Band(cutoff, float(half_widths[index]), rate, size, channels))
    return found


class SynthesisInput(nn.Module):
    """Fourier features on a grid: w float32 [N, w_dim] -> float32 [N, C, size, size] (sections 3.1 and 3.2).

    w decides a rotation and a translation; the buffer `transform` holds one more, the user's, applied last.
    """

    def __init__(self, w_dim: int, band: Band):
        super().__init__()
        self.band = band
        self.weight = nn.Parameter(torch.randn(band.channels, band.channels))
        self.affine = FullyConnectedLayer(w_dim, 4)
        with torch.no_grad():  # the identity, whatever w is: cos 1, sin 0, no translation
            self.affine.weight.zero_()
            self.affine.bias[0] = 1
        self.register_buffer("transform", torch.eye(3))
        # Uniform in a disc: for a standard normal pair, exp(-radius^2 / 2) is uniform in [0, 1].
        freqs = torch.randn(band.channels, 2)
        square = freqs.square().sum(dim=1, keepdim=True)
        self.register_buffer("freqs", band.cutoff * freqs * square.rsqrt() * (-square / 4).exp())
        self.register_buffer("phases", torch.rand(band.channels) - 0.5)

    def forward(self, w: Tensor) -> Tensor:
        turn, phases = self._placed(self.affine(w))
        freqs = self.freqs @ turn
        # A transform that enlarges frequencies beyond the band fades them out before the grid folds them back.
        beyond = (freqs.norm(dim=2) - self.band.cutoff) / (self.band.rate / 2 - self.band.cutoff)
        amplitudes = (1 - beyond).clamp(0, 1)
        size = self.band.size
        axis = (torch.arange(size, device=w.device, dtype=freqs.dtype) + (0.5 - size / 2)) / self.band.rate
        across, along = freqs[:, :, 0, None, None] * axis, freqs[:, :, 1, None, None] * axis[:, None]
        x = torch.sin(2 * math.pi * (across + along + phases[:, :, None, None])) * amplitudes[:, :, None, None]
        weight = self.weight / math.sqrt(self.band.channels)
        return F.conv2d(x.contiguous(memory_format=torch.channels_last), weight[:, :, None, None])

    def _placed(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """t = (cos, sin, x, y) float32 [N, 4] -> the linear part [N, 2, 2] of the grid's transform, phases [N, C].

        A grid point p goes to R(t) (M p + m) - R(t) (x, y), where M and m are the user's transform.
        """
        t = t / t[:, :2].norm(dim=1, keepdim=True)
        cos, sin = t[:, 0], t[:, 1]
        rotation = torch.stack([torch.stack([cos, -sin], dim=1), torch.stack([sin, cos], dim=1)], dim=1)
        shift = rotation @ (self.transform[:2, 2] - t[:, 2:])[:, :, None]
        return rotation @ self.transform[:2, :2], self.phases + (self.freqs @ shift)[:, :, 0]


class SynthesisLayer(nn.Module):
    """Modulated convolution, then the filtered leaky ReLU (section 3.2): float [N, I, S, S] -> float [N, O, S', S']."""

    def __init__(self, config: GeneratorConfig, given: Band, gives: Band, critical: bool):
        super().__init__()
        self.affine = FullyConnectedLayer(config.w_dim, given.channels, bias_init=1)
        kernel = config.conv_kernel
        self.weight = nn.Parameter(torch.randn(gives.channels, given.channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(gives.channels))
        self.register_buffer("magnitude_ema", torch.ones([]))
        self.conv_clamp, self.beta, self.size = config.conv_clamp, config.magnitude_ema_beta, gives.size
        rate = max(given.rate, gives.rate) * config.lrelu_upsampling
        self.up, self.down = rate // given.rate, rate // gives.rate
        radial = config.use_radial_filters and not critical
        self.register_buffer("up_filter", _filter(config.filter_size, self.up, given, rate))
        self.register_buffer("down_filter", _filter(config.filter_size, self.down, gives, rate, radial))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        gain = _magnitude_gain(self, x, self.beta)
        # Sizes of weights and styles cancel in the demodulation; even ones keep clear of overflow and of its epsilon.
        weight = self.weight * self.weight.square().mean(dim=[1, 2, 3], keepdim=True).rsqrt()
        styles = ops.normalize_second_moment(self.affine(w))
        scale = ops.demodulation(weight, styles).to(x.dtype)[:, :, None, None]
        x = x * (styles * gain).to(x.dtype)[:, :, None, None]
        y = F.conv2d(x, weight.to(x.dtype), padding=weight.shape[-1] - 1)
        y = torch.addcmul(self.bias.to(y.dtype)[:, None, None], y, scale)
        return filtered_lrelu(y, self.up_filter, self.down_filter, self.up, self.down, self.size, self.conv_clamp)


class ToRGB(nn.Module):
    """Modulated 1x1 convolution without demodulation: float [N, I, R, R], w [N, w_dim] -> float [N, 3, R, R]."""

    def __init__(self, config: GeneratorConfig, given: Band):
        super().__init__()
        self.affine = FullyConnectedLayer(config.w_dim, given.channels, bias_init=1)
        self.weight = nn.Parameter(torch.randn(config.img_channels, given.channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(config.img_channels))
        self.register_buffer("magnitude_ema", torch.ones([]))
        self.conv_clamp, self.beta = config.conv_clamp, config.magnitude_ema_beta

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        gain = _magnitude_gain(self, x, self.beta) / math.sqrt(self.weight.shape[1])
        x = x * (self.affine(w) * gain).to(x.dtype)[:, :, None, None]
        y = F.conv2d(x, self.weight.to(x.dtype), self.bias.to(x.dtype))
        return y if self.conv_clamp is None else y.clamp(-self.conv_clamp, self.conv_clamp)


def _filter(size: int, factor: int, band: Band, rate: int, radial: bool = False) -> Tensor | None:
    if factor == 1:
        return None
    return (radial_lowpass if radial else lowpass)(size * factor, band.cutoff, 2 * band.half_width, rate)


def _magnitude_gain(layer: SynthesisLayer | ToRGB, x: Tensor, beta: float) -> Tensor:
    """1 / the tracked size of a layer's inputs (section 3.2); training moves it towards this batch."""
    if layer.training:
        now = ops.full_precision(x.detach()).square().mean()
        parallel.current().mean_([now])
        layer.magnitude_ema.lerp_(now, 1 - beta)
    return layer.magnitude_ema.rsqrt()


class SynthesisNetwork(nn.Module):
    """w of every layer to a picture: float32 [N, num_ws, w_dim] -> float32 [N, 3, H, W]."""

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        self.bands, self.num_ws, self.output_scale = bands(config), config.num_layers + 2, config.output_scale
        self.input = SynthesisInput(config.w_dim, self.bands[0])
        self.names = [f"L{i}_{band.size}_{band.channels}" for i, band in enumerate(self.bands)]
        for i, name in enumerate(self.names[:-1]):
            critical = i >= config.num_layers - config.num_critical
            self.add_module(name, SynthesisLayer(config, self.bands[max(i - 1, 0)], self.bands[i], critical))
        self.add_module(self.names[-1], ToRGB(config, self.bands[-2]))

    def forward(self, ws: Tensor) -> Tensor:
        x = self.input(ws[:, 0])
        for i, name in enumerate(self.names):
            x = self.get_submodule(name)(x, ws[:, i + 1])
        return ops.full_precision(x) * self.output_scale


class Generator(nn.Module):
    """Mapping and synthesis network."""

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        self.config = config
        self.z_dim, self.c_dim, self.w_dim = config.z_dim, config.c_dim, config.w_dim
        self.resolution = config.img_resolution
        self.synthesis = SynthesisNetwork(config)
        self.num_ws = self.synthesis.num_ws
        self.mapping = stylegan2.MappingNetwork(
            config.z_dim, config.c_dim, config.w_dim, config.mapping_layers, config.mapping_lr_multiplier,
            track_average=True,
        )  # fmt: skip

    def map(self, z: Tensor, c: Tensor | None, truncation: float = 1.0, cutoff: int | None = None) -> Tensor:
        """z float32 [N, z_dim], one-hot c [N, c_dim] -> ws float32 [N, num_ws, w_dim].

        `truncation` psi draws the first `cutoff` layers (all if None) towards w's mean (StyleGAN, section 3.1).
        """
        ws = self.mapping(z, c)[:, None].repeat(1, self.num_ws, 1)
        if truncation != 1:
            ws[:, :cutoff] = self.mapping.center(c)[:, None].lerp(ws[:, :cutoff], truncation)
        return ws

    def synthesize(self, ws: Tensor, noise_mode: str = "const", rng: torch.Generator | RowsRng | None = None) -> Tensor:
        """ws float32 [N, num_ws, w_dim] -> pictures float32 [N, 3, H, W]; without noise inputs every mode is the same.

        In training mode the layers go on to track the magnitude of their inputs.
        """
        return self.synthesis(ws)

    def track(self, ws: Tensor, c: Tensor | None) -> None:
        """Updates the centre of w from unmixed codes ws float32 [N, num_ws, w_dim], of which the first is enough."""
        self.mapping.track(ws[:, 0], c)

    @torch.no_grad()
    def recenter(self, z: Tensor) -> None:
        """Sets the centre of w to the mean over latents z float32 [N, z_dim] and all classes."""
        classes = torch.eye(self.c_dim, device=z.device)
        each = [self.mapping(z, row.expand(len(z), -1)).mean(dim=0) for row in classes]
        self.mapping.w_avg.copy_(torch.stack(each).mean(dim=0) if each else self.mapping(z, None).mean(dim=0))

    @property
    def layer_resolutions(self) -> tuple[int, ...]:
        """The sampling rate in pixels that each of the num_ws codes acts at, the Fourier features' first."""
        return (self.synthesis.bands[0].rate,) + tuple(band.rate for band in self.synthesis.bands)

    def with_classes(self, count: int, rng: torch.Generator, **options: object) -> "Generator":
        """Raises: CocktailError, since a merge needs a root that grows classes and shares weights with its sources."""
        raise CocktailError(
            "StyleGAN3 can teach, but cannot be the root; make another model the root of the merge, a StyleGAN2 say."
        )


register(
    Architecture("stylegan3", GeneratorConfig, Generator, stylegan2.DiscriminatorConfig, stylegan2.Discriminator,
                 root=False)
)  # fmt: skip
