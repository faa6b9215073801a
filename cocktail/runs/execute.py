"""A run in this process: a merge as its recipe says, or a source trained from images."""

import contextlib
import json
import os
import platform
import shutil
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import torch

from cocktail import hardware, parallel
from cocktail.checkpoints import write_text
from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.methods.registry import Planned, Teacher, get
from cocktail.metrics.watch import Watch
from cocktail.recipe import Recipe, Source, plain
from cocktail.runs.best import settle
from cocktail.runs.context import RunContext
from cocktail.runs.explaining import explained
from cocktail.runs.fitting import HASHES, check_recipe, check_sources, fitting, prepare
from cocktail.runs.folder import PROCESS, Run, SilentRun
from cocktail.runs.publishing import publish
from cocktail.runs.queue import Queue, Ticket
from cocktail.runs.stopping import Stop
from cocktail.sources import ImageSource
from cocktail.teachers import described, teacher
from cocktail.training import Progress, TrainConfig
from cocktail.warmstart import WarmStartConfig

WAIT_SEC = 0.5
WAITING = "waiting"


def execute(recipe: Recipe, folder: str | Path, resume: bool = False, report_images: int = 0) -> Iterator[Progress]:
    """Performs a merge in this process; yields Progress, leaves the union in <folder>/result and returns it.

    Runs of one device take turns: until it is this one's, Progress of the stage "waiting" comes, without a state.
    Several processes, started together, share the batches; the main one alone writes (`cocktail.parallel`).

    Raises:
        CocktailError: a source cannot be loaded or has changed since the run began, another process works on the run,
            or as the method says. The message is in the run's log too, and the last saved state is kept.
        Stopped: somebody asked for it.
    """
    with parallel.joined(recipe.device) as team:
        torch.set_num_threads(recipe.threads or max(1, hardware.available_threads() // team.neighbours))
        hardware.keep_memory()
        if team.main:
            return (yield from _lead(recipe, Path(folder), resume, report_images, team.device))
        return (yield from _follow(recipe, Path(folder), report_images, team.device))


def train_source(
    student: Gan,
    source: ImageSource,
    config: TrainConfig,
    folder: str | Path,
    description: dict,
    resume: bool = False,
    threads: int = 0,
    report_images: int = 0,
    warm: WarmStartConfig | None = None,
) -> Iterator[Progress]:
    """Trains one GAN from images; yields Progress, leaves it in <folder>/result and returns it.

    `description` is plain data that makes the run recognisable: with the configs it is the folder's recipe.yaml. `warm`
    asks for a warm start, which needs a source that knows its latents. It waits for no other run.
    """
    torch.set_num_threads(threads or hardware.available_threads())
    hardware.keep_memory()
    text = json.dumps({**description, "warm_start": warm and plain(warm), "config": plain(config)}, indent=1) + "\n"
    run = prepare(folder, resume, text)
    _forget_requests(run)
    stop = Stop(run)
    with stop.watching(), _at_work(run, stop):
        ctx = RunContext(run, config.seed, stop, None, report_images)
        plan = [Planned("train", config, max(1, len(source.classes)))]
        plan[:0] = [Planned("warm", warm, max(1, len(source.classes)))] if warm is not None else []
        run.log(plan=[_described(planned) for planned in plan], classes=[list(source.classes)])
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
        _finish(run, gan, stop)
        return gan


def _lead(
    recipe: Recipe, folder: Path, resume: bool, report_images: int, device: str
) -> Generator[Progress, None, Gan]:
    """A merge in the process that writes: the only one, or the main one of several."""
    run = fitting(folder, resume, recipe.to_yaml())
    _forget_requests(run)
    stop = Stop(run)
    with stop.watching():
        # No folder is left for what cannot be loaded.
        teachers = None if run.folder.is_dir() else _load(recipe, run, device)
        prepare(folder, resume, recipe.to_yaml())
        with _at_work(run, stop):
            teachers = teachers or _load(recipe, run, device)
            with Queue(recipe.device).ticket(run.folder) as ticket:
                yield from _wait(ticket, stop)
                return (yield from _merge(recipe, run, teachers, stop, report_images))


def _follow(recipe: Recipe, folder: Path, report_images: int, device: str) -> Generator[Progress, None, Gan]:
    """The same merge in every other process, which works along and writes nothing."""
    run = SilentRun(folder)
    stop = Stop(run)
    with stop.watching():
        teachers = _load(recipe, run, device)
        yield from _wait(None, stop)
        return (yield from _merge(recipe, run, teachers, stop, report_images))


def _merge(
    recipe: Recipe, run: Run, teachers: list[Teacher], stop: Stop, report_images: int
) -> Generator[Progress, None, Gan]:
    stop.check()
    check_sources(run, teachers)
    order = [teachers[recipe.root], *(t for i, t in enumerate(teachers) if i != recipe.root)]
    resolution, method = order[0].root().resolution, get(recipe.method)
    watch = Watch.of([t.source(resolution) for t in order])
    check_recipe(run, recipe)
    ctx = RunContext(run, recipe.seed, stop, watch, report_images)
    _announce(run, recipe, order, watch)
    union = yield from method.run(order, recipe.config, ctx)
    union.card = {
        "title": "UnionGAN of " + ", ".join(union.classes),
        "description": f"{method.title} of {described(teachers)}.",
        "parents": [_parent(source, known) for source, known in zip(recipe.sources, teachers, strict=True)],
        "recipe": recipe.to_dict(), "images_seen": ctx.images_seen, "hardware": hardware.describe(recipe.device),
        "minutes": run.minutes(), "notes": ctx.notes,
    }  # fmt: skip
    ctx.show("result", union)
    _finish(run, union, stop)
    return union


def _parent(source: Source, known: Teacher) -> dict:
    """What a union's card says of one of its sources; of a model of the Hub also its commit."""
    said = {"ref": source.ref, "classes": list(known.names), "licence": known.licence or "unknown"}
    hub = known.gan.card.get("hub") if known.gan else None
    return said | ({"hub": hub} if hub else {})


def _finish(run: Run, gan: Gan, stop: Stop) -> None:
    """Publishes the result, in whose place an earlier one stays until now, and takes away what showed it on the way."""
    if not run.writes:
        return
    with stop.held():
        settle(run, gan)
        publish(gan, run.result)
        shutil.rmtree(run.latest, ignore_errors=True)
        run.log(finished=time.strftime("%Y-%m-%d %H:%M:%S"))


def _load(recipe: Recipe, run: Run, device: str) -> list[Teacher]:
    hardware.check_device(device)
    try:
        return [teacher(source, device) for source in recipe.sources]
    except CocktailError as error:
        if not (run.folder / HASHES).is_file():
            raise
        raise CocktailError(f"{error} The run's state is kept: put the source back, then resume.") from error


def _wait(ticket: Ticket | None, stop: Stop) -> Iterator[Progress]:
    """Until it is the turn of the main process, which holds the ticket for all."""
    while ahead := parallel.current().same(ticket and ticket.ahead()):
        stop.check()
        with stop.held():
            yield Progress(0, len(ahead), 0.0, {}, None, WAITING)
        time.sleep(WAIT_SEC)


def _announce(run: Run, recipe: Recipe, order: list[Teacher], watch: Watch) -> None:
    """Writes what is to come, for whoever shows the run: stages, classes of each source, and what the scores mean."""
    classes = [list(t.names) for t in order]
    stages = get(recipe.method).plan(classes, recipe.config, recipe.seed)
    floors = {name: watch.floor(name) for name in watch.classes}
    run.log(plan=[_described(planned) for planned in stages], classes=classes, features=watch.name, floors=floors,
            recipe=recipe.to_dict())  # fmt: skip


def _described(planned: Planned) -> dict:
    fit = isinstance(planned.config, WarmStartConfig)
    return {"name": planned.name, "images": planned.images, "classes": planned.classes, "fit": fit}


@contextlib.contextmanager
def _at_work(run: Run, stop: Stop) -> Iterator[None]:
    """Owns the run, says in process.json who does, and leaves in the log why it ended.

    That file says nothing by its absence: the lock does. Raises: CocktailError where another process is at work on it.
    """
    with run.owned(), explained(run), stop.worded():
        run.tidy()
        path = run.folder / PROCESS
        about = {"pid": os.getpid(), "host": platform.node(), "started": time.time(), "working": True}
        write_text(path, json.dumps(about))
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def _forget_requests(run: Run) -> None:
    """What was asked of an earlier process is not asked of this one.

    Whoever started this process for the run has seen to that; what is asked since then is meant for it.
    """
    about = run.process()
    started_for_it = about.get("pid") == os.getpid() and not about.get("working")
    if not started_for_it and not run.alive():
        run.ask(None)
