"""The best snapshot of a run: where the samples of all classes lie nearest to the sources', by what the run measures.

Only the sources judge, in the features of their own discriminators: no data takes part. What a stage begins with is no
candidate: it is the plain average, or what the stage before it gave. The result stays the last model, as in the paper;
the best is kept beside it, since adversarial training does not always end where it was best.
"""

import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from cocktail import checkpoints
from cocktail.checkpoints import native
from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.runs.folder import Run
from cocktail.runs.publishing import publish, published
from cocktail.runs.reading import Status, read

SNAPSHOT = "snapshot"  # entry of a card


@dataclass(frozen=True)
class Best:
    """A snapshot that lies nearer to the sources than the last one.

    images: shown in its stage; score, last: mean distance of the classes then and now; folder: where its model is.
    """

    stage: str
    images: int
    score: float
    last: float
    folder: Path

    @property
    def words(self) -> str:
        """For people: "merge after 10,000 pictures, mean distance 0.16 (now 0.441)"."""
        return f"{self.stage} after {self.images:,} pictures, mean distance {self.score:.3g} (now {self.last:.3g})"


def mean_score(scores: Mapping[str, Mapping[str, float]], classes: Collection[str]) -> float | None:
    """The mean Frechet distance of all `classes`; None where not exactly these were measured, as in rooting."""
    if not classes or scores.keys() != set(classes):
        return None
    return sum(float(own["frechet"]) for own in scores.values()) / len(scores)


def marked(gan: Gan, stage: str, images: int) -> Gan:
    """The model with a card that says which snapshot it is."""
    return replace(gan, card={**gan.card, SNAPSHOT: {"stage": stage, "images": images}})


def best_snapshot(status: Status) -> Best | None:
    """The best snapshot; None where it is the last one, nothing was measured, or its model was not kept."""
    found = [(score, s) for s in status.snapshots
             if s.images and (score := mean_score(s.scores, status.floors)) is not None]  # fmt: skip
    if not found:
        return None
    score, snapshot = min(found, key=lambda pair: pair[0])
    last, folder = found[-1][0], _folder(status, snapshot.stage, snapshot.images)
    return Best(snapshot.stage, snapshot.images, score, last, folder) if score < last and folder else None


def settle(run: Run, result: Gan) -> None:
    """Once a run is done: completes the card of the best snapshot by the result's, or removes a snapshot that is not
    the best any more."""
    status = read(run.folder)
    found = best_snapshot(status)
    if found is None or found.folder != run.best:
        shutil.rmtree(run.best, ignore_errors=True)
        return
    before = sum(stage.total for stage in status.stages[: [s.name for s in status.stages].index(found.stage)])
    title = f"{result.card['title']}, best snapshot"
    model = replace(
        checkpoints.load(run.best), card=result.card | {"title": title, "images_seen": before + found.images}
    )
    publish(marked(model, found.stage, found.images), run.best)


def _folder(status: Status, stage: str, images: int) -> Path | None:
    """Where the model of a snapshot is: the last one of a stage is what the stage gave."""
    run = status.run
    try:
        if native.read_config(run.best)["card"].get(SNAPSHOT) == {"stage": stage, "images": images}:
            return run.best
    except CocktailError:  # none was kept
        pass
    ended = any(s.name == stage and images >= s.total for s in status.stages)
    return run.stage(stage) if ended and published(run.stage(stage)) else None
