"""NVIDIA's network pickles (StyleGAN2-ADA, StyleGAN3): tensors and arguments, without the source code inside them.

Such a file keeps each network as the source of its class, which NVIDIA's reader executes, the arguments of its
constructor, and its state. Here the source is text that is hashed and dropped.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from torch import Tensor

from cocktail.checkpoints import content, pickles
from cocktail.checkpoints.constructors import COMMON, items
from cocktail.checkpoints.pickles import Items
from cocktail.checkpoints.torchfile import storage_of_bytes
from cocktail.errors import CocktailError

MAX_TENSORS, MAX_LAYERS, MAX_STATE = 20_000, 2_000, 100_000  # of a network; entries of all its layers' state
MAX_ENTRIES = 1_000  # of a file, and of a table of a layer
MAX_NETWORKS = 20
MAX_LEVELS = 20  # networks in networks
MAX_PLAIN = 10_000  # values among a network's arguments
ATTRIBUTES = ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels", "num_ws")
POSITIONAL = {
    "Generator": ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels", "mapping_kwargs", "synthesis_kwargs"),
    "Discriminator": ("c_dim", "img_resolution", "img_channels", "architecture", "channel_base", "channel_max"),
}
FAMILIES = {"SynthesisInput": "stylegan3", "ToRGBLayer": "stylegan2"}  # a class that the other family lacks


@dataclass(frozen=True)
class Network:
    """A network of a pickle.

    class_name: of its Python class; module_sha: SHA-256 of the source that the file carries, as hexadecimal digits;
    kwargs: arguments of its constructor, as far as they are plain data; tensors: parameters and buffers by their
    dotted names; attributes: what else its layers keep that is a number, a text or None, by dotted names.
    """

    class_name: str
    module_sha: str
    kwargs: dict
    tensors: dict[str, Tensor]
    attributes: dict[str, object]


class Persistent(Items):
    """What the file says of one network or layer: class_name, module_src, state."""


def reconstruct(meta: object) -> Persistent:
    """Stands for torch_utils.persistence._reconstruct_persistent_obj, which would execute meta["module_src"]."""
    if not isinstance(meta, dict) or meta.get("type") != "class" or not isinstance(meta.get("class_name"), str):
        raise TypeError("expected the description of a class")
    if not isinstance(meta.get("state"), dict) or not isinstance(meta.get("module_src", ""), str):
        raise TypeError("expected its source and state")
    found = Persistent()
    found.update(meta)
    return found


ALLOWED: dict[str, Callable[..., object]] = COMMON | {
    content.NVIDIA: reconstruct,
    "torch.storage._load_from_bytes": storage_of_bytes,
    "dnnlib.util.EasyDict": items,
    "dnnlib.EasyDict": items,
}


def read(path: str | Path) -> tuple[dict[str, Network], dict[str, object]]:
    """The networks of an NVIDIA pickle by their keys ("G", "D", "G_ema"), and all else that it holds as plain data.

    Raises: CocktailError where the file is damaged, asks for a name that such files do not need, or holds no network.
    """
    path = Path(path)
    where = str(path)
    try:
        with path.open("rb") as file:
            root = pickles.load(file, ALLOWED, where)
    except OSError as error:
        raise CocktailError(f"{where} cannot be read ({error.strerror or error}).") from error
    if isinstance(root, Persistent):
        root = {"G_ema": root}  # one network pickled by itself
    if not isinstance(root, dict):
        raise CocktailError(f"{where} holds a {type(root).__name__}; expected a dict with G_ema and D.")
    if len(root) > MAX_ENTRIES or sum(isinstance(value, Persistent) for value in root.values()) > MAX_NETWORKS:
        raise CocktailError(f"{where} has {len(root):,} entries; expected a few, G_ema and D among them.")
    found = {_label(key): _network(value, where) for key, value in root.items() if isinstance(value, Persistent)}
    if not found:
        raise CocktailError(f"{where} holds no network; its entries are {', '.join(map(_label, root)) or 'none'}.")
    left = [MAX_PLAIN]
    return found, {_label(key): plain(value, left) for key, value in root.items() if not isinstance(value, Persistent)}


def networks(path: str | Path) -> dict[str, Network]:
    """The networks of an NVIDIA pickle by their keys. Raises: as `read`."""
    return read(path)[0]


def family(path: Path) -> str:
    """ "stylegan2", "stylegan3" or "unknown", by a cheap look at the names of the layers; raises nothing."""
    try:
        return next((FAMILIES[text] for text in content.texts(path) if text in FAMILIES), "unknown")
    except OSError:
        return "unknown"


def _network(what: Persistent, where: str) -> Network:
    tensors: dict[str, Tensor] = {}
    attributes: dict[str, object] = {}
    entries = 0
    for index, (prefix, layer) in enumerate(_layers(what, "", 0)):
        entries += len(layer)
        if index >= MAX_LAYERS or entries > MAX_STATE:
            raise CocktailError(f"{where} has a network of more than {MAX_LAYERS:,} layers, or a layer without end.")
        for name, value in _tensors(layer, prefix):
            if name in tensors or len(tensors) >= MAX_TENSORS:
                raise CocktailError(f"{where} has {name!r} twice, or more than {MAX_TENSORS:,} tensors in a network.")
            tensors[name] = value
        attributes |= {f"{prefix}{name}": value for name, value in layer.items() if _is_attribute(name, value)}
    source = what.get("module_src", "")
    sha = hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()
    arguments = _arguments(what["class_name"], what["state"])
    return Network(_label(what["class_name"]), sha, arguments, tensors, attributes)


def _layers(what: object, prefix: str, level: int) -> Iterator[tuple[str, dict]]:
    """The state of a network and of those inside it, each with the dotted name that precedes its own names."""
    if not isinstance(what, Persistent) or level > MAX_LEVELS:
        raise CocktailError(f"layer {prefix.rstrip('.')[:100]!r} of the file is no layer, or lies too deep.")
    yield prefix, what["state"]
    for name, inner in _table(what["state"], "_modules", prefix).items():
        if inner is not None:
            yield from _layers(inner, f"{prefix}{name}.", level + 1)


def _tensors(state: dict, prefix: str) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers of one layer."""
    for table in ("_parameters", "_buffers"):
        for name, value in _table(state, table, prefix).items():
            if value is not None and not isinstance(value, Tensor):
                raise CocktailError(f"{prefix}{name} of the file is no tensor.")
            if value is not None:
                yield prefix + name, value


def _table(state: dict, table: str, prefix: str) -> dict:
    entries = state.get(table, {})
    if not isinstance(entries, dict) or len(entries) > MAX_ENTRIES or not all(map(_is_name, entries)):
        raise CocktailError(f"{table} of layer {prefix.rstrip('.')[:100]!r} of the file is no table of names.")
    return entries


def _is_name(name: object) -> bool:
    return isinstance(name, str) and len(name) < 100


def _is_attribute(name: object, value: object) -> bool:
    short = isinstance(value, str) and len(value) <= 1000
    return _is_name(name) and not name.startswith("_") and (short or value is None or _is_number(value))


def _is_number(value: object) -> bool:
    return isinstance(value, float) or (isinstance(value, int) and abs(value) < 1 << 62)


def _arguments(class_name: str, state: dict) -> dict:
    """Arguments of the constructor by name: plain attributes where they were not kept, then positional, then named."""
    known = {name: state[name] for name in ATTRIBUTES if isinstance(state.get(name), int)}
    given, named = state.get("_init_args", ()), state.get("_init_kwargs", {})
    left = [MAX_PLAIN]
    if isinstance(given, tuple):
        known |= {name: plain(v, left) for name, v in zip(POSITIONAL.get(class_name, ()), given, strict=False)}
    if isinstance(named, dict):
        known |= {str(name)[:100]: plain(value, left) for name, value in named.items()}
    return known


def plain(value: object, left: list[int], level: int = 0) -> object:
    """A copy of plain data, at most `left[0]` values of it; what is none becomes a text in angle brackets."""
    left[0] -= 1
    if left[0] < 0 or level > 10:
        return "<more>"
    if value is None or _is_number(value):
        return value
    if isinstance(value, str):
        return value if len(value) <= 1000 else "<long text>"
    if isinstance(value, list | tuple):
        return [plain(item, left, level + 1) for item in islice(value, max(0, left[0]))]
    if isinstance(value, dict) and not isinstance(value, Persistent):
        entries = islice(value.items(), max(0, left[0]))
        return {str(key)[:100]: plain(inner, left, level + 1) for key, inner in entries}
    return f"<{type(value).__name__}>"


def _label(key: object) -> str:
    return "".join(c if c.isprintable() else "?" for c in str(key)[:100])
