"""Merging across architectures (GAN Cocktail, Table 9): can a model of another kind be the source, or the root?

    python -m benchmarks.across [PAIR ...]

Merges of two models each: a StyleGAN2 root with a "custom" source, the reverse, a DCGAN source of half the resolution,
and a source that is known as an ONNX file only. Beside the first two the baselines that need no rooting: training from
scratch, and fine-tuning the root, on both sources together, for as many pictures as the merge saw. What is unfinished
goes on where it was; figures go to docs/across.json.
"""

import argparse
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from benchmarks.training import SOURCE, follow
from cocktail import checkpoints, runs
from cocktail.checkpoints import write_text
from cocktail.export import to_onnx
from cocktail.gan import Gan, new_gan
from cocktail.images import grid
from cocktail.methods.cocktail import GOOD
from cocktail.methods.scratch import ScratchConfig
from cocktail.methods.transfer import TransferConfig
from cocktail.metrics.evaluate import evaluate
from cocktail.metrics.features import OracleFeatures
from cocktail.metrics.references import DrawnDomains
from cocktail.recipe import Recipe, Source
from cocktail.sources import DomainSource
from cocktail.warmstart import WarmStartConfig

WORK, OUT = Path("runs/across"), Path(__file__).parents[1] / "docs" / "across.json"
SAMPLES, THREADS, SEED, COLUMNS = 2000, 1, 1, 12
FIT_KIMG, POLISH_KIMG = 48.0, 6.0  # of a source made here
WAYS = ("cocktail", "transfer", "scratch")  # methods
COMPARED = ("stylegan2 <- custom", "custom <- stylegan2")  # with the baselines, which take the longest
WIDTHS = (96, 96, 64, 32, 16)
# The domain, the networks, the resolution, the learning rates of fit and polish.
MADE = {
    "custom": ("car", "custom", {"z_dim": 64, "embed_dim": 64, "channels": WIDTHS}, {"channels": WIDTHS}, 64,
               0.008, 0.001),
    "dcgan": ("face", "dcgan", {"img_resolution": 32, "z_dim": 64, "channels": (256, 128, 64)},
              {"img_resolution": 32, "channels": (256, 128, 64)}, 32, 0.001, 0.0002),
}  # fmt: skip
MERGE = replace(
    GOOD,
    root=replace(GOOD.root, total_kimg=2.0),
    warm=replace(GOOD.warm, stage_kimg=(20.0,)),
    merge=replace(GOOD.merge, total_kimg=8.0),
)


@dataclass(frozen=True)
class Pair:
    """What is merged: references with the class that each draws, the root first."""

    root: tuple[str, str]
    source: tuple[str, str]


def pairs() -> dict[str, Pair]:
    """The merges by name; what they need is made by `source` first."""
    cat, custom = ("bundled/cat", "cat"), (str(WORK / "custom" / "result"), "car")
    return {
        "stylegan2 <- custom": Pair(cat, custom),
        "custom <- stylegan2": Pair(custom, cat),
        "stylegan2 <- dcgan": Pair(cat, (str(WORK / "dcgan" / "result"), "face")),
        "stylegan2 <- onnx": Pair(cat, (str(WORK / "onnx" / "generator.onnx"), "dog")),
    }


def source(name: str) -> None:
    """Makes a source: trained on drawings of one domain, or exported from a bundled model."""
    if name == "onnx":
        if not (WORK / name / "generator.onnx").exists():
            to_onnx(checkpoints.load("bundled/dog"), WORK / name)
        return
    domain, architecture, generator, discriminator, size, fit_lr, lr = MADE[name]
    folder, student = WORK / name, new_gan(architecture, generator, discriminator, seed=SEED)
    if (folder / "result").exists():
        return
    drawings = DomainSource((domain,), size, seed=SEED, z_dim=student.z_dim)
    fit = WarmStartConfig(stage_kimg=(FIT_KIMG,), lr=fit_lr, seed=SEED)
    config = replace(SOURCE, total_kimg=POLISH_KIMG, lr=lr, seed=SEED)
    described = {"domain": domain, "architecture": architecture}
    steps = runs.train_source(student, drawings, config, folder, described, folder.exists(), THREADS, warm=fit)
    follow(steps, name)


def folder_of(name: str, way: str) -> Path:
    """Where a pair is merged by a method."""
    return WORK / way / name.replace(" <- ", "-")


def merged(name: str, pair: Pair, way: str) -> Gan:
    """The union of a pair by a method; the baselines train adversarially on as many pictures as all of ours see."""
    total = MERGE.root.total_kimg + sum(MERGE.warm.stage_kimg) + MERGE.merge.total_kimg
    plain = {"merge": replace(MERGE.merge, total_kimg=total), "class_w_gain": MERGE.class_w_gain}
    config = {"cocktail": MERGE, "transfer": TransferConfig(**plain), "scratch": ScratchConfig(**plain)}[way]
    sources = tuple(Source(ref, names=(label,)) for ref, label in (pair.root, pair.source))
    folder = folder_of(name, way)
    recipe = Recipe(sources, way, root=0, seed=SEED, threads=THREADS, config=config)
    return follow(runs.execute(recipe, folder, folder.exists()), f"{name} {way}")


def scores(gan: Gan) -> dict[str, dict]:
    """Scores of every class against drawings at its resolution, and of all together."""
    found = evaluate(gan, [DrawnDomains(gan.classes, gan.resolution)], OracleFeatures(), SAMPLES)
    return {**{label: asdict(row) for label, row in found.classes.items()}, "all": asdict(found.union)}


def own_score(ref: str, label: str) -> dict:
    """The scores of a source itself against drawings of its class at its resolution."""
    gan = checkpoints.load(ref)
    found = evaluate(gan, [DrawnDomains((label,), gan.resolution)], OracleFeatures(), SAMPLES)
    return asdict(next(iter(found.classes.values())))


def run(names: list[str]) -> None:
    """Makes and measures the pairs named; writes what was measured after each, and a picture of the unions."""
    known, figures = pairs(), json.loads(OUT.read_text(encoding="utf-8")) if OUT.exists() else {}
    torch.set_num_threads(THREADS)
    for name in names:
        source(name.split(" <- ")[1] if "custom" not in name else "custom")
        for ref, label in (known[name].root, known[name].source):
            own, key = figures.setdefault("sources", {}), f"{Path(ref).parts[-2]}, {label}"
            own[key] = own.get(key) or own_score(ref, label)
        for way in WAYS:
            if way not in figures.get(name, {}) and (way == "cocktail" or name in COMPARED):
                figures.setdefault(name, {})[way] = scores(merged(name, known[name], way))
                write_text(OUT, json.dumps(figures, indent=1) + "\n")
    folders = [folder_of(name, "cocktail") for name in known]
    unions = [checkpoints.load(folder) for folder in folders if (folder / "result").exists()]
    rows = [gan.sample(range(COLUMNS), label) for gan in unions for label in gan.classes]
    grid(torch.cat(rows), COLUMNS).save(OUT.parent / "pictures" / "across.png", optimize=True)


def section(figures: dict) -> str:
    """The part of docs/RESULTS.md."""
    rows = [
        f"| {name} | {label} | " + " | ".join(_score(found, way, label) for way in WAYS) + " |"
        for name, found in figures.items()
        if name != "sources"
        for label in found["cocktail"]
    ]
    own = ", ".join(f"{name} {row['frechet']:.2f}" for name, row in figures["sources"].items())
    kimg = MERGE.root.total_kimg + sum(MERGE.warm.stage_kimg) + MERGE.merge.total_kimg
    return "\n".join([
        "## Across architectures",
        "",
        f"Two models, root <- source, {kimg:g} kimg on one CPU thread, one seed; score of each class against drawings, "
        "lower is better. Transfer fine-tunes the root on samples of both, scratch starts from new weights; both train "
        "adversarially for as many pictures as the merge saw in all its stages, with the settings of its last, "
        "which were chosen for merging and not for them. The paper's Table 9 has such pairs. "
        f"The sources themselves: {own}; the DCGAN draws 32 px, its union is measured at 64.",
        "",
        "| root <- source | class | GAN Cocktail | transfer | scratch |",
        "|---|---|---|---|---|",
        *rows,
        "",
        "The unions in this order, both classes of each, seeds in order, psi 1:",
        "",
        "![samples of the unions](pictures/across.png)",
    ])  # fmt: skip


def _score(found: dict, way: str, label: str) -> str:
    return f"{found[way][label]['frechet']:.2f}" if way in found else "not run"


def main() -> None:
    """Runs the pairs named on the command line, by default all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.across", description=main.__doc__)
    parser.add_argument("pairs", nargs="*", default=list(pairs()), metavar="PAIR", help=f"of {', '.join(pairs())}")
    run(parser.parse_args().pairs)


if __name__ == "__main__":
    main()
