"""ONNX generators: found out by probing, inert, and good for teaching only. The files are small ones made here."""

import copy
import json
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from cocktail import checkpoints
from cocktail.checkpoints.onnx import load, probe, recognises
from cocktail.commands.base import drain
from cocktail.errors import CocktailError
from cocktail.gan import Gan, new_gan
from cocktail.methods.cocktail import CocktailConfig, cocktail
from cocktail.networks import onnx_file
from cocktail.sources import GanSource
from cocktail.teachers import ModelTeacher, fingerprint
from cocktail.training import TrainConfig, finetune
from editing.inversion import project

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
FLOAT, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
SIDE = 8


def weight(name, *shape, seed=0):
    return onnx.numpy_helper.from_array(np.random.RandomState(seed).randn(*shape).astype(np.float32), name)


def numbers(name, *values, dtype=np.int64):
    return onnx.numpy_helper.from_array(np.array(values, dtype=dtype), name)


def write(path, nodes, inputs, tensors, output=("image", FLOAT, ["n", 3, SIDE, SIDE]), **options):
    """A model file whose inputs and output are (name, type, shape)."""
    named = [onnx.helper.make_tensor_value_info(*entry) for entry in inputs]
    graph = onnx.helper.make_graph(nodes, "g", named, [onnx.helper.make_tensor_value_info(*output)], tensors)
    opsets = [onnx.helper.make_opsetid("", 17), *(onnx.helper.make_opsetid(d, 1) for d in options.get("domains", ()))]
    path.write_bytes(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())
    return path


def node(operator, inputs, outputs, **attributes):
    return onnx.helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


def generator(path, *, z=16, z_form="vector", channels=3, layout="NCHW", batch="n", classes=0, c_form="one-hot",
              squash=("Tanh",), scale=1.0, shift=0.0, z_open=False):  # fmt: skip
    """pictures = squash(z W + class row) * scale + shift."""
    z_shape = [batch, "d" if z_open else z, *([1, 1] if z_form == "map" else [])]
    inputs, tensors = [("noise", FLOAT, z_shape)], [weight("W", z, channels * SIDE * SIDE)]
    nodes = [node("Flatten", "noise", "flat"), node("MatMul", "flat W", "h0")]
    tensors.append(numbers("ends", -1, *((channels, SIDE, SIDE) if layout == "NCHW" else (SIDE, SIDE, channels))))
    tensors += [numbers("scale", scale, dtype=np.float32), numbers("shift", shift, dtype=np.float32)]
    if classes:
        tensors.append(weight("rows", classes, channels * SIDE * SIDE, seed=1))
        if c_form == "one-hot":
            inputs.append(("label", FLOAT, [batch, classes]))
            nodes.append(node("MatMul", "label rows", "row"))
        else:
            inputs.append(("label", INT64, [batch] if c_form == "index" else [batch, 1]))
            tensors.append(numbers("flat_shape", -1))
            nodes += [node("Reshape", "label flat_shape", "index"), node("Gather", "rows index", "row", axis=0)]
        nodes.append(node("Add", "h0 row", "h1"))
    last = "h1" if classes else "h0"
    for i, name in enumerate(squash):
        nodes.append(node(name, last, f"s{i}"))
        last = f"s{i}"
    nodes += [node("Mul", f"{last} scale", "scaled"), node("Add", "scaled shift", "shifted"),
              node("Reshape", "shifted ends", "image")]  # fmt: skip
    sides = [channels, SIDE, SIDE] if layout == "NCHW" else [SIDE, SIDE, channels]
    return write(path, nodes, inputs, tensors, ("image", FLOAT, [batch, *sides]))


def expected(z, channels=3, label=None, classes=0):
    """What `generator` draws, in [-1, 1], by numpy."""
    h = z @ np.random.RandomState(0).randn(z.shape[1], channels * SIDE * SIDE).astype(np.float32)
    if classes:
        h = h + np.random.RandomState(1).randn(classes, channels * SIDE * SIDE).astype(np.float32)[label]
    return np.tanh(h)


def drawn(gan, count=3, label=None):
    z = torch.randn(count, gan.z_dim, generator=torch.Generator().manual_seed(3))
    return z.numpy(), gan.synthesize(gan.map(z, label)).numpy()


def test_a_generator_draws_the_pictures_that_the_file_draws(tmp_path):
    gan = checkpoints.load(generator(tmp_path / "any.bin"))
    z, images = drawn(gan)
    assert np.allclose(images, expected(z).reshape(-1, 3, SIDE, SIDE), atol=1e-5)
    assert (gan.z_dim, gan.num_ws, gan.w_dim, gan.resolution, gan.classes) == (16, 1, 16, SIDE, ())
    assert gan.num_parameters == 16 * 3 * SIDE * SIDE + 4 + 2 and gan.device.type == "cpu"
    assert gan.card["imported"]["format"] == "ONNX generator" and len(gan.card["imported"]["sha256"]) == 64


@pytest.mark.parametrize(
    "options",
    [
        {"layout": "NHWC"},
        {"z_form": "map"},
        {"batch": 1},
        {"batch": 4},
        {"squash": ("Tanh",), "scale": 0.5, "shift": 0.5},
        {"squash": ("Tanh",), "scale": 127.5, "shift": 127.5},
        {"channels": 1},
        {"z_open": True, "z": 100},
    ],
    ids=str,
)
def test_layout_range_latent_and_batch_are_found_out(tmp_path, options):
    gan = load(generator(tmp_path / "g.onnx", **options))
    channels = options.get("channels", 3)
    z, images = drawn(gan, count=5)
    wanted = expected(z, channels)
    if options.get("layout") == "NHWC":
        wanted = wanted.reshape(-1, SIDE, SIDE, channels).transpose(0, 3, 1, 2)
    wanted = wanted.reshape(-1, channels, SIDE, SIDE).repeat(3 // channels, axis=1)
    assert images.shape == wanted.shape and np.allclose(images, wanted, atol=1e-5)


@pytest.mark.parametrize("c_form", ["one-hot", "index", "index column"])
def test_classes_are_found_and_counted(tmp_path, c_form):
    gan = load(generator(tmp_path / "g.onnx", classes=5, c_form=c_form))
    assert gan.classes == ("0", "1", "2", "3", "4") and gan.generator.config.c_form == c_form
    z, images = drawn(gan, 2, ["4", "1"])
    assert np.allclose(images, expected(z, label=[4, 1], classes=5).reshape(-1, 3, SIDE, SIDE), atol=1e-5)


def test_what_was_found_is_told_to_people(tmp_path):
    lines = probe(generator(tmp_path / "g.onnx", classes=2, layout="NHWC", scale=0.5, shift=0.5)).lines()
    assert lines["latent"] == "noise [N, 16]" and lines["class"] == "label as one-hot, 2 classes"
    assert lines["pictures"] == "image, NHWC, 8 x 8 px, 3 channels" and lines["values"].startswith("0 is black, 1 is")


def test_what_is_known_better_than_probing_finds_it_wins(tmp_path):
    path = generator(tmp_path / "g.onnx", scale=0.5, shift=0.5)
    assert load(path).generator.config.low == 0
    gan = load(path, {"low": -1.0, "high": 1.0})
    z, images = drawn(gan)
    assert np.allclose(images, (expected(z) / 2 + 0.5).reshape(-1, 3, SIDE, SIDE), atol=1e-5)
    with pytest.raises(CocktailError, match="z_dim|fails"):
        load(path, {"z_dim": 7})
    with pytest.raises(CocktailError, match="colour is no field"):
        load(path, {"colour": 7})


def test_truncation_scales_the_latent(tmp_path):
    gan = load(generator(tmp_path / "g.onnx"))
    z = torch.randn(2, 16)
    assert torch.equal(gan.map(z, truncation=0.5)[:, 0], z * 0.5)


def test_a_network_that_cannot_take_a_batch_is_asked_one_by_one(tmp_path):
    path = generator(tmp_path / "g.onnx")
    model = onnx.load(path)
    next(t for t in model.graph.initializer if t.name == "ends").CopyFrom(numbers("ends", 1, 3, SIDE, SIDE))
    path.write_bytes(model.SerializeToString())
    found = probe(path)
    assert found.config.batch == 1 and "one at a time" in found.notes[0]
    z, images = drawn(load(path))
    assert np.allclose(images, expected(z).reshape(-1, 3, SIDE, SIDE), atol=1e-5)


def test_saving_copying_and_fingerprints_work_as_for_any_model(tmp_path):
    gan = load(generator(tmp_path / "g.onnx", classes=2))
    gan.sample([0], "1")  # opens the session, which cannot be copied
    again = checkpoints.load(checkpoints.save(gan, tmp_path / "saved"))
    for other in (again, copy.deepcopy(gan), gan.copy()):
        assert torch.equal(other.sample([0, 1], "1"), gan.sample([0, 1], "1"))
        assert fingerprint(other) == fingerprint(gan) and other.generator.config == gan.generator.config
    assert again.classes == ("0", "1")


def test_a_source_draws_whole_batches_from_it(tmp_path):
    gan = load(generator(tmp_path / "g.onnx", classes=2))
    source = GanSource(gan, resolution=16)
    images = source.sample_class(torch.tensor([0, 1, 1]), torch.Generator().manual_seed(0))
    assert images.shape == (3, 3, 16, 16) and images.abs().max() <= 1


def test_it_has_no_gradient_and_says_so(tmp_path):
    gan = load(generator(tmp_path / "g.onnx"))
    ws = gan.map(torch.randn(1, 16)).clone()
    assert gan.generator.synthesize(ws).shape == (1, 3, SIDE, SIDE)
    with pytest.raises(CocktailError, match="has no gradient"):
        gan.generator.synthesize(ws.requires_grad_())


def test_a_photo_cannot_be_inverted_on_it(tmp_path):
    gan = load(generator(tmp_path / "g.onnx"))
    with pytest.raises(CocktailError, match="ONNX"):
        for _ in project(gan, torch.zeros(1, 3, SIDE, SIDE)):
            pass


def test_it_can_teach_but_not_be_the_root(tmp_path):
    gan = load(generator(tmp_path / "g.onnx"))
    teacher = ModelTeacher(gan, (), ("thing",))
    with pytest.raises(CocktailError, match="can teach, but cannot be the root"):
        next(cocktail([teacher, ModelTeacher(gan, (), ("other",))], CocktailConfig(), None))
    with pytest.raises(CocktailError, match="cannot be the root"):
        gan.with_classes(["cat"], torch.Generator())
    with pytest.raises(CocktailError, match="no discriminator"):
        new_gan("onnx", {}, {})


class Memory:
    """A context that keeps nothing but what is recorded."""

    def __init__(self):
        self.seed, self.notes = 0, {}

    def stage(self, name, student, source, config, anchors=None):
        return (yield from finetune(student, source, config, anchors=anchors))

    def record(self, name, value):
        self.notes[name] = value

    def show(self, name, gan):
        pass


@pytest.mark.slow
def test_a_stylegan2_root_learns_from_it(tmp_path):
    torch.manual_seed(0)
    sizes = {"img_resolution": 16, "channels": (8, 8, 8)}
    root = new_gan("stylegan2", sizes | {"z_dim": 8, "w_dim": 8, "mapping_layers": 2}, sizes)
    source = load(generator(tmp_path / "g.onnx", classes=2))
    teachers = [ModelTeacher(root, (), ("face",)), ModelTeacher(source, ("1",), ("thing",))]
    some = TrainConfig(total_kimg=0.016, batch=4, r1_interval=2, pl_interval=2, ema_kimg=0.005)
    memory = Memory()
    union = drain(cocktail(teachers, CocktailConfig(some, some), memory), lambda _: None)
    assert union.classes == ("face", "thing") and torch.isfinite(union.sample([0], "thing")).all()
    assert memory.notes["distance/root-rooted/thing"] > 0
    assert "another architecture" in memory.notes["distance/root-source/thing"]


def two_inputs(path, *inputs):
    """A generator with inputs that nobody needs."""
    z = generator(path)
    model = onnx.load(z)
    model.graph.input.extend(onnx.helper.make_tensor_value_info(*entry) for entry in inputs)
    path.write_bytes(model.SerializeToString())
    return path


def test_a_truncation_input_is_held_at_one(tmp_path):
    gan = load(two_inputs(tmp_path / "g.onnx", ("truncation_psi", FLOAT, [1])))
    assert gan.generator.config.psi_input == "truncation_psi"
    assert gan.sample([0]).shape == (1, 3, SIDE, SIDE)


def ill(name, path):
    """A file that is a valid ONNX model but no generator."""
    if name == "three unknown inputs":
        return two_inputs(path, ("a", FLOAT, [1, 2]), ("b", FLOAT, [1, 3]))
    if name == "a picture for a latent":
        return write(path, [node("Identity", "x", "image")], [("x", FLOAT, ["n", 3, 8, 8])], [])
    if name == "pictures that are not square":
        nodes = [node("MatMul", "z W", "h"), node("Reshape", "h ends", "image")]
        return write(path, nodes, [("z", FLOAT, ["n", 4])], [weight("W", 4, 96), numbers("ends", -1, 3, 4, 8)],
                     ("image", FLOAT, ["n", 3, 4, 8]))  # fmt: skip
    if name == "whole numbers":
        return write(path, [node("Cast", "z", "image", to=INT64)], [("z", FLOAT, ["n", 4])], [],
                     ("image", INT64, ["n", 4]))  # fmt: skip
    if name == "too large":
        nodes = [node("ConstantOfShape", "size", "grey"), node("ReduceMax", "z", "one", keepdims=0),
                 node("Add", "grey one", "image")]  # fmt: skip
        return write(path, nodes, [("z", FLOAT, [1, 4])], [numbers("size", 1, 3, 2064, 2064)])
    return generator(path, squash=("Log",))


@pytest.mark.parametrize(
    "name, words",
    [
        ("three unknown inputs", r"noise float \[\?, 16\], a float.*expected a latent"),
        ("a picture for a latent", "expected a latent"),
        ("pictures that are not square", r"gives image float \[\?, 3, 4, 8\]; expected square pictures"),
        ("whole numbers", "expected square pictures of floats"),
        ("too large", "to 2048 px"),
        ("not a number", "NaN or infinity"),
    ],
)
def test_what_draws_no_pictures_is_refused_with_the_reason(tmp_path, name, words):
    with pytest.raises(CocktailError, match=words):
        load(ill(name, tmp_path / "g.onnx"))


def outside(place, path):
    """A generator one of whose tensors lies in another file."""
    generator(path)
    secret = path.parent / "secret.bin"
    secret.write_bytes(np.ones(16 * 3 * SIDE * SIDE, dtype=np.float32).tobytes())
    model = onnx.load(path)
    tensor = next(t for t in model.graph.initializer if t.name == "W")
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="secret.bin")
    if place == "an attribute":
        model.graph.node.insert(0, onnx.helper.make_node("Constant", [], ["W"], value=tensor))
        model.graph.initializer.remove(tensor)
    elif place == "a branch":
        branch = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["W"], ["V"])], "branch", [],
                                        [onnx.helper.make_tensor_value_info("V", FLOAT, None)], [tensor])  # fmt: skip
        yes = onnx.numpy_helper.from_array(np.array(True), "yes")
        model.graph.initializer.remove(tensor)
        model.graph.initializer.append(yes)
        model.graph.node.insert(0, onnx.helper.make_node("If", ["yes"], ["W"], then_branch=branch, else_branch=branch))
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("place", ["a weight", "an attribute", "a branch"])
def test_weights_in_another_file_are_not_followed(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)  # where onnxruntime would look for it
    path = outside(place, tmp_path / "g.onnx")
    with pytest.raises(CocktailError, match=r"keeps weights in another file \('secret.bin'\)"):
        load(path)


def test_a_native_folder_with_a_hostile_file_inside_is_refused_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    gan = load(generator(tmp_path / "g.onnx"))
    gan.generator.file = torch.frombuffer(bytearray(outside("a weight", tmp_path / "h.onnx").read_bytes()),
                                          dtype=torch.uint8)  # fmt: skip
    with pytest.raises(CocktailError, match="keeps weights in another file"):
        gan.sample([0])


@pytest.mark.parametrize("domain, operator", [("evil.ops", "Run"), ("com.microsoft", "EPContext")])
def test_operators_from_outside_are_refused(tmp_path, domain, operator):
    nodes = [onnx.helper.make_node(operator, ["z"], ["image"], domain=domain)]
    path = write(tmp_path / "g.onnx", nodes, [("z", FLOAT, ["n", 4])], [], domains=(domain,))
    with pytest.raises(CocktailError, match=f"{domain}|{operator}"):
        load(path)


def test_a_claim_of_a_trillion_numbers_is_refused_before_any_memory_is_taken(tmp_path):
    tensor = onnx.TensorProto(name="W", data_type=FLOAT, dims=[10**6, 10**6])
    path = write(tmp_path / "g.onnx", [node("MatMul", "z W", "image")], [("z", FLOAT, ["n", 4])], [tensor])
    start = time.monotonic()
    with pytest.raises(CocktailError, match="1,000,000,000,000 weights"):
        load(path)
    assert time.monotonic() - start < 2


def test_files_that_ask_for_much_memory_get_none(tmp_path):
    asks = {"ConstantOfShape": "size", "Expand": "one size", "Tile": "ones size"}
    for operator, inputs in asks.items():
        nodes = [node(operator, inputs, "big"), node("ReduceMax", "big", "top", keepdims=0),
                 node("Add", "z top", "image")]  # fmt: skip
        tensors = [numbers("size", 60_000, 1024, 1024), numbers("one", 1, dtype=np.float32),
                   onnx.numpy_helper.from_array(np.ones((1, 1, 1), dtype=np.float32), "ones")]  # fmt: skip
        write(tmp_path / operator, nodes, [("z", FLOAT, ["n", 4])], tensors)
    script = (
        "import resource, time\n"
        "import onnxruntime\n"
        "from cocktail.checkpoints.onnx import load\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"for name in {[str(tmp_path / operator) for operator in asks]!r}:\n"
        "    before, start = peak(), time.monotonic()\n"
        "    try:\n"
        "        load(name)\n"
        "    except Exception as error:\n"
        "        print(type(error).__name__, time.monotonic() - start < 5, peak() - before < 200_000)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["CocktailError", "True", "True"] * 3, done.stderr


def test_a_loop_without_end_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr("cocktail.checkpoints.onnx_probing.LIMIT_SEC", 0.5)
    info = onnx.helper.make_tensor_value_info
    body = onnx.helper.make_graph(
        [node("Identity", "go", "on"), node("Mul", "x x", "y")], "body",
        [info("i", INT64, []), info("go", onnx.TensorProto.BOOL, []), info("x", FLOAT, None)],
        [info("on", onnx.TensorProto.BOOL, []), info("y", FLOAT, None)],
    )  # fmt: skip
    yes = onnx.numpy_helper.from_array(np.array(True), "yes")
    nodes = [node("Loop", " yes z", "image", body=body)]
    nodes[0].input[:] = ["", "yes", "z"]
    path = write(tmp_path / "g.onnx", nodes, [("z", FLOAT, ["n", 4])], [yes])
    start = time.monotonic()
    with pytest.raises(CocktailError, match="fails"):
        load(path)
    assert time.monotonic() - start < 10


def test_damaged_files_are_refused_or_read_but_never_crash(tmp_path):
    whole = generator(tmp_path / "g.onnx").read_bytes()
    path, rng, refused = tmp_path / "m.onnx", np.random.RandomState(0), 0
    front = len(whole) - 16 * 3 * SIDE * SIDE * 4
    for _ in range(150):
        data = bytearray(whole)
        for place in rng.randint(0, len(data) if rng.rand() < 0.3 else front, rng.randint(1, 4)):
            data[place] = rng.randint(256)
        path.write_bytes(bytes(data[: rng.randint(1, len(data))] if rng.rand() < 0.3 else data))
        try:
            load(path)
        except CocktailError:
            refused += 1
    assert refused > 50


def test_files_are_recognised_by_their_content(tmp_path):
    path = generator(tmp_path / "any.pkl")
    assert recognises(path)
    for name, data in {"a": b"", "b": b"\x80\x02}q", "c": b"\x08\x01", "d": json.dumps({"a": 1}).encode()}.items():
        (tmp_path / name).write_bytes(data)
        assert not recognises(tmp_path / name)
    assert not recognises(tmp_path)
    with pytest.raises(CocktailError, match="damaged or no ONNX file"):
        onnx_file.check(path.read_bytes()[:200], "g.onnx")


def test_a_missing_onnxruntime_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(CocktailError, match="pip install onnxruntime"):
        load(generator(tmp_path / "g.onnx"))


@pytest.mark.parametrize(
    "change, words",
    [
        ({"output": "nothing"}, "fails|nothing"),
        ({"img_resolution": 16}, r"draws pictures \[1, 3, 8, 8\]; expected \[1, 3, 16, 16\]"),
        ({"z_dim": 9}, "fails on noise"),
        ({"file_bytes": 10**13}, "file_bytes is 10000000000000"),
        ({"z_type": "tensor(string)"}, "z_type is 'tensor"),
        ({"z_input": ["a"]}, "expected the name"),
        ({"c_dim": 3}, "give both, or neither"),
        ({"low": 3.0}, "white must be the larger"),
    ],
    ids=str,
)
def test_a_native_folder_whose_config_lies_is_refused(tmp_path, change, words):
    folder = checkpoints.save(load(generator(tmp_path / "g.onnx")), tmp_path / "saved")
    config = json.loads((folder / "config.json").read_text())
    config["generator"]["config"] |= change
    config["classes"] = ["a", "b", "c"] if "c_dim" in change else []
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CocktailError, match=words):
        checkpoints.load(folder).sample([0])


def test_metadata_of_an_export_names_the_classes(tmp_path):
    path = generator(tmp_path / "g.onnx", classes=2)
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {"cocktail": json.dumps({"z_dim": 16, "classes": ["cat", "dog"], "title": "T"})})
    path.write_bytes(model.SerializeToString())
    gan = load(path)
    assert gan.classes == ("cat", "dog") and gan.card["title"] == "T" and isinstance(gan, Gan)
    onnx.helper.set_model_props(model, {"cocktail": json.dumps({"classes": "cat"})})
    path.write_bytes(model.SerializeToString())
    with pytest.raises(CocktailError, match="no list of class names"):
        load(path)
