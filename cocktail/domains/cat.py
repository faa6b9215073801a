"""Cats: pointed ears, coloured eyes, muzzle, tabby stripes."""

from torch import Tensor

from cocktail.domains.layout import COMMON, INK, WHITE, Pose, backdrop, color, eyes, mix, palette
from cocktail.domains.registry import Domain, register
from cocktail.domains.sdf import Canvas, Shape, ellipse, intersect, stroke, wedge

FUR = (
    (0.29, 0.28, 0.33), (0.56, 0.58, 0.66), (0.64, 0.45, 0.33),
    (0.96, 0.60, 0.24), (0.98, 0.84, 0.62), (0.97, 0.95, 0.92),
)  # fmt: skip
IRIS = ((0.25, 0.62, 0.95), (0.20, 0.80, 0.68), (0.52, 0.83, 0.25), (0.98, 0.80, 0.18), (0.95, 0.52, 0.12))
PINK = (0.96, 0.55, 0.60)


def paint(canvas: Canvas, f: dict[str, Tensor]) -> None:
    """Draws cats; f: factors, float32 [n,1,1,1]."""
    pose = Pose(f, 0.70, 0.58, 0.17)
    fur = palette(f["tone"], FUR)
    dark, light = mix(fur, color(INK), 0.45), mix(fur, color(WHITE), 0.62)
    backdrop(canvas, f["background"])
    canvas.paint(ellipse(pose.x, pose.y + 1.62 * pose.h, 0.56 * pose.size, 0.56 * pose.size), fur * 0.84)
    _ears(canvas, pose, fur)
    head = ellipse(pose.x, pose.y, pose.w, pose.h)
    canvas.paint(head, fur)
    _stripes(canvas, pose, head, f["stripes"], dark)
    radius = (0.175 + 0.05 * f["eye_size"]) * pose.size
    _muzzle(canvas, pose, f["smile"], light, dark)
    eyes(canvas, pose, 0.48, -0.08, radius, palette(f["eye_color"], IRIS), dark)


def _ears(canvas: Canvas, pose: Pose, fur: Tensor) -> None:
    for side in (-1, 1):
        x, y = pose.flat(side * 0.74, -1.52, 0.12)
        inner, outer = pose.flat(side * -0.10, 0, 0.06)[0], pose.flat(side * 0.93, 0, 0.0)[0]
        left, right = (outer, inner) if side < 0 else (inner, outer)
        height = 1.45 * pose.h
        canvas.paint(wedge(x, y, left, right, height, 0.07 * pose.size), fur * 0.92)
        # The pink is the same triangle, smaller about the middle of the ear where the head begins to hide it.
        small, rest = 0.60, 0.40
        middle = x + 0.55 * ((left + right) / 2 - x)
        tip, top = small * x + rest * middle, y + rest * 0.55 * height
        pink = wedge(tip, top, small * left + rest * middle, small * right + rest * middle, small * height, 0.04)
        canvas.paint(pink, color(PINK))


def _stripes(canvas: Canvas, pose: Pose, head: Shape, stripes: Tensor, dark: Tensor) -> None:
    """Three marks on the forehead and two on each cheek, longer and stronger with the factor."""
    strength = (2.5 * stripes).clamp(max=1)
    for u, length in ((-0.24, 0.24), (0, 0.34), (0.24, 0.24)):
        x, _, narrow = pose.at(u, 0)
        half = (0.2 + 0.8 * stripes) * length * pose.h
        mark = ellipse(x, pose.y - 0.98 * pose.h + half, 0.08 * pose.w * narrow, half + 0.06)
        canvas.paint(intersect(mark, head), dark, strength)
    for side in (-1, 1):
        for v in (0.20, 0.46):
            mark = ellipse(*pose.flat(side * (1.0 - 0.1 * v), v, 0.05), (0.12 + 0.18 * stripes) * pose.w, 0.08 * pose.h)
            canvas.paint(intersect(mark, head), dark, strength)


def _muzzle(canvas: Canvas, pose: Pose, smile: Tensor, light: Tensor, dark: Tensor) -> None:
    x, y, narrow = pose.at(0, 0.54, 1.0)
    for side in (-1, 1):
        canvas.paint(ellipse(x + side * 0.19 * pose.w * narrow, y, 0.25 * pose.w * narrow, 0.29 * pose.h), light)
    for side in (-1, 1):
        middle = x + side * 0.15 * pose.w * narrow
        height, bend = y + 0.04 * pose.size - 0.04 * smile, 0.085 * smile * pose.size
        lip = stroke(middle, height, 0.15 * pose.w * narrow, bend, 0.03 * pose.size)
        canvas.paint(lip, color((0.32, 0.16, 0.20)))
    canvas.paint(ellipse(x, y - 0.17 * pose.h, 0.135 * pose.w * narrow, 0.12 * pose.h), color((0.93, 0.38, 0.48)))


register(Domain(
    name="cat",
    ranges={**COMMON, "eye_color": (0.0, 1.0), "stripes": (0.0, 1.0)},
    binary=(),
    paint=paint,
))  # fmt: skip
