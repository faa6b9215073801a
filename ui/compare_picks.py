"""What is compared: models and runs as they are picked, in that order, each with a name and a colour of its own."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from cocktail import checkpoints, runs
from cocktail.errors import CocktailError
from cocktail.runs import Run, Status
from cocktail.runs.folder import LOG, RECIPE
from cocktail.teachers import spoken
from editing.comparison import Known
from ui import access, charts, run_actions, run_view
from ui.models import Loaded, Models, short_name

MOST = 6  # columns that can still be told apart
EXAMPLE = ("bundled/union", "bundled/cat", "bundled/face")


@dataclass(frozen=True, eq=False)
class Side:
    """One of those that are compared: a model, or a run with what it has made so far.

    `loaded` is None for a run that has saved no model yet, `status` for a model that is no run.
    """

    value: str
    name: str
    colour: str
    loaded: Loaded | None
    status: Status | None

    @property
    def known(self) -> Known:
        """What it can draw. A run without a model can draw nothing."""
        return Known(self.loaded.gan.classes if self.loaded else (), spoken(self.value))

    @property
    def run(self) -> Run | None:
        return self.status.run if self.status else None


def choices(models: Models, opened: Sequence[str], request: gr.Request | None) -> list[tuple[str, str]]:
    """The models of the page, what the visitor opened, and the runs where the visitor may see them."""
    found = [(short_name(ref), ref) for ref in dict.fromkeys([*models.refs(), *opened])]
    if not access.refusal(models, access.signed_in(request)):
        for run in runs.listed(runs.home()):
            found.append((f"{run.name} (run)", str(run.folder)))
            if checkpoints.native.is_folder(run.best):
                found.append((f"{run.name}, best snapshot", str(run.best)))
    return found


def example(models: Models) -> list[str]:
    """What the tab opens with: the first model of the page and another one beside it."""
    refs = models.refs()
    return list(dict.fromkeys([*refs[:1], *(ref for ref in EXAMPLE if ref in refs), *refs]))[:2]


def check(page_models: Models, opened: Sequence[str], values: Sequence[str], request: gr.Request | None) -> None:
    """Raises: CocktailError where there are too many, one is picked twice, or this visitor may not name one."""
    if len(values) > MOST:
        raise CocktailError(f"{len(values)} are picked; at most {MOST} are compared at a time. Take some away.")
    if len(set(values)) < len(values):
        raise CocktailError("One is picked twice. Each can be compared once.")
    access.check_refs(page_models, [value for value in values if value not in opened], request)


def still_there(
    page_models: Models, kept: object, known: Sequence[tuple[str, str]], request: gr.Request | None
) -> list[str]:
    """Of what a browser remembers: what is listed, and paths that are there and that this visitor may name."""
    found = []
    for value in [one for one in kept if isinstance(one, str)][:MOST] if isinstance(kept, list) else []:
        with contextlib.suppress(CocktailError, OSError, ValueError):
            if value not in [listed for _, listed in known]:
                access.check_refs(page_models, [value], request)
                Path(value).expanduser().stat()
            found.append(value)
    return list(dict.fromkeys(found))


def resolve(models: Models, values: Sequence[str]) -> list[Side]:
    """The picked ones, loaded. Raises: CocktailError where one cannot be read or is neither model nor run."""
    found = [(value, *_found(models, value)) for value in values]
    names = _apart([run.name if run else short_name(value) for value, run, _ in found], values)
    statuses = [_status(run) for _, run, _ in found]
    return [
        Side(value, name, charts.SERIES[number % len(charts.SERIES)], loaded, status)
        for number, ((value, _, loaded), name, status) in enumerate(zip(found, names, statuses, strict=True))
    ]


def stamps(models: Models, values: Sequence[str]) -> list:
    """What is equal as long as nothing of what is picked has changed on the disk; cheap."""
    found = []
    for value in values:
        run = run_at(value)
        log = run.folder / LOG if run else None
        ref = run_actions.result_of(run, must=False) if run else value
        found.append([value, models.stamp(ref) if ref else None,
                      log.stat().st_mtime_ns if log and log.is_file() else None])  # fmt: skip
    return found


def run_at(value: str) -> Run | None:
    """The run that a value means, None where it means a model."""
    try:
        folder = Path(value).expanduser()
        is_run = folder.is_dir() and (folder / RECIPE).is_file() and (folder / LOG).is_file()
        return Run(folder) if is_run and not checkpoints.native.is_folder(folder) else None
    except (OSError, ValueError):  # a text that can be no path
        return None


def average_model(side: Side) -> Path | None:
    """The folder of the average before fine-tuning, where a run kept it as a model."""
    if side.run is None:
        return None
    kept = (side.run.stage("average"), side.run.folder / "average")
    return next((folder for folder in kept if checkpoints.native.is_folder(folder)), None)


def _found(models: Models, value: str) -> tuple[Run | None, Loaded | None]:
    run = run_at(value)
    ref = run_actions.result_of(run, must=False) if run else value
    return run, models.get(ref) if ref else None


def _status(run: Run | None) -> Status | None:
    return next(iter(run_view.statuses([run])), None) if run else None


def _apart(names: Sequence[str], values: Sequence[str]) -> list[str]:
    """Names of which none comes twice: the folder tells models of one name apart, else a number."""
    longer = [
        f"{Path(value).parent.name}/{name}" if names.count(name) > 1 and Path(value).parent.name else name
        for name, value in zip(names, values, strict=True)
    ]
    return [f"{name} ({longer[:i].count(name) + 1})" if longer.count(name) > 1 else name
            for i, name in enumerate(longer)]  # fmt: skip
