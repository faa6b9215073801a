"""The state of a stage: networks, average, optimisers, random generators, counters; saved and taken up again."""

import copy
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.training.config import TrainConfig


class TrainState:
    """Everything that a stage needs to go on: networks, average, optimisers, random generators, counters."""

    def __init__(self, student: Gan, config: TrainConfig):
        if student.discriminator is None:
            raise CocktailError(
                "the student has no discriminator; give it one (`cocktail.gan.new_gan`) before training."
            )
        self.config = config
        self.template = student
        self.generator = copy.deepcopy(student.generator).train()
        self.discriminator = copy.deepcopy(student.discriminator).train()
        self.ema = copy.deepcopy(student.generator).eval().requires_grad_(False)
        self.images = self.step = 0
        self.path_length = torch.zeros([], device=student.device)
        self.unreported: dict[str, list[Tensor]] = {}  # losses since the last report, one scalar a step
        self.rng = torch.Generator().manual_seed(config.seed)
        self.noise_rng = torch.Generator(student.device).manual_seed(config.seed)
        self._make_optimizers()

    def _make_optimizers(self) -> None:
        def adam(network: nn.Module, interval: int | None) -> torch.optim.Adam:
            # Lazy regularisation (StyleGAN2, appendix B): c compensates for the extra steps.
            c = interval / (interval + 1) if interval else 1.0
            return torch.optim.Adam(network.parameters(), lr=self.config.lr * c, betas=(0.0, 0.99**c), eps=1e-8)

        self.g_optimizer = adam(self.generator, self.config.pl_interval if self.config.pl_weight else None)
        self.d_optimizer = adam(self.discriminator, self.config.r1_interval if self.config.gamma else None)
        self._base_lr = [o.param_groups[0]["lr"] for o in (self.g_optimizer, self.d_optimizer)]

    @property
    def resolution(self) -> int:
        return self.generator.resolution

    def grow(self) -> None:
        """Doubles the resolution of all networks; the optimisers start anew."""
        average = self.ema.state_dict()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.seed + self.resolution)
            self.generator, self.discriminator = self.generator.grown(), self.discriminator.grown()
        self.ema = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self.ema.load_state_dict(self.ema.state_dict() | average)
        self._make_optimizers()

    def set_learning_rate(self, factor: float) -> None:
        for optimizer, base in zip((self.g_optimizer, self.d_optimizer), self._base_lr, strict=True):
            optimizer.param_groups[0]["lr"] = base * factor

    def report(self) -> dict[str, float]:
        """The means of the losses since the last report."""
        means = {name: torch.stack(values).mean().item() for name, values in self.unreported.items()}
        self.unreported.clear()
        return means

    def student(self) -> Gan:
        """The student as it is now: EMA generator and discriminator, shared with the state, not copied."""
        return replace(self.template, generator=self.ema, discriminator=self.discriminator)

    def state_dict(self) -> dict[str, Tensor]:
        """All tensors of the state under flat names, with counters and random generators as tensors too."""
        tensors = {
            "counters": torch.tensor([self.images, self.step, self.resolution]),
            "path_length": self.path_length, "rng": self.rng.get_state(), "noise_rng": self.noise_rng.get_state(),
        }  # fmt: skip
        for name in ("generator", "discriminator", "ema"):
            tensors |= {f"{name}.{k}": v for k, v in getattr(self, name).state_dict().items()}
        for name in ("g_optimizer", "d_optimizer"):
            tensors |= optimizer_tensors(getattr(self, name), name)
        tensors |= {f"unreported.{name}": torch.stack(values) for name, values in self.unreported.items()}
        return {k: v.detach().clone().contiguous() for k, v in tensors.items()}

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes up a saved state; the config and the architecture must be those that it was saved with."""
        self.images, self.step, resolution = tensors["counters"].tolist()
        while self.resolution < resolution:
            self.grow()
        for name in ("generator", "discriminator", "ema"):
            getattr(self, name).load_state_dict(under(name, tensors), strict=True)
        for name in ("g_optimizer", "d_optimizer"):
            load_optimizer(getattr(self, name), under(name, tensors))
        device = self.template.device
        self.path_length = tensors["path_length"].to(device, copy=True)
        unreported = under("unreported", tensors)
        self.unreported = {name: list(values.to(device, copy=True)) for name, values in unreported.items()}
        self.rng.set_state(tensors["rng"].cpu())
        self.noise_rng.set_state(tensors["noise_rng"].cpu())


def under(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose flat names begin with "<name>.", without that beginning."""
    return {k.removeprefix(name + "."): v for k, v in tensors.items() if k.startswith(name + ".")}


def optimizer_tensors(optimizer: torch.optim.Optimizer, name: str) -> dict[str, Tensor]:
    """What an optimiser remembers of each parameter, under flat names."""
    states = optimizer.state_dict()["state"].items()
    return {f"{name}.{index}.{key}": value for index, values in states for key, value in values.items()}


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Takes up what `optimizer_tensors` gave, without its name in front; rates and betas stay the optimiser's own."""
    values: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, field_name = key.split(".")
        values.setdefault(int(index), {})[field_name] = value.clone()
    optimizer.load_state_dict({"state": values, "param_groups": optimizer.state_dict()["param_groups"]})
