"""A small network that guesses class and w+ code of a picture in one pass, and its file.

It predicts offsets from a mean code, as e4e does (Tov et al., "Designing an Encoder for StyleGAN Image Manipulation",
2021); here every class has its own.

    python -m editing.encoder bundled/union --out assets/union/encoder.safetensors
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import safetensors.torch
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from cocktail.checkpoints import beside, load, write_atomically
from cocktail.commands.base import MODEL_HELP, add_config, bar, drain, read_config
from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.hardware import available_threads
from cocktail.images import resize
from editing.recipes import fingerprint
from editing.region import class_codes

FILE, FORMAT, VERSION = "encoder.safetensors", "gan-cocktail-encoder", 1
ENTRY = "encoder"  # the one entry of metadata: several would be written in random order
MAX_BYTES = 50_000_000
SIDE = 64  # px; larger pictures are reduced to this
CHANNELS = (32, 64, 96, 128, 128)
HIDDEN = (16, 384)  # least and most width of the last layer but one
HEAD = 500_000  # weights of the last layer, about, at most: for w+ of any size the file stays below 5 MB


class Encoder(nn.Module):
    """Picture to class and w+ code: the mean code of the guessed (or given) class plus offsets.

    `fingerprint` names the only model that it belongs to, a model without classes counting as one class. `notes` is
    plain JSON data: how it was trained, and what can be reached with it (`editing.verdict`).
    """

    def __init__(self, gan: Gan):
        super().__init__()
        self.fingerprint, self.notes = fingerprint(gan), {}
        self.side, self.classes = min(SIDE, gan.resolution), max(1, len(gan.classes))
        self.num_ws, self.w_dim = gan.num_ws, gan.w_dim
        layers, width, side = [], 3, self.side
        for channels in CHANNELS:
            stride = 2 if side > 4 else 1
            layers += [nn.Conv2d(width, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
            width, side = channels, side // stride
        outputs = self.num_ws * self.w_dim
        hidden = max(HIDDEN[0], min(HIDDEN[1], HEAD // outputs))
        self.trunk = nn.Sequential(*layers, nn.Flatten())
        self.class_head = nn.Linear(width * side**2, self.classes)
        self.embed = nn.Linear(width * side**2, hidden)
        self.condition = nn.Linear(self.classes, hidden, bias=False)
        self.offsets = nn.Linear(hidden, outputs)
        self.register_buffer("center", torch.zeros(self.classes, self.w_dim))
        self.register_buffer("scale", torch.ones(self.classes, self.w_dim))

    def forward(self, img: Tensor, chosen: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Pictures float32 [N, 3, R, R] in [-1, 1] as classes int64 [N], None = as the guessed ones.

        Gives ws float32 [N, num_ws, w_dim] and class logits float32 [N, classes].
        """
        seen = self.trunk(resize(img, self.side).contiguous(memory_format=torch.channels_last))
        logits = self.class_head(seen)
        chosen = logits.argmax(dim=1) if chosen is None else chosen
        hot = F.one_hot(chosen, self.classes).to(seen.dtype)
        offsets = self.offsets(F.relu(self.embed(seen) + self.condition(hot))).unflatten(1, (self.num_ws, self.w_dim))
        return self.center[chosen][:, None] + self.scale[chosen][:, None] * offsets, logits

    @torch.no_grad()
    def encode(self, img: Tensor, index: int | None = None) -> tuple[Tensor, Tensor]:
        """The codes of pictures as class number `index`, None = as the guessed one, and how probable the classes are.

        Gives ws float32 [N, num_ws, w_dim] and probabilities float32 [N, classes].
        """
        chosen = None if index is None else torch.full((len(img),), index, device=img.device)
        ws, logits = self(img, chosen)
        return ws, logits.softmax(dim=1)


def new_encoder(gan: Gan, seed: int) -> Encoder:
    """An untrained encoder: to every picture it gives the mean code of a class."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = Encoder(gan)
    nn.init.zeros_(encoder.offsets.weight)
    nn.init.zeros_(encoder.offsets.bias)
    for index in range(encoder.classes):
        w = class_codes(gan, index)
        encoder.center[index], encoder.scale[index] = w.mean(dim=0), w.std(dim=0)
    return encoder.to(gan.device, memory_format=torch.channels_last)


def save_encoder(encoder: Encoder, path: str | Path) -> None:
    """Writes an encoder as float16, whole or not at all. Raises: CocktailError where nothing can be written."""
    content = {"format": FORMAT, "version": VERSION, "fingerprint": encoder.fingerprint, "notes": encoder.notes}
    tensors = {
        name: (value.half() if value.is_floating_point() else value).cpu().contiguous()
        for name, value in encoder.state_dict().items()
    }
    data = safetensors.torch.save(tensors, {ENTRY: json.dumps(content, sort_keys=True, allow_nan=False)})
    write_atomically(Path(path), lambda partial: partial.write_bytes(data))


def read_encoder(path: str | Path, gan: Gan) -> Encoder:
    """Reads the encoder of this very model, in eval mode on its device; nothing is unpickled.

    Raises: CocktailError where the file is missing, too large, damaged, of another kind, or of another model.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise CocktailError(f"{path} has {path.stat().st_size:,} bytes; an encoder has at most {MAX_BYTES:,}.")
        with safe_open(path, framework="pt") as stored:
            content = json.loads((stored.metadata() or {}).get(ENTRY, "null"))
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}
    except (OSError, SafetensorError, RecursionError, json.JSONDecodeError) as error:
        raise CocktailError(f"{path} holds no readable encoder ({error}). {_advice(path)}") from error
    if not isinstance(content, dict) or (content.get("format"), content.get("version")) != (FORMAT, VERSION):
        raise CocktailError(f"{path} is no encoder that this program reads ({FORMAT}, {VERSION}). {_advice(path)}")
    encoder = Encoder(gan)
    if content.get("fingerprint") != encoder.fingerprint:
        found = str(content.get("fingerprint"))[:8]
        raise CocktailError(
            f"{path} belongs to another model ({found}, not {encoder.fingerprint[:8]}). {_advice(path)}"
        )
    wanted = encoder.state_dict()
    if {k: v.shape for k, v in tensors.items()} != {k: v.shape for k, v in wanted.items()}:
        raise CocktailError(f"{path} holds other tensors than an encoder of this model. {_advice(path)}")
    if not all(torch.isfinite(value).all() for value in tensors.values()):
        raise CocktailError(f"{path} holds NaN or infinite values. {_advice(path)}")
    encoder.load_state_dict(tensors)
    encoder.notes = content["notes"] if isinstance(content.get("notes"), dict) else {}
    return encoder.to(gan.device, memory_format=torch.channels_last).eval().requires_grad_(False)


def find_encoder(ref: str | Path, gan: Gan) -> Encoder | None:
    """The encoder beside a model's weights, None where there is none. Raises: CocktailError as `read_encoder`."""
    path = beside(ref, FILE)
    return read_encoder(path, gan) if path else None


def _advice(path: Path) -> str:
    return f"Train one with: python -m editing.encoder MODEL --out {path}"


def main(argv: Sequence[str] | None = None) -> int:
    """Trains an encoder, measures what inversion reaches with it, and writes its file; 2 after a one-line error."""
    from editing.encoder_training import EncoderConfig, train_encoder  # that module imports this one
    from editing.verdict import PICTURES, typical_error

    parser = argparse.ArgumentParser(description="Train the encoder that inversion starts from.")
    parser.add_argument("ref", metavar="REF", help=MODEL_HELP)
    parser.add_argument("--out", type=Path, required=True, help=f"file to write, for example MODEL/{FILE}")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=available_threads(), help="CPU threads (default: %(default)s)")
    add_config(parser, EncoderConfig())
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    try:
        gan, config = load(args.ref), read_config(EncoderConfig, args)
        with bar(int(1000 * config.total_kimg), "training", " pictures") as shown:
            steps = train_encoder(gan, config, args.seed)
            encoder = drain(steps, lambda progress: shown.update(progress.images - shown.n))
        with bar(PICTURES, "measuring", " pictures") as shown:
            typical = drain(typical_error(gan, encoder, PICTURES), lambda done: shown.update(done - shown.n))
        encoder.notes["typical"] = asdict(typical)
        save_encoder(encoder, args.out)
    except CocktailError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    print(f"{args.out}: {encoder.notes['minutes']} minutes; own samples again to {typical.psnr:.1f} dB (median)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
