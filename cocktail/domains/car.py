"""Cars that look at the viewer: headlights for eyes, a grille for a mouth; turning shows a flank."""

from torch import Tensor

from cocktail.domains.layout import COMMON, INK, WHITE, Pose, backdrop, color, eyes, mix, palette
from cocktail.domains.registry import Domain, register
from cocktail.domains.sdf import Canvas, Shape, ellipse, intersect, rounded_box, stroke

PAINT = (
    (0.86, 0.20, 0.22), (0.96, 0.50, 0.16), (0.98, 0.78, 0.20), (0.36, 0.70, 0.33),
    (0.13, 0.60, 0.62), (0.20, 0.42, 0.82), (0.50, 0.30, 0.72),
)  # fmt: skip
TRIM = ((0.25, 0.25, 0.30), (0.62, 0.63, 0.68), (0.98, 0.96, 0.92))
GLASS = (0.74, 0.90, 0.97)


def paint(canvas: Canvas, f: dict[str, Tensor]) -> None:
    """Draws cars; f: factors, float32 [n,1,1,1]."""
    pose = Pose(f, 0.74, 0.66, 0.08)
    body, trim = palette(f["tone"], PAINT), palette(f["trim"], TRIM)
    backdrop(canvas, f["background"])
    canvas.paint(ellipse(pose.x, 1.12, 1.6, 0.46), color((0.42, 0.42, 0.48)))
    _wheels(canvas, pose, f["wheel_size"])
    _cabin(canvas, pose, f["roof"], body, trim)
    hull = rounded_box(*pose.flat(0, 0.22), pose.w, 0.56 * pose.h, 0.26 * pose.size)
    canvas.paint(hull, body * 0.78)
    _flank(canvas, pose, f["wheel_size"])
    _front(canvas, pose, f, body, trim, hull)


def _wheels(canvas: Canvas, pose: Pose, wheel: Tensor) -> None:
    """The tyres of the front axle, below the bumper."""
    half_h = (0.17 + 0.08 * wheel) * pose.h
    for side in (-1, 1):
        x, y = pose.flat(side * 0.62, 0.78, 0.12)
        canvas.paint(rounded_box(x, y, 0.19 * pose.w, half_h + 0.06, 0.08 * pose.size), color(INK))


def _cabin(canvas: Canvas, pose: Pose, roof: Tensor, body: Tensor, trim: Tensor) -> None:
    height = (0.44 + 0.22 * roof) * pose.h
    x, y = pose.flat(0, -0.30, 0.04)
    shell = rounded_box(x, y - 0.5 * height, 0.74 * pose.w, 0.5 * height + 0.13 * pose.size, 0.22 * pose.size)
    canvas.paint(shell, trim)
    x, y = pose.flat(0, -0.26, 0.22)
    screen = rounded_box(x, y - 0.5 * height, 0.54 * pose.w, 0.5 * height, 0.12 * pose.size)
    for side in (-1, 1):
        # The side windows hide behind the edge of the cabin until the car turns away from them.
        window = rounded_box(pose.flat(side * 0.66, 0, -0.20)[0] + 0.24 * pose.yaw * pose.w, y - 0.45 * height,
                             0.16 * pose.w, 0.42 * height, 0.07 * pose.size)  # fmt: skip
        canvas.paint(intersect(window, shell), color((0.42, 0.58, 0.70)))
    canvas.paint(intersect(screen, shell), color(GLASS))


def _flank(canvas: Canvas, pose: Pose, wheel: Tensor) -> None:
    """The wheel on the side that the car turns to the viewer: an ellipse that opens with the yaw."""
    for side in (-1, 1):
        seen = (-side * pose.yaw).clamp(min=0)
        solid = (6 * seen - 0.5).clamp(0, 1)  # no hairline where the wheel is thinner than a pixel
        x, y = pose.flat(side * 0.86, 0.62)
        x = x - 0.10 * side * seen * pose.w
        ry = (0.26 + 0.08 * wheel) * pose.h
        canvas.paint(ellipse(x, y, 0.20 * pose.w * seen, ry), color(INK), solid)
        canvas.paint(ellipse(x, y, 0.10 * pose.w * seen, 0.5 * ry), color((0.75, 0.76, 0.80)), solid)


def _front(canvas: Canvas, pose: Pose, f: dict[str, Tensor], body: Tensor, trim: Tensor, hull: Shape) -> None:
    x, y, narrow = pose.at(0, 0.20, 0.5)
    canvas.paint(intersect(rounded_box(x, y, 0.86 * pose.w, 0.56 * pose.h, 0.24 * pose.size), hull), body)
    x, y, narrow = pose.at(0, 0.0, 0.75)
    band = rounded_box(x, y, 0.16 * pose.w * narrow, 0.36 * pose.h, 0.04)
    canvas.paint(intersect(band, hull), color(WHITE), f["stripe"])
    x, y, narrow = pose.at(0, 0.66, 0.6)
    canvas.paint(intersect(rounded_box(x, y, 0.80 * pose.w, 0.09 * pose.h, 0.06 * pose.size), hull), trim)
    radius = (0.165 + 0.05 * f["eye_size"]) * pose.size
    eyes(canvas, pose, 0.54, 0.10, radius, color((0.98, 0.80, 0.30)), mix(body, color(INK), 0.55))
    x, y, narrow = pose.at(0, 0.42)
    smile = f["smile"]
    grille = stroke(x, y - 0.05 * smile, 0.30 * pose.w * narrow, 0.12 * smile * pose.size, 0.055 * pose.size)
    canvas.paint(grille, color(INK))


register(Domain(
    name="car",
    ranges={
        **COMMON, "trim": (0.0, 1.0), "roof": (0.0, 1.0), "wheel_size": (0.0, 1.0), "stripe": (0.0, 1.0),
    },
    binary=("stripe",),
    paint=paint,
))  # fmt: skip
