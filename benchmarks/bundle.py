"""Makes the bundled models from nothing: four sources from drawings, the union from the sources alone, their scores.

`make bundle` runs all steps; one that is finished is not done again, one that was interrupted goes on where it was
saved. `python -m benchmarks.bundle face cat` runs some of them. Work goes to runs/bundle, finished models to assets/.
"""

import argparse
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import torch

from benchmarks import bundle_report
from benchmarks.training import SOURCE, follow
from cocktail import checkpoints, domains, runs
from cocktail.gan import Gan, new_gan
from cocktail.hardware import available_threads
from cocktail.images import to_uint8
from cocktail.methods.cocktail import PRESETS
from cocktail.metrics.evaluate import evaluate
from cocktail.metrics.features import OracleFeatures
from cocktail.metrics.references import DrawnDomains
from cocktail.recipe import Recipe, Source
from cocktail.sources import DomainSource, GanSource
from cocktail.warmstart import WarmStartConfig
from editing import direction_files, encoder, labelling
from editing.directions import Direction
from editing.recipes import fingerprint
from editing.scorers import OracleFactor

RESOLUTION = 64
UNION = "union"
ROOT = "cat"  # its smile moves with the latent, which the face's does not
SAMPLES = 2000
LICENCE = "apache-2.0"
GENERATOR = {
    "img_resolution": RESOLUTION, "z_dim": 64, "w_dim": 128, "mapping_layers": 4, "mapping_lr_multiplier": 1.0,
    "channels": (96, 96, 64, 32, 16), "use_noise": False, "linear_input": True,
}  # fmt: skip
DISCRIMINATOR = {"img_resolution": RESOLUTION, "channels": (64, 64, 48, 32, 16)}
WARM = WarmStartConfig(start_resolution=16, stage_kimg=(24.0, 48.0, 240.0))
# A face's smile is drawn only if it is asked for: fitted to single pictures, the generator leaves it out (spread 0.2 of
# the drawings'). The other domains do without.
CONTRASTS = {"face": ("smile",)}
CONTRAST_WEIGHT = 3.0
# The preset of small networks, twice as long: four classes share what a source had to itself.
SMALL = PRESETS["small"]
MERGED = replace(SMALL, warm=replace(SMALL.warm, stage_kimg=(700.0,)), merge=replace(SMALL.merge, total_kimg=160.0))
# The studio's sliders: name -> class of the union that it is found on, and the factor that the oracle reads there.
SCORED, PER_SIDE = 1000, 100
DIRECTIONS = {
    "turn the head": ("face", "yaw"), "smile": ("cat", "smile"), "come nearer": ("face", "size"),
    "step aside": ("face", "x"), "backdrop": ("face", "background"), "complexion": ("face", "tone"),
    "glasses": ("face", "glasses"),
}  # fmt: skip


def train(name: str, folder: Path) -> None:
    """Trains the source of one drawn domain, on one thread: several at once use the cores better than one on many."""
    seed = domains.names().index(name) + 1
    student = new_gan("stylegan2", GENERATOR, DISCRIMINATOR, seed=seed)
    description = {"domain": name, "generator": GENERATOR, "discriminator": DISCRIMINATOR}
    contrasts = CONTRASTS.get(name, ())
    source = DomainSource((name,), RESOLUTION, seed=seed, z_dim=GENERATOR["z_dim"], contrasts=contrasts)
    config = replace(SOURCE, seed=seed)
    warm = replace(WARM, seed=seed, contrast_weight=CONTRAST_WEIGHT if contrasts else 0.0)
    steps = runs.train_source(student, source, config, folder, description, folder.exists(), threads=1, warm=warm)
    gan = follow(steps, name)
    gan.card |= {"description": f"StyleGAN2 of the drawn domain {name}, trained from drawings.", "licence": LICENCE}
    checkpoints.save(gan, checkpoints.ASSETS / name)


def merge(folder: Path) -> None:
    """Merges the bundled sources; no drawing is touched."""
    sources = tuple(Source(f"bundled/{name}", names=(name,)) for name in domains.names())
    root = domains.names().index(ROOT)
    recipe = Recipe(sources, root=root, seed=1, threads=available_threads(), config=MERGED)
    gan = follow(runs.execute(recipe, folder, folder.exists()), UNION)
    gan.card["licence"] = LICENCE
    checkpoints.save(gan, checkpoints.ASSETS / UNION)
    bundle_report.keep(folder / "samples" / "average.png")


def equip() -> None:
    """Gives the union what the studio uses: directions, found by what the oracle reads, and an encoder."""
    ref, folder = f"bundled/{UNION}", checkpoints.ASSETS / UNION
    gan = checkpoints.load(ref)
    found = [direction(gan, ref, name, *where) for name, where in DIRECTIONS.items()]
    direction_files.write(found, folder / "directions.safetensors")
    encoder.main([ref, "--out", str(folder / encoder.FILE)])


def direction(gan: Gan, ref: str, name: str, label: str, factor: str) -> Direction:
    """The direction of a factor, found on samples of one class as a person finds it in the studio."""
    *_, marks = labelling.score(gan, [label], SCORED, OracleFactor(label, factor), PER_SIDE)
    fit = labelling.fit_marks(gan, marks)
    origin = labelling.origin(fit, marks, f"by the oracle's {factor}")
    return labelling.named(gan, fit.vector, name, origin, ref, fingerprint(gan))


def score(name: str) -> None:
    """Writes a bundled model's scores against new drawings, and a union's against its sources, into its card."""
    gan, extractor = checkpoints.load(f"bundled/{name}"), OracleFeatures()
    drawn = evaluate(gan, [DrawnDomains(gan.classes or (name,), gan.resolution)], extractor, SAMPLES)
    gan.card["scores"] = {label: asdict(scores) for label, scores in drawn.classes.items()}
    gan.card["factor_spread"] = {label: factor_spread(gan, label) for label in gan.classes or (name,)}
    gan.card["score_features"] = f"{drawn.features}, {drawn.dim} dimensions, {SAMPLES} samples against drawings"
    if gan.classes:
        models = [GanSource(checkpoints.load(f"bundled/{label}"), names=(label,)) for label in gan.classes]
        gan.card["distances"] = drawn.distances
        gan.card["scores"]["all"] = asdict(drawn.union)
        against = evaluate(gan, models, extractor, SAMPLES)
        gan.card["scores_against_sources"] = {label: asdict(scores) for label, scores in against.classes.items()}
        gan.card["shared_factors"] = shared_factors(gan)
    checkpoints.save(gan, checkpoints.ASSETS / name)


def continuous_factors(img: torch.Tensor, label: str) -> dict[str, torch.Tensor]:
    """What the oracle reads in pictures float32 [N, 3, H, W] of a class but for binary factors: name -> float32 [N]."""
    found, known = OracleFeatures().read(to_uint8(img), label).factors, domains.get(label)
    return {name: found[name] for name in known.factors if name not in known.binary}


def factor_spread(gan: Gan, label: str, n: int = 1000) -> dict[str, float]:
    """Standard deviation of each factor in n samples of a class, as a share of that in n drawings: 0 is a collapse."""
    drawn, _ = domains.get(label).draw(n, torch.Generator().manual_seed(0), gan.resolution)
    samples, drawings = (
        continuous_factors(img, label) for img in (gan.sample(range(n), label if gan.classes else None), drawn)
    )
    return {name: (samples[name].std() / drawings[name].std()).item() for name in samples}


def shared_factors(gan: Gan, n: int = 1000) -> dict[str, dict[str, float]]:
    """What one z means in several classes: class -> factor -> correlation over n latents.

    The two sides are the oracle's readings of that class's pictures and of the first class's. Binary factors, and those
    that one of the two classes lacks, are left out.
    """
    readings = {label: continuous_factors(gan.sample(range(n), label), label) for label in gan.classes}
    first, *others = gan.classes
    return {
        label: {
            name: torch.corrcoef(torch.stack([values, readings[label][name]]))[0, 1].item()
            for name, values in readings[first].items() if name in readings[label]
        }
        for label in others
    }  # fmt: skip


def main() -> None:
    """Runs the steps named on the command line, by default all, the sources side by side."""
    steps = (*domains.names(), UNION, "equip", "scores")
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bundle", description=main.__doc__)
    parser.add_argument("steps", nargs="*", default=steps, metavar="STEP", help=f"some of {', '.join(steps)}")
    parser.add_argument("--runs", type=Path, default=Path("runs/bundle"), help="where unfinished work is kept")
    parser.add_argument("--jobs", type=int, default=available_threads(), help="sources trained at once")
    args = parser.parse_args()
    unknown = set(args.steps) - set(steps)
    if unknown:
        parser.error(f"unknown step {', '.join(sorted(unknown))}; known: {', '.join(steps)}")
    sources = [name for name in args.steps if name in domains.names()]
    if len(sources) == 1:
        train(sources[0], args.runs / sources[0])
    else:
        command = [sys.executable, "-m", "benchmarks.bundle", "--runs", str(args.runs)]
        with ThreadPoolExecutor(args.jobs) as pool:
            list(pool.map(lambda name: subprocess.run([*command, name], check=True), sources))
    if UNION in args.steps:
        merge(args.runs / UNION)
    if "equip" in args.steps:
        equip()
    if "scores" in args.steps:
        for name in (*domains.names(), UNION):
            score(name)
        bundle_report.write()


if __name__ == "__main__":
    main()
