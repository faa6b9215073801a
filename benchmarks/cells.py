"""One cell of the tables: a merge of drawn domains by one method, run to its end and measured.

What was measured is kept in docs/tables.json under the cell's name, with everything that the tables need: a cell is
never run twice, and several processes can work on different cells.
"""

import json
import math
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from tqdm import tqdm

from benchmarks import measuring, sources, variants
from cocktail import checkpoints, hardware, runs
from cocktail.checkpoints import write_text
from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.methods.registry import get
from cocktail.metrics.features import OracleFeatures
from cocktail.recipe import Recipe, Source
from cocktail.training import Progress

WORK, OUT = Path("runs/tables"), Path(__file__).parents[1] / "docs" / "tables.json"
POINTS = 5  # of the curve of each stage


@dataclass(frozen=True)
class Cell:
    """A merge: which classes, the root first; by which method and config (`way` is what the tables call it); a seed.

    `shares` of the usual training of each source, () = all of it.
    """

    classes: tuple[str, ...]
    way: str
    method: str
    config: Any
    seed: int = 1
    resolution: int = 32
    shares: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """Under which it is kept: "cat+face 32 transfer seed 1"."""
        parts = [label(name, share) for name, share in self.sources]
        return f"{'+'.join(parts)} {self.resolution} {self.way} seed {self.seed}"

    @property
    def sources(self) -> list[tuple[str, float]]:
        """Domain of each source, and its share of the usual training."""
        return list(zip(self.classes, self.shares or (1.0,) * len(self.classes), strict=True))

    @property
    def refs(self) -> list[str]:
        """Where its sources are."""
        return [sources.ref(name, self.resolution, share) for name, share in self.sources]

    @property
    def folder(self) -> Path:
        return cell_folder(self.name)


def label(name: str, share: float) -> str:
    """What a source of a share of the usual training is called: "cat*0.1"."""
    return name if share == 1 else f"{name}*{share:g}"


def cell_folder(name: str) -> Path:
    """Where the run of a cell is kept."""
    return WORK / "cells" / name.replace(" ", "_")


def results() -> dict[str, dict]:
    """Everything that was measured, by the cells' names."""
    return json.loads(OUT.read_text(encoding="utf-8")) if OUT.exists() else {}


def run(cell: Cell) -> None:
    """Makes a cell and keeps what is measured, unless that is known already."""
    if cell.name in results():
        return
    read = OracleFeatures()
    for name, share in cell.sources:
        sources.make(name, cell.resolution, share)
        check_source(name, cell.resolution, share, read)
    os.environ.setdefault("COCKTAIL_QUEUE", str((WORK / f"queue-{os.getpid()}").resolve()))  # cells do not wait
    started = time.time()
    union, curve = _merge(cell, read)
    minutes = (time.time() - started) / 60
    keep(cell.name, {
        "classes": list(cell.classes), "way": cell.way, "seed": cell.seed, "resolution": cell.resolution,
        "curve": curve, "minutes": round(minutes, 2), "hardware": hardware.describe("cpu"), "kimg": kimg(cell),
        "drawings": measuring.scores(union, read), "sources": measuring.against_sources(union, cell.refs, read),
        "yaw": measuring.yaw_transfer(union, read), "notes": union.card.get("notes", {}),
    })  # fmt: skip


def check_source(name: str, resolution: int, share: float, read: OracleFeatures) -> None:
    """Scores a source, once on this disk, and keeps that beside the cells; bundled ones are everywhere the same.

    Raises: CocktailError where the cells were made with a source that scores otherwise. The same training gives another
    model on a CPU that rounds otherwise (one without AVX-512: cat 0.38 instead of 0.49, dog 4.5 instead of 2.4), and
    cells of different sources do not belong into one table.
    """
    folder = Path(sources.ref(name, resolution, share)).parent
    if not folder.is_relative_to(sources.WORK) or variants.is_variant(name):
        return
    known, noted = f"source {label(name, share)} {resolution}", folder / "score.json"
    if not noted.exists():
        row = measuring.source_score(sources.ref(name, resolution, share), name, resolution, read)
        write_text(noted, json.dumps(_rounded(row)))
    found = json.loads(noted.read_text(encoding="utf-8"))
    if known not in results():
        keep(known, {"drawings": found})
    wanted = results()[known]["drawings"]["frechet"]
    if not math.isclose(found["frechet"], wanted, rel_tol=1e-3):
        raise CocktailError(
            f"The source {folder} scores {found['frechet']:.4g} here ({hardware.describe('cpu')}), {wanted:.4g} where "
            f"the cells of {OUT} were made. Go on where it scores the same, or begin a table of your own: move that "
            "file away."
        )


def kimg(cell: Cell) -> dict[str, float]:
    """What each stage shows, in kimg, by its name."""
    stages = get(cell.method).plan([(name,) for name in cell.classes], cell.config, cell.seed)
    return {stage.name: stage.images / 1000 for stage in stages}


def _merge(cell: Cell, read: OracleFeatures) -> tuple[Gan, list[dict]]:
    """The union, and its scores on the way: a list of {"stage", "images", "frechet": {class: score}}."""
    known = tuple(Source(ref, names=(name,)) for ref, name in zip(cell.refs, cell.classes, strict=True))
    recipe = Recipe(known, cell.method, 0, cell.seed, 1, "cpu", cell.config)
    saved = cell.folder / "curve.json"
    curve = json.loads(saved.read_text(encoding="utf-8")) if saved.exists() else []
    if (cell.folder / "result").exists():
        return checkpoints.load(cell.folder), curve
    steps = runs.execute(recipe, cell.folder, cell.folder.exists())
    with tqdm(desc=cell.name, unit="img", mininterval=30) as bar:
        while True:
            try:
                progress = next(steps)
            except StopIteration as finished:
                return finished.value, curve
            bar.set_description(f"{cell.name} {progress.stage}", refresh=False)
            bar.total = progress.total_images
            bar.update(progress.images - bar.n)
            if _due(progress, curve):
                found = measuring.quick(progress.state.student(), read)
                curve.append({"stage": progress.stage, "images": progress.images, "frechet": found})
                write_text(saved, json.dumps(curve))


def _due(progress: Progress, curve: Sequence[dict]) -> bool:
    """Tells whether a point of the curve is due: POINTS times in every stage that sees all classes."""
    if progress.state is None or progress.stage.startswith("root"):
        return False
    step = progress.total_images / POINTS
    before = max((point["images"] for point in curve if point["stage"] == progress.stage), default=0)
    return progress.images >= progress.total_images or int(before / step) < int(progress.images / step)


def keep(name: str, record: dict) -> None:
    """Adds a record to the file."""
    with FileLock(str(WORK / "results.lock")):
        _write(results() | {name: _rounded(record)})


def forget(cells: Sequence[Cell]) -> None:
    """Removes what is known of cells, so that they are made again."""
    names = {cell.name for cell in cells}
    with FileLock(str(WORK / "results.lock")):
        _write({name: record for name, record in results().items() if name not in names})
    for cell in cells:
        shutil.rmtree(cell.folder, ignore_errors=True)


def _write(records: dict[str, dict]) -> None:
    """One line for each record, in the order of their names."""
    lines = (f"{json.dumps(name)}: {json.dumps(records[name])}" for name in sorted(records))
    write_text(OUT, "{\n" + ",\n".join(lines) + "\n}\n")


def _rounded(value: Any) -> Any:
    """Numbers to five digits."""
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_rounded(entry) for entry in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value
