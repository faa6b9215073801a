"""Scores of a model of drawn domains for the tables: against drawings, against its sources, and how far yaw transfers.

As `cocktail.metrics.evaluate`, but the references' features are made once and kept on the disk: a table compares a
hundred models with the same drawings.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from benchmarks import transfer, variants
from cocktail import checkpoints
from cocktail.domains.oracle import Reading
from cocktail.gan import Gan, latents
from cocktail.images import to_uint8
from cocktail.metrics.features import OracleFeatures
from cocktail.metrics.intervals import half_samples
from cocktail.metrics.references import DrawnDomains
from cocktail.metrics.scores import class_accuracy, frechet_distance, precision_recall
from cocktail.sources import GanSource, ImageSource
from editing.directions import spread
from editing.finding import fit
from editing.scorers import extremes

SAMPLES, CURVE_SAMPLES, BATCH = 2000, 1000, 250
FIT_SEEDS, PER_SIDE, TEST_SEEDS = range(1000), 100, range(100_000, 100_024)
CACHE = Path("runs/tables/features")


def scores(gan: Gan, read: OracleFeatures) -> dict[str, dict[str, float]]:
    """Class -> scores against drawings, and "all": Frechet distance, its 95 % interval (noise of the pictures), its
    floor, precision, recall, class accuracy, spread of yaw as a share of the drawings'."""
    seen = {name: samples(GanSource(gan, (name,), (name,)), name, SAMPLES, read, seed=1) for name in gan.classes}
    drawn = {name: drawings(name, gan.resolution, read) for name in gan.classes}
    rows = {name: _row(seen[name]["features"], drawn[name]["features"]) for name in gan.classes}
    for name in gan.classes:
        rows[name] |= {
            "accuracy": class_accuracy(seen[name]["logits"], read.classes.index(variants.domain(name))),
            "yaw": (seen[name]["yaw"].std() / drawn[name]["yaw"].std()).item(),
        }
    halves = [part for name in gan.classes for part in drawn[name]["features"].chunk(2)]
    together = torch.cat(halves[::2] + halves[1::2])
    return rows | {"all": _row(torch.cat([seen[name]["features"] for name in gan.classes]), together)}


def source_score(ref: str, name: str, resolution: int, read: OracleFeatures) -> dict[str, float]:
    """What the source of a domain itself scores against drawings, as a row of `scores`."""
    source = GanSource(checkpoints.load(ref), names=(name,), resolution=resolution)
    seen = samples(source, name, SAMPLES, read, seed=1)
    return _row(seen["features"], drawings(name, resolution, read)["features"])


def _row(features: Tensor, drawn: Tensor) -> dict[str, float]:
    first, second = drawn.chunk(2)
    precision, recall = precision_recall(first, features)
    score = frechet_distance(features, first)
    halves = half_samples(lambda a, b: {"frechet": frechet_distance(a, b)}, features, first)
    return {"frechet": score, "interval": list(halves.interval("frechet", score, least=0.0)),
            "floor": frechet_distance(second, first), "precision": precision, "recall": recall}  # fmt: skip


def against_sources(gan: Gan, refs: Sequence[str], read: OracleFeatures) -> dict[str, float]:
    """Class -> Frechet distance to samples of its source, and "all"; CURVE_SAMPLES of each."""
    mine = {name: samples(GanSource(gan, (name,), (name,)), name, CURVE_SAMPLES, read, seed=1) for name in gan.classes}
    theirs = {}
    for name, ref in zip(gan.classes, refs, strict=True):
        source = GanSource(checkpoints.load(ref), names=(name,), resolution=gan.resolution)
        theirs[name] = samples(source, name, CURVE_SAMPLES, read, seed=2)
    return _distances(mine, theirs)


def quick(gan: Gan, read: OracleFeatures) -> dict[str, float]:
    """Class -> Frechet distance to drawings, and "all", of CURVE_SAMPLES: a point of a curve."""
    mine = {name: samples(GanSource(gan, (name,), (name,)), name, CURVE_SAMPLES, read, seed=3) for name in gan.classes}
    drawn = {n: {"features": drawings(n, gan.resolution, read)["features"][:CURVE_SAMPLES]} for n in gan.classes}
    return _distances(mine, drawn)


def _distances(mine: dict[str, dict], theirs: dict[str, dict]) -> dict[str, float]:
    found = {name: frechet_distance(mine[name]["features"], theirs[name]["features"]) for name in mine}
    both = (torch.cat([side[name]["features"] for name in mine]) for side in (mine, theirs))
    return found | {"all": frechet_distance(*both)}


@torch.no_grad()
def samples(source: ImageSource, name: str, n: int, read: OracleFeatures, seed: int) -> dict[str, Tensor]:
    """What the oracle sees in n pictures of the source's only class: features float32 [n, dim], logits, yaw [n]."""
    rng, parts = torch.Generator().manual_seed(seed), []
    for start in range(0, n, BATCH):
        labels = torch.zeros(min(BATCH, n - start), dtype=torch.long)
        img = variants.as_domain(to_uint8(source.sample_class(labels, rng)), name)
        reading: Reading = read.read(img, variants.domain(name))
        parts.append({"features": read(img), "logits": reading.class_logits, "yaw": reading.factors["yaw"]})
    return {key: torch.cat([part[key] for part in parts]) for key in parts[0]}


def drawings(name: str, resolution: int, read: OracleFeatures) -> dict[str, Tensor]:
    """`samples` of 2 SAMPLES drawings, kept on the disk; a variant's are those of its domain."""
    name = variants.domain(name)
    path = CACHE / f"{name}-{resolution}.pt"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        found = samples(DrawnDomains((name,), resolution), name, 2 * SAMPLES, read, seed=0)
        checkpoints.write_atomically(path, lambda partial: torch.save(found, partial))
    return torch.load(path, weights_only=True)


@torch.no_grad()
def yaw_transfer(gan: Gan, read: OracleFeatures) -> dict[str, dict[str, float]]:
    """The yaw direction fitted on the root's class alone, measured on every class but variants.

    slope: yaw per sigma; correlation: of yaw and strength within a picture; random, largest: mean and largest size of
    the slopes of 20 random directions.
    """
    first, layers = gan.classes[0], (0, gan.num_ws - 1)
    names = [name for name in gan.classes if not variants.is_variant(name)]

    def codes(name: str, seeds: Sequence[int]) -> Tensor:
        return gan.generator.map(latents(seeds, gan.z_dim), gan.one_hot(name, len(seeds)))

    known = {name: codes(name, FIT_SEEDS) for name in names}
    yaw = transfer.readings(gan, known[first], first, read).factors["yaw"]
    labels, index = extremes(yaw, PER_SIDE)
    ws = {name: rows[:, 0] for name, rows in known.items()}
    random = torch.randn(transfer.CONTROLS, gan.w_dim, generator=torch.Generator().manual_seed(0))
    units = [fit(ws[first][index], labels).vector, *(random / random.norm(dim=1, keepdim=True))]
    directions, found = [transfer.Found(unit, spread(ws, unit)) for unit in units], {}
    for name in names:
        tests = codes(name, TEST_SEEDS)
        own, *others = (transfer.response(gan, tests, name, direction, layers, read) for direction in directions)
        slopes = [abs(other.slope) for other in others]
        found[name] = {"slope": own.slope, "correlation": own.correlation, "random": sum(slopes) / len(slopes),
                       "largest": max(slopes)}  # fmt: skip
    return found
