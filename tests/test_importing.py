"""Any checkpoint becomes a native folder, with a report."""

import pytest
import torch

from cocktail import checkpoints
from cocktail.__main__ import main
from cocktail.checkpoints import importing
from cocktail.errors import CocktailError
from cocktail.gan import new_gan

SMALL = {"img_resolution": 16, "z_dim": 8, "w_dim": 16, "mapping_layers": 2, "channels": (8, 8, 8)}
JUDGE = {"img_resolution": 16, "channels": (8, 8, 8)}


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv(importing.HOME, str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def file(tmp_path):
    gan = new_gan("stylegan2", SMALL, JUDGE, ("0", "1"), seed=3)
    return checkpoints.save(gan, tmp_path / "given") / "model.safetensors"


def test_a_kept_model_draws_what_the_file_draws_under_its_new_names(file, tmp_path):
    kept = importing.keep(checkpoints.load(file), tmp_path / "mine", "Cats", ("cat", "lion"), "mit")
    again, given = checkpoints.load(tmp_path / "mine"), checkpoints.load(file)
    assert again.classes == kept.classes == ("cat", "lion")
    assert again.card["title"] == "Cats" and again.card["licence"] == "mit"
    assert torch.equal(again.sample([4], "lion"), given.sample([4], "1"))


def test_what_a_card_says_of_itself_stays(tmp_path):
    gan = new_gan("stylegan2", SMALL, JUDGE)
    gan.card = {"title": "Own", "licence": "cc0-1.0"}
    assert importing.keep(gan, tmp_path / "mine", "Other", (), "mit").card == gan.card


def test_nothing_is_written_over_and_names_have_to_fit(file, tmp_path):
    gan = checkpoints.load(file)
    importing.keep(gan, tmp_path / "mine", "")
    with pytest.raises(CocktailError, match="holds something already"):
        importing.keep(gan, tmp_path / "mine", "")
    with pytest.raises(CocktailError, match="3 names .* of 2 classes"):
        importing.keep(gan, tmp_path / "more", "", ("a", "b", "c"))
    with pytest.raises(CocktailError, match="unconditional"):
        importing.keep(new_gan("stylegan2", SMALL, JUDGE), tmp_path / "more", "", ("a",))
    assert not (tmp_path / "more").exists()


@pytest.mark.parametrize(
    "name, folder",
    [("ffhq.pkl", "ffhq"), ("a b/c?.pt", "a-b-c"), ("../../x.pth", "x"), (".onnx", "model"), ("v1.2.PKL", "v1.2")],
)
def test_a_file_gives_its_name_to_a_folder_that_is_new_and_inside_the_home(home, name, folder):
    assert importing.free_folder(name) == home / folder
    (home / folder).mkdir(parents=True)
    assert importing.free_folder(name) == home / f"{folder}-2"


def test_models_at_home_are_listed_and_nothing_else(home, file):
    assert importing.models() == ()
    gan = checkpoints.load(file)
    for name in ("b", "a"):
        importing.keep(gan, home / name, name)
    (home / "empty").mkdir()
    assert importing.models() == (str(home / "a"), str(home / "b"))


def test_a_report_says_what_was_read_and_what_was_left_out_and_why():
    gan = new_gan("stylegan2", SMALL, JUDGE)
    gan.card["imported"] = {"format": "A pickle", "read": 7, "ignored": {"G": "not the average"}, "found": {"x": "y"}}
    found = importing.report(gan)
    assert found["format"] == "A pickle" and found["tensors read"] == "7" and found["x"] == "y"
    assert found["left out: G"] == "not the average" and "16 x 16" in found["generator"]
    gan.card["imported"] = "nonsense"
    assert importing.report(gan)["format"] == "native"


def test_the_command_imports_and_prints_the_report(home, file, tmp_path, capsys):
    assert main(["import", str(file), "--classes", "cat, dog", "--title", "Pets"]) == 0
    said = capsys.readouterr().out
    assert "cat, dog" in said and "not stated" in said and str(home / "model") in said
    assert checkpoints.load(home / "model").card["title"] == "Pets"
    assert (home / "model" / "import.txt").read_text() in said
    assert main(["import", str(file), "--out", str(home / "model")]) == 2
    assert "holds something already" in capsys.readouterr().err
    assert main(["import", str(tmp_path / "none.pkl")]) == 2
