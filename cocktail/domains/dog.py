"""Dogs: floppy ears, a big muzzle and nose, a patch around an eye, a tongue."""

from torch import Tensor

from cocktail.domains.layout import COMMON, INK, WHITE, Pose, backdrop, color, eyes, mix, palette
from cocktail.domains.registry import Domain, register
from cocktail.domains.sdf import Canvas, ellipse, intersect, rounded_box, stroke, tilted_ellipse

FUR = ((0.52, 0.36, 0.27), (0.74, 0.51, 0.32), (0.90, 0.66, 0.36), (0.98, 0.87, 0.67), (0.93, 0.93, 0.95))
EARS = ((0.20, 0.15, 0.17), (0.36, 0.21, 0.15), (0.52, 0.26, 0.12), (0.64, 0.36, 0.16), (0.44, 0.42, 0.47))
EYE_U, EYE_V = 0.46, -0.16


def paint(canvas: Canvas, f: dict[str, Tensor]) -> None:
    """Draws dogs; f: factors, float32 [n,1,1,1]."""
    pose = Pose(f, 0.60, 0.68, 0.0)
    fur, ear = palette(f["tone"], FUR), palette(f["ear_tone"], EARS)
    backdrop(canvas, f["background"])
    canvas.paint(ellipse(pose.x, pose.y + 1.52 * pose.h, 0.62 * pose.size, 0.52 * pose.size), fur * 0.86)
    collar = stroke(pose.x, pose.y + 0.98 * pose.h, 0.36 * pose.size, 0.08, 0.065 * pose.size)
    canvas.paint(collar, color((0.87, 0.22, 0.27)))
    head = ellipse(pose.x, pose.y, pose.w, pose.h)
    canvas.paint(head, fur)
    x, y, narrow = pose.at(-EYE_U, EYE_V - 0.04)
    canvas.paint(intersect(ellipse(x, y, 0.46 * pose.w * narrow, 0.46 * pose.h), head), ear, f["patch"])
    _ears(canvas, pose, ear)
    radius = (0.16 + 0.05 * f["eye_size"]) * pose.size
    eyes(canvas, pose, EYE_U, EYE_V, radius, color((0.40, 0.22, 0.12)), mix(fur, color(INK), 0.5))
    _muzzle(canvas, pose, f, fur)


def _ears(canvas: Canvas, pose: Pose, ear: Tensor) -> None:
    for side in (-1, 1):
        x, y = pose.flat(side * 1.05, -0.12, 0.07)
        width = 0.25 * pose.w * (1 - 0.25 * side * pose.yaw)
        canvas.paint(tilted_ellipse(x, y, width, 0.70 * pose.h, -side * 0.22), ear)


def _muzzle(canvas: Canvas, pose: Pose, f: dict[str, Tensor], fur: Tensor) -> None:
    x, y, narrow = pose.at(0, 0.48, 1.05)
    tongue = rounded_box(x, y + 0.40 * pose.h, 0.16 * pose.w, 0.26 * pose.h, 0.15 * pose.w)
    canvas.paint(ellipse(x, y, 0.54 * pose.w * narrow, 0.43 * pose.h), mix(fur, color(WHITE), 0.6))
    canvas.paint(tongue, color((0.97, 0.42, 0.50)), f["tongue"])
    smile = f["smile"]
    middle = y + 0.17 * pose.h - 0.06 * smile
    lip = stroke(x, middle, 0.32 * pose.w * narrow, 0.14 * smile * pose.size, 0.038 * pose.size)
    canvas.paint(lip, color((0.30, 0.15, 0.17)))
    nose = y - 0.17 * pose.h
    canvas.paint(ellipse(x, nose, 0.23 * pose.w * narrow, 0.16 * pose.h), color(INK))
    shine = ellipse(x - 0.05 * pose.w, nose - 0.05 * pose.h, 0.07 * pose.w, 0.045 * pose.h)
    canvas.paint(shine, color((0.62, 0.62, 0.70)))


register(Domain(
    name="dog",
    ranges={**COMMON, "ear_tone": (0.0, 1.0), "patch": (0.0, 1.0), "tongue": (0.0, 1.0)},
    binary=("patch", "tongue"),
    paint=paint,
))  # fmt: skip
