"""The oracle: a small network, trained on drawings, that reads class and factors back from a picture.

It judges generators; it never teaches one. `python -m cocktail.domains.oracle --out assets/oracle` trains it anew.
"""

import argparse
import functools
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cocktail.domains.registry import get, names
from cocktail.errors import CocktailError
from cocktail.images import from_uint8, resize

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "oracle"
CONFIG, WEIGHTS = "config.json", "model.safetensors"
SIDE = 64  # pictures of other sizes are resized to this
CHANNELS = (24, 48, 64, 96, 128, 160)
STRIDES = (2, 2, 1, 2, 2, 1)
DEGRADATIONS = ("blur", "noise", "coarseness")


@dataclass(frozen=True)
class Reading:
    """What the oracle sees in N pictures.

    class_logits: float32 [N, classes]; factors: name -> float32 [N] in the units of the drawings, binary ones as a
    probability, NaN where the picture's class has no such factor.
    """

    class_logits: Tensor
    factors: dict[str, Tensor]


class Oracle(nn.Module):
    """Six convolutions and two linear layers; heads for the class, every factor of every class, and the degradation.

    spec: class -> {"ranges": {factor: [least, greatest]}, "binary": [factor]}. The factor head has one row of outputs
    per class, as "tone" means another colour on a car than on a face. The third head tells during training how much a
    picture was blurred: with it the embedding notices blur although the readings are trained to overlook it.
    """

    def __init__(self, spec: dict[str, dict], dim: int = 128):
        super().__init__()
        self.spec, self.dim = spec, dim
        self.classes = tuple(spec)
        self.factor_names = tuple(dict.fromkeys(name for entry in spec.values() for name in entry["ranges"]))
        layers, width = [], 3
        for channels, stride in zip(CHANNELS, STRIDES):
            layers += [nn.Conv2d(width, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
            width = channels
        self.trunk = nn.Sequential(*layers)
        side = SIDE // 2 ** sum(stride == 2 for stride in STRIDES)
        self.embed = nn.Sequential(nn.Flatten(), nn.Linear(width * side**2, dim), nn.ReLU())
        self.class_head = nn.Linear(dim, len(self.classes))
        self.factor_head = nn.Linear(dim, len(self.classes) * len(self.factor_names))
        self.degradation_head = nn.Linear(dim, len(DEGRADATIONS))

    def embedding(self, img: Tensor) -> Tensor:
        """Embeds float32 [N,3,H,W] in [-1,1] as float32 [N,dim], >= 0."""
        return self.embed(self.trunk(resize(img, SIDE)))

    @torch.inference_mode()
    def features(self, img: Tensor) -> Tensor:
        """Embeds uint8 [N,3,H,W] as float32 [N,dim]: the features of the embedded Frechet distance."""
        return self.embedding(from_uint8(img))

    @torch.inference_mode()
    def read(self, img: Tensor, label: str | None = None) -> Reading:
        """Reads class and factors of float32 [N,3,H,W] in [-1,1].

        label: the class whose factors to read in all pictures; None takes the most probable class of each.
        Raises: CocktailError on a label that is no class of the oracle.
        """
        if label is not None and label not in self.classes:
            raise CocktailError(f"the oracle knows {', '.join(self.classes)}; found {label!r}: name one of them")
        hidden = self.embedding(img)
        logits = self.class_head(hidden)
        chosen = logits.argmax(1) if label is None else torch.full_like(logits[:, 0], self.classes.index(label)).long()
        raw = self.raw_factors(hidden)[torch.arange(len(img), device=img.device), chosen]
        factors = {name: torch.full_like(raw[:, 0], torch.nan) for name in self.factor_names}
        for index, name in enumerate(self.classes):
            rows = chosen == index
            for factor, (low, high) in self.spec[name]["ranges"].items():
                value = raw[rows, self.factor_names.index(factor)]
                binary = factor in self.spec[name]["binary"]
                factors[factor][rows] = torch.sigmoid(value) if binary else low + (high - low) * (value + 1) / 2
        return Reading(logits, factors)

    def raw_factors(self, hidden: Tensor) -> Tensor:
        """Gives float32 [N, classes, factors]: a logit for a binary factor, else the value scaled to [-1,1]."""
        return self.factor_head(hidden).unflatten(1, (len(self.classes), len(self.factor_names)))


def spec_of_domains() -> dict[str, dict]:
    """What there is to read in the registered domains, as plain data."""
    return {
        name: {"ranges": {k: list(v) for k, v in get(name).ranges.items()}, "binary": list(get(name).binary)}
        for name in names()
    }


def save_oracle(oracle: Oracle, folder: Path, training: dict, held_out: dict) -> None:
    """Writes weights as float16 and a config.json with the classes, the training and the held-out scores."""
    folder.mkdir(parents=True, exist_ok=True)
    halves = {k: v.half() if v.is_floating_point() else v for k, v in oracle.state_dict().items()}
    save_file({k: v.contiguous() for k, v in halves.items()}, folder / WEIGHTS)
    config = {"format": "oracle", "dim": oracle.dim, "spec": oracle.spec, "training": training, "held_out": held_out}
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def read_oracle(folder: Path) -> Oracle:
    """Loads an oracle in float32, ready to read.

    Raises: CocktailError where the folder holds no oracle or a damaged one.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        oracle = Oracle(config["spec"], config["dim"])
        oracle.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        advice = f"train one with: python -m cocktail.domains.oracle --out {folder}"
        raise CocktailError(f"{folder} holds no readable oracle ({error}); {advice}") from error
    return oracle.eval().requires_grad_(False)


@functools.cache
def load_oracle() -> Oracle:
    """Loads the bundled oracle once. Raises: CocktailError where it is missing or damaged."""
    return read_oracle(FOLDER)


def main() -> None:
    """Trains an oracle, prints its held-out scores and stores it."""
    from cocktail.domains.oracle_training import OracleConfig, train_oracle  # that module imports this one

    parser = argparse.ArgumentParser(description="Train the network that reads class and factors from drawings.")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder for config.json and model.safetensors")
    parser.add_argument("--steps", type=int, default=OracleConfig.steps, help="number of batches")
    parser.add_argument("--batch", type=int, default=OracleConfig.batch, help="drawings in a batch, over all domains")
    parser.add_argument("--seed", type=int, default=OracleConfig.seed, help="seed of weights and drawings")
    parser.add_argument("--held-out", type=int, default=OracleConfig.held_out, help="drawings of each class to test on")
    args = parser.parse_args()
    config = OracleConfig(steps=args.steps, batch=args.batch, seed=args.seed, held_out=args.held_out)
    train_oracle(args.out, config)


if __name__ == "__main__":
    main()
