"""Time of drawing and training against NVIDIA's formulation of StyleGAN2, interleaved in one process.

    python -m benchmarks.speed                              # ours against the reference formulation of reference.py
    python -m benchmarks.speed --peer DIR                   # and against a checkout of stylegan2-ada-pytorch
    python -m benchmarks.speed --write docs/SPEED.md

Every contestant has the same weights and does the same mathematics, filters and noise included; outputs are compared.
A ratio is the median over pairs of runs that follow each other, so that other load on the machine hits both sides.
"""

import argparse
import importlib
import platform
import statistics
import sys
import time
import types
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.reference import ReferenceDiscriminator, ReferenceGenerator
from cocktail import domains
from cocktail.checkpoints import write_text
from cocktail.hardware import available_threads
from cocktail.networks.stylegan2 import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig
from cocktail.training import gradient_penalty

R1_INTERVAL = 16
BATCH = 16
TARGETS = {"draw": 2.0, "train": 1.5}
LIMIT = "convolutions alone"


@dataclass(frozen=True)
class Case:
    """Networks to time."""

    name: str
    generator: GeneratorConfig
    discriminator: DiscriminatorConfig


def _case(name: str, resolution: int, base: int, widest: int, w_dim: int, layers: int) -> Case:
    sizes = {"img_resolution": resolution, "channel_base": base, "channel_max": widest}
    return Case(
        name, GeneratorConfig(**sizes, z_dim=w_dim, w_dim=w_dim, mapping_layers=layers), DiscriminatorConfig(**sizes)
    )


CASES = (
    _case("small StyleGAN2: 64 px, base 2048, at most 64", 64, 2048, 64, 512, 8),
    _case("medium StyleGAN2: 64 px, base 8192, at most 128", 64, 8192, 128, 512, 8),
    Case(
        "bundled: 64 px, channels 96, 96, 64, 32, 16, no noise, linear input",
        GeneratorConfig(
            z_dim=64, w_dim=128, mapping_layers=4, channels=(96, 96, 64, 32, 16), use_noise=False, linear_input=True
        ),
        DiscriminatorConfig(channels=(64, 64, 48, 32, 16)),
    ),
)


@dataclass(frozen=True)
class Contestant:
    """One formulation: networks with equal weights behind one interface; `train` has gradients, `draw` has none."""

    name: str
    generator: nn.Module
    discriminator: nn.Module
    map: Callable[[Tensor], Tensor]
    synthesize: Callable[[Tensor, str], Tensor]
    judge: Callable[[Tensor], Tensor]
    optimizers: list[torch.optim.Optimizer] = field(default_factory=list)

    def ready(self) -> "Contestant":
        adam = [
            torch.optim.Adam(net.parameters(), lr=1e-3, betas=(0.0, 0.99))
            for net in (self.generator, self.discriminator)
        ]
        return replace(self, optimizers=adam)


def contestant(name: str, generator: nn.Module, discriminator: nn.Module) -> Contestant:
    return Contestant(
        name, generator, discriminator, lambda z: generator.map(z, None), generator.synthesize,
        lambda images: discriminator(images, None),
    ).ready()  # fmt: skip


def ours(case: Case) -> Contestant:
    torch.manual_seed(0)
    generator, discriminator = Generator(case.generator), Discriminator(case.discriminator)
    with torch.no_grad():
        for name, value in generator.named_parameters():
            if name.endswith("noise_strength"):
                value.fill_(0.1)
    return contestant("ours", generator, discriminator)


def reference(mine: Contestant) -> Contestant:
    return contestant("reference", ReferenceGenerator(mine.generator), ReferenceDiscriminator(mine.discriminator))


def peer(mine: Contestant, case: Case, folder: Path) -> Contestant | None:
    """NVIDIA's networks from a checkout, with our weights; None for options that they lack."""
    g, d = case.generator, case.discriminator
    if g.linear_input or g.channels or not g.use_noise:
        return None
    sys.path.insert(0, str(folder))
    sys.modules.setdefault("requests", types.ModuleType("requests"))  # imported there for downloads, unused here
    networks = importlib.import_module("training.networks")
    sizes = {"channel_base": g.channel_base, "channel_max": g.channel_max, "num_fp16_res": 0, "conv_clamp": None}
    common = {"c_dim": 0, "img_resolution": g.img_resolution, "img_channels": 3}
    generator = networks.Generator(
        z_dim=g.z_dim, w_dim=g.w_dim, mapping_kwargs={"num_layers": g.mapping_layers}, synthesis_kwargs=sizes, **common
    )
    discriminator = networks.Discriminator(architecture=d.architecture, **sizes, **common)
    generator.load_state_dict(mine.generator.state_dict(), strict=True)
    discriminator.load_state_dict(mine.discriminator.state_dict(), strict=True)
    return Contestant(
        "peer", generator, discriminator, lambda z: generator.mapping(z, None, skip_w_avg_update=True),
        lambda ws, noise: generator.synthesis(ws, noise_mode=noise), lambda images: discriminator(images, None),
    ).ready()  # fmt: skip


def draw(who: Contestant, z: Tensor) -> Tensor:
    """z float32 [N, z_dim] to pictures float32 [N, 3, H, W], as a user draws: averaged weights, constant noise."""
    with torch.inference_mode():
        return who.synthesize(who.map(z), "const")


class Convolutions(TorchDispatchMode):
    """Notes the dense convolutions that run under it; those of FIR filters have a group for each channel."""

    def __init__(self):
        super().__init__()
        self.noted: list[tuple] = []

    def __torch_dispatch__(self, func: Callable, types: object, args: tuple = (), kwargs: dict | None = None) -> object:
        if func is torch.ops.aten.convolution.default and args[-1] == 1:
            self.noted.append(args)
        return func(*args, **(kwargs or {}))


def convolutions_of(who: Contestant, z: Tensor) -> Callable[[], None]:
    """What does the dense convolutions of a drawing and nothing else: no other formulation with them is faster."""
    with torch.no_grad(), Convolutions() as seen:
        who.synthesize(who.map(z), "const")

    def run() -> None:
        with torch.inference_mode():
            for args in seen.noted:
                torch.convolution(*args)

    return run


def train(who: Contestant, z: Tensor, real: Tensor, penalise: bool) -> None:
    """One step of both networks: non-saturating logistic losses, R1 if asked, random noise, Adam."""
    g_optimizer, d_optimizer = who.optimizers
    who.discriminator.requires_grad_(False)
    loss = F.softplus(-who.judge(who.synthesize(who.map(z), "random"))).mean()
    descend(g_optimizer, loss)
    who.discriminator.requires_grad_(True)
    with torch.no_grad():
        images = who.synthesize(who.map(z), "random")
    real = real.detach().requires_grad_(penalise)
    seen = who.judge(real)
    loss = F.softplus(-seen).mean() + F.softplus(who.judge(images)).mean()
    if penalise:
        loss = loss + gradient_penalty(real, seen) * (10.0 / 2 * R1_INTERVAL)
    descend(d_optimizer, loss)


def descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def interleaved(runs: dict[str, Callable[[], object]], rounds: int, warm_up: int = 2) -> dict[str, list[float]]:
    """Seconds of every run in every round; the order turns round each time, so that nobody always comes first."""
    # One thread: its own CPU time, which other processes do not lengthen. Several: the time on the wall.
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    seconds = {name: [] for name in runs}
    for index in range(-warm_up, rounds):
        for name in list(runs) if index % 2 else list(runs)[::-1]:
            start = clock()
            runs[name]()
            if index >= 0:
                seconds[name].append(clock() - start)
    return seconds


@dataclass(frozen=True)
class Row:
    """Median seconds per picture of each contestant, and our ratios to the others: the median over rounds.

    `limit`: the ratio of the reference to its dense convolutions alone, which no formulation with them can exceed.
    """

    case: str
    task: str
    kind: str
    batch: int
    seconds: dict[str, float]
    ratios: dict[str, float]
    limit: float | None = None


def row(case: Case, task: str, kind: str, batch: int, seconds: dict[str, list[float]], base: str = "ours") -> Row:
    middle = {name: statistics.median(times) / batch for name, times in seconds.items()}
    ratios = {
        name: statistics.median(theirs / mine for theirs, mine in zip(times, seconds[base], strict=True))
        for name, times in seconds.items() if name != base
    }  # fmt: skip
    return Row(case.name, task, kind, batch, middle, ratios)


def measure(case: Case, folder: Path | None, rounds: int) -> list[Row]:
    """All rows of one case."""
    mine = ours(case)
    found = [mine, reference(mine), peer(mine, case, folder) if folder else None]
    everyone = [who for who in found if who is not None]
    z = torch.randn(BATCH, case.generator.z_dim)
    real = torch.rand(BATCH, 3, case.generator.img_resolution, case.generator.img_resolution) * 2 - 1
    check_agreement(everyone, z, real)
    rows = []
    for who in everyone:
        who.generator.eval()
    for batch in (1, BATCH):
        repeat = max(1, BATCH // batch)
        tasks = {who.name: lambda who=who, n=batch: draw(who, z[:n]) for who in everyone}
        tasks[LIMIT] = convolutions_of(mine, z[:batch])
        runs = {name: lambda task=task, k=repeat: [task() for _ in range(k)] for name, task in tasks.items()}
        seconds = interleaved(runs, rounds)
        least = seconds.pop(LIMIT)
        limit = statistics.median(a / b for a, b in zip(seconds["reference"], least, strict=True))
        drawn = row(case, f"draw, batch {batch}", "draw", batch * repeat, seconds)
        rows.append(replace(drawn, limit=limit))
    for who in everyone:
        who.generator.train()
    plain, penalised = (
        {who.name: lambda who=who, p=p: train(who, z, real, p) for who in everyone} for p in (False, True)
    )
    usual, dear = interleaved(plain, rounds), interleaved(penalised, rounds)
    share = 1 / R1_INTERVAL
    mixed = {n: [(1 - share) * a + share * b for a, b in zip(usual[n], dear[n], strict=True)] for n in usual}
    rows.append(row(case, f"training step, batch {BATCH}", "train", BATCH, mixed))
    return rows


def check_agreement(everyone: list[Contestant], z: Tensor, real: Tensor) -> None:
    """Stops unless all contestants draw and judge alike to 1e-4 with these weights, in both modes."""
    with torch.no_grad():
        for mode in (False, True):
            for who in everyone:
                who.generator.train(mode)
            outputs = [
                torch.cat([who.synthesize(who.map(z), "const").flatten(), who.judge(real).flatten()])
                for who in everyone
            ]
            for who, output in zip(everyone[1:], outputs[1:], strict=True):
                gap = (output - outputs[0]).abs().max().item()
                print(f"  {who.name} agrees with ours to {gap:.1e}")
                if gap > 1e-4:
                    sys.exit(f"{who.name} differs from ours by {gap:.1e}; expected at most 1e-4.")


def table(rows: list[Row]) -> str:
    """The rows as a Markdown table, one ratio column for each opponent."""
    opponents = list(dict.fromkeys(name for r in rows for name in r.ratios))
    head = [
        "network",
        "task",
        "target",
        *(f"{n}, ms/image" for n in ("ours", *opponents)),
        *(f"x {n}" for n in opponents),
        "limit",
    ]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for r in rows:
        times = [f"{1000 * r.seconds[n]:.2f}" if n in r.seconds else "-" for n in ("ours", *opponents)]
        ratios = [f"**{r.ratios[n]:.2f}**" if n in r.ratios else "-" for n in opponents]
        limit = f"{r.limit:.2f}" if r.limit is not None else "-"
        lines.append("| " + " | ".join([r.case, r.task, f"{TARGETS[r.kind]:.1f}", *times, *ratios, limit]) + " |")
    return "\n".join(lines)


def drawings(rounds: int, batch: int = 200) -> dict[str, float]:
    """Drawings per second of each domain at 64 px: the median over rounds."""
    rng, found = torch.Generator().manual_seed(0), {}
    for name in domains.names():
        runs = {name: lambda name=name: domains.get(name).draw(batch, rng, resolution=64)}
        found[name] = batch / statistics.median(interleaved(runs, rounds)[name])
    return found


def page(rows: list[Row], drawn: dict[str, float]) -> str:
    """The results as Markdown."""
    cpu = next((line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")), platform.machine())
    clock = "CPU time" if torch.get_num_threads() == 1 else "time on the wall"
    parts = [
        "# Speed",
        "Written by `python -m benchmarks.speed --write docs/SPEED.md`. "
        f"{cpu}, {torch.get_num_threads()} threads, torch {torch.__version__}, float32; {clock}.",
        "Every contestant has the same weights and does the same mathematics, filters and noise included; their "
        "outputs agree to 1e-4. `reference` is NVIDIA's formulation without compiled operations "
        "(`benchmarks/reference.py`): grouped convolution when drawing, scaled activations when training. `peer`, "
        "where it is named, is NVIDIA's own code. A ratio above 1 means that ours is faster; it is the median "
        "over runs that alternate. A training step is one of the generator and one of the discriminator, with R1 "
        "in every 16th. The limit is the ratio of the reference to the dense convolutions of its drawing alone, "
        "without mapping, modulation, filters, noise and activation: with the same convolutions no formulation can "
        "be faster than that.",
        table(rows),
        "## Drawn domains",
        "Drawings per second at 64 px, in batches of 200; training takes them from a pool.",
        "| " + " | ".join(drawn) + " |\n|" + "---|" * len(drawn) + "\n| "
        + " | ".join(f"{speed:.0f}" for speed in drawn.values()) + " |",
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peer", type=Path, help="a checkout of stylegan2-ada-pytorch")
    parser.add_argument("--threads", type=int, default=available_threads(), help="default: the cores of this process")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--case", type=int, action="append", help="number of a case, from 0; default all")
    parser.add_argument("--write", type=Path, help="Markdown file for the results")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="torch_utils")
    torch.set_num_threads(options.threads)
    rows = []
    for index in options.case or range(len(CASES)):
        print(CASES[index].name, flush=True)
        rows += measure(CASES[index], options.peer, options.rounds)
        print(table(rows[-3:]), flush=True)
    if options.write:
        write_text(options.write, page(rows, drawings(options.rounds)))


if __name__ == "__main__":
    main()
