"""Checkpoints of other programs as they lie on disk, all of our own making; and pickles that want to do harm.

The source that NVIDIA's files carry is a line that would leave a trace if it were run.
"""

import contextlib
import io
import pickle
import sys
import types
import zipfile
from collections import OrderedDict

import numpy as np
import torch

from cocktail.gan import Gan
from cocktail.networks import stylegan2

LAYERS = {"ToRGB": "ToRGBLayer"}  # what NVIDIA calls a layer of ours


def stylegan2_gan(resolution=16, c_dim=0, seed=0, generator=None, discriminator=None):
    """A small StyleGAN2 whose configuration NVIDIA's arguments can express, with nothing left at its initial zero."""
    torch.manual_seed(seed)
    sizes = {"img_resolution": resolution, "channel_base": 8 * resolution, "channel_max": 16, "c_dim": c_dim}
    g = stylegan2.Generator(
        stylegan2.GeneratorConfig(**sizes | {"z_dim": 8, "w_dim": 8, "mapping_layers": 2} | (generator or {}))
    )
    d = stylegan2.Discriminator(stylegan2.DiscriminatorConfig(**sizes | {"mapping_layers": 2} | (discriminator or {})))
    with torch.no_grad():
        for network in (g, d):
            for name, value in network.state_dict().items():
                if name.endswith(("bias", "noise_strength", "w_avg")):
                    value += 0.3 * torch.randn_like(value)
    return Gan(g.eval(), d.eval(), tuple(str(i) for i in range(c_dim)))


def generator_arguments(config):
    """What NVIDIA's Generator is called with for a config of ours."""
    mapping = {"num_layers": config.mapping_layers, "lr_multiplier": config.mapping_lr_multiplier}
    synthesis = {"channel_base": config.channel_base, "channel_max": config.channel_max, "num_fp16_res": 4,
                 "conv_clamp": config.conv_clamp}  # fmt: skip
    names = ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels")
    sizes = {name: getattr(config, name) for name in names}
    return sizes | {"mapping_kwargs": mapping, "synthesis_kwargs": synthesis}


def discriminator_arguments(config):
    names = ("c_dim", "img_resolution", "img_channels", "architecture", "channel_base", "channel_max", "conv_clamp")
    mapping = {"num_layers": config.mapping_layers, "lr_multiplier": config.mapping_lr_multiplier}
    last = {"mbstd_group_size": config.mbstd_group_size, "mbstd_num_channels": config.mbstd_num_channels}
    kwargs = {"block_kwargs": {"freeze_layers": 0}, "mapping_kwargs": mapping, "epilogue_kwargs": last}
    return {name: getattr(config, name) for name in names} | {"cmap_dim": config.cmap_dim or None} | kwargs


class Persistent:
    """A network or layer that is pickled as NVIDIA's persistence does it."""

    def __init__(self, class_name, state, source="raise SystemExit('the source was run')\n"):
        self.meta = {"type": "class", "version": 6, "module_src": source, "class_name": class_name, "state": state}

    def __reduce__(self):
        return _reconstruct_persistent_obj, (self.meta,)


def persistent(network, class_name=None, arguments=None, change=None, **options):
    """A module of ours as a `Persistent`; `change` edits the state of every layer, told its dotted name."""

    def layer(module, name, top):
        state = {"training": False, "_parameters": OrderedDict(), "_buffers": OrderedDict(), "_modules": OrderedDict()}
        state |= {"_non_persistent_buffers_set": set(), "_backward_hooks": OrderedDict()}
        for key, value in module.named_parameters(recurse=False):
            state["_parameters"][key] = torch.nn.Parameter(value.detach(), requires_grad=False)
        state["_buffers"].update(module.named_buffers(recurse=False))
        for key, inner in module.named_children():
            if any(True for _ in inner.state_dict()) or type(inner).__name__ == "MinibatchStd":
                state["_modules"][key] = layer(inner, f"{name}{key}.", False)
        if hasattr(module, "conv_clamp"):
            state["conv_clamp"] = module.conv_clamp
        state["weight_gain"] = np.sqrt(0.5)
        if top:
            state |= {"_init_args": (), "_init_kwargs": easy(arguments or {})}
        if change:
            change(name, state)
        kind = type(module).__name__
        return Persistent(class_name if top and class_name else LAYERS.get(kind, kind), state, **options)

    return layer(network, "", True)


def easy(value):
    """A dict and those in it as dnnlib's EasyDict."""
    if not isinstance(value, dict):
        return value
    return EasyDict({key: easy(inner) for key, inner in value.items()})


def _reconstruct_persistent_obj(meta):
    raise AssertionError("never called: the files are only written here")


class EasyDict(dict):
    """A dict of NVIDIA's."""


for thing, module in ((_reconstruct_persistent_obj, "torch_utils.persistence"), (EasyDict, "dnnlib.util")):
    thing.__module__ = module


@contextlib.contextmanager
def nvidia_modules():
    """Modules under the names that NVIDIA's files ask for, as long as one is written."""
    names = ("torch_utils", "torch_utils.persistence", "dnnlib", "dnnlib.util")
    before = {name: sys.modules.get(name) for name in names}
    sys.modules.update({name: types.ModuleType(name) for name in names})
    for thing in (_reconstruct_persistent_obj, EasyDict):
        setattr(sys.modules[thing.__module__], thing.__name__, thing)
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def nvidia_pickle(path, gan, protocol=3, rest=None, g=None, d=None, change=None, keys=("G", "D", "G_ema")):
    """Writes a Gan as StyleGAN2-ADA's training does; g, d: arguments to override; rest: more entries."""
    with nvidia_modules():
        data = {"training_set_kwargs": easy({"class_name": "training.dataset.ImageFolderDataset", "path": "a.zip"})}
        arguments = generator_arguments(gan.generator.config) | (g or {})
        if "G" in keys:
            data["G"] = persistent(gan.generator, arguments=arguments, change=change)
        if "D" in keys and gan.discriminator is not None:
            judge = discriminator_arguments(gan.discriminator.config) | (d or {})
            data["D"] = persistent(gan.discriminator, arguments=judge, change=change)
        if "G_ema" in keys:
            data["G_ema"] = persistent(gan.generator, arguments=arguments, change=change)
        path.write_bytes(pickle.dumps(data | {"augment_pipe": None} | (rest or {}), protocol=protocol))
    return path


def paper_entries(gan):
    """What the GAN Cocktail paper's own code adds to such a file."""
    adam = torch.optim.Adam(gan.generator.parameters(), lr=1e-3, betas=(0.0, 0.99))
    for parameter in gan.generator.parameters():
        parameter.grad = torch.ones_like(parameter)
    adam.step()
    adam.zero_grad(set_to_none=True)
    return {"wandb_id": None, "g_optimizer": adam.state_dict(), "d_optimizer": adam.state_dict(), "cur_nimg": 40_000,
            "cur_tick": 10}  # fmt: skip


def calling(name, arguments=(), protocol=2):
    """Opcodes that call a function by its name, "os.system": a fragment without head and STOP."""
    module, _, attribute = name.rpartition(".")
    return b"c" + f"{module}\n{attribute}\n".encode() + fragment(arguments, protocol) + b"R"


def fragment(value, protocol=2):
    """The opcodes of plain data, without head and STOP."""
    return pickle.dumps(value, protocol)[2:-1]


def whole(opcodes, protocol=2):
    """A pickle from opcodes."""
    return b"\x80" + bytes([protocol]) + opcodes + b"."


def torch_zip(path, data, storages=None, prefix="archive/", names=("version",), compression=zipfile.ZIP_STORED):
    """A file as torch.save writes it, around any pickle."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(prefix + "data.pkl", data)
        for key, content in (storages or {}).items():
            archive.writestr(f"{prefix}data/{key}", content)
        for name in names:
            archive.writestr(prefix + name, "3\n")
    return path


def torch_legacy(root, storages=b"", keys=()):
    """Bytes as torch.save wrote them before 1.6, around the pickle `root`."""
    head = [0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}]
    return b"".join(pickle.dumps(part, 2) for part in head) + root + pickle.dumps(list(keys), 2) + storages


def storage_id(kind="FloatStorage", key="0", count=4):
    """Opcodes that push a storage by its persistent id."""
    return (b"(X\x07\0\0\0storagectorch\n" + kind.encode() + b"\n" + fragment(key) + b"X\x03\0\0\0cpu"
            + fragment(count) + b"tQ")  # fmt: skip


def tensor_of(storage, offset=0, size=(4,), stride=(1,)):
    """Opcodes of a tensor on a storage."""
    numbers = b"".join(fragment(part) for part in (offset, size, stride))
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + numbers + b"\x89" + b"ccollections\nOrderedDict\n)RtR"


def saved(value, legacy=False):
    """The bytes that torch.save writes."""
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()
