"""StyleGAN2 pickles of NVIDIA's PyTorch code (StyleGAN2-ADA, StyleGAN3's repository, the GAN Cocktail paper's code).

The architecture comes from the constructor's arguments that the file keeps, and is checked against its tensors, whose
names are those of our networks. Karras et al., "Training Generative Adversarial Networks with Limited Data", 2020.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from cocktail.checkpoints import assemble, content, formats, persistence, statedicts
from cocktail.checkpoints.persistence import Network
from cocktail.errors import CocktailError
from cocktail.gan import Gan

TITLE = "StyleGAN2-ADA pickle"
WHOLE_BATCH = 4096  # group size of the minibatch standard deviation where the file says None
# Options of training or speed alone: of the layers, and of the networks.
FREE = ("num_fp16_res", "fp16_channels_last", "freeze_layers", "fused_modconv_default", "w_avg_beta")
UNUSED = ".conv1.resample_filter"  # of a generator's layer that does not resample
SOURCES = ("num_ws", "source_hybrid_generators", "source_hybrid_discriminators")  # the paper's own code
REASONS = {
    "G": "the generator of the last step; G_ema, its average over training, is used",
    "training_set_kwargs": "describes the training pictures",
    "augment_pipe": "augments pictures in training; no part of the model",
    "g_optimizer": "state of an optimiser; training starts a new one",
    "d_optimizer": "state of an optimiser; training starts a new one",
    "cur_nimg": "kept as the number of images seen",
    "cur_tick": "counts the ticks of the training",
    "wandb_id": "names a log of the training",
}
PRECISION = "half precision of the highest resolutions; here all layers compute in float32"


class Unsupported(CocktailError):
    """An option of the file's network that ours lacks."""


def recognises(path: Path) -> bool:
    """Tells an NVIDIA pickle by the name that it asks for; StyleGAN3's networks have a reader of their own."""
    return content.kind(path) == "nvidia-pickle" and persistence.family(path) != "stylegan3"


def load(path: str | Path) -> Gan:
    """Reads G_ema and, where there is one, D; classes are called "0", "1", ...; the embedded source stays text.

    Raises: CocktailError where the file is damaged or hostile, lacks a generator, or has an option that our generator
    lacks. A discriminator with such an option is left out, and the card says why.
    """
    return assembled(Path(path), TITLE, _generator, Unsupported)


def assembled(
    path: Path, title: str, generator_of: Callable[[Network, Path, str], nn.Module], spares: type[CocktailError]
) -> Gan:
    """The model of a pickle: `generator_of` makes its generator, given the file and what messages call the network.

    The discriminator is StyleGAN2's.

    title: of the format; spares: the errors for which a discriminator is left out, the card saying why.

    Raises: CocktailError as `load`.
    """
    networks, rest = persistence.read(path)
    key = next((name for name in ("G_ema", "G") if name in networks), None)
    if key is None:
        raise CocktailError(f"{path} holds {', '.join(networks)}; expected a generator, G_ema.")
    ignored = {name: REASONS.get(name, "no part of the model") for name in (*networks, *rest) if name not in (key, "D")}
    ignored |= {name: "is empty" for name, value in rest.items() if value is None}
    if any(value is True for name, value in networks[key].attributes.items() if name.endswith(".use_fp16")):
        ignored["num_fp16_res"] = PRECISION
    generator = generator_of(networks[key], path, f"{path}: {key}")
    try:
        judge, reason = _judge(networks.get("D"), generator, path)
    except spares as error:
        judge, reason = None, str(error)
    if reason:
        ignored["D"] = reason
    gan = Gan(generator, judge, tuple(str(i) for i in range(generator.c_dim)), {"title": path.stem})
    gan.card |= statedicts.imported(path, title, gan, ignored)
    if isinstance(rest.get("cur_nimg"), int):
        gan.card["images_seen"] = rest["cur_nimg"]
    return gan


def generator_fields(network: Network, where: str) -> dict:
    """Fields of our generator's config from the arguments of NVIDIA's.

    Raises: CocktailError that names the option which our generator lacks, or the size which the file lacks.
    """
    top = _options(network.kwargs, where)
    mapping, synthesis = (_options(top.pop(name, {}), where) for name in ("mapping_kwargs", "synthesis_kwargs"))
    fields = _sizes(top, ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels"), where)
    synthesis |= top  # StyleGAN3's repository gives them to the generator itself
    fields |= _mapping(mapping, fields["w_dim"], fields["c_dim"], where)
    fields |= _common(synthesis, synthesis, network, where)
    fields["use_noise"] = bool(synthesis.pop("use_noise", True))
    _expect(synthesis, {"architecture": "skip", "kernel_size": 3}, where)
    _nothing_left(mapping | synthesis, where)
    return fields


def discriminator_fields(network: Network, where: str) -> dict:
    """Fields of our discriminator's config from the arguments of NVIDIA's. Raises: as `generator_fields`."""
    top = _options(network.kwargs, where)
    blocks, mapping, last = (
        _options(top.pop(name, {}), where) for name in ("block_kwargs", "mapping_kwargs", "epilogue_kwargs")
    )
    fields = _sizes(top, ("c_dim", "img_resolution", "img_channels"), where)
    fields["architecture"] = top.pop("architecture", "resnet")
    fields["cmap_dim"] = top.pop("cmap_dim", None) or 0
    fields |= _common(top, blocks, network, where)
    if fields["c_dim"]:
        width = network.tensors.get("mapping.embed.weight")
        fields |= _mapping(mapping, len(width) if width is not None and width.ndim else 0, fields["c_dim"], where)
    else:  # not in the file, but what it would be given classes
        fields["mapping_layers"] = mapping.get("num_layers") or 8
        fields["mapping_lr_multiplier"] = mapping.get("lr_multiplier", 0.01)
    group = last.pop("mbstd_group_size", 4)
    fields["mbstd_group_size"] = WHOLE_BATCH if group is None else group
    fields["mbstd_num_channels"] = last.pop("mbstd_num_channels", 1)
    _expect(last, {"activation": "lrelu"}, where)
    _nothing_left(top | blocks | last | (mapping if fields["c_dim"] else {}), where)
    return fields


def _generator(network: Network, path: Path, where: str) -> nn.Module:
    return _network(assemble.generator, generator_fields(network, where), network, path, where)


def _judge(network: Network | None, generator: nn.Module, path: Path) -> tuple[nn.Module | None, str]:
    """The discriminator, or None and why there is none that can be used with this generator."""
    if network is None:
        return None, ""
    where = f"{path}: D"
    fields = discriminator_fields(network, where)
    for name in ("c_dim", "img_resolution", "img_channels"):
        if fields[name] != getattr(generator.config, name):
            return None, f"its {name} is {fields[name]}, the generator's {getattr(generator.config, name)}"
    return _network(assemble.discriminator, fields, network, path, where), ""


def _network(
    make: Callable[[dict, str], nn.Module], fields: dict, network: Network, path: Path, where: str
) -> nn.Module:
    """A network of ours with the file's tensors, as float32, which is checked before any of them is copied."""
    built = make({"architecture": "stylegan2", "config": fields}, where)
    needed = built.state_dict()
    tensors = dict(network.tensors)
    if "mapping.w_avg" in needed:  # not kept where the file's w_avg_beta is None
        tensors.setdefault("mapping.w_avg", torch.zeros(needed["mapping.w_avg"].shape))
    for name, value in network.tensors.items():
        if name.endswith("resample_filter") and value.ndim == 1 and value.shape[0] <= 64:
            tensors[name] = value.outer(value)  # filters of eight taps and more are kept as one row
        if name.startswith("synthesis.") and name.endswith(UNUSED):  # always of four taps there
            tensors[name] = tensors.get(name.removesuffix(UNUSED) + ".resample_filter", value)
    found = {name: (tuple(value.shape), _wide(value.dtype)) for name, value in tensors.items()}
    assemble.check_tensors(built, found, where)
    if sum(value.nbytes for value in network.tensors.values()) > path.stat().st_size:
        raise CocktailError(f"{where}: its tensors share memory, and have more bytes than the file. Save them anew.")
    taken: set[int] = set()
    own = {name: _own(value, taken) for name, value in tensors.items()}
    return assemble.fill(built, own, where)


def _own(value: Tensor, taken: set[int]) -> Tensor:
    """The tensor as float32, contiguous, in memory of its own: a copy only where it is not so already."""
    value = value.to(_wide(value.dtype)).contiguous()
    memory = value.untyped_storage()
    if memory.nbytes() != value.nbytes or memory.data_ptr() in taken:
        return value.clone()
    taken.add(memory.data_ptr())
    return value


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.float32 if dtype.is_floating_point else dtype


def _options(given: object, where: str) -> dict:
    if not isinstance(given, dict):
        raise CocktailError(f"{where}: its arguments are no table; the file is damaged. Copy or download it again.")
    return {name: value for name, value in given.items() if name not in (*FREE, *SOURCES)}


def _sizes(options: dict, names: tuple[str, ...], where: str) -> dict:
    missing = [name for name in names if type(options.get(name)) is not int]
    if missing:
        raise CocktailError(
            f"{where} does not keep the arguments {', '.join(missing)} as whole numbers; the architecture is unknown. "
            "Save the network again with NVIDIA's code: legacy.py --source=OLD.pkl --dest=NEW.pkl."
        )
    return {name: options.pop(name) for name in names}


def _common(sizes: dict, layers: dict, network: Network, where: str) -> dict:
    """What both networks have: channels, clamp, filter, activation."""
    # The clamp's default differs among versions of NVIDIA's code, so the layers are believed first.
    clamps = {value for name, value in network.attributes.items() if name.endswith("conv1.conv_clamp")}
    stated = sizes.pop("conv_clamp", None)
    if len(clamps) > 1:
        raise Unsupported(f"{where}: layers with different conv_clamp are not supported.")
    taps = layers.pop("resample_filter", [1, 3, 3, 1])
    _expect(layers, {"activation": "lrelu"}, where)
    return {
        "channel_base": sizes.pop("channel_base", 32768),
        "channel_max": sizes.pop("channel_max", 512),
        "conv_clamp": clamps.pop() if clamps else stated,
        "resample_filter": [1] if taps is None else taps,
    }


def _mapping(options: dict, width: object, c_dim: int, where: str) -> dict:
    options.setdefault("num_layers", 8)
    same = {"layer_features": width, "activation": "lrelu"} | ({"embed_features": width} if c_dim else {})
    if not c_dim:
        options.pop("embed_features", None)
    _expect(options, same, where)
    if not options["num_layers"]:
        raise Unsupported(f"{where}: a mapping network without layers is not supported.")
    return {"mapping_layers": options.pop("num_layers"), "mapping_lr_multiplier": options.pop("lr_multiplier", 0.01)}


def _expect(options: dict, wanted: dict, where: str) -> None:
    """Takes options of which our networks have one value only."""
    for name, value in wanted.items():
        found = options.pop(name, None)
        if found is not None and found != value:
            raise Unsupported(
                f"{where}: its {name} is {str(found)[:60]!r}; supported is {value!r}. Export the generator to ONNX to "
                "use it as a source of pictures."
            )


def _nothing_left(options: dict, where: str) -> None:
    if options:
        raise Unsupported(
            f"{where} has options that StyleGAN2 lacks: {assemble.some(list(options))}. A changed version of the code "
            "wrote it; export the generator to ONNX to use it as a source of pictures."
        )


formats.register(f"a {TITLE}", recognises, load)
