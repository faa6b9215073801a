"""What the page's Plotly figures have in common: no background, and a grey that can be read on light and dark."""

import plotly.graph_objects as go

QUIET = "rgba(128,138,146,0.9)"
FAINT = "rgba(128,138,146,0.22)"
CLEAR = "rgba(0,0,0,0)"
SERIES = ("#1c887c", "#c2513a", "#6b74c9", "#b58a2e", "#8d5fa8", "#5c8f3e", "#4d8fb8")  # told apart on light and dark


def plain(figure: go.Figure, height: int, left: int = 10, bottom: int = 10) -> go.Figure:
    """The figure in the page's look; height and margins in pixels."""
    figure.update_xaxes(gridcolor=FAINT, zerolinecolor=FAINT).update_yaxes(gridcolor=FAINT, zerolinecolor=FAINT)
    return figure.update_layout(
        height=height, margin={"l": left, "r": 10, "t": 10, "b": bottom}, paper_bgcolor=CLEAR, plot_bgcolor=CLEAR,
        font={"size": 12, "color": QUIET}, hoverlabel={"font": {"size": 13}},
    )  # fmt: skip
