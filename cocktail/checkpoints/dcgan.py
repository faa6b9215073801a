"""State dicts of DCGANs in the layout of PyTorch's example: `main.0.weight` and so on, of any width, 8 px and up.

They may be nested in dicts under any names (netG, generator, G ...) and carry DataParallel's "module."; which network
a state dict is, and its architecture, follow from the shapes alone: a generator normalises behind its first
convolution, a discriminator does not.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from cocktail.checkpoints import assemble, formats, statedicts, torchfile
from cocktail.errors import CocktailError
from cocktail.gan import Gan

TITLE = "DCGAN state dict"
MARK = "main.0.weight"
COUNTER = "num_batches_tracked"  # of BatchNorm; torch wrote none before 0.4.1, and nothing here needs it


def recognises(path: Path) -> bool:
    """Tells such a file by the name of a first convolution, with a third one or a normalisation."""
    return statedicts.mentions(path, MARK, "main.3.")


def load(path: str | Path) -> Gan:
    """Reads the generator and, where it is there, the discriminator.

    Raises: CocktailError where the file is damaged or unsafe, holds no generator, or tensors are not of this layout.
    """
    path = Path(path)
    stored = torchfile.read(path)
    gan, used, notes = from_tensors(statedicts.flat(stored), str(path))
    gan.card = statedicts.imported(path, TITLE, gan, statedicts.left_out(stored, used, {}) | notes)
    return gan


def from_tensors(tensors: Mapping[str, Tensor], where: str) -> tuple[Gan, set[str], dict[str, str]]:
    """A Gan from a file's tensors by dotted names; the entries of the file that were used; notes on what was not.

    Raises: CocktailError as `load`.
    """
    places = {place: statedicts.under(place, tensors) for place in statedicts.holders(tensors, MARK)}
    drawers = sorted((p for p in places if _draws(places[p])), key=lambda place: "ema" not in place.lower())
    judges = [place for place in places if _judges(places[place])]
    if not drawers:
        raise CocktailError(f"{where} {_no_generator(places, judges)}")
    place = drawers[0]
    generator = _network(places[place], f"{where}: {place.rstrip('.') or 'generator'}", True)
    used, judge, notes = statedicts.top(place, places[place]), None, {}
    if judges:
        at = judges[0]
        judge = _network(places[at], f"{where}: {at.rstrip('.') or 'discriminator'}", False)
        used |= statedicts.top(at, places[at])
        notes = statedicts.matched(generator, judge)
    return Gan(generator, None if notes else judge), used, notes


def _no_generator(places: Mapping[str, dict[str, Tensor]], judges: list[str]) -> str:
    if judges:
        return "holds a DCGAN's discriminator alone. Give the file of its generator, often named netG."
    shapes = ", ".join(f"{place}{MARK} {list(found[MARK].shape)}" for place, found in places.items()) or f"no {MARK}"
    return (
        f"holds no generator in the layout of PyTorch's DCGAN example: found {shapes[:200]}; expected "
        "[z, channels, 4, 4] followed by BatchNorm in main.1. Export such a generator to ONNX instead."
    )


def _draws(stored: Mapping[str, Tensor]) -> bool:
    first, norm = stored[MARK], stored.get("main.1.weight")
    return first.ndim == 4 and norm is not None and tuple(norm.shape) == (first.shape[1],)


def _judges(stored: Mapping[str, Tensor]) -> bool:
    second = stored.get("main.2.weight")
    return second is not None and second.ndim == 4 and "main.1.weight" not in stored


def _network(stored: dict[str, Tensor], where: str, draws: bool) -> nn.Module:
    """One network: the layers of its convolutions are found, their shapes make the config, and all else is checked."""
    at = [0, *_positions(stored, 3 if draws else 2)]
    shapes = [statedicts.shape(stored, f"main.{i}.weight", 4, where) for i in at]
    last, size = shapes[-1], shapes[-1][-1]
    if draws:
        widths, pixels = [shape[1] for shape in shapes[:-1]], {4: 4, 1: 2}
    else:
        widths, pixels = [shape[0] for shape in shapes[-2::-1]], {4: 4, 2: 2}
    if size not in pixels or not widths:
        raise CocktailError(
            f"{where}: its last convolution, main.{at[-1]}, has the shape {list(last)}; expected a kernel of "
            f"{' or '.join(map(str, pixels))} behind at least one other. Export the generator to ONNX instead."
        )
    config = {"img_resolution": pixels[size] << len(widths), "channels": tuple(widths),
              "img_channels": last[1] if draws else shapes[0][1], "last_kernel" if draws else "last_size": size,
              "biases": _biases(stored, at[-1], 0 if draws else 2)}  # fmt: skip
    config |= {"z_dim": shapes[0][0]} if draws else {}
    build = assemble.generator if draws else assemble.discriminator
    built = build({"architecture": "dcgan", "config": config}, where)
    names = {name: name for name in built.state_dict()}
    counters = {name: torch.tensor(0) for name in names if name.endswith(COUNTER) and name not in stored}
    found = statedicts.take(stored, {name: name for name in names if name not in counters}, built, where)
    return assemble.fill(built, found | counters, where)


def _positions(stored: Mapping[str, Tensor], first: int) -> Iterator[int]:
    """Where the convolutions behind the first one stand: every third layer."""
    position = first
    while f"main.{position}.weight" in stored:
        yield position
        position += 3


def _biases(stored: Mapping[str, Tensor], last: int, inner: int) -> str:
    """Which convolutions have a bias, by the last one and one that BatchNorm follows."""
    if f"main.{inner}.bias" in stored and inner != last:
        return "all"
    return "plain" if f"main.{last}.bias" in stored else "none"


formats.register(f"a {TITLE} (.pth)", recognises, load)
