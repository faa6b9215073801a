"""The figures of the tables: score over pictures seen, and uncurated samples of all ways side by side."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import plotly.graph_objects as go
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from plotly.subplots import make_subplots

from benchmarks.cells import cell_folder
from benchmarks.tables_known import (
    BUDGET_SCALES,
    BUDGET_WAYS,
    BUNDLED,
    MANY,
    PAIR,
    PICTURES,
    SIZES,
    UNIONS,
    Known,
    picture_of,
    scaled,
)
from benchmarks.ways import TITLES
from cocktail import checkpoints
from cocktail.images import grid

COLOURS = {"transfer": "#7a7a7a", "plain": "#3f7fbf", "ours": "#c8452d", "upper": "#2f9e62", "distillation": "#b08b2e",
           "scratch": "#b9b9b9", "transfer+": "#8f6bb3"}  # fmt: skip
CURVES = ("scratch", "transfer", "transfer+", "plain", "distillation", "ours", "upper")
SIDE_BY_SIDE = CURVES[1:]
COLUMNS, SHOWN_PX, LABEL_PX = 12, 64, 190


def write(records: Mapping[str, dict]) -> None:
    """Writes docs/pictures/curves-*.png, methods-*.png and budgets.png; pictures of merges that are not on this disk
    stay as they are."""
    for known in map(Known(records).at, SIZES):
        for union in UNIONS:
            if any(known.cells(union, way) for way in CURVES):
                save(curves(known, union), picture_of("curves", union, known.resolution), 360 * (len(union) + 1))
        for union in (*UNIONS, MANY):
            side_by_side(known, union)
    known = Known(records, BUNDLED)
    if any(known.cells(PAIR, scaled("ours", scale)) for scale in BUDGET_SCALES if scale != 1):
        save(budgets(known), PICTURES / "budgets.png", 1000)


def save(figure: go.Figure, path: Path, width: int) -> None:
    """Writes a figure as PNG, by a Chrome that is installed. Raises: ImportError that says what is missing."""
    try:
        import kaleido  # noqa: F401  (plotly calls it)
    except ImportError as error:
        raise ImportError("figures are written by kaleido: pip install kaleido") from error
    figure.update_layout(template="plotly_white", font={"size": 13}, margin={"l": 60, "r": 20, "t": 60, "b": 60})
    figure.write_image(path, width=width, height=420, scale=1.5)


def points(record: dict, name: str, rooting: bool) -> Iterator[tuple[float, float]]:
    """The curve of a class: kimg, with those of rooting or without, and score."""
    seen = sum(kimg for stage, kimg in record["kimg"].items() if stage.startswith("root")) if rooting else 0.0
    done = 0.0
    for stage, kimg in record["kimg"].items():
        if stage.startswith("root"):
            continue
        for point in record["curve"]:
            if point["stage"] == stage:
                yield seen + done + point["images"] / 1000, point["frechet"][name]
        done += kimg


def curves(known: Known, union: Sequence[str]) -> go.Figure:
    """Score over kimg, a panel for each class and one for all; first seed (the paper's figures 5 to 8)."""
    panels = (*union, "all")
    figure = make_subplots(1, len(panels), subplot_titles=panels, horizontal_spacing=0.05)
    for column, name in enumerate(panels, start=1):
        for way in CURVES:
            for record in known.cells(union, way)[:1]:
                kimg, score = zip(*points(record, name, rooting=False), strict=True)
                figure.add_scatter(x=kimg, y=score, name=TITLES[way], legendgroup=way, showlegend=column == 1,
                                   line={"color": COLOURS[way]}, row=1, col=column)  # fmt: skip
    figure.update_yaxes(type="log")
    figure.update_xaxes(title="kimg of the merge")
    return figure.update_layout(title=f"{'+'.join(union)}, {known.resolution} px: score against drawings")


def budgets(known: Known) -> go.Figure:
    """Final score over the budget, mean over the seeds, without and with the roots' pictures: where the claim holds."""
    heads = ("equal merge budgets", "the roots' pictures counted")
    figure = make_subplots(1, 2, subplot_titles=heads, shared_yaxes=True)
    for column, rooting in ((1, False), (2, True)):
        for way in BUDGET_WAYS:
            ends: dict[float, list[float]] = {}
            for scale in BUDGET_SCALES:
                for record in known.cells(PAIR, scaled(way, scale)):
                    kimg = sum(k for stage, k in record["kimg"].items() if rooting or not stage.startswith("root"))
                    ends.setdefault(kimg, []).append(record["drawings"]["all"]["frechet"])
            if ends:
                figure.add_scatter(x=list(ends), y=list(map(statistics.mean, ends.values())), name=TITLES[way],
                                   legendgroup=way, showlegend=column == 1, mode="lines+markers",
                                   line={"color": COLOURS[way]}, row=1, col=column)  # fmt: skip
    figure.update_yaxes(type="log")
    figure.update_yaxes(title="score against drawings", col=1)
    figure.update_xaxes(type="log", title="kimg")
    return figure.update_layout(title=f"{'+'.join(PAIR)}, {known.resolution} px")


def side_by_side(known: Known, union: Sequence[str]) -> None:
    """The same seeds by every way, each with its name (the paper's figures 12 and 13), where all are on this disk."""
    names = {way: f"{'+'.join(union)} {known.resolution} {way} seed 1" for way in SIDE_BY_SIDE}
    folders = {way: cell_folder(name) for way, name in names.items() if name in known.records}
    if not folders or not all((folder / "result").exists() for folder in folders.values()):
        return
    rows = []
    for way, folder in folders.items():
        gan = checkpoints.load(folder)
        img = torch.cat([gan.sample(range(COLUMNS), name) for name in gan.classes])
        rows.append((TITLES[way], grid(F.interpolate(img, SHOWN_PX, mode="nearest"), COLUMNS)))
    width, height = LABEL_PX + rows[0][1].width, sum(picture.height + 8 for _, picture in rows)
    sheet, top = Image.new("RGB", (width, height), "white"), 0
    for title, picture in rows:
        ImageDraw.Draw(sheet).multiline_text(
            (6, top + 6), title.replace(", ", ",\n").replace(" with", "\nwith"), "black"
        )
        sheet.paste(picture, (LABEL_PX, top))
        top += picture.height + 8
    sheet.save(picture_of("methods", union, known.resolution), optimize=True)
