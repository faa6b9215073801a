"""How far the pictures of the runs that are compared moved from snapshot to snapshot: figure, words, rows of a CSV."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from cocktail.metrics import lpips, picture_distance
from cocktail.metrics.diversity import PictureDistance
from editing import comparison
from editing.movement import Moves, moves
from ui import charts
from ui.compare_charts import trace
from ui.compare_picks import Side

HEIGHT, LEFT, BOTTOM = 280, 56, 90  # px
HEADER = ["run", "images counted", "images", "distance from the snapshot before", "judged by"]


@dataclass(frozen=True)
class Moved:
    """The movement of one run, and what it was judged by."""

    side: Side
    moves: Moves
    judge: PictureDistance


def movement(sides: Sequence[Side], every: bool) -> Iterator[tuple[str, list[Moved]]]:
    """Measures one run after the other; yields words on how far it is, and what is known."""
    able, found = [side for side in sides if side.status and side.loaded], []
    for number, (side, judge) in enumerate(zip(able, _judges(able), strict=True), start=1):
        yield f"Comparing the samples of {side.name}, {number} of {len(able)}.", []
        found.append(Moved(side, moves(side.status, judge, every), judge))
    yield _words(sides, found), found


def figure(found: Sequence[Moved]) -> go.Figure | None:
    """A line for each run; None where there is nothing to draw."""
    drawn = go.Figure()
    for one in found:
        if one.moves:
            drawn.add_scatter(**trace(one.side, one.moves))
    if not drawn.data:
        return None
    charts.plain(drawn, HEIGHT, left=LEFT, bottom=BOTTOM).update_yaxes(type="log", title="distance")
    drawn.update_xaxes(title={"text": "kimg", "standoff": 6})
    legend = {"orientation": "h", "x": 0, "y": -52 / (HEIGHT - BOTTOM), "yanchor": "top"}
    return drawn.update_layout(showlegend=True, legend=legend)


def lines(found: Sequence[Moved], every: bool) -> list[list]:
    """All points, for a CSV file with the head HEADER."""
    counted = "all stages" if every else "merging"
    return [[one.side.name, counted, *point, one.judge.name] for one in found for point in one.moves]


def _judges(able: Sequence[Side]) -> list[PictureDistance]:
    """One judge for all where one can look at all their pictures, else each run's own model."""
    own = [picture_distance(side.loaded.gan) for side in able]
    shared = len({side.loaded.gan.resolution for side in able}) == 1 or lpips.missing() is None
    return own[:1] * len(own) if shared else own


def _words(sides: Sequence[Side], found: Sequence[Moved]) -> str:
    seen = [one for one in found if one.moves]
    if not seen:
        return "These runs kept fewer than two snapshots with their samples."
    parts = [
        "How far the samples of the same latents moved from each snapshot to the next, mean over all classes "
        f"({seen[0].judge.name}). Where a line falls, training settles. Snapshots further apart lie further apart."
    ]
    if len({one.judge for one in seen}) > 1:
        parts.append("Their sizes differ, so each run is judged by its own model: heights do not compare.")
    if len(seen) < len(sides):
        others = [side.name for side in sides if side not in [one.side for one in seen]]
        parts.append(f"No run, or too few snapshots: {comparison.listed(others)}.")
    return " ".join(parts)
