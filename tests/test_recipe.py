"""Recipes: YAML there and back, presets, and a message that names the field for everything that cannot be meant."""

from dataclasses import replace

import pytest
import yaml

from cocktail.errors import CocktailError
from cocktail.methods.cocktail import PRESETS, CocktailConfig
from cocktail.options import check_options
from cocktail.recipe import Recipe, Source, build, changed, plain
from cocktail.training import TrainConfig

SOURCES = (Source("bundled/face"), Source("pets", ("tabby", "pug"), ("cat", "dog")))
FULL = Recipe(
    SOURCES, root=1, seed=7, threads=2,
    config=CocktailConfig(
        TrainConfig(total_kimg=1.5, lr=1e-6, amp=True, class_shares=(0.25, 0.75), grow_kimg=(3.0,)),
        TrainConfig(loss="relativistic"), root_weight=0.1, own_rows=True,
    ),
)  # fmt: skip


def written(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "recipe",
    [Recipe(SOURCES), FULL, *(Recipe(SOURCES, config=preset) for preset in PRESETS.values()),
     Recipe((Source("modèles/chat « 1 »"), Source("no: \"yes\", 'null'")))],
    ids=["defaults", "full", *PRESETS, "odd names"],
)  # fmt: skip
def test_a_recipe_survives_the_way_to_yaml_and_back(tmp_path, recipe):
    assert Recipe.from_yaml(written(tmp_path, recipe.to_yaml())) == recipe
    assert Recipe.from_dict(recipe.to_dict()) == recipe


def test_the_yaml_names_only_what_differs_from_the_defaults():
    data = yaml.safe_load(FULL.to_yaml())
    assert data["config"]["merge"] == {"loss": "relativistic"}
    assert data["config"]["root"]["class_shares"] == [0.25, 0.75] and "batch" not in data["config"]["root"]
    assert yaml.safe_load(Recipe(SOURCES).to_yaml())["config"] == {}


def test_a_short_recipe_is_enough(tmp_path):
    recipe = Recipe.from_yaml(written(tmp_path, "sources:\n- ref: bundled/face\n- ref: bundled/cat\n"))
    assert recipe == Recipe((Source("bundled/face"), Source("bundled/cat")))
    assert recipe.method == "cocktail" and recipe.config == PRESETS["paper"] and recipe.root == 0


def test_a_preset_is_the_ground_on_which_single_fields_are_changed():
    data = {"sources": [{"ref": "a"}, {"ref": "b"}], "preset": "small", "config": {"merge": {"total_kimg": 5}}}
    small = PRESETS["small"]
    assert Recipe.from_dict(data).config == replace(small, merge=replace(small.merge, total_kimg=5.0))
    assert Recipe.from_dict(data | {"preset": "paper"}).config.merge == TrainConfig(total_kimg=5.0)


def test_reading_leaves_the_data_alone():
    data = {"sources": [{"ref": "a"}, {"ref": "b"}], "preset": "small", "config": {"own_rows": False}}
    copy = yaml.safe_load(yaml.safe_dump(data))
    Recipe.from_dict(data)
    assert data == copy


GOOD = {"sources": [{"ref": "a"}, {"ref": "b"}]}
WRONG = {
    "a list": (["a", "b"], "holds list; expected a mapping"),
    "nothing": (None, "holds NoneType; expected a mapping"),
    "no sources": ({}, "lacks the field 'sources'"),
    "sources are a word": (GOOD | {"sources": "a"}, "sources is 'a'; expected a list"),
    "sources are null": (GOOD | {"sources": None}, "sources is None; expected a list"),
    "a source is a word": (GOOD | {"sources": ["a", "b"]}, r"sources\[0\] is 'a'; expected a mapping"),
    "one source": (GOOD | {"sources": [{"ref": "a"}]}, "names 1 sources; a merge needs two"),
    "no source": (GOOD | {"sources": []}, "names 0 sources; a merge needs two"),
    "a source without ref": (GOOD | {"sources": [{"ref": "a"}, {}]}, r"sources\[1\] lacks the field 'ref'"),
    "ref is a number": (GOOD | {"sources": [{"ref": 1}]}, r"sources\[0\]: ref is 1; expected str"),
    "classes are a word": (GOOD | {"sources": [{"ref": "a", "classes": "cat"}]}, "classes is 'cat'; expected a list"),
    "a class is a number": (GOOD | {"sources": [{"ref": "a", "names": ["x", 3]}]}, r"names\[1\] is 3; expected str"),
    "unknown field": (GOOD | {"soruces": []}, "unknown field 'soruces'; known: sources, method"),
    "a field that is no word": (GOOD | {7: 1}, "unknown field '7'"),
    "unknown method": (GOOD | {"method": "milkshake"}, "unknown method 'milkshake'; known: cocktail"),
    "method is a list": (GOOD | {"method": ["cocktail"]}, "unknown method"),
    "unknown preset": (GOOD | {"preset": "large"}, "preset is 'large'; cocktail knows paper, small"),
    "preset is a list": (GOOD | {"preset": ["paper"]}, r"preset is \['paper'\]"),
    "root too high": (GOOD | {"root": 2}, "root is 2; expected the number of a source, 0 to 1"),
    "root negative": (GOOD | {"root": -1}, "root is -1"),
    "seed negative": (GOOD | {"seed": -3}, "seed is -3; expected a number of at least 0"),
    "seed is a fraction": (GOOD | {"seed": 1.5}, "seed is 1.5; expected int"),
    "seed is yes": (GOOD | {"seed": True}, "seed is True; expected int"),
    "threads negative": (GOOD | {"threads": -1}, "threads is -1"),
    "device is a number": (GOOD | {"device": 0}, "device is 0; expected str"),
    "config is a list": (GOOD | {"config": [1]}, r"config is \[1\]; expected a mapping"),
    "config has a typo": (GOOD | {"config": {"rot": {}}}, "config has an unknown field 'rot'; known: root, merge"),
    "a stage has a typo": (GOOD | {"config": {"root": {"learning_rate": 1}}}, "config: root has an unknown field"),
    "a stage is a number": (GOOD | {"config": {"root": 5}}, "config: root is 5; expected a mapping"),
    "lr is a word": (GOOD | {"config": {"merge": {"lr": "fast"}}}, "config: merge: lr is 'fast'; expected float"),
    "lr is not finite": (GOOD | {"config": {"merge": {"lr": float("nan")}}}, "lr is nan; expected a number"),
    "batch is a fraction": (GOOD | {"config": {"merge": {"batch": 1.5}}}, "batch is 1.5; expected int"),
    "batch is zero": (GOOD | {"config": {"merge": {"batch": 0}}}, "batch is 0; expected a number from 1 to 4096"),
    "own_rows is a number": (GOOD | {"config": {"own_rows": 1}}, "own_rows is 1; expected bool"),
    "unknown loss": (GOOD | {"config": {"root": {"loss": "hinge"}}}, "loss is 'hinge'; expected one of nonsat"),
    "root_weight above one": (GOOD | {"config": {"root_weight": 2}}, "root_weight is 2.0; expected a number from 0"),
    "growing": (GOOD | {"config": {"root": {"start_resolution": 8}}}, "start_resolution must be 0 in a merge"),
}


@pytest.mark.parametrize("data, message", WRONG.values(), ids=WRONG)
def test_what_cannot_be_meant_is_refused_by_name(tmp_path, data, message):
    with pytest.raises(CocktailError, match=message):
        Recipe.from_dict(data)
    with pytest.raises(CocktailError, match=message):
        Recipe.from_yaml(written(tmp_path, yaml.safe_dump(data)))


def test_the_good_recipe_of_these_tests_is_good():
    assert len(Recipe.from_dict(GOOD).sources) == 2


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CocktailError, match=r"nowhere\.yaml cannot be read"):
        Recipe.from_yaml(tmp_path / "nowhere.yaml")
    with pytest.raises(CocktailError, match="cannot be read"):
        Recipe.from_yaml(tmp_path)


@pytest.mark.parametrize("text", ["sources: [", "a: b: c", "\tsources: 1", "!!python/object:os.system {}", "*unknown"])
def test_what_is_no_yaml_is_refused_by_name_on_one_line(tmp_path, text):
    with pytest.raises(CocktailError, match=r"recipe\.yaml is no YAML") as caught:
        Recipe.from_yaml(written(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_bytes(b"sources: \xff\xfe\x00")
    with pytest.raises(CocktailError, match=r"recipe\.yaml"):
        Recipe.from_yaml(path)


def test_whole_numbers_will_do_where_fractions_are_expected():
    config = build(TrainConfig, {"lr": 1, "class_shares": [1, 2]}, "config")
    assert config == TrainConfig(lr=1.0, class_shares=(1.0, 2.0)) and isinstance(config.lr, float)


def test_plain_data_holds_lists_and_mappings_only():
    data = plain(FULL)
    assert data["sources"][1] == {"ref": "pets", "classes": ["tabby", "pug"], "names": ["cat", "dog"]}
    assert changed(FULL.config, FULL.config) == {}


def test_every_field_of_the_training_config_has_a_help_text_and_its_default_is_in_range():
    fields = TrainConfig.__dataclass_fields__.values()
    assert len(fields) > 15 and all(field.metadata["help"] for field in fields)
    check_options(TrainConfig())
