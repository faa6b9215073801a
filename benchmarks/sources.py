"""Source GANs of the drawn domains at 16 or 32 px, for tables that need many merges; those of 64 px are bundled.

    python -m benchmarks.sources [--resolution 32] [--share 0.1] DOMAIN ...

Each is trained as the bundled ones are (`benchmarks.bundle`): a growing fit, then adversarial training near its pairs.
What is finished is not made again.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from benchmarks import variants
from benchmarks.bundle import CONTRAST_WEIGHT, CONTRASTS, DISCRIMINATOR, GENERATOR
from benchmarks.tables_known import BUNDLED
from benchmarks.training import SOURCE, follow
from cocktail import checkpoints, domains, runs
from cocktail.gan import new_gan
from cocktail.sources import DomainSource
from cocktail.warmstart import WarmStartConfig

WORK = Path("runs/tables/sources")
FIT_KIMG = {8: 8.0, 16: 24.0, 32: 160.0}  # what a fit shows at each resolution on its way, from half the final one
POLISH_KIMG = 16.0


def ref(name: str, resolution: int, share: float = 1.0) -> str:
    """Where the source of a domain is; `share` of the usual training, for sources of unequal quality."""
    if resolution == BUNDLED and share == 1.0 and not variants.is_variant(name):
        return f"bundled/{name}"
    suffix = "" if share == 1.0 else f"-{share:g}"
    return str(WORK / f"{name}-{resolution}{suffix}" / "result")


def make(name: str, resolution: int, share: float = 1.0) -> str:
    """Trains the source of a domain, or swaps that of a variant, where it is not there yet; gives its reference."""
    where = Path(ref(name, resolution, share))
    if where.is_dir() or (resolution == BUNDLED and not variants.is_variant(name)):
        return str(where)
    if variants.is_variant(name):
        plain = checkpoints.load(make(variants.domain(name), resolution, share))
        return str(checkpoints.save(variants.swapped(plain), where))
    channels = GENERATOR["channels"][: resolution.bit_length() - 2]  # one for each of 4, 8, ... px
    generator = GENERATOR | {"img_resolution": resolution, "channels": channels}
    discriminator = DISCRIMINATOR | {
        "img_resolution": resolution,
        "channels": DISCRIMINATOR["channels"][: len(channels)],
    }
    seed = domains.names().index(name) + 1
    student = new_gan("stylegan2", generator, discriminator, seed=seed)
    contrasts = CONTRASTS.get(name, ())
    drawings = DomainSource((name,), resolution, seed=seed, z_dim=student.z_dim, contrasts=contrasts)
    stages = tuple(share * FIT_KIMG[size] for size in (resolution // 2, resolution))
    warm = WarmStartConfig(resolution // 2, stages, seed=seed, contrast_weight=CONTRAST_WEIGHT if contrasts else 0.0)
    config = replace(SOURCE, total_kimg=share * POLISH_KIMG, seed=seed)
    described = {"domain": name, "generator": generator, "discriminator": discriminator}
    folder = where.parent
    steps = runs.train_source(student, drawings, config, folder, described, folder.exists(), threads=1, warm=warm)
    follow(steps, folder.name)
    return str(where)


def main() -> None:
    """Makes the sources of the domains named, by default all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sources", description=main.__doc__)
    parser.add_argument("domains", nargs="*", default=domains.names(), metavar="DOMAIN")
    parser.add_argument("--resolution", type=int, default=32, choices=(16, 32))
    parser.add_argument("--share", type=float, default=1.0, help="of the usual training")
    args = parser.parse_args()
    for name in args.domains:
        make(name, args.resolution, args.share)


if __name__ == "__main__":
    main()
