"""Curves and weights of what is compared, as figures, tables and rows of CSV files."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from cocktail.errors import CocktailError
from cocktail.gan import distances_by_layer, weight_distances
from editing import comparison
from editing.comparison import Curve
from ui import charts
from ui.compare_picks import Side

PANEL, ABOVE, BELOW = 190, 30, 90  # px: the height of a class's panel, margins above and below all
LEAST_Y = 1e-4  # scores are shown on a log scale
CURVES = ["run", "class", "images counted", "images", "frechet"]
BESTS = ["run", "class", "best frechet", "images within 5 %, merging", "images within 5 %, all stages"]
WEIGHTS = ["model", "base", "tensor", "layer", "distance"]


@dataclass(frozen=True)
class Distances:
    """The weights of one model against the base's: L2 of each tensor, or why that is not defined."""

    side: Side
    tensors: Mapping[str, float]
    words: str = ""

    @property
    def total(self) -> float:
        """d(A, B) of the paper's Table 2: the mean over the tensors."""
        return sum(self.tensors.values()) / len(self.tensors)


# --- curves


def curves(sides: Sequence[Side], every: bool) -> dict[Side, dict[str, Curve]]:
    """The curves of those that are runs and have measured something."""
    found = {side: comparison.curves(side.status, every) for side in sides if side.status}
    return {side: own for side, own in found.items() if own}


def curve_figure(found: Mapping[Side, Mapping[str, Curve]]) -> go.Figure:
    """A panel for each class, in it a curve for each run; dashed, what the sources score against themselves."""
    names = _classes(found)
    figure = make_subplots(rows=len(names), cols=1, shared_xaxes=True, vertical_spacing=0.3 / max(1, len(names)) / 2,
                           subplot_titles=[_titled(name) for name in names])  # fmt: skip
    for line, name in enumerate(names, start=1):
        for side, own in found.items():
            if name not in own:
                continue
            figure.add_scatter(**trace(side, own[name].points), legendgroup=side.name,
                               showlegend=name == next(iter(own)), row=line, col=1)  # fmt: skip
        floors = [own[name].floor for own in found.values() if name in own and own[name].floor is not None]
        if floors:
            figure.add_hline(y=max(min(floors), LEAST_Y), line={"color": charts.QUIET, "dash": "dash", "width": 1},
                             row=line, col=1)  # fmt: skip
    for title in figure.layout.annotations:
        title.update(font={"size": 13, "color": charts.QUIET}, x=0, xanchor="left")
    height = PANEL * len(names)
    charts.plain(figure, height + ABOVE + BELOW, left=56, bottom=BELOW).update_yaxes(type="log")
    figure.update_xaxes(title={"text": "kimg", "standoff": 6}, row=len(names), col=1)
    legend = {"orientation": "h", "x": 0, "y": -52 / height, "yanchor": "top"}
    return figure.update_layout(margin={"t": ABOVE}, showlegend=True, legend=legend, uirevision="curves")


def trace(side: Side, points: Sequence[tuple[int, float]]) -> dict:
    """The line of a run, of points (images, value > 0), for a log scale."""
    x, y = zip(*points)
    return {
        "x": [images / 1000 for images in x], "y": [max(value, LEAST_Y) for value in y], "name": side.name,
        "mode": "lines+markers", "line": {"color": side.colour}, "marker": {"size": 5},
        "hovertemplate": f"{html.escape(side.name)}<br>%{{x:.4g}} kimg: %{{y:.4g}}<extra></extra>",
    }  # fmt: skip


def bests(sides: Sequence[Side]) -> list[tuple[Side, str, float, float, float]]:
    """Run, class, its best score, and the images until within 5 % of that, of merging alone and of all stages."""
    merged, whole = curves(sides, False), curves(sides, True)
    return [(side, name, curve.best, curve.converged, whole[side][name].converged)
            for side, own in merged.items() for name, curve in own.items()]  # fmt: skip


def curve_table(sides: Sequence[Side]) -> str:
    """When each run came within 5 % of its best, by both ways of counting, as HTML."""
    lines = "".join(
        f'<tr><th scope="row"><i style="--own:{side.colour}"></i>{html.escape(side.name)}</th>'
        f"<td>{html.escape(name)}</td><td>{best:.3g}</td><td>{_kimg(own)}</td><td>{_kimg(all_images)}</td></tr>"
        for side, name, best, own, all_images in bests(sides)
    )
    if not lines:
        return ""
    titles = ("class", "best ↓", "within 5 %, merging", "within 5 %, all stages")
    head = "".join(f'<th scope="col">{title}</th>' for title in titles)
    return f'<div class="scored"><table><thead><tr><td></td>{head}</tr></thead><tbody>{lines}</tbody></table></div>'


def best_lines(sides: Sequence[Side]) -> list[list]:
    """The same for a CSV file with the head BESTS."""
    return [[side.name, *rest] for side, *rest in bests(sides)]


def curve_words(sides: Sequence[Side], found: Mapping[Side, object]) -> str:
    """What the curves are, or why there are none."""
    others = [side.name for side in sides if side not in found]
    if not found:
        return "Curves belong to runs: pick one of those listed as “(run)”, or type the folder of one."
    judges = {_judge(side) for side in found}
    parts = ["Distance of the samples to the sources’ own, class by class, in units of the sources’ variance; dashed, "
             "what the sources score against themselves."]  # fmt: skip
    if len(judges) > 1:
        parts.append("These runs learn from different sources, each measured by its own: heights do not compare.")
    if others:
        parts.append(f"No run, or nothing measured yet: {', '.join(others)}.")
    return " ".join(parts)


def curve_lines(sides: Sequence[Side]) -> list[list]:
    """All points, for a CSV file with the head CURVES."""
    return [
        [side.name, name, counted, images, score]
        for counted, every in (("merging", False), ("all stages", True))
        for side, own in curves(sides, every).items() for name, curve in own.items() for images, score in curve.points
    ]  # fmt: skip


# --- weights


def distances(sides: Sequence[Side], base: Side) -> list[Distances]:
    """Every other model's weights against the base's."""
    found = []
    for side in sides:
        if side is base:
            continue
        try:
            if side.loaded is None or base.loaded is None:
                raise CocktailError("no model")
            found.append(Distances(side, weight_distances(base.loaded.gan, side.loaded.gan)))
        except CocktailError:
            found.append(Distances(side, {}, _why(side, base)))
    return found


def distance_figure(found: Sequence[Distances]) -> go.Figure | None:
    """Bars for each layer, a colour for each model; None where no distance is defined."""
    figure = go.Figure()
    for one in found:
        if one.tensors:
            layers = distances_by_layer(one.tensors)
            name = f"{one.side.name}, d = {one.total:.3g}"
            figure.add_bar(x=list(layers), y=list(layers.values()), name=name, marker={"color": one.side.colour},
                           hovertemplate="%{x}: %{y:.4g}<extra>" + html.escape(one.side.name) + "</extra>")  # fmt: skip
    if not figure.data:
        return None
    charts.plain(figure, 340, left=56, bottom=90).update_xaxes(tickangle=-60, automargin=True)
    figure.update_yaxes(title="mean L2 distance")
    return figure.update_layout(margin={"t": 36}, barmode="group", bargap=0.25, showlegend=True,
                                legend={"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0})  # fmt: skip


def distance_words(found: Sequence[Distances], base: Side) -> str:
    """What the bars are, the totals, and why some are missing."""
    defined = [one for one in found if one.tensors]
    parts = [f"{comparison.listed([one.side.name for one in found if one.words == words])} {words}."
             for words in dict.fromkeys(one.words for one in found if not one.tensors)]  # fmt: skip
    if defined:
        totals = ", ".join(f"{one.side.name} {one.total:.4g}" for one in defined)
        parts.insert(0, f"d(A, B), the mean over the generator’s tensors of their L2 distance from {base.name}: "
                        f"{totals}.")  # fmt: skip
    return " ".join(parts)


def distance_lines(found: Sequence[Distances], base: Side) -> list[list]:
    """Every tensor, and the totals, for a CSV file with the head WEIGHTS."""
    lines = []
    for one in found:
        layers = {name: next(iter(distances_by_layer({name: value}))) for name, value in one.tensors.items()}
        lines += [[one.side.name, base.name, name, layers[name], value] for name, value in one.tensors.items()]
        if one.tensors:
            lines.append([one.side.name, base.name, "d(A, B), mean over the tensors", "", one.total])
    return lines


def _judge(side: Side) -> tuple:
    """What a run's distances are measured by: equal for runs of the same sources."""
    try:
        sources = side.run.recipe().sources
    except CocktailError:
        sources = ()
    return side.status.features, frozenset((source.ref, source.classes, source.names) for source in sources)


def _why(side: Side, base: Side) -> str:
    if side.loaded is None:
        return "left out: no model is saved yet"
    return f"left out: other architecture, size or number of classes than {base.name}"


def _classes(found: Mapping[Side, Mapping[str, Curve]]) -> list[str]:
    names = list(dict.fromkeys(name for own in found.values() for name in own))
    return sorted(names, key=lambda name: name != "mean")


def _titled(name: str) -> str:
    return "mean of the classes" if name == "mean" else html.escape(name)


def _kimg(images: float) -> str:
    return f"{images / 1000:.3g} kimg"
