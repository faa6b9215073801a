"""The kinds of edits: each is a frozen dataclass that gives its code and describes itself; leaves are latents."""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from cocktail.errors import CocktailError
from cocktail.gan import Gan, latents
from editing import interpolation, mixing
from editing.directions import move

MAX_NUMBERS = 18 * 1024  # of one code: StyleGAN2 at 1024 pixels has 18 x 512


@dataclass(frozen=True)
class Array:
    """A float32 tensor as plain data: base64 of its bytes, little-endian, and its shape."""

    data: str
    shape: tuple[int, ...]

    @classmethod
    def of(cls, values: Tensor) -> "Array":
        plain = np.ascontiguousarray(values.detach().cpu().float().numpy(), dtype="<f4")
        return cls(base64.b64encode(plain.tobytes()).decode(), tuple(values.shape))

    def tensor(self) -> Tensor:
        """Raises: CocktailError where bytes and shape do not fit or a number is not finite."""
        try:
            raw = base64.b64decode(self.data, validate=True)
        except ValueError as error:
            raise CocktailError("A latent code in the settings is damaged (no base64). Use the original.") from error
        count = math.prod(self.shape) if 1 <= len(self.shape) <= 2 and all(side > 0 for side in self.shape) else 0
        if not 0 < count <= MAX_NUMBERS or len(raw) != 4 * count:
            raise CocktailError(
                f"A latent code in the settings has {len(raw)} bytes, which do not fit its shape {list(self.shape)}."
            )
        values = torch.from_numpy(np.frombuffer(raw, "<f4").reshape(self.shape).copy())
        if not torch.isfinite(values).all():
            raise CocktailError("A latent code holds NaN or infinite values. Make it again, or use another file.")
        return values


@dataclass(frozen=True)
class Seed:
    """A sample: z of a seed, class, psi, and the number of layers that psi acts on (None = all)."""

    kind: ClassVar[str] = "seed"
    label: str | None
    seed: int
    psi: float = 1.0
    cutoff: int | None = None

    def code(self, gan: Gan) -> Tensor:
        return gan.map(latents([self.seed], gan.z_dim), self.label, self.psi, self.cutoff)[0]

    def describe(self) -> str:
        return f"{self.label} #{self.seed}" if self.label else f"#{self.seed}"


@dataclass(frozen=True)
class Code:
    """A code that no seed gives, such as that of an inverted photo; `origin` says in a line where it is from."""

    kind: ClassVar[str] = "code"
    label: str | None
    w: Array
    origin: str

    def code(self, gan: Gan) -> Tensor:
        ws = self.w.tensor()
        if tuple(ws.shape) != (gan.num_ws, gan.w_dim):
            raise CocktailError(
                f"{self.origin}: the code has shape {list(ws.shape)}; this model needs {[gan.num_ws, gan.w_dim]}."
            )
        return ws.to(gan.device)

    def describe(self) -> str:
        return self.origin


@dataclass(frozen=True)
class Way:
    """The code at position `at`, 0 to 1, of the way through `keys`; see editing.interpolation."""

    kind: ClassVar[str] = "way"
    keys: tuple["Node", ...]
    at: float
    space: str = "w+"
    easing: str = "linear"
    closed: bool = False
    stagger: float = 0.0

    @property
    def label(self) -> str | None:
        return self.keys[self._nearest()].label

    def _nearest(self) -> int:
        first, second, t = interpolation.segment(self.at, len(self.keys), self.closed, self.easing)
        return second if t > 0.5 else first

    def code(self, gan: Gan) -> Tensor:
        if self.space not in interpolation.SPACES:
            raise CocktailError(f"The space {self.space!r} is unknown; known: {', '.join(interpolation.SPACES)}.")
        first, second, t = interpolation.segment(self.at, len(self.keys), self.closed, self.easing)
        a, b = self.keys[first], self.keys[second]
        if self.space == "z":
            a, b = self._on_sphere(gan, a, b, t)
        else:
            a, b = a.code(gan), b.code(gan)
        if self.space == "w":
            a, b = (code.mean(dim=0, keepdim=True).repeat(len(code), 1) for code in (a, b))
        return interpolation.between(a, b, t, self.stagger)

    def _on_sphere(self, gan: Gan, a: "Node", b: "Node", t: float) -> tuple[Tensor, Tensor]:
        """One z between the two, seen as each end's class with its psi."""
        for node in (a, b):
            if not isinstance(node, Seed):
                raise CocktailError(f"“{node.describe()}” has no z: it is not a plain sample. Choose w or w+ instead.")
        z = interpolation.slerp(latents([a.seed], gan.z_dim), latents([b.seed], gan.z_dim), t)
        ends = [gan.map(z, node.label, node.psi, node.cutoff)[0] for node in (a, b)]
        return ends[0], ends[1]

    def describe(self) -> str:
        first, second, t = interpolation.segment(self.at, len(self.keys), self.closed, self.easing)
        if t in (0, 1):
            return self.keys[second if t else first].describe()
        return f"{self.keys[first].describe()} → {self.keys[second].describe()}, {t:.2f} in {self.space}"


@dataclass(frozen=True)
class Blend:
    """The weighted mean of several codes."""

    kind: ClassVar[str] = "blend"
    parts: tuple["Node", ...]
    weights: tuple[float, ...]

    @property
    def label(self) -> str | None:
        return self.parts[max(range(len(self.weights)), key=self.weights.__getitem__)].label

    def code(self, gan: Gan) -> Tensor:
        if not self.parts:
            raise CocktailError("A mixture needs at least one picture.")
        return interpolation.barycentric(torch.stack([part.code(gan) for part in self.parts]), self.weights)

    def describe(self) -> str:
        total = sum(self.weights) or 1
        shares = [f"{part.describe()} {weight / total:.0%}" for part, weight in zip(self.parts, self.weights) if weight]
        return " + ".join(shares)


@dataclass(frozen=True)
class Mix:
    """`content` with some layers from `style`: one amount from 0 to 1 per layer."""

    kind: ClassVar[str] = "mix"
    content: "Node"
    style: "Node"
    amounts: tuple[float, ...]

    @property
    def label(self) -> str | None:
        return self.content.label

    def code(self, gan: Gan) -> Tensor:
        return mixing.mix(self.content.code(gan), self.style.code(gan), self.amounts)

    def describe(self) -> str:
        taken = [i for i, amount in enumerate(self.amounts) if amount]
        if not taken:
            return self.content.describe()
        layers = f"layer {taken[0]}" if len(taken) == 1 else f"layers {taken[0]}-{taken[-1]}"
        return f"{self.content.describe()} with {layers} of {self.style.describe()}"


@dataclass(frozen=True)
class Move:
    """`base` moved by `distance` (in units of w) along a direction, float32 [w_dim], on the layers first..last."""

    kind: ClassVar[str] = "move"
    base: "Node"
    name: str
    vector: Array
    distance: float
    sigmas: float
    first: int
    last: int

    @property
    def label(self) -> str | None:
        return self.base.label

    def code(self, gan: Gan) -> Tensor:
        return move(self.base.code(gan), self.vector.tensor(), self.distance, (self.first, self.last))

    def describe(self) -> str:
        moved = f", {self.name} {self.sigmas:+.1f}σ" if self.sigmas else ""
        return self.base.describe() + moved


Node = Seed | Code | Way | Blend | Mix | Move
KINDS = {kind.kind: kind for kind in (Seed, Code, Way, Blend, Mix, Move)}


def count_nodes(node: Node) -> int:
    return 1 + sum(count_nodes(child) for child in children(node))


def children(node: Node) -> Sequence[Node]:
    """The nodes that a node is made from."""
    found = [getattr(node, field.name) for field in fields(node)]
    return [child for value in found for child in (value if isinstance(value, tuple) else (value,))
            if isinstance(child, Node)]  # fmt: skip
