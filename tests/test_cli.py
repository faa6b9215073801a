"""The command line: what it writes and prints, and one line with exit code 2 for everything that it cannot do."""

import dataclasses
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
import yaml

from cocktail import checkpoints
from cocktail.__main__ import main
from cocktail.gan import Gan
from cocktail.images import to_uint8
from cocktail.networks import stylegan2
from cocktail.training import TrainConfig

ROOT = Path(__file__).parents[1]


def small_gan(classes=("cat", "dog")):
    torch.manual_seed(0)
    config = stylegan2.GeneratorConfig(img_resolution=8, channels=(8, 8), z_dim=8, w_dim=8, c_dim=len(classes))
    card = {"title": "Small", "scores": {"cat": {"frechet": 1.5, "recall": None}}}
    return Gan(stylegan2.Generator(config), None, classes, card)


@pytest.fixture
def model(tmp_path):
    return str(checkpoints.save(small_gan(), tmp_path / "union"))


@pytest.fixture
def plain(tmp_path):
    return str(checkpoints.save(small_gan(()), tmp_path / "cat"))


def fails(capsys, *argv):
    """Runs a command that cannot succeed and gives its message, which must be one line."""
    assert main(argv) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith("error: ") and printed.err.count("\n") == 1
    return printed.err


def test_sample_writes_the_pictures_of_the_seeds_row_by_row(model, tmp_path, capsys):
    out = tmp_path / "new" / "grid.png"
    argv = ["sample", model, "--class", "dog", "--seeds", "0-2,7", "--out", str(out), "--truncation", "0.5"]
    assert main([*argv, "--columns", "3"]) == 0
    assert "4 pictures" in capsys.readouterr().out
    sheet = np.asarray(PIL.Image.open(out))
    assert sheet.shape == (8 + 2 + 8, 3 * 8 + 2 * 2, 3)
    expected = to_uint8(small_gan().sample([7], "dog", truncation=0.5))[0].permute(1, 2, 0).numpy()
    assert np.array_equal(sheet[10:, :8], expected)


def test_sample_without_a_class_draws_a_row_per_class_with_the_same_seeds(model, tmp_path, capsys):
    out = tmp_path / "grid.png"
    assert main(["sample", model, "--seeds", "3,4,5", "--out", str(out), "--json"]) == 0
    drawn = json.loads(capsys.readouterr().out)
    assert drawn["classes"] == ["cat", "dog"] and drawn["seeds"] == [3, 4, 5] and drawn["columns"] == 3
    sheet = np.asarray(PIL.Image.open(out))
    assert sheet.shape == (18, 28, 3)
    assert np.array_equal(sheet[10:, 20:], to_uint8(small_gan().sample([5], "dog"))[0].permute(1, 2, 0).numpy())


def test_sample_takes_a_class_by_number_and_models_without_classes(model, plain, tmp_path, capsys):
    out = str(tmp_path / "grid.webp")
    assert main(["sample", model, "--class", "1", "--seeds", "0", "--out", out, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["classes"] == ["dog"]
    assert main(["sample", plain, "--seeds", "0-4", "--out", out, "--noise", "none", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["columns"] == 3


@pytest.mark.parametrize(
    "options, message",
    [
        (["--class", "zebra"], "Unknown class 'zebra'. This model knows cat, dog."),
        (["--class", "2"], "This model knows cat, dog"),
        (["--seeds", "a-b"], "neither a number nor a range"),
        (["--seeds", "5-1"], "run backwards"),
        (["--seeds=-3"], "negative"),
        (["--seeds", "0-99999"], "more than 10000"),
        (["--truncation", "99"], "truncation psi is 99"),
        (["--truncation", "nan"], "truncation psi is nan"),
        (["--truncation", "half"], "invalid float value: 'half'"),
        (["--noise", "loud"], "invalid choice: 'loud'"),
        (["--columns", "-1"], "--columns is -1; expected at least 1"),
        (["--wings", "2"], "unrecognized arguments: --wings 2"),
    ],
)
def test_sample_refuses_what_it_cannot_draw(model, tmp_path, capsys, options, message):
    out = tmp_path / "grid.png"
    assert message in fails(capsys, "sample", model, "--out", str(out), *options)
    assert not out.exists()


def test_sample_refuses_names_of_no_picture_and_places_that_cannot_be_written(model, tmp_path, capsys):
    assert "ends in .png" in fails(capsys, "sample", model, "--out", str(tmp_path / "grid.txt"))
    (tmp_path / "file").write_text("mine")
    assert "file" in fails(capsys, "sample", model, "--out", str(tmp_path / "file" / "grid.png"))


def test_sample_refuses_a_sheet_that_would_not_fit(model, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("cocktail.commands.sample.MAX_PIXELS", 100)
    assert "too many for one sheet" in fails(capsys, "sample", model, "--out", str(tmp_path / "g.png"))


@pytest.mark.parametrize("command", [["info"], ["evaluate", "--against", "cat", "--"], ["sample", "--out", "x.png"]])
def test_every_command_refuses_a_model_that_is_not_there(command, capsys):
    assert "neither a path nor a bundled model" in fails(capsys, *command, "no/such/model")


def test_no_command_and_unknown_commands_are_refused(capsys):
    assert "required: COMMAND" in fails(capsys)
    assert "invalid choice: 'mix'" in fails(capsys, "mix")


def test_info_says_what_a_model_is(model, capsys):
    assert main(["info", model]) == 0
    text = capsys.readouterr().out
    assert "Small" in text and "cat, dog" in text and "8 x 8" in text and "1.5" in text
    assert main(["info", model, "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert described["classes"] == ["cat", "dog"] and described["parameters"] == small_gan().num_parameters
    assert described["generator"]["config"]["z_dim"] == 8 and described["discriminator"] is None


def test_info_without_a_model_lists_the_bundled_ones(capsys, monkeypatch, tmp_path):
    checkpoints.save(small_gan(), tmp_path / "pony")
    monkeypatch.setattr(checkpoints, "ASSETS", tmp_path)
    assert main(["info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == ["bundled/pony"]


class Brightness:
    name, dim = "brightness", 2

    def __call__(self, img):
        return torch.stack([img.float().mean(dim=(1, 2, 3)), img.float().std(dim=(1, 2, 3))], dim=1) / 255


def test_evaluate_prints_scores_with_their_floor(model, plain, capsys, monkeypatch):
    monkeypatch.setattr("cocktail.metrics.OracleFeatures", Brightness)
    assert main(["evaluate", model, "--against", "cat", f"dog={plain}", "--n", "20"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:4] == ["class", "n", "frechet", "floor"]
    assert [line.split()[0] for line in lines[2:5]] == ["cat", "dog", "union"]
    assert lines[5].startswith("distances of the references: cat-dog ")
    assert main(["evaluate", model, "--against", "cat", "--n", "20", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert set(report["classes"]) == {"cat"} and report["classes"]["cat"]["floor"] > 0 and report["union"] is None


@pytest.mark.parametrize(
    "options, message",
    [
        (["--against", "zebra"], "neither a path nor a bundled model"),
        (["--against", "car"], "stands for car, but the model's classes are cat, dog"),
        (["--against", "cat", "cat"], "two references stand for the class cat"),
        (["--against", "cat", "--n", "-5"], "n is -5"),
        (["--against", "cat", "--n", "many"], "invalid int value"),
        ([], "required: --against"),
    ],
)
def test_evaluate_refuses_what_it_cannot_measure(model, capsys, monkeypatch, options, message):
    monkeypatch.setattr("cocktail.metrics.OracleFeatures", Brightness)
    assert message in fails(capsys, "evaluate", model, *options)


def test_the_command_line_runs_as_a_program(model, tmp_path):
    def run(*argv):
        command = [sys.executable, "-m", "cocktail", *argv]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)

    assert run("sample", model, "--seeds", "1", "--class", "cat", "--out", str(tmp_path / "a.png")).returncode == 0
    assert PIL.Image.open(tmp_path / "a.png").size == (8, 8)
    failed = run("info", str(tmp_path / "nothing"))
    assert failed.returncode == 2 and failed.stderr.startswith("error: ") and failed.stderr.count("\n") == 1


SMALL = ["--resolution", "8", "--total-kimg", "0.032", "--threads", "1", "--generator", "channels=[8, 8]", "z_dim=8",
         "w_dim=8", "mapping_layers=1", "--discriminator", "channels=[8,8]", "mapping_layers=1"]  # fmt: skip


def small_source(capsys, out, name="cat", *options):
    assert main(["train", name, "--out", str(out), *SMALL, "--json", *options]) == 0
    return json.loads(capsys.readouterr().out)


def test_train_makes_a_source_from_a_drawn_domain(tmp_path, capsys):
    made = small_source(capsys, tmp_path / "cat")
    assert made["resolution"] == 8 and made["classes"] == [] and made["images_seen"] == 32
    gan = checkpoints.load(tmp_path / "cat")  # the folder of the run means its result
    assert gan.generator.config.z_dim == 8 and gan.discriminator is not None
    assert gan.sample([1]).std() > 0


def test_train_takes_a_folder_of_pictures_and_the_other_architecture(tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    for i in range(3):
        PIL.Image.new("RGB", (20, 10), (i * 80, 40, 90)).save(tmp_path / "photos" / f"{i}.png")
    argv = ["--architecture", "custom", "--resolution", "8", "--total-kimg", "0.016", "--threads", "1", "--generator",
            "channels=[8,8]", "z_dim=8", "embed_dim=8", "--discriminator", "channels=[8,8]"]  # fmt: skip
    assert main(["train", str(tmp_path / "photos"), "--out", str(tmp_path / "run"), *argv]) == 0
    assert "8 px" in capsys.readouterr().out
    assert checkpoints.load(tmp_path / "run" / "result").resolution == 8


def test_train_grows_from_a_small_resolution_to_the_full_one(tmp_path, capsys):
    growing = ["--resolution", "16", "--start-resolution", "8", "--generator", "channels=[8,8,8]", "z_dim=8", "w_dim=8",
               "--discriminator", "channels=[8,8,8]"]  # fmt: skip
    assert small_source(capsys, tmp_path / "cat", "cat", *growing)["resolution"] == 16
    recipe = json.loads((tmp_path / "cat" / "recipe.yaml").read_text())
    assert recipe["config"]["grow_kimg"] == [0.016]


def test_train_is_resumable_and_does_not_overwrite(tmp_path, capsys):
    out = tmp_path / "cat"
    first = small_source(capsys, out)
    weights = (out / "result" / "model.safetensors").read_bytes()
    assert "--resume" in fails(capsys, "train", "cat", "--out", str(out), *SMALL)
    assert small_source(capsys, out, "cat", "--resume")["images_seen"] == first["images_seen"]
    assert (out / "result" / "model.safetensors").read_bytes() == weights
    assert "another run" in fails(capsys, "train", "dog", "--out", str(out), *SMALL, "--resume")


@pytest.mark.parametrize(
    "options, message",
    [
        (["zebra"], "neither a drawn domain"),
        (["cat", "--batch", "-3"], "batch is -3"),
        (["cat", "--total-kimg", "nan"], "total_kimg is nan"),
        (["cat", "--loss", "hinge"], "invalid choice: 'hinge'"),
        (["cat", "--grow-kimg", "1,x"], "--grow-kimg"),
        (["cat", "--architecture", "biggan"], "invalid choice: 'biggan'"),
        (["cat", "--resolution", "12"], "--resolution is 12"),
        (["cat", "--resolution", "16", "--start-resolution", "7"], "--start-resolution is 7"),
        (["cat", "--resolution", "16", "--start-resolution", "32"], "power of two from 8 to 16"),
        (["cat", "--device", "abacus"], "--device is 'abacus'"),
        (["cat", "--generator", "wings=2"], "unknown field 'wings'"),
        (["cat", "--generator", "z_dim"], "no FIELD=VALUE"),
        (["cat", "--generator", "z_dim=many"], "z_dim is 'many'; expected int"),
        (["cat", "--generator", "channels=[1000000000,1]"], "channels"),
        (["cat", "--generator", "channels={"], "cannot be read"),
        (["{tmp}/empty"], "no pictures found"),
        (["{tmp}/broken.zip"], "bad.png"),
    ],
)
def test_train_refuses_what_it_cannot_use(options, message, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    with zipfile.ZipFile(tmp_path / "broken.zip", "w") as archive:
        archive.writestr("bad.png", b"\x89PNG\r\n\x1a\n broken")
    argv = [text.format(tmp=tmp_path) if "{tmp}" in text else text for text in options]
    assert message in fails(capsys, "train", *argv, "--out", str(tmp_path / "run"), "--threads", "1")
    assert not (tmp_path / "run").exists()


def test_train_offers_every_field_of_its_config_with_its_help(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for field in dataclasses.fields(TrainConfig):
        assert "--" + field.name.replace("_", "-") in text and field.metadata["help"] in text


def test_merge_makes_a_union_that_can_be_sampled(tmp_path, capsys):
    for name in ("cat", "dog"):
        small_source(capsys, tmp_path / name, name)
    stage = {"total_kimg": 0.032, "batch": 8, "pl_weight": 0.0}
    recipe = {"sources": [{"ref": str(tmp_path / name)} for name in ("cat", "dog")], "threads": 1,
              "config": {"root": stage, "merge": stage}}  # fmt: skip
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    out = tmp_path / "union"
    assert main(["merge", str(tmp_path / "recipe.yaml"), "--out", str(out), "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["classes"] == ["cat", "dog"] and "distance/root-rooted/dog" in made["notes"]
    assert main(["sample", str(out), "--class", "dog", "--seeds", "0-3", "--out", str(tmp_path / "g.png")]) == 0
    assert "made from" in (capsys.readouterr(), main(["info", str(out)]), capsys.readouterr())[2].out
    assert main(["merge", str(tmp_path / "recipe.yaml"), "--out", str(out), "--resume"]) == 0
    assert "cat, dog" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text, message",
    [
        (None, "cannot be read"),
        ("a: [", "is no YAML"),
        ("- 1", "expected a mapping"),
        ("method: cocktail", "lacks the field 'sources'"),
        ("sources: [{ref: bundled/zebra}]", "a merge needs two or more"),
        ("sources: [{ref: bundled/zebra}, {ref: nothing}]", "no bundled model 'bundled/zebra'"),
        ("method: stir\nsources: []", "unknown method 'stir'"),
        ("sources: []\nspoon: 1", "unknown field 'spoon'"),
        ("sources: []\nconfig: {root: {batch: many}}", "expected int"),
    ],
)
def test_merge_refuses_recipes_that_cannot_be_cooked(text, message, tmp_path, capsys):
    path = tmp_path / "recipe.yaml"
    if text is not None:
        path.write_text(text)
    assert message in fails(capsys, "merge", str(path), "--out", str(tmp_path / "run"))
