"""A model against references, class by class and as a union."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.images import resize, to_uint8
from cocktail.metrics.features import FactorReader, FeatureExtractor
from cocktail.metrics.scores import class_accuracy, frechet_distance, precision_recall
from cocktail.sources import GanSource, ImageSource

NEIGHBOURS = 5  # k of precision and recall


@dataclass(frozen=True)
class Scores:
    """Scores of n samples against n reference pictures; None where they cannot be had.

    frechet: distance of samples and reference; floor: of two independent halves of the reference, so 0 is out of reach;
    class_accuracy: share that the reader takes for their class; yaw_std, reference_yaw_std: spread of the yaw it reads.
    """

    n: int
    frechet: float
    floor: float
    precision: float
    recall: float
    class_accuracy: float | None = None
    yaw_std: float | None = None
    reference_yaw_std: float | None = None


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
class _Measured:
    """features float32 [n, dim]; accuracy and yaw (float32 [n]) are None without a reader that knows the class."""

    features: Tensor
    accuracy: float | None
    yaw: Tensor | None


@dataclass(frozen=True)
class _Setup:
    extractor: FeatureExtractor
    n: int
    batch: int
    resolution: int


def evaluate(
    gan: Gan, references: Sequence[ImageSource], extractor: FeatureExtractor, n: int = 2000, seed: int = 0
) -> Report:
    """Measures a model; see `evaluation`."""
    steps = evaluation(gan, references, extractor, n, seed)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value


def evaluation(
    gan: Gan, references: Sequence[ImageSource], extractor: FeatureExtractor, n: int = 2000, seed: int = 0,
    batch: int = 64,
) -> Iterator[tuple[int, int]]:  # fmt: skip
    """Yields (pictures done, pictures in all) and returns the Report.

    Each class that a reference names is sampled n times and compared with n pictures of the reference; another n of
    those give the floor. Pictures are rounded to uint8 on both sides. Same seed, same report.

    Raises: CocktailError where no reference fits, two give the same class, or n is too small.
    """
    if n <= NEIGHBOURS or batch < 1:
        raise CocktailError(f"n is {n}, batch is {batch}; expected n > {NEIGHBOURS}, batch > 0.")
    pairs, setup = _match(gan, references), _Setup(extractor, n, batch, gan.resolution)
    done, total = 0, 3 * n * len(pairs)
    measured: dict[str, list[_Measured]] = {name: [] for name in pairs}
    for name, (source, index) in pairs.items():
        model = GanSource(gan, (name,) if gan.classes else (), (name,))
        for side, row in ((model, 0), (source, index), (source, index)):
            rng = torch.Generator().manual_seed((seed * 1_000_003 + done // n) % 2**63)
            for count in (streamed := _Stream(_measure(side, row, name, rng, setup))):
                done += count
                yield done, total
            measured[name].append(streamed.result)
    return _report(measured, extractor, n, seed)


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
    features, logits, yaws = [], [], []
    for start in range(0, setup.n, setup.batch):
        labels = torch.full((min(setup.batch, setup.n - start),), index, dtype=torch.int64)
        img = to_uint8(resize(source.sample_class(labels, rng), setup.resolution)).cpu()
        features.append(extractor(img).cpu())
        if reader is not None:
            reading = reader.read(img, name)
            logits.append(reading.class_logits)
            yaws.append(reading.factors["yaw"])
        yield len(labels)
    if reader is None:
        return _Measured(torch.cat(features), None, None)
    accuracy = class_accuracy(torch.cat(logits), reader.classes.index(name))
    return _Measured(torch.cat(features), accuracy, torch.cat(yaws))


class _Stream:
    """Iterates over a generator and keeps what it returns in `result`."""

    def __init__(self, steps: Iterator[int]):
        self._steps = steps

    def __iter__(self) -> Iterator[int]:
        self.result = yield from self._steps


def _report(measured: dict[str, list[_Measured]], extractor: FeatureExtractor, n: int, seed: int) -> Report:
    classes = {name: _scores(*parts) for name, parts in measured.items()}
    union = None
    if len(measured) > 1:
        union = _scores(*(_together(parts) for parts in zip(*measured.values())))
    pairs = itertools.combinations(measured, 2)
    distances = {f"{a}-{b}": frechet_distance(measured[a][1].features, measured[b][1].features) for a, b in pairs}
    return Report(extractor.name, extractor.dim, n, seed, classes, union, distances)


def _together(parts: Sequence[_Measured]) -> _Measured:
    """All classes in equal shares; accuracy is the mean, and None where one class is unknown to the reader."""
    known = all(part.accuracy is not None for part in parts)
    accuracy = sum(part.accuracy for part in parts) / len(parts) if known else None
    yaw = torch.cat([part.yaw for part in parts]) if known else None
    return _Measured(torch.cat([part.features for part in parts]), accuracy, yaw)


def _scores(sample: _Measured, first: _Measured, second: _Measured) -> Scores:
    precision, recall = precision_recall(first.features, sample.features, NEIGHBOURS)
    return Scores(
        n=len(sample.features),
        frechet=frechet_distance(sample.features, first.features),
        floor=frechet_distance(second.features, first.features),
        precision=precision,
        recall=recall,
        class_accuracy=sample.accuracy,
        yaw_std=sample.yaw.std().item() if sample.yaw is not None else None,
        reference_yaw_std=first.yaw.std().item() if first.yaw is not None else None,
    )
