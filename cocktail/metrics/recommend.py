"""Which model to make the root, from samples alone: a rough guide, as those say who found it.

Grigoryev et al., "When, Why, and Which Pretrained GANs Are Useful?", ICLR 2022, section 5: of several pretrained models
the one whose samples cover the target best (recall) transfers best, the Frechet distance being a guide beside it.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

import torch
from torch import Tensor

from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.images import resize
from cocktail.metrics import lpips
from cocktail.metrics.diversity import feature_diversity, picture_diversity
from cocktail.metrics.embedding import Embedding, total_deviation
from cocktail.metrics.features import FeatureExtractor, features_of, sample_features
from cocktail.metrics.kernels import kernel_distance
from cocktail.metrics.scores import frechet_distance, precision_recall
from cocktail.networks import architecture_of, can_be_root
from cocktail.sources import GanSource

MAX_DIM = 64
NEIGHBOURS = 5  # k of precision and recall
LEAST = 32  # pictures of each model
LOOKS = 64  # pairs of pictures of each model that LPIPS compares
BETTER = {"recall": 1, "frechet": -1, "kid": -1, "precision": 1, "diversity": 1, "lpips": 1}  # 1: large is good


@dataclass(frozen=True)
class Row:
    """A candidate's scores: means over the other models, n samples each.

    frechet: embedded Frechet distance to the others' samples, >= 0, small is near; recall: share of the others'
    samples that lie among the candidate's; precision: the reverse; diversity: mean feature distance of two of its own
    samples; eligible: it can be the root; remark: what speaks against it, "" if nothing does.
    kid: kernel distance (KID) to the others' samples, small is near, below 0 by chance only; lpips: mean LPIPS of two
    of its samples of one class, None where LPIPS is not at hand or the pictures are too small for it.
    """

    frechet: float
    recall: float
    precision: float
    diversity: float
    eligible: bool
    remark: str
    kid: float | None = None
    lpips: float | None = None


@dataclass(frozen=True)
class Recommendation:
    """The candidates' rows, the one to take as the root, and the reason in sentences.

    picks: score -> the root that it alone would choose of those that `best` was chosen of: by recall (as `best`),
    frechet, kid, precision, diversity, and lpips where it is at hand. Equals are told apart by the Frechet distance; a
    score that leaves equals picks none, as frechet and kid do of two models, being the same both ways.
    """

    features: str
    dim: int
    n: int
    seed: int
    rows: dict[str, Row]
    best: str
    reason: str
    picks: dict[str, str] = field(default_factory=dict)

    @property
    def scores(self) -> list[str]:
        """The scores that were measured."""
        return _measured(self.rows)

    def to_dict(self) -> dict:
        """Plain data for JSON."""
        return asdict(self)


def recommend(sources: Mapping[str, GanSource], n: int = 500, seed: int = 0) -> Recommendation:
    """Measures the candidates; see `recommendation`."""
    steps = recommendation(sources, n, seed)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value


def recommendation(sources: Mapping[str, GanSource], n: int = 500, seed: int = 0) -> Iterator[tuple[int, int]]:
    """Yields (pictures done, pictures in all) and returns the Recommendation; a folder of pictures cannot be the root
    and is no candidate.

    All models are seen in one space: the features of all their discriminators side by side, each of unit variance in
    all, or pixels where none has a discriminator; of these, 64 principal components and what lies beside them.
    Of the models that can be the root, those with a discriminator go first; then recall decides, then the distance,
    then who was named first.

    Raises: CocktailError where there are fewer than two models, n is too small, or none can be the root.
    """
    if len(sources) < 2 or n < LEAST:
        raise CocktailError(f"{len(sources)} models, n is {n}; a choice needs two models or more and n >= {LEAST}.")
    rows = {name: _standing(source) for name, source in sources.items()}
    if not any(eligible for eligible, _ in rows.values()):
        raise CocktailError(
            "no model can be the root: " + "; ".join(f"{name} {why}" for name, (_, why) in rows.items()) + "."
        )
    extractors = _extractors([source.gan for source in sources.values()])
    done, found = 0, {}
    for number, (name, source) in enumerate(sources.items()):
        rng, parts = torch.Generator().manual_seed((seed * 1_000_003 + number) % 2**63), []
        for part in sample_features(source, torch.arange(n) % len(source.classes), rng, extractors):
            parts.append(part)
            done += len(part[0])
            yield done, n * len(sources)
        found[name] = [torch.cat(columns) for columns in zip(*parts)]
    points, looks = _common(found), _looks(sources, seed)
    between = {frozenset(pair): _distances(*map(points.get, pair)) for pair in itertools.combinations(points, 2)}
    scored = {
        name: replace(_row(name, points, between, *standing), lpips=looks[name]) for name, standing in rows.items()
    }
    best = _ranked(scored, "recall")[0]
    title = "; ".join(dict.fromkeys(extractor.name for extractor in extractors))
    dim = next(iter(points.values())).shape[1]
    return Recommendation(title, dim, n, seed, scored, best, _reason(best, scored), _picks(scored))


def _standing(source: GanSource) -> tuple[bool, str]:
    """Whether a model can be the root, and what speaks against it."""
    if len(source.classes) < len(source.gan.classes):
        taken = f"only {len(source.classes)} of its {len(source.gan.classes)} classes are taken"
        return False, f"cannot be the root: {taken}"
    if not can_be_root(source.gan.generator):
        return False, f"cannot be the root: {architecture_of(source.gan.generator).name} models can teach only"
    return True, "" if source.gan.discriminator is not None else "no discriminator: a new one must be trained"


def _extractors(gans: Sequence[Gan]) -> list[FeatureExtractor]:
    judges = [gan for gan in gans if gan.discriminator is not None]
    return [features_of(gan) for gan in judges or gans[:1]]


def _common(found: Mapping[str, Sequence[Tensor]]) -> dict[str, Tensor]:
    """Features of every extractor, float32 [n, dim] each, as points of one space: float64 [n, <= 65]."""
    scales = [max(total_deviation(torch.cat(block)), 1e-8) for block in zip(*found.values())]
    joined = {name: torch.cat([b / s for b, s in zip(blocks, scales)], dim=1) for name, blocks in found.items()}
    embedding = Embedding.of(torch.cat(list(joined.values())), MAX_DIM)
    return {name: embedding(features) for name, features in joined.items()}


def _row(
    name: str, points: Mapping[str, Tensor], between: Mapping[frozenset, tuple[float, float]], eligible: bool,
    remark: str,
) -> Row:  # fmt: skip
    others = [other for other in points if other != name]
    pairs = [precision_recall(points[other], points[name], NEIGHBOURS) for other in others]
    frechet, kid = zip(*(between[frozenset((name, other))] for other in others))
    return Row(
        frechet=sum(frechet) / len(others),
        recall=sum(recall for _, recall in pairs) / len(pairs),
        precision=sum(precision for precision, _ in pairs) / len(pairs),
        diversity=feature_diversity(points[name]),
        eligible=eligible,
        remark=remark,
        kid=sum(kid) / len(others),
    )


def _distances(a: Tensor, b: Tensor) -> tuple[float, float]:
    """Frechet distance and KID of points float64 [n, k] whose total variance is about 1: the kernel looks at x.y / k,
    which would be near 0 and see little but means."""
    units = a.shape[1] ** 0.5
    return frechet_distance(a, b), kernel_distance(units * a, units * b)[0]


def _looks(sources: Mapping[str, GanSource], seed: int) -> dict[str, float | None]:
    """Mean LPIPS of two samples of one class, all at the size of the smallest model; None where it cannot be had."""
    size = min(source.resolution for source in sources.values())
    channels = {getattr(source.gan.generator.config, "img_channels", 3) for source in sources.values()}
    if size < lpips.LEAST or channels != {3} or lpips.missing() is not None:
        return dict.fromkeys(sources)
    distance, found = lpips.Lpips(), {}
    for name, source in sources.items():
        labels = (torch.arange(LOOKS) % len(source.classes)).repeat_interleave(2)
        img = source.sample_class(labels, torch.Generator().manual_seed(seed)).cpu()
        found[name] = picture_diversity(distance, resize(img, size))
    return found


def _preferred(rows: Mapping[str, Row]) -> list[str]:
    """The models to choose among: those that can be the root, without a remark if there are such."""
    can = [name for name, row in rows.items() if row.eligible]
    return [name for name in can if not rows[name].remark] or can


def _measured(rows: Mapping[str, Row]) -> list[str]:
    return [score for score in BETTER if all(getattr(row, score) is not None for row in rows.values())]


def _ranked(rows: Mapping[str, Row], score: str) -> list[str]:
    """The models that a score cannot tell from the best, equals told apart by the Frechet distance."""
    keys = {name: (-BETTER[score] * getattr(rows[name], score), rows[name].frechet) for name in _preferred(rows)}
    return [name for name in keys if keys[name] == min(keys.values())]


def _picks(rows: Mapping[str, Row]) -> dict[str, str]:
    """What each score alone would choose."""
    found = {score: _ranked(rows, score) for score in _measured(rows)}
    return {score: names[0] for score, names in found.items() if len(names) == 1}


def _reason(best: str, rows: Mapping[str, Row]) -> str:
    """The choice in a sentence with its figures."""
    row, passed = rows[best], [name for name in rows if rows[name].recall > rows[best].recall]
    ties = [name for name in _preferred(rows) if name != best and rows[name].recall == row.recall]
    text = f"Its samples cover {row.recall:.1%} of the others' (recall), "
    if ties:
        text += f"as much as {' and '.join(ties)}; "
        if len(_ranked(rows, "recall")) == 1:
            text += f"the smaller Frechet distance to the others, {row.frechet:.3g}, decides."
        else:
            text += f"the Frechet distance, {row.frechet:.3g}, is the same, so it is the first."
    else:
        text += f"more than any other{' that can be the root as it is' if passed else ''}; "
        text += f"mean Frechet distance to them {row.frechet:.3g}."
    for name in passed:
        text += f" {name} covers {rows[name].recall:.1%}, but: {rows[name].remark}."
    return text + (
        " A rough guide (Grigoryev et al. 2022), on our drawn domains no better than a guess (docs/RESULTS.md): where "
        "there is time, try another root too."
    )
