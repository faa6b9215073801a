"""Scores of several models in one table: those of their cards at once, measured ones with intervals on a click."""

import html
import time
from collections import OrderedDict
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from cocktail.errors import CocktailError
from cocktail.metrics import FeatureExtractor, Report, evaluation
from cocktail.words import time_left
from editing import comparison
from editing.comparison import FLOOR, METRICS, Value
from ui import base, colours, compare_references
from ui.compare_picks import Side
from ui.compare_references import Reference

SEED, UNION = 0, "all"  # of samples and references; what a card calls all classes together
KEPT = 64  # reports in memory: a model that was measured once is not measured again
EVERY_SEC = 0.5
REPORTS: OrderedDict[tuple, Report] = OrderedDict()


@dataclass(frozen=True)
class Scored:
    """The scores of one model: class -> key -> value, "all" being its classes together; `words` say why there are none.

    together: the classes that "all" stands for; n: samples of each class, None where nobody says.
    """

    name: str
    colour: str
    classes: Mapping[str, Mapping[str, Value]]
    together: tuple[str, ...] = ()
    n: int | None = None
    words: str = ""


@dataclass(frozen=True)
class Table:
    """The scores of all models, and in what and against what they were measured."""

    scored: tuple[Scored, ...]
    features: str = ""
    against: str = ""
    measured: bool = False


def of_cards(sides: Sequence[Side]) -> Table:
    """What the models' cards say, which need not be comparable: each says by which features."""
    scored, said = [], []
    for side in sides:
        card = side.loaded.gan.card if side.loaded else {}
        given = card.get("scores") if isinstance(card.get("scores"), dict) else {}
        found = {str(name): values for name, row in given.items()
                 if isinstance(row, dict) and (values := comparison.values(row))}  # fmt: skip
        words = "" if found else "nothing recorded: press Measure" if side.loaded else "has saved no model yet"
        scored.append(Scored(side.name, side.colour, found, tuple(n for n in found if n != UNION), words=words))
        if found:
            said.append(f"{side.name}: {str(card.get('score_features') or 'features not stated')[:120]}")
    return Table(tuple(scored), "; ".join(said))


def measured(sides: Sequence[Side], against: Reference, features: str, n: int) -> Iterator[tuple[str, Table | None]]:
    """Measures one model after the other; yields words on how far it is, and the table as far as it is known.

    Raises: CocktailError where the features cannot be had, or n is too small.
    """
    side_px = max((side.loaded.gan.resolution for side in sides if side.loaded), default=0)
    extractor = compare_references.extractor(against, features, side_px)
    table = Table((), extractor.name, against.words, True)
    start = time.monotonic()
    for number, side in enumerate(sides):
        if side.loaded is None or side.name == against.left_out:
            why = "the reference" if side.loaded else "has saved no model yet"
            table = replace(table, scored=(*table.scored, Scored(side.name, side.colour, {}, words=why)))
            continue
        key = (side.loaded.fingerprint, side.known.called, against.key, extractor.name, side_px, n)
        steps, shown = base.Returning(_report(side, against, extractor, n, key)), 0.0
        try:
            for done, total in steps:
                if done == total or time.monotonic() - shown > EVERY_SEC:
                    shown = time.monotonic()
                    yield _progress(side, number, sides, done, total, shown - start), None
        except CocktailError as error:
            row = Scored(side.name, side.colour, {}, words=f"not measured: {error}")
        else:
            row = _scored(side, steps.value)
        start = time.monotonic()
        table = replace(table, scored=(*table.scored, row))
        yield f"{side.name} is measured.", table
    yield "", table


def html_of(table: Table) -> str:
    """The table: a group of rows for each class, in it a row for each model; the best is marked where it is sure."""
    columns = _columns(table)
    if not columns:
        return f'<ul class="scored-words">{"".join(_said(row) for row in table.scored)}</ul>' if table.scored else ""
    head = "".join(f'<th scope="col" title="{html.escape(about)}">{title}</th>' for _, title, about in columns)
    groups = "".join(_group(table, name, columns) for name in _classes(table))
    words = "".join(_said(row) for row in table.scored if row.words)
    return (
        f'<div class="scored"><table><thead><tr><td></td>{head}</tr></thead>{groups}</table></div>'
        f'{f"<ul class=scored-words>{words}</ul>" if words else ""}<p class="help">{_caption(table)}</p>'
    )


def lines(table: Table) -> list[list]:
    """The table as rows for a CSV file; see HEADER."""
    found = []
    for row in table.scored:
        for name, values in row.classes.items():
            for key, value in values.items():
                low, high = value.interval or (None, None)
                origin = "measured" if table.measured else "card"
                found.append([row.name, name, key, value.value, low, high, row.n, origin, table.features,
                              table.against])  # fmt: skip
    return found


HEADER = ["model", "class", "score", "value", "low", "high", "samples", "origin", "features", "against"]


def _report(
    side: Side, against: Reference, extractor: FeatureExtractor, n: int, key: tuple
) -> Generator[tuple[int, int], None, Report]:
    if key not in REPORTS:
        REPORTS[key] = yield from evaluation(side.loaded.gan, against.of(side), extractor, n, SEED, intervals=True)
        while len(REPORTS) > KEPT:
            REPORTS.popitem(last=False)
    return REPORTS[key]


def _scored(side: Side, report: Report) -> Scored:
    classes = {name: comparison.values(scores) for name, scores in report.classes.items()}
    if report.union is not None:
        classes[UNION] = comparison.values(report.union)
    return Scored(side.name, side.colour, classes, tuple(report.classes), report.n)


def _progress(side: Side, number: int, sides: Sequence[Side], done: int, total: int, sec: float) -> str:
    left = sec / max(1, done) * (total - done)
    rest = f"{time_left(left)} left for these" if done < total else "working out scores and intervals"
    return f"Measuring {side.name}, {number + 1} of {len(sides)}: {done:,} of {total:,} pictures, {rest}."


def _columns(table: Table) -> list[tuple[str, str, str]]:
    """Key, title and help of each score that somebody has; the floor stands beside the distance."""
    there = {key for row in table.scored for values in row.classes.values() for key in values}
    found = []
    for metric in METRICS:
        if metric.key in there:
            found.append((metric.key, f"{metric.title} {'↓' if metric.less else '↑'}", metric.help))
        if metric.key == "frechet" and FLOOR in there:
            found.append((FLOOR, "floor", "what the reference scores against itself: nobody gets much below"))
    return found


def _classes(table: Table) -> list[str]:
    names = list(dict.fromkeys(name for row in table.scored for name in row.classes))
    return [*(name for name in names if name != UNION), *(name for name in names if name == UNION)]


def _group(table: Table, name: str, columns: Sequence[tuple[str, str, str]]) -> str:
    here = [row for row in table.scored if name in row.classes]
    firsts = _firsts(here, name)
    title = html.escape("all together" if name == UNION else name)
    head = f'<tr class="scored-class"><th scope="rowgroup" colspan="{len(columns) + 1}"'
    style = "" if name == UNION else f' style="{colours.style(name)}"'
    body = "".join(
        f'<tr><th scope="row"><i style="--own:{row.colour}"></i>{html.escape(row.name)}</th>'
        + "".join(_cell(row.classes[name].get(key), firsts.get(key) == row.name) for key, _, _ in columns) + "</tr>"
        for row in here
    )  # fmt: skip
    return f"<tbody>{head}{style}>{title}</th></tr>{body}</tbody>"


def _firsts(here: Sequence[Scored], name: str) -> dict[str, str]:
    """Score -> the model that is best in it beyond doubt; of unions of other classes nobody is."""
    if name == UNION and len({frozenset(row.together) for row in here}) > 1:
        return {}
    found = {}
    for metric in METRICS:
        column = {row.name: row.classes[name][metric.key] for row in here if metric.key in row.classes[name]}
        first = comparison.best(column, metric.less) if len(column) == len(here) else None
        if first:
            found[metric.key] = first
    return found


def _cell(value: Value | None, first: bool) -> str:
    if value is None:
        return "<td>–</td>"
    span = f"<small>{value.interval[0]:.3g} to {value.interval[1]:.3g}</small>" if value.interval else ""
    return f"<td{' class=first' if first else ''}>{value.value:.3g}{span}</td>"


def _said(row: Scored) -> str:
    words = html.escape(row.words or "nothing measured")
    return f'<li><i style="--own:{row.colour}"></i><b>{html.escape(row.name)}</b> {words}</li>'


def _caption(table: Table) -> str:
    if not table.measured:
        return f"From the models’ cards, which may be measured differently. {html.escape(table.features)}."
    counts = sorted({row.n for row in table.scored if row.n})
    intervals = any(value.interval for row in table.scored for values in row.classes.values()
                    for value in values.values())  # fmt: skip
    said = "Small: intervals of 95 %; marked is what is best beyond them." if intervals else "Without intervals."
    unions = {frozenset(row.together) for row in table.scored if UNION in row.classes}
    other = " Unions of other classes do not compare." if len(unions) > 1 else ""
    shown = ", ".join(f"{n:,}" for n in counts) or "no"
    return (f"Against {html.escape(table.against)}; features: {html.escape(table.features)}; {shown} samples of each "
            f"class, seed {SEED}. {said}{other}")  # fmt: skip
