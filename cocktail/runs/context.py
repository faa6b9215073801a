"""What a method sees of its run: stages that are remembered, saved, measured and shown on the way."""

import json
import math
import sys
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace

import torch

from cocktail import checkpoints, parallel, warmstart
from cocktail.checkpoints import write_atomically
from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.images import grid
from cocktail.metrics.watch import Watch, snapshots
from cocktail.recipe import plain
from cocktail.runs import saving
from cocktail.runs.best import marked, mean_score
from cocktail.runs.folder import Run
from cocktail.runs.publishing import publish, published
from cocktail.runs.stopping import Stop
from cocktail.sources import ImageSource, Pairs
from cocktail.training import (
    FREE,
    Anchors,
    Progress,
    Restraint,
    State,
    TrainConfig,
    TrainState,
    finetune,
    start_state,
)  # fmt: skip
from cocktail.warmstart import FitState, WarmStartConfig

SAVE_SEC = 60.0
COLUMNS = 8  # pictures of a class in a grid of samples
REPORTS = 100
StageConfig = TrainConfig | WarmStartConfig


@dataclass(frozen=True)
class _Stage:
    """What a stage is called, its config, the classes that it learns, and the pictures that it shows in all."""

    name: str
    config: StageConfig
    classes: tuple[str, ...]
    images: int

    def due(self, shown_at: int, images: int) -> bool:
        """Tells whether a snapshot is due since the last one; not at the end, where `_finish` has it."""
        step = self.images / snapshots(self.images, len(self.classes))
        return images < self.images and int(shown_at / step) < int(images / step)

    @property
    def described(self) -> dict:
        return {"name": self.name, "config": json.loads(json.dumps(plain(self.config)))}


class _Sitting:
    """A stage while this process works on it: pictures shown at the last snapshot (None before the first) and at the
    last saved state, and seconds of work, those of earlier sessions included."""

    def __init__(self, stage: _Stage, entries: list[dict], saved_at: int):
        own = [entry for entry in entries if entry.get("stage") == stage.name]
        self.stage, self.saved_at = stage, saved_at
        self.shown_at = max((entry["images"] for entry in own if "scores" in entry), default=None)
        self._earlier = max((entry.get("sec", 0.0) for entry in own), default=0.0)
        self._started = self._saved = time.monotonic()  # which nobody sets back

    @property
    def sec(self) -> float:
        return round(self._earlier + time.monotonic() - self._started, 2)

    @property
    def since_saved(self) -> float:
        return time.monotonic() - self._saved

    def saved(self, images: int) -> None:
        self.saved_at, self._saved = images, time.monotonic()


class RunContext:
    """The context (`cocktail.methods.Context`) that keeps everything in a run's folder.

    `watch` measures the student on the way; without one the samples alone are kept. `report_images` is the number of
    pictures between two lines of the log, 0 for a hundredth of the stage.
    """

    def __init__(self, run: Run, seed: int, stop: Stop, watch: Watch | None = None, report_images: int = 0):
        self.run, self.seed, self.stop, self.watch, self.report_images = run, seed, stop, watch, report_images
        self.images_seen = 0
        run.trim_log()
        self.notes = _noted(run.entries())  # those of finished stages are not made again
        run.log(session=time.strftime("%Y-%m-%d %H:%M:%S"))

    def record(self, name: str, value: float | str) -> None:
        if self.notes.get(name) != value:  # a run that goes on records its notes anew
            self.notes[name] = value
            self.run.log(note=name, value=value)

    def show(self, name: str, gan: Gan) -> None:
        if not self.run.writes:
            return
        path = self.run.samples / f"{name.replace('/', '_')}.png"
        rows = [gan.sample(range(COLUMNS), label) for label in gan.classes] or [gan.sample(range(2 * COLUMNS))]
        picture = grid(torch.cat(rows), COLUMNS)
        write_atomically(path, lambda partial: picture.save(partial, format="png"))

    def stage(
        self, name: str, student: Gan, source: ImageSource, config: TrainConfig, anchors: Anchors | None = None,
        restraint: Restraint = FREE,
    ) -> Generator[Progress, None, Gan]:  # fmt: skip
        """Runs one stage of training, or continues it, or loads what it gave."""
        total = int(config.total_kimg * 1000)

        def train(state: TrainState | None) -> Iterator[Progress]:
            return finetune(student, source, config, anchors=anchors, restraint=restraint, state=state,
                            report_images=self._report(total))  # fmt: skip

        return (yield from self._stage(_Stage(name, config, source.classes, total), student, start_state, train))

    def warm_start(
        self, name: str, student: Gan, source: Pairs, config: WarmStartConfig
    ) -> Generator[Progress, None, Gan]:
        """Fits the student's generator to a source that knows its latents, or continues, or loads what that gave."""
        total = int(1000 * sum(config.stage_kimg))

        def fit(state: FitState | None) -> Iterator[Progress]:
            return warmstart.warm_start(student, source, config, state=state, report_images=self._report(total))

        return (yield from self._stage(_Stage(name, config, source.classes, total), student, FitState, fit))

    def _report(self, total: int) -> int:
        return self.report_images or max(1, total // REPORTS)

    def _stage(
        self, stage: _Stage, student: Gan, start: Callable[[Gan, StageConfig], State],
        run: Callable[[State | None], Iterator[Progress]],
    ) -> Generator[Progress, None, Gan]:  # fmt: skip
        self.images_seen += stage.images
        finished = self._finished(stage)
        if finished is not None:
            return finished.to(student.device)
        state = saving.restore(self.run, stage.described, lambda: start(student, stage.config))
        sitting = self._sitting(stage, state)
        if sitting.shown_at is None:
            self._snapshot(sitting, student, 0)
        elif stage.due(sitting.shown_at, state.images if state else 0):  # it was saved, and then not shown
            self._snapshot(sitting, state.student(), state.images)
        steps = run(state)
        while True:
            self.stop.check()
            try:
                progress = next(steps)
            except StopIteration as finished:
                return self._finish(sitting, finished.value)
            self._keep(sitting, progress)
            with self.stop.held():
                yield replace(progress, stage=stage.name)
            if self.stop.asked():  # while somebody else had the turn
                self._save(sitting, progress.state)

    def _sitting(self, stage: _Stage, state: State | None) -> _Sitting:
        """Takes a stage up where its state was saved: what the log says beyond that, notes too, will be said again."""
        images, beyond = state.images if state else -1, False

        def repeated(entry: dict) -> bool:
            nonlocal beyond
            # Of a stage that is not finished the last snapshot was one too many, though the state may be the last one.
            last = "scores" in entry and entry["images"] >= stage.images
            again = entry.get("stage") == stage.name and (entry["images"] > images or last)
            beyond |= again
            return again or (beyond and "note" in entry)

        self.run.trim_log(repeated)
        entries = parallel.current().same(self.run.entries())
        self.notes = _noted(entries)
        return _Sitting(stage, entries, images)

    def _keep(self, sitting: _Sitting, progress: Progress) -> None:
        """What is logged, saved, measured and shown after a step.

        It is saved before anything that takes long, so that an interruption then costs nothing.
        """
        stage, images = sitting.stage, progress.images
        if progress.losses:
            self.run.log(
                stage=stage.name, images=images, total=stage.images, sec=sitting.sec, losses=dict(progress.losses)
            )
        due = stage.due(sitting.shown_at, images)
        if due or images >= stage.images or sitting.since_saved > SAVE_SEC or self.stop.asked():
            self._save(sitting, progress.state)
        if due:
            self._snapshot(sitting, progress.state.student(), images)

    def _snapshot(self, sitting: _Sitting, student: Gan, images: int) -> None:
        """Draws the same latents as ever, and measures the classes that the stage learns."""
        stage, name = sitting.stage, f"{sitting.stage.name}-{images:08d}"
        saving.check_finite(student.generator.state_dict(), images)
        self.show(name, student)
        scores = self.watch.measure(student, stage.classes) if self.watch else {}
        self._keep_best(sitting, student, images, scores)
        self.run.log(stage=stage.name, images=images, total=stage.images, sec=sitting.sec, scores=scores,
                     picture=f"{name.replace('/', '_')}.png", memory=peak_memory(student.device))  # fmt: skip
        sitting.shown_at = images

    def _keep_best(self, sitting: _Sitting, student: Gan, images: int, scores: dict[str, dict[str, float]]) -> None:
        """Keeps a student that is better than all before it; that of the end of a stage is kept as what it gave."""
        score = mean_score(scores, self.watch.classes) if self.watch else None
        if score is None or not 0 < images < sitting.stage.images or not self.run.writes:
            return
        before = (mean_score(entry["scores"], self.watch.classes) for entry in self.run.entries()
                  if "scores" in entry and entry["images"])  # fmt: skip
        if score < min((found for found in before if found is not None), default=math.inf):
            with self.stop.held():
                publish(marked(student, sitting.stage.name, images), self.run.best)

    def _finished(self, stage: _Stage) -> Gan | None:
        """What a stage gave when it was finished before; None where it was not."""
        folder = self.run.stage(stage.name)
        if not parallel.current().agree(published(folder)):
            return None
        if saving.stage_of(self.run) == stage.name:  # interrupted between putting the stage in place and this
            saving.forget(self.run)
        finished = checkpoints.load(folder)
        if finished.card.get("config") != stage.described["config"]:
            raise CocktailError(
                f"{folder} was made with another config. Branch from this run, or start this recipe in a new folder."
            )
        return finished

    def _finish(self, sitting: _Sitting, result: Gan) -> Gan:
        self._snapshot(sitting, result, sitting.stage.images)
        result.card = {"config": sitting.stage.described["config"]}
        if self.run.writes:
            with self.stop.held():
                self.run.flush_log()
                publish(result, self.run.stage(sitting.stage.name))
                saving.forget(self.run)
        parallel.current().barrier()  # nobody looks for a saved state while it is being forgotten
        return result

    def _save(self, sitting: _Sitting, state: State) -> None:
        if state.images == sitting.saved_at or not self.run.writes:
            return
        with self.stop.held():
            saving.save(self.run, sitting.stage.described, state)
            publish(state.student(), self.run.latest)
        sitting.saved(state.images)


def _noted(entries: list[dict]) -> dict[str, float | str]:
    return {entry["note"]: entry["value"] for entry in entries if "note" in entry}


def peak_memory(device: torch.device) -> int:
    """Bytes: of the GPU where the model is on one, else the largest size that this process has had; 0 if unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource  # Windows has none
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
