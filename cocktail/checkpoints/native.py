"""The native format: a folder with config.json, model.safetensors, README.md and, for a merged model, recipe.yaml.

The weights' names are those of the networks with "G." and "D." in front. The config is also kept inside the
safetensors file, so that the file stands alone.
"""

import dataclasses
import json
from pathlib import Path

import torch
import yaml
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from cocktail.checkpoints import assemble, content, formats, modelcard
from cocktail.checkpoints.files import write_atomically, write_text
from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.networks import architecture_of

FORMAT, VERSION = "gan-cocktail", 1
CONFIG, WEIGHTS, RECIPE, CARD = "config.json", "model.safetensors", "recipe.yaml", "README.md"
MAX_CONFIG_BYTES = 4 << 20
# Spelled out: the header of a safetensors file is text, and only what a network can hold is translated.
DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "BOOL": torch.bool,
          "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8}  # fmt: skip


def save(gan: Gan, folder: str | Path) -> Path:
    """Writes a Gan as a native folder, made if needed, and returns its path; each file appears whole or not at all.

    Raises: CocktailError where the folder cannot be written, a weight is not finite, or the card is no plain data.
    """
    folder = Path(folder).expanduser()
    if folder.exists() and not folder.is_dir():
        raise CocktailError(f"{folder} is a file; name a folder to save the model in.")
    config = describe(gan)
    try:
        text = json.dumps(config, indent=2, ensure_ascii=False, allow_nan=False)
        recipe = yaml.safe_dump(gan.card["recipe"], sort_keys=False) if gan.card.get("recipe") else None
    except (TypeError, ValueError, yaml.YAMLError) as error:
        raise CocktailError(f"the model's card cannot be saved ({error}); plain finite data is needed.") from error
    tensors = _tensors("G.", gan.generator) | (_tensors("D.", gan.discriminator) if gan.discriminator else {})
    # One entry of metadata only: several are written in random order, and equal models shall give equal files.
    metadata = {"config": json.dumps(config, sort_keys=True, allow_nan=False)}
    write_atomically(folder / WEIGHTS, lambda partial: _store(tensors, metadata, partial))
    write_text(folder / CONFIG, text + "\n")
    if recipe is not None:
        write_text(folder / RECIPE, recipe)
    else:
        (folder / RECIPE).unlink(missing_ok=True)  # left by a model that was saved here before
    write_text(folder / CARD, modelcard.render(gan))
    return folder


def describe(gan: Gan) -> dict:
    """The content of config.json as plain data."""
    return {
        "format": FORMAT,
        "format_version": VERSION,
        "generator": _network(gan.generator),
        "discriminator": _network(gan.discriminator) if gan.discriminator else None,
        "classes": list(gan.classes),
        "card": gan.card,
    }


def load_folder(path: str | Path) -> Gan:
    """Reads a native folder.

    Raises: CocktailError where a file is missing, truncated or no JSON, the architecture is unknown, the config asks
    for an absurd size (before any memory is taken), or weights are missing, surplus, of another shape, or not finite.
    """
    folder = Path(path)
    return _assemble(read_config(folder), folder / WEIGHTS)


def load_file(path: str | Path) -> Gan:
    """Reads a model.safetensors that stands alone. Raises: as `load_folder`."""
    path = Path(path)
    with _open(path) as stored:
        text = (stored.metadata() or {}).get("config")
    if text is None:
        raise CocktailError(f"{path} holds tensors but no config; load the folder that it came from.")
    return _assemble(_parse(text, f"{path} (config in its header)"), path)


def read_config(folder: str | Path) -> dict:
    """Reads and checks config.json of a native folder without its weights.

    Raises: CocktailError where it is missing, no JSON, or of another format.
    """
    folder = Path(folder)
    path = folder / CONFIG
    if not folder.is_dir():
        raise CocktailError(f"{folder} does not exist; expected a folder with {CONFIG} and {WEIGHTS}.")
    if not path.is_file():
        held = ", ".join(sorted(entry.name for entry in folder.iterdir())[:5]) or "nothing"
        raise CocktailError(f"{folder} has no {CONFIG} (found {held}); expected a folder with {CONFIG} and {WEIGHTS}.")
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise CocktailError(f"{path} has {path.stat().st_size:,} bytes; expected at most {MAX_CONFIG_BYTES:,}.")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CocktailError(f"{path} cannot be read as text ({error}).") from error
    return _parse(text, str(path))


def is_folder(path: Path) -> bool:
    """Tells a native folder from one that holds something else."""
    return path.is_dir() and ((path / CONFIG).exists() or (path / WEIGHTS).exists())


def is_file(path: Path) -> bool:
    """Tells a safetensors file by its content; one that was cut short counts by its name, and is called damaged."""
    kind = content.kind(path)
    return kind == "safetensors" or (path.suffix == ".safetensors" and kind in ("empty", "unknown"))


def _store(tensors: dict[str, Tensor], metadata: dict[str, str], path: Path) -> None:
    try:
        save_file(tensors, path, metadata=metadata)
    except SafetensorError as error:  # also a full disk
        raise OSError(str(error)) from error


def _network(network: nn.Module) -> dict:
    return {"architecture": architecture_of(network).name, "config": dataclasses.asdict(network.config)}


def _tensors(prefix: str, network: nn.Module) -> dict[str, Tensor]:
    state = {prefix + name: value.detach() for name, value in network.state_dict().items()}
    broken = [name for name, value in state.items() if value.is_floating_point() and not torch.isfinite(value).all()]
    if broken:
        raise CocktailError(f"{broken[0]} holds NaN or infinity; a diverged model is not saved.")
    # Copies: filters may share memory among layers, which the format refuses.
    return {name: value.cpu().clone(memory_format=torch.contiguous_format) for name, value in state.items()}


def _parse(text: str, where: str) -> dict:
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CocktailError(f"{where} is no valid JSON ({error}); take it from its source again.") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise CocktailError(f'{where} describes no model of this program: "format" is not "{FORMAT}".')
    version = config.get("format_version")
    if version != VERSION:
        raise CocktailError(f"{where}: format_version is {version}; this program reads {VERSION}. Update the program.")
    for name in ("generator", "discriminator"):
        value = config.get(name)
        if not isinstance(value, dict) and (name == "generator" or value is not None):
            raise CocktailError(f'{where}: "{name}" is missing; expected an object with architecture and config.')
    classes, card = config.get("classes", []), config.get("card", {})
    if not isinstance(classes, list) or not all(isinstance(name, str) and name for name in classes):
        raise CocktailError(f'{where}: "classes" is no list of names.')
    if len(set(classes)) < len(classes):
        raise CocktailError(f'{where}: "classes" holds a name twice; each class needs its own.')
    if not isinstance(card, dict):
        raise CocktailError(f'{where}: "card" is no object.')
    return config | {"classes": classes, "card": card}


def _open(path: Path) -> safe_open:
    if not path.is_file():
        raise CocktailError(f"{path} is missing; expected a safetensors file.")
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError, ValueError) as error:
        reason = f"{path} is damaged or no safetensors file ({error}, {path.stat().st_size:,} bytes)"
        raise CocktailError(f"{reason}; copy or download it again.") from error


def _assemble(config: dict, weights: Path) -> Gan:
    where = str(weights)
    networks = {"G.": assemble.generator(config["generator"], where)}
    if config["discriminator"]:
        networks["D."] = assemble.discriminator(config["discriminator"], where)
    classes = _classes(config["classes"], networks, where)
    with _open(weights) as stored:
        _check(stored, networks, where)
        tensors = {name: stored.get_tensor(name).clone() for name in stored.keys()}  # a clone outlives the mapped file
    for prefix, network in networks.items():
        own = {name[2:]: value for name, value in tensors.items() if name.startswith(prefix)}
        assemble.fill(network, own, where, prefix)
    return Gan(networks["G."], networks.get("D."), classes, config["card"])


def _classes(names: list[str], networks: dict[str, nn.Module], where: str) -> tuple[str, ...]:
    """The names of the classes; those of a model that names none are "0", "1", ..."""
    count = networks["G."].c_dim
    names = names or [str(i) for i in range(count)]
    if len(names) != count:
        raise CocktailError(f"{where}: the config names {len(names)} classes; its generator has {count}.")
    for attribute in ("c_dim", "resolution") if "D." in networks else ():
        ours, theirs = getattr(networks["G."], attribute), getattr(networks["D."], attribute)
        if ours != theirs:
            raise CocktailError(f"{where}: {attribute} is {ours} in the generator and {theirs} in the discriminator.")
    return tuple(names)


def _check(stored: safe_open, networks: dict[str, nn.Module], where: str) -> None:
    found: dict[str, dict] = {prefix: {} for prefix in networks}
    strange = []
    for name in stored.keys():
        part = stored.get_slice(name)
        if name[:2] in found:
            found[name[:2]][name[2:]] = (tuple(part.get_shape()), DTYPES.get(part.get_dtype(), part.get_dtype()))
        else:
            strange.append(name)
    if strange:
        raise CocktailError(
            f"{where}: {len(strange)} tensors belong to no network of the config: {assemble.some(strange)}. "
            "Take config and weights from the same checkpoint."
        )
    for prefix, network in networks.items():
        assemble.check_tensors(network, found[prefix], where, prefix)


formats.register(f"a native folder ({CONFIG}, {WEIGHTS})", is_folder, load_folder)
formats.register("a .safetensors file", is_file, load_file)
