"""What the controls of the Compare tab do: pick, draw, measure, take away."""

import html
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import gradio as gr

from cocktail.errors import CocktailError
from editing import comparison
from ui import (
    base,
    compare_charts,
    compare_movement,
    compare_picks,
    compare_pictures,
    compare_references,
    compare_scores,
)
from ui.compare_picks import Side
from ui.compare_pictures import ALL, Settings
from ui.models import Models
from ui.plan import resized, shuffled

LONG = "comparing"  # the concurrency_id of measuring: it takes minutes, and drawing goes on meanwhile
CHOSEN = ("label", "seeds", "psi")  # the controls of `Settings`, in its order
SCORES, MOVED = ("against", "told", "table", "scored"), ("moved_words", "moved", "moves")
CURVES = ("counted", "curve_words", "curves", "curve_table", "move", *MOVED)
WEIGHTS = ("base", "weight_words", "weights")


@dataclass(frozen=True)
class Shown:
    """What is in sight, so that an event that changes nothing does nothing again."""

    values: tuple[str, ...] = ()
    settings: Settings | None = None
    stamp: str = ""


def connect(page: base.Page, models: Models, parts: dict) -> None:
    """Wires the tab; `models` are those that are compared, `page.models` says who may name which."""
    _connect_picks(page, models, parts)
    _connect_pictures(page, models, parts)
    _connect_measuring(page, models, parts)
    _connect_movement(page, models, parts)
    _connect_files(page, models, parts)


def _connect_picks(page: base.Page, models: Models, parts: dict) -> None:
    def arrive(kept, values, opened, now, request: gr.Request):
        """The list as it is now; at the first visit of a page, what was compared when it was left."""
        known = compare_picks.choices(page.models, opened, request)
        there = [] if now.values else compare_picks.still_there(page.models, kept, known, request)
        return gr.Dropdown(known, value=there or values, multiselect=True, allow_custom_value=not page.models.public)

    def show(now, values, label, seeds, psi, against, counted, origin, opened, request: gr.Request):
        """Everything, after a change of what is picked."""
        values = list(values or [])
        compare_picks.check(page.models, opened, values, request)
        stamp = json.dumps(compare_picks.stamps(models, values))
        if now.values == tuple(values) and now.stamp == stamp:
            yield {parts["shown"]: now}
            return
        sides = compare_picks.resolve(models, values)
        names = compare_pictures.labels(sides)
        label = label if label in names else ALL
        settings = Settings(label, seeds, psi)
        if now.values and origin == now.values[0]:  # it was the first, which may be another one now
            origin = None
        first = {
            parts["label"]: gr.Dropdown([("All classes", ALL), *((name, name) for name in names)], value=label),
            parts["shown"]: Shown(tuple(values), settings, stamp), parts["kept"]: values,
            parts["refs"]: [side.loaded.ref for side in sides if side.loaded],
            **_scores(parts, sides, against), **_curves(parts, sides, counted), **_weights(parts, sides, origin),
        }  # fmt: skip
        try:
            states = _pictures(models, sides, settings)
            yield from base.at_first(first, ({parts["pictures"]: state} for state in states))
        except CocktailError as error:  # such as too many pictures: the rest is there, and the list to choose from
            yield first | {parts["pictures"]: compare_pictures.empty(str(error))}

    def counted_again(values, counted, opened, request: gr.Request):
        compare_picks.check(page.models, opened, values, request)
        return _curves(parts, compare_picks.resolve(models, values), counted)

    def weighed_again(values, origin, opened, request: gr.Request):
        compare_picks.check(page.models, opened, values, request)
        return _weights(parts, compare_picks.resolve(models, values), origin)

    all_shown = _of(parts, "pictures", "label", "shown", "kept", "refs", *SCORES, *CURVES, *WEIGHTS)
    asked = [*_of(parts, "shown", "picks", *CHOSEN, "against", "counted", "base"), page.opened]
    came = [*_of(parts, "kept", "picks"), page.opened, parts["shown"]]
    page.tab.select(base.polite(arrive), came, parts["picks"], **base.SILENT).then(
        base.polite(show), asked, all_shown, **base.NEWEST
    )
    parts["picks"].change(base.polite(show), asked, all_shown, **base.NEWEST)
    counted = [*_of(parts, "picks", "counted"), page.opened]
    parts["counted"].input(base.polite(counted_again), counted, _of(parts, *CURVES), **base.QUIET)
    weighed = [*_of(parts, "picks", "base"), page.opened]
    parts["base"].input(base.polite(weighed_again), weighed, _of(parts, *WEIGHTS), **base.QUIET)


def _connect_pictures(page: base.Page, models: Models, parts: dict) -> None:
    def redraw(now, values, label, seeds, psi, opened, request: gr.Request):
        settings = Settings(label, seeds, psi)
        if settings == now.settings or now.settings is None:
            yield {parts["shown"]: now}
            return
        compare_picks.check(page.models, opened, values, request)
        again = {parts["shown"]: Shown(now.values, settings, now.stamp)}
        try:
            states = _pictures(models, compare_picks.resolve(models, values), settings)
            yield from base.at_first(again, ({parts["pictures"]: state} for state in states))
        except CocktailError as error:
            # Told once: a box that still holds what was refused must not say so again whenever it loses the focus.
            gr.Warning(html.escape(str(error)))
            yield again

    def recount(count, seeds):
        return resized(seeds, int(count))

    def roll(count, seeds):
        return shuffled(seeds, int(count))

    given = [*_of(parts, "shown", "picks", *CHOSEN), page.opened]
    drawing = {"fn": base.polite(redraw), "inputs": given, "outputs": _of(parts, "shown", "pictures"), **base.NEWEST}
    seeds = parts["seeds"]
    gr.on([parts["label"].input, parts["psi"].change, seeds.submit, seeds.blur], **drawing)
    for event, change in ((parts["count"].input, recount), (parts["dice"].click, roll)):
        event(base.polite(change), [parts["count"], seeds], seeds, **base.SILENT).then(**drawing)


def _connect_measuring(page: base.Page, models: Models, parts: dict) -> None:
    def measured(values, against, features, samples, opened, request: gr.Request):
        compare_picks.check(page.models, opened, values, request)
        sides = compare_picks.resolve(models, values)
        chosen = compare_references.reference(sides, against, page.models, request)
        for words, table in compare_scores.measured(sides, chosen, features, int(samples)):
            told = {parts["told"]: html.escape(words)}
            shown = {parts["table"]: compare_scores.html_of(table), parts["scored"]: table} if table else {}
            yield told | shown

    def cancelled():
        return "Cancelled. What was measured before is kept."

    asked = [*_of(parts, "picks", "against", "features", "samples"), page.opened]
    running = parts["measure"].click(
        base.polite(measured), asked, _of(parts, "told", "table", "scored"), **base.SILENT, concurrency_id=LONG
    )
    running.failure(lambda: "", None, parts["told"], **base.SILENT)
    parts["cancel"].click(None, None, None, cancels=[running], **base.SILENT).then(
        cancelled, None, parts["told"], **base.SILENT)  # fmt: skip


def _connect_movement(page: base.Page, models: Models, parts: dict) -> None:
    def moved(values, counted, opened, request: gr.Request):
        compare_picks.check(page.models, opened, values, request)
        every = counted == "all"
        for words, found in compare_movement.movement(compare_picks.resolve(models, values), every):
            drawn = compare_movement.figure(found)
            yield {parts["moved_words"]: html.escape(words), parts["moves"]: compare_movement.lines(found, every),
                   parts["moved"]: gr.Plot(drawn, visible=True) if drawn else gr.Plot(visible=False)}  # fmt: skip

    asked = [*_of(parts, "picks", "counted"), page.opened]
    parts["move"].click(base.polite(moved), asked, _of(parts, *MOVED), **base.SILENT, concurrency_id=LONG)


def _connect_files(page: base.Page, models: Models, parts: dict) -> None:
    def figured(values, label, seeds, psi, opened, request: gr.Request):
        compare_picks.check(page.models, opened, values, request)
        sides, settings = compare_picks.resolve(models, values), Settings(label, seeds, psi)
        data = compare_pictures.figure(sides, compare_pictures.plan(models, sides, settings), settings)
        return base.delivery(f"{_stem(sides)}.png", data, "image/png")

    def tabled(values, origin, scored, moved, opened, request: gr.Request):
        compare_picks.check(page.models, opened, values, request)
        sides = compare_picks.resolve(models, values)
        return base.delivery(f"{_stem(sides)}-tables.zip", tables(sides, origin, scored, moved), "application/zip")

    chosen = [*_of(parts, "picks", *CHOSEN), page.opened]
    parts["png"].click(base.polite(figured), chosen, page.deliver, **base.QUIET)
    asked = [*_of(parts, "picks", "base", "scored", "moves"), page.opened]
    parts["csv"].click(base.polite(tabled), asked, page.deliver, **base.QUIET)


def tables(
    sides: Sequence[Side], origin: str | None, scored: compare_scores.Table | None, moved: Sequence[list] = ()
) -> bytes:
    """A zip of scores, curves, convergence, movement and distances, a CSV file each; one without a row is left out.

    Raises: CocktailError where all are empty.
    """
    files = {"scores.csv": (compare_scores.HEADER, compare_scores.lines(scored) if scored else []),
             "curves.csv": (compare_charts.CURVES, compare_charts.curve_lines(sides)),
             "convergence.csv": (compare_charts.BESTS, compare_charts.best_lines(sides)),
             "movement.csv": (compare_movement.HEADER, moved)}  # fmt: skip
    first = _base(sides, origin)
    if first:
        found = compare_charts.distances(sides, first)
        files["distances.csv"] = compare_charts.WEIGHTS, compare_charts.distance_lines(found, first)
    if not any(lines for _, lines in files.values()):
        raise CocktailError("There are no figures yet. Press Measure, or pick runs or models of one architecture.")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (header, lines) in files.items():
            if lines:
                archive.writestr(name, comparison.to_csv(header, lines))
    return out.getvalue()


def _pictures(models: Models, sides: Sequence[Side], settings: Settings) -> Iterator[dict]:
    if len(sides) < 2:
        yield compare_pictures.empty(compare_pictures.EMPTY)
        return
    yield from compare_pictures.fill(sides, compare_pictures.plan(models, sides, settings))


def _scores(parts: dict, sides: Sequence[Side], against: str | None) -> dict:
    """The list of references, and what the cards say until something is measured."""
    known = compare_references.choices(sides)
    chosen = against if against in [value for _, value in known] else (known[0][1] if known else None)
    table = compare_scores.of_cards(sides)
    return {parts["against"]: gr.Dropdown(known, value=chosen), parts["told"]: "", parts["scored"]: table,
            parts["table"]: compare_scores.html_of(table)}  # fmt: skip


def _curves(parts: dict, sides: Sequence[Side], counted: str) -> dict:
    found = compare_charts.curves(sides, counted == "all")
    plot = gr.Plot(compare_charts.curve_figure(found), visible=True) if found else gr.Plot(visible=False)
    words = html.escape(compare_charts.curve_words(sides, found))
    return {parts["counted"]: gr.Radio(visible=bool(found)), parts["curve_words"]: words, parts["curves"]: plot,
            parts["curve_table"]: compare_charts.curve_table(sides), parts["move"]: gr.Button(visible=bool(found)),
            parts["moved_words"]: "", parts["moved"]: gr.Plot(visible=False), parts["moves"]: []}  # fmt: skip


def _weights(parts: dict, sides: Sequence[Side], origin: str | None) -> dict:
    able, first = [side for side in sides if side.loaded], _base(sides, origin)
    found = compare_charts.distances(sides, first) if first else []
    figure = compare_charts.distance_figure(found)
    words = html.escape(compare_charts.distance_words(found, first)) if first else ""
    listed = gr.Dropdown([(side.name, side.value) for side in able], value=first.value if first else None)
    return {parts["base"]: listed, parts["weight_words"]: words,
            parts["weights"]: gr.Plot(figure, visible=True) if figure else gr.Plot(visible=False)}  # fmt: skip


def _base(sides: Sequence[Side], value: str | None) -> Side | None:
    """The model that weights are compared with: the chosen one, else the first."""
    able = [side for side in sides if side.loaded]
    return next((side for side in able if side.value == value), able[0] if able else None)


def _stem(sides: Sequence[Side]) -> str:
    return ("compare-" + "-".join(base.file_stem(side.name) for side in sides))[:80]


def _of(parts: dict, *names: str) -> list:
    return [parts[name] for name in names]
