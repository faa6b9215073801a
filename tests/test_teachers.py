"""The sources of a recipe: names and classes, and a fingerprint that tells when one has changed."""

import shutil

import pytest
import torch

from cocktail import checkpoints
from cocktail.errors import CocktailError
from cocktail.recipe import Source
from cocktail.sources import FolderSource
from cocktail.teachers import described, fingerprint, load_source, pictures_at, teacher
from tests.drawn import drawn


@pytest.fixture(scope="module")
def refs(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    models = {"cat": tiny(), "pets": tiny(("dog", "cow"))}
    return {name: str(checkpoints.save(gan, folder / name)) for name, gan in models.items()}


@pytest.mark.parametrize(
    "ref, classes, names, picked, named",
    [
        ("cat", (), (), (), ("cat",)),  # a model without classes is called like its folder
        ("cat", (), ("tom",), (), ("tom",)),
        ("pets", (), (), ("dog", "cow"), ("dog", "cow")),
        ("pets", ("cow",), (), ("cow",), ("cow",)),
        ("pets", ("cow", "dog"), ("a", "b"), ("cow", "dog"), ("a", "b")),
    ],
)
def test_a_teacher_has_the_classes_that_are_taken_and_their_names(refs, ref, classes, names, picked, named):
    found = teacher(Source(refs[ref], classes, names), "cpu")
    assert (found.picks, found.names) == (picked, named)
    assert found.source(8).classes == named
    assert not any(p.requires_grad for p in found.gan.generator.parameters()) and not found.gan.generator.training


@pytest.mark.parametrize(
    "ref, classes, names, message",
    [
        ("pets", (), ("a",), "1 names for 2 classes; give one each"),
        ("pets", ("cat",), (), "Unknown class 'cat'"),
        ("cat", ("cat",), (), "a model without classes"),
        ("cat", (), ("a/b",), "cannot name a folder"),
        ("cat", (), (" ",), "cannot name a folder"),
        ("cat", (), (".cat",), "cannot name a folder"),
        ("cat", (), ("c" * 51,), "at most 50 characters"),
    ],
)
def test_what_does_not_fit_is_refused(refs, ref, classes, names, message):
    with pytest.raises(CocktailError, match=message):
        teacher(Source(refs[ref], classes, names), "cpu")


def test_a_fingerprint_changes_with_any_weight(tiny):
    gan = tiny()
    before = fingerprint(gan)
    assert len(before) == 64 and before == fingerprint(gan.copy()) != fingerprint(tiny(seed=1))
    with torch.no_grad():
        next(gan.discriminator.parameters()).view(-1)[0] += 1e-6
    assert fingerprint(gan) != before


def test_a_models_licence_is_its_cards(tiny, tmp_path):
    gan = tiny()
    for stated, found in (({"licence": " mit "}, "mit"), ({"licence": None}, ""), ({}, "")):
        gan.card = stated
        model = teacher(Source(str(checkpoints.save(gan, tmp_path / "cat"))), "cpu")
        assert model.licence == found
    assert model.root() is model.gan and model.fingerprint() == fingerprint(gan)


# --- pictures


@pytest.fixture(scope="module")
def foxes(tmp_path_factory):
    return drawn(tmp_path_factory.mktemp("pictures") / "foxes")


def test_pictures_are_a_class_that_is_called_like_their_folder(foxes):
    found = teacher(Source(str(foxes)), "cpu")
    assert (found.gan, found.picks, found.names, found.licence) == (None, (), ("foxes",), "")
    source = found.source(8)
    assert isinstance(source, FolderSource) and source.classes == ("foxes",) and source.pools[0].shape == (12, 3, 8, 8)
    assert found.source(8) is source and found.source(16).resolution == 16
    assert teacher(Source(str(foxes), names=("fox",)), "cpu").source(8).classes == ("fox",)


def test_a_zip_of_pictures_serves_like_its_folder(foxes, tmp_path):
    zipped = teacher(Source(shutil.make_archive(str(tmp_path / "foxes"), "zip", foxes)), "cpu")
    folder = teacher(Source(str(foxes)), "cpu")
    assert zipped.names == folder.names and zipped.fingerprint() == folder.fingerprint()
    assert torch.equal(zipped.source(8).pools[0], folder.source(8).pools[0])


def test_a_changed_picture_changes_the_fingerprint(foxes, tmp_path):
    folder = shutil.copytree(foxes, tmp_path / "foxes")
    found = teacher(Source(str(folder)), "cpu")
    before = found.fingerprint()
    shutil.copy(folder / "1.png", folder / "0.png")
    assert found.fingerprint() != before


def test_what_a_reference_means_is_told_by_what_is_there(refs, foxes, tmp_path):
    assert pictures_at(str(foxes)) == foxes
    assert pictures_at(refs["cat"]) is None and pictures_at("bundled/cat") is None
    model = shutil.copytree(refs["cat"], tmp_path / "cat")
    shutil.copytree(foxes, model / "samples")
    assert pictures_at(str(model)) is None, "a model with pictures beside it is a model"


def test_pictures_cannot_be_the_root(foxes):
    with pytest.raises(CocktailError, match="foxes holds pictures, which cannot be the root. Make a model the root"):
        teacher(Source(str(foxes)), "cpu").root()


@pytest.mark.parametrize(
    "classes, names, message",
    [
        (("a",), (), "pictures, which are one class; found classes a. Leave `classes` out"),
        ((), ("a", "b"), "2 names for pictures, which are one class; give one"),
        ((), ("a/b",), "cannot name a folder"),
    ],
)
def test_pictures_are_one_class_with_one_name(foxes, classes, names, message):
    with pytest.raises(CocktailError, match=message):
        teacher(Source(str(foxes), classes, names), "cpu")


@pytest.mark.parametrize(
    "count, other, message",
    [
        (9, None, "9 pictures; a class needs 10 or more"),
        (0, None, "neither a model nor pictures. Expected .*a native folder .* or a folder or zip with files .*png"),
        (0, "a.txt", "neither a model nor pictures"),
        (12, "recipe.yaml", "is a run without a result yet. Finish it, or name its folder latest/"),
    ],
)
def test_a_folder_that_serves_for_nothing_is_refused(tmp_path, count, other, message):
    folder = drawn(tmp_path / "here", count) if count else tmp_path / "here"
    folder.mkdir(exist_ok=True)
    if other:
        (folder / other).write_text("")
    with pytest.raises(CocktailError, match=message):
        teacher(Source(str(folder)), "cpu")


def test_a_model_or_pictures_are_a_source_by_their_reference(refs, foxes):
    labels, rng = torch.tensor([0, 1, 1]), torch.Generator().manual_seed(0)
    pets = load_source(refs["pets"], 16)
    assert pets.classes == ("dog", "cow") and pets.sample_class(labels, rng).shape == (3, 3, 16, 16)
    assert load_source(refs["cat"]).resolution == 8
    shown = load_source(foxes)
    assert shown.sample_class(labels * 0, rng).shape == (3, 3, 64, 64)


def test_a_broken_picture_is_named_when_pictures_are_taken(tmp_path):
    folder = drawn(tmp_path / "here")
    (folder / "3.png").write_bytes(b"words")
    with pytest.raises(CocktailError, match=r"3\.png is not a readable picture"):
        teacher(Source(str(folder)), "cpu").source(8)


def test_a_broken_zip_is_called_so(foxes, tmp_path):
    path = tmp_path / "a.zip"
    data = bytearray(open(shutil.make_archive(str(tmp_path / "b"), "zip", foxes), "rb").read())
    data[data.find(b"PK\x01\x02")] = 0
    path.write_bytes(data)
    with pytest.raises(CocktailError, match=r"a\.zip is a broken zip .* Make it again"):
        teacher(Source(str(path)), "cpu")


def test_a_card_says_whether_pictures_were_used(refs, foxes):
    cat, pets = (teacher(Source(refs[name]), "cpu") for name in ("cat", "pets"))
    fox = teacher(Source(str(foxes), names=("fox",)), "cpu")
    assert described([cat, pets]) == "2 generators, made without a training image"
    assert described([cat, fox]) == "1 generator and pictures of fox"
