"""Several models side by side: which of them draws which class, what scores say for sure, curves, files."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import PIL.Image

from cocktail.errors import CocktailError
from cocktail.metrics import convergence_images
from cocktail.runs import Status

MOST_SENTENCES = 3  # on who draws what
ROOTING = "root/"  # stages of a run with this prefix train other models than the one that comes out


@dataclass(frozen=True)
class Known:
    """What a model can draw: its classes, or () and then what its only kind of picture is called."""

    classes: tuple[str, ...]
    called: str


def rows(known: Sequence[Known]) -> list[str]:
    """The classes of these models, those that more of them draw first; [""] where none of them has classes."""
    names = list(dict.fromkeys(name for one in known for name in one.classes))
    counts = {name: sum(drawn_as(one, name, known) is not None for one in known) for name in names}
    return sorted(names, key=lambda name: -counts[name]) or [""]


def drawn_as(one: Known, row: str, known: Sequence[Known]) -> tuple[str, ...] | None:
    """The labels of the recipe with which a model draws a row: (row,), () for a model without classes, None: it cannot.

    A model without classes stands for the class of its own name; where none of the models has that, for every row.
    """
    if one.classes:
        return (row,) if row in one.classes else None
    strange = not any(one.called in other.classes for other in known)
    return () if strange or row == one.called else None


def lacking(known: Sequence[Known], names: Sequence[str], shown: Sequence[str]) -> str:
    """Sentences for the classes that only some of the models draw; "" where all draw all."""
    owners: dict[tuple[str, ...], list[str]] = {}
    for row in filter(None, shown):
        have = [name for one, name in zip(known, names, strict=True) if drawn_as(one, row, known) is not None]
        if len(have) < len(known):
            owners.setdefault(tuple(have), []).append(row)
    if len(owners) > MOST_SENTENCES:
        return "Not all of them draw all classes."
    return " ".join(f"Only {listed(have)} draw{'s' if len(have) == 1 else ''} {', '.join(found)}."
                    for have, found in owners.items())  # fmt: skip


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them: "a, b and c"."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def cut(picture: PIL.Image.Image, columns: int = 8, pad: int = 2) -> list[list[PIL.Image.Image]]:
    """The pictures of a grid as `cocktail.images.grid` lays it, row by row.

    Raises: CocktailError where the picture's size is not that of such a grid of square pictures.
    """
    side, rest = divmod(picture.width + pad, columns)
    count, below = divmod(picture.height + pad, max(1, side))
    if rest or below or side <= pad:
        raise CocktailError(f"a picture of {picture.width} x {picture.height} px is no grid of {columns} columns.")
    edges = [(x * side, y * side) for y in range(count) for x in range(columns)]
    found = [picture.crop((x, y, x + side - pad, y + side - pad)) for x, y in edges]
    return [found[start : start + columns] for start in range(0, len(found), columns)]


# --- scores


@dataclass(frozen=True)
class Metric:
    """A column of scores: its key in `cocktail.metrics.Scores`, what it is called, and whether less is better."""

    key: str
    title: str
    less: bool
    help: str


METRICS = (
    Metric("frechet", "Fréchet", True, "distance of the samples from the reference; the floor is real against real"),
    Metric("kid", "KID", True, "kernel distance, unbiased: it may be a little below 0"),
    Metric("precision", "precision", False, "share of samples that lie among the reference"),
    Metric("recall", "recall", False, "share of the reference that lies among the samples"),
    Metric("density", "density", False, "how many reference pictures a sample lies close to"),
    Metric("coverage", "coverage", False, "share of the reference with a sample close to it"),
    Metric("diversity", "diversity", False, "mean distance of two samples of a class"),
    Metric("class_accuracy", "accuracy", False, "share of samples that the oracle takes for their class"),
)
FLOOR = "floor"
MORE = ("frechet_corrected", "kid_std", "mmd", "modes", "reference_diversity")  # of which files tell alone


@dataclass(frozen=True)
class Value:
    """A score, and its interval of 95 % if there is one."""

    value: float
    interval: tuple[float, float] | None = None


def values(scores: object) -> dict[str, Value]:
    """The scores that are there, of a `Scores` or of the plain data of a card, of which nothing is trusted."""
    data = scores if isinstance(scores, Mapping) else {key: getattr(scores, key, None) for key in _keys()}
    intervals = data.get("intervals") if isinstance(data.get("intervals"), Mapping) else {}
    found = {}
    for key in _keys()[:-1]:
        if _number(data.get(key)):
            found[key] = Value(float(data[key]), _interval(intervals.get(key)))
    return found


def best(column: Mapping[str, Value], less: bool) -> str | None:
    """Whose value is best beyond doubt: its interval touches no other one's. None where that is nobody's."""
    if len(column) < 2 or any(value.interval is None for value in column.values()):
        return None
    first = (min if less else max)(column, key=lambda name: column[name].value)
    low, high = column[first].interval
    others = [value.interval for name, value in column.items() if name != first]
    return first if all(high < other[0] if less else other[1] < low for other in others) else None


def _keys() -> list[str]:
    return [*(metric.key for metric in METRICS), FLOOR, *MORE, "intervals"]


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


def _interval(pair: object) -> tuple[float, float] | None:
    if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(map(_number, pair)):
        return None
    return float(pair[0]), float(pair[1])


# --- curves


@dataclass(frozen=True)
class Curve:
    """Scores of a class over the images that a run showed: (images, Frechet distance) in order, and the floor."""

    points: tuple[tuple[int, float], ...]
    floor: float | None

    @property
    def best(self) -> float:
        return min(score for _, score in self.points)

    @property
    def converged(self) -> float:
        """Images until the score is within 5 % of its best for the first time."""
        return convergence_images(self.points)


def curves(status: Status, every: bool) -> dict[str, Curve]:
    """Class -> its curve, as the run's log tells, of the model that comes out; with several, also "mean" of all.

    Images are those of the stages that train this model, or, with `every`, those of the rooting stages before it too.
    A class that a stage does not train has no point there. {} where nothing was measured yet.
    """
    starts = starts_of(status, every)
    points: dict[str, dict[int, float]] = {}
    for snapshot in status.snapshots:
        for name, scores in snapshot.scores.items() if snapshot.stage in starts else ():
            # At a border of two stages the last picture of the one is the first of the other: the later one counts.
            points.setdefault(name, {})[starts[snapshot.stage] + snapshot.images] = float(scores["frechet"])
    found = {name: Curve(tuple(sorted(own.items())), status.floors.get(name)) for name, own in points.items()}
    return found if len(found) < 2 else {"mean": _mean(list(found.values())), **found}


def starts_of(status: Status, every: bool) -> dict[str, int]:
    """The images shown before each stage that trains the model that comes out; `every`: as of `curves`."""
    starts, shown = {}, 0 if not every else sum(s.total for s in status.stages if s.name.startswith(ROOTING))
    for stage in status.stages:
        if not stage.name.startswith(ROOTING):
            starts[stage.name] = shown
            shown += stage.total
    return starts


def _mean(single: Sequence[Curve]) -> Curve:
    """The mean of the curves where all of them were measured."""
    columns = [dict(curve.points) for curve in single]
    moments = sorted(set.intersection(*(set(column) for column in columns)))
    points = tuple((at, sum(column[at] for column in columns) / len(columns)) for at in moments)
    floors = [curve.floor for curve in single]
    return Curve(points, None if None in floors else sum(floors) / len(floors))


# --- files


def to_csv(header: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    """Rows as CSV text; numbers whole, nothing as an empty cell."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([[_safe(cell) for cell in line] for line in lines])
    return out.getvalue()


def _safe(cell: object) -> object:
    """A text that a spreadsheet would take for a formula is kept from it: names come from files of others."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
