"""Adversarial training of a student on a source: losses, optimisers, EMA, growth, a state that saves and resumes."""

import copy
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cocktail import parallel
from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.images import resize
from cocktail.networks.layers import MinibatchStd
from cocktail.options import check_options, option
from cocktail.parallel import ALONE, Part, Team
from cocktail.sources import ImageSource


@dataclass(frozen=True)
class TrainConfig:
    """One stage of training. The defaults are the paper's (appendix B): StyleGAN2 losses and fine-tuning settings."""

    total_kimg: float = option(5000.0, "thousands of source pictures to show", 0.0)
    batch: int = option(32, "pictures per step", 1, 4096)
    lr: float = option(0.002, "Adam's learning rate, both networks", 0.0, 1.0)
    loss: str = option("nonsaturating", "adversarial loss", choices=("nonsaturating", "relativistic"))
    gamma: float = option(10.0, "weight of the gradient penalty R1 (relativistic: R1 and R2)", 0.0)
    r1_interval: int = option(16, "steps between gradient penalties", 1)
    pl_weight: float = option(2.0, "path-length regularisation; 0 = off", 0.0)
    pl_interval: int = option(4, "steps between path-length penalties", 1)
    style_mixing: float = option(0.9, "probability of style mixing", 0.0, 1.0)
    ema_kimg: float = option(10.0, "half-life of the weight average", 0.0)
    ema_rampup: float = option(0.0, "shorten the half-life to this x images seen; 0 = off", 0.0)
    lr_decay: float = option(0.0, "last part of the stage, with falling learning rate", 0.0, 1.0)
    start_resolution: int = option(0, "grow from this resolution; 0 = train at full size", 0)
    grow_kimg: tuple[float, ...] = option((), "when to double the resolution, in kimg", 0.0)
    class_shares: tuple[float, ...] = option((), "share of each class in a batch; empty = equal", 0.0)
    reuse_samples: bool = option(False, "the discriminator sees the generator step's pictures")
    anchor_weight: float = option(10.0, "weight of distillation where there are anchors", 0.0)
    anchor_kimg: float = option(0.0, "distillation fades to 0 at this kimg; 0 = never", 0.0)
    anchor_only_kimg: float = option(0.0, "first kimg, in which the generator follows its anchors alone", 0.0)
    amp: bool = option(False, "mixed precision on CUDA")
    seed: int = option(0, "random seed", 0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "grow_kimg", tuple(self.grow_kimg))
        object.__setattr__(self, "class_shares", tuple(self.class_shares))
        check_options(self)


@dataclass(frozen=True)
class Progress:
    """Where a stage stands after a step. Its state can be saved, and the state's student can draw samples.

    `losses` are given in a report, which comes now and then; they are empty in between.
    """

    images: int
    total_images: int
    elapsed_sec: float
    losses: Mapping[str, float]
    state: "State"
    stage: str = ""


class State(Protocol):
    """What a stage needs to go on after an interruption."""

    images: int

    def student(self) -> Gan:
        """The student as it is now."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """Everything as tensors, for a file."""
        ...

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes up what a state of the same student and config gave."""
        ...


Anchors = Mapping[str, nn.Module]  # class -> frozen generator, of the student's classes, to follow on shared z


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


def adversarial_losses(kind: str, real: Tensor, fake: Tensor) -> Tensor:
    """Loss of the side that wants `real` above `fake`, from logits [N, 1]; the generator swaps the two.

    "nonsaturating": softplus(-real) + softplus(fake) (Goodfellow et al. 2014, logistic as in StyleGAN2);
    "relativistic": softplus(fake - real) on pairs (Jolicoeur-Martineau 2018; R3GAN, Huang et al. 2024, equation 2).
    """
    if kind == "relativistic":
        return F.softplus(fake - real).mean()
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def gradient_penalty(images: Tensor, logits: Tensor) -> Tensor:
    """E |d logit / d image|^2, a scalar: R1 on real pictures (Mescheder et al. 2018, eq. 9), R2 on generated ones."""
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.square().sum(dim=[1, 2, 3]).mean()


def path_length_penalty(
    images: Tensor, ws: Tensor, average: Tensor, noise: Tensor, team: Team = ALONE
) -> tuple[Tensor, Tensor]:
    """(E (|J^T y| - a)^2, new a) with y ~ `noise`/sqrt(pixels) and a the running mean (StyleGAN2, equation 4).

    The running mean is that of the pictures of the whole team.
    """
    noise = noise / math.sqrt(images.shape[2] * images.shape[3])
    (gradient,) = torch.autograd.grad((images * noise).sum(), ws, create_graph=True)
    lengths = gradient.square().sum(dim=2).mean(dim=1).sqrt()
    mean = lengths.mean().detach()
    team.mean_([mean])
    average = average.lerp(mean, 0.01)
    return (lengths - average).square().mean(), average


def balanced_labels(n: int, classes: int, shares: tuple[float, ...], rng: torch.Generator) -> Tensor:
    """Class labels in the given shares (default equal) as exactly as n allows, shuffled: int64 [n]."""
    weights = torch.tensor(shares or [1.0] * classes, dtype=torch.float64)
    if len(weights) != classes or (weights < 0).any() or weights.sum() <= 0:
        raise CocktailError(f"class_shares {shares} for {classes} classes; give one share of at least 0 for each.")
    points = (torch.arange(n, dtype=torch.float64) + torch.rand(1, generator=rng, dtype=torch.float64)) / n
    labels = torch.searchsorted((weights / weights.sum()).cumsum(0), points).clamp(max=classes - 1)
    return labels[torch.randperm(n, generator=rng)]


class _Trainer:
    """One step of both networks, on this process's part of the batch; kept apart from the schedule in `finetune`."""

    def __init__(self, state: TrainState, source: ImageSource, anchors: Anchors):
        self.state, self.source, self.paired = state, source, getattr(source, "paired", False)
        self.config, self.device = state.config, state.template.device
        student = state.template
        names = source.classes if student.classes else ()
        self.class_ids = torch.tensor([student.class_index(name) for name in names], dtype=torch.long)
        self.anchors = {source.classes.index(name): g.eval().requires_grad_(False) for name, g in anchors.items()}
        self.team, n = parallel.current(), self.config.batch
        limits = (m.group_size for m in state.discriminator.modules() if isinstance(m, MinibatchStd))
        self.part = self.team.part(n, max(limits, default=1))
        self.half = self.team.part(max(1, n // 2)) if self.config.pl_weight else None  # for the path length

    def _latents(self, part: Part) -> Tensor:
        return parallel.randn(part.rng(self.state.rng), len(part), self.state.generator.z_dim).to(self.device)

    def real(self, labels: Tensor) -> tuple[Tensor, Tensor | None]:
        """Pictures of the source at the present resolution, and the latents that they stand for if it knows them.

        Of the `labels` int64 [batch] of all processes, the pictures that this one takes.
        """
        if self.paired:
            images, z = self.source.sample_pairs(labels, self.state.rng, *self.part.asked)
            z = z.to(self.device)
        else:
            images, z = self.source.sample_class(labels, self.state.rng, *self.part.asked), None
        images = images.to(self.device)
        return images if images.shape[-1] == self.state.resolution else resize(images, self.state.resolution), z

    def _one_hot(self, labels: Tensor) -> Tensor | None:
        if not len(self.class_ids):
            return None
        return F.one_hot(self.class_ids[labels], self.state.generator.c_dim).float().to(self.device)

    def _codes(self, z: Tensor, c: Tensor | None, part: Part, mix: bool = True) -> Tensor:
        generator, rng = self.state.generator, self.state.rng
        ws = generator.map(z, c)
        generator.track(part.gather(ws.detach()[:, :1]), part.gather(c) if c is not None else None)
        if mix and generator.num_ws > 1 and torch.rand(1, generator=rng) < self.config.style_mixing:
            cutoff = int(torch.randint(1, generator.num_ws, (1,), generator=rng))
            other = generator.map(self._latents(part), c)
            ws = torch.cat([ws[:, :cutoff], other[:, cutoff:]], dim=1)
        return ws

    def _draw(self, ws: Tensor, part: Part) -> Tensor:
        return self.state.generator.synthesize(ws, "random", part.rng(self.state.noise_rng))

    def _anchored(self, images: Tensor, z: Tensor, c: Tensor | None, labels: Tensor) -> Tensor:
        """What the anchors draw from the same z; classes without an anchor keep their own pictures."""
        wanted = images.detach().clone()
        for index, anchor in self.anchors.items():
            rows = (labels == index).nonzero().flatten().to(self.device)
            if len(rows):
                wanted[rows] = anchor.synthesize(anchor.map(z[rows], c[rows] if c is not None else None))
        return wanted

    def generator_step(
        self, labels: Tensor, real: Tensor, z: Tensor | None, anchor_weight: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Updates the generator; returns its pictures float32 [N, 3, H, W], detached, and the losses.

        With anchors, or with latents `z` that the real pictures belong to, a distance is added: L1 of the pixels and a
        tenth of the L1 of the discriminator's activations.
        """
        state, config, c = self.state, self.config, self._one_hot(labels)
        state.discriminator.requires_grad_(False)
        paired, anchored = z is not None, bool(self.anchors or z is not None) and anchor_weight > 0
        z = z if paired and anchored else self._latents(self.part)
        with torch.autocast(self.device.type, enabled=config.amp and self.device.type == "cuda"):
            images = self._draw(self._codes(z, c, self.part, mix=not anchored), self.part)
            found = state.discriminator.activations(images)
            fake = state.discriminator.logits(found[-1], c).float()
            loss = F.softplus(-fake).mean()
            if config.loss == "relativistic":
                with torch.no_grad():
                    judged = state.discriminator(real, c).float()
                loss = adversarial_losses("relativistic", fake, judged)
            losses = {"g": loss.detach()}
            if anchored:
                with torch.no_grad():
                    wanted = real if paired else self._anchored(images, z, c, labels)
                    targets = state.discriminator.activations(wanted)[:-1]
                distance = F.l1_loss(images, wanted)
                distance += 0.1 * sum(F.l1_loss(a, b) for a, b in zip(found[:-1], targets, strict=True)) / len(targets)
                follow = state.images < 1000 * config.anchor_only_kimg
                loss = anchor_weight * distance + (0 if follow else loss)
                losses["anchor"] = distance.detach()
        self._descend(loss, state.g_optimizer, "generator")
        state.discriminator.requires_grad_(True)
        return images.detach(), losses

    def path_length_step(self, labels: Tensor) -> Tensor:
        """Updates the generator on pictures of the first half of `labels` int64 [batch]; returns the penalty."""
        part, state = self.half, self.state
        c = self._one_hot(part.take(labels[: part.size]))
        ws = self._codes(self._latents(part), c, part)
        images = self._draw(ws, part)
        noise = parallel.randn(part.rng(state.noise_rng), *images.shape, device=self.device)
        penalty, state.path_length = path_length_penalty(images, ws, state.path_length, noise, self.team)
        self._descend(penalty * self.config.pl_weight * self.config.pl_interval, self.state.g_optimizer, "generator")
        return penalty.detach()

    def discriminator_step(self, labels: Tensor, real: Tensor, images: Tensor | None) -> dict[str, Tensor]:
        """Updates the discriminator on the source's pictures and on `images`, newly drawn ones if None."""
        state, config, c = self.state, self.config, self._one_hot(labels)
        if images is None:
            with torch.no_grad():
                images = self._draw(self._codes(self._latents(self.part), c, self.part), self.part)
        penalise = bool(config.gamma) and state.step % config.r1_interval == 0
        both = config.loss == "relativistic"
        # The penalty is differentiated twice: it runs in full precision, with the loss of the same pictures.
        amp = config.amp and self.device.type == "cuda" and not penalise
        real, images = real.requires_grad_(penalise), images.requires_grad_(penalise and both)
        with torch.autocast(self.device.type, enabled=amp):
            seen, drawn = state.discriminator(real, c).float(), state.discriminator(images, c).float()
        loss = adversarial_losses(config.loss, seen, drawn)
        losses = {"d": loss.detach(), "real": seen.detach().mean(), "fake": drawn.detach().mean()}
        if penalise:
            penalty = gradient_penalty(real, seen) + (gradient_penalty(images, drawn) if both else 0)
            loss = loss + penalty * (config.gamma / 2 * config.r1_interval)
            losses["r1"] = penalty.detach()
        self._descend(loss, state.d_optimizer, "discriminator")
        return losses

    def _descend(self, loss: Tensor, optimizer: torch.optim.Optimizer, name: str) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        grads = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        self.team.mean_(grads)
        if not torch.isfinite(torch.stack(torch._foreach_norm(grads)).sum()):
            raise CocktailError(
                f"training stopped at image {self.state.images}: the {name}'s gradient is not finite. "
                "The last saved state is kept; lower the learning rate or raise gamma, and resume."
            )
        optimizer.step()

    def step(self) -> None:
        """Shows both networks one batch."""
        state, config = self.state, self.config
        labels = balanced_labels(config.batch, len(self.source.classes), config.class_shares, state.rng)
        real, z = self.real(labels)
        fade = max(0.0, 1 - state.images / (1000 * config.anchor_kimg)) if config.anchor_kimg else 1.0
        mine = self.part.take(labels)
        images, losses = self.generator_step(mine, real, z, config.anchor_weight * fade)
        if config.pl_weight and state.step % config.pl_interval == 0:
            losses["pl"] = self.path_length_step(labels)
        losses |= self.discriminator_step(mine, real, images if config.reuse_samples else None)
        self.team.mean_(list(losses.values()))
        state.images += config.batch
        state.step += 1
        self.update_average()
        for name, value in losses.items():
            state.unreported.setdefault(name, []).append(value)

    @torch.no_grad()
    def update_average(self) -> None:
        half_life = self.config.ema_kimg * 1000
        if self.config.ema_rampup:
            half_life = min(half_life, self.state.images * self.config.ema_rampup)
        keep = 0.5 ** (self.config.batch / max(half_life, 1e-8))
        pairs = zip(self.state.ema.parameters(), self.state.generator.parameters(), strict=True)
        averages, values = map(list, zip(*pairs, strict=True))
        torch._foreach_lerp_(averages, values, 1 - keep)
        for average, value in zip(self.state.ema.buffers(), self.state.generator.buffers(), strict=True):
            average.copy_(value)


def start_state(student: Gan, config: TrainConfig) -> TrainState:
    """The state before the first step; with a `start_resolution`, new networks of that size and the student's config.

    Raises:
        CocktailError: the architecture cannot grow, or growth does not end at the student's resolution.
    """
    if not config.start_resolution:
        return TrainState(student, config)
    last_step = config.batch * (math.ceil(1000 * config.total_kimg / config.batch) - 1)
    ends_at = max(config.start_resolution, _resolution_at(config, last_step, student.resolution))
    if ends_at != student.resolution:
        raise CocktailError(
            f"growing from start_resolution {config.start_resolution} at {list(config.grow_kimg)} kimg ends at "
            f"{ends_at} px after {config.total_kimg} kimg; the student has {student.resolution} px. Give one kimg per "
            "doubling."
        )
    parts = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        for network in (student.generator, student.discriminator):
            if not hasattr(network, "grown"):
                raise CocktailError(f"{type(network).__module__} cannot grow; set start_resolution to 0.")
            parts.append(
                type(network)(replace(network.config, img_resolution=config.start_resolution)).to(student.device)
            )
    return TrainState(replace(student, generator=parts[0], discriminator=parts[1]), config)


def finetune(
    student: Gan,
    source: ImageSource,
    config: TrainConfig,
    *,
    anchors: Anchors | None = None,
    state: TrainState | None = None,
    report_images: int = 1000,
) -> Iterator[Progress]:
    """Trains a copy of `student` on `source`; yields Progress after every step, returns the trained Gan.

    About every `report_images`, and at the end, the Progress has losses: means since those before.

    Generator: non-saturating logistic loss (or relativistic), path-length regularisation, style mixing; discriminator:
    lazy R1 (StyleGAN2, section 3 and appendix B). Both halves of a batch have the same labels in the same order, since
    the minibatch standard deviation would give a difference away. Classes of the source are found in the student by
    name; the student may have more. `anchors` add distillation on shared z. A `state` that was loaded goes on where it
    was saved, to the bit on one machine with one thread count. Inside `parallel.joined` the processes share each batch.

    Raises:
        CocktailError: no discriminator, a class that the student lacks, other pixels, a batch that the processes cannot
            share, or a gradient that is not finite.
    """
    if not student.classes and len(source.classes) > 1:
        raise CocktailError(f"a student without classes cannot learn {source.classes}; add them (`Gan.with_classes`).")
    if source.resolution != student.resolution:
        raise CocktailError(f"source of {source.resolution} px, student of {student.resolution} px; resize the source.")
    state = state or start_state(student, config)
    trainer = _Trainer(state, source, anchors or {})
    total, started = int(config.total_kimg * 1000), time.monotonic()
    every = config.batch * max(1, math.ceil(report_images / config.batch))
    while state.images < total:
        while state.resolution < _resolution_at(config, state.images, student.resolution):
            state.grow()
        state.set_learning_rate(_decay(config, state.images, total))
        trainer.step()
        report = state.images % every == 0 or state.images >= total
        losses = state.report() if report else {}
        yield Progress(state.images, total, time.monotonic() - started, losses, state)
    generator, discriminator = (network.eval().requires_grad_(True) for network in (state.ema, state.discriminator))
    return Gan(generator, discriminator, student.classes, dict(student.card))


def _resolution_at(config: TrainConfig, images: int, final: int) -> int:
    if not config.start_resolution:
        return final
    doublings = sum(images >= 1000 * kimg for kimg in config.grow_kimg)
    return min(config.start_resolution << doublings, final)


def _decay(config: TrainConfig, images: int, total: int) -> float:
    """Learning-rate factor: 1, then falling linearly to 0.05 over the last `lr_decay` of the stage."""
    left = (total - images) / max(total, 1)
    return 1.0 if not config.lr_decay or left >= config.lr_decay else max(0.05, left / config.lr_decay)
