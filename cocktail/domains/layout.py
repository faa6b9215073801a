"""What all drawn domains share: pose, colours, the backdrop and the eyes, so that their pictures align."""

import math

import torch
from torch import Tensor

from cocktail.domains.sdf import Canvas, Number, ellipse

MAX_TURN = 0.5  # radians at yaw 1: features on the middle of the head move by about 22 % of its width
ON_SPHERE = 0.9  # radius of the sphere that carries the features, in half widths of the head

# Factors of every domain: name -> (least, greatest). x, y: fractions of the frame; yaw 1 looks to the viewer's right.
COMMON = {
    "yaw": (-1.0, 1.0), "x": (-0.04, 0.04), "y": (-0.04, 0.04), "size": (0.92, 1.08),
    "background": (0.0, 1.0), "tone": (0.0, 1.0), "eye_size": (0.0, 1.0), "smile": (-1.0, 1.0),
}  # fmt: skip

PASTELS = (
    (0.98, 0.73, 0.60), (0.99, 0.86, 0.56), (0.66, 0.88, 0.66), (0.54, 0.84, 0.86),
    (0.58, 0.73, 0.97), (0.78, 0.68, 0.96), (0.97, 0.67, 0.80),
)  # fmt: skip
INK = (0.13, 0.11, 0.16)
WHITE = (1.0, 1.0, 1.0)


def color(rgb: tuple[float, float, float]) -> Tensor:
    """One colour for all pictures: float32 [1,3,1,1]."""
    return torch.tensor(rgb, dtype=torch.float32).view(1, 3, 1, 1)


def palette(t: Tensor, stops: tuple[tuple[float, float, float], ...]) -> Tensor:
    """Colours float32 [n,3,1,1] at t float32 [n,1,1,1] in [0,1], linear between equally spaced stops."""
    table = torch.tensor(stops, dtype=torch.float32)
    place = t.flatten().clamp(0, 1) * (len(stops) - 1)
    low = place.floor().long().clamp(max=len(stops) - 2)
    return torch.lerp(table[low], table[low + 1], (place - low)[:, None])[:, :, None, None]


def mix(a: Tensor, b: Tensor, share: float) -> Tensor:
    """Colour `share` of the way from a to b."""
    return a + (b - a) * share


class Pose:
    """Where a head is and where it looks; places features on it.

    f: factors, float32 [n,1,1,1]; half_w, half_h: half axes of the head on the plane [-1,1]^2; centre_y: its height.
    """

    def __init__(self, f: dict[str, Tensor], half_w: float, half_h: float, centre_y: float):
        self.yaw, self.size = f["yaw"], f["size"]
        self.x, self.y = 2 * f["x"], centre_y + 2 * f["y"]
        self.w, self.h = half_w * self.size, half_h * self.size
        self.turn = MAX_TURN * self.yaw

    def at(self, u: float, v: float, out: float = ON_SPHERE) -> tuple[Tensor, Tensor, Tensor]:
        """Place (x, y) of the feature at u, v in half heads, and the factor <= 1 by which its width is foreshortened.

        The factor is gentler than the cosine, so that the far eye stays readable on few pixels. The head
        is a sphere of radius `out` half widths: more than ON_SPHERE for what stands out, like a muzzle.
        """
        rest = math.asin(u)
        angle = rest + self.turn
        narrow = (torch.cos(angle) / math.cos(rest)).clamp(max=1) ** 0.6
        return self.x + out * self.w * torch.sin(angle), self.y + v * self.h, narrow

    def flat(self, u: float, v: float, drift: float = 0.0) -> tuple[Tensor, Tensor]:
        """Place of what belongs to the outline: moves by `drift` half widths at yaw 1 (negative: backwards)."""
        return self.x + (u + drift * self.yaw) * self.w, self.y + v * self.h


def backdrop(canvas: Canvas, background: Tensor) -> None:
    """Paints a pastel of the palette, light above and a little deeper below."""
    base = palette(background, PASTELS)
    canvas.fill(mix(base, color(WHITE), 0.25), base * 0.95)


def eyes(canvas: Canvas, pose: Pose, u: float, v: float, radius: Number, iris: Tensor, rim: Tensor) -> None:
    """Paints two big round eyes: rim, white, iris, pupil (dark) and a highlight; the gaze follows the yaw.

    radius: half height of the white on the plane; iris and rim: colours float32 [n or 1,3,1,1].
    """
    line = 0.035 * pose.size
    for side in (-1, 1):
        x, y, narrow = pose.at(side * u, v)
        rx = 0.88 * radius * narrow
        gaze = x + 0.16 * radius * pose.yaw - side * 0.06 * radius
        canvas.paint(ellipse(x, y, rx + line, radius + line), rim)
        canvas.paint(ellipse(x, y, rx, radius), color(WHITE))
        canvas.paint(ellipse(gaze, y + 0.06 * radius, 0.66 * rx, 0.70 * radius), iris)
        canvas.paint(ellipse(gaze, y + 0.06 * radius, 0.44 * rx, 0.50 * radius), color(INK))
        canvas.paint(ellipse(gaze - 0.22 * rx, y - 0.24 * radius, 0.26 * radius, 0.26 * radius), color(WHITE))
