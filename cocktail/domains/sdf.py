"""Flat pictures from signed distances: shapes, their combinations, and a canvas that lays them on each other.

Shapes live on the plane [-1,1] x [-1,1], x to the right, y down. Every parameter of a shape is a float or a float32
[n,1,1,1], one value per picture. Distances follow I. Quilez, "2D distance functions"; that of an ellipse is the
first-order one (Taubin 1991), exact on the outline, which is where anti-aliasing looks at it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Number = Tensor | float  # float32 [n,1,1,1] or one value for all pictures
TINY = 1e-6


@dataclass(frozen=True)
class Shape:
    """A region: its distance function and a box (left, top, right, bottom) outside of which nothing is drawn.

    distance maps x float32 [1,1,1,W] and y float32 [1,1,H,1] to float32 [n,1,H,W], negative inside.
    """

    distance: Callable[[Tensor, Tensor], Tensor]
    box: tuple[Number, Number, Number, Number]


def ellipse(x: Number, y: Number, rx: Number, ry: Number) -> Shape:
    """An ellipse with centre (x, y) and half axes rx, ry."""

    def distance(px: Tensor, py: Tensor) -> Tensor:
        u, v = ((px - x) / (rx + TINY)).square(), ((py - y) / (ry + TINY)).square()
        level = (u + v).sqrt_()
        slope = (u / (rx * rx + TINY) + v / (ry * ry + TINY) + TINY).rsqrt_()
        return (level - 1).mul_(level).mul_(slope)

    return Shape(distance, (x - rx, y - ry, x + rx, y + ry))


def tilted_ellipse(x: Number, y: Number, rx: Number, ry: Number, angle: Number) -> Shape:
    """An ellipse turned clockwise (as y points down) by `angle` radians."""
    angle = torch.as_tensor(angle, dtype=torch.float32)
    cos, sin = torch.cos(angle), torch.sin(angle)

    def distance(px: Tensor, py: Tensor) -> Tensor:
        dx, dy = px - x, py - y
        u = ((cos / rx) * dx + (sin / rx) * dy).square_()
        v = ((cos / ry) * dy - (sin / ry) * dx).square_()
        level = (u + v).sqrt_()
        slope = u.div_(rx * rx).add_(v.div_(ry * ry)).add_(TINY).rsqrt_()
        return (level - 1).mul_(level).mul_(slope)

    half_x = ((rx * cos) ** 2 + (ry * sin) ** 2) ** 0.5
    half_y = ((rx * sin) ** 2 + (ry * cos) ** 2) ** 0.5
    return Shape(distance, (x - half_x, y - half_y, x + half_x, y + half_y))


def rounded_box(x: Number, y: Number, half_w: Number, half_h: Number, radius: Number) -> Shape:
    """An axis-parallel box with rounded corners; a radius of at least a pixel is assumed, the inside is flat."""

    def distance(px: Tensor, py: Tensor) -> Tensor:
        u = ((px - x).abs_() - (half_w - radius)).clamp_(min=0).square_()
        v = ((py - y).abs_() - (half_h - radius)).clamp_(min=0).square_()
        return (u + v).sqrt_().sub_(radius)

    return Shape(distance, (x - half_w, y - half_h, x + half_w, y + half_h))


def stroke(x: Number, y: Number, half_w: Number, bend: Number, radius: Number, lean: Number = 0.0) -> Shape:
    """A thick, nearly horizontal stroke with round ends: a parabola whose middle lies `bend` below its ends.

    (x, y) is the middle of the chord; `lean` is the height (downwards) that the right end has over the middle.
    """

    def distance(px: Tensor, py: Tensor) -> Tensor:
        along = (px - x) / (half_w + TINY)
        inside = along.clamp(-1, 1)
        height = y + bend * (1 - inside.square()) + lean * inside
        steep = (lean - 2 * bend * inside) / (half_w + TINY)
        over = ((along - inside) * half_w).square_()
        return ((py - height).square_() / (1 + steep.square()) + over).sqrt_().sub_(radius)

    reach = abs(bend) + abs(lean) + radius
    return Shape(distance, (x - half_w - radius, y - reach, x + half_w + radius, y + reach))


def wedge(x: Number, y: Number, left: Number, right: Number, height: Number, radius: Number) -> Shape:
    """A triangle with a rounded tip at (x, y) that opens downwards to (left, y+height), (right, y+height)."""

    def distance(px: Tensor, py: Tensor) -> Tensor:
        dx, dy = px - x, py - y
        norm_l, norm_r = (height**2 + (x - left) ** 2) ** 0.5, (height**2 + (right - x) ** 2) ** 0.5
        a = ((-height / norm_l) * dx - ((x - left) / norm_l) * dy + radius).clamp_(min=0).square_()
        b = ((height / norm_r) * dx - ((right - x) / norm_r) * dy + radius).clamp_(min=0).square_()
        return torch.maximum(a.add_(b).sqrt_().sub_(radius), dy - height)

    return Shape(distance, (_least(left, x) - radius, y - radius, -_least(-right, -x) + radius, y + height))


def intersect(inner: Shape, outer: Shape) -> Shape:
    """The part of `inner` that lies in `outer`."""
    return Shape(lambda px, py: torch.maximum(inner.distance(px, py), outer.distance(px, py)), inner.box)


def outline(shape: Shape, half_width: Number) -> Shape:
    """A line of thickness 2 half_width along the border of a shape."""
    grown = tuple(edge + sign * half_width for edge, sign in zip(shape.box, (-1, -1, 1, 1)))
    return Shape(lambda px, py: shape.distance(px, py).abs_().sub_(half_width), grown)


class Canvas:
    """n square pictures, painted from back to front with anti-aliased edges one pixel wide."""

    def __init__(self, n: int, resolution: int):
        self.pixel = 2 / resolution
        self.centres = (torch.arange(resolution, dtype=torch.float32) + 0.5) * self.pixel - 1
        self.img = torch.zeros(n, 3, resolution, resolution)  # float32, colours in [0,1]

    def fill(self, top: Tensor, bottom: Tensor) -> None:
        """Paints a vertical gradient between two colours, float32 [n,3,1,1]."""
        self.img.copy_(top + (bottom - top) * ((self.centres + 1) / 2).view(1, 1, -1, 1))

    def paint(self, shape: Shape, color: Tensor, opacity: Number = 1.0) -> None:
        """Lays a shape in one colour, float32 [n or 1,3,1,1] in [0,1], over what is there."""
        left, top, right, bottom = (self._edge(edge, side) for edge, side in zip(shape.box, (-1, -1, 1, 1)))
        if left >= right or top >= bottom:
            return
        px, py = self.centres[left:right].view(1, 1, 1, -1), self.centres[top:bottom].view(1, 1, -1, 1)
        cover = shape.distance(px, py).mul_(-1 / self.pixel).add_(0.5).clamp_(0, 1)
        if not isinstance(opacity, float) or opacity != 1.0:
            cover = cover * opacity
        self.img[:, :, top:bottom, left:right].lerp_(color, cover)

    def _edge(self, edge: Number, side: int) -> int:
        """The first or last column (row) that a shape can touch in any picture, with a pixel to spare."""
        if isinstance(edge, Tensor):
            edge = float(edge.min() if side < 0 else edge.max())
        place = (edge + 1) / self.pixel + side * 1.5
        size = len(self.centres)
        return min(max(int(place) + (side > 0), 0), size)


def _least(a: Number, b: Number) -> Number:
    return torch.minimum(torch.as_tensor(a), torch.as_tensor(b))
