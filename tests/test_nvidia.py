"""NVIDIA's StyleGAN2 pickles: the same pictures from the same tensors, and a reason for all that is left out."""

import hashlib
import json
import math
import subprocess
import sys
import zipfile

import pytest
import torch

import cocktail
from cocktail.checkpoints import nvidia, persistence
from cocktail.errors import CocktailError
from tests import foreign, forked

CLAMP = {"conv_clamp": 256}


@pytest.fixture
def write(tmp_path):
    """write(gan, **options of foreign.nvidia_pickle) -> the path of a pickle with a name that tells nothing."""
    return lambda gan, **options: foreign.nvidia_pickle(tmp_path / "cats", gan, **options)


def same_weights(a, b):
    states = a.state_dict(), b.state_dict()
    return states[0].keys() == states[1].keys() and all(torch.equal(v, states[1][k]) for k, v in states[0].items())


@pytest.mark.parametrize("protocol, c_dim, architecture", [
    (4, 0, "resnet"), (3, 0, "orig"), (3, 3, "resnet"), (3, 3, "orig"), (3, 2, "skip"), (4, 0, "skip"), (5, 3, "skip"),
])  # fmt: skip
def test_a_pickle_gives_the_networks_that_it_was_made_from(write, protocol, c_dim, architecture):
    gan = foreign.stylegan2_gan(c_dim=c_dim, generator=CLAMP, discriminator=CLAMP | {"architecture": architecture})
    loaded = cocktail.load(write(gan, protocol=protocol))
    assert same_weights(gan.generator, loaded.generator) and same_weights(gan.discriminator, loaded.discriminator)
    assert loaded.generator.config == gan.generator.config and loaded.discriminator.config == gan.discriminator.config
    assert loaded.classes == tuple(str(i) for i in range(c_dim))
    label = "1" if c_dim else None
    assert torch.equal(gan.sample([5], label, 0.7), loaded.sample([5], label, 0.7))


@pytest.mark.parametrize(
    "fields, arguments",
    [
        ({"mapping_layers": 5, "mapping_lr_multiplier": 0.1}, {}),
        ({"z_dim": 12, "w_dim": 20}, {}),
        ({"img_channels": 1}, {}),
        ({"resample_filter": (1, 2, 1)}, {"resample_filter": [1, 2, 1]}),
        ({"resample_filter": (1,)}, {"resample_filter": None}),
        ({"use_noise": False}, {"use_noise": False}),
        ({"channel_base": 256, "channel_max": 12}, {}),
    ],
)
def test_options_of_the_generator_are_read(write, fields, arguments):
    gan = foreign.stylegan2_gan(generator=fields)
    loaded = cocktail.load(write(gan, g={"synthesis_kwargs": synthesis(gan) | arguments}, keys=("G_ema",)))
    assert loaded.generator.config == gan.generator.config and same_weights(gan.generator, loaded.generator)
    assert torch.equal(gan.sample([1]), loaded.sample([1]))


@pytest.mark.parametrize(
    "fields, arguments",
    [
        ({"mbstd_num_channels": 0}, {}),
        ({"mbstd_num_channels": 2, "mbstd_group_size": 2}, {}),
        ({"mbstd_group_size": 4096}, {"epilogue_kwargs": {"mbstd_group_size": None}}),
        ({"cmap_dim": 24, "c_dim": 3}, {}),
        ({"resample_filter": (1, 2, 1)}, {"block_kwargs": {"resample_filter": [1, 2, 1]}}),
    ],
)
def test_options_of_the_discriminator_are_read(write, fields, arguments):
    gan = foreign.stylegan2_gan(c_dim=fields.get("c_dim", 0), discriminator=fields)
    loaded = cocktail.load(write(gan, d=arguments))
    assert loaded.discriminator.config == gan.discriminator.config
    images, c = torch.rand(4, 3, 16, 16), torch.eye(4, 3) if gan.classes else None
    assert torch.equal(gan.discriminator(images, c), loaded.discriminator(images, c))


def test_arguments_of_the_synthesis_may_stand_at_the_top_as_in_stylegan3s_repository(write):
    gan = foreign.stylegan2_gan(generator=CLAMP)
    loaded = cocktail.load(write(gan, g=synthesis(gan) | {"synthesis_kwargs": {}, "fused_modconv_default": True}))
    assert loaded.generator.config == gan.generator.config and torch.equal(gan.sample([1]), loaded.sample([1]))


def test_arguments_as_legacy_py_converts_them_from_tensorflow_are_read(write):
    gan = foreign.stylegan2_gan(discriminator={"mbstd_group_size": 4096})
    mapping = {"num_layers": 2, "embed_features": None, "layer_features": 8, "activation": "lrelu",
               "lr_multiplier": 0.01, "w_avg_beta": 0.995}  # fmt: skip
    more = {"architecture": "skip", "resample_filter": [1, 3, 3, 1], "use_noise": True, "activation": "lrelu"}
    none = {"num_layers": 0, "embed_features": None, "layer_features": None, "lr_multiplier": 0.1}
    judge = {"mapping_kwargs": none, "block_kwargs": {"activation": "lrelu", "resample_filter": [1, 3, 3, 1]},
             "epilogue_kwargs": {"mbstd_group_size": None, "mbstd_num_channels": 1, "activation": "lrelu"}}  # fmt: skip
    loaded = cocktail.load(
        write(gan, g={"mapping_kwargs": mapping, "synthesis_kwargs": synthesis(gan) | more}, d=judge)
    )
    assert loaded.generator.config == gan.generator.config
    assert same_weights(loaded.discriminator, gan.discriminator)


def synthesis(gan):
    return foreign.generator_arguments(gan.generator.config)["synthesis_kwargs"]


def test_without_a_minibatch_deviation_a_picture_is_judged_alone():
    judge = foreign.stylegan2_gan(discriminator={"mbstd_num_channels": 0}).discriminator
    images = torch.rand(3, 3, 16, 16)
    alone = torch.cat([judge(image[None], None) for image in images])
    assert torch.allclose(judge(images, None), alone, atol=1e-5)


def test_the_clamp_is_that_of_the_layers_where_the_arguments_keep_none(write):
    gan = foreign.stylegan2_gan(generator=CLAMP)
    arguments = {name: value for name, value in synthesis(gan).items() if name != "conv_clamp"}
    assert cocktail.load(write(gan, g={"synthesis_kwargs": arguments})).generator.config.conv_clamp == 256


def test_half_precision_weights_and_layers_become_float32(write):
    gan = foreign.stylegan2_gan()

    def halve(name, state):
        if name.startswith(("synthesis.b16.", "b16.")):
            state["use_fp16"] = True
            for tensors in (state["_parameters"], state["_buffers"]):
                tensors.update({key: value.half() for key, value in tensors.items()})

    loaded = cocktail.load(write(gan, change=halve))
    assert {value.dtype for value in loaded.generator.state_dict().values()} == {torch.float32}
    assert "float32" in loaded.card["imported"]["ignored"]["num_fp16_res"]
    assert torch.allclose(gan.sample([1]), loaded.sample([1]), atol=1e-2)


def test_channels_last_weights_are_made_contiguous(write):
    gan = foreign.stylegan2_gan()
    gan.generator.to(memory_format=torch.channels_last)
    loaded = cocktail.load(write(gan))
    assert all(value.is_contiguous() for value in loaded.generator.state_dict().values())
    assert same_weights(gan.generator, loaded.generator)


def test_what_the_papers_own_code_adds_is_left_out_with_a_reason(write):
    gan = foreign.stylegan2_gan()
    path = write(gan, rest=foreign.paper_entries(gan))
    card = cocktail.load(path).card
    ignored = card["imported"]["ignored"]
    assert set(ignored) == {"G", "training_set_kwargs", "augment_pipe", "wandb_id", "g_optimizer", "d_optimizer",
                            "cur_nimg", "cur_tick"}  # fmt: skip
    assert "optimiser" in ignored["g_optimizer"] and "G_ema" in ignored["G"]
    assert card["images_seen"] == 40_000
    assert card["imported"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert card["imported"]["read"] == len(gan.generator.state_dict()) + len(gan.discriminator.state_dict())
    assert "licence" not in card and json.loads(json.dumps(card)) == card


def test_an_average_of_generators_by_the_papers_code_is_read(write):
    gan = foreign.stylegan2_gan(c_dim=2)
    with foreign.nvidia_modules():
        source = foreign.persistent(gan.generator, arguments={})
    assert same_weights(cocktail.load(write(gan, g={"source_hybrid_generators": [source]})).generator, gan.generator)


def test_a_pickle_without_discriminator_gives_a_generator_alone(write):
    gan = foreign.stylegan2_gan()
    assert cocktail.load(write(gan, keys=("G_ema",))).discriminator is None


def test_a_network_pickled_by_itself_is_read(tmp_path):
    gan = foreign.stylegan2_gan()
    with foreign.nvidia_modules():
        network = foreign.persistent(gan.generator, arguments=foreign.generator_arguments(gan.generator.config))
        (tmp_path / "a.pkl").write_bytes(foreign.pickle.dumps(network))
    assert same_weights(cocktail.load(tmp_path / "a.pkl").generator, gan.generator)


def test_a_missing_average_of_w_is_zero(write):
    gan = foreign.stylegan2_gan()
    gan.generator.mapping.w_avg.zero_()
    loaded = cocktail.load(write(gan, change=lambda name, state: state["_buffers"].pop("w_avg", None)))
    assert same_weights(gan.generator, loaded.generator)


def test_an_imported_model_can_be_saved_and_grown_by_a_class(write, tmp_path):
    loaded = cocktail.load(write(foreign.stylegan2_gan()))
    again = cocktail.load(cocktail.save(loaded, tmp_path / "native"))
    assert same_weights(again.generator, loaded.generator) and again.card == loaded.card
    assert loaded.with_classes(["cat", "dog"], torch.Generator().manual_seed(0)).sample([0], "dog").isfinite().all()


def test_the_weights_are_ours_to_train(write):
    loaded = cocktail.load(write(foreign.stylegan2_gan()))
    for network in (loaded.generator, loaded.discriminator):
        assert all(parameter.requires_grad for parameter in network.parameters())
        places = [value.data_ptr() for value in network.state_dict().values()]
        assert len(set(places)) == len(places)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"synthesis_kwargs": {"architecture": "resnet"}}, "its architecture is 'resnet'; supported is 'skip'"),
        ({"synthesis_kwargs": {"architecture": "orig"}}, "its architecture is 'orig'"),
        ({"synthesis_kwargs": {"activation": "relu"}}, "its activation is 'relu'"),
        ({"synthesis_kwargs": {"kernel_size": 5}}, "its kernel_size is '5'"),
        ({"synthesis_kwargs": {"attention": True}}, "options that StyleGAN2 lacks: attention"),
        ({"mapping_kwargs": {"layer_features": 3}}, "its layer_features is '3'; supported is 8"),
        ({"mapping_kwargs": {"num_layers": 0}}, "without layers"),
        ({"mapping_kwargs": {"num_layers": 3}}, "tensors missing: mapping.fc2.weight, mapping.fc2.bias"),
        ({"wings": 2}, "options that StyleGAN2 lacks: wings"),
        ({"img_resolution": 12}, "power of two"),
        ({"img_resolution": 32}, "missing: synthesis.b32"),
        ({"z_dim": 10**9}, "z_dim is 1000000000"),
        ({"z_dim": "8"}, "does not keep the arguments z_dim"),
        ({"w_dim": None}, "does not keep the arguments w_dim"),
        ({"c_dim": 2}, "missing: mapping.embed"),
        ({"synthesis_kwargs": 7}, "its arguments are no table"),
        ({"synthesis_kwargs": {"channel_max": 10**30}}, "channel_max"),
        ({"synthesis_kwargs": {"channel_max": [1] * 20_000}}, "no network can be built"),
    ],
)
def test_a_generator_that_ours_is_not_is_refused_with_a_reason(write, arguments, message):
    gan = foreign.stylegan2_gan()
    with pytest.raises(CocktailError, match=message) as caught:
        cocktail.load(write(gan, g=arguments))
    assert "cats: G_ema" in str(caught.value) and len(str(caught.value)) < 1500


@pytest.mark.parametrize(
    "arguments, reason",
    [
        ({"block_kwargs": {"activation": "relu"}}, "its activation is 'relu'"),
        ({"wings": 2}, "options that StyleGAN2 lacks: wings"),
        ({"img_resolution": 32}, "its img_resolution is 32, the generator's 16"),
    ],
)
def test_a_discriminator_that_ours_is_not_is_left_out_with_a_reason(write, arguments, reason):
    loaded = cocktail.load(write(foreign.stylegan2_gan(), d=arguments))
    assert loaded.discriminator is None and reason in loaded.card["imported"]["ignored"]["D"]


def test_deviations_that_the_channels_cannot_be_parted_for_are_refused(write):
    with pytest.raises(CocktailError, match="mbstd_num_channels 3 does not divide"):
        cocktail.load(write(foreign.stylegan2_gan(), d={"epilogue_kwargs": {"mbstd_num_channels": 3}}))


def test_damaged_weights_of_the_discriminator_are_an_error(write):
    def damage(name, state):
        if name == "b4.fc.":
            state["_parameters"]["weight"].fill_(math.nan)

    with pytest.raises(CocktailError, match=r"cats: D: 1 tensors hold NaN or infinity: b4\.fc\.weight"):
        cocktail.load(write(foreign.stylegan2_gan(), change=damage))


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda name, state: state["_parameters"].pop("weight", None), r"tensors missing: .* and \d+ more"),
        (lambda name, state: state["_parameters"].update(extra=torch.zeros(1)), "not part of the network: extra"),
        (lambda name, state: state["_parameters"].update(weight=[1]), "is no tensor"),
        (lambda name, state: state.update(_modules=[]), "is no table of names"),
        (lambda name, state: state["_modules"].update(a="layer"), "is no layer"),
        (lambda name, state: state["_modules"].update({1: None}), "is no table of names"),
    ],
)
def test_a_damaged_state_is_refused(write, change, message):
    with pytest.raises(CocktailError, match=message):
        cocktail.load(write(foreign.stylegan2_gan(), change=change))


def test_layers_within_themselves_are_refused(tmp_path):
    head = b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n"
    names = foreign.fragment({"type": "class", "class_name": "Generator", "module_src": ""}, 3)[:-1]  # SETITEMS follows
    layer = head + b"}(" + names[names.index(b"(") + 1 :] + foreign.fragment("state", 3)[:-2] + b"}r\xff\0\0\0u\x85R"
    loop = layer + b"r\xfe\0\0\0" + b"j\xff\0\0\0" + foreign.fragment("_modules")[:-2] + b"}("
    loop += b"".join(foreign.fragment(name)[:-2] + b"j\xfe\0\0\0" for name in "abcdefgh") + b"us0"
    (tmp_path / "a").write_bytes(foreign.whole(loop, 3))
    with pytest.raises(CocktailError, match="holds data inside itself"):
        cocktail.load(tmp_path / "a")


def test_layers_too_deep_in_one_another_are_refused(write):
    def nest(name, state):
        if name == "synthesis.":
            layer = foreign.Persistent("Layer", {})
            for _ in range(25):
                layer = foreign.Persistent("Layer", {"_modules": {"a": layer}})
            state["_modules"]["deep"] = layer

    with pytest.raises(CocktailError, match="lies too deep|levels deep"):
        cocktail.load(write(foreign.stylegan2_gan(), change=nest))


def test_one_layer_under_many_names_does_not_multiply(write):
    def branch(name, state):
        if name == "synthesis.":
            layer = foreign.Persistent("Layer", {"_parameters": {"weight": torch.zeros(1)}})
            for _ in range(12):
                layer = foreign.Persistent("Layer", {"_modules": dict.fromkeys("abcdefgh", layer)})
            state["_modules"]["many"] = layer

    with pytest.raises(CocktailError, match="branches without end"):
        cocktail.load(write(foreign.stylegan2_gan(), change=branch))


def test_more_layers_than_any_network_has_are_refused(write):
    def branch(name, state):
        if name == "synthesis.":
            layer = foreign.Persistent("Layer", {"_parameters": {"weight": torch.zeros(1)}})
            for _ in range(4):
                layer = foreign.Persistent("Layer", {"_modules": dict.fromkeys("abcdefgh", layer)})
            state["_modules"]["many"] = layer

    with pytest.raises(CocktailError, match="more than 2,000 layers"):
        cocktail.load(write(foreign.stylegan2_gan(), change=branch))


def test_tensors_that_share_their_memory_are_refused(write):
    shared = torch.zeros(64, 64, 3, 3)

    def share(name, state):
        if name.startswith("synthesis.") and state["_parameters"].get("weight", shared[0]).shape == shared.shape:
            state["_parameters"]["weight"] = shared

    gan = foreign.stylegan2_gan(resolution=64, generator={"channel_base": 64 * 64, "channel_max": 64})
    with pytest.raises(CocktailError, match="its tensors share memory"):
        cocktail.load(write(gan, change=share, keys=("G_ema",)))


@pytest.mark.parametrize("share", [0.001, 0.01, 0.3, 0.7, 0.999])
def test_a_pickle_that_was_cut_is_called_damaged(write, share):
    path = write(foreign.stylegan2_gan())
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(CocktailError, match="is damaged or no checkpoint|no checkpoint that this version reads"):
        cocktail.load(path)


def test_other_networks_in_nvidias_wrapping_are_named(write):
    gan = foreign.stylegan2_gan()
    with foreign.nvidia_modules():
        other = foreign.persistent(gan.discriminator, arguments={"x": 1})
    with pytest.raises(CocktailError, match="holds encoder; expected a generator, G_ema"):
        cocktail.load(write(gan, keys=(), rest={"encoder": other}))


def test_the_container_is_read_without_knowing_the_networks(write):
    gan = foreign.stylegan2_gan()
    found = persistence.networks(write(gan))
    assert list(found) == ["G", "D", "G_ema"]
    network = found["G_ema"]
    assert network.class_name == "Generator" and set(network.tensors) == set(gan.generator.state_dict())
    assert network.module_sha == hashlib.sha256(b"raise SystemExit('the source was run')\n").hexdigest()
    assert network.kwargs["mapping_kwargs"] == {"num_layers": 2, "lr_multiplier": 0.01}
    assert nvidia.recognises(write(gan)) and persistence.family(write(gan)) == "stylegan2"


def test_arguments_by_position_are_named(write):
    gan = foreign.stylegan2_gan()

    def by_position(name, state):
        if name == "" and "mapping_kwargs" in state["_init_kwargs"]:
            kwargs = dict(state["_init_kwargs"])
            state["_init_args"] = tuple(kwargs.pop(key) for key in persistence.POSITIONAL["Generator"][:5])
            state["_init_kwargs"] = kwargs

    loaded = cocktail.load(write(gan, change=by_position, keys=("G_ema",)))
    assert loaded.generator.config == gan.generator.config


UNREADABLE = {
    "tensorflow": (
        foreign.whole(b"cdnnlib.tflib.network\nNetwork\n)\x81}X\x07\0\0\0versionK\x04sb"),
        r"TensorFlow networks .*python legacy\.py --source=a\.pt --dest=a-pytorch\.pkl",
    ),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(50), "an HDF5 file, as Keras writes it.*ONNX"),
    "gzip": (b"\x1f\x8b\x08\0" + bytes(50), "packed with gzip.*Unpack it"),
    "numpy": (b"\x93NUMPY\x01\0" + bytes(50), "an array of numpy"),
    "text": (b"<html>404 not found</html>", r"of no known kind \(it begins with 3c 68 74 6d"),
    "empty": (b"", r"0 bytes\) is no checkpoint .*it is empty"),
    "plain pickle": (foreign.whole(foreign.fragment({"epoch": 3})), "a pickle that holds the entries epoch, and no"),
    "torch zip": (foreign.saved({"epoch": 3, "loss": 0.5}), "a PyTorch file that holds the entries epoch, loss"),
    "torch legacy": (foreign.saved([1], legacy=True), "a PyTorch file that holds a list"),
    "module": (
        foreign.whole(b"ctorch.nn.modules.conv\nConv2d\n)\x81"),
        r"asks for torch\.nn\.modules\.conv\.Conv2d.*save its state_dict\(\), or export it to ONNX",
    ),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_is_not_read_is_explained(tmp_path, name):
    data, message = UNREADABLE[name]
    (tmp_path / "a.pt").write_bytes(data)
    with pytest.raises(CocktailError, match=message) as caught:
        cocktail.load(tmp_path / "a.pt")
    assert "\n" not in str(caught.value)


def test_a_zip_of_pictures_is_no_checkpoint(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("cat.png", b"...")
    with pytest.raises(CocktailError, match="a zip of pictures can be a class|A zip of pictures can be a class"):
        cocktail.load(tmp_path / "a.zip")


def test_the_source_in_the_file_is_neither_compiled_nor_run_and_nothing_is_imported(write, tmp_path):
    path = write(foreign.stylegan2_gan())
    cocktail.load(path)  # what our own code imports late is there now
    events = []

    def listen():
        forbidden = {
            "compile",
            "exec",
            "import",
            "pickle.find_class",
            "os.system",
            "subprocess.Popen",
            "os.posix_spawn",
        }
        sys.addaudithook(lambda name, arguments: events.append((name, arguments)) if name in forbidden else None)
        cocktail.load(path)
        print(events)
        return len(events)

    assert forked.ended(forked.start(listen, tmp_path / "output")) == 0, (tmp_path / "output").read_text()


def test_nothing_of_pythons_pickle_is_imported_by_the_readers():
    code = (
        "import sys, ast, pathlib\n"
        "for name in ('pickles', 'opcodes', 'constructors', 'persistence', 'torchfile', 'nvidia', 'content'):\n"
        "    tree = ast.parse(pathlib.Path('cocktail/checkpoints', name + '.py').read_text())\n"
        "    names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}\n"
        "    calls = {n.func.attr for n in ast.walk(tree) if isinstance(n, ast.Call) and hasattr(n.func, 'attr')}\n"
        "    called = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and hasattr(n.func, 'id')}\n"
        "    assert 'pickle' not in names and not {'eval', 'exec', 'compile', '__import__'} & called, name\n"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
