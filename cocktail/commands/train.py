"""python -m cocktail train: a source GAN from a drawn domain, or from a folder or zip of pictures."""

import argparse
import dataclasses
import math
from pathlib import Path
from typing import Any

import yaml

from cocktail import domains, runs
from cocktail.commands.base import add_config, read_config, register
from cocktail.commands.merge import add_run_options, follow
from cocktail.errors import CocktailError
from cocktail.gan import Gan, new_gan
from cocktail.hardware import check_device
from cocktail.networks import ARCHITECTURES, Architecture
from cocktail.recipe import build, plain
from cocktail.sources import DomainSource, FolderSource, ImageSource
from cocktail.training import TrainConfig
from cocktail.warmstart import WarmStartConfig

# A small net from nothing on a CPU; TrainConfig's own defaults fine-tune a large one on a GPU.
SMALL = TrainConfig(total_kimg=100, batch=8, lr=0.0025, loss="relativistic", gamma=1.0, pl_weight=0.0, ema_kimg=1.0,
                    ema_rampup=0.05, lr_decay=0.15)  # fmt: skip
CHANNELS = (64, 64, 48, 32, 16)  # at 4, 8, 16, 32, 64 px; 16 beyond
# What a small network gains from; fields that an architecture lacks are left out.
SMALL_NET: dict[str, Any] = {"z_dim": 64, "w_dim": 128, "mapping_layers": 4, "mapping_lr_multiplier": 1.0,
                             "use_noise": False, "linear_input": True}  # fmt: skip
KIMG_BEFORE_GROWTH = 15.0
MIN_POOL, MAX_POOL = 500, 20_000  # drawings


def _options(command: argparse.ArgumentParser) -> None:
    command.add_argument("source", metavar="SOURCE", help="a drawn domain (face, cat, dog, car), or a folder or zip")
    add_run_options(command)
    known = tuple(name for name, kind in ARCHITECTURES.items() if kind.root)
    command.add_argument("--architecture", choices=known, default="stylegan2", help="(default: %(default)s)")
    command.add_argument("--resolution", type=int, default=64, help="pixels, a power of two (default: %(default)s)")
    for part in ("generator", "discriminator"):
        known = {kind.name: _fields(getattr(kind, part + "_config")) for kind in ARCHITECTURES.values() if kind.root}
        text = "fields of its config. " + "; ".join(f"{name}: {', '.join(fields)}" for name, fields in known.items())
        command.add_argument(f"--{part}", nargs="+", default=[], metavar="FIELD=VALUE", help=text)
    command.add_argument("--warm-kimg", nargs="+", type=float, default=[], metavar="KIMG",
                         help="drawn domains: fit the generator to latents of known factors before, this long at each "
                              "resolution up to the last; the bundled sources: 24 48 240")  # fmt: skip
    command.add_argument("--threads", type=int, default=0, help="CPU threads, 0 = all (default: %(default)s)")
    command.add_argument("--device", default="cpu", help="cpu, cuda or mps (default: %(default)s)")
    add_config(command, SMALL)


@register("train", "train a source GAN from a drawn domain or from pictures", _options)
def train(args: argparse.Namespace) -> None:
    """Trains a new GAN in a folder, or goes on with it."""
    kind = ARCHITECTURES[args.architecture]
    generator = _network(kind, "generator", args)
    discriminator = _network(kind, "discriminator", args)
    config = _grow(read_config(TrainConfig, args), args)
    student = new_gan(kind.name, generator, discriminator, seed=config.seed).to(check_device(args.device, "--device"))
    source, warm = _source(args.source, student, config, bool(args.warm_kimg)), _warm_start(args, config)
    described = {"train": args.source, "architecture": kind.name, "threads": args.threads, "device": args.device}
    described |= {part: plain(getattr(student, part).config) for part in ("generator", "discriminator")}
    steps = runs.train_source(
        student, source, config, args.out, described, resume=args.resume, threads=args.threads, warm=warm
    )
    follow(steps, args)


def _fields(config: type) -> list[str]:
    return [field.name for field in dataclasses.fields(config) if field.name != "c_dim"]


def _network(kind: Architecture, part: str, args: argparse.Namespace) -> dict:
    """The fields of a network's config: small defaults for the resolution, then what the user set.

    Raises: CocktailError on a resolution that cannot be, or a field that is unknown or of the wrong type.
    """
    size = args.resolution
    if not 8 <= size <= 2048 or size & (size - 1):
        raise CocktailError(f"--resolution is {size}; expected a power of two from 8 to 2048")
    blocks = int(math.log2(size)) - 1
    config = getattr(kind, part + "_config")
    defaults = SMALL_NET | {"img_resolution": size, "channels": (CHANNELS + (16,) * blocks)[:blocks]}
    values = {name: value for name, value in defaults.items() if name in _fields(config)}
    for text in getattr(args, part):
        name, equals, value = text.partition("=")
        if not equals:
            raise CocktailError(f"--{part} {text!r} is no FIELD=VALUE; for example: --{part} mapping_layers=2")
        try:
            values[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise CocktailError(f"--{part} {text!r}: the value cannot be read") from error
    return {field: getattr(build(config, values, f"--{part}"), field) for field in values}


def _grow(config: TrainConfig, args: argparse.Namespace) -> TrainConfig:
    """Spreads the doublings over the run where growth was asked for without saying when.

    Raises: CocktailError where the first resolution does not double into the last.
    """
    start = config.start_resolution
    if start and (start < 8 or start & (start - 1) or start > args.resolution):
        raise CocktailError(f"--start-resolution is {start}; expected 0, or a power of two from 8 to {args.resolution}")
    if not start or config.grow_kimg:
        return config
    steps = int(math.log2(args.resolution // start))
    first = min(KIMG_BEFORE_GROWTH, config.total_kimg / (steps + 1))
    return dataclasses.replace(config, grow_kimg=tuple(first * 2**i for i in range(steps)))


def _warm_start(args: argparse.Namespace, config: TrainConfig) -> WarmStartConfig | None:
    """The warm start that --warm-kimg asks for.

    Raises: CocktailError where the source is no drawn domain, or growth was asked for as well.
    """
    if not args.warm_kimg:
        return None
    if args.source not in domains.names() or config.start_resolution:
        raise CocktailError("--warm-kimg needs a drawn domain as its source, and no --start-resolution: it grows too")
    first = args.resolution >> (len(args.warm_kimg) - 1)
    return WarmStartConfig(start_resolution=first, stage_kimg=tuple(args.warm_kimg), seed=config.seed)


def _source(text: str, student: Gan, config: TrainConfig, paired: bool) -> ImageSource:
    if text in domains.names() and not Path(text).exists():
        # No more than the run will look at.
        pool = MAX_POOL if paired else max(MIN_POOL, min(MAX_POOL, int(config.total_kimg * 1000)))
        return DomainSource((text,), student.resolution, pool, config.seed, student.z_dim if paired else 0)
    if not Path(text).exists():
        known = ", ".join(domains.names())
        raise CocktailError(f"{text!r} is neither a drawn domain ({known}) nor a folder or zip of pictures.")
    return FolderSource(text, student.resolution)
