"""StyleGAN2 as trained by rosinality's widely used PyTorch code: a `.pt` file with g_ema, mostly d, and more.

The network is that of Karras et al. 2020 with the same equalised learning rates: every tensor of ours is one of theirs
by another name, up to axes of length 1. Their FIR filters are stored with the gain, and are checked. The architecture
follows from the shapes alone. A generator alone is accepted, and one nested deeper, as encoders keep theirs.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from cocktail import ops
from cocktail.checkpoints import assemble, formats, statedicts, torchfile
from cocktail.errors import CocktailError
from cocktail.gan import Gan

TITLE = "rosinality StyleGAN2"
MARK, JUDGE_MARK, CENTRE = "to_rgb1.conv.weight", "final_linear.0.weight", "latent_avg"
SAMPLES = 4096  # codes whose mean stands for a missing latent_avg, as in that project's own tools
REASONS = {
    "g": "the generator in training; g_ema, its average, draws better", "args": "options of the training",
    "ada_aug_p": "state of the augmentation",
    "d": "holds no discriminator of this layout",
}  # fmt: skip


def recognises(path: Path) -> bool:
    """Tells such a file by the names of a generator's tensors."""
    return statedicts.mentions(path, MARK, "conv.modulation.weight")


def load(path: str | Path) -> Gan:
    """Reads the generator and, where it is there, the discriminator.

    Raises: CocktailError where the file is damaged or unsafe, tensors are missing or surplus, or shapes do not fit.
    """
    path = Path(path)
    stored = torchfile.read(path)
    gan, used, notes = from_tensors(statedicts.flat(stored), str(path))
    gan.card = statedicts.imported(path, TITLE, gan, statedicts.left_out(stored, used, REASONS) | notes)
    return gan


def from_tensors(tensors: Mapping[str, Tensor], where: str) -> tuple[Gan, set[str], dict[str, str]]:
    """A Gan from a file's tensors by dotted names; the entries of the file that were used; notes on what was not there.

    Raises: CocktailError as `load`.
    """
    places = statedicts.holders(tensors, MARK)
    if not places:
        raise CocktailError(f"{where} holds no generator: no tensor is named {MARK}. Give a file with g_ema.")
    place = "g_ema." if "g_ema." in places else places[0]
    stored = statedicts.under(place, tensors)
    centre = stored.pop(CENTRE, tensors.get(CENTRE))
    generator, notes = _generator(stored, f"{where}: {place.rstrip('.') or 'generator'}")
    notes |= _set_centre(generator, centre, where)
    judges = statedicts.holders(tensors, JUDGE_MARK)
    judge, used = None, statedicts.top(place, stored) | {CENTRE}
    if judges:
        at = "d." if "d." in judges else judges[0]
        found = statedicts.under(at, tensors)
        judge = _discriminator(found, f"{where}: {at.rstrip('.') or 'discriminator'}")
        used |= statedicts.top(at, found)
        unfit = statedicts.matched(generator, judge)
        judge, notes = None if unfit else judge, notes | unfit
    return Gan(generator, judge), used, notes


def _set_centre(generator: nn.Module, centre: Tensor | None, where: str) -> dict[str, str]:
    """Sets the point that truncation draws towards; what to note about it."""
    if centre is None:
        generator.recenter(torch.randn(SAMPLES, generator.z_dim, generator=torch.Generator().manual_seed(0)))
        return {CENTRE: f"not in the file; the mean of {SAMPLES:,} codes stands for it"}
    if not centre.is_floating_point() or centre.numel() == 0 or centre.shape[-1:] != (generator.w_dim,):
        raise CocktailError(f"{where}: {CENTRE} has shape {list(centre.shape)}; expected [{generator.w_dim}].")
    rows = centre.float().reshape(-1, generator.w_dim)  # some encoders repeat it for each layer
    if not torch.isfinite(rows).all():
        raise CocktailError(f"{where}: {CENTRE} holds NaN or infinity. Take an earlier checkpoint.")
    generator.mapping.w_avg.copy_(rows.double().mean(dim=0))
    return {}


def _generator(stored: dict[str, Tensor], where: str) -> tuple[nn.Module, dict[str, str]]:
    blocks, layers = statedicts.count(stored, "to_rgbs.{}.conv.weight"), statedicts.count(stored, "style.{}.weight", 1)
    size, style = 8 << (blocks - 1) if blocks else 4, statedicts.shape(stored, "style.1.weight", 2, where)
    first = statedicts.shape(stored, "input.input", 4, where)
    widths = [statedicts.shape(stored, f"convs.{2 * i}.conv.weight", 5, where)[1] for i in range(blocks)]
    config = {"img_resolution": size, "z_dim": style[1], "w_dim": style[0], "mapping_layers": layers,
              "channels": (first[1], *widths)}  # fmt: skip
    built = assemble.generator({"architecture": "stylegan2", "config": config}, where)
    names = {name: _generator_name(name) for name in built.state_dict()}
    names = {name: old for name, old in names.items() if old}
    notes, extra = {}, _filters(built, ops.fir_kernel()) | {"mapping.w_avg": torch.zeros(style[0])}
    _take_filters(stored, 4.0, where)
    if not any(name.startswith("noises.") for name in stored):  # files of the first versions
        notes["noises"] = "not in the file; constant noise is zero"
        missing = {name for name, old in names.items() if old.startswith("noises.")}
        extra |= {name: torch.zeros(built.state_dict()[name].shape) for name in missing}
        names = {name: old for name, old in names.items() if name not in missing}
    return assemble.fill(built, statedicts.take(stored, names, built, where) | extra, where), notes


def _generator_name(name: str) -> str | None:
    """Their name of a tensor of our generator; None for what they do not keep as one."""
    network, block, *rest = name.split(".")
    if network == "mapping":
        return f"style.{int(block.removeprefix('fc')) + 1}.{rest[0]}" if block.startswith("fc") else None
    level = int(block.removeprefix("b")).bit_length() - 3  # 0 at 4 px
    if rest == ["const"]:
        return "input.input"
    if rest[0] == "torgb":
        layer = "to_rgb1" if level == 0 else f"to_rgbs.{level - 1}"
        return f"{layer}.{_within_layer(rest[1:], 'bias')}"
    if rest[0] not in ("conv0", "conv1") or rest[1] == "resample_filter":
        return None
    index = 2 * level + (rest[0] == "conv1") - 2  # of theirs, where the first is -1
    if rest[1] == "noise_const":
        return f"noises.noise_{index + 1}"
    return f"{'conv1' if level == 0 else f'convs.{index}'}.{_within_layer(rest[1:], 'activate.bias')}"


def _within_layer(rest: list[str], bias: str) -> str:
    names = {"weight": "conv.weight", "bias": bias, "noise_strength": "noise.weight"}
    return f"conv.modulation.{rest[1]}" if rest[0] == "affine" else names[rest[0]]


def _discriminator(stored: dict[str, Tensor], where: str) -> nn.Module:
    blocks = statedicts.count(stored, "convs.{}.conv1.0.weight", 1)
    widths = [statedicts.shape(stored, f"convs.{i}.conv1.0.weight", 4, where)[1] for i in range(blocks, 0, -1)]
    last = statedicts.shape(stored, "final_linear.1.weight", 2, where)[1]
    config = {"img_resolution": 4 << blocks, "channels": (last, *widths)}
    built = assemble.discriminator({"architecture": "stylegan2", "config": config}, where)
    names = {name: _discriminator_name(name, blocks) for name in built.state_dict()}
    _take_filters(stored, 1.0, where)
    found = statedicts.take(stored, {name: old for name, old in names.items() if old}, built, where)
    return assemble.fill(built, found | _filters(built, ops.fir_kernel()), where)


def _discriminator_name(name: str, blocks: int) -> str | None:
    """Their name of a tensor of our discriminator with so many halvings; None for a filter."""
    block, layer, *rest = name.split(".")
    if "resample_filter" in (layer, *rest):
        return None
    if block == "b4":
        at = {"conv": "final_conv", "fc": "final_linear.0", "out": "final_linear.1"}[layer]
        return f"{at}.{rest[0]}" if layer != "conv" else f"{at}.{'0.weight' if rest[0] == 'weight' else '1.bias'}"
    index = blocks + 3 - int(block.removeprefix("b")).bit_length() + 1
    if layer == "fromrgb":
        return "convs.0.0.weight" if rest[0] == "weight" else "convs.0.1.bias"
    at, place = {"conv0": ("conv1", 0), "conv1": ("conv2", 1), "skip": ("skip", 1)}[layer]
    place = f"{place}.weight" if rest[0] == "weight" else f"{place + 1}.bias"
    return f"convs.{index}.{at}.{place}"


def _filters(built: nn.Module, kernel: Tensor) -> dict[str, Tensor]:
    return {name: kernel.clone() for name in built.state_dict() if name.endswith("resample_filter")}


def _take_filters(stored: dict[str, Tensor], gain: float, where: str) -> None:
    """Takes the FIR filters out of the tensors. Raises: CocktailError where one is not [1, 3, 3, 1] of sum `gain`."""
    for name in [name for name in stored if name.endswith(".kernel")]:
        kernel = stored.pop(name).float()
        if kernel.shape != (4, 4) or not torch.allclose(kernel, gain * ops.fir_kernel(), atol=1e-5):
            raise CocktailError(f"{where}: {name} is no filter of [1, 3, 3, 1] and gain {gain:g}; no other is read.")


formats.register(f"a {TITLE} file (.pt)", recognises, load)
