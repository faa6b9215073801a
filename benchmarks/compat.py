"""NVIDIA's pickles against NVIDIA's code: the same networks, read by both, on equal input.

    python -m benchmarks.compat --peer DIR            # DIR: a checkout of stylegan2-ada-pytorch, which is not included
    python -m benchmarks.compat --peer DIR --json compat.json

For every configuration the checkout's code builds networks with random weights, biases, noise strengths and centre of
w, and pickles them with its own persistence. Our reader opens the file without running what is in it. Pictures
(noise_mode "const", psi 1 and 0.7) and the discriminator's logits are compared; the largest absolute difference counts.
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
from torch import Tensor

from cocktail import checkpoints
from cocktail.checkpoints.files import write_text
from cocktail.gan import Gan

LIMIT = 1e-4
PICTURES = 4
PSI = (1.0, 0.7)


@dataclass(frozen=True)
class Case:
    """One configuration of train.py (`--cfg`), or a variant of it; `width` scales the channels, for a CPU's sake."""

    name: str
    resolution: int
    classes: int = 0
    mapping_layers: int = 8
    fmaps: float = 1.0
    width: float = 1.0
    latent: int = 512
    generator: dict = field(default_factory=dict)
    synthesis: dict = field(default_factory=dict)
    discriminator: dict = field(default_factory=dict)
    epilogue: dict = field(default_factory=dict)


CASES = (
    Case("stylegan2 256 px", 256, width=0.125, epilogue={"mbstd_group_size": 4}),
    Case("paper256", 256, fmaps=0.5, width=0.25, epilogue={"mbstd_group_size": 8}),
    Case("paper512", 512, width=0.125, epilogue={"mbstd_group_size": 8}),
    Case("paper1024", 1024, width=0.0625, epilogue={"mbstd_group_size": 4}),
    Case("auto 64 px", 64, mapping_layers=2, fmaps=0.5, width=0.25, epilogue={"mbstd_group_size": 4}),
    Case("cifar, 10 classes, D orig", 32, 10, 2, discriminator={"architecture": "orig"}, width=0.25,
         epilogue={"mbstd_group_size": 32}),
    Case("cifar at full width, D orig", 32, 10, 2, discriminator={"architecture": "orig"},
         epilogue={"mbstd_group_size": 32}),
    Case("conditional, D resnet", 64, 3, width=0.125),
    Case("D skip", 64, width=0.125, discriminator={"architecture": "skip"}),
    Case("D skip, conditional", 64, 5, width=0.125, discriminator={"architecture": "skip", "cmap_dim": 24}),
    Case("no minibatch deviation", 64, width=0.125, epilogue={"mbstd_num_channels": 0}),
    Case("whole batch, two deviations", 64, width=0.125, epilogue={"mbstd_group_size": None, "mbstd_num_channels": 2}),
    Case("filter 1 2 1, no noise", 64, width=0.125, synthesis={"resample_filter": [1, 2, 1], "use_noise": False},
         discriminator={"block_kwargs": {"resample_filter": [1, 2, 1]}}),
    Case("small z and w, grey", 32, width=0.125, latent=96, generator={"img_channels": 1},
         discriminator={"img_channels": 1}),
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """The largest absolute differences of one case, and the number of tensors read."""

    case: str
    tensors: int
    pictures: dict[str, float]
    logits: float
    deviation: float  # of the pictures' pixels, which are those of a picture at 0.5
    largest_logit: float

    @property
    def worst(self) -> float:
        return max(*self.pictures.values(), self.logits)


def peer_modules(folder: Path) -> types.ModuleType:
    """training.networks of the checkout, on the reference operations that need no compiler."""
    sys.path.insert(0, str(folder))
    sys.modules.setdefault("requests", types.ModuleType("requests"))  # imported there for downloads, unused here
    return importlib.import_module("training.networks")


def build(networks: types.ModuleType, case: Case) -> dict[str, object]:
    """The dict that training_loop.py pickles, with random weights; fp16 layers as in training."""
    sizes = {
        "channel_base": int(32768 * case.fmaps * case.width),
        "channel_max": max(8, int(512 * case.width)),
        "num_fp16_res": 4,
        "conv_clamp": 256,
    }
    common = {"c_dim": case.classes, "img_resolution": case.resolution, "img_channels": 3}
    torch.manual_seed(0)
    generator = networks.Generator(
        **common | {"z_dim": case.latent, "w_dim": case.latent} | case.generator,
        mapping_kwargs={"num_layers": case.mapping_layers}, synthesis_kwargs=sizes | case.synthesis,
    )  # fmt: skip
    judge = networks.Discriminator(**common | sizes | case.discriminator, epilogue_kwargs=case.epilogue)
    for network in (generator, judge):
        for name, value in network.state_dict().items():
            if name.endswith("torgb.weight"):
                value.mul_(0.2)  # pixels of the size that pictures have
            if name.endswith(("bias", "noise_strength", "w_avg")):
                value.add_(torch.randn_like(value), alpha=0.3)
        network.eval().requires_grad_(False)
    kwargs = {"class_name": "training.dataset.ImageFolderDataset", "path": "a.zip", "resolution": case.resolution}
    return {"training_set_kwargs": kwargs, "G": generator, "D": judge, "G_ema": generator, "augment_pipe": None}


def compare(case: Case, built: dict[str, object], gan: Gan) -> Row:
    """Draws and judges with both; theirs in float32 throughout, as on a CPU."""
    rng = torch.Generator().manual_seed(1)
    z = torch.randn(PICTURES, gan.z_dim, generator=rng)
    labels = torch.arange(PICTURES) % max(1, case.classes)
    c = torch.nn.functional.one_hot(labels, case.classes).float() if case.classes else torch.zeros(PICTURES, 0)
    found, theirs = {}, None
    for psi in PSI:
        theirs = built["G_ema"](z, c, truncation_psi=psi, noise_mode="const", force_fp32=True)
        ours = gan.generator.synthesize(gan.generator.map(z, c if case.classes else None, psi))
        found[f"psi {psi:g}"] = _gap(theirs, ours)
    images = theirs.clamp(-1, 1)
    wanted = built["D"](images, c, force_fp32=True)
    gap = _gap(wanted, gan.discriminator(images, c if case.classes else None))
    return Row(case.name, gan.card["imported"]["read"], found, gap, theirs.std().item(), wanted.abs().max().item())


def _gap(a: Tensor, b: Tensor) -> float:
    return (a - b).abs().max().item()


@torch.no_grad()
def measure(networks: types.ModuleType, case: Case) -> Row:
    """One row of the table."""
    built = build(networks, case)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.pkl"
        with path.open("wb") as file:
            pickle.dump(built, file)
        gan = checkpoints.load(path)
    return compare(case, built, gan)


def table(rows: list[Row]) -> str:
    """The rows as a Markdown table."""
    keys = list(rows[0].pictures)
    lines = [
        "| networks | tensors | "
        + " | ".join(f"pictures, {k}" for k in keys)
        + " | logits | deviation of pixels | largest logit |"
    ]
    lines.append("|---" * (len(keys) + 5) + "|")
    for row in rows:
        figures = [*row.pictures.values(), row.logits]
        lines.append(
            f"| {row.case} | {row.tensors} | "
            + " | ".join(f"{value:.1e}" for value in figures)
            + f" | {row.deviation:.2f} | {row.largest_logit:.1f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, required=True, help="checkout of stylegan2-ada-pytorch")
    parser.add_argument("--only", default="", help="cases whose name holds this text")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    networks = peer_modules(arguments.peer)
    rows = []
    for case in CASES:
        if arguments.only in case.name:
            rows.append(measure(networks, case))
            print(f"{rows[-1].worst:.1e}  {case.name}", flush=True)
    print(table(rows))
    if arguments.json:
        write_text(arguments.json, json.dumps({"limit": LIMIT, "rows": [asdict(row) for row in rows]}, indent=1) + "\n")
    worst = max(row.worst for row in rows)
    sys.exit(0 if worst <= LIMIT else f"the largest difference is {worst:.1e}; at most {LIMIT:.0e} is accepted.")


if __name__ == "__main__":
    main()
