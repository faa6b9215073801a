"""NVIDIA's StyleGAN3 pickles against NVIDIA's code: the same networks, read by both, on equal input.

    python -m benchmarks.compat_stylegan3 --peer DIR      # DIR: a checkout of stylegan3, which is not included
    python -m benchmarks.compat_stylegan3 --peer DIR --json compat.json

As `benchmarks.compat` does for StyleGAN2: the checkout's code builds networks of configurations T and R with random
weights, input transform, magnitudes and centre of w, and pickles them with its own persistence; our reader opens
the file without running what is in it; the largest absolute difference of pictures and logits counts.
"""

import argparse
import importlib
import json
import pickle
import sys
import tempfile
import types
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import nn

from benchmarks.compat import LIMIT, Row, compare, table
from cocktail import checkpoints
from cocktail.checkpoints.files import write_text

DEVIATION = 0.4  # of the pixels of the pictures to compare, as pictures have it


@dataclass(frozen=True)
class Case:
    """One configuration of train.py (`--cfg`), narrow for a CPU's sake."""

    name: str
    resolution: int
    classes: int = 0
    base: int = 1024
    widest: int = 32
    latent: int = 64
    mapping_layers: int = 2
    radial: bool = False
    options: dict = field(default_factory=dict)

    def arguments(self) -> dict:
        """Of the generator; R is what train.py makes of T."""
        scale = 2 if self.radial else 1
        r = {"conv_kernel": 1, "use_radial_filters": True} if self.radial else {}
        sizes = {"channel_base": self.base * scale, "channel_max": self.widest * scale, "magnitude_ema_beta": 0.9989}
        return sizes | r | self.options


CASES = (
    Case("T 64 px", 64),
    Case("T 128 px, 3 classes", 128, classes=3),
    Case("T 256 px", 256),
    Case("T 256 px, 5 classes, deep mapping", 256, classes=5, mapping_layers=8),
    Case("T 512 px", 512),
    Case("T 1024 px", 1024),
    Case("T 64 px, full width", 64, base=32768, widest=512, latent=512),
    Case("R 64 px, 3 classes", 64, classes=3, radial=True),
    Case("R 256 px", 256, radial=True),
    Case("R 512 px", 512, radial=True),
    Case("T 64 px, other bands", 64, options={"num_layers": 9, "num_critical": 1, "first_cutoff": 3,
         "first_stopband": 5, "last_stopband_rel": 1.5, "margin_size": 7, "output_scale": 0.5}),
    Case("T 64 px, other filters", 64, options={"filter_size": 8, "lrelu_upsampling": 4}),
    Case("T 64 px, fp32, no clamp", 64, options={"num_fp16_res": 0, "conv_clamp": None}),
    Case("T 64 px, small clamp", 64, options={"conv_clamp": 0.5}),
)  # fmt: skip


def peer_modules(folder: Path) -> tuple[types.ModuleType, types.ModuleType]:
    """networks_stylegan3 and networks_stylegan2 of the checkout, on the reference operations that need no compiler."""
    sys.path.insert(0, str(folder))
    sys.modules.setdefault("requests", types.ModuleType("requests"))  # imported there for downloads, unused here
    versions = types.ModuleType("pkg_resources")  # gone from setuptools; two files there compare torch's version
    versions.parse_version = lambda text: [int(part) for part in text.split("+")[0].split(".")[:2]]
    sys.modules.setdefault("pkg_resources", versions)
    names = ("training.networks_stylegan3", "training.networks_stylegan2")
    return tuple(importlib.import_module(name) for name in names)


def build(modules: tuple[types.ModuleType, types.ModuleType], case: Case) -> dict[str, object]:
    """The dict that training_loop.py pickles, with random weights."""
    common = {"c_dim": case.classes, "img_resolution": case.resolution, "img_channels": 3}
    torch.manual_seed(0)
    mapping = {"num_layers": case.mapping_layers}
    generator = modules[0].Generator(
        **common, z_dim=case.latent, w_dim=case.latent, mapping_kwargs=mapping, **case.arguments()
    )
    judge = modules[1].Discriminator(
        **common, channel_base=case.base, channel_max=case.widest, num_fp16_res=4, conv_clamp=256,
        epilogue_kwargs={"mbstd_group_size": 4},
    )  # fmt: skip
    _shake(generator)
    _shake(judge)
    _scale(generator, case)
    kwargs = {"class_name": "training.dataset.ImageFolderDataset", "path": "a.zip", "resolution": case.resolution}
    return {"G": generator, "D": judge, "G_ema": generator, "augment_pipe": None, "training_set_kwargs": kwargs}


def _shake(network: nn.Module) -> None:
    """Gives what starts as a constant a random part, so that each takes part in the comparison."""
    for name, value in network.state_dict().items():
        if name.endswith(("bias", "w_avg", "input.affine.weight")):
            value.add_(torch.randn_like(value), alpha=0.3)
        elif name.endswith("magnitude_ema"):
            value.mul_(0.5 + torch.rand([]))
        elif name.endswith("input.transform"):  # a small turn, stretch and shift by the user
            value[:2].add_(torch.randn(2, 3), alpha=0.05)
    network.eval().requires_grad_(False)


def _scale(generator: nn.Module, case: Case) -> None:
    """Sets the last layer so that pixels are of the size that pictures have."""
    z, c = torch.randn(2, case.latent), torch.eye(max(2, case.classes))[:2, : case.classes]
    last = getattr(generator.synthesis, generator.synthesis.layer_names[-1])
    factor = DEVIATION / generator(z, c, noise_mode="const").std()
    last.weight.mul_(factor)
    last.bias.mul_(factor)


@torch.no_grad()
def measure(modules: tuple[types.ModuleType, types.ModuleType], case: Case) -> Row:
    """One row of the table."""
    built = build(modules, case)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.pkl"
        with path.open("wb") as file:
            pickle.dump(built, file)
        gan = checkpoints.load(path)
    return compare(case, built, gan)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, required=True, help="checkout of stylegan3")
    parser.add_argument("--only", default="", help="cases whose name holds this text")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    modules = peer_modules(arguments.peer)
    rows = []
    for case in (case for case in CASES if arguments.only in case.name):
        rows.append(measure(modules, case))
        print(f"{rows[-1].worst:.1e}  {case.name}", flush=True)
    if not rows:
        sys.exit(f"no case has {arguments.only!r} in its name.")
    print(table(rows))
    if arguments.json:
        write_text(arguments.json, json.dumps({"limit": LIMIT, "rows": [asdict(row) for row in rows]}, indent=1) + "\n")
    worst = max(row.worst for row in rows)
    sys.exit(0 if worst <= LIMIT else f"the largest difference is {worst:.1e}; at most {LIMIT:.0e} is accepted.")


if __name__ == "__main__":
    main()
