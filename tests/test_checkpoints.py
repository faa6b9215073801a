"""The native format: round trips, and a reason for everything that cannot be loaded."""

import json
import os
import resource
import shutil
import signal

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from cocktail import checkpoints
from cocktail.checkpoints import assemble, native
from cocktail.checkpoints.files import write_atomically
from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.networks import ARCHITECTURES, custom, stylegan2
from tests import forked

CARD = {"title": "Cats", "description": "Drawn cats.", "licence": "Apache-2.0", "parents": ["bundled/cat", "me/cat"],
        "recipe": {"method": "cocktail", "seed": 1}, "scores": {"cat": {"frechet": 1.25, "recall": 0.5}}}  # fmt: skip


def small_gan(architecture="stylegan2", classes=("cat", "dog"), with_discriminator=True, card=None):
    torch.manual_seed(0)
    if architecture == "stylegan2":
        size = {"img_resolution": 8, "channels": (8, 8), "c_dim": len(classes), "mapping_layers": 2}
        generator = stylegan2.Generator(stylegan2.GeneratorConfig(z_dim=8, w_dim=8, **size))
        discriminator = stylegan2.Discriminator(stylegan2.DiscriminatorConfig(**size))
    else:
        size = {"channels": (8, 8), "c_dim": len(classes)}
        generator = custom.Generator(custom.GeneratorConfig(z_dim=8, embed_dim=8, **size))
        discriminator = custom.Discriminator(custom.DiscriminatorConfig(**size))
    return Gan(generator, discriminator if with_discriminator else None, classes, CARD if card is None else card)


@pytest.fixture
def folder(tmp_path):
    return checkpoints.save(small_gan(), tmp_path / "cats")


def edit_config(folder, change):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))


def edit_tensors(folder, change):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


def same_weights(a, b):
    states = a.state_dict(), b.state_dict()
    return states[0].keys() == states[1].keys() and all(torch.equal(v, states[1][k]) for k, v in states[0].items())


def test_every_architecture_is_covered_by_the_round_trip():
    elsewhere = {"dcgan", "onnx", "stylegan3"}  # in the tests of each
    assert set(ARCHITECTURES) - elsewhere == {"stylegan2", "custom"}


@pytest.mark.parametrize("classes", [(), ("cat", "dog")])
@pytest.mark.parametrize("architecture", ["stylegan2", "custom"])
def test_a_saved_model_comes_back_with_the_same_weights_and_pictures(tmp_path, architecture, classes):
    gan = small_gan(architecture, classes)
    loaded = checkpoints.load(checkpoints.save(gan, tmp_path / "deep" / "gan"))
    assert same_weights(gan.generator, loaded.generator)
    assert same_weights(gan.discriminator, loaded.discriminator)
    assert loaded.classes == classes and loaded.card == CARD
    assert loaded.generator.config == gan.generator.config
    assert loaded.discriminator.config == gan.discriminator.config
    label = classes[-1] if classes else None
    assert torch.equal(gan.sample([3, 4], label, 0.7), loaded.sample([3, 4], label, 0.7))


def test_a_loaded_model_can_be_trained_and_holds_no_meta_tensors(folder):
    loaded = checkpoints.load(folder)
    for network in (loaded.generator, loaded.discriminator):
        tensors = [*network.parameters(), *network.buffers()]
        assert all(t.device.type == "cpu" for t in tensors)
        assert all(p.requires_grad for p in network.parameters())


def test_the_safetensors_file_stands_alone(folder, tmp_path):
    alone = shutil.copy(folder / "model.safetensors", tmp_path / "alone.safetensors")
    assert same_weights(checkpoints.load(alone).generator, checkpoints.load(folder).generator)
    assert checkpoints.load(str(alone)).card == CARD


def test_a_model_without_discriminator_is_saved_without_one(tmp_path):
    folder = checkpoints.save(small_gan(with_discriminator=False), tmp_path / "g")
    assert checkpoints.load(folder).discriminator is None
    assert all(name.startswith("G.") for name in load_file(folder / "model.safetensors"))


def test_equal_models_give_equal_files(tmp_path):
    folders = [checkpoints.save(small_gan(), tmp_path / name) for name in ("a", "b")]
    for name in ("config.json", "model.safetensors", "recipe.yaml", "README.md"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


def test_saving_again_replaces_all_files_and_leaves_no_others(folder):
    checkpoints.save(small_gan(classes=("a", "b", "c"), card={}), folder)
    assert checkpoints.load(folder).classes == ("a", "b", "c")
    assert sorted(p.name for p in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]


def test_the_recipe_and_the_card_lie_beside_the_weights(folder):
    assert yaml.safe_load((folder / "recipe.yaml").read_text()) == CARD["recipe"]
    _, front, body = (folder / "README.md").read_text().split("---\n", 2)
    front = yaml.safe_load(front)
    assert front["library_name"] == "gan-cocktail" and front["license"] == "apache-2.0"
    assert front["base_model"] == ["me/cat"] and front["base_model_relation"] == "merge"
    assert front["tags"] == ["merge", "gan", "stylegan2"]
    assert "# Cats" in body and "| cat | 1.25 | 0.5 |" in body


def test_classes_without_names_are_numbered(folder):
    edit_config(folder, lambda c: c.update(classes=[]))
    assert checkpoints.load(folder).classes == ("0", "1")


def test_nan_weights_and_cards_of_objects_are_not_saved(tmp_path):
    gan = small_gan()
    with torch.no_grad():
        gan.generator.mapping.fc0.weight[0, 0] = float("nan")
    with pytest.raises(CocktailError, match=r"G\.mapping\.fc0\.weight holds NaN"):
        checkpoints.save(gan, tmp_path / "bad")
    for card in ({"a": object()}, {"a": float("nan")}, {"recipe": {"a": {1, 2}}}):
        with pytest.raises(CocktailError, match="card cannot be saved"):
            checkpoints.save(small_gan(card=card), tmp_path / "bad")
    assert not (tmp_path / "bad").exists()


def test_saving_over_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(CocktailError, match="is a file"):
        checkpoints.save(small_gan(), tmp_path / "file")
    with pytest.raises(CocktailError, match="cannot be written"):
        checkpoints.save(small_gan(), tmp_path / "file" / "below")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(os.name == "nt", reason="no umask")
def test_others_may_read_a_model_where_the_umask_lets_them(tmp_path):
    before = os.umask(0o022)
    try:
        folder = checkpoints.save(small_gan(), tmp_path / "shared")
    finally:
        os.umask(before)
    assert {oct(path.stat().st_mode & 0o777) for path in folder.iterdir()} == {"0o644"}


def test_a_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def half(partial):
        partial.write_text("ne")
        raise OSError(28, "No space left on device")

    with pytest.raises(CocktailError, match="No space left"):
        write_atomically(path, half)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_killed_writer_leaves_all_that_it_made_in_one_folder(tmp_path):
    """What safetensors does: it fills a file of its own beside the one that it was given."""

    def half(partial):
        partial.with_name(".tmp0abc").write_text("ne")
        os.kill(os.getpid(), signal.SIGKILL)

    path = tmp_path / "a.txt"
    path.write_text("old")
    assert forked.ended(forked.start(lambda: write_atomically(path, half))) == -signal.SIGKILL
    (left,) = set(tmp_path.iterdir()) - {path}
    assert path.read_text() == "old" and left.match(".a.txt.*.partial") and (left / ".tmp0abc").exists()


@pytest.mark.parametrize(
    "ref, message",
    [
        ("", "neither a path nor a bundled model"),
        ("no/such/folder", "neither a path nor a bundled model"),
        ("bundled/zebra", "no bundled model 'bundled/zebra'"),
        ("bundled/../checkpoints", "no bundled model"),
        ("x" * 5000, "neither a path nor a bundled model"),
        ("a\0b", "neither a path nor a bundled model"),
    ],
)
def test_a_reference_to_nothing_lists_what_is_accepted(ref, message, monkeypatch, tmp_path):
    checkpoints.save(small_gan(), tmp_path / "pony")
    monkeypatch.setattr(checkpoints, "ASSETS", tmp_path)
    with pytest.raises(CocktailError, match=message) as caught:
        checkpoints.load(ref)
    assert "Accepted: a native folder" in str(caught.value) and "bundled/pony" in str(caught.value)


def test_bundled_models_are_found_and_other_assets_are_not(monkeypatch, tmp_path):
    checkpoints.save(small_gan(), tmp_path / "pony")
    (tmp_path / "oracle").mkdir()
    (tmp_path / "oracle" / "config.json").write_text('{"format": "oracle"}')
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    monkeypatch.setattr(checkpoints, "ASSETS", tmp_path)
    assert checkpoints.bundled() == ("pony",)
    assert checkpoints.load("bundled/pony").classes == ("cat", "dog")


def test_a_path_wins_over_a_name_of_the_hub(monkeypatch, tmp_path):
    checkpoints.save(small_gan(), tmp_path / "me" / "gan")
    monkeypatch.chdir(tmp_path)
    assert checkpoints.load("me/gan").card == CARD


def test_a_folder_without_config_says_what_was_found(folder):
    (folder / "config.json").unlink()
    with pytest.raises(CocktailError, match=r"has no config\.json \(found README\.md, model\.safetensors"):
        checkpoints.load(folder)


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8")
    with pytest.raises(CocktailError, match=r"has no config\.json \(found photo\.jpg\)"):
        checkpoints.load(tmp_path)


def test_a_file_of_another_format_is_refused_with_its_size(tmp_path):
    path = tmp_path / "net.docx"
    path.write_bytes(b"12345")
    with pytest.raises(CocktailError, match=r"net\.docx \(5 bytes\) is no checkpoint that this version reads"):
        checkpoints.load(path)


def test_missing_weights_are_named(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(CocktailError, match=r"model\.safetensors is missing"):
        checkpoints.load(folder)


@pytest.mark.parametrize("size", [0, 4, 100, -1])
def test_a_truncated_file_is_called_damaged(folder, size):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    for ref in (folder, path):
        with pytest.raises(CocktailError, match="is damaged or no safetensors file"):
            checkpoints.load(ref)


def test_a_safetensors_file_without_config_is_refused(folder):
    edit_tensors(folder, lambda tensors: None)  # writes the tensors back without the metadata
    assert checkpoints.load(folder).classes == ("cat", "dog")
    with pytest.raises(CocktailError, match="holds tensors but no config"):
        checkpoints.load(folder / "model.safetensors")


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "no valid JSON"),
        ("{", "no valid JSON"),
        ("[" * 100_000, "no valid JSON"),
        ("[]", "describes no model of this program"),
        ('{"model_type": "bert"}', "describes no model of this program"),
        ('{"format": "gan-cocktail", "format_version": 99}', "format_version is 99; this program reads 1"),
        ('{"format": "gan-cocktail", "format_version": 1}', '"generator" is missing'),
        ('{"format": "gan-cocktail", "format_version": 1, "generator": 5}', '"generator" is missing'),
        ("\udcff", "cannot be read as text"),
    ],
)
def test_a_config_that_is_none_is_refused(folder, text, message):
    (folder / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(CocktailError, match=message):
        checkpoints.load(folder)


def in_generator(**fields):
    return lambda config: config["generator"]["config"].update(fields)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda c: c["generator"].update(architecture="biggan"), "biggan is unknown; known: custom, dcgan"),
        (lambda c: c["generator"].update(architecture=["x"]), "is unknown"),
        (lambda c: c["generator"].update(config=[]), "expected an object with fields"),
        (in_generator(wings=2), "unknown fields wings; known:"),
        (in_generator(z_dim="many"), "z_dim is 'many'"),
        (in_generator(z_dim=None), "no network can be built|z_dim"),
        (in_generator(channels="wide"), "channels"),
        (in_generator(channels={"a": 1}), "channels"),
        (in_generator(img_resolution=12), "power of two"),
        (in_generator(img_resolution=8.5), "img_resolution|no network can be built"),
        (in_generator(resample_filter=[]), "no network can be built|resample_filter|not hold the weights"),
        (lambda c: c.update(classes=["cat"]), "names 1 classes; its generator has 2"),
        (lambda c: c.update(classes=["cat", "cat"]), "holds a name twice"),
        (lambda c: c.update(classes=["cat", 7]), "no list of names"),
        (lambda c: c.update(classes="cat"), "no list of names"),
        (lambda c: c.update(card=[1]), '"card" is no object'),
        (lambda c: c.update(discriminator="yes"), '"discriminator" is missing'),
        (lambda c: c["discriminator"]["config"].update(c_dim=3), "c_dim is 2 in the generator and 3 in the discr"),
        (lambda c: c["discriminator"]["config"].update(img_resolution=16, channels=[8, 8, 8]), "resolution is 8"),
        (lambda c: c.update(discriminator=None), r"\d+ tensors belong to no network of the config: D\."),
    ],
)
def test_a_wrong_config_is_refused_with_a_reason(folder, change, message):
    edit_config(folder, change)
    with pytest.raises(CocktailError, match=message):
        checkpoints.load(folder)


@pytest.mark.parametrize(
    "fields",
    [
        {"channels": [10**9, 10**9]},
        {"channels": [2**62, 2**62]},
        {"channels": [], "channel_base": 10**9, "channel_max": 10**9},
        {"z_dim": 10**9},
        {"mapping_layers": 10**9},
        {"img_resolution": 2**40, "channels": [1] * 40},
        {"c_dim": 10**9},
        {"channels": [4096] * 10, "img_resolution": 2048},
    ],
)
def test_a_config_that_asks_for_too_much_is_refused_before_allocation(folder, fields):
    edit_config(folder, in_generator(**fields))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CocktailError):
        checkpoints.load(folder)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024  # the peak of the process, in KiB


def test_the_number_of_weights_is_bounded_where_single_fields_pass():
    config = {"channels": [4096] * 10, "img_resolution": 2048}
    with pytest.raises(CocktailError, match=r"asks for [\d,]+ weights; at most 1,000,000,000"):
        assemble.generator({"architecture": "stylegan2", "config": config}, "here")


def test_missing_surplus_and_misshapen_tensors_are_counted_and_named(folder):
    def change(tensors):
        for name in [k for k in tensors if k.startswith("G.mapping.fc")] + ["G.synthesis.b4.const", "G.mapping.w_avg"]:
            del tensors[name]
        tensors["G.extra"] = torch.zeros(1)
        tensors["G.synthesis.b4.conv1.bias"] = torch.zeros(9)
        tensors["G.synthesis.b4.torgb.bias"] = torch.zeros(3, dtype=torch.float16)

    edit_tensors(folder, change)
    with pytest.raises(CocktailError) as caught:
        checkpoints.load(folder)
    text = str(caught.value)
    assert "6 tensors missing:" in text and "and 1 more" in text
    assert "1 tensors not part of the network: G.extra" in text
    assert "G.synthesis.b4.conv1.bias ([9], expected [8])" in text
    assert "G.synthesis.b4.torgb.bias (float16, expected float32)" in text


def test_a_tensor_of_no_network_is_named(folder):
    edit_tensors(folder, lambda tensors: tensors.update(optimizer=torch.zeros(1)))
    with pytest.raises(CocktailError, match="1 tensors belong to no network of the config: optimizer"):
        checkpoints.load(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(folder, value):
    edit_tensors(folder, lambda tensors: tensors["D.b4.fc.weight"].view(-1)[3:4].fill_(value))
    with pytest.raises(CocktailError, match=r"1 tensors hold NaN or infinity: D\.b4\.fc\.weight"):
        checkpoints.load(folder)


def test_the_config_can_be_read_without_the_weights(folder):
    (folder / "model.safetensors").unlink()
    config = native.read_config(folder)
    assert config["classes"] == ["cat", "dog"] and config["card"] == CARD
