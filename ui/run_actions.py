"""The run on the Merge tab: its pictures and curves, what can be done to it, and the timer that keeps them fresh."""

import html
import json
from collections.abc import Callable, Sequence

import gradio as gr

from cocktail import runs
from cocktail.errors import CocktailError
from cocktail.runs import Run, Status, best_snapshot
from cocktail.runs.control import named
from ui import access, base, launching, merge_form, opening, run_view
from ui.merge_form import Form

TICK_SEC = 2.0
SHOWN = base.SILENT | {"concurrency_id": "run"}  # one at a time: a tick on its way does not bring another run back
BUTTONS = {"pause": "Pause", "resume": "Resume", "cancel": "Cancel", "open": "Open in the editor",
           "best": "Open the best snapshot"}  # fmt: skip
RESTING = ("paused", "cancelled", "stopped", "failed", "interrupted", "new")
CHIP = '<button type="button" class="merges" hidden></button>'


def chip() -> gr.HTML:
    """The words in the page's head that say what is being merged; a click opens the tab."""
    return gr.HTML(None, html_template=CHIP, js_on_load=base.script("chip.js"), elem_id="merges",
                   server_functions=[at_work], apply_default_css=False)  # fmt: skip


def at_work(_: dict | None = None) -> dict:
    return {"words": run_view.chip(run_view.statuses(runs.listed(runs.home())))}


def stage(page: base.Page) -> dict:
    """The component, the buttons under it, the curves."""
    parts = {"deliver": page.deliver}
    with gr.Row(elem_classes="joined run-buttons"):
        for key, label in BUTTONS.items():
            parts[key] = gr.Button(label, elem_id=f"run-{key}", visible=False, min_width=100, scale=0,
                                   variant="primary" if key == "open" else "secondary")  # fmt: skip
    parts["run"] = run_view.component("run", [run_view.frame])
    parts["preview"] = gr.HTML("", elem_id="merge-preview", js_on_load=None, apply_default_css=False)
    parts["curves"] = gr.Plot(visible=False, show_label=False, elem_id="run-curves")
    parts["losses"] = gr.Plot(visible=False, show_label=False, elem_id="run-losses")
    with gr.Accordion("Extend, branch, compare, delete", open=False, visible=False, elem_classes="more",
                      elem_id="run-more") as parts["more"]:  # fmt: skip
        with gr.Row(elem_classes="joined", equal_height=True):
            parts["kimg"] = gr.Number(10, label="Extend by kimg", minimum=0.1, elem_id="run-kimg", min_width=110)
            parts["extend"] = gr.Button("Extend", elem_id="run-extend", min_width=90, scale=0)
            parts["branch_name"] = gr.Textbox("", label="Name of the branch", elem_id="run-branch-name", max_lines=1,
                                              min_width=150)  # fmt: skip
            parts["edit"] = gr.Button("Edit its recipe", elem_id="run-edit", min_width=130, scale=0)
            parts["branch"] = gr.Button("Branch from here", elem_id="run-branch", min_width=140, scale=0)
        with gr.Row(elem_classes="joined", equal_height=True):
            # Gradio refuses a value that the list, which follows the runs, lacks for an instant; `look` takes it out.
            parts["other"] = gr.Dropdown([], label="Compare with", elem_id="run-other", min_width=150,
                                          allow_custom_value=True)  # fmt: skip
            parts["sure"] = gr.Checkbox(False, label="Delete this run and all its files", elem_id="run-sure")
            parts["delete"] = gr.Button("Delete", elem_id="run-delete", min_width=90, scale=0)
    parts["chosen"] = gr.BrowserState("", storage_key="cocktail-run")
    parts["at"] = gr.State("")  # the same as `chosen`, as it is when an event's turn comes, not when it was sent
    parts["seen"] = gr.State("")
    parts["of"] = gr.State("")  # the run whose recipe was taken into the form, to branch with what is changed there
    parts["timer"] = gr.Timer(TICK_SEC, active=False)
    return parts


def connect(page: base.Page, parts: dict) -> None:
    shown = [parts[key] for key in ("chosen", "seen", "run", "curves", "losses", "pause", "resume", "cancel", "open",
                                    "best", "more", "other", "at")]  # fmt: skip
    state = [parts["chosen"], parts["other"], parts["seen"]]

    def seen_by(request, chosen, other, seen=""):
        # Runs are of whoever may launch them: their messages name paths.
        hidden = bool(access.refusal(page.models, access.signed_in(request)))
        found = [] if hidden else run_view.statuses(runs.listed(runs.home()))
        values = look(found, chosen, other, seen)
        return dict(zip(shown, [*values, values[0]], strict=True))

    def tick(at, chosen, other, seen, request: gr.Request):
        return seen_by(request, at or chosen, other, seen)

    def again(chosen, other, request: gr.Request):
        return seen_by(request, chosen, other)

    def choose(other, request: gr.Request, event: gr.EventData):
        return seen_by(request, event.folder, other)

    def watching(event: gr.SelectData):
        return gr.Timer(active=event.value == "Merge")

    parts["timer"].tick(base.polite(tick), [parts["at"], *state], shown, **SHOWN, trigger_mode="once")
    parts["run"].select(base.polite(choose), parts["other"], shown, **SHOWN)
    parts["other"].input(base.polite(again), state[:2], shown, **SHOWN)
    page.tabs.select(base.polite(watching), None, parts["timer"], **base.SILENT)
    page.tab.select(base.polite(again), state[:2], shown, **SHOWN)
    _connect_actions(page, parts, seen_by, shown)


def _connect_actions(page: base.Page, parts: dict, seen_by: Callable, shown: list) -> None:
    models = page.models
    allowed = access.check

    def act(what: Callable[[Run], object]) -> Callable:
        def acted(chosen, other, request: gr.Request):
            allowed(models, request)
            what(run_of(chosen))
            return seen_by(request, chosen, other)

        return base.polite(acted)

    def started(request: gr.Request, text, name, probed, written, other, *form):
        allowed(models, request)
        text = launching.newest(text, written, Form(*form))
        return seen_by(request, str(launching.start(text, name, probed).folder), other)

    def extended(chosen, kimg, other, request: gr.Request):
        allowed(models, request)
        runs.extend(run_of(chosen), float(kimg or 0))
        return seen_by(request, chosen, other)

    def edited(chosen, request: gr.Request):
        allowed(models, request)
        return [*launching.filled(run_of(chosen).recipe().to_yaml()), chosen]

    def branched(request: gr.Request, chosen, name, of, text, written, other, *form):
        allowed(models, request)
        recipe = merge_form.read_text(launching.newest(text, written, Form(*form))) if of == chosen else None
        made = runs.branch(run_of(chosen), named(name), recipe)
        return seen_by(request, str(made.folder), other)

    def deleted(chosen, sure, other, request: gr.Request):
        allowed(models, request)
        if not sure:
            raise CocktailError("Tick the box first: a run that is deleted is gone, with its result.")
        runs.delete(run_of(chosen))
        return seen_by(request, "", other) | {parts["sure"]: False}

    def opened(chosen, before, request: gr.Request):
        allowed(models, request)
        return visited(result_of(run_of(chosen)), before)

    def opened_best(chosen, before, request: gr.Request):
        allowed(models, request)
        return visited(best_of(run_of(chosen)), before)

    def visited(ref, before):
        models.allow(ref)
        return opening.visit(models, ref, before)

    state = [parts["chosen"], parts["other"]]
    for key, what in (("pause", runs.pause), ("resume", runs.resume), ("cancel", runs.cancel)):
        parts[key].click(act(what), state, shown, **SHOWN)
    asked = [parts[key] for key in ("recipe", "name", "probed", "written", "other")]
    parts["start"].click(base.polite(started), [*asked, *parts["form"]], shown, **SHOWN)
    parts["extend"].click(base.polite(extended), [parts["chosen"], parts["kimg"], parts["other"]], shown, **SHOWN)
    parts["edit"].click(base.polite(edited), parts["chosen"], [*parts["loaded"], parts["of"]], **base.SILENT,
                        concurrency_id=launching.FORM)  # fmt: skip
    branch = [parts[key] for key in ("chosen", "branch_name", "of", "recipe", "written", "other")]
    parts["branch"].click(base.polite(branched), [*branch, *parts["form"]], shown, **SHOWN)
    parts["delete"].click(base.polite(deleted), [parts["chosen"], parts["sure"], parts["other"]],
                          [*shown, parts["sure"]], **SHOWN)  # fmt: skip
    for key, what in (("open", opened), ("best", opened_best)):
        parts[key].click(base.polite(what), [parts["chosen"], page.opened], [page.model, page.opened, page.tabs],
                         **base.QUIET)  # fmt: skip


def look(found: Sequence[Status], chosen: str, other: str | None, seen: str) -> list:
    """The values of all that shows a run, in the order in which they are wired; skipped where nothing has changed."""
    by_folder = {str(status.run.folder): status for status in found}
    # At the first visit, and after a deletion: the run at work, else the newest.
    first = next((s for s in found if s.alive), found[0] if found else None)
    status = by_folder.get(chosen) or first
    folder = str(status.run.folder) if status else ""
    compared = by_folder.get(other or "") if other != folder else None
    value = run_view.view(status, found, compared)
    others = [[s.run.name, str(s.run.folder)] for s in found if s is not status]
    stamp, before = json.dumps([value, others]), json.loads(seen or "[null, null]")
    unknown = bool(other) and compared is None
    if stamp == seen and not unknown:
        return [gr.skip()] * 12
    # A list that may stand open is not touched while it stays what it was.
    choices = gr.Dropdown([("nothing", ""), *map(tuple, others)], value=other if compared else "")
    return [
        folder, stamp, value, *_curves(status, compared), *_buttons(status), gr.Accordion(visible=status is not None),
        choices if unknown or others != before[1] else gr.skip(),
    ]  # fmt: skip


def _curves(status: Status | None, other: Status | None) -> list[gr.Plot]:
    if status is None or not status.snapshots:
        return [gr.Plot(visible=False)] * 2
    shown = [gr.Plot(run_view.scores(status, other), visible=True)]
    return [*shown, gr.Plot(run_view.losses(status, other), visible=bool(status.losses))]


def _buttons(status: Status | None) -> list[gr.Button]:
    """Pause, resume, cancel, open, open the best: each there where it can be done."""
    state = status.state if status else ""
    at_work = state in ("running", "waiting", "starting")
    there = status is not None and result_of(status.run, must=False) is not None
    better = status is not None and best_snapshot(status) is not None
    return [gr.Button(visible=at_work), gr.Button(visible=state in RESTING), gr.Button(visible=at_work),
            gr.Button(visible=there), gr.Button(visible=better)]  # fmt: skip


def run_of(folder: str) -> Run:
    """The run that the browser names, if it is one of those at hand.

    Raises: CocktailError where it is not there any more.
    """
    for run in runs.listed(runs.home()):
        if str(run.folder) == folder:
            return run
    raise CocktailError("This run is not there any more.")


def result_of(run: Run, must: bool = True) -> str | None:
    """The reference of what a run has made so far: its student when it was last saved, or at rest its result.

    Raises: CocktailError where there is nothing yet and there `must` be something.
    """
    for folder in (run.latest, run.result):
        if (folder / "config.json").is_file():
            return str(folder)
    if must:
        raise CocktailError(f"{run.name} has not saved anything yet. Wait a minute.")
    return None


def best_of(run: Run) -> str:
    """The reference of a run's best snapshot. Raises: CocktailError where it is not kept, or is the last one."""
    found = best_snapshot(runs.read(run.folder))
    if found is None:
        raise CocktailError(f"{run.name} has no better snapshot than its last one. Open that.")
    return str(found.folder)


def cluster(name: str) -> str:
    """How the same run is started on several devices, as HTML."""
    launch = "accelerate launch --multi_gpu --num_processes 2"
    command = f"{launch} -m cocktail merge recipe.yaml --out runs/{name or 'NAME'}"
    return f"<p class='help'>On several GPUs or machines: <code>{html.escape(command)}</code></p>"
