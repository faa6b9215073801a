"""Directions: moving along them, finding them, what they change, keeping them in files, and the report on transfer."""

import json
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from benchmarks import transfer
from cocktail.domains.oracle import Reading
from cocktail.errors import CocktailError
from cocktail.gan import Gan, latents
from cocktail.images import from_uint8
from cocktail.metrics.features import FactorReader
from editing import direction_files
from editing.directions import (
    Direction,
    closed_form,
    cosines,
    effects,
    fit,
    keeps_class,
    move,
    orthogonalise,
    principal,
    spread,
)
from editing.recipes import fingerprint


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def unit(w_dim: int, seed: int = 0) -> torch.Tensor:
    vector = torch.randn(w_dim, generator=rng(seed))
    return vector / vector.norm()


def direction(**changes) -> Direction:
    entry = Direction("smile", unit(8), 1.5, "bundled/union", "f" * 32, "SVM on 40 labels", (0, 3))
    return replace(entry, **changes)


# Moving.


def test_moving_there_and_back_returns():
    ws, vector = torch.randn(3, 4, 8, generator=rng()), unit(8)
    there = move(ws, vector, 2.5)
    assert torch.allclose((there - ws) @ vector, torch.full((3, 4), 2.5), atol=1e-5)
    assert torch.allclose(move(there, vector, -2.5), ws, atol=1e-6)


def test_moving_leaves_other_layers_bit_by_bit_and_its_input_alone():
    ws = torch.randn(3, 4, 8, generator=rng())
    kept = ws.clone()
    moved = move(ws, unit(8), 0.1, (1, 2))
    assert torch.equal(ws, kept)
    assert torch.equal(moved[:, [0, 3]], ws[:, [0, 3]])
    assert (moved[:, 1:3] != ws[:, 1:3]).any(dim=2).all()


def test_one_code_moves_as_it_does_among_others(tiny):
    gan = tiny(("cat", "dog"))
    ws = gan.map(latents([1, 2], gan.z_dim), "cat")
    assert torch.equal(move(ws[0], unit(8), 1.0, (0, 1)), move(ws, unit(8), 1.0, (0, 1))[0])


@pytest.mark.parametrize(
    "change, words",
    [({"layers": (2, 1)}, "from 2 to 1; this model has layers 0 to 3"), ({"layers": (0, 4)}, "from 0 to 4"),
     ({"layers": (-1, 2)}, "from -1 to 2"),
     ({"vector": torch.ones(7)}, r"\[7\]; these codes need \[8\]"), ({"distance": float("nan")}, "distance")],
)  # fmt: skip
def test_a_move_that_does_not_fit_is_refused(change, words):
    with pytest.raises(CocktailError, match=words):
        move(**{"ws": torch.zeros(1, 4, 8), "vector": unit(8), "distance": 1.0} | change)


@pytest.mark.parametrize(
    "change, words",
    [({"vector": 2 * unit(8)}, "length 2; expected 1"), ({"vector": unit(8) * float("nan")}, "finite"),
     ({"vector": unit(8)[None]}, r"\[1, 8\]"), ({"sigma": 0.0}, "sigma of 0"), ({"sigma": float("inf")}, "sigma"),
     ({"layers": (3, 2)}, "layers 3 to 2"), ({"layers": (-1, 2)}, "-1 to 2")],
)  # fmt: skip
def test_a_direction_is_checked_when_it_is_made(change, words):
    with pytest.raises(CocktailError, match=words):
        direction(**change)


# Angles and spreads.


def test_what_is_left_of_a_direction_is_orthogonal_to_all_others_also_to_repeated_ones():
    vector, others = unit(64), [unit(64, seed) for seed in (1, 2, 3)]
    left = orthogonalise(vector, [*others, -2 * others[0]])
    assert abs(left.norm() - 1) < 1e-6
    assert max(abs(left @ other) for other in others) < 1e-6
    assert left @ vector > 0
    assert torch.allclose(orthogonalise(3 * vector, []), vector)


def test_a_direction_within_the_span_of_others_leaves_nothing():
    a, b = unit(8, 1), unit(8, 2)
    with pytest.raises(CocktailError, match="keep less fixed"):
        orthogonalise(a + b, [a, b])
    with pytest.raises(CocktailError, match="length 0"):
        orthogonalise(torch.zeros(8), [a])


def test_cosines_are_one_on_the_diagonal_and_ignore_lengths():
    a, b = torch.tensor([3.0, 0, 0]), torch.tensor([1.0, 1, 0])
    found = cosines([a, b, -a])
    assert torch.equal(found.diagonal(), torch.ones(3))
    assert torch.allclose(found[0, 1:], torch.tensor([0.5**0.5, -1]))
    assert torch.equal(found, found.T)


def test_spread_is_that_within_classes():
    codes = {"cat": torch.randn(2000, 8, generator=rng()), "dog": torch.randn(3000, 8, generator=rng(1)) + 50}
    assert spread(codes, unit(8)) == pytest.approx(1, abs=0.03)
    two = {"cat": torch.tensor([[0.0, 0], [2, 0]]), "dog": torch.tensor([[9.0, 0], [9, 4]])}
    assert spread(two, torch.tensor([1.0, 0])) == pytest.approx(1)  # (1 + 1 + 0 + 0) / (4 codes - 2 classes)


@pytest.mark.parametrize(
    "codes, words",
    [({}, "No codes"), ({"cat": torch.zeros(1, 8)}, r"cat have shape \[1, 8\]"),
     ({"cat": torch.full((4, 8), torch.nan)}, "4 of 4 codes")],
)  # fmt: skip
def test_codes_without_a_spread_are_refused(codes, words):
    with pytest.raises(CocktailError, match=words):
        spread(codes, unit(8))


# Finding: by labels.


def planted(n: int, w_dim: int, positives: float = 0.5, classes: int = 1):
    """Gaussian codes whose labels are the side of a plane, plus an offset per class that is larger than the effect."""
    vector, codes = unit(w_dim, 9), torch.randn(n, w_dim, generator=rng())
    scores = codes @ vector + 0.1 * torch.randn(n, generator=rng(1))
    labels = scores > scores.quantile(1 - positives)
    numbers = torch.arange(n) % classes
    codes = codes + 5 * torch.randn(classes, w_dim, generator=rng(2))[numbers] * (classes > 1)
    return vector, codes, labels, [f"class {i}" for i in numbers]


@pytest.mark.parametrize("positives, classes", [(0.5, 1), (0.2, 1), (0.5, 3), (0.3, 3)])
def test_a_planted_direction_is_found_with_unequal_sides_and_with_classes_far_apart(positives, classes):
    vector, codes, labels, groups = planted(1500, 64, positives, classes)
    found = fit(codes, labels, groups=groups)
    assert found.vector @ vector > 0.95
    assert abs(found.vector.norm() - 1) < 1e-6
    assert (found.positives, found.negatives) == (int(1500 * positives), 1500 - int(1500 * positives))
    assert found.accuracy > 0.9 and found.accuracy_std < 0.1


def test_classes_that_differ_in_their_share_of_positives_do_not_become_the_direction():
    vector, codes, _, groups = planted(1500, 32, classes=3)
    inside = torch.cat([codes[i::3] - codes[i::3].mean(dim=0) for i in range(3)]) @ vector
    order = torch.cat([torch.arange(1500)[i::3] for i in range(3)])
    shares = torch.tensor([-1.0, 0.0, 1.0]).repeat_interleave(500)  # thresholds: 84, 50 and 16 % positive
    found = fit(codes[order], inside > shares, groups=[groups[i] for i in order])
    assert found.vector @ vector > 0.95


def test_margins_are_distances_in_w_and_do_not_come_from_the_code_itself():
    vector, codes, labels, _ = planted(1500, 16)
    found = fit(codes, labels)
    distance = codes @ vector
    assert torch.corrcoef(torch.stack([found.margins, distance]))[0, 1] > 0.98
    assert found.margins.std() == pytest.approx(distance.std().item(), rel=0.05)
    chance = fit(torch.randn(60, 200, generator=rng()), torch.arange(60) % 2 == 0)
    assert chance.accuracy < 0.75  # 60 codes in 200 dimensions can always be parted; unseen ones cannot


def test_scaling_all_codes_changes_margins_and_nothing_else():
    _, codes, labels, _ = planted(200, 16)
    small, large = fit(codes, labels), fit(1000 * codes, labels)
    assert small.vector @ large.vector > 0.9999
    assert torch.allclose(1000 * small.margins, large.margins, rtol=1e-2, atol=1)


def test_five_labels_a_side_are_enough_and_turning_them_turns_the_direction():
    codes = torch.randn(10, 128, generator=rng())
    labels = torch.arange(10) < 5
    there, back = fit(codes, labels), fit(codes, ~labels)
    assert there.vector @ back.vector < -0.99
    assert (there.positives, there.negatives, len(there.margins)) == (5, 5, 10)


def test_a_fit_is_the_same_every_time():
    _, codes, labels, _ = planted(100, 32)
    first, second = fit(codes, labels, seed=3), fit(codes, labels, seed=3)
    assert torch.equal(first.vector, second.vector) and torch.equal(first.margins, second.margins)


@pytest.mark.parametrize(
    "change, words",
    [({"labels": [True] * 4 + [False] * 36}, "4 positive and 36 negative .* at least 5"),
     ({"labels": [True] * 40}, "40 positive and 0 negative"), ({"labels": [True] * 39}, r"\[39\]"),
     ({"ws": torch.full((40, 8), torch.nan)}, "40 of 40 codes hold NaN"), ({"ws": torch.ones(40, 8)}, "all the same"),
     ({"groups": ["cat"] * 20 + ["dog"] * 20}, "tell the classes apart"), ({"groups": ["cat"]}, "1 classes for 40")],
)  # fmt: skip
def test_labels_that_give_no_direction_are_refused_with_what_was_found(change, words):
    given = {"ws": torch.randn(40, 8, generator=rng()), "labels": [True] * 20 + [False] * 20}
    with pytest.raises(CocktailError, match=words):
        fit(**given | change)


# Finding: without labels.


def test_principal_axes_are_those_within_classes():
    axis, across = unit(16, 1), unit(16, 2)
    codes = {
        name: torch.randn(800, 16, generator=rng(i))
        + 3 * torch.randn(800, 1, generator=rng(10 + i)) * axis
        + 40 * i * across
        for i, name in enumerate(("cat", "dog"))
    }
    (first, share), (second, less) = principal(codes, 2)
    assert abs(first @ axis) > 0.99 and abs(first @ second) < 1e-6
    assert share == pytest.approx(10 / 25, abs=0.04) and less < 0.1  # variances 1 + 9 of 15 + 10
    assert sum(part for _, part in principal(codes, 16)) == pytest.approx(1)


def test_axes_are_signed_by_their_largest_entry():
    codes = torch.randn(200, 8, generator=rng()) * torch.arange(1, 9)
    for (there, _), (back, _) in zip(principal({"cat": codes}, 8), principal({"cat": -codes}, 8)):
        assert torch.equal(there, back) and there[there.abs().argmax()] > 0


@pytest.mark.parametrize("k", [0, 9])
def test_more_axes_than_dimensions_are_refused(k):
    with pytest.raises(CocktailError, match=f"{k} directions asked; from 1 to 8"):
        principal({"cat": torch.randn(50, 8, generator=rng())}, k)


def affine_weights(gan: Gan, layers: dict[str, int], chosen: range) -> np.ndarray:
    state = gan.generator.state_dict()
    return np.concatenate([state[f"synthesis.{name}.weight"].numpy() for name, i in layers.items() if i in chosen])


@pytest.mark.parametrize("layers", [None, (1, 2), (3, 3)])
@pytest.mark.parametrize("linear", [False, True])
def test_closed_form_agrees_with_an_independent_decomposition(tiny, layers, linear):
    gan = tiny(("cat", "dog"), linear_input=linear, class_w_gain=1.0)
    places = {"b4.conv1.affine": 0, "b4.torgb.affine": 1, "b8.conv0.affine": 1, "b8.conv1.affine": 2,
              "b8.torgb.affine": 3} | ({"b4.input": 0} if linear else {})  # fmt: skip
    first, last = layers or (0, 3)
    matrix = affine_weights(gan, places, range(first, last + 1)).astype(np.float64)
    powers, vectors = np.linalg.eigh(matrix.T @ matrix)
    for i, (vector, share) in enumerate(closed_form(gan.generator, 3, layers), start=1):
        assert abs(vector.numpy() @ vectors[:, -i]) == pytest.approx(1, abs=1e-5)
        assert share == pytest.approx(powers[-i] / powers.sum(), rel=1e-5)
        assert vector[vector.abs().argmax()] > 0


def test_closed_form_of_the_plain_network_leaves_the_class_part_of_w_alone(tiny):
    gan = tiny(("cat", "dog"), architecture="custom")
    matrix = gan.generator.state_dict()["input.weight"][:, : gan.z_dim].double().numpy()
    (first, _), *_ = closed_form(gan.generator, gan.z_dim)
    assert abs(first[: gan.z_dim].numpy() @ np.linalg.svd(matrix)[2][0]) == pytest.approx(1, abs=1e-5)
    assert (first[gan.z_dim :] == 0).all()


def test_closed_form_of_layers_that_do_not_exist_is_refused(tiny):
    with pytest.raises(CocktailError, match="layers 4 to 5 of w; this model has 0 to 3"):
        closed_form(tiny().generator, 1, (4, 5))


# What directions change.


class Lamp(nn.Module):
    """A generator whose pictures are evenly grey: a fifth of the mean over layers of the first entry of w."""

    z_dim, w_dim, num_ws, c_dim, resolution = 4, 4, 4, 2, 8

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.2))

    def map(self, z, c, truncation=1.0, cutoff=None):
        return 0.1 * z[:, None].repeat(1, self.num_ws, 1)

    def synthesize(self, ws, noise_mode="const", rng=None):
        return (self.gain * ws[:, :, 0].mean(dim=1)).view(-1, 1, 1, 1).expand(-1, 3, 8, 8)


class Meter:
    """Reads the grey level and its double; takes what is lighter than 0.25 for another class."""

    classes = ("cat", "dog")

    def read(self, img, label):
        level = from_uint8(img).mean(dim=(1, 2, 3))
        other = level > 0.25
        logits = torch.stack([~other, other] if label == "cat" else [other, ~other], dim=1).float()
        return Reading(logits, {"level": level, "double": 2 * level, "glasses": torch.full_like(level, torch.nan)})


LAMP = Gan(Lamp(), None, ("cat", "dog"))
UP = torch.tensor([1.0, 0, 0, 0])


def test_effects_are_the_known_slope_per_sigma():
    found = effects(LAMP, UP, 1.5, ("cat", "dog"), range(40), Meter())
    assert isinstance(Meter(), FactorReader)
    assert list(found) == ["cat", "dog"] and list(found["cat"]) == ["level", "double"]
    assert found["dog"]["level"] == pytest.approx(0.3, abs=0.005) and found["dog"]["double"] == pytest.approx(
        0.6, abs=0.01
    )
    half = effects(LAMP, UP, 1.5, ["cat"], range(40), Meter(), layers=(0, 1), step=2.0)
    assert half["cat"]["level"] == pytest.approx(0.15, abs=0.005)
    aside = effects(LAMP, UP.roll(1), 1.5, ["cat"], range(40), Meter())
    assert aside["cat"]["level"] == 0


def test_classes_are_kept_near_and_lost_far_away():
    assert keeps_class(LAMP, UP, 1.5, ("cat", "dog"), range(20), Meter(), strength=0.1) == {"cat": 1.0, "dog": 1.0}
    assert keeps_class(LAMP, UP, 1.5, ["cat"], range(20), Meter()) == {"cat": 0.5}  # all at +2 sigma, none at -2


def test_a_model_without_classes_is_read_as_the_class_that_is_named():
    plain = Lamp()
    plain.c_dim = 0
    found = effects(Gan(plain, None), UP, 1.0, ["dog"], range(20), Meter())
    assert found["dog"]["level"] == pytest.approx(0.2, abs=0.005)


def test_effects_say_which_class_or_seed_is_missing():
    with pytest.raises(CocktailError, match="'wolf' to read; expected some, of cat, dog"):
        effects(replace(LAMP, classes=("cat", "wolf")), UP, 1.0, ["wolf"], range(2), Meter())
    with pytest.raises(CocktailError, match="0 codes of 'cat'"):
        effects(LAMP, UP, 1.0, ["cat"], [], Meter())


# Files.


def test_a_library_returns_from_a_file_and_from_its_bytes(tmp_path):
    entries = [direction(), direction(name="Größe", vector=unit(16, 1), fingerprint="0" * 32, layers=(2, 2))]
    path = tmp_path / "mine.safetensors"
    direction_files.write(entries, path)
    assert path.read_bytes() == direction_files.to_bytes(entries)
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.safetensors"]
    for source in (path, str(path), path.read_bytes()):
        for given, found in zip(entries, direction_files.read(source), strict=True):
            assert torch.equal(found.vector, given.vector)
            assert replace(found, vector=given.vector).__dict__ == given.__dict__
    assert direction_files.read(direction_files.to_bytes([])) == []


def library(entry: dict | None = None, tensors: dict | None = None, **changes) -> bytes:
    """The bytes of a file with one direction, some fields of which are changed."""
    plain = {"name": "smile", "model": "m", "fingerprint": "f", "origin": "o", "sigma": 1.0, "layers": [0, 3]}
    content = {"format": "gan-cocktail-directions", "version": 1, "directions": [plain | (entry or {})]}
    return safetensors.torch.save(tensors or {"000": unit(8)}, {"directions": json.dumps(content | changes)})


def test_a_file_by_hand_is_read():
    assert direction_files.read(library())[0].layers == (0, 3)


@pytest.mark.parametrize(
    "changes, words",
    [({"version": 2}, "version 1"), ({"format": "x"}, "reads gan-cocktail-directions"), ({"directions": 3}, "int"),
     ({"directions": [7]}, "Direction 1 is described by 7"), ({"directions": []}, "0 directions and holds 1"),
     ({"directions": [{}] * 501}, "501 directions found"), ({"entry": {"name": ""}}, "name is ''"),
     ({"entry": {"name": "x" * 101}}, "name"), ({"entry": {"model": None}}, "model is None"),
     ({"entry": {"sigma": "1"}}, "sigma is '1'"), ({"entry": {"sigma": True}}, "sigma"),
     ({"entry": {"sigma": -1}}, "sigma"), ({"entry": {"sigma": float("nan")}}, "sigma is nan"),
     ({"entry": {"sigma": 10**400}}, "sigma"),
     ({"entry": {"layers": [3, 1]}}, "layers"), ({"entry": {"layers": [0.0, 1]}}, "layers"),
     ({"entry": {"layers": None}}, "layers"),
     ({"tensors": {"000": unit(8), "001": unit(8)}}, "1 directions and holds 2"),
     ({"tensors": {"000": unit(8)[None]}}, r"float32 \[1, 8\]"), ({"tensors": {"000": unit(8).double()}}, "float64"),
     ({"tensors": {"000": torch.full((8,), torch.nan)}}, "finite"), ({"tensors": {"000": 2 * unit(8)}}, "length 2"),
     ({"tensors": {"000": torch.zeros(9000)}}, "8192"), ({"tensors": {"x": unit(8)}}, "holds 1")],
)  # fmt: skip
def test_a_file_from_outside_is_checked(changes, words):
    with pytest.raises(CocktailError, match=words):
        direction_files.read(library(**changes))


def test_what_is_no_library_is_refused(tmp_path, monkeypatch):
    whole = direction_files.to_bytes([direction()])
    plain = safetensors.torch.save({"000": unit(8)})
    deep = safetensors.torch.save({"000": unit(8)}, {"directions": "[" * 100_000})
    for data in (b"", b"text", whole[:-4], whole[:40], plain, deep, b"\xff" * 64):
        with pytest.raises(CocktailError, match="holds no directions, or is damaged"):
            direction_files.read(data)
    with pytest.raises(CocktailError, match="gone.safetensors cannot be read: No such file"):
        direction_files.read(tmp_path / "gone.safetensors")
    monkeypatch.setattr(direction_files, "MAX_BYTES", 100)
    (tmp_path / "large.safetensors").write_bytes(whole)
    for source in (whole, tmp_path / "large.safetensors"):
        with pytest.raises(CocktailError, match="at most 100"):
            direction_files.read(source)


def test_a_library_that_could_not_be_read_is_not_written(tmp_path):
    path = tmp_path / "mine.safetensors"
    for entries, words in (([direction(), direction()], "called 'smile'"), ([direction(name="x" * 200)], "name"),
                           ([direction()] * 501, "501 directions")):  # fmt: skip
        with pytest.raises(CocktailError, match=words):
            direction_files.write(entries, path)
    assert not path.exists()
    direction_files.write([direction(), direction(fingerprint="0" * 32)], path)  # of two models


def test_a_direction_is_refused_by_another_model_and_names_both(tiny):
    gan, other = tiny(), tiny(seed=1)
    own = direction(fingerprint=fingerprint(gan))
    direction_files.check_model(own, fingerprint(gan), "tiny", gan.w_dim)
    with pytest.raises(CocktailError, match="'smile' belongs to .* 'bundled/union' .* not to 'other'") as refused:
        direction_files.check_model(own, fingerprint(other), "other", other.w_dim)
    assert "dimensions" not in str(refused.value)
    with pytest.raises(CocktailError, match="8 dimensions of w where that has 512"):
        direction_files.check_model(own, "x", "other", 512)


# The report on transfer.


def test_the_response_of_every_class_to_a_known_slope(monkeypatch):
    monkeypatch.setattr(transfer, "FACTOR", "level")
    ws = LAMP.map(latents(range(20), 4), "cat")
    found = transfer.response(LAMP, ws, "cat", transfer.Found(UP, 0.5), (0, 3), Meter())
    assert found.slope == pytest.approx(0.1, abs=0.005) and found.correlation > 0.99 and found.kept == 1
    back = transfer.response(LAMP, ws, "cat", transfer.Found(-UP, 0.5), (0, 3), Meter())
    assert back.slope == pytest.approx(-0.1, abs=0.005) and back.correlation < -0.99


def test_the_report_marks_every_goal_as_reached_or_missed():
    def row(slope, correlation=0.95, kept=1.0):
        random, differences = [{"slope": -0.1}, {"slope": 0.05}], [0.15, -0.2]
        own = {"slope": slope, "correlation": correlation, "kept": kept}
        return own | {"controls": random, "differences": differences}

    table = {"face": row(0.5), "cat": row(0.4), "dog": row(0.2, 0.5, 0.9), "car": row(-0.4, -0.95)}
    data = {
        "class": "face", "factor": "yaw", "other": "glasses", "strengths": [-2.0, 2.0], "goals": transfer.GOALS,
        "n": {"fit": 10, "per side": 5, "test": 4, "controls": 2, "differences": 3},
        "accuracy": {"yaw": 1.0, "glasses": 1.0},
        "hardware": "cpu", "fingerprint": "abcdefghij", "resolutions": [4, 8, 8],
        "responses": [{"layers": [0, 1], "classes": table}, {"layers": [0, 2], "classes": table}],
        "other_changes": {"cat": {"tone": 0.1, "smile": -0.7}},
    }  # fmt: skip
    text = transfer.section(json.loads(json.dumps(data)))
    assert "| face | +0.500 | 0.100 | 5.0 | 0.200 | 0.950 | 1.000 |" in text
    assert "| cat | +0.400 reached | 0.100 | 4.0 reached | 0.200 | 0.950 reached | 1.000 reached |" in text
    assert "| dog | +0.200 reached | 0.100 | 2.0 **missed** | 0.200 | 0.500 **missed** | 0.900 **missed** |" in text
    assert "| car | -0.400 **missed** | 0.100 | 4.0 reached | 0.200 | -0.950 **missed** | 1.000 reached |" in text
    assert "smile -0.70, tone +0.10" in text and "**Layers 0 to 1 of w+ (4 to 8 px)**: the default" in text
