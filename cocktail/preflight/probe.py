"""Short measurements of real work: how long a picture takes in a stage, and how much memory a piece of work needs."""

import ctypes
import gc
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from cocktail.gan import Gan
from cocktail.images import to_uint8
from cocktail.methods import alignment, visible
from cocktail.methods.registry import Planned
from cocktail.metrics.features import FeatureExtractor, extractors_of, features_of
from cocktail.metrics.watch import PICTURES, snapshots
from cocktail.sources import GanSource, ImageSource, MixtureSource, of_rows
from cocktail.training import Anchors, TrainConfig, finetune
from cocktail.warmstart import WarmStartConfig, warm_start

WARM_UP, LEAST, MOST = 2, 4, 48  # steps: not counted where there are more, made in any case, made at most
R1_EVERY, PL_EVERY = 2, 3  # in a probe, so that six steps hold every kind


class PairedSamples(MixtureSource):
    """Samples with latents that mean nothing: they cost what an aligned source's pairs cost."""

    paired = True

    def __init__(self, sources: Sequence[ImageSource], z_dim: int):
        super().__init__(sources)
        self.z_dim, self.contrast_lines = z_dim, (1,) * len(self.classes)

    def sample_pairs(self, labels: Tensor, rng: torch.Generator, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """int64 [n] -> pictures float32 [n, 3, H, W] in [-1, 1] and random latents float32 [n, z_dim]; or of rows."""
        z = torch.randn(len(labels), self.z_dim, generator=rng)
        return self.sample_class(labels, rng, rows), of_rows(z, rows)

    def sample_contrasts(
        self, labels: Tensor, lines: Tensor, rng: torch.Generator, rows: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """int64 [n], int64 [n] -> twice as many pictures and latents; what changes means nothing either."""
        labels = of_rows(labels, rows)
        return self.sample_pairs(labels.repeat(2), rng)


def training_rate(
    student: Gan, source: ImageSource, config: TrainConfig, budget_sec: float, anchors: Anchors | None = None
) -> float:
    """Pictures per second of `finetune` with this config, its lazy penalties counted as rarely as they come."""
    short = replace(
        config, total_kimg=MOST * config.batch / 1000, r1_interval=R1_EVERY, pl_interval=PL_EVERY, start_resolution=0
    )
    times = _step_times(finetune(student, source, short, anchors=anchors, report_images=1), budget_sec)
    return config.batch / mean_step(times, config)


def mean_step(times: Sequence[float], config: TrainConfig) -> float:
    """Seconds of a mean step in training, from those of steps 0, 1, ... whose R1 came every 2 and path length every 3.

    A penalty that no counted step had is taken to cost as much as a plain step.
    """
    kinds: dict[tuple[bool, bool], list[float]] = {}
    for step in range(1, len(times)):
        key = bool(config.gamma) and step % R1_EVERY == 0, bool(config.pl_weight) and step % PL_EVERY == 0
        if step >= WARM_UP or key == (False, False):
            kinds.setdefault(key, []).append(times[step])
    plain = median(kinds.get((False, False)) or times)

    def penalty(key: tuple[bool, bool]) -> float:
        return max(0.0, median(kinds[key]) - plain) if key in kinds else plain

    seconds = plain + (penalty((True, False)) / config.r1_interval if config.gamma else 0)
    return seconds + (penalty((False, True)) / config.pl_interval if config.pl_weight else 0)


def fitting_rate(student: Gan, source: PairedSamples, config: WarmStartConfig, budget_sec: float) -> float:
    """Pictures per second of `warm_start` at full size with this config."""
    kimg = MOST * config.batch / 1000
    short = replace(config, stage_kimg=(kimg,), start_resolution=0)
    times = _step_times(warm_start(student, source, short, report_images=1), budget_sec)
    return config.batch / median(times[WARM_UP:])


@torch.no_grad()
def picture_seconds(source: ImageSource, extractor: FeatureExtractor | None = None, n: int = 16) -> float:
    """Seconds that a source takes for one picture, and an extractor, if any, for its features."""

    def draw(count: int) -> None:
        images = source.sample_class(torch.zeros(count, dtype=torch.int64), torch.Generator().manual_seed(0))
        found = images if extractor is None else extractor(to_uint8(images))
        found.flatten()[0].item()  # waits for the device

    draw(4)
    started = time.perf_counter()
    draw(n)
    return max(time.perf_counter() - started, 1e-9) / n


def alignment_seconds(student: Gan, sources: Sequence[GanSource], contrasts: bool) -> float:
    """Seconds that an `AlignedSource` takes before its first picture, its regressions left out: SAMPLES pairs for each
    class of all sources but the first, the root's, and those that the student itself draws in place of pictures; with
    contrasts, PROBES x (z_dim + 1) pictures of every class."""
    judge, total = features_of(student), 0.0
    own = picture_seconds(GanSource(student), judge)
    for index, source in enumerate(sources):
        pictures = 0.0
        if index and source.gan is not student:
            pictures += alignment.SAMPLES * (own + picture_seconds(source, judge))
        if contrasts:
            pictures += visible.PROBES * (source.gan.z_dim + 1) * picture_seconds(source)
        total += len(source.classes) * pictures
    return total


def measuring_seconds(student: Gan, sources: Sequence[ImageSource], plan: Sequence[Planned]) -> float:
    """Seconds that a `Watch` takes in all: two sets of each class of the sources, and the student before, after and at
    the snapshots of every stage."""
    sets = sum((snapshots(stage.images, stage.classes) + 2) * stage.classes for stage in plan)
    total = sets * picture_seconds(GanSource(student), features_of(student))
    for source, extractor in zip(sources, extractors_of(sources), strict=True):
        total += 2 * len(source.classes) * picture_seconds(source, extractor)
    return PICTURES * total


@torch.no_grad()
def alignment_bytes(student: Gan) -> int:
    """What `alignment.align` holds at its peak: features of both sides in single and double precision, and their Gram
    matrix."""
    size = student.resolution
    images = torch.zeros(1, student.discriminator.config.img_channels, size, size, device=student.device)
    maps = student.discriminator.activations(images)[-3:-1]
    dim = sum(16 * found.shape[1] for found in maps)
    return alignment.SAMPLES * dim * 24 + 16 * dim * dim


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Torch at a number of threads; what it had before comes back, and the global random state with it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(before)


class Memory:
    """The growth of memory since `start`, in bytes: of the process's resident set, or of the CUDA device."""

    def __init__(self, device: str):
        self.device = torch.device(device)
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
            return
        gc.collect()
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)  # what was freed before would hide growth
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak counts from here
        self._start = _resident("VmRSS")

    def peak(self) -> int:
        """The most since the start; 0 where the system does not say."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        return max(0, _resident("VmHWM") - self._start)


def _resident(field: str) -> int:
    try:
        found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    except OSError:  # no Linux
        return 0
    return 1024 * int(found[1]) if found else 0


def _step_times(steps: Iterator[object], budget_sec: float) -> list[float]:
    """Seconds of each step of a generator: at least LEAST of them, more while the budget lasts."""
    times: list[float] = []
    while len(times) < MOST and (len(times) < LEAST or sum(times) < budget_sec):
        started = time.perf_counter()
        if next(steps, None) is None:
            break
        times.append(time.perf_counter() - started)
    return times
