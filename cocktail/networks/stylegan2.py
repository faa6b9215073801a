"""StyleGAN2 with class conditioning, as in StyleGAN2-ADA; tensor names and shapes as in NVIDIA's published checkpoints.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020; conditioning as in "Training Generative
Adversarial Networks with Limited Data", 2020, and in GAN Cocktail, appendix A. What small networks gain from (no noise
inputs, a 4x4 input linear in w, a class embedding in W) is a field of the config and off by default.
"""

import math
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cocktail import ops
from cocktail.errors import CocktailError
from cocktail.networks.layers import Conv2dLayer, FullyConnectedLayer, MinibatchStd, widen_inputs
from cocktail.networks.registry import Architecture, check_growth, check_range, register
from cocktail.parallel import RowsRng, randn

MAX_CHANNELS = 4096


def _channels(config: "GeneratorConfig | DiscriminatorConfig", resolution: int) -> int:
    if config.channels:
        return config.channels[int(math.log2(resolution)) - 2]
    return min(config.channel_base // resolution, config.channel_max)


def _check_common(config: "GeneratorConfig | DiscriminatorConfig") -> None:
    check_range(config, img_resolution=(8, 2048), img_channels=(1, 4), c_dim=(0, 10_000), channel_base=(1, 1 << 20),
                channel_max=(1, MAX_CHANNELS), channels=(1, MAX_CHANNELS), resample_filter=(-1e3, 1e3))  # fmt: skip
    if config.img_resolution & (config.img_resolution - 1):
        raise CocktailError(f"img_resolution is {config.img_resolution}; StyleGAN2 needs a power of two.")
    blocks = int(math.log2(config.img_resolution)) - 1
    if config.channels and len(config.channels) < blocks:
        raise CocktailError(f"channels has {len(config.channels)} entries; {config.img_resolution} px need {blocks}.")
    if not config.channels and config.channel_base < config.img_resolution:
        raise CocktailError(f"channel_base {config.channel_base} leaves no channel at {config.img_resolution} px.")


@dataclass(frozen=True)
class GeneratorConfig:
    """The generator's architecture."""

    img_resolution: int = field(default=64, metadata={"help": "width and height in pixels, a power of two"})
    img_channels: int = 3
    z_dim: int = field(default=512, metadata={"help": "dimension of the latent z"})
    c_dim: int = field(default=0, metadata={"help": "number of classes, 0 = unconditional"})
    w_dim: int = field(default=512, metadata={"help": "dimension of the intermediate latent w"})
    mapping_layers: int = field(default=8, metadata={"help": "fully connected layers from z to w"})
    mapping_lr_multiplier: float = field(default=0.01, metadata={"help": "learning-rate multiplier of the mapping"})
    channel_base: int = field(
        default=32768, metadata={"help": "channels at R px are channel_base / R, at most channel_max"}
    )
    channel_max: int = 512
    channels: tuple[int, ...] = field(
        default=(), metadata={"help": "channels at 4, 8, 16 ... px instead of the formula"}
    )
    conv_clamp: float | None = field(default=None, metadata={"help": "clamp activations to +-this, 256 with fp16"})
    resample_filter: tuple[float, ...] = (1, 3, 3, 1)
    use_noise: bool = field(default=True, metadata={"help": "noise inputs at every layer"})
    linear_input: bool = field(default=False, metadata={"help": "4x4 input is a linear function of w, not a constant"})
    class_w_gain: float = field(default=0.0, metadata={"help": "w += this x a learned row per class; 0 = off"})
    class_centers: bool = field(default=False, metadata={"help": "keep a centre of w per class for truncation"})

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(self.channels))
        object.__setattr__(self, "resample_filter", tuple(self.resample_filter))
        _check_common(self)
        check_range(self, z_dim=(1, 8192), w_dim=(1, 8192), mapping_layers=(1, 64), conv_clamp=(0, 1e9),
                    mapping_lr_multiplier=(1e-6, 100), class_w_gain=(0, 1e3))  # fmt: skip


@dataclass(frozen=True)
class DiscriminatorConfig:
    """The discriminator's architecture."""

    img_resolution: int = 64
    img_channels: int = 3
    c_dim: int = 0
    architecture: str = field(default="resnet", metadata={"help": "resnet, skip or orig"})
    channel_base: int = 32768
    channel_max: int = 512
    channels: tuple[int, ...] = ()
    conv_clamp: float | None = None
    resample_filter: tuple[float, ...] = (1, 3, 3, 1)
    cmap_dim: int = field(default=0, metadata={"help": "dimension of the mapped class, 0 = channels at 4 px"})
    mapping_layers: int = 8
    mapping_lr_multiplier: float = 0.01
    mbstd_group_size: int = field(default=4, metadata={"help": "batch members that share a standard deviation"})
    mbstd_num_channels: int = field(default=1, metadata={"help": "channels of minibatch standard deviation, 0 = none"})

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(self.channels))
        object.__setattr__(self, "resample_filter", tuple(self.resample_filter))
        _check_common(self)
        check_range(self, cmap_dim=(0, 8192), mapping_layers=(1, 64), mapping_lr_multiplier=(1e-6, 100),
                    mbstd_group_size=(1, 4096), mbstd_num_channels=(0, MAX_CHANNELS), conv_clamp=(0, 1e9))  # fmt: skip
        if self.mbstd_num_channels and _channels(self, 4) % self.mbstd_num_channels:
            raise CocktailError(f"mbstd_num_channels {self.mbstd_num_channels} does not divide the channels at 4 px.")
        if self.architecture not in ("resnet", "skip", "orig"):
            raise CocktailError(f"discriminator architecture is {self.architecture!r}; known: resnet, skip, orig.")


def _resolutions(config: GeneratorConfig | DiscriminatorConfig) -> list[int]:
    return [2**i for i in range(2, int(math.log2(config.img_resolution)) + 1)]


class MappingNetwork(nn.Module):
    """z and class to w: float32 [N, z_dim], one-hot [N, c_dim] -> float32 [N, w_dim] (StyleGAN2-ADA, appendix; layers
    of 512 with learning-rate multiplier 0.01). Without z it maps the class alone, as the discriminator needs."""

    def __init__(
        self,
        z_dim: int,
        c_dim: int,
        w_dim: int,
        layers: int,
        lr_multiplier: float,
        *,
        track_average: bool = False,
        class_w_gain: float = 0.0,
        class_centers: bool = False,
    ):
        super().__init__()
        self.layers, self.class_w_gain = layers, class_w_gain
        if c_dim:
            self.embed = FullyConnectedLayer(c_dim, w_dim)
        inputs = (w_dim if c_dim else 0) + z_dim
        for i in range(layers):
            layer = FullyConnectedLayer(inputs if i == 0 else w_dim, w_dim, lrelu=True, lr_multiplier=lr_multiplier)
            self.add_module(f"fc{i}", layer)
        self.class_w = nn.Parameter(torch.zeros(c_dim, w_dim)) if c_dim and class_w_gain else None
        if track_average:
            self.register_buffer("w_avg", torch.zeros(w_dim))
        if track_average and class_centers and c_dim:
            self.register_buffer("class_w_avg", torch.zeros(c_dim, w_dim))

    def forward(self, z: Tensor | None, c: Tensor | None) -> Tensor:
        parts = [] if z is None else [ops.normalize_second_moment(z.float())]
        if hasattr(self, "embed"):
            parts.append(ops.normalize_second_moment(self.embed(c.float())))
        x = torch.cat(parts, dim=1)
        for i in range(self.layers):
            x = self.get_submodule(f"fc{i}")(x)
        return x if self.class_w is None else x + self.class_w_gain * (c.float() @ self.class_w)

    def center(self, c: Tensor | None) -> Tensor:
        """The point that truncation draws towards, the class's own where one is kept: float32 [N or 1, w_dim]."""
        if c is not None and hasattr(self, "class_w_avg"):
            return c.float() @ self.class_w_avg
        return self.w_avg[None]

    @torch.no_grad()
    def track(self, w: Tensor, c: Tensor | None, beta: float = 0.995) -> None:
        """Moves w_avg, and the centres of the classes in this batch, towards the batch's mean w [N, w_dim]."""
        self.w_avg.lerp_(w.mean(dim=0), 1 - beta)
        if c is not None and hasattr(self, "class_w_avg"):
            count = c.sum(dim=0)[:, None]
            mean = c.t() @ w / count.clamp(min=1)
            self.class_w_avg.lerp_(mean, (1 - beta) * (count > 0).to(w.dtype))


class SynthesisLayer(nn.Module):
    """Modulated 3x3 convolution with demodulation, noise and leaky ReLU (StyleGAN2, figure 2d).

    x: float [N, I, H, W]; w: float32 [N, w_dim]. Returns float [N, O, H', W'], H' = 2H for the first layer of a block.
    """

    def __init__(self, config: GeneratorConfig, in_channels: int, out_channels: int, resolution: int, up: bool):
        super().__init__()
        self.register_buffer("resample_filter", ops.fir_kernel(config.resample_filter))
        self.affine = FullyConnectedLayer(config.w_dim, in_channels, bias_init=1)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.up, self.use_noise, self.conv_clamp = up, config.use_noise, config.conv_clamp
        if config.use_noise:
            self.register_buffer("noise_const", torch.randn(resolution, resolution))
            self.noise_strength = nn.Parameter(torch.zeros([]))

    def forward(self, x: Tensor, w: Tensor, noise_mode: str, rng: torch.Generator | RowsRng | None) -> Tensor:
        noise = None
        if self.use_noise and noise_mode != "none":
            noise = self.noise_const
            if noise_mode == "random":
                noise = randn(rng, x.shape[0], 1, *noise.shape, device=x.device)
            noise = noise * self.noise_strength
        kernel = self.resample_filter if self.up else None
        y = ops.modulated_conv2d(
            x, self.weight, self.affine(w), self.bias, up_kernel=kernel, noise=noise, gain=ops.LRELU_GAIN
        )
        return ops.lrelu(y, self.conv_clamp)


class ToRGB(nn.Module):
    """Modulated 1x1 convolution without demodulation: float [N, I, H, W], w [N, w_dim] -> float32 [N, 3, H, W]."""

    def __init__(self, config: GeneratorConfig, in_channels: int):
        super().__init__()
        self.affine = FullyConnectedLayer(config.w_dim, in_channels, bias_init=1)
        self.weight = nn.Parameter(torch.randn(config.img_channels, in_channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(config.img_channels))
        self.conv_clamp = config.conv_clamp

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        styles = self.affine(w) / math.sqrt(self.weight.shape[1])
        y = ops.modulated_conv2d(x, self.weight, styles, self.bias, demodulate=False)
        return ops.full_precision(y if self.conv_clamp is None else y.clamp(-self.conv_clamp, self.conv_clamp))


class SynthesisBlock(nn.Module):
    """All layers of one resolution; the picture so far is upsampled and this resolution's RGB is added to it."""

    def __init__(self, config: GeneratorConfig, resolution: int):
        super().__init__()
        self.register_buffer("resample_filter", ops.fir_kernel(config.resample_filter))
        channels = _channels(config, resolution)
        self.first, self.num_conv = resolution == 4, 1 if resolution == 4 else 2
        if not self.first:
            self.conv0 = SynthesisLayer(config, _channels(config, resolution // 2), channels, resolution, up=True)
        elif config.linear_input:
            self.input = FullyConnectedLayer(config.w_dim, channels * 16)
        else:
            self.const = nn.Parameter(torch.randn(channels, 4, 4))
        self.conv1 = SynthesisLayer(config, channels, channels, resolution, up=False)
        self.torgb = ToRGB(config, channels)

    def forward(
        self, x: Tensor | None, img: Tensor | None, ws: Tensor, noise_mode: str, rng: torch.Generator | RowsRng | None
    ) -> tuple[Tensor, Tensor]:
        if not self.first:
            x = self.conv0(x, ws[:, 0], noise_mode, rng)
        elif hasattr(self, "input"):
            x = self.input(ws[:, 0]).reshape(ws.shape[0], -1, 4, 4)
        else:
            x = self.const.expand(ws.shape[0], -1, -1, -1)
        x = x.contiguous(memory_format=torch.channels_last)
        x = self.conv1(x, ws[:, self.num_conv - 1], noise_mode, rng)
        rgb = self.torgb(x, ws[:, self.num_conv])
        return x, rgb if img is None else ops.upsample2(img, self.resample_filter) + rgb


class SynthesisNetwork(nn.Module):
    """w of every layer to a picture: float32 [N, num_ws, w_dim] -> float32 [N, 3, H, W]."""

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        self.resolutions = _resolutions(config)
        for resolution in self.resolutions:
            self.add_module(f"b{resolution}", SynthesisBlock(config, resolution))
        self.num_ws = 2 * len(self.resolutions)

    def forward(self, ws: Tensor, noise_mode: str = "const", rng: torch.Generator | RowsRng | None = None) -> Tensor:
        x = img = None
        index = 0
        for resolution in self.resolutions:
            block = self.get_submodule(f"b{resolution}")
            # The last w of a block (its RGB) is also the first of the next one: StyleGAN2-ADA counts it once.
            x, img = block(x, img, ws[:, index : index + block.num_conv + 1], noise_mode, rng)
            index += block.num_conv
        return img


class Generator(nn.Module):
    """Mapping and synthesis network."""

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        self.config = config
        self.z_dim, self.c_dim, self.w_dim, self.resolution = (
            config.z_dim,
            config.c_dim,
            config.w_dim,
            config.img_resolution,
        )
        self.synthesis = SynthesisNetwork(config)
        self.num_ws = self.synthesis.num_ws
        self.mapping = MappingNetwork(
            config.z_dim, config.c_dim, config.w_dim, config.mapping_layers, config.mapping_lr_multiplier,
            track_average=True, class_w_gain=config.class_w_gain, class_centers=config.class_centers,
        )  # fmt: skip

    def map(self, z: Tensor, c: Tensor | None, truncation: float = 1.0, cutoff: int | None = None) -> Tensor:
        """z float32 [N, z_dim], one-hot c [N, c_dim] -> ws float32 [N, num_ws, w_dim].

        `truncation` psi draws the first `cutoff` layers (all if None) towards the centre (StyleGAN, section 3.1).
        """
        w = self.mapping(z, c)
        ws = w[:, None].repeat(1, self.num_ws, 1)
        if truncation != 1:
            ws[:, :cutoff] = self.mapping.center(c)[:, None].lerp(ws[:, :cutoff], truncation)
        return ws

    def synthesize(self, ws: Tensor, noise_mode: str = "const", rng: torch.Generator | RowsRng | None = None) -> Tensor:
        """ws float32 [N, num_ws, w_dim] -> pictures float32 [N, 3, H, W], nominally in [-1, 1].

        `noise_mode` is "const", "random" (drawn from `rng`, on the model's device) or "none".
        """
        return self.synthesis(ws, noise_mode, rng)

    def track(self, ws: Tensor, c: Tensor | None) -> None:
        """Updates the centres of w from unmixed codes ws float32 [N, num_ws, w_dim], of which the first is enough."""
        self.mapping.track(ws[:, 0], c)

    @torch.no_grad()
    def grown(self) -> "Generator":
        """A generator of twice the resolution that draws the same picture, upsampled: the new RGB layer starts at zero.

        The skip generator makes growing (Progressive GAN, section 2) this simple. New weights come from torch's global
        generator; `config.channels` must already hold an entry for the new resolution.
        """
        new = Generator(replace(self.config, img_resolution=2 * self.resolution)).to(next(self.parameters()).device)
        _copy_matching(new, self)
        new.synthesis.get_submodule(f"b{new.resolution}").torgb.weight.zero_()
        return new.train(self.training)

    @torch.no_grad()
    def recenter(self, z: Tensor) -> None:
        """Sets the centres of w to the means over latents z float32 [N, z_dim], class by class."""
        codes = []
        for index in range(max(1, self.c_dim)):
            c = F.one_hot(torch.full((len(z),), index, device=z.device), self.c_dim).float() if self.c_dim else None
            codes.append(self.mapping(z, c).mean(dim=0))
        self.mapping.w_avg.copy_(torch.stack(codes).mean(dim=0))
        if hasattr(self.mapping, "class_w_avg"):
            self.mapping.class_w_avg.copy_(torch.stack(codes))

    @property
    def layer_resolutions(self) -> tuple[int, ...]:
        """The resolution in pixels that each of the num_ws codes acts on first, RGB of the last block included."""
        return (4,) + tuple(r for r in self.synthesis.resolutions[1:] for _ in range(2)) + (self.resolution,)

    @torch.no_grad()
    def with_classes(self, count: int, rng: torch.Generator, **options: object) -> "Generator":
        """A generator of `count` classes that draws the same pictures for the old ones (GAN Cocktail, appendix A).

        The embedding's old rows are rescaled by sqrt(new / old) since its gain is 1/sqrt(classes); new rows are random.
        A generator without classes gets an embedding with random rows, and the first layer's new inputs start at zero:
        it draws exactly what it drew before, for every class, until training tells the classes apart. `options`
        (class_w_gain, class_centers) switch on parts that start neutral too. A `count` below the present is an error.
        """
        old = self.config
        check_growth("generator", old.c_dim, count)
        new = Generator(replace(old, c_dim=count, **options)).to(next(self.parameters()).device)
        state = dict(self.state_dict())
        fresh = new.state_dict()
        mapping = "mapping."
        first = state[mapping + "fc0.weight"]
        state[mapping + "fc0.weight"] = widen_inputs(first, fresh[mapping + "fc0.weight"].shape[1])
        _extend_embedding(state, mapping, old.c_dim, count, old.w_dim, rng)
        if new.mapping.class_w is not None:
            state[mapping + "class_w"] = _grow_rows(state.get(mapping + "class_w"), count, old.w_dim)
        if new.config.class_centers:
            centers = state.get(mapping + "class_w_avg", state[mapping + "w_avg"].repeat(old.c_dim, 1))
            added = state[mapping + "w_avg"].repeat(count - len(centers), 1)
            state[mapping + "class_w_avg"] = torch.cat([centers, added])
        new.load_state_dict(state, strict=True)
        return new.train(self.training)


def _grow_rows(old: Tensor | None, count: int, width: int) -> Tensor:
    new = torch.zeros(count, width)
    if old is not None:
        new[: len(old)] = old
    return new


def _extend_embedding(
    state: dict[str, Tensor], prefix: str, old_count: int, count: int, width: int, rng: torch.Generator
) -> None:
    """Adds random columns (weights are stored [width, classes]) for new classes and keeps what the old ones compute."""
    weight = torch.randn(width, count, generator=rng)
    if old_count:
        weight[:, :old_count] = state[prefix + "embed.weight"].cpu() * math.sqrt(count / old_count)
    state[prefix + "embed.weight"] = weight
    state.setdefault(prefix + "embed.bias", torch.zeros(width))


def _copy_matching(new: nn.Module, old: nn.Module) -> None:
    """Copies every tensor of `old` whose name `new` has too."""
    state = new.state_dict()
    new.load_state_dict({name: old.state_dict().get(name, value) for name, value in state.items()}, strict=True)


class DiscriminatorBlock(nn.Module):
    """One halving of the resolution: float [N, tmp, R, R] -> float [N, out, R/2, R/2] (StyleGAN2, figure 7)."""

    def __init__(self, config: DiscriminatorConfig, resolution: int):
        super().__init__()
        width, out = _channels(config, resolution), _channels(config, resolution // 2)
        self.architecture = config.architecture
        self.register_buffer("resample_filter", ops.fir_kernel(config.resample_filter))
        clamp, taps = config.conv_clamp, config.resample_filter
        if resolution == config.img_resolution or config.architecture == "skip":
            self.fromrgb = Conv2dLayer(config.img_channels, width, 1, conv_clamp=clamp)
        self.conv0 = Conv2dLayer(width, width, 3, conv_clamp=clamp)
        self.conv1 = Conv2dLayer(width, out, 3, down=True, conv_clamp=clamp, taps=taps)
        if config.architecture == "resnet":
            self.skip = Conv2dLayer(width, out, 1, lrelu=False, bias=False, down=True, taps=taps)

    def forward(self, x: Tensor | None, img: Tensor | None) -> tuple[Tensor, Tensor | None]:
        if hasattr(self, "fromrgb"):
            y = self.fromrgb(img)
            x = y if x is None else x + y
            img = ops.downsample2(img, self.resample_filter) if self.architecture == "skip" else None
        if self.architecture != "resnet":
            return self.conv1(self.conv0(x)), img
        y = self.skip(x, gain=math.sqrt(0.5))
        return self.conv1(self.conv0(x), gain=math.sqrt(0.5)) + y, img


class DiscriminatorEpilogue(nn.Module):
    """The last layers at 4x4: minibatch standard deviation, convolution, two linear layers."""

    def __init__(self, config: DiscriminatorConfig, cmap_dim: int):
        super().__init__()
        width = _channels(config, 4)
        if config.architecture == "skip":
            self.fromrgb = Conv2dLayer(config.img_channels, width, 1)
        self.mbstd = MinibatchStd(config.mbstd_group_size, config.mbstd_num_channels)
        self.conv = Conv2dLayer(width + config.mbstd_num_channels, width, 3, conv_clamp=config.conv_clamp)
        self.fc = FullyConnectedLayer(width * 16, width, lrelu=True)
        self.out = FullyConnectedLayer(width, cmap_dim or 1)

    def features(self, x: Tensor, img: Tensor | None) -> Tensor:
        x = ops.full_precision(x)
        if hasattr(self, "fromrgb"):
            x = x + self.fromrgb(ops.full_precision(img))
        return self.fc(self.conv(self.mbstd(x)).flatten(1))


class Discriminator(nn.Module):
    """Resnet discriminator with projection of the class: pictures float32 [N, 3, H, W], one-hot c -> logits [N, 1].

    logit = <out(features), map(c)> / sqrt(cmap_dim) (projection discriminator, Miyato and Koyama 2018, with a mapping
    network of the class as in StyleGAN2-ADA).
    """

    def __init__(self, config: DiscriminatorConfig):
        super().__init__()
        self.config = config
        self.c_dim, self.resolution = config.c_dim, config.img_resolution
        self.resolutions = _resolutions(config)[:0:-1]
        for resolution in self.resolutions:
            self.add_module(f"b{resolution}", DiscriminatorBlock(config, resolution))
        self.cmap_dim = (config.cmap_dim or _channels(config, 4)) if config.c_dim else 0
        if config.c_dim:
            layers, multiplier = config.mapping_layers, config.mapping_lr_multiplier
            self.mapping = MappingNetwork(0, config.c_dim, self.cmap_dim, layers, multiplier)
        self.b4 = DiscriminatorEpilogue(config, self.cmap_dim)

    def activations(self, img: Tensor) -> list[Tensor]:
        """Output of every block, highest resolution first, then the features: float, [N, C, R, R] ... [N, F]."""
        img = img.contiguous(memory_format=torch.channels_last)
        x, found = None, []
        for resolution in self.resolutions:
            x, img = self.get_submodule(f"b{resolution}")(x, img)
            found.append(x)
        return [*found, self.b4.features(x, img)]

    def features(self, img: Tensor) -> Tensor:
        """The last layer before the logit: float32 [N, F]."""
        return self.activations(img)[-1]

    def logits(self, features: Tensor, c: Tensor | None) -> Tensor:
        """The verdict on features float32 [N, F], given one-hot classes: float32 [N, 1]."""
        out = self.b4.out(features)
        if not self.c_dim:
            return out
        return (out * self.mapping(None, c)).sum(dim=1, keepdim=True) / math.sqrt(self.cmap_dim)

    def forward(self, img: Tensor, c: Tensor | None) -> Tensor:
        return self.logits(self.features(img), c)

    @torch.no_grad()
    def grown(self) -> "Discriminator":
        """A discriminator of twice the resolution whose verdict on an upsampled picture is close to the old one.

        The new block's residual branch starts at a tenth, and its 1x1 skip convolution is the least-squares fit that
        makes the new features of a colour equal those that the old `fromrgb` computed from it.
        """
        size, old = 2 * self.resolution, self.get_submodule(f"b{self.resolution}")
        new = Discriminator(replace(self.config, img_resolution=size)).to(next(self.parameters()).device)
        _copy_matching(new, self)
        block = new.get_submodule(f"b{size}")
        if self.config.architecture == "resnet":
            colours = torch.rand(4096, self.config.img_channels, 1, 1, device=block.conv0.weight.device) * 2 - 1
            block.fromrgb.bias.normal_()
            inputs, wanted = block.fromrgb(colours).flatten(1), old.fromrgb(colours).flatten(1)
            ridge = 1e-3 * torch.eye(inputs.shape[1], device=inputs.device)
            fit = torch.linalg.solve(inputs.t() @ inputs / len(inputs) + ridge, inputs.t() @ wanted / len(inputs))
            block.skip.weight.copy_(fit.t()[:, :, None, None] * math.sqrt(2 * inputs.shape[1]))
            block.conv1.weight.mul_(0.1)
        return new.train(self.training)

    @torch.no_grad()
    def with_classes(self, count: int, rng: torch.Generator) -> "Discriminator":
        """A discriminator of `count` classes whose verdict on the old ones stays (GAN Cocktail, appendix A).

        A discriminator without classes has one output row. It becomes cmap_dim rows, each that row / sqrt(cmap_dim),
        and the class mapping's last layer starts with a bias that makes each mapped class 1 plus a random part: the
        logit is the old one times the mean of the mapped class, close to 1 for every class, and no sign is turned over.
        """
        old = self.config
        check_growth("discriminator", old.c_dim, count)
        new = Discriminator(replace(old, c_dim=count)).to(next(self.parameters()).device)
        state = dict(self.state_dict())
        if old.c_dim == 0:
            state["b4.out.weight"] = self.b4.out.weight.repeat(new.cmap_dim, 1) / math.sqrt(new.cmap_dim)
            state["b4.out.bias"] = self.b4.out.bias.repeat(new.cmap_dim) / math.sqrt(new.cmap_dim)
            state |= _fresh_class_mapping(new, rng)
        _extend_embedding(state, "mapping.", old.c_dim, count, new.cmap_dim, rng)
        new.load_state_dict(state, strict=True)
        return new.train(self.training)


def _fresh_class_mapping(discriminator: Discriminator, rng: torch.Generator) -> dict[str, Tensor]:
    """Random layers, the last one scaled to a tenth and biased so that its output is 1 plus a small random part."""
    config, state = discriminator.config, {}
    multiplier = config.mapping_lr_multiplier
    for name, value in discriminator.mapping.state_dict(prefix="mapping.").items():
        if name.endswith("weight"):
            state[name] = torch.randn(value.shape, generator=rng) / multiplier
        elif name.endswith("bias"):
            state[name] = torch.zeros_like(value)
    last = f"mapping.fc{config.mapping_layers - 1}"
    state[last + ".weight"] *= 0.1
    state[last + ".bias"] += 1 / (ops.LRELU_GAIN * multiplier)
    state.pop("mapping.embed.weight")
    return state


register(Architecture("stylegan2", GeneratorConfig, Generator, DiscriminatorConfig, Discriminator))
