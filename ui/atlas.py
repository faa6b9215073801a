"""The map of w as a Plotly figure: a cloud for each class, the pictures at hand, and the way between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import plotly.graph_objects as go
import torch
from torch import Tensor

from editing.atlas import Atlas, survey
from ui import charts, colours
from ui.models import Loaded

POINTS = 600  # in all clouds together
MAX_CLASSES = 12
ATLASES: WeakKeyDictionary[Loaded, Atlas] = WeakKeyDictionary()


@dataclass(frozen=True)
class Place:
    """A picture on the map: its name, class and code float32 [num_ws, w_dim]."""

    name: str
    label: str | None
    ws: Tensor


def atlas_of(loaded: Loaded) -> Atlas:
    """The map of a model, surveyed once."""
    if loaded not in ATLASES:
        classes = loaded.gan.classes[:MAX_CLASSES] or (None,)
        ATLASES[loaded] = survey(loaded.gan, classes, max(20, POINTS // len(classes)))
    return ATLASES[loaded]


def figure(loaded: Loaded, places: Sequence[Place], way: Tensor | None = None, deep: bool = False) -> go.Figure:
    """The map in two dimensions, or three if `deep`; `way` holds codes [N, num_ws, w_dim] to join by a line."""
    atlas = atlas_of(loaded)
    axes = 3 if deep else 2
    found = go.Figure()
    for label in dict.fromkeys(atlas.labels):
        rows = [i for i, other in enumerate(atlas.labels) if other == label]
        hover = [f"{label or loaded.title}, seed {atlas.seeds[i]}" for i in rows]
        found.add_trace(_trace(atlas.points[rows], axes, label or loaded.title, hover, marker={
            "size": 3 if deep else 6, "color": _colour(label), "opacity": 0.45}, mode="markers"))  # fmt: skip
    if way is not None and len(way) > 1:
        hover = [f"position {i / (len(way) - 1):.2f} of the way" for i in range(len(way))]
        found.add_trace(_trace(atlas.place(way.cpu()), axes, "way", hover, mode="lines",
                               line={"width": 4, "color": charts.QUIET}))  # fmt: skip
    if places:
        points = torch.stack([atlas.place(place.ws.cpu()) for place in places])
        found.add_trace(_trace(points, axes, "pictures", [place.name for place in places], mode="markers", marker={
            "size": 7 if deep else 13, "color": [_colour(place.label) for place in places], "symbol": "diamond",
            "line": {"width": 2, "color": "#ffffff"}}))  # fmt: skip
    return _styled(found, atlas, deep)


def _trace(points: Tensor, axes: int, name: str, hover: list[str], **look: object) -> go.Scatter | go.Scatter3d:
    kind = go.Scatter3d if axes == 3 else go.Scatter
    columns = dict(zip("xyz", points[:, :axes].t().tolist()))
    return kind(**columns, name=name, text=hover, hovertemplate="%{text}<extra></extra>", showlegend=False, **look)


def _styled(found: go.Figure, atlas: Atlas, deep: bool) -> go.Figure:
    plain = {"showticklabels": False, "zeroline": False, "showgrid": True, "gridcolor": charts.FAINT}
    titles = [f"axis {i + 1}, {share:.0%}" for i, share in enumerate(atlas.explained)]
    charts.plain(found, 380).update_layout(uirevision=str(deep))
    if deep:
        scene = {f"{axis}axis": plain | {"title": {"text": title}, "backgroundcolor": charts.CLEAR}
                 for axis, title in zip("xyz", titles)}  # fmt: skip
        return found.update_layout(scene=scene)
    return found.update_xaxes(title=titles[0], **plain).update_yaxes(title=titles[1], **plain)


def _colour(label: str | None) -> str:
    """Halfway between a class's two colours, for a plot that cannot know the theme."""
    light, dark = (bytes.fromhex(text[1:]) for text in colours.class_colours(label or ""))
    return "#" + bytes((a + b) // 2 for a, b in zip(light, dark)).hex()
