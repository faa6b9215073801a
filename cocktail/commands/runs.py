"""python -m cocktail runs: what is being merged, and what can be done to it."""

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from cocktail import runs, words
from cocktail.commands.base import register, table
from cocktail.errors import CocktailError
from cocktail.runs import Run, Status

ACTIONS = {
    "list": "all runs in the folder of runs, and those elsewhere that train or wait",
    "show": "where a run stands",
    "pause": "have it save and end, to go on later",
    "cancel": "have it save and end",
    "resume": "go on with it, in the background",
    "extend": "merge for KIMG thousand pictures more, in the background",
    "branch": "make a NEW run that has all that this one has done",
    "delete": "remove it with all that it made",
}
SAID_OF_RUN = "name in the folder of runs ($COCKTAIL_RUNS, or runs/), or path of its folder"


def _options(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, text in ACTIONS.items():
        own = actions.add_parser(name, help=text, description=text)
        if name != "list":
            own.add_argument("run_name", metavar="NAME", help=SAID_OF_RUN)
        if name == "extend":
            own.add_argument("kimg", metavar="KIMG", type=float, help="thousands of pictures")
        if name == "branch":
            own.add_argument("new", metavar="NEW", help="name or path of the new run, which is not started")
        if name == "delete":
            own.add_argument("--yes", action="store_true", help="do not ask")
        if name in ("list", "show"):
            own.add_argument("--json", action="store_true", help="print as JSON")


@register("runs", "list, show, pause, cancel, resume, extend, branch or delete runs", _options)
def command(args: argparse.Namespace) -> None:
    """Performs one action on the runs of this machine."""
    done: dict[str, Callable[[Run, argparse.Namespace], str]] = {
        "show": _show,
        "pause": lambda run, _: runs.pause(run) or f"{run.name} is asked to pause; see: runs show {run.name}",
        "cancel": lambda run, _: runs.cancel(run) or f"{run.name} is asked to stop; see: runs show {run.name}",
        "resume": lambda run, _: f"{runs.resume(run).name} goes on in the background",
        "extend": lambda run, args: f"{runs.extend(run, args.kimg).name} goes on in the background",
        "branch": lambda run, args: f"{runs.branch(run, _place(args.new)).folder} is made; start it with: runs resume",
        "delete": _delete,
    }
    print(_list(args) if args.action == "list" else done[args.action](_run(args.run_name), args))


def _run(text: str) -> Run:
    """The run of a name or path. Raises: CocktailError where there is none; lists those that there are."""
    with contextlib.suppress(CocktailError):
        if runs.named(text).is_dir():
            return Run(runs.named(text))
    if text.strip() and Path(text).is_dir():
        return Run(Path(text))
    known = ", ".join(run.name for run in runs.listed(runs.home())) or "none yet"
    raise CocktailError(f"no run {text!r}; known: {known}.")


def _place(text: str) -> Path:
    return Path(text) if any(mark in text for mark in (os.sep, "/")) else runs.named(text)


def _list(args: argparse.Namespace) -> str:
    found = [runs.read(run.folder) for run in runs.listed(runs.home())]
    if args.json:
        return json.dumps([_described(status) for status in found])
    if not found:
        return f"no runs in {runs.home()}"
    rows = {str(status.run.name): {"state": status.state, "stage": status.current.title if status.current else None,
                                   "progress": f"{100 * status.progress:.0f} %", "time left": _left(status)}
            for status in found}  # fmt: skip
    return table(rows, "run")


def _show(run: Run, args: argparse.Namespace) -> str:
    status = runs.read(run.folder)
    if args.json:
        return json.dumps(_described(status))
    lines = [f"{run.folder}: {status.state}" + (f", {status.message}" if status.message else "")]
    lines += [f"  after {', '.join(path.name for path in status.ahead)}"] if status.ahead else []
    for stage in status.stages:
        share = "done" if stage.done else f"{stage.images:,} of {stage.total:,} pictures"
        lines.append(f"  {stage.title}: {share}, {stage.sec / 60:.1f} minutes")
    if status.alive and _left(status):
        lines.append(f"  {_left(status)} left, {status.rate or 0:.3g} pictures per second")
    for name, floor in status.floors.items():
        last = next((s.scores[name] for s in reversed(status.snapshots) if name in s.scores), None)
        if last:
            lines.append(f"  {name}: embedded Frechet distance {last['frechet']:.3g} (the source itself: {floor:.3g})")
    if best := runs.best_snapshot(status):
        lines.append(f"  best snapshot: {best.words}: {best.folder}")
    lines += [f"  warning: {text}" for text in status.warnings]
    return "\n".join(lines)


def _delete(run: Run, args: argparse.Namespace) -> str:
    status = runs.read(run.folder)
    if not args.yes:
        if not sys.stdin.isatty():
            raise CocktailError(f"add --yes to delete {run.folder} without being asked.")
        if input(f"Delete {run.folder} ({status.state}) with all that is in it? [y/N] ").strip().lower() != "y":
            return "nothing is deleted"
    runs.delete(run)
    return f"{run.folder} is deleted"


def _left(status: Status) -> str | None:
    """The time left in words; None where it is not known, or nobody works on it."""
    if not status.alive or status.left_sec is None:
        return None
    return words.time_left(status.left_sec)


def _described(status: Status) -> dict:
    """A status as plain data."""
    best = runs.best_snapshot(status)
    return {
        "name": status.run.name, "folder": str(status.run.folder), "state": status.state, "message": status.message,
        "ahead": [str(path) for path in status.ahead], "progress": round(status.progress, 4), "rate": status.rate,
        "left_sec": status.left_sec, "warnings": list(status.warnings), "memory_bytes": status.memory,
        "stages": [{"name": s.name, "images": s.images, "total": s.total, "sec": s.sec, "done": s.done}
                   for s in status.stages],
        "scores": {name: next((s.scores[name] for s in reversed(status.snapshots) if name in s.scores), None)
                   for name in status.floors},
        "floors": status.floors, "notes": status.notes,
        "best": best and asdict(best) | {"folder": str(best.folder)},
    }  # fmt: skip
