"""The oracle reads class and factors from drawings as well as its config says, and keeps its limits."""

import json
import shutil

import pytest
import torch

from cocktail import domains
from cocktail.domains import oracle as oracle_file
from cocktail.domains.oracle import CONFIG, FOLDER, WEIGHTS, Oracle, load_oracle, read_oracle, spec_of_domains
from cocktail.domains.oracle_training import OracleConfig, batch, degrade, measure, train_oracle
from cocktail.errors import CocktailError
from cocktail.images import resize, to_uint8

HELD_OUT = json.loads((FOLDER / CONFIG).read_text())["held_out"]


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def fresh_scores():
    return measure(load_oracle(), 256, rng(77))


@pytest.mark.parametrize("name", domains.names())
def test_recorded_scores_are_good_enough_to_judge_generators(name):
    assert HELD_OUT[name]["accuracy"] >= 0.999
    assert HELD_OUT[name]["factors"]["yaw"] >= 0.99
    for factor in domains.get(name).binary:
        assert HELD_OUT[name]["factors"][factor] >= 0.99
    assert tuple(HELD_OUT[name]["factors"]) == domains.get(name).factors


@pytest.mark.parametrize("name", domains.names())
def test_fresh_drawings_are_read_as_well_as_recorded(name, fresh_scores):
    assert fresh_scores[name]["accuracy"] >= HELD_OUT[name]["accuracy"] - 0.005
    for factor, recorded in HELD_OUT[name]["factors"].items():
        assert fresh_scores[name]["factors"][factor] == pytest.approx(recorded, abs=0.05), factor


def test_classes_and_factors_are_those_of_the_registered_domains():
    assert load_oracle().classes == domains.names()
    assert load_oracle().spec == spec_of_domains()


def test_the_oracle_is_small():
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 2_000_000
    assert (FOLDER / WEIGHTS).stat().st_size > 100_000


def test_features_have_the_stated_size_and_do_not_depend_on_neighbours():
    img = to_uint8(domains.get("cat").draw(9, rng())[0])
    features = load_oracle().features(img)
    assert features.shape == (9, load_oracle().dim) and features.dtype == torch.float32
    assert torch.allclose(load_oracle().features(img[4:5]), features[4:5], atol=1e-4)
    assert features.std(0).mean() > 0.01


def test_features_of_blurred_pictures_lie_apart_from_those_of_sharp_ones():
    img, _ = domains.get("dog").draw(800, rng())
    soft = resize(resize(img, 32), 64)
    sharp, again, blurred = (load_oracle().features(to_uint8(x)).mean(0) for x in (img[:400], img[400:], soft[400:]))
    assert (blurred - sharp).norm() > 1.5 * (again - sharp).norm()


@pytest.mark.parametrize("resolution", [32, 128])
def test_other_resolutions_are_read_too(resolution):
    for index, name in enumerate(domains.names()):
        img, factors = domains.get(name).draw(64, rng(3), resolution)
        reading = load_oracle().read(img)
        assert (reading.class_logits.argmax(1) == index).float().mean() >= 0.98
        assert torch.corrcoef(torch.stack([reading.factors["yaw"], factors["yaw"]]))[0, 1] > 0.97


def test_degraded_pictures_keep_class_and_yaw():
    img, labels, targets, _ = batch(load_oracle(), 256, rng(4))
    reading = load_oracle().read(degrade(img, rng(5))[0])
    assert (reading.class_logits.argmax(1) == labels).float().mean() >= 0.98
    yaw = targets[:, load_oracle().factor_names.index("yaw")]
    assert torch.corrcoef(torch.stack([reading.factors["yaw"], yaw]))[0, 1] > 0.97


def test_degrading_leaves_a_share_untouched_and_reports_how_much_it_did():
    img = batch(load_oracle(), 256, rng(6))[0]
    out, amount = degrade(img, rng(7))
    same = (out == img).flatten(1).all(1)
    assert torch.equal(same, (amount == 0).all(1))
    assert 0.2 < same.float().mean() < 0.4
    assert out.min() >= -1 and out.max() <= 1


def test_factors_that_a_class_lacks_are_read_as_nan():
    img = torch.cat([domains.get(name).draw(1, rng())[0] for name in ("face", "cat")])
    factors = load_oracle().read(img).factors
    assert factors["glasses"].isnan().tolist() == [False, True]
    assert factors["stripes"].isnan().tolist() == [True, False]
    assert factors["yaw"].isfinite().all()
    assert load_oracle().read(img, "face").factors["glasses"].isfinite().all()


def test_binary_factors_are_probabilities():
    img, truth = domains.get("face").draw(64, rng(8))
    glasses = load_oracle().read(img).factors["glasses"]
    assert 0 <= glasses.min() and glasses.max() <= 1
    assert ((glasses > 0.5) == (truth["glasses"] > 0.5)).float().mean() > 0.95


def test_an_unknown_class_is_refused():
    with pytest.raises(CocktailError, match="face, cat, dog, car; found 'horse'"):
        load_oracle().read(torch.zeros(1, 3, 64, 64), "horse")


def test_a_missing_or_damaged_oracle_names_its_folder_and_the_remedy(tmp_path):
    with pytest.raises(CocktailError, match="python -m cocktail.domains.oracle"):
        read_oracle(tmp_path)
    for name in (CONFIG, WEIGHTS):
        shutil.copy(FOLDER / name, tmp_path / name)
    read_oracle(tmp_path)
    (tmp_path / WEIGHTS).write_bytes(b"no weights")
    with pytest.raises(CocktailError, match=tmp_path.name):
        read_oracle(tmp_path)


def test_a_short_training_stores_an_oracle_and_repeats_exactly(tmp_path, capsys):
    config = OracleConfig(steps=3, batch=8, seed=4, held_out=20)
    scores = train_oracle(tmp_path / "a", config)
    train_oracle(tmp_path / "b", config)
    assert (tmp_path / "a" / WEIGHTS).read_bytes() == (tmp_path / "b" / WEIGHTS).read_bytes()
    stored = json.loads((tmp_path / "a" / CONFIG).read_text())
    assert stored["held_out"] == scores and stored["training"]["steps"] == 3
    assert "class accuracy" in capsys.readouterr().out
    assert isinstance(read_oracle(tmp_path / "a"), Oracle)


def test_the_command_line_trains_where_it_is_told(tmp_path, monkeypatch):
    command = ["oracle", "--out", str(tmp_path / "o"), "--steps", "1", "--batch", "4", "--seed", "2"]
    command += ["--held-out", "10"]
    monkeypatch.setattr("sys.argv", command)
    oracle_file.main()
    assert json.loads((tmp_path / "o" / CONFIG).read_text())["training"]["seed"] == 2
