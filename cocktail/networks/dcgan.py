"""DCGAN: transposed convolutions up to a picture, strided ones down to a verdict, BatchNorm in between.

Radford, Metz and Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
Networks", 2016. Tensor names and layers are those of PyTorch's example, so that its state dicts load as they are:
`main.0.weight` is the first convolution. Classes, which the paper does not have, are a learned embedding joined to z,
and a projection in the discriminator. Weights are not equalised: train with a learning rate of about 0.0002.
"""

import math
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from cocktail import ops, parallel
from cocktail.errors import CocktailError
from cocktail.networks.registry import Architecture, check_growth, check_range, register
from cocktail.parallel import RowsRng

INIT_STD = 0.02  # section 4 of the paper
RECENTER_BATCH = 64
BIASES = ("none", "plain", "all")


def _check(config: "GeneratorConfig | DiscriminatorConfig", field_name: str, ratios: dict[int, int]) -> None:
    """ratios: the possible sizes of the last kernel, and with each the picture's width over 2^(number of channels)."""
    object.__setattr__(config, "channels", tuple(config.channels))
    check_range(config, img_resolution=(8, 1024), img_channels=(1, 4), c_dim=(0, 10_000), channels=(1, 4096))
    if config.img_resolution & (config.img_resolution - 1):
        raise CocktailError(f"img_resolution is {config.img_resolution}; a DCGAN needs a power of two.")
    if config.biases not in BIASES:
        raise CocktailError(f"biases is {config.biases!r}; known: {', '.join(BIASES)}.")
    kernel = getattr(config, field_name)
    if kernel not in ratios:
        raise CocktailError(f"{field_name} is {kernel!r}; possible: {', '.join(map(str, ratios))}.")
    needed = int(math.log2(config.img_resolution // ratios[kernel]))
    if len(config.channels) < needed:
        raise CocktailError(f"channels has {len(config.channels)} entries; {config.img_resolution} px need {needed}.")
    object.__setattr__(config, "channels", config.channels[:needed])


@dataclass(frozen=True)
class GeneratorConfig:
    """The generator's architecture; entries of `channels` beyond those that are needed are dropped."""

    img_resolution: int = field(default=64, metadata={"help": "width and height in pixels, a power of two"})
    z_dim: int = field(default=100, metadata={"help": "dimension of the latent z"})
    c_dim: int = field(default=0, metadata={"help": "number of classes, 0 = unconditional"})
    embed_dim: int = field(default=128, metadata={"help": "dimension of the class embedding"})
    channels: tuple[int, ...] = field(default=(512, 256, 128, 64), metadata={"help": "channels at 4, 8, 16 ... px"})
    img_channels: int = 3
    last_kernel: int = field(default=4, metadata={"help": "the last layer: 4 doubles the resolution, 1 keeps it"})
    biases: str = field(default="none", metadata={"help": "of convolutions: none, plain (without BatchNorm), all"})

    def __post_init__(self) -> None:
        _check(self, "last_kernel", {4: 4, 1: 2})
        check_range(self, z_dim=(1, 8192), embed_dim=(1, 8192))


@dataclass(frozen=True)
class DiscriminatorConfig:
    """The discriminator's architecture; entries of `channels` beyond those that are needed are dropped."""

    img_resolution: int = 64
    c_dim: int = 0
    channels: tuple[int, ...] = field(default=(512, 256, 128, 64), metadata={"help": "at last_size px, twice that ..."})
    img_channels: int = 3
    last_size: int = field(default=4, metadata={"help": "pixels of what the last layer judges: 4 or 2"})
    biases: str = "none"

    def __post_init__(self) -> None:
        _check(self, "last_size", {4: 4, 2: 2})


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation, float [N, C, H, W] -> the same (Ioffe and Szegedy 2015). Each of several processes
    normalises its own part of the batch; the running statistics are the means over all, so that they stay equal."""

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        if self.training:
            parallel.current().mean_([self.running_mean, self.running_var])
        return y


def _initialise(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, INIT_STD)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, INIT_STD)


class Generator(nn.Module):
    """w is z, joined with the class embedding where there are classes; one code serves all layers (num_ws = 1)."""

    num_ws = 1

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        self.config = config
        self.z_dim, self.c_dim, self.resolution = config.z_dim, config.c_dim, config.img_resolution
        self.w_dim = config.z_dim + (config.embed_dim if config.c_dim else 0)
        self.embed = nn.Parameter(torch.randn(config.c_dim, config.embed_dim)) if config.c_dim else None
        layers, width = [], self.w_dim
        for i, channels in enumerate(config.channels):
            step, pad = (2, 1) if i else (1, 0)
            layers += [nn.ConvTranspose2d(width, channels, 4, step, pad, bias=config.biases == "all")]
            layers += [BatchNorm(channels), nn.ReLU(inplace=True)]
            width = channels
        step, pad = (2, 1) if config.last_kernel == 4 else (1, 0)
        last = nn.ConvTranspose2d(
            width, config.img_channels, config.last_kernel, step, pad, bias=config.biases != "none"
        )
        self.main = nn.Sequential(*layers, last, nn.Tanh())
        _initialise(self)

    def map(self, z: Tensor, c: Tensor | None, truncation: float = 1.0, cutoff: int | None = None) -> Tensor:
        """z float32 [N, z_dim], one-hot c [N, c_dim] -> ws float32 [N, 1, w_dim].

        z is taken as it is, not normalised, and truncation scales it: psi 0 is the class's central picture. There
        is one code, and no `cutoff`.
        """
        parts = [z.float() * truncation]
        if self.embed is not None:
            parts.append(ops.normalize_second_moment(c.float() @ self.embed))
        return torch.cat(parts, dim=1)[:, None]

    def synthesize(self, ws: Tensor, noise_mode: str = "const", rng: torch.Generator | RowsRng | None = None) -> Tensor:
        """ws float32 [N, 1, w_dim] -> pictures float32 [N, 3, H, W] in [-1, 1]; without noise every mode is the same.

        In eval mode a picture depends on its own code alone, in training mode on its batch too.
        """
        return ops.full_precision(self.main(ws[:, 0, :, None, None]))

    def track(self, ws: Tensor, c: Tensor | None) -> None:
        """Nothing to track: the centre of z is 0 by construction."""

    @torch.no_grad()
    def recenter(self, z: Tensor) -> None:
        """Sets the running statistics of BatchNorm to those of the pictures of z float32 [N, z_dim], all classes alike.

        Averaged weights need it: their activations are not the averages ("standing statistics", Brock et al. 2019).
        """
        was, norms = self.training, [m for m in self.modules() if isinstance(m, BatchNorm)]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the mean over all batches that follow
        self.train()
        classes = torch.arange(len(z), device=z.device) % max(1, self.c_dim)
        for rows in torch.arange(len(z), device=z.device).split(RECENTER_BATCH):
            c = torch.eye(self.c_dim, device=z.device)[classes[rows]] if self.c_dim else None
            self.synthesize(self.map(z[rows], c))
        self.train(was)
        for norm in norms:
            norm.momentum = 0.1

    @property
    def layer_resolutions(self) -> tuple[int, ...]:
        return (4,)

    @torch.no_grad()
    def with_classes(
        self, count: int, rng: torch.Generator, class_w_gain: float = 0.0, class_centers: bool = False
    ) -> "Generator":
        """A generator of `count` classes that draws the same pictures for the old ones.

        The first classes enter through inputs of weight zero, so that each draws what was drawn before. The options
        exist for StyleGAN2 only; here the class enters w anyway.
        """
        old = self.config
        check_growth("generator", old.c_dim, count)
        new = Generator(replace(old, c_dim=count)).to(next(self.parameters()).device)
        state = dict(self.state_dict())
        if old.c_dim == 0 and count:
            first = state["main.0.weight"]
            state["main.0.weight"] = torch.cat([first, first.new_zeros(old.embed_dim, *first.shape[1:])])
        if count:
            fresh = torch.randn(count, old.embed_dim, generator=rng)
            state["embed"] = _with_rows(state.get("embed"), fresh)
        new.load_state_dict(state, strict=True)
        return new.train(self.training)


def _with_rows(old: Tensor | None, fresh: Tensor) -> Tensor:
    """The rows of `old`, then those of `fresh` beyond: float [rows of fresh, width]."""
    return fresh if old is None else torch.cat([old.cpu(), fresh[len(old) :]])


class Discriminator(nn.Module):
    """Strided convolutions and a projection of the class: [N, 3, H, W], one-hot c -> logits [N, 1], no sigmoid."""

    def __init__(self, config: DiscriminatorConfig):
        super().__init__()
        self.config = config
        self.c_dim, self.resolution = config.c_dim, config.img_resolution
        layers, width = [], config.img_channels
        for i, channels in enumerate(reversed(config.channels)):
            biased = config.biases == "all" or (config.biases == "plain" and i == 0)
            layers += [nn.Conv2d(width, channels, 4, 2, 1, bias=biased)]
            layers += ([BatchNorm(channels)] if i else []) + [nn.LeakyReLU(0.2, inplace=True)]
            width = channels
        layers.append(nn.Conv2d(width, 1, config.last_size, 1, 0, bias=config.biases != "none"))
        self.main = nn.Sequential(*layers)
        self.embed = nn.Parameter(INIT_STD * torch.randn(config.c_dim, width)) if config.c_dim else None
        _initialise(self)

    def activations(self, img: Tensor) -> list[Tensor]:
        """Output of every layer but the last, highest resolution first, then the features [N, F]: the last of them."""
        x, found = img, []
        for layer in self.main[:-1]:
            x = layer(x)
            if isinstance(layer, nn.LeakyReLU):
                found.append(x)
        return [*found, x.flatten(1)]

    def features(self, img: Tensor) -> Tensor:
        """What the last layer judges: float32 [N, F]."""
        return self.activations(img)[-1]

    def logits(self, features: Tensor, c: Tensor | None) -> Tensor:
        """The verdict on features float32 [N, F], given one-hot classes: float32 [N, 1].

        The class adds the product of its row with the features' mean over the pixels (projection discriminator, Miyato
        and Koyama 2018).
        """
        size = self.config.last_size
        maps = features.unflatten(1, (-1, size, size))
        logit = self.main[-1](maps).flatten(1)
        if self.embed is None:
            return logit
        pooled = maps.mean(dim=[2, 3])
        return logit + (pooled * (c.float() @ self.embed)).sum(dim=1, keepdim=True) / math.sqrt(pooled.shape[1])

    def forward(self, img: Tensor, c: Tensor | None) -> Tensor:
        return self.logits(self.features(img), c)

    @torch.no_grad()
    def with_classes(self, count: int, rng: torch.Generator) -> "Discriminator":
        """A discriminator of `count` classes whose verdict stays: the rows of new classes are zero until trained."""
        old = self.config
        check_growth("discriminator", old.c_dim, count)
        new = Discriminator(replace(old, c_dim=count)).to(next(self.parameters()).device)
        state = dict(self.state_dict())
        if count:
            state["embed"] = _with_rows(state.get("embed"), torch.zeros(count, old.channels[0]))
        new.load_state_dict(state, strict=True)
        return new.train(self.training)


register(Architecture("dcgan", GeneratorConfig, Generator, DiscriminatorConfig, Discriminator))
