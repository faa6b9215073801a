"""A model against references, class by class and as a union."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from cocktail import domains
from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.images import resize, to_uint8
from cocktail.metrics.comparison import LEAST_FOR_INTERVALS, Measured, Scores, compare, together
from cocktail.metrics.convergence import factor_modes, modes_covered
from cocktail.metrics.features import FactorReader, FeatureExtractor
from cocktail.metrics.scores import NEIGHBOURS, class_accuracy, frechet_distance
from cocktail.sources import GanSource, ImageSource


@dataclass(frozen=True)
class Report:
    """Scores of a model per class, and of its classes together where there are several.

    distances: Frechet distance of every two references ("cat-dog"): the scale on which a score is small or large.
    """

    features: str
    dim: int
    n: int
    seed: int
    classes: dict[str, Scores]
    union: Scores | None
    distances: dict[str, float]

    def to_dict(self) -> dict:
        """Plain data for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class _Setup:
    extractor: FeatureExtractor
    n: int
    batch: int
    resolution: int


def evaluate(
    gan: Gan, references: Sequence[ImageSource], extractor: FeatureExtractor, n: int = 2000, seed: int = 0,
    intervals: bool = False,
) -> Report:  # fmt: skip
    """Measures a model; see `evaluation`."""
    steps = evaluation(gan, references, extractor, n, seed, intervals=intervals)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value


def evaluation(
    gan: Gan, references: Sequence[ImageSource], extractor: FeatureExtractor, n: int = 2000, seed: int = 0,
    batch: int = 64, intervals: bool = False,
) -> Iterator[tuple[int, int]]:  # fmt: skip
    """Yields (pictures done, pictures in all) and returns the Report.

    Each class that a reference names is sampled n times and compared with n pictures of the reference; another n of
    those give the floor. Pictures are rounded to uint8 on both sides. Same seed, same report. With `intervals` the
    scores get them (`Scores`), which takes seconds a class at n = 2000, and most of a minute for a union of four.

    Raises: CocktailError where no reference fits, two give the same class, or n is too small.
    """
    if n <= NEIGHBOURS or batch < 1:
        raise CocktailError(f"n is {n}, batch is {batch}; expected n > {NEIGHBOURS}, batch > 0.")
    if intervals and n < LEAST_FOR_INTERVALS:
        raise CocktailError(f"n is {n}; intervals need n >= {LEAST_FOR_INTERVALS}: take more, or no intervals.")
    pairs, setup = _match(gan, references), _Setup(extractor, n, batch, gan.resolution)
    done, total = 0, 3 * n * len(pairs)
    measured: dict[str, list[Measured]] = {name: [] for name in pairs}
    for name, (source, index) in pairs.items():
        model = GanSource(gan, (name,) if gan.classes else (), (name,))
        for side, row in ((model, 0), (source, index), (source, index)):
            rng = torch.Generator().manual_seed((seed * 1_000_003 + done // n) % 2**63)
            for count in (streamed := _Stream(_measure(side, row, name, rng, setup))):
                done += count
                yield done, total
            measured[name].append(streamed.result)
    return _report(measured, extractor, n, seed, intervals)


def _match(gan: Gan, references: Sequence[ImageSource]) -> dict[str, tuple[ImageSource, int]]:
    """Class -> its reference and the class's number there, in the model's order of classes."""
    found: dict[str, tuple[ImageSource, int]] = {}
    for source in references:
        for index, name in enumerate(source.classes):
            if name in found:
                raise CocktailError(f"two references stand for the class {name}; give one.")
            found[name] = (source, index)
    if not gan.classes:
        if len(found) != 1:
            given = ", ".join(found) or "none"
            raise CocktailError(f"a model without classes needs a reference of one class; references are for: {given}.")
        return found
    pairs = {name: found[name] for name in gan.classes if name in found}
    if not pairs:
        known, given = ", ".join(gan.classes), ", ".join(found) or "none"
        raise CocktailError(f"no reference for any class of the model ({known}); references are for: {given}.")
    return pairs


def _measure(source: ImageSource, index: int, name: str, rng: torch.Generator, setup: _Setup) -> Iterator[int]:
    """Streams n pictures of a class through the extractor; yields the size of each batch, returns what it measured."""
    extractor = setup.extractor
    reader = extractor if isinstance(extractor, FactorReader) and name in extractor.classes else None
    features, readings = [], []
    for start in range(0, setup.n, setup.batch):
        labels = torch.full((min(setup.batch, setup.n - start),), index, dtype=torch.int64)
        img = to_uint8(resize(source.sample_class(labels, rng), setup.resolution)).cpu()
        features.append(extractor(img).cpu())
        if reader is not None:
            readings.append(reader.read(img, name))
        yield len(labels)
    if reader is None:
        return Measured(torch.cat(features), None, None)
    accuracy = class_accuracy(torch.cat([found.class_logits for found in readings]), reader.classes.index(name))
    factors = {key: torch.cat([found.factors[key] for found in readings]) for key in readings[0].factors}
    return Measured(torch.cat(features), accuracy, factors["yaw"], _modes(name, factors))


def _modes(name: str, factors: Mapping[str, Tensor]) -> float | None:
    """Share of the combinations of a drawn domain's binary factors that occur; None where it has none."""
    binary = domains.get(name).binary if name in domains.names() else ()
    known = {factor: factors[factor] for factor in binary if factor in factors}
    return modes_covered(*factor_modes(known)).share if known else None


class _Stream:
    """Iterates over a generator and keeps what it returns in `result`."""

    def __init__(self, steps: Iterator[int]):
        self._steps = steps

    def __iter__(self) -> Iterator[int]:
        self.result = yield from self._steps


def _report(
    measured: dict[str, list[Measured]], extractor: FeatureExtractor, n: int, seed: int, intervals: bool
) -> Report:
    classes = {name: compare(*sides, intervals, seed) for name, sides in measured.items()}
    union = None
    if len(measured) > 1:
        union = compare(*(together(sides) for sides in zip(*measured.values())), intervals, seed)
    pairs = itertools.combinations(measured, 2)
    distances = {f"{a}-{b}": frechet_distance(measured[a][1].features, measured[b][1].features) for a, b in pairs}
    return Report(extractor.name, extractor.dim, n, seed, classes, union, distances)
