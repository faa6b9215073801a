"""The models that come with the program: all there, small, and as good as their cards say."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
import yaml

from benchmarks.bundle_report import goals
from cocktail import checkpoints, domains
from cocktail.metrics import DrawnDomains, OracleFeatures, evaluate
from cocktail.recipe import Recipe
from editing import direction_files
from editing.directions import effects
from editing.encoder import find_encoder
from editing.recipes import fingerprint
from editing.verdict import typical_of
from ui.direction_list import FILE

ROOT = Path(__file__).parents[1]
SOURCES = domains.names()


@pytest.fixture(scope="module")
def union():
    return checkpoints.load("bundled/union")


def test_four_sources_and_their_union_are_bundled():
    assert set(checkpoints.bundled()) == {*SOURCES, "union"}


def test_the_assets_are_small():
    assert sum(path.stat().st_size for path in checkpoints.ASSETS.rglob("*") if path.is_file()) < 40e6


@pytest.mark.parametrize("name", [*SOURCES, "union"])
def test_a_bundled_model_is_whole(name):
    gan = checkpoints.load(f"bundled/{name}")
    assert gan.resolution == 64 and gan.discriminator is not None
    assert set(gan.classes) == (set(SOURCES) if name == "union" else set())
    assert gan.card["licence"] == "apache-2.0" and gan.card["images_seen"] > 0 and gan.card["minutes"] > 0


def test_the_union_was_made_from_the_bundled_sources_by_a_recipe_that_can_be_run_again(union):
    recipe = Recipe.from_yaml(checkpoints.ASSETS / "union" / "recipe.yaml")
    assert [source.ref for source in recipe.sources] == [f"bundled/{name}" for name in SOURCES]
    assert recipe.to_dict() == union.card["recipe"]
    assert "domain" not in yaml.safe_dump(union.card["recipe"])


def test_the_union_is_as_large_as_a_source_but_for_its_classes(union):
    source = checkpoints.load("bundled/face")
    assert union.num_parameters < 1.05 * source.num_parameters


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SOURCES, "union"])
def test_a_bundled_model_reaches_its_recorded_scores(name):
    gan = checkpoints.load(f"bundled/{name}")
    recorded = gan.card["scores"]
    classes = gan.classes or (name,)
    n = recorded[classes[0]]["n"]
    found = evaluate(gan, [DrawnDomains(classes, gan.resolution)], OracleFeatures(), n).classes
    for label in classes:
        numbers = {key: value for key, value in recorded[label].items() if isinstance(value, int | float)}
        measured = {key: value for key, value in asdict(found[label]).items() if key in numbers}
        assert {"frechet", "precision", "recall"} <= measured.keys()
        assert measured == pytest.approx(numbers, rel=0.05, abs=0.02), label


def test_every_class_is_told_at_once_and_varies(union):
    """The scores that fall short of what was wanted are marked in docs/RESULTS.md; accuracy, yaw and recall do not."""
    sources = {name: checkpoints.load(f"bundled/{name}") for name in SOURCES}
    found = [goal for goal in goals(sources, union) if not goal[0].startswith("score")]
    assert len(found) == 24
    for what, who, reached, wanted, _ in found:
        assert reached >= wanted, f"{what}, {who}"


def test_the_results_page_says_what_fell_short(union):
    sources = {name: checkpoints.load(f"bundled/{name}") for name in SOURCES}
    page = (ROOT / "docs" / "RESULTS.md").read_text(encoding="utf-8")
    page = page.split("## The numbers to reach")[1].split("\n## ")[0]
    missed = [goal for goal in goals(sources, union) if (goal[2] > goal[3] if goal[4] else goal[2] < goal[3])]
    assert page.count("**missed**") == len(missed)
    for what, who, reached, *_ in missed:
        assert f"| {what} | {who} | {reached:.3g} |" in page


def test_a_latent_means_the_same_in_every_class(union):
    """Yaw of one z, read in the first class and in another: what the shared latent space is for."""
    assert all(row["yaw"] > 0.6 for row in union.card["shared_factors"].values())


def test_the_studio_s_sliders_belong_to_the_union_and_turn_every_head(union):
    found = {direction.name: direction for direction in direction_files.read(checkpoints.ASSETS / "union" / FILE)}
    for direction in found.values():
        direction_files.check_model(direction, fingerprint(union), "union")
    turn = found["turn the head"]
    moved = effects(union, turn.vector, turn.sigma, union.classes, range(16), OracleFeatures(), turn.layers)
    assert all(row["yaw"] > 0.2 for row in moved.values()), moved


def test_the_encoder_belongs_to_the_union_guesses_classes_and_knows_its_own_errors(union):
    encoder = find_encoder("bundled/union", union)
    assert typical_of(encoder) is not None
    assert (checkpoints.ASSETS / "union" / "encoder.safetensors").stat().st_size < 5e6
    for index, name in enumerate(union.classes):
        drawings, _ = domains.get(name).draw(24, torch.Generator().manual_seed(99), 64)
        _, chances = encoder.encode(drawings)
        assert (chances.argmax(dim=1) == index).float().mean() > 0.9, name


@pytest.mark.parametrize("name", ["transfer", "inversion"])
def test_what_was_measured_apart_was_measured_on_this_union(union, name):
    data = json.loads((ROOT / "docs" / f"{name}.json").read_text(encoding="utf-8"))
    assert data["fingerprint"] == fingerprint(union)
