"""A checkpoint in memory: generator, discriminator, class names and a card."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn

from cocktail.errors import CocktailError
from cocktail.networks import ARCHITECTURES, architecture_of

Label = str | int | Sequence[str | int] | Tensor | None


def latents(seeds: Sequence[int], z_dim: int) -> Tensor:
    """One z per seed, the same everywhere as in StyleGAN's own tools: float32 [N, z_dim], standard normal.

    Raises:
        CocktailError: a seed is outside 0 .. 2^32 - 1.
    """
    for seed in seeds:
        if not 0 <= seed < 2**32:
            raise CocktailError(f"seed {seed} found; expected a whole number from 0 to {2**32 - 1}.")
    rows = [np.random.RandomState(seed).randn(1, z_dim) for seed in seeds]
    return torch.from_numpy(np.concatenate(rows)).float() if rows else torch.zeros(0, z_dim)


@dataclass
class Gan:
    """A generator (EMA weights) with its discriminator, if there is one, and the names of its classes.

    `classes` is () for an unconditional model. `card` is plain JSON data: title, parents, recipe, licence, scores.
    """

    generator: nn.Module
    discriminator: nn.Module | None
    classes: tuple[str, ...] = ()
    card: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.classes = tuple(self.classes)
        if len(self.classes) != self.generator.c_dim:
            raise CocktailError(f"{len(self.classes)} class names for a generator of {self.generator.c_dim} classes.")
        if len(set(self.classes)) != len(self.classes):
            raise CocktailError(f"class names must differ, found {', '.join(self.classes)}.")

    @property
    def z_dim(self) -> int:
        return self.generator.z_dim

    @property
    def w_dim(self) -> int:
        return self.generator.w_dim

    @property
    def num_ws(self) -> int:
        return self.generator.num_ws

    @property
    def resolution(self) -> int:
        return self.generator.resolution

    @property
    def device(self) -> torch.device:
        return device_of(self.generator)

    @property
    def num_parameters(self) -> int:
        """Of the generator: the part that is needed to draw. One that is a file says how many are in it."""
        return sum(p.numel() for p in self.generator.parameters()) or getattr(self.generator.config, "weights", 0)

    def class_index(self, label: str | int | None) -> int | None:
        """The position of a class given by name or number; None for an unconditional model.

        Raises:
            CocktailError: the class is unknown, or a conditional model was given none.
        """
        if not self.classes:
            if label is None:
                return None
            raise CocktailError(f"class {label!r} asked of a model without classes. Leave the class out.")
        known = f"This model knows {', '.join(self.classes)}."
        if label is None:
            raise CocktailError(f"A class is needed. {known}")
        if isinstance(label, str) and label in self.classes:
            return self.classes.index(label)
        if isinstance(label, int) and 0 <= label < len(self.classes):
            return label
        raise CocktailError(f"Unknown class {label!r}. {known}")

    def one_hot(self, label: Label, n: int) -> Tensor | None:
        """Labels of n pictures, one for all or one each, as float32 [n, c_dim]; None for an unconditional model."""
        if isinstance(label, Tensor):
            label = label.tolist()
        each = list(label) if isinstance(label, Sequence) and not isinstance(label, str) else [label] * n
        if len(each) != n:
            raise CocktailError(f"{len(each)} labels for {n} pictures; give one label, or one each.")
        indices = [self.class_index(item) for item in each]
        if not self.classes:
            return None
        hot = torch.zeros(n, len(self.classes), device=self.device)
        hot[torch.arange(n), torch.tensor(indices, dtype=torch.long)] = 1
        return hot

    @torch.inference_mode()
    def map(self, z: Tensor, label: Label = None, truncation: float = 1.0, cutoff: int | None = None) -> Tensor:
        """z float32 [N, z_dim] -> w+ codes float32 [N, num_ws, w_dim], one picture at a time on the CPU (see `sample`).

        Raises:
            CocktailError: z has another shape, psi is not in [-2, 2], or the class is unknown.
        """
        if z.ndim != 2 or z.shape[1] != self.z_dim:
            raise CocktailError(f"z has shape {list(z.shape)}; this model needs [N, {self.z_dim}].")
        if not -2 <= truncation <= 2:
            raise CocktailError(
                f"truncation psi is {truncation}; expected a number from -2 to 2 (1 = none, 0.7 = typical)."
            )
        if cutoff is not None and not 0 <= cutoff <= self.num_ws:
            raise CocktailError(f"truncation cutoff is {cutoff}; this model has layers 0 to {self.num_ws}.")
        z, c = z.to(self.device), self.one_hot(label, len(z))
        hot = c if c is not None else z.new_zeros(len(z), 0)
        pieces = zip(z.split(self._chunk), hot.split(self._chunk), strict=True)
        found = [self.generator.map(a, b if self.classes else None, truncation, cutoff) for a, b in pieces]
        return torch.cat(found) if found else z.new_zeros(0, self.num_ws, self.w_dim)

    @torch.inference_mode()
    def synthesize(self, ws: Tensor, noise_mode: str = "const", rng: torch.Generator | None = None) -> Tensor:
        """w+ codes float32 [N, num_ws, w_dim] -> pictures float32 [N, 3, H, W] in [-1, 1].

        `noise_mode` is "const", "random" (drawn from `rng`, on the model's device) or "none".

        Raises:
            CocktailError: the codes have another shape or hold NaN, or the noise mode is unknown.
        """
        if ws.ndim != 3 or tuple(ws.shape[1:]) != (self.num_ws, self.w_dim):
            raise CocktailError(f"w+ has shape {list(ws.shape)}; this model needs [N, {self.num_ws}, {self.w_dim}].")
        if noise_mode not in ("const", "random", "none"):
            raise CocktailError(f"noise mode {noise_mode!r} found; expected const, random or none.")
        if not torch.isfinite(ws).all():
            raise CocktailError("The latent codes hold NaN or infinite values; draw or load them again.")
        found = [self.generator.synthesize(part.to(self.device), noise_mode, rng) for part in ws.split(self._chunk)]
        empty = ws.new_zeros(0, 3, self.resolution, self.resolution)
        return torch.cat(found).clamp(-1, 1) if found else empty

    @property
    def _chunk(self) -> int:
        # One by one on the CPU: the last bit of a convolution depends on the batch size there, and a picture must not
        # depend on its neighbours.
        return 1 if self.device.type == "cpu" else 16

    def sample(
        self,
        seeds: Sequence[int],
        label: Label = None,
        truncation: float = 1.0,
        noise_mode: str = "const",
        cutoff: int | None = None,
    ) -> Tensor:
        """The pictures of these seeds: float32 [N, 3, H, W] in [-1, 1]; a seed gives the same picture in any company.

        Random noise is drawn from the seed too, so that it can be drawn again.
        """
        ws = self.map(latents(seeds, self.z_dim), label, truncation, cutoff)
        if noise_mode != "random":
            return self.synthesize(ws, noise_mode)
        rngs = [torch.Generator(self.device).manual_seed(seed) for seed in seeds]
        return torch.cat([self.synthesize(w[None], noise_mode, rng) for w, rng in zip(ws, rngs, strict=True)])

    def to(self, device: torch.device | str) -> "Gan":
        """This model moved to a device, in place."""
        self.generator.to(device)
        if self.discriminator is not None:
            self.discriminator.to(device)
        return self

    def copy(self) -> "Gan":
        """A deep copy: training it leaves this one alone."""
        return copy.deepcopy(self)

    def with_classes(self, names: Sequence[str], rng: torch.Generator, **options: object) -> "Gan":
        """A model whose classes are the old ones followed by the new `names` (GAN Cocktail, appendix A).

        Pictures of old classes stay (1e-5); a model without classes draws its pictures for every class until trained.
        Names that exist already are kept once. `options` (class_w_gain, class_centers) reach the generator.
        """
        classes = self.classes + tuple(name for name in names if name not in self.classes)
        generator = self.generator.with_classes(len(classes), rng, **options)
        discriminator = self.discriminator.with_classes(len(classes), rng) if self.discriminator is not None else None
        return replace(self, generator=generator, discriminator=discriminator, classes=classes, card=dict(self.card))


def device_of(network: nn.Module) -> torch.device:
    """Where a network's tensors are; one that is a file has no parameters, but buffers."""
    return next(chain(network.parameters(), network.buffers())).device


def new_gan(architecture: str, generator: dict, discriminator: dict, classes: Sequence[str] = (), seed: int = 0) -> Gan:
    """An untrained GAN of a registered architecture; the dicts hold fields of its configs.

    Raises:
        CocktailError: the architecture is unknown or a field is out of range.
    """
    if architecture not in ARCHITECTURES:
        raise CocktailError(f"unknown architecture {architecture!r}; known: {', '.join(ARCHITECTURES)}.")
    kind = ARCHITECTURES[architecture]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        g = kind.generator(kind.generator_config(c_dim=len(classes), **generator))
        d = kind.discriminator(kind.discriminator_config(c_dim=len(classes), **discriminator))
    return Gan(g, d, tuple(classes))


def _check_same_space(gans: Sequence[Gan]) -> None:
    for other in gans[1:]:
        for part in ("generator", "discriminator"):
            a, b = getattr(gans[0], part), getattr(other, part)
            if (a is None) != (b is None):
                raise CocktailError(f"only some of the models to average have a {part}. Give all of them one, or none.")
            if a is None:
                continue
            if architecture_of(a) is not architecture_of(b) or a.config != b.config:
                raise CocktailError(
                    f"the {part}s to compare differ: {a.config} and {b.config}. Root one model on the other first."
                )


@torch.no_grad()
def average_modules(modules: Sequence[nn.Module], weights: Sequence[float]) -> nn.Module:
    """The first module with its parameters and floating buffers replaced by the weighted means over all modules."""
    result = copy.deepcopy(modules[0])
    states = [m.state_dict() for m in modules]
    for name, target in result.state_dict().items():
        if target.is_floating_point():
            terms = [state[name].double() * weight for state, weight in zip(states, weights, strict=True)]
            target.copy_(torch.stack(terms).sum(dim=0))
    return result


def average(gans: Sequence[Gan], weights: Sequence[float] | None = None) -> Gan:
    """The mean of models in one weight space (GAN Cocktail, section 3.2): generators and discriminators.

    `weights` sum to 1, default equal shares.

    Raises:
        CocktailError: no models, different architectures, or weights that do not sum to 1.
    """
    if not gans:
        raise CocktailError("no models to average; give at least one.")
    weights = list(weights) if weights is not None else [1 / len(gans)] * len(gans)
    if len(weights) != len(gans) or abs(sum(weights) - 1) > 1e-6:
        raise CocktailError(
            f"{len(gans)} models and weights {weights}; one weight each is needed, and their sum must be 1."
        )
    _check_same_space(gans)
    discriminators = [g.discriminator for g in gans]
    return replace(
        gans[0],
        generator=average_modules([g.generator for g in gans], weights),
        discriminator=average_modules(discriminators, weights) if discriminators[0] is not None else None,
        card={},
    )


def weight_distance(a: Gan, b: Gan) -> float:
    """d(A, B) of the paper's Table 2: the L2 distance of each generator parameter tensor, averaged over the tensors."""
    return float(np.mean(list(weight_distances(a, b).values())))


@torch.no_grad()
def weight_distances(a: Gan, b: Gan) -> dict[str, float]:
    """The L2 distance of each generator parameter tensor, by its name; their mean is `weight_distance`.

    Raises:
        CocktailError: the generators differ in architecture or shape.
    """
    _check_same_space([replace(a, discriminator=None), replace(b, discriminator=None)])
    pairs = zip(a.generator.named_parameters(), b.generator.parameters(), strict=True)
    return {name: (p.cpu() - q.cpu()).double().norm().item() for (name, p), q in pairs}


def distances_by_layer(distances: Mapping[str, float]) -> dict[str, float]:
    """Distances of tensors ("synthesis.b8.conv0.affine.weight") as means over those of a layer ("b8.conv0"), in order.

    The mean of these over layers is not `weight_distance`, as layers have unequally many tensors.
    """
    layers: dict[str, list[float]] = {}
    for name, value in distances.items():
        parts = name.removeprefix("synthesis.").split(".")
        while len(parts) > 1 and parts[-1] in ("weight", "bias", "noise_strength", "affine"):
            parts.pop()
        layers.setdefault(".".join(parts), []).append(value)
    return {layer: float(np.mean(values)) for layer, values in layers.items()}
