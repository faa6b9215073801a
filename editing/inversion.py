"""From a picture back to its w+ code: the encoder's guess, then descent on what the generator draws.

The prior and its coordinates are those of the space P_N+ (Zhu et al., "Improved StyleGAN Embedding: Where are the Good
Latents?", 2020), the start from an encoder that of "In-Domain GAN Inversion" (Zhu et al., ECCV 2020, section 3.2).
"""

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.options import check_options, option
from editing.descent import Descent
from editing.encoder import Encoder
from editing.region import class_codes, nearest

WARM_UP = 10  # steps
TRIAL = 5  # steps that tell the speed
LONGEST = 86_400.0  # seconds


@dataclass(frozen=True)
class InversionConfig:
    """Where to look for the code, and for how long."""

    space: str = option("w+", "w+: one code per layer, near the picture; w: one for all", choices=("w+", "w"))
    steps: int = option(200, "steps at most", 0, 100_000)
    max_sec: float = option(20.0, "seconds at most", 0.0, LONGEST)
    patience: int = option(40, "stop after so many steps without gain", 1)
    lr: float = option(0.1, "Adam's learning rate, in standard deviations of the class's codes", 0.0, 10.0)
    perceptual_weight: float = option(1.0, "weight of the perceptual distance; squared errors of pixels have 1", 0.0)
    prior_weight: float = option(0.003, "weight of the distance from the class's mean code", 0.0)
    candidates: int = option(128, "samples of each class to choose a start from, without an encoder", 0, 4096)
    noise: bool = option(False, "fit noise inputs too: finer, but the code alone no longer draws the picture")
    report_steps: int = option(10, "steps between two reports", 1)

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, eq=False)
class InversionProgress:
    """The best so far. Step 0 is the start: what the encoder gives alone, if there is one."""

    step: int
    steps: int
    elapsed_sec: float
    psnr: float
    distance: float
    ws: Tensor  # float32 [num_ws, w_dim]


@dataclass(frozen=True, eq=False)
class Inversion:
    """A code, and how near its picture comes: PSNR in dB for pictures in [-1, 1], and `PerceptualDistance`.

    The encoder's own code and figures are None where there was none. `noise` holds what was fitted, for `with_noise`.
    """

    ws: Tensor  # float32 [num_ws, w_dim]
    label: str | None
    psnr: float
    distance: float
    steps: int
    elapsed_sec: float
    encoder_ws: Tensor | None = None
    encoder_psnr: float | None = None
    encoder_distance: float | None = None
    noise: dict[str, Tensor] = field(default_factory=dict)


def project(
    gan: Gan,
    target: Tensor,
    label: str | int | None = None,
    config: InversionConfig | None = None,
    start: Tensor | None = None,
    encoder: Encoder | None = None,
) -> Iterator[InversionProgress]:
    """Seeks the code of a picture float32 [1, 3, R, R] in [-1, 1]; yields progress, returns an Inversion.

    Without a `label` the class is guessed. The way begins at `start` float32 [num_ws, w_dim], or at the encoder's code,
    or at the nearest of some samples. Closing the generator cancels. Only where the seconds are scarcer than the steps
    does the result depend on the clock.

    Raises: CocktailError where the picture or the start has another shape or holds NaN, or the class is unknown.
    """
    config, started, index = config or InversionConfig(), time.monotonic(), _class_number(gan, label)
    _check("picture", target, (1, 3, gan.resolution, gan.resolution))
    if start is not None:
        _check("start", start, (gan.num_ws, gan.w_dim))
    way = Descent(gan, target, config.perceptual_weight, config.prior_weight, config.noise)
    ws, alone = None if start is None else start[None].to(gan.device, torch.float32), (None, None, None)
    if encoder is not None:
        guess, chances = encoder.encode(way.target, index)
        index, alone = int(chances.argmax()) if index is None else index, (guess[0], *way.look(guess))
        ws = guess if ws is None else ws
    if index is None or ws is None:
        index, near = nearest(gan, way.target, index, config.candidates, started + config.max_sec / 4)
        ws = near if ws is None else ws
    way.begin(index, ws, one=config.space == "w")
    yield from _descend(way, config, started)
    name = gan.classes[index] if gan.classes else None
    return Inversion(way.best, name, *way.figures, way.step, time.monotonic() - started, *alone, way.best_noise)


def _descend(way: Descent, config: InversionConfig, started: float) -> Iterator[InversionProgress]:
    """Descends until the steps, the seconds or the patience are used up; the rate rises, and falls as a cosine."""
    first = elapsed = time.monotonic() - started
    while True:
        before, elapsed = elapsed, time.monotonic() - started if way.step else first
        lap = elapsed - before
        if way.step % config.report_steps == 0:
            yield InversionProgress(way.step, config.steps, elapsed, *way.figures, way.best)
        if way.step >= config.steps or way.step - way.gained >= config.patience or elapsed + lap >= config.max_sec:
            return
        done = max(way.step / config.steps, (elapsed - first) / (config.max_sec - first))
        way.descend(config.lr * min(1, (way.step + 1) / WARM_UP) * (0.5 + 0.5 * math.cos(math.pi * done)))


def estimate_sec(gan: Gan, config: InversionConfig | None = None) -> tuple[float, float]:
    """The seconds that `project` will take here, judged by a few steps: (least, most).

    The least is for a picture that gains nothing, the most for one that uses up all steps.
    """
    config = config or InversionConfig()
    ws = class_codes(gan, 0, 1)[:, None].repeat(1, gan.num_ws, 1)
    trial = replace(config, steps=TRIAL, patience=TRIAL, report_steps=1, max_sec=LONGEST)
    steps = project(gan, gan.synthesize(ws), 0 if gan.classes else None, trial, start=ws[0])
    at = [progress.elapsed_sec for progress in steps]
    laps = [after - before for before, after in zip(at, at[1:])][1:]  # the first step warms up
    least, most = min(laps) * min(config.steps, config.patience), max(laps) * config.steps
    return min(at[0] + least, config.max_sec), min(at[0] + most, config.max_sec)


def with_noise(gan: Gan, noise: dict[str, Tensor]) -> Gan:
    """The model with the noise inputs that an inversion fitted; the given one stays as it is."""
    generator = copy.deepcopy(gan.generator)
    generator.load_state_dict(noise, strict=False)
    return replace(gan, generator=generator)


def _class_number(gan: Gan, label: str | int | None) -> int | None:
    """0 for a model without classes; None where the class is to be guessed."""
    if label is None:
        return None if gan.classes else 0
    return gan.class_index(label)


def _check(what: str, values: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(values.shape) != shape:
        raise CocktailError(f"the {what} has shape {list(values.shape)}; this model needs {list(shape)}.")
    if not torch.isfinite(values).all():
        raise CocktailError(f"the {what} holds NaN or infinite values; load or draw it again.")
