"""People: skin, hair of two lengths and many colours, smile, glasses."""

from torch import Tensor

from cocktail.domains.layout import COMMON, INK, PASTELS, Pose, backdrop, color, eyes, mix, palette
from cocktail.domains.registry import Domain, register
from cocktail.domains.sdf import Canvas, ellipse, intersect, outline, rounded_box, stroke

SKIN = ((1.0, 0.86, 0.74), (0.95, 0.74, 0.56), (0.80, 0.55, 0.37), (0.60, 0.39, 0.26), (0.46, 0.30, 0.21))
HAIR = (
    (0.14, 0.11, 0.14), (0.34, 0.20, 0.13), (0.57, 0.30, 0.15),
    (0.84, 0.42, 0.15), (0.95, 0.75, 0.36), (0.88, 0.87, 0.88),
)  # fmt: skip
EYE_U, EYE_V = 0.46, 0.06


def paint(canvas: Canvas, f: dict[str, Tensor]) -> None:
    """Draws people; f: factors, float32 [n,1,1,1]."""
    pose = Pose(f, 0.60, 0.66, 0.04)
    skin, hair = palette(f["tone"], SKIN), palette(f["hair"], HAIR)
    backdrop(canvas, f["background"])
    _bust(canvas, pose, f, skin, hair)
    _head(canvas, pose, skin, hair)
    radius = (0.165 + 0.05 * f["eye_size"]) * pose.size
    eyes(canvas, pose, EYE_U, EYE_V, radius, color((0.33, 0.20, 0.13)), mix(skin, color(INK), 0.35))
    _features(canvas, pose, f, skin, hair)
    _glasses(canvas, pose, f["glasses"])


def _bust(canvas: Canvas, pose: Pose, f: dict[str, Tensor], skin: Tensor, hair: Tensor) -> None:
    x, y = pose.flat(0, 0.10, -0.06)
    down = (0.50 + 0.42 * f["hair_length"]) * pose.size
    canvas.paint(rounded_box(x, y - 0.06 + down - 0.6 * pose.h, 1.12 * pose.w, 0.6 * pose.h, 0.3 * pose.w), hair * 0.82)
    # A cloth of the colour on the other side of the palette goes with every backdrop.
    cloth = palette((f["background"] + 0.5) % 1.0, PASTELS) * 0.68
    canvas.paint(rounded_box(pose.x, pose.y + 1.0 * pose.h, 0.24 * pose.size, 0.26 * pose.size, 0.1), skin * 0.85)
    canvas.paint(ellipse(pose.x, pose.y + 1.72 * pose.h, 0.80 * pose.size, 0.50 * pose.size), cloth)


def _head(canvas: Canvas, pose: Pose, skin: Tensor, hair: Tensor) -> None:
    skull = ellipse(*pose.flat(0, -0.16), 1.10 * pose.w, 0.98 * pose.h)
    canvas.paint(skull, hair)
    for side in (-1, 1):
        canvas.paint(ellipse(*pose.flat(side * 0.98, 0.14, -0.16), 0.16 * pose.w, 0.19 * pose.h), skin * 0.9)
    head = ellipse(*pose.flat(0, 0), 0.98 * pose.w, pose.h)
    canvas.paint(head, skin)
    x, y, _ = pose.at(-0.30, -0.92)
    canvas.paint(intersect(ellipse(x, y, 0.95 * pose.w, 0.52 * pose.h), skull), hair)
    x, y, _ = pose.at(0.55, -0.86)
    canvas.paint(intersect(ellipse(x, y, 0.75 * pose.w, 0.42 * pose.h), skull), hair)


def _features(canvas: Canvas, pose: Pose, f: dict[str, Tensor], skin: Tensor, hair: Tensor) -> None:
    for side in (-1, 1):
        x, y, narrow = pose.at(side * 0.62, 0.46)
        canvas.paint(ellipse(x, y, 0.19 * pose.w * narrow, 0.12 * pose.h), color((0.95, 0.40, 0.38)), 0.24)
    x, y, _ = pose.at(0, 0.36, 1.0)
    canvas.paint(ellipse(x, y, 0.12 * pose.w, 0.09 * pose.h), skin * 0.8)
    x, y, narrow = pose.at(0, 0.64)
    smile = f["smile"]
    # Bold enough to be seen at 64 pixels, where a generator is to learn it and a person to notice it.
    lips = stroke(x, y - 0.08 * smile, 0.40 * pose.w * narrow, 0.14 * smile * pose.size, 0.052 * pose.size)
    canvas.paint(lips, color((0.62, 0.05, 0.13)))


def _glasses(canvas: Canvas, pose: Pose, glasses: Tensor) -> None:
    line = 0.038 * pose.size
    x, y, narrow = pose.at(0, EYE_V)
    canvas.paint(stroke(x, y, 0.10 * pose.w * narrow, -0.02, line), color(INK), glasses)
    for side in (-1, 1):
        x, y, narrow = pose.at(side * EYE_U, EYE_V)
        lens = rounded_box(x, y, 0.215 * pose.size * narrow, 0.235 * pose.size, 0.15 * pose.size * narrow)
        canvas.paint(outline(lens, line), color(INK), glasses)


register(Domain(
    name="face",
    ranges={**COMMON, "hair": (0.0, 1.0), "hair_length": (0.0, 1.0), "glasses": (0.0, 1.0)},
    binary=("glasses",),
    paint=paint,
))  # fmt: skip
