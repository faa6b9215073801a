"""Merges across architectures and file formats, from the file to the union."""

from dataclasses import replace

import pytest
import torch

from cocktail import checkpoints, runs
from cocktail.__main__ import main
from cocktail.checkpoints import importing
from cocktail.errors import CocktailError
from cocktail.export import to_onnx
from cocktail.gan import new_gan
from cocktail.methods.cocktail import PRESETS, CocktailConfig
from cocktail.metrics.recommend import recommend
from cocktail.networks import architecture_of
from cocktail.preflight import check
from cocktail.recipe import Recipe, Source
from cocktail.sources import GanSource
from cocktail.training import TrainConfig
from editing.finding import closed_form

pytestmark = pytest.mark.slow

SOME = TrainConfig(total_kimg=0.016, batch=4, lr=0.002, ema_kimg=0.004)


@pytest.fixture(scope="module")
def files(tiny, tmp_path_factory):
    """A model of every kind that can teach, as the file in which it comes: name -> reference."""
    folder = tmp_path_factory.mktemp("across")
    for seed, kind in enumerate(("stylegan2", "custom")):
        checkpoints.save(tiny(seed=seed, resolution=16, architecture=kind), folder / kind)
    sizes = {"img_resolution": 32, "channels": (8, 8, 8)}
    dcgan = new_gan("dcgan", {"z_dim": 8, **sizes}, sizes, seed=2)
    torch.save(dcgan.generator.state_dict(), folder / "dcgan.pth")
    to_onnx(tiny(seed=3, resolution=8), folder / "onnx")
    return {"stylegan2": f"{folder}/stylegan2", "custom": f"{folder}/custom", "dcgan": f"{folder}/dcgan.pth",
            "onnx": f"{folder}/onnx/generator.onnx"}  # fmt: skip


def union(files, root, source, folder, config=None):
    sources = (Source(files[root], names=("cat",)), Source(files[source], names=("dog",)))
    recipe = Recipe(sources, seed=1, threads=1, config=config or CocktailConfig(SOME, SOME))
    for _ in runs.execute(recipe, folder):
        pass
    return checkpoints.load(folder / "result")


@pytest.mark.parametrize(
    "root, source",
    [("stylegan2", "custom"), ("custom", "stylegan2"), ("stylegan2", "dcgan"), ("stylegan2", "onnx"),
     ("custom", "onnx"), ("dcgan", "stylegan2")],
)  # fmt: skip
def test_a_source_of_another_kind_becomes_a_class_of_the_roots_kind(files, tmp_path, root, source):
    gan = union(files, root, source, tmp_path / "run")
    first = checkpoints.load(files[root])
    assert gan.classes == ("cat", "dog") and gan.resolution == first.resolution
    assert architecture_of(gan.generator) is architecture_of(first.generator)
    cats, dogs = (gan.sample([0, 1], label) for label in gan.classes)
    assert torch.isfinite(cats).all() and not torch.equal(cats, dogs)


def test_the_aligned_merge_takes_a_file_that_knows_no_gradient(files, tmp_path):
    good = PRESETS["try"]
    config = replace(good, root=SOME, merge=SOME, warm=replace(good.warm, stage_kimg=(0.016,), batch=4))
    gan = union(files, "stylegan2", "onnx", tmp_path / "run", config)
    assert gan.classes == ("cat", "dog") and torch.isfinite(gan.sample([5], "dog")).all()


def test_an_imported_file_teaches_as_the_file_itself(files, tmp_path):
    gan = checkpoints.load(files["onnx"])
    importing.keep(gan, tmp_path / "kept", "Kept")
    again = checkpoints.load(tmp_path / "kept")
    assert torch.equal(again.sample([3]), gan.sample([3]))


def test_the_command_takes_what_is_known_better_than_probing(files, tmp_path, capsys):
    command = ["import", files["onnx"], "--out"]
    assert main([*command, str(tmp_path / "kept"), "--onnx", "low=0", "high=1.0"]) == 0
    assert "0 is black, 1 is white" in capsys.readouterr().out
    assert main([*command, str(tmp_path / "no"), "--onnx", "low"]) == 2
    assert "no FIELD=VALUE" in capsys.readouterr().err
    assert main([*command, str(tmp_path / "no"), "--onnx", "loud=1"]) == 2
    assert "no field" in capsys.readouterr().err
    assert main(["import", files["custom"], "--out", str(tmp_path / "no"), "--onnx", "low=0"]) == 2
    assert "only an ONNX file" in capsys.readouterr().err and not (tmp_path / "no").exists()


def test_what_can_only_teach_is_neither_recommended_nor_taken_as_the_root(files, tmp_path):
    refs = [files["onnx"], files["stylegan2"]]
    found = recommend({ref: GanSource(checkpoints.load(ref), names=(ref,), resolution=16) for ref in refs}, 32)
    assert found.best == files["stylegan2"] and "teach only" in found.rows[files["onnx"]].remark
    recipe = Recipe(tuple(Source(ref, names=(name,)) for ref, name in zip(refs, ("a", "b"), strict=True)))
    first = check(recipe)[0]
    assert first.level == "error" and "cannot be the root" in first.text and files["stylegan2"] in first.mend
    with pytest.raises(CocktailError, match="cannot be the root"):
        list(runs.execute(recipe, tmp_path / "run"))


def test_directions_of_a_file_are_found_by_samples_and_not_in_its_weights(files):
    gan = checkpoints.load(files["onnx"])
    with pytest.raises(CocktailError, match="No weight reads"):
        closed_form(gan.generator, 1)
