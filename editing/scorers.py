"""What ranks pictures so that a direction can be found: image statistics, the oracle, classifiers, lists of labels."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from cocktail import domains
from cocktail.domains.oracle import load_oracle
from cocktail.errors import CocktailError
from cocktail.images import from_uint8
from cocktail.seeds import MAX_SEED
from editing.onnx_scorer import OnnxScorer

__all__ = [
    "STATISTICS",
    "OnnxScorer",
    "OracleFactor",
    "Scorer",
    "Statistic",
    "available",
    "extremes",
    "read_csv",
    "scorer",
]

MAX_LINES = 100_000
MAX_CSV_BYTES = 10 << 20
COLUMNS = ("seed", "label", "class")
LABELS = {"+": True, "1": True, "+1": True, "yes": True, "true": True,
          "-": False, "0": False, "-1": False, "no": False, "false": False}  # fmt: skip
LUMA = (0.2126, 0.7152, 0.0722)  # Rec. 709, on the values as they are stored


class Scorer(Protocol):
    """Maps uint8 [N, 3, H, W] to float32 [N], more of something where higher; `name` says of what."""

    name: str

    def __call__(self, img: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Statistic:
    """A number that can be computed from the pixels of a picture: float32 [N, 3, H, W] in [0, 1] -> float32 [N]."""

    name: str
    compute: Callable[[Tensor], Tensor]

    def __call__(self, img: Tensor) -> Tensor:
        return self.compute(img.float() / 255)


def _luma(x: Tensor) -> Tensor:
    return (x * x.new_tensor(LUMA).view(3, 1, 1)).sum(dim=1)


def _saturation(x: Tensor) -> Tensor:
    greatest, least = x.amax(dim=1), x.amin(dim=1)
    return ((greatest - least) / greatest.clamp_min(1e-6)).mean(dim=(1, 2))


def _colourfulness(x: Tensor) -> Tensor:
    """Hasler and Suesstrunk, "Measuring colourfulness in natural images", 2003, eq. for M3."""
    red, green, blue = x.unbind(dim=1)
    opposed = torch.stack([red - green, (red + green) / 2 - blue], dim=1).flatten(2)
    return opposed.std(dim=2, correction=0).norm(dim=1) + 0.3 * opposed.mean(dim=2).norm(dim=1)


def _edges(x: Tensor) -> Tensor:
    y = _luma(x)
    return y.diff(dim=1).abs().mean(dim=(1, 2)) + y.diff(dim=2).abs().mean(dim=(1, 2))


def _halves(x: Tensor, dim: int) -> Tensor:
    """Brightness of the first half along a dimension of [N, H, W] minus that of the second."""
    y, half = _luma(x), x.shape[dim + 1] // 2
    first, second = y.narrow(dim, 0, half), y.narrow(dim, y.shape[dim] - half, half)
    return (first - second).mean(dim=(1, 2))


def _centre(x: Tensor) -> Tensor:
    """Brightness of the middle quarter of the picture minus that of the whole."""
    y = _luma(x)
    rows, columns = y.shape[1] // 4, y.shape[2] // 4
    return y[:, rows : y.shape[1] - rows, columns : y.shape[2] - columns].mean(dim=(1, 2)) - y.mean(dim=(1, 2))


STATISTICS = {
    entry.name: entry
    for entry in (
        Statistic("brightness", lambda x: _luma(x).mean(dim=(1, 2))),
        Statistic("contrast", lambda x: _luma(x).flatten(1).std(dim=1, correction=0)),
        Statistic("saturation", _saturation),
        Statistic("colourfulness", _colourfulness),
        Statistic("warmth", lambda x: (x[:, 0] - x[:, 2]).mean(dim=(1, 2))),
        Statistic("greenness", lambda x: (x[:, 1] - (x[:, 0] + x[:, 2]) / 2).mean(dim=(1, 2))),
        Statistic("edge density", _edges),
        Statistic("brightness of left over right", lambda x: _halves(x, 2)),
        Statistic("brightness of top over bottom", lambda x: _halves(x, 1)),
        Statistic("brightness of the centre", _centre),
        Statistic("mirror symmetry", lambda x: -(x - x.flip(3)).abs().mean(dim=(1, 2, 3))),
    )
}


@dataclass(frozen=True)
class OracleFactor:
    """A factor of a drawn class as the oracle reads it, binary ones as a probability.

    Raises: CocktailError where no drawn class or no factor of it has that name.
    """

    label: str
    factor: str

    def __post_init__(self) -> None:
        known = domains.get(self.label).factors
        if self.factor not in known:
            raise CocktailError(f"{self.label} has no factor {self.factor!r}; it has {', '.join(known)}.")

    @property
    def name(self) -> str:
        return f"{self.label}: {self.factor}"

    def __call__(self, img: Tensor) -> Tensor:
        return load_oracle().read(from_uint8(img), self.label).factors[self.factor]


def available(classes: Sequence[str]) -> list[str]:
    """Names of what can score pictures of these classes: the statistics, and the factors of those that can be drawn."""
    drawn = [name for name in classes if name in domains.names()]
    return [*STATISTICS, *(OracleFactor(name, factor).name for name in drawn for factor in domains.get(name).factors)]


def scorer(name: str) -> Scorer:
    """The scorer of a name that `available` lists.

    Raises: CocktailError on any other name.
    """
    if name in STATISTICS:
        return STATISTICS[name]
    label, colon, factor = name.partition(": ")
    if not colon:
        raise CocktailError(f"No scorer is called {name!r}; known: {', '.join(STATISTICS)}, or CLASS: FACTOR.")
    return OracleFactor(label, factor)


def extremes(scores: Tensor, per_side: int) -> tuple[Tensor, Tensor]:
    """Labels the highest and the lowest scores and drops the middle (InterFaceGAN, section 3): clear cases teach best.

    scores: float32 [N]. Returns (labels bool [2 per_side], index int64 [2 per_side] of the scores that they are for).
    Raises: CocktailError where there are too few scores, one is not finite, or the two sides meet in one value.
    """
    if not 1 <= per_side <= len(scores) // 2:
        raise CocktailError(
            f"{per_side} of each side asked of {len(scores)} scores; at most {len(scores) // 2} can be."
        )
    if broken := int((~torch.isfinite(scores)).sum()):
        raise CocktailError(f"{broken} of {len(scores)} scores are not finite; this scorer does not fit the pictures.")
    order = scores.argsort(stable=True)
    low, high = order[:per_side], order[-per_side:]
    if scores[low[-1]] >= scores[high[0]]:
        raise CocktailError(
            f"The lowest {per_side} and the highest {per_side} scores meet at {scores[high[0]].item():g}: the pictures "
            "differ too little in it. Take fewer of each side, or another scorer."
        )
    return torch.arange(2 * per_side) >= per_side, torch.cat([low, high])


def read_csv(source: Path | str) -> list[tuple[int, str | None, bool]]:
    """Reads labels as (seed, class or None, positive): a Path is opened, a str is the text itself.

    Columns are seed, label[, class], in any order under a header, separated by commas, semicolons or tabs. Labels are
    + 1 yes true and - 0 -1 no false. The same line twice counts once.

    Raises: CocktailError that names the line which cannot be read, or the seeds that are labelled both ways.
    """
    text = _text(source) if isinstance(source, Path) else source
    found: dict[tuple[int, str | None], bool] = {}
    conflicts: dict[tuple[int, str | None], None] = {}
    for line, seed, label, group in _lines(text.removeprefix("\ufeff")):
        key, positive = (_seed(seed, line), group or None), LABELS.get(label.lower())
        if positive is None:
            raise CocktailError(f"Line {line}: the label {label!r:.40} is none of {' '.join(LABELS)}.")
        if found.setdefault(key, positive) != positive:
            conflicts[key] = None
    if conflicts:
        few = ", ".join(f"{seed} ({group})" if group else str(seed) for seed, group in list(conflicts)[:5])
        raise CocktailError(f"{len(conflicts)} seeds are labelled both + and -: {few}. Leave one label for each.")
    if not found:
        raise CocktailError("The file holds no labels; expected lines like 17,+ or 17,+,cat.")
    return [(seed, group, positive) for (seed, group), positive in found.items()]


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_CSV_BYTES:
            raise CocktailError(f"{path.name} has {path.stat().st_size:,} bytes; at most {MAX_CSV_BYTES:,} are read.")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise CocktailError(f"{path.name} cannot be read: {reason}. Save it as CSV.") from error


def _lines(text: str) -> Iterator[tuple[int, str, str, str]]:
    """(line number, seed, label, class or "") of every line that is neither empty nor the header."""
    separator = next((mark for mark in ";\t" if mark in text[:1000].partition("\n")[0]), ",")
    columns, first = COLUMNS, True
    reader = csv.reader(io.StringIO(text), delimiter=separator)
    try:
        for row in reader:
            if reader.line_num > MAX_LINES:
                raise CocktailError(f"The file has more than {MAX_LINES:,} lines; split it.")
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if first and "seed" in (names := tuple(cell.lower() for cell in cells)):
                columns, first = _header(names), False
                continue
            first = False
            if not 2 <= len(cells) <= len(columns):
                raise CocktailError(
                    f"Line {reader.line_num}: {len(cells)} columns found; expected {', '.join(columns)}."
                )
            given = dict(zip(columns, cells))
            yield reader.line_num, *(given.get(name, "") for name in COLUMNS)
    except csv.Error as error:
        raise CocktailError(f"Line {reader.line_num}: {error}.") from error


def _header(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names) or not {"seed", "label"} <= set(names) <= set(COLUMNS):
        raise CocktailError(f"Line 1: the header names {', '.join(names)}; expected seed, label and perhaps class.")
    return names


def _seed(text: str, line: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= MAX_SEED):
        raise CocktailError(f"Line {line}: the seed {text!r:.40} is no whole number from 0 to {MAX_SEED}.")
    return int(text)
