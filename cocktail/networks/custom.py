"""A plain convolutional GAN with a linear class embedding, the "custom" architecture of GAN Cocktail, appendix B.2.

No mapping network, no styles: z and one linear embedding of the class go straight into the 4x4 input. It shows that the
engine does not depend on StyleGAN2: it can be a source and it can be the root.
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
from cocktail.parallel import RowsRng


def _check(config: "GeneratorConfig | DiscriminatorConfig") -> None:
    object.__setattr__(config, "channels", tuple(config.channels))
    check_range(config, img_channels=(1, 4), c_dim=(0, 10_000), channels=(1, 4096))
    if not 2 <= len(config.channels) <= 9:
        raise CocktailError(f"channels has {len(config.channels)} entries; 2 (8 px) to 9 (1024 px) are possible.")


@dataclass(frozen=True)
class GeneratorConfig:
    """The generator's architecture; the resolution is 4 x 2^(len(channels) - 1)."""

    z_dim: int = field(default=128, metadata={"help": "dimension of the latent z"})
    c_dim: int = field(default=0, metadata={"help": "number of classes, 0 = unconditional"})
    embed_dim: int = field(default=128, metadata={"help": "dimension of the class embedding"})
    channels: tuple[int, ...] = field(default=(256, 256, 128, 64, 32), metadata={"help": "channels at 4, 8, 16 ... px"})
    img_channels: int = 3

    def __post_init__(self) -> None:
        _check(self)
        check_range(self, z_dim=(1, 8192), embed_dim=(1, 8192))


@dataclass(frozen=True)
class DiscriminatorConfig:
    """The discriminator's architecture; the resolution is 4 x 2^(len(channels) - 1)."""

    c_dim: int = 0
    channels: tuple[int, ...] = (256, 256, 128, 64, 32)
    img_channels: int = 3
    mbstd_group_size: int = 4

    def __post_init__(self) -> None:
        _check(self)
        check_range(self, mbstd_group_size=(1, 4096))


class Generator(nn.Module):
    """w is z joined with the class embedding; one code serves all layers (num_ws = 1)."""

    num_ws = 1

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        self.config = config
        self.z_dim, self.c_dim, self.resolution = config.z_dim, config.c_dim, 2 << len(config.channels)
        self.w_dim = config.z_dim + config.embed_dim
        self.embed = FullyConnectedLayer(config.c_dim, config.embed_dim) if config.c_dim else None
        self.input = FullyConnectedLayer(self.w_dim, config.channels[0] * 16, lrelu=True)
        pairs = zip(config.channels[:-1], config.channels[1:], strict=True)
        self.convs = nn.ModuleList(Conv2dLayer(i, o, 3) for i, o in pairs)
        self.rgb = Conv2dLayer(config.channels[-1], config.img_channels, 3, lrelu=False)

    def map(self, z: Tensor, c: Tensor | None, truncation: float = 1.0, cutoff: int | None = None) -> Tensor:
        """z float32 [N, z_dim], one-hot c [N, c_dim] -> ws float32 [N, 1, z_dim + embed_dim].

        The centre is z = 0, so truncation scales the z part: psi 0 is the class's central picture. There is one code,
        and no `cutoff`.
        """
        if self.embed is None:
            e = z.new_zeros(z.shape[0], self.config.embed_dim)
        else:
            e = ops.normalize_second_moment(self.embed(c.float()))
        return torch.cat([ops.normalize_second_moment(z.float()) * truncation, e], dim=1)[:, None]

    def synthesize(self, ws: Tensor, noise_mode: str = "const", rng: torch.Generator | RowsRng | None = None) -> Tensor:
        """ws float32 [N, 1, w_dim] -> pictures float32 [N, 3, H, W]; without noise inputs every mode is the same."""
        x = self.input(ws[:, 0]).reshape(ws.shape[0], -1, 4, 4).contiguous(memory_format=torch.channels_last)
        for conv in self.convs:
            x = ops.normalize_second_moment(conv(F.interpolate(x, scale_factor=2, mode="nearest")))
        return self.rgb(x)

    def track(self, ws: Tensor, c: Tensor | None) -> None:
        """Nothing to track: the centre of z is 0 by construction."""

    def recenter(self, z: Tensor) -> None:
        """Nothing to set, for the same reason."""

    @property
    def layer_resolutions(self) -> tuple[int, ...]:
        return (4,)

    @torch.no_grad()
    def with_classes(
        self, count: int, rng: torch.Generator, class_w_gain: float = 0.0, class_centers: bool = False
    ) -> "Generator":
        """A generator of `count` classes that draws the same pictures for the old ones.

        Without classes the embedding's part of w was zero; a new class starts with a random embedding and input columns
        of zero, so that the pictures stay. The options exist for StyleGAN2 only; here the class enters w anyway.
        """
        old = self.config
        check_growth("generator", old.c_dim, count)
        new = Generator(replace(old, c_dim=count)).to(next(self.parameters()).device)
        state = dict(self.state_dict())
        if old.c_dim == 0:
            state["input.weight"] = state["input.weight"].clone()
            state["input.weight"][:, old.z_dim :] = 0
            state["embed.bias"] = torch.zeros(old.embed_dim)
        state["embed.weight"] = _more_classes(state.get("embed.weight"), old.embed_dim, count, rng)
        new.load_state_dict(state, strict=True)
        return new.train(self.training)


def _more_classes(old: Tensor | None, width: int, count: int, rng: torch.Generator) -> Tensor:
    weight = torch.randn(width, count, generator=rng)
    if old is not None:
        weight[:, : old.shape[1]] = widen_inputs(old.cpu(), count)[:, : old.shape[1]]
    return weight


class Discriminator(nn.Module):
    """Strided convolutions and a projection of one linear class embedding: [N, 3, H, W], one-hot c -> logits [N, 1]."""

    def __init__(self, config: DiscriminatorConfig):
        super().__init__()
        self.config = config
        self.c_dim, self.resolution = config.c_dim, 2 << len(config.channels)
        widths = config.channels[::-1]
        self.fromrgb = Conv2dLayer(config.img_channels, widths[0], 1)
        self.convs = nn.ModuleList(
            Conv2dLayer(i, o, 3, down=True) for i, o in zip(widths[:-1], widths[1:], strict=True)
        )
        self.mbstd = MinibatchStd(config.mbstd_group_size)
        self.conv = Conv2dLayer(widths[-1] + 1, widths[-1], 3)
        self.fc = FullyConnectedLayer(widths[-1] * 16, widths[-1], lrelu=True)
        self.out = FullyConnectedLayer(widths[-1], 1)
        self.embed = FullyConnectedLayer(config.c_dim, widths[-1]) if config.c_dim else None

    def activations(self, img: Tensor) -> list[Tensor]:
        """Output of every convolution, highest resolution first, then the features [N, F]."""
        x = self.fromrgb(img.contiguous(memory_format=torch.channels_last))
        found = []
        for conv in self.convs:
            x = conv(x)
            found.append(x)
        return [*found, self.fc(self.conv(self.mbstd(x)).flatten(1))]

    def features(self, img: Tensor) -> Tensor:
        """The last layer before the logit: float32 [N, F]."""
        return self.activations(img)[-1]

    def logits(self, features: Tensor, c: Tensor | None) -> Tensor:
        """The verdict on features float32 [N, F], given one-hot classes: float32 [N, 1]."""
        logit = self.out(features)
        if self.embed is None:
            return logit
        return logit + (features * self.embed(c.float())).sum(dim=1, keepdim=True) / math.sqrt(features.shape[1])

    def forward(self, img: Tensor, c: Tensor | None) -> Tensor:
        return self.logits(self.features(img), c)

    @torch.no_grad()
    def with_classes(self, count: int, rng: torch.Generator) -> "Discriminator":
        """A discriminator of `count` classes: the unconditional logit stays, a projection with random rows is added."""
        old = self.config
        check_growth("discriminator", old.c_dim, count)
        new = Discriminator(replace(old, c_dim=count)).to(next(self.parameters()).device)
        state = dict(self.state_dict())
        width = old.channels[0]
        state.setdefault("embed.bias", torch.zeros(width))
        state["embed.weight"] = _more_classes(state.get("embed.weight"), width, count, rng)
        new.load_state_dict(state, strict=True)
        return new.train(self.training)


register(Architecture("custom", GeneratorConfig, Generator, DiscriminatorConfig, Discriminator))
