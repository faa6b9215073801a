"""A run as the page shows it: words, bars, the pictures of its latents over time, curves."""

import itertools
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import plotly.graph_objects as go

from cocktail import runs
from cocktail.errors import CocktailError
from cocktail.metrics.alarms import alarms
from cocktail.runs import Run, Status
from cocktail.runs.reading import Snapshot
from cocktail.words import size, time_left
from ui import base, charts, colours

TEMPLATE = '<section class="run" aria-label="Runs"></section>'
LINES = 12  # of the log
LOGITS = ("real", "fake")
AT_REST: dict[Path, tuple[list | None, Status]] = {}  # folder -> when its files changed, and what it told then
BLANK = "No run yet. These models go in; press Start, and what becomes of them is shown here."
STATES = {"new": "not started", "starting": "starting", "running": "running", "stopping": "stopping",
          "paused": "paused", "cancelled": "cancelled", "stopped": "stopped", "failed": "failed",
          "interrupted": "interrupted", "finished": "finished"}  # fmt: skip


def component(elem_id: str, server: list) -> base.gr.HTML:
    """The run and the list of all; a click on another one is its `select`."""
    return base.gr.HTML(empty(), html_template=TEMPLATE, js_on_load=base.script("run.js"), elem_id=elem_id,
                        server_functions=server, apply_default_css=False)  # fmt: skip


def empty() -> dict:
    return {"runs": [], "run": None, "other": None, "blank": BLANK}


def statuses(found: Sequence[Run]) -> list[Status]:
    """The runs that can be read, in the same order; one at rest is read again only when something in it changed."""
    good = []
    for run in found:
        try:
            stamp = None if run.alive() else sorted((e.name, e.stat().st_mtime_ns) for e in os.scandir(run.folder))
            if stamp is None or AT_REST.get(run.folder, (None,))[0] != stamp:
                status = runs.read(run.folder)
                AT_REST[run.folder] = None if status.alive else stamp, status  # a process that starts may die unseen
            good.append(AT_REST[run.folder][1])
        except (CocktailError, OSError):  # it was deleted just now
            AT_REST.pop(run.folder, None)
    return good


def view(status: Status | None, others: Sequence[Status], compared: Status | None = None) -> dict:
    """The component's value: one run whole, pictures of the one that it is compared with, a line for each of all."""
    beside = None
    if compared is not None and (frames := _frames(compared)):
        beside = {"folder": str(compared.run.folder), "name": compared.run.name, "frames": frames}
    return {"runs": [_line(other) for other in others], "run": _whole(status) if status else None, "other": beside,
            "blank": BLANK}  # fmt: skip


def words(status: Status) -> str:
    """What a run is doing, in a few words."""
    if status.state == "waiting":
        more = f" and {len(status.ahead) - 1} more" if status.ahead[1:] else ""
        return f"waiting for {status.ahead[0].name}{more}"
    if status.state == "running" and status.current:
        number = status.stages.index(status.current) + 1
        return f"{status.current.title}, stage {number} of {len(status.stages)}, {100 * status.progress:.0f} %"
    return STATES[status.state]


def chip(found: Sequence[Status]) -> str:
    """The line for the page's head: how many runs are at work, and how far the first of them is; "" where none is."""
    at_work = [status for status in found if status.alive]
    if not at_work:
        return ""
    first = next((s for s in at_work if s.state == "running"), at_work[0])
    left = f", {time_left(first.left_sec)} left" if first.left_sec else ""
    return f"{len(at_work)} merge{'s' if len(at_work) > 1 else ''}, {100 * first.progress:.0f} %{left}"


def scores(status: Status, other: Status | None = None) -> go.Figure:
    """Embedded Frechet distance of each class over the pictures shown; dashed, what the source itself scores."""
    figure, seen = go.Figure(), set()
    for run, dash in ((status, "solid"), *(((other, "dot"),) if other else ())):
        offsets = _offsets(run)
        for name in run.floors:
            points = [(offsets[s.stage] + s.images / 1000, s.scores[name]["frechet"])
                      for s in run.snapshots if name in s.scores and s.stage in offsets]  # fmt: skip
            if not points:
                continue
            colour, _ = colours.class_colours(name)
            label = name if run is status else f"{name}, {run.run.name}"
            figure.add_scatter(x=[p[0] for p in points], y=[max(p[1], 1e-4) for p in points], name=label,
                               mode="lines+markers", line={"color": colour, "dash": dash})  # fmt: skip
            if name not in seen:
                seen.add(name)
                figure.add_hline(y=max(run.floors[name], 1e-4), line={"color": colour, "dash": "dash", "width": 1})
    figure.update_yaxes(type="log", title="distance to the source").update_xaxes(title="kimg")
    return _framed(figure, status)


def losses(status: Status, other: Status | None = None) -> go.Figure:
    """The losses over the pictures shown."""
    figure = go.Figure()
    for run, dash in ((status, "solid"), *(((other, "dot"),) if other else ())):
        for number, name in enumerate(_loss_names(run)):
            x, y = [], []
            for stage, start in _offsets(run).items():
                own = [(start + images / 1000, values[name])
                       for images, values in run.losses.get(stage, ()) if name in values]  # fmt: skip
                x += [*(p[0] for p in own), None]  # a gap between stages
                y += [*(p[1] for p in own), None]
            label = name if run is status else f"{name}, {run.run.name}"
            # Logits of both sides are far larger than losses: a click on the legend shows them.
            figure.add_scatter(x=x, y=y, name=label, mode="lines", visible="legendonly" if name in LOGITS else True,
                               line={"dash": dash, "color": charts.SERIES[number % len(charts.SERIES)]})  # fmt: skip
    figure.update_yaxes(title="loss").update_xaxes(title="kimg")
    return _framed(figure, status)


def _loss_names(status: Status) -> list[str]:
    return list(dict.fromkeys(name for points in status.losses.values() for _, values in points for name in values))


def _framed(figure: go.Figure, status: Status) -> go.Figure:
    """Lines where a stage begins, and room for the legend."""
    titles = {stage.name: stage.title for stage in status.stages}
    for stage, start in list(_offsets(status).items())[1:]:
        figure.add_vline(x=start, line={"color": charts.FAINT, "width": 1})
        figure.add_annotation(x=start, y=1, yref="paper", text=titles[stage], showarrow=False, xanchor="left",
                              font={"size": 11, "color": charts.QUIET})  # fmt: skip
    charts.plain(figure, 260, left=56, bottom=40)
    # What somebody zoomed or switched off stays so while new points come.
    return figure.update_layout(legend={"orientation": "h", "y": -0.36}, showlegend=True, uirevision=status.run.name)


def _offsets(status: Status) -> dict[str, float]:
    """Stage -> kimg shown before it begins."""
    sizes = [stage.total / 1000 for stage in status.stages]
    starts = itertools.accumulate(sizes[:-1], initial=0.0)
    return {stage.name: start for stage, start in zip(status.stages, starts)}


def _line(status: Status) -> dict:
    return {"folder": str(status.run.folder), "name": status.run.name, "state": status.state, "words": words(status),
            "progress": status.progress}  # fmt: skip


def _whole(status: Status) -> dict:
    current, at_work = status.current, status.alive and status.state != "waiting"
    facts = []
    if at_work and status.left_sec is not None:
        facts.append(f"{time_left(status.left_sec)} left")
    if at_work and status.rate:
        facts.append(f"{status.rate:.0f} pictures a second" if status.rate >= 10 else f"{status.rate:.1f} a second")
    if status.memory:
        facts.append(f"{size(status.memory)} at the peak")
    worked = sum(stage.sec for stage in status.stages)
    if worked:
        facts.append(f"{worked / 60:.1f} minutes of work")
    if best := runs.best_snapshot(status):
        facts.append(f"best snapshot: {best.words}")
    return _line(status) | {
        "headline": words(status)[:1].upper() + words(status)[1:], "message": status.message, "facts": facts,
        "stages": [{"title": s.title, "share": 1 if s.done else s.images / max(1, s.total), "done": s.done,
                    "now": at_work and s is current, "kimg": f"{s.images / 1000:.3g} of {s.total / 1000:.3g} kimg"}
                   for s in status.stages],
        "alarms": list(_alarms(status)), "warnings": list(status.warnings),
        "frames": _frames(status), "average": (status.run.samples / "average.png").is_file(),
        "log": log_tail(status.run), "features": status.features,
    }  # fmt: skip


def _frames(status: Status) -> list[dict]:
    return [{"picture": s.picture.name, "caption": _caption(s), "stage": s.stage, "images": s.images}
            for s in status.snapshots if s.picture]  # fmt: skip


def _caption(snapshot: Snapshot) -> str:
    scores = ", ".join(f"{name} {values['frechet']:.3g}" for name, values in snapshot.scores.items())
    return f"{snapshot.stage}, {snapshot.images / 1000:.3g} kimg" + (f": distance {scores}" if scores else "")


def _alarms(status: Status) -> Iterator[str]:
    """What the scores of the present stage, or of the last one that ran, give cause to worry about."""
    if not status.snapshots:
        return
    stage = status.snapshots[-1].stage
    for name, floor in status.floors.items():
        points = [{"images": s.images, **s.scores[name]} for s in status.snapshots
                  if s.stage == stage and name in s.scores]  # fmt: skip
        if len(points) > 1:
            yield from alarms(name, points, floor)


def log_tail(run: Run) -> list[str]:
    """The last lines of the log, in words."""
    return [_said(entry) for entry in run.entries()[-LINES:]]


def _said(entry: dict) -> str:
    at = time.strftime("%H:%M:%S", time.localtime(entry.get("time", 0)))
    if "losses" in entry:
        values = ", ".join(f"{name} {value:.3g}" for name, value in entry["losses"].items())
        return f"{at}  {entry['stage']}  {entry['images']:,} of {entry['total']:,}  {values}"
    if "scores" in entry:
        values = ", ".join(f"{name} {value['frechet']:.3g}" for name, value in entry["scores"].items())
        return f"{at}  {entry['stage']}  samples at {entry['images']:,}  distance {values or 'not measured'}"
    if "note" in entry:
        value = entry["value"]
        return f"{at}  {entry['note']}: {value:.4g}" if isinstance(value, float) else f"{at}  {entry['note']}: {value}"
    for word in ("failed", "stopped", "warning"):
        if word in entry:
            return f"{at}  {word}: {entry[word]}"
    for word, said in (("session", "session began"), ("finished", "finished"), ("recipe", "recipe noted")):
        if word in entry and "plan" not in entry:
            return f"{at}  {said}"
    return f"{at}  {len(entry.get('plan', []))} stages planned"


def frame(given: dict) -> dict:
    """A picture of a run's samples as a data URI; what the browser names must be a run at hand and a file of it.

    Returns {"src": ...} or {"error": ...}.
    """
    known = {str(run.folder): run for run in runs.listed(runs.home())}
    run, name = known.get(str(given.get("run"))), Path(str(given.get("picture"))).name
    path = run.samples / name if run else None
    if path is None or path.suffix != ".png" or not path.is_file():
        return {"error": "This picture is not there any more."}
    return {"src": base.data_uri(path.read_bytes(), "image/png")}
