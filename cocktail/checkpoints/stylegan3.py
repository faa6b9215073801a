"""StyleGAN3 pickles of NVIDIA's PyTorch code, configurations T and R.

The architecture comes from the constructor's arguments and the layers' attributes that the file keeps, and is checked
against its tensors, whose names are those of our networks. Karras et al., "Alias-Free Generative Adversarial
Networks", 2021. Such a model is a source of pictures; the discriminator beside it is StyleGAN2's.
"""

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from cocktail.checkpoints import assemble, content, formats, nvidia, persistence, statedicts
from cocktail.checkpoints.persistence import Network
from cocktail.errors import CocktailError
from cocktail.gan import Gan

TITLE = "StyleGAN3 pickle"
SIZES = ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels")
# Arguments that are fields of our config, and where the file's own network keeps their values: those are believed
# first, since versions of the code may differ in their defaults.
OF_NETWORK = ("num_layers", "num_critical", "margin_size", "output_scale")
OF_LAYERS = ("conv_kernel", "conv_clamp", "magnitude_ema_beta")
FIELDS = (*SIZES, *OF_NETWORK, *OF_LAYERS, "channel_base", "channel_max", "first_cutoff", "first_stopband",
          "last_stopband_rel", "filter_size", "lrelu_upsampling", "use_radial_filters")  # fmt: skip
# Of speed or training alone, or told by others.
FREE = ("num_ws", "num_fp16_res", "w_avg_beta")
ELSEWHERE = "export the generator to ONNX to use it as a source of pictures."


def recognises(path: Path) -> bool:
    """Tells an NVIDIA pickle whose networks are StyleGAN3's by the names of their layers."""
    return content.kind(path) == "nvidia-pickle" and persistence.family(path) == "stylegan3"


def load(path: str | Path) -> Gan:
    """Reads G_ema and, where there is one that fits, D; classes are called "0", "1", ...; the source inside stays text.

    Layers that the file computes in half precision compute in float32 here.

    Raises: CocktailError where the file is damaged or hostile, lacks a generator, or has an option that ours lacks.
    """
    return nvidia.assembled(Path(path), TITLE, _generator, CocktailError)


def generator_fields(network: Network, where: str) -> dict:
    """Fields of our generator's config from the arguments of NVIDIA's.

    Raises: CocktailError that names the option which our generator lacks, or the size which the file lacks.
    """
    given = dict(network.kwargs)
    mapping, synthesis = given.pop("mapping_kwargs", {}), given.pop("synthesis_kwargs", {})
    if not isinstance(mapping, dict) or not isinstance(synthesis, dict):
        raise CocktailError(f"{where}: its arguments are no table; the file is damaged. Copy or download it again.")
    given |= synthesis
    missing = [name for name in SIZES if type(given.get(name)) is not int]
    if missing:
        raise CocktailError(
            f"{where} does not keep the arguments {', '.join(missing)} as whole numbers; the architecture is unknown. "
            "Take the file as NVIDIA's code wrote it."
        )
    strange = [name for name in given if name not in (*FIELDS, *FREE)]
    strange += [name for name in mapping if name not in ("num_layers", "lr_multiplier", *FREE)]
    if strange:
        raise CocktailError(
            f"{where} has options that StyleGAN3 lacks: {assemble.some(strange)}. A changed version of the code wrote "
            f"it; {ELSEWHERE}"
        )
    fields = {name: given[name] for name in FIELDS if name in given} | _kept(network.attributes, where)
    fields["mapping_layers"] = mapping.get("num_layers", network.attributes.get("mapping.num_layers", 2))
    # The bias gain of a mapping layer is the multiplier itself.
    fields["mapping_lr_multiplier"] = network.attributes.get(
        "mapping.fc0.bias_gain", mapping.get("lr_multiplier", 0.01)
    )
    return fields


def _kept(attributes: Mapping[str, object], where: str) -> dict:
    """What the network and its layers keep of their arguments. Raises: CocktailError where layers differ in them."""
    found = {name: attributes["synthesis." + name] for name in OF_NETWORK if "synthesis." + name in attributes}
    layers = {name.rpartition(".")[0] for name, value in attributes.items()
              if name.startswith("synthesis.L") and name.endswith(".is_torgb") and value is False}  # fmt: skip
    for name in OF_LAYERS:
        values = {attributes[f"{layer}.{name}"] for layer in layers if f"{layer}.{name}" in attributes}
        if len(values) > 1:
            raise CocktailError(f"{where}: layers with different {name} are not supported; {ELSEWHERE}")
        if values:
            found[name] = values.pop()
    return found


def _generator(network: Network, path: Path, where: str) -> nn.Module:
    built = assemble.generator({"architecture": "stylegan3", "config": generator_fields(network, where)}, where)
    names = {name: name for name in built.state_dict()}
    return assemble.fill(built, statedicts.take(network.tensors, names, built, where), where)


formats.register(f"a {TITLE}", recognises, load)
