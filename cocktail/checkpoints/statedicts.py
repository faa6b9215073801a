"""State dicts of foreign torch files: recognised by the names in them, found wherever they are nested, checked."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from cocktail.checkpoints import archive, assemble, content
from cocktail.errors import CocktailError
from cocktail.gan import Gan

MAX_NESTING = 8
LOOKED_AT = 8 << 20  # bytes at the beginning of a file's pickle in which names are looked for
MAX_NOTES, MAX_NAME = 20, 100
PARALLEL = "module."  # put in front of every name by DataParallel


def mentions(path: Path, *names: str) -> bool:
    """Whether a torch file holds all these strings where the names of its tensors stand; reads no tensor."""
    try:
        kind = content.kind(path)
        if kind not in ("torch-zip", "torch-legacy"):
            return False
        head = _pickle_of_zip(path) if kind == "torch-zip" else _first_bytes(path)
    except Exception:  # a file that nobody vouches for; `load` says what is wrong with it
        return False
    return all(name.encode() in head for name in names)


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:  # the older form has its names before its tensors
        return file.read(LOOKED_AT)


def _pickle_of_zip(path: Path) -> bytes:
    with archive.opened(path) as stored:
        name = next(name for name in stored.namelist() if name.endswith("data.pkl"))
        with stored.open(name) as file:
            return file.read(LOOKED_AT)


def flat(stored: object, prefix: str = "", depth: int = 0) -> dict[str, Tensor]:
    """All tensors in nested dicts by dotted names, "g_ema.conv1.conv.weight", without DataParallel's "module."."""
    found: dict[str, Tensor] = {}
    if not isinstance(stored, Mapping) or depth > MAX_NESTING:
        return found
    for key, value in stored.items():
        name = prefix + str(key).removeprefix(PARALLEL)
        if isinstance(value, Tensor):
            found[name] = value
        else:
            found |= flat(value, name + ".", depth + 1)
    return found


def holders(tensors: Mapping[str, Tensor], name: str) -> list[str]:
    """What stands in front of `name` wherever it occurs, in the order of the file: ["g_ema.", "g."]."""
    return [key.removesuffix(name) for key in tensors if key == name or key.endswith("." + name)]


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def take(tensors: dict[str, Tensor], names: Mapping[str, str], built: nn.Module, where: str) -> dict[str, Tensor]:
    """Tensors under the names of a network built on `meta`: `names` are {name there: name in the file}.

    Axes of length 1 are added or dropped where only they differ, floats become float32, and each owns its memory.

    Raises: CocktailError that names tensors that are missing, that nothing is known to be, or that have another shape.
    """
    needed, known = built.state_dict(), set(names.values())
    differing = [
        f"{old} ({_described(tensors[old])}, expected {_described(needed[name])})"
        for name, old in names.items()
        if old in tensors and not _same_kind(tensors[old], needed[name])
    ]
    faults = {
        "missing": [old for old in known if old not in tensors],
        "not part of such a network": [name for name in tensors if name not in known],
        "of another shape or type": differing,
    }
    text = "; ".join(
        f"{len(found)} tensors {what}: {assemble.some(sorted(found))}" for what, found in faults.items() if found
    )
    if text:
        raise CocktailError(f"{where}: {text}. Give the complete file as its training wrote it.")
    _check_memory([tensors[old] for old in known], where)
    return {name: _own(tensors[old], needed[name]) for name, old in names.items()}


def _described(tensor: Tensor) -> str:
    return f"{list(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"


def _same_kind(found: Tensor, needed: Tensor) -> bool:
    essential = [[n for n in tensor.shape if n != 1] for tensor in (found, needed)]
    return essential[0] == essential[1] and found.is_floating_point() == needed.is_floating_point()


def _own(found: Tensor, needed: Tensor) -> Tensor:
    value = found.detach().to(needed.dtype).reshape(needed.shape)
    return value.clone(memory_format=torch.contiguous_format)


def _check_memory(tensors: list[Tensor], where: str) -> None:
    """Tensors of a small file may all be views of one storage; as many copies could fill the memory."""
    held = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    if sum(t.numel() * t.element_size() for t in tensors) > sum(held.values()):
        raise CocktailError(f"{where}: its tensors share their memory, as no training writes it; it is not read.")


def count(tensors: Mapping[str, Tensor], name: str, first: int = 0) -> int:
    """How many of the names "to_rgbs.{}.bias" follow each other from the number `first` on."""
    found = 0
    while name.format(first + found) in tensors:
        found += 1
    return found


def shape(tensors: Mapping[str, Tensor], name: str, axes: int, where: str) -> tuple[int, ...]:
    """The shape of a tensor. Raises: CocktailError where it is missing or has another number of axes."""
    if name not in tensors or tensors[name].ndim != axes:
        found = list(tensors[name].shape) if name in tensors else "nothing"
        raise CocktailError(
            f"{where}: {name} should be a tensor with {axes} axes; found {found}. Give the complete file."
        )
    return tuple(tensors[name].shape)


def matched(generator: nn.Module, judge: nn.Module) -> dict[str, str]:
    """Why a discriminator from the same file cannot judge this generator's pictures; nothing where it can."""
    ours, theirs = ((net.resolution, net.config.img_channels) for net in (generator, judge))
    what = "judges pictures of {} px and {} channels, the generator draws {} px and {} channels"
    return {} if ours == theirs else {"discriminator": what.format(*theirs, *ours)}


def top(place: str, tensors: Mapping[str, Tensor]) -> set[str]:
    """The entries at the top of a file that tensors at a `place` in it come from."""
    return {place.split(".")[0]} if place else {name.split(".")[0] for name in tensors}


def left_out(stored: object, used: set[str], reasons: Mapping[str, str]) -> dict[str, str]:
    """Why each entry at the top of a file was left out, but for those `used`."""
    names = [str(key).removeprefix(PARALLEL) for key in stored] if isinstance(stored, Mapping) else []
    rest = [name for name in names if name.split(".")[0] not in used]
    found = {name[:MAX_NAME]: reasons.get(name) or _guess(name) for name in rest[:MAX_NOTES]}
    more = len(rest) - MAX_NOTES
    return found | ({f"{more} more entries": "no part of the networks"} if more > 0 else {})


def _guess(name: str) -> str:
    return "state of an optimiser; training starts a new one" if "opt" in name.lower() else "no part of the networks"


def imported(path: Path, title: str, gan: Gan, ignored: Mapping[str, str]) -> dict:
    """The card of an imported model: where it came from, how much was read, and what was left out and why."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    read = sum(len(part.state_dict()) for part in (gan.generator, gan.discriminator) if part is not None)
    return {"imported": {"format": title, "file": path.name, "sha256": digest, "read": read, "ignored": dict(ignored)}}
