"""A warm start: a generator fitted to pictures whose latents are known, before or between adversarial stages.

For a source: adversarial training of a small network needs tens of thousands of pictures before the geometry of a
drawing (its yaw) moves with the latent at all. Where pictures are drawn from known factors there is a shorter way: the
factors, made normal and rotated at random, are the latent, and the generator learns the picture that belongs to it.

For a union: the pictures are the sources' samples, the latents those that `cocktail.methods.alignment` found for them.
Merging has no drawings and never sees a factor.
"""

import copy
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cocktail import parallel
from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.images import resize
from cocktail.options import check_options, option
from cocktail.parallel import Part
from cocktail.sources import Pairs
from cocktail.training import Progress, balanced_labels, load_optimizer, optimizer_tensors, under

LEAST_CHANGE = 1e-3  # mean squared change of a picture below which a contrast counts less
MEMORY, ATTENTION = 0.9, 6.0  # of what contrasts missed; how much more often the worst are shown


@dataclass(frozen=True)
class WarmStartConfig:
    """How long and how fast to fit."""

    start_resolution: int = option(0, "grow a new generator from here; 0 = go on with the student's at full size", 0)
    stage_kimg: tuple[float, ...] = option((40.0,), "thousands of pictures at each resolution", 0.0)
    batch: int = option(16, "pictures per step", 1, 4096)
    lr: float = option(0.008, "Adam's learning rate, falling towards the end of the last stage", 0.0, 1.0)
    ema_kimg: float = option(0.5, "half-life of the weight average", 0.0)
    class_shares: tuple[float, ...] = option((), "share of each class in a batch; empty = equal", 0.0)
    contrast_weight: float = option(0.0, "weight of what one change of the latent does; 0 = off", 0.0)
    seed: int = option(0, "random seed", 0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "stage_kimg", tuple(self.stage_kimg))
        object.__setattr__(self, "class_shares", tuple(self.class_shares))
        check_options(self)


class FitState:
    """Everything that a fit needs to go on: generator, its average, optimiser, random generator, counters."""

    def __init__(self, student: Gan, config: WarmStartConfig):
        self.template, self.config = student, config
        self.generator = _smallest(student, config) if config.start_resolution else copy.deepcopy(student.generator)
        self.rng = torch.Generator().manual_seed(config.seed)
        self.stage = self.step = self.images = 0
        self.missed = torch.zeros(0, 0)  # [classes, kinds of contrast]: the share that the fit lately left out
        self._begin()

    def _begin(self) -> None:
        self.generator.train().requires_grad_(True)
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.generator.parameters(), betas=(0.9, 0.99))

    @property
    def steps(self) -> int:
        """Of the present stage."""
        return math.ceil(1000 * self.config.stage_kimg[self.stage] / self.config.batch)

    @property
    def last(self) -> bool:
        return self.stage == len(self.config.stage_kimg) - 1

    def next_stage(self) -> None:
        """Goes on from the average at twice the resolution; the optimiser starts anew."""
        self.generator = _grown(self.average, self.config.seed)
        self.stage, self.step = self.stage + 1, 0
        self._begin()

    def student(self) -> Gan:
        """The student with the averaged generator, shared with the state, not copied."""
        return replace(self.template, generator=self.average)

    def state_dict(self) -> dict[str, Tensor]:
        """All tensors of the state under flat names, with counters and random generator as tensors too."""
        tensors = {
            "counters": torch.tensor([self.stage, self.step, self.images]), "rng": self.rng.get_state(),
            "missed": self.missed,
        }  # fmt: skip
        for name in ("generator", "average"):
            tensors |= {f"{name}.{k}": v for k, v in getattr(self, name).state_dict().items()}
        tensors |= optimizer_tensors(self.optimizer, "optimizer")
        return {k: v.detach().clone().contiguous() for k, v in tensors.items()}

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes up a saved state; the config and the architecture must be those that it was saved with."""
        stage, step, self.images = tensors["counters"].tolist()
        while self.stage < stage:
            self.next_stage()
        self.step, self.missed = step, tensors["missed"].clone()
        for name in ("generator", "average"):
            getattr(self, name).load_state_dict(under(name, tensors), strict=True)
        load_optimizer(self.optimizer, under("optimizer", tensors))
        self.rng.set_state(tensors["rng"].cpu())


def warm_start(
    student: Gan, source: Pairs, config: WarmStartConfig, *, state: FitState | None = None, report_images: int = 1000
) -> Iterator[Progress]:
    """Fits a generator to the source's pairs; yields Progress after every step, returns the fitted student.

    About every `report_images` the Progress has losses, those of its step. The loss is that of `fit_loss`. With a
    `start_resolution` a new generator of the student's architecture is grown, the resolution doubling from stage to
    stage. The discriminator stays as it is. A `state` that was loaded goes on where it was saved. Inside
    `parallel.joined` the processes share each batch.

    Raises:
        CocktailError: the source knows no latents, a class that the student lacks, the architecture cannot grow, the
            stages do not end at the student's resolution, or the processes cannot share the batch.
    """
    _check(student, source, config)
    ids = torch.tensor([student.class_index(name) for name in source.classes] if student.classes else [])
    part = parallel.current().part(config.batch // 2 if config.contrast_weight else config.batch)
    state, started, total = state or FitState(student, config), time.monotonic(), int(1000 * sum(config.stage_kimg))
    while True:
        while state.step < state.steps:
            state.optimizer.param_groups[0]["lr"] = config.lr * _rate(state.step, state.steps, state.last)
            batch = _batch(source, state, part)
            c = student.one_hot(ids[batch.labels], len(batch.labels)) if len(ids) else None
            losses = _descend(state, batch, c, part)
            state.step += 1
            state.images += config.batch
            report = state.images % report_images < config.batch
            means = _means(losses, part) if report else {}
            yield Progress(state.images, total, time.monotonic() - started, means, state)
        if state.last:
            break
        state.next_stage()
    generator = state.average.requires_grad_(True)
    generator.recenter(torch.randn(4096, student.z_dim, generator=state.rng).to(student.device))
    return replace(student, generator=generator, card={})


def _check(student: Gan, source: Pairs, config: WarmStartConfig) -> None:
    if not getattr(source, "paired", False):
        raise CocktailError("a warm start needs a source that knows its latents, such as a drawn domain with a z_dim.")
    ends_at = (config.start_resolution << len(config.stage_kimg)) // 2
    if config.start_resolution and ends_at != student.resolution:
        raise CocktailError(f"the warm start ends at {ends_at} px; the model has {student.resolution} px.")
    if config.contrast_weight and not all(getattr(source, "contrast_lines", (0,))):
        raise CocktailError("contrast_weight needs a source with contrasts, and this one has none; set it to 0.")
    if config.contrast_weight and config.batch < 2:
        raise CocktailError("batch is 1, and a contrast needs two pictures; give a batch of 2 or more.")
    if not config.start_resolution and len(config.stage_kimg) != 1:
        raise CocktailError(f"stage_kimg has {len(config.stage_kimg)} entries; without growth there is one stage.")


def _means(losses: Mapping[str, Tensor], part: Part) -> dict[str, float]:
    """The losses as numbers, means over the processes."""
    part.team.mean_(list(losses.values()))
    return {name: value.item() for name, value in losses.items()}


@dataclass(frozen=True)
class _Batch:
    """What one process takes of a batch: classes int64 [n], pictures and latents.

    With contrasts the second half repeats the first, one thing changed, and `contrasts` are the classes and kinds of
    those of all processes, int64 [batch / 2] each.
    """

    labels: Tensor
    images: Tensor
    z: Tensor
    contrasts: tuple[Tensor, Tensor] | None = None


def _batch(source: Pairs, state: FitState, part: Part) -> _Batch:
    config, rng = state.config, state.rng
    if not config.contrast_weight:
        labels = _labels(config.batch, source, config, rng)
        return _Batch(part.take(labels), *source.sample_pairs(labels, rng, *part.asked))
    if not state.missed.numel():
        kinds = source.contrast_lines
        state.missed = (torch.arange(max(kinds)) < torch.tensor(kinds)[:, None]).float()
    labels = _labels(config.batch // 2, source, config, rng)
    # What is missed most is shown most: all kinds alike drown the one that is blind among those that are learnt.
    lines = torch.multinomial(state.missed[labels] ** ATTENTION, 1, generator=rng)[:, 0]
    drawn = source.sample_contrasts(labels, lines, rng, *part.asked)
    return _Batch(part.take(labels).repeat(2), *drawn, (labels, lines))


def _labels(n: int, source: Pairs, config: WarmStartConfig, rng: torch.Generator) -> Tensor:
    """Class labels, at random or in the shares that the config gives: int64 [n]."""
    if not config.class_shares:
        return torch.randint(len(source.classes), (n,), generator=rng)
    return balanced_labels(n, len(source.classes), config.class_shares, rng)


def _smallest(student: Gan, config: WarmStartConfig) -> nn.Module:
    if not hasattr(student.generator, "grown"):
        raise CocktailError("this architecture cannot grow; a warm start needs stylegan2.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        smallest = replace(student.generator.config, img_resolution=config.start_resolution)
        return type(student.generator)(smallest).to(student.device)


def _grown(generator: nn.Module, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + generator.resolution)
        return generator.grown()


def _rate(step: int, steps: int, last: bool) -> float:
    """Warm-up over 30 steps; in the last stage a linear fall to 3 % from 40 % of the way."""
    left = 1 - step / steps
    return min(1.0, (step + 1) / 30) * (max(0.03, left / 0.6) if last and left < 0.6 else 1.0)


def _descend(state: FitState, batch: _Batch, c: Tensor | None, part: Part) -> dict[str, Tensor]:
    """One step of Adam and of the average; returns the errors of the pixels before it, scalars."""
    device = state.template.device
    drawn = state.generator.synthesize(state.generator.map(batch.z.to(device), c))
    wanted = resize(batch.images.to(device), state.generator.resolution)
    loss, l1, l2 = fit_loss(drawn, wanted)
    losses = {"l1": l1.detach(), "l2": l2.detach()}
    if batch.contrasts is not None:
        shares = missed_shares(drawn, wanted)
        loss = loss + state.config.contrast_weight * shares.mean()
        for label, line, share in zip(*batch.contrasts, part.gather(shares.detach()).cpu(), strict=True):
            state.missed[label, line].lerp_(share.clamp(0.01, 1), 1 - MEMORY)
        losses["missed"] = state.missed.amax(dim=1).mean()
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    part.team.mean_([p.grad for p in state.generator.parameters() if p.grad is not None])
    state.optimizer.step()
    keep = 0.5 ** (state.config.batch / max(1e-8, 1000 * state.config.ema_kimg))
    with torch.no_grad():
        torch._foreach_lerp_(list(state.average.parameters()), list(state.generator.parameters()), 1 - keep)
    return losses


def fit_loss(drawn: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The loss of a fit, and its parts |d| and d^2 of the pixels alone; pictures float32 [N, 3, H, W].

    Absolute errors of pixels at three scales and of the differences between neighbours, which ask for sharp edges;
    squared errors of the same, since to absolute ones alone a small thing that moves, like a mouth, is best left out.
    """
    l1, l2 = F.l1_loss(drawn, wanted), F.mse_loss(drawn, wanted)
    loss = l1 + 4 * l2
    for axis in (2, 3):
        a, b = drawn.diff(dim=axis), wanted.diff(dim=axis)
        loss = loss + 2 * F.l1_loss(a, b) + 4 * F.mse_loss(a, b)
    for _ in range(2):
        drawn, wanted = F.avg_pool2d(drawn, 2), F.avg_pool2d(wanted, 2)
        loss = loss + F.l1_loss(drawn, wanted)
    return loss, l1, l2


def missed_shares(drawn: Tensor, wanted: Tensor) -> Tensor:
    """How wrongly each contrast's change is drawn, as a share of what it changes: float32 [n] from [2n, 3, H, W].

    In the loss of single pictures a thing that moves few pixels, like a smile, can drown: the mapping network learns to
    ignore it along with the noise, and then nothing asks for it any more. In the difference of two pictures that are
    equal but for that thing nothing else is left.
    """
    (a, b), (x, y) = drawn.chunk(2), wanted.chunk(2)
    error, change = ((a - b) - (x - y)).square(), (x - y).square()
    return error.mean(dim=(1, 2, 3)) / (change.mean(dim=(1, 2, 3)) + LEAST_CHANGE)
