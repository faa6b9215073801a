"""Files of rosinality's StyleGAN2 against that code: the same networks, read by both, on equal input.

    python -m benchmarks.compat_rosinality --peer DIR     # DIR: a checkout of stylegan2-pytorch, which is not included

For every case the checkout's code builds networks with random weights, biases and noise strengths, and saves them as
its training or its converter does. Our reader opens the file. Pictures (noise const and none, psi 1 and 0.7) and logits
are compared; the largest absolute difference counts.
"""

import argparse
import importlib
import json
import sys
import tempfile
import types
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils import cpp_extension

from cocktail import checkpoints
from cocktail.checkpoints.files import write_text
from cocktail.gan import Gan

LIMIT = 1e-3
PICTURES = 4


@dataclass(frozen=True)
class Case:
    """One size; `whole` writes all that the training writes, else g_ema and latent_avg as the converter does."""

    size: int
    multiplier: int
    layers: int = 8
    latent: int = 512
    whole: bool = True
    legacy: bool = False


CASES = (Case(32, 2), Case(64, 1, legacy=True), Case(64, 2, layers=4, latent=256), Case(128, 1, whole=False),
         Case(128, 2), Case(256, 1), Case(256, 2))  # fmt: skip


@dataclass(frozen=True)
class Row:
    """The largest absolute differences of one case, and the number of tensors read."""

    case: str
    tensors: int
    differences: dict[str, float]
    deviation: float  # of the pictures' pixels
    largest_logit: float


def peer_module(folder: Path) -> types.ModuleType:
    """`model` of the checkout; it compiles operations for GPUs when imported, which a CPU does not need."""
    sys.path.insert(0, str(folder))
    compiler, cpp_extension.load = cpp_extension.load, lambda *_, **__: None
    try:
        return importlib.import_module("model")
    finally:
        cpp_extension.load = compiler


def build(model: types.ModuleType, case: Case) -> tuple[torch.nn.Module, torch.nn.Module, dict]:
    """Generator, discriminator, and what is saved of them."""
    torch.manual_seed(0)
    generator = model.Generator(case.size, case.latent, case.layers, channel_multiplier=case.multiplier).eval()
    judge = model.Discriminator(case.size, channel_multiplier=case.multiplier).eval()
    for network in (generator, judge):
        for name, value in network.named_parameters():
            value.requires_grad_(False)
            if "to_rgb" in name and name.endswith("conv.weight"):
                value.mul_(0.2)  # pixels of the size that pictures have
            if name.endswith(("bias", "noise.weight")):
                value.add_(torch.randn_like(value), alpha=0.3)
    stored = {"g_ema": generator.state_dict(), "latent_avg": generator.mean_latent(4096)[0]}
    if case.whole:
        optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(3))])
        options = argparse.Namespace(size=case.size, latent=case.latent, path="pictures.lmdb")
        stored = {"g": generator.state_dict(), "d": judge.state_dict(), "g_ema": generator.state_dict(),
                  "g_optim": optimizer.state_dict(), "args": options, "ada_aug_p": 0.1}  # fmt: skip
    return generator, judge, stored


def compare(case: Case, theirs: torch.nn.Module, judge: torch.nn.Module, gan: Gan) -> Row:
    """Draws and judges with both."""
    z = torch.randn(PICTURES, case.latent, generator=torch.Generator().manual_seed(1))
    centre, found = gan.generator.mapping.w_avg, {}
    const = [getattr(theirs.noises, f"noise_{i}") for i in range(theirs.num_layers)]
    for mode, noise in (("const", const), ("none", [torch.zeros_like(n) for n in const])):
        for psi in (1, 0.7):
            wanted = theirs([z], truncation=psi, truncation_latent=centre, noise=noise)[0]
            ours = gan.generator.synthesize(gan.generator.map(z, None, psi), mode)
            found[f"{mode}, psi {psi:g}"] = _gap(wanted, ours)
    logits = judge(wanted.clamp(-1, 1))
    if gan.discriminator is not None:
        found["logits"] = _gap(logits, gan.discriminator(wanted.clamp(-1, 1), None))
    name = f"{case.size} px, multiplier {case.multiplier}, {case.layers} layers of {case.latent}"
    name += "" if case.whole else ", converted"
    read = gan.card["imported"]["read"]
    return Row(name, read, found, wanted.std().item(), logits.abs().max().item())


def _gap(a: Tensor, b: Tensor) -> float:
    return (a - b).abs().max().item()


@torch.no_grad()
def measure(model: types.ModuleType, case: Case) -> Row:
    """Saves, reads and compares one case."""
    generator, judge, stored = build(model, case)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.pt"
        torch.save(stored, path, _use_new_zipfile_serialization=not case.legacy)
        gan = checkpoints.load(path)
    if "latent_avg" in stored and _gap(stored["latent_avg"], gan.generator.mapping.w_avg):
        raise SystemExit("latent_avg was not taken over.")
    return compare(case, generator, judge, gan)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, required=True, help="checkout of rosinality/stylegan2-pytorch")
    parser.add_argument("--sizes", type=int, nargs="*", help="resolutions to compare (default: all)")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    model, rows = peer_module(arguments.peer), []
    for case in (case for case in CASES if not arguments.sizes or case.size in arguments.sizes):
        rows.append(measure(model, case))
        gaps = "  ".join(f"{key}: {value:.1e}" for key, value in rows[-1].differences.items())
        print(f"{rows[-1].case} ({rows[-1].tensors} tensors, deviation {rows[-1].deviation:.2f})  {gaps}", flush=True)
    if arguments.json:
        write_text(arguments.json, json.dumps({"limit": LIMIT, "rows": [asdict(row) for row in rows]}, indent=1) + "\n")
    worst = max(max(row.differences.values()) for row in rows)
    sys.exit(0 if worst <= LIMIT else f"the largest difference is {worst:.1e}; at most {LIMIT:.0e} is accepted.")


if __name__ == "__main__":
    main()
