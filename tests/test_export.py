"""Exported ONNX files draw what the engine draws, and the page's folder is complete."""

import json
import re
import sys

import numpy as np
import pytest
import torch
import yaml

from cocktail import checkpoints
from cocktail.__main__ import main
from cocktail.errors import CocktailError
from cocktail.export import to_onnx, to_page
from cocktail.export.onnx_files import session
from cocktail.gan import Gan, latents
from cocktail.networks import custom, dcgan, stylegan2

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
CLASSES = ("cat", "dog")


def gan_of(architecture, classes=CLASSES, **options):
    """A small generator of random weights, and centres of its own where it has some."""
    size = {"img_resolution": 8}
    kinds = {"stylegan2": (stylegan2, size | {"w_dim": 12, "mapping_layers": 2, "channels": (16, 12)}),
             "custom": (custom, {"channels": (16, 12), "embed_dim": 6}),
             "dcgan": (dcgan, size | {"channels": (16, 8), "embed_dim": 6})}  # fmt: skip
    module, sizes = kinds[architecture]
    torch.manual_seed(1)
    generator = module.Generator(module.GeneratorConfig(z_dim=10, c_dim=len(classes), **(sizes | options))).eval()
    with torch.no_grad():
        for name, value in generator.named_parameters():
            if "noise_strength" in name or "class_w" in name:
                value.normal_()
        generator.recenter(torch.randn(8, 10))
    return Gan(generator.requires_grad_(False), None, classes, {"title": "Small & <union>", "licence": "Apache-2.0"})


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A StyleGAN2 with everything on, its folder, and what the export reported."""
    gan = gan_of("stylegan2", use_noise=True, linear_input=True, class_w_gain=1.0, class_centers=True, conv_clamp=256)
    return gan, to_onnx(gan, tmp_path_factory.mktemp("export") / "deep" / "onnx", fp16=True, int8=True)


def run(path, **feeds):
    return session(path.read_bytes()).run(None, {name: np.asarray(value) for name, value in feeds.items()})[0]


@pytest.mark.parametrize("count", [1, 2, 7])
def test_onnxruntime_and_the_engine_draw_the_same(exported, count):
    gan, made = exported
    z, c = latents(range(count), gan.z_dim), gan.one_hot([i % 2 for i in range(count)], count)
    for psi in (1.0, 0.7, 0.0):
        ws = run(made.folder / "mapping.onnx", z=z, c=c, psi=np.full(count, psi, dtype=np.float32))
        assert np.abs(ws - gan.map(z, c.argmax(dim=1), psi).numpy()).max() < 1e-5
    images = gan.synthesize(gan.map(z, c.argmax(dim=1))).numpy()
    assert images.std() > 0.1
    assert np.abs(run(made.folder / "synthesis.onnx", ws=gan.map(z, c.argmax(dim=1)).numpy()) - images).max() < 1e-5
    assert np.abs(run(made.folder / "generator.onnx", z=z, c=c) - images).max() < 1e-5


def test_what_was_measured_is_what_the_files_do(exported):
    gan, made = exported
    report = json.loads((made.folder / "export.json").read_text())
    assert report["classes"] == list(CLASSES) and report["z_dim"] == 10
    assert report["largest_difference"] == made.differences and report["mean_difference"] == made.means
    assert set(made.files) == {path.name for path in made.folder.glob("*.onnx")} and len(made.files) == 9
    assert all((made.folder / name).stat().st_size == size for name, size in made.files.items())
    assert max(made.differences[name] for name in ("mapping.onnx", "synthesis.onnx", "generator.onnx")) < 1e-5
    z, c = latents(range(8), gan.z_dim), gan.one_hot([i % 2 for i in range(8)], 8)
    ws = gan.map(z, c.argmax(dim=1), 0.7)
    for kind in ("", "-fp16", "-int8"):
        apart = np.abs(run(made.folder / f"synthesis{kind}.onnx", ws=ws.numpy()) - gan.synthesize(ws).numpy())
        assert apart.max() <= made.differences[f"synthesis{kind}.onnx"] + 1e-6
        assert apart.mean() == pytest.approx(made.means[f"synthesis{kind}.onnx"], abs=1e-7)
    assert 1e-5 < made.means["synthesis-fp16.onnx"] < made.means["synthesis-int8.onnx"] < 0.05


def test_smaller_files_keep_their_weights_in_fewer_bits(exported):
    _, made = exported
    weights = {}
    for kind in ("", "-fp16", "-int8"):
        model = onnx.load(made.folder / f"synthesis{kind}.onnx")
        onnx.checker.check_model(model)
        weights[kind] = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    assert weights["-fp16"] < 0.75 * weights[""] and weights["-int8"] < 0.75 * weights["-fp16"]


def test_an_exported_generator_is_a_source_again(exported):
    gan, made = exported
    again = checkpoints.load(made.folder / "generator.onnx")
    assert again.classes == gan.classes and again.z_dim == gan.z_dim and again.card["licence"] == "Apache-2.0"
    assert (again.sample([0, 1, 2], "dog") - gan.sample([0, 1, 2], "dog")).abs().max() < 1e-5
    with pytest.raises(CocktailError, match="ONNX file already"):
        to_onnx(again, made.folder.parent / "again")


def test_the_files_are_small_graphs_without_notes_or_one_weight_per_picture(exported):
    _, made = exported
    model = onnx.load(made.folder / "synthesis.onnx")
    assert not any(node.doc_string or node.metadata_props for node in model.graph.node)
    assert [entry.key for entry in model.metadata_props] == ["cocktail"] and not model.graph.value_info
    assert json.loads(model.metadata_props[0].value)["layer_resolutions"] == [4, 8, 8, 8]
    # A weight that is given by the file, not calculated from a code, serves the whole batch.
    made_from = {name: node for node in model.graph.node for name in node.output}

    def depends(name):
        node = made_from.get(name)
        return name == "ws" or (node is not None and any(map(depends, node.input)))

    convolutions = [node for node in model.graph.node if node.op_type in ("Conv", "ConvTranspose")]
    assert len(convolutions) >= 7 and not any(depends(node.input[1]) for node in convolutions)


@pytest.mark.slow
@pytest.mark.parametrize(
    "architecture, classes", [("custom", ()), ("dcgan", CLASSES), ("dcgan", ()), ("stylegan2", ())]
)
def test_every_architecture_and_models_without_classes_are_exported(tmp_path, architecture, classes):
    gan = gan_of(architecture, classes)
    made = to_onnx(gan, tmp_path)
    assert max(made.differences.values()) < 1e-5
    assert [entry.name for entry in session((tmp_path / "mapping.onnx").read_bytes()).get_inputs()] == (
        ["z", "c", "psi"] if classes else ["z", "psi"]
    )


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "there").write_text("mine")
    for write in (to_onnx, to_page):
        with pytest.raises(CocktailError, match="there is a file"):
            write(gan_of("custom"), tmp_path / "there")
    assert (tmp_path / "there").read_text() == "mine"


def test_an_export_that_draws_other_pictures_is_not_written(exported, tmp_path, monkeypatch):
    gan, made = exported
    files = {name: (made.folder / name).read_bytes() for name in ("mapping.onnx", "synthesis.onnx", "generator.onnx")}
    monkeypatch.setattr("cocktail.export.onnx_files.models", lambda gan: files)
    other = gan.copy()
    other.generator.synthesis.b8.torgb.bias.add_(0.1)
    with pytest.raises(CocktailError, match="differ from PyTorch"):
        to_onnx(other, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page") / "web"
    return folder, to_page(gan_of("custom"), folder)


def test_the_page_is_complete_small_and_asks_no_other_host(page):
    folder, found = page
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    assert found["bytes"] == sum(path.stat().st_size for path in files.values()) < 6_000_000
    page = files["index.html"].read_text()
    named = re.findall(r'(?:src|href)="([^"#]+)"', page)
    assert all(name in files or name == "data:," for name in named) and "app.js" in named
    assert "<title>Small &amp; &lt;union&gt;</title>" in page and "${" not in page
    own = [path for name, path in files.items() if path.suffix in (".js", ".css", ".html") and "vendor" not in name]
    texts = {path.name: path.read_text() for path in own}
    assert not any("http" in text for name, text in texts.items() if name not in ("runtime.js", "model.js"))
    front = yaml.safe_load(files["README.md"].read_text().split("---")[1])
    assert front["sdk"] == "static" and front["license"] == "apache-2.0" and front["title"] == "Small & <union>"
    assert "MIT License" in files["vendor/LICENSE"].read_text()


@pytest.mark.slow
def test_the_command_line_writes_equal_pages_for_equal_models(tmp_path, page, capsys):
    folder = checkpoints.save(gan_of("custom"), tmp_path / "gan")
    assert main(["export", str(folder), "--web", str(tmp_path / "web")]) == 0
    assert "index.html: 5.4 MB, differs from PyTorch by" in capsys.readouterr().out
    assert (tmp_path / "web" / "model.js").read_bytes() == (page[0] / "model.js").read_bytes()


@pytest.mark.parametrize("options, words", [([], "--onnx DIR, --web DIR"), (["--web", "x", "--int8"], "--onnx")])
def test_the_command_line_asks_what_to_write(capsys, options, words):
    assert main(["export", "bundled/cat", *options]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_line_tells_size_and_difference_of_each_file(tmp_path, capsys):
    folder = checkpoints.save(gan_of("custom"), tmp_path / "gan")
    assert main(["export", str(folder), "--onnx", str(tmp_path / "onnx"), "--fp16", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["onnx"]
    assert set(told["bytes"]) == {path.name for path in (tmp_path / "onnx").glob("*.onnx")} and len(told["bytes"]) == 6
    assert max(told["difference"][name] for name in ("mapping.onnx", "synthesis.onnx", "generator.onnx")) < 1e-5


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_a_missing_package_is_named_with_what_to_do(tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(CocktailError, match="pip install onnx onnxscript onnxruntime"):
        to_page(gan_of("custom"), tmp_path / "web")
    assert not (tmp_path / "web").exists()
