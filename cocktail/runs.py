"""A run on disk: what is finished stays finished, what was interrupted goes on where it was saved.

The folder is all there is: recipe.yaml, source_hashes.json, log.jsonl, samples/, state.safetensors (the stage in
progress), stages/<name>/ (finished students), result/.
"""

import contextlib
import hashlib
import itertools
import json
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from cocktail import checkpoints, hardware, warmstart
from cocktail.checkpoints import write_atomically, write_text
from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.images import grid
from cocktail.methods.registry import Teacher, get
from cocktail.recipe import Recipe, Source, plain
from cocktail.sources import ImageSource, Pairs
from cocktail.training import Anchors, Progress, State, TrainConfig, TrainState, finetune, start_state
from cocktail.warmstart import FitState, WarmStartConfig

STATE, LOG = "state.safetensors", "log.jsonl"
SAVE_SEC = 60.0
COLUMNS = 8
StageConfig = TrainConfig | WarmStartConfig


@dataclass(frozen=True)
class Run:
    """A run's folder and the paths in it."""

    folder: Path

    @property
    def result(self) -> Path:
        return self.folder / "result"

    def stage(self, name: str) -> Path:
        return self.folder / "stages" / name

    def log(self, **values: object) -> None:
        """Appends one line to log.jsonl."""
        with (self.folder / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"time": round(time.time(), 3), **values}) + "\n")

    def entries(self) -> list[dict]:
        """The lines of log.jsonl in order; a last line that an interruption cut off is left out."""
        path, found = self.folder / LOG, []
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return found

    def trim_log(self, stage: str | None = None, images: int = 0) -> None:
        """Takes back what the log says of a stage beyond `images`: a run that goes on from there says it again."""
        kept = [e for e in self.entries() if e.get("stage") != stage or e.get("images", 0) <= images]
        write_text(self.folder / LOG, "".join(json.dumps(entry) + "\n" for entry in kept))

    def minutes(self) -> float:
        """Time worked until now, without the pauses between sessions and what was lost by interruptions."""
        entries = [*self.entries(), {"time": time.time()}]
        spans = (b["time"] - a["time"] for a, b in itertools.pairwise(entries) if "session" not in b)
        return round(sum(spans) / 60, 1)


class RunContext:
    """The context (`cocktail.methods.Context`) that keeps everything in a run's folder."""

    def __init__(self, run: Run, seed: int, report_images: int = 1000):
        self.run, self.seed, self.report_images = run, seed, report_images
        self.images_seen = 0
        run.trim_log()
        # Notes of finished stages, which are not made again, come from the log.
        self.notes = {entry["note"]: entry["value"] for entry in run.entries() if "note" in entry}
        run.log(session=time.strftime("%Y-%m-%d %H:%M:%S"))

    def record(self, name: str, value: float | str) -> None:
        if self.notes.get(name) != value:  # a run that goes on records its notes anew
            self.notes[name] = value
            self.run.log(note=name, value=value)

    def show(self, name: str, gan: Gan) -> None:
        path = self.run.folder / "samples" / f"{name.replace('/', '_')}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [gan.sample(range(COLUMNS), label) for label in gan.classes] or [gan.sample(range(2 * COLUMNS))]
        picture = grid(torch.cat(rows), COLUMNS)
        write_atomically(path, lambda partial: picture.save(partial, format="png"))

    def stage(
        self, name: str, student: Gan, source: ImageSource, config: TrainConfig, anchors: Anchors | None = None
    ) -> Generator[Progress, None, Gan]:
        """Runs one stage of training, or continues it, or loads what it gave."""
        self.images_seen += int(config.total_kimg * 1000)

        def train(state: TrainState | None) -> Iterator[Progress]:
            return finetune(student, source, config, anchors=anchors, state=state, report_images=self.report_images)

        return (yield from self._stage(name, student, config, start_state, train))

    def warm_start(
        self, name: str, student: Gan, source: Pairs, config: WarmStartConfig
    ) -> Generator[Progress, None, Gan]:
        """Fits the student's generator to a source that knows its latents, or continues, or loads what that gave."""
        self.images_seen += int(1000 * sum(config.stage_kimg))

        def fit(state: FitState | None) -> Iterator[Progress]:
            return warmstart.warm_start(student, source, config, state=state, report_images=self.report_images)

        return (yield from self._stage(name, student, config, FitState, fit))

    def _stage(
        self, name: str, student: Gan, config: StageConfig, start: Callable[[Gan, StageConfig], State],
        run: Callable[[State | None], Iterator[Progress]],
    ) -> Generator[Progress, None, Gan]:  # fmt: skip
        finished = self._finished(name, config)
        if finished is not None:
            return finished.to(student.device)
        state = self._restore(name, student, config, start)
        self.run.trim_log(name, state.images if state else 0)
        steps, saved = run(state), time.monotonic()
        while True:
            try:
                progress = next(steps)
            except StopIteration as stop:
                result = self._finish(name, stop.value, config)
                (self.run.folder / STATE).unlink(missing_ok=True)
                return result
            self.run.log(stage=name, images=progress.images, total=progress.total_images, **progress.losses)
            if time.monotonic() - saved > SAVE_SEC:
                self._save(name, progress.state, config)
                self.show(f"{name}-{progress.images // 1000:05d}", progress.state.student())
                saved = time.monotonic()
            yield replace(progress, stage=name)

    def _finished(self, name: str, config: StageConfig) -> Gan | None:
        """What a stage gave when it was finished before; None where it was not."""
        folder = self.run.stage(name)
        if not checkpoints.native.is_folder(folder):
            return None
        finished = checkpoints.load(folder)
        if finished.card.get("config") != plain(config):
            raise CocktailError(f"{folder} was made with another config. Start this recipe in a new folder.")
        return finished

    def _finish(self, name: str, result: Gan, config: StageConfig) -> Gan:
        result.card = {"config": plain(config)}
        checkpoints.save(result, self.run.stage(name))
        self.show(name, result)
        return result

    def _save(self, name: str, state: State, config: StageConfig) -> None:
        tensors, metadata = state.state_dict(), {"stage": json.dumps({"name": name, "config": plain(config)})}
        write_atomically(self.run.folder / STATE, lambda partial: save_file(tensors, partial, metadata=metadata))

    def _restore(
        self, name: str, student: Gan, config: StageConfig, start: Callable[[Gan, StageConfig], State]
    ) -> State | None:
        path = self.run.folder / STATE
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt") as stored:
                described = json.loads(stored.metadata()["stage"])
            if described != {"name": name, "config": json.loads(json.dumps(plain(config)))}:
                return None
            state = start(student, config)
            state.load_state_dict(load_file(path))
        except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CocktailError(f"{path} cannot be read ({error}). Remove it: the stage then starts again.") from error
        return state


def prepare(folder: str | Path, resume: bool, description: str) -> Run:
    """Makes a run's folder, or takes up one that has the same description (the text of recipe.yaml).

    Raises:
        CocktailError: the folder is in use without `resume`, or holds another recipe.
    """
    folder = Path(folder)
    path = folder / "recipe.yaml"
    if folder.is_dir() and any(folder.iterdir()):
        if not resume:
            raise CocktailError(
                f"{folder} is not empty. Add --resume to go on with the run there, or name a new folder."
            )
        if not path.is_file() or path.read_text(encoding="utf-8") != description:
            raise CocktailError(f"{folder} holds another run: its recipe.yaml differs. Name a new folder.")
    write_text(path, description)
    return Run(folder)


def execute(recipe: Recipe, folder: str | Path, resume: bool = False, report_images: int = 1000) -> Iterator[Progress]:
    """Performs a merge in this process; yields Progress, leaves the union in <folder>/result and returns it.

    Raises:
        CocktailError: a source cannot be loaded or has changed since the run began, or as the method says.
    """
    torch.set_num_threads(recipe.threads or hardware.available_threads())
    hardware.check_device(recipe.device)
    teachers = [_teacher(source, recipe.device) for source in recipe.sources]
    run = prepare(folder, resume, recipe.to_yaml())
    _check_sources(run, teachers)
    ctx = RunContext(run, recipe.seed, report_images)
    order = [teachers[recipe.root], *(t for i, t in enumerate(teachers) if i != recipe.root)]
    union = yield from get(recipe.method).run(order, recipe.config, ctx)
    union.card = {
        "title": "UnionGAN of " + ", ".join(union.classes),
        "description": f"{get(recipe.method).title} of {len(teachers)} generators, made without a training image.",
        "parents": [{"ref": s.ref, "classes": list(t.names), "licence": t.gan.card.get("licence", "unknown")}
                    for s, t in zip(recipe.sources, teachers, strict=True)],
        "recipe": recipe.to_dict(), "images_seen": ctx.images_seen, "hardware": hardware.describe(recipe.device),
        "minutes": run.minutes(), "notes": ctx.notes,
    }  # fmt: skip
    checkpoints.save(union, run.result)
    ctx.show("result", union)
    return union


def train_source(
    student: Gan,
    source: ImageSource,
    config: TrainConfig,
    folder: str | Path,
    description: dict,
    resume: bool = False,
    threads: int = 0,
    report_images: int = 1000,
    warm: WarmStartConfig | None = None,
) -> Iterator[Progress]:
    """Trains one GAN from images; yields Progress, leaves it in <folder>/result and returns it.

    `description` is plain data that makes the run recognisable: with the configs it is the folder's recipe.yaml. `warm`
    asks for a warm start, which needs a source that knows its latents.
    """
    torch.set_num_threads(threads or hardware.available_threads())
    text = json.dumps({**description, "warm_start": warm and plain(warm), "config": plain(config)}, indent=1) + "\n"
    run = prepare(folder, resume, text)
    ctx = RunContext(run, config.seed, report_images)
    if warm is not None:
        student = yield from ctx.warm_start("warm", student, source, warm)
    gan = yield from ctx.stage("train", student, source, config)
    gan.card = {
        "title": "GAN of " + ", ".join(source.classes),
        "parents": [],
        "images_seen": ctx.images_seen,
        "recipe": json.loads(text),
        "hardware": hardware.describe(str(student.device)),
        "minutes": run.minutes(),
    }
    checkpoints.save(gan, run.result)
    return gan


def _teacher(source: Source, device: str) -> Teacher:
    gan = checkpoints.load(source.ref).to(device)
    gan.generator.eval().requires_grad_(False)
    picks = source.classes or gan.classes
    names = source.names or picks or (Path(source.ref).stem,)
    if len(names) != max(1, len(picks)):
        raise CocktailError(f"{source.ref}: {len(names)} names for {max(1, len(picks))} classes; give one each.")
    for pick in picks:
        gan.class_index(pick)
    for name in names:
        if not name.strip() or name.startswith(".") or set(name) & set("/\\\0") or len(name) > 50:
            raise CocktailError(
                f"{source.ref}: class {name!r} cannot name a folder; give it another name under `names`, of at most 50 "
                "characters and without slashes."
            )
    return Teacher(gan, tuple(picks), tuple(names))


def _fingerprint(gan: Gan) -> str:
    """SHA-256 over the generator's and discriminator's tensors."""
    digest = hashlib.sha256()
    for module in (gan.generator, gan.discriminator):
        for name, value in (module.state_dict() if module is not None else {}).items():
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _check_sources(run: Run, teachers: list[Teacher]) -> None:
    """Writes the hashes of the sources, or compares them with those that the run began with."""
    path = run.folder / "source_hashes.json"
    found = {"+".join(teacher.names): _fingerprint(teacher.gan) for teacher in teachers}
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        for name, digest in found.items():
            if before.get(name) != digest:
                raise CocktailError(f"the source of {name} has changed since this run began. Start a new run.")
    write_text(path, json.dumps(found, indent=1))
