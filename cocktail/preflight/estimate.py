"""What a merge will take in time, memory and disk, from a short measured probe of its own work."""

import shutil
from collections.abc import Generator, Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from cocktail import hardware, words
from cocktail.gan import Gan
from cocktail.methods.alignment import with_latents
from cocktail.methods.preparing import prepare_root
from cocktail.methods.registry import Planned, Teacher, get
from cocktail.metrics.watch import snapshots
from cocktail.preflight import probe
from cocktail.recipe import Recipe
from cocktail.sources import GanSource, ImageSource, MixtureSource
from cocktail.teachers import teacher
from cocktail.training import TrainConfig
from cocktail.warmstart import WarmStartConfig

LOW, HIGH = 0.8, 1.3  # of the measured time: machines are not equally busy all the time
BASE_BYTES = 256 << 20  # a process that has loaded torch and no model
ALIGNMENT, MEASURING = "alignment", "measuring"  # what a run does beside its stages
COLUMNS = 8  # pictures of a class in a grid


@dataclass(frozen=True)
class Estimate:
    """What a run takes.

    rates: source pictures per second of each stage; seconds: (low, high) of each stage, of the scores on the way
    ("measuring"), and of the search for the latents ("alignment") where the method makes one; memory_bytes: of the
    run's process, on CUDA of the device; disk_bytes: of the run's folder; free_bytes: left on its disk now.
    """

    rates: dict[str, float]
    seconds: dict[str, tuple[float, float]]
    memory_bytes: int
    disk_bytes: int
    free_bytes: int

    @property
    def total_sec(self) -> tuple[float, float]:
        """(low, high) of all stages together."""
        low, high = zip(*self.seconds.values(), strict=True)
        return sum(low), sum(high)

    def words(self) -> str:
        """For people: "about 2 to 3 minutes, 0.4 GB of memory, 60 MB on disk"."""
        text = f"about {words.duration(*self.total_sec)}, {words.size(self.memory_bytes)} of memory, "
        text += f"{words.size(self.disk_bytes)} on disk"
        short = self.free_bytes < self.disk_bytes
        return text + (f", where only {words.size(self.free_bytes)} is free" if short else "")


class _Quiet:
    """What `prepare_root` needs of a context; keeps nothing."""

    def __init__(self, seed: int):
        self.seed = seed

    def record(self, name: str, value: float | str) -> None:
        pass


@dataclass(frozen=True)
class _Work:
    """The prepared root, the teachers' samples (the root's first), and what the method asks of its merging stages."""

    root: Gan
    sources: list[ImageSource]
    aligned: bool
    distilled: bool

    @property
    def merged(self) -> list[ImageSource]:
        """What merging learns from; the root stands for the models that are rooted on pictures."""
        return [with_latents(source, self.root) for source in self.sources] if self.aligned else self.sources

    @property
    def classes(self) -> int:
        return sum(len(source.classes) for source in self.sources)


def estimate(recipe: Recipe, budget_sec: float = 15.0, folder: str | Path = "runs") -> Generator[str, None, Estimate]:
    """Yields the name of what is measured next and returns the Estimate; `folder` is where the run's will be made.

    Stages that do the same work are measured once. Of each kind at least four steps are made, however long they take,
    and more for its share of the budget. Torch's threads and random state are as before at every yield.

    Raises: CocktailError where a source cannot be loaded or the sources do not go together; see `check`.
    """
    count = recipe.threads or hardware.available_threads()
    yield "loading"
    with probe.threads(count):
        memory = probe.Memory(recipe.device)
        teachers = [teacher(source, recipe.device) for source in recipe.sources]
        teachers.insert(0, teachers.pop(recipe.root))
        work = _prepare(recipe, teachers)
    plan = get(recipe.method).plan([t.names for t in teachers], recipe.config, recipe.seed)
    kinds = _kinds(plan, work)
    measured: dict[Hashable, float] = {}
    for stage, (kind, sources) in zip(plan, kinds, strict=True):
        if kind not in measured:
            yield stage.name
            with probe.threads(count):
                measured[kind] = _rate(stage, sources, work, budget_sec / len({kind for kind, _ in kinds}))
    rates = {stage.name: measured[kind] for stage, (kind, _) in zip(plan, kinds, strict=True)}
    seconds = {stage.name: stage.images / rates[stage.name] for stage in plan}
    yield MEASURING
    with probe.threads(count):
        seconds[MEASURING] = probe.measuring_seconds(work.root, work.sources, plan)
        if work.aligned:
            seconds[ALIGNMENT] = probe.alignment_seconds(work.root, work.merged, _contrasts(plan))
    needed = _memory_bytes(memory.peak(), work, recipe.device)
    disk = _disk_bytes(work.root, plan)
    spans = {name: (LOW * value, HIGH * value) for name, value in seconds.items()}
    return Estimate(rates, spans, needed, disk, _free(Path(folder)))


def _prepare(recipe: Recipe, teachers: Sequence[Teacher]) -> _Work:
    gain = getattr(recipe.config, "class_w_gain", 0.0)
    root = prepare_root(teachers, gain, _Quiet(recipe.seed))
    sources = [t.source(root.resolution) for t in teachers]
    # Whatever is fitted to samples knows their latents; without rooting the search for them is shorter than is said.
    paired = getattr(recipe.config, "align", hasattr(recipe.config, "warm"))
    return _Work(root, sources, paired, getattr(recipe.config, "distill", False))


def _kinds(plan: Sequence[Planned], work: _Work) -> list[tuple[Hashable, list[ImageSource]]]:
    """For each stage what its speed depends on, and the sources that it learns from: one that is not the root, in
    their order, or all together."""
    others, found = iter(work.sources[1:]), []
    for stage in plan:
        sources = work.merged if stage.classes == work.classes else [next(others)]
        length = {"total_kimg": 0.0} if isinstance(stage.config, TrainConfig) else {"stage_kimg": (0.0,)}
        found.append(((replace(stage.config, seed=0, **length), tuple(map(_painter, sources))), list(sources)))
    return found


def _painter(source: ImageSource) -> Hashable:
    """What the time for a picture of a source depends on."""
    if not isinstance(source, GanSource):
        return type(source)
    return type(source.gan.generator), source.gan.generator.config


def _rate(stage: Planned, sources: list[ImageSource], work: _Work, budget_sec: float) -> float:
    """Pictures per second of a stage, from real steps on a copy of the root."""
    paired = probe.PairedSamples(sources, work.root.z_dim)
    if isinstance(stage.config, WarmStartConfig):
        return probe.fitting_rate(work.root, paired, stage.config, budget_sec)
    merging = len(sources) > 1
    source = paired if merging and work.aligned else MixtureSource(sources)
    anchors = None
    if merging and work.distilled:
        anchors = dict.fromkeys(source.classes, work.root.copy().generator)
    return probe.training_rate(work.root, source, stage.config, budget_sec, anchors)


def _contrasts(plan: Sequence[Planned]) -> bool:
    return any(isinstance(stage.config, WarmStartConfig) and stage.config.contrast_weight for stage in plan)


def _state_bytes(root: Gan) -> int:
    """A saved state: generator, its average, discriminator, and two moments of Adam for both networks."""
    return 4 * _bytes(root.generator) + 3 * _bytes(root.discriminator)


def _memory_bytes(growth: int, work: _Work, device: str) -> int:
    """What the probe took, or at least the state, and what comes on top: a copy of the state to save, or alignment."""
    state = _state_bytes(work.root)
    largest = max(growth, state) + max(state, probe.alignment_bytes(work.root) if work.aligned else 0)
    return largest + (0 if device.startswith("cuda") else BASE_BYTES)


def _disk_bytes(root: Gan, plan: Sequence[Planned]) -> int:
    """State and previous state; a model per stage, latest, best and result; a grid of samples per snapshot."""
    models = (len(plan) + 3) * (_bytes(root.generator) + _bytes(root.discriminator))
    grid = 3 * root.resolution**2 * COLUMNS * len(root.classes)  # a PNG of such pictures is hardly smaller than raw
    return 2 * _state_bytes(root) + models + sum(snapshots(s.images, s.classes) + 2 for s in plan) * grid


def _bytes(network: torch.nn.Module) -> int:
    return sum(value.numel() * value.element_size() for value in network.state_dict().values())


def _free(folder: Path) -> int:
    """Bytes left on the disk that a folder, which need not exist yet, is or will be on."""
    folder = folder.expanduser().absolute()
    return shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free
