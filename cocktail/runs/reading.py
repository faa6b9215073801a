"""What a run's folder tells: how far it is, what it measured, how long it still takes. Nothing is stored twice."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from cocktail.errors import CocktailError
from cocktail.runs.folder import LOG, RECIPE, Run
from cocktail.runs.queue import waiting_anywhere
from cocktail.runs.speed import Stage, left_sec, rate_of, stage_of
from cocktail.runs.states import ALIVE, ahead, state_of


@dataclass(frozen=True)
class Snapshot:
    """The student at one moment: scores per class ({} where none were taken), and the file of its samples."""

    stage: str
    images: int
    scores: dict[str, dict[str, float]]
    picture: Path | None


@dataclass(frozen=True)
class Status:
    """A run as its folder tells it at one moment.

    state: new, starting, waiting, running, stopping, paused, cancelled, stopped, failed, interrupted or finished;
    message: why it failed or what it warns of; ahead: runs that come first while it waits; rate: pictures per second of
    the present stage; left_sec: seconds of work left, None where nothing is known yet; losses: stage -> [(images,
    {name: value})]; memory: bytes at the peak.
    """

    run: Run
    state: str
    message: str
    ahead: tuple[Path, ...]
    stages: tuple[Stage, ...]
    rate: float | None
    left_sec: float | None
    losses: dict[str, list[tuple[int, dict[str, float]]]]
    snapshots: tuple[Snapshot, ...]
    floors: dict[str, float]
    features: str
    notes: dict[str, float | str]
    warnings: tuple[str, ...]
    memory: int

    @property
    def current(self) -> Stage | None:
        """The first stage that is not done."""
        return next((stage for stage in self.stages if not stage.done), None)

    @property
    def progress(self) -> float:
        """The share of the work that is done, 0 to 1: by time where speeds are known, else by pictures."""
        if self.state == "finished":
            return 1.0
        if self.left_sec is not None:
            worked = sum(stage.sec for stage in self.stages)
            return worked / max(1e-9, worked + self.left_sec)
        total = sum(stage.total for stage in self.stages)
        return sum(stage.total if stage.done else stage.images for stage in self.stages) / max(1, total)

    @property
    def alive(self) -> bool:
        return self.state in ALIVE


def read(folder: str | Path) -> Status:
    """The status of the run in a folder.

    Raises: CocktailError where the folder holds no run.
    """
    run = Run(Path(folder))
    if not (run.folder / RECIPE).is_file():
        raise CocktailError(f"{folder} holds no run: it has no {RECIPE}.")
    entries = run.entries()
    plan = next((entry["plan"] for entry in reversed(entries) if "plan" in entry), [])
    about = next((entry for entry in reversed(entries) if "plan" in entry), {})
    stages = tuple(stage_of(run, planned, entries) for planned in plan)
    state, message = state_of(run, entries)
    losses: dict[str, list[tuple[int, dict[str, float]]]] = {}
    for entry in entries:
        if "losses" in entry:
            losses.setdefault(entry["stage"], []).append((entry["images"], entry["losses"]))
    left = 0.0 if state == "finished" else left_sec(run, stages, entries, state == "running")
    rate = rate_of(next((s for s in stages if not s.done), None), entries)
    return Status(
        run, state, message, tuple(ahead(run)) if state == "waiting" else (), stages, rate,
        left, losses, _snapshots(run, entries),
        about.get("floors", {}), about.get("features", ""), {e["note"]: e["value"] for e in entries if "note" in e},
        tuple(e["warning"] for e in entries if "warning" in e), max((e.get("memory", 0) for e in entries), default=0),
    )  # fmt: skip


def listed(home: str | Path) -> list[Run]:
    """The runs in a folder of runs, and those elsewhere that train or wait on this machine; the newest first."""
    home = Path(home)
    seen = [path for path in home.iterdir() if not path.name.startswith(".")] if home.is_dir() else []
    inside = [path for path in seen if (path / RECIPE).is_file()]
    known = {path.resolve() for path in inside}
    elsewhere = [path for path in waiting_anywhere() if path not in known and (path / RECIPE).is_file()]

    def changed(path: Path) -> float:
        with contextlib.suppress(OSError):
            return (path / (LOG if (path / LOG).exists() else RECIPE)).stat().st_mtime
        return 0.0

    return [Run(path) for path in sorted([*inside, *elsewhere], key=changed, reverse=True)]


def _snapshots(run: Run, entries: list[dict]) -> tuple[Snapshot, ...]:
    found = []
    for entry in entries:
        if "scores" in entry:
            picture = run.samples / Path(str(entry.get("picture", "-"))).name
            found.append(Snapshot(entry["stage"], entry["images"], entry["scores"],
                                  picture if picture.is_file() else None))  # fmt: skip
    return tuple(found)
