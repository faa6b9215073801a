"""The parts of the page that need no browser."""

import base64
import io
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import gradio as gr
import numpy as np
import PIL.Image
import PIL.ImageChops
import pytest
import torch

import ui
from cocktail import domains
from cocktail.checkpoints import save
from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.hardware import available_threads
from cocktail.images import to_pil
from cocktail.networks.stylegan2 import Generator, GeneratorConfig
from cocktail.seeds import parse_seeds
from editing import direction_files
from editing.directions import Direction
from editing.edits import Blend, EditRecipe, Mix, Seed, Way
from editing.latents import codes, draw, render
from editing.recipes import PictureRecipe, Recipe, from_png, read
from ui import (
    base,
    cards,
    colours,
    compare_actions,
    direction_list,
    find,
    interpolate,
    invert,
    launching,
    layers,
    live,
    merge,
    mix,
    pictures,
    sheet,
    shelf,
    slots,
)
from ui.models import Loaded, Models
from ui.plan import ALL, MAX_PICTURES, Settings, opening, plan, resized, seed_text, shuffled
from ui.visitors import Visitors

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")


def write(folder: Path, seed: int = 0, classes: tuple[str, ...] = ("cat", "dog"), **card: object) -> Path:
    torch.manual_seed(seed)
    config = GeneratorConfig(
        img_resolution=16, z_dim=8, c_dim=len(classes), w_dim=8, mapping_layers=2, channels=(8, 8, 8)
    )
    return save(Gan(Generator(config).eval().requires_grad_(False), None, classes, card), folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("models") / "mine", title="Mine")


@pytest.fixture
def models(folder) -> Models:
    return Models([str(folder)], device=CPU)


@pytest.fixture
def loaded(models, folder) -> Loaded:
    return models.get(str(folder))


@pytest.fixture
def visitors(monkeypatch) -> Visitors:
    """Desks of this test's own."""
    own = Visitors()
    for module in (shelf, slots, direction_list, find):
        monkeypatch.setattr(module, "VISITORS", own)
    return own


def sample(loaded: Loaded, label: str | None, seed: int) -> PictureRecipe:
    return PictureRecipe("mine", loaded.fingerprint, (label,) if label else (), (seed,), 0.8)


def edited(loaded: Loaded, node) -> EditRecipe:
    return EditRecipe("mine", loaded.fingerprint, node)


def shown(uri: str) -> PIL.Image.Image:
    """The picture of a data URI."""
    return PIL.Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))


def of(loaded: Loaded, recipe: Recipe) -> bytes:
    """The pixels that a recipe stands for."""
    return render(loaded.gan, recipe, loaded.fingerprint).tobytes()


# Models


def test_a_model_is_loaded_once_and_again_when_its_file_changes(models, folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    first = models.get(str(copy))
    assert models.get(str(copy)) is first
    write(copy, seed=1)
    assert models.get(str(copy)).fingerprint != first.fingerprint


def test_only_the_last_models_stay_in_memory(models, tmp_path):
    for i in range(8):
        models.get(str(write(tmp_path / str(i), seed=i)))
    assert len(models._loaded) == 6


def test_a_public_page_opens_no_path(folder):
    with pytest.raises(CocktailError, match="public"):
        Models(public=True, device=CPU).get(str(folder))
    assert Models([str(folder)], public=True, device=CPU).get(str(folder)).title == "Mine"


def test_the_model_of_a_picture_is_found_by_its_fingerprint(models, folder, tmp_path):
    other = str(write(tmp_path / "mine", seed=5))
    wanted = models.get(str(folder))
    recipe = PictureRecipe("mine", wanted.fingerprint, ("cat",), (0,))
    assert models.named(recipe, [other, str(tmp_path / "gone"), str(folder)]) is wanted
    with pytest.raises(CocktailError, match="not open here"):
        models.named(recipe, [other])


def test_no_model_and_no_such_model_say_what_to_do(models):
    with pytest.raises(CocktailError, match="Library"):
        models.get(None)
    with pytest.raises(CocktailError, match="neither a path"):
        models.get("/no/such/model")


def test_cores_are_at_least_one_and_at_most_those_of_the_machine():
    assert 1 <= available_threads() <= (os.cpu_count() or 1)


# Sample


def test_all_classes_share_the_seeds(models, folder):
    recipe = plan(models.get(str(folder)), Settings("", ALL, "4, 6", 0.5, None, "const"))
    assert (recipe.labels, recipe.seeds, recipe.cutoff) == (("cat", "dog"), (4, 6), None)
    assert recipe.model == "mine", "a path may not be written into a picture"
    single = plan(models.get(str(folder)), Settings("", 1, "4", 0.5, 2, "none"))
    assert (single.labels, single.cutoff) == (("dog",), 2)


@pytest.mark.parametrize("seeds", ["a-b", "-1", "", "0-40", "5-1"])
def test_bad_seeds_are_refused(models, folder, seeds):
    with pytest.raises(CocktailError):
        plan(models.get(str(folder)), Settings("", ALL, seeds, 1.0, None, "const"))


def test_the_limit_counts_pictures_not_seeds(models, folder):
    full = plan(models.get(str(folder)), Settings("", 0, f"0-{MAX_PICTURES - 1}"))
    assert len(full.seeds) == MAX_PICTURES
    with pytest.raises(CocktailError, match="2 classes are 66 pictures"):
        plan(models.get(str(folder)), Settings("", ALL, "0-32", 1.0, None, "const"))


def test_a_page_opens_with_twelve_pictures_whatever_the_model(models, folder, tmp_path):
    plain = models.get(str(write(tmp_path / "plain", classes=())))
    for loaded, seeds in ((models.get(str(folder)), "0-5"), (plain, "0-11")):
        assert opening(loaded).seeds == seeds
        assert len(plan(loaded, opening(loaded)).cells()) == 12


def test_random_noise_gets_a_seed_of_its_own(models, folder):
    drawn = [plan(models.get(str(folder)), Settings("", 0, "1", 1.0, None, "random")).noise_seed for _ in range(3)]
    assert len(set(drawn)) == 3


@pytest.mark.parametrize("seeds, text", [([0, 1, 2], "0-2"), ([5], "5"), ([3, 7, 8, 1], "3, 7-8, 1"), ([], "")])
def test_seeds_are_written_as_ranges(seeds, text):
    assert seed_text(seeds) == text


def test_more_seeds_continue_after_the_last():
    assert resized("4, 9", 4) == "4, 9-11"
    assert resized("4, 9, 2", 1) == "4"
    assert resized("4294967295", 2) == "4294967295, 0"


def test_random_seeds_are_as_many_as_asked_for_and_differ():
    drawn = {shuffled("0-2", 4) for _ in range(20)}
    assert len(drawn) > 10 and all(len(parse_seeds(text)) == 4 for text in drawn)


def test_a_sheet_fills_and_its_last_state_is_complete(models, folder, monkeypatch):
    monkeypatch.setattr(sheet, "EVERY_SEC", 0.0)
    loaded = models.get(str(folder))
    states = list(sheet.fill(loaded, plan(loaded, Settings("", ALL, "0-2", 1.0, None, "const"))))
    filled = [sum(bool(cell["src"]) for cell in state["cells"]) for state in states]
    assert filled == [1, 2, 3, 4, 5, 6]
    assert [cell["label"] for cell in states[-1]["cells"]] == ["cat"] * 3 + ["dog"] * 3
    json.dumps(states[-1])


def test_large_pictures_are_shown_from_a_lighter_copy():
    recipe = PictureRecipe("big", "0", (), (0,))
    big = torch.randint(0, 255, (1, 3, 1024, 1024), dtype=torch.uint8)
    assert pictures.data_uri(big, recipe).startswith("data:image/webp")
    assert pictures.data_uri(big[:, :, :128, :128], recipe).startswith("data:image/png")


# Shelf


def test_a_pick_holds_codes_and_a_picture(models, loaded, visitors):
    recipe = plan(loaded, Settings("", 0, "7", 0.8, None, "const"))
    key, view = shelf.add("", loaded, recipe)
    (item,) = view["picks"]
    assert (item["name"], item["about"], item["label"]) == ("cat #7", "cat, seed 7, psi 0.8", "cat")
    assert view["last"] == item["id"] and (view["undo"], view["redo"]) == (1, 0)
    assert shown(item["src"]).tobytes() == of(loaded, recipe) and read(item["recipe"]) == recipe
    (pick,) = visitors.enter(key)[1].shelf.picks
    assert pick.ws.shape == (loaded.gan.num_ws, 8) and pick.model == loaded.ref
    assert item["model"] == "mine", "a path may not be told to the page"


def test_a_picture_is_on_the_shelf_once_and_another_models_never(loaded, visitors):
    key, _ = shelf.add("", loaded, sample(loaded, "cat", 1))
    key, view = shelf.add(key, loaded, sample(loaded, "cat", 1))
    assert len(view["picks"]) == 1 and view["undo"] == 1
    with pytest.raises(CocktailError, match="belong to the model"):
        shelf.add(key, loaded, replace(sample(loaded, "cat", 2), fingerprint="0" * 32))


# Pictures that follow the hand


def test_the_painter_gives_the_pictures_that_were_asked_for(models, loaded):
    recipes = [sample(loaded, "dog", 3), edited(loaded, Way((Seed("cat", 1), Seed("dog", 2)), 0.25))]
    answer = pictures.painter(models)({"ref": loaded.ref, "recipes": [recipe.to_json() for recipe in recipes]})
    assert set(answer) == {"cells", "sec"} and answer["sec"] > 0
    for cell, recipe in zip(answer["cells"], recipes, strict=True):
        assert shown(cell["src"]).tobytes() == of(loaded, recipe)
        assert (cell["id"], read(cell["recipe"])) == (recipe.key, recipe)
        assert from_png(base64.b64decode(cell["src"].split(",")[1])) == recipe, (
            "what is dragged off the page carries its settings"
        )


@pytest.mark.parametrize(
    "asked, words",
    [(None, "no pictures"), (7, "no pictures"), ({}, "no pictures"), ({"recipes": []}, "no pictures"),
     ({"recipes": "{}"}, "no pictures"), ({"recipes": ["{}"] * 65}, "more than 64 at once"),
     ({"recipes": ["{"]}, "no valid JSON"), ({"recipes": [None]}, "no valid JSON"),
     ({"recipes": ["{}"]}, "version None")],
)  # fmt: skip
def test_the_painter_answers_nonsense_with_a_reason(models, asked, words):
    assert words in pictures.painter(models)(asked)["error"]


def test_the_painter_refuses_sheets_and_other_models_pictures(models, loaded, tmp_path):
    paint, own = pictures.painter(models), sample(loaded, "cat", 1)
    other = models.get(str(write(tmp_path / "other", seed=5)))
    foreign = sample(other, "cat", 1)
    for recipes, words in (([replace(own, seeds=(1, 2))], "a sheet where one picture"), ([foreign], "not open here"),
                           ([own, foreign], "belong to the model")):  # fmt: skip
        answer = paint({"ref": loaded.ref, "recipes": [recipe.to_json() for recipe in recipes]})
        assert set(answer) == {"error"} and words in answer["error"]
    answer = paint({"ref": other.ref, "recipes": [foreign.to_json()]})
    assert shown(answer["cells"][0]["src"]).tobytes() == of(other, foreign)


def test_the_painter_never_raises(models, loaded, monkeypatch):
    paint, good = pictures.painter(models), [sample(loaded, "cat", 1).to_json()]
    assert "error" in paint({"ref": ["no", "text"], "recipes": good})
    assert "Unknown class" in paint({"ref": None, "recipes": [sample(loaded, "wolf", 1).to_json()]})["error"]

    def broken(*_):
        raise RuntimeError("out of memory at 0x7f00")

    monkeypatch.setattr(ui.space, "draw", broken)
    answer = paint({"ref": loaded.ref, "recipes": good})
    assert "A fault of this program" in answer["error"] and "0x7f00" not in answer["error"]


def moved_by_hand(value: dict, positions: dict[str, float]) -> list[Recipe]:
    """The recipes that the browser sends when the sliders stand at these positions, as assets/live.js makes them."""
    recipes = json.loads(json.dumps(value["recipes"]))
    for recipe in recipes:
        for knob in value["knobs"]:
            x = positions.get(knob["id"], knob["start"])
            x = live.bend(knob["table"], (x - knob["low"]) / (knob["high"] - knob["low"])) if knob["table"] else x
            for path, times in knob["sets"]:
                place = recipe
                for key in path[:-1]:
                    place = place[int(key) if isinstance(place, list) else key]
                key = int(path[-1]) if isinstance(place, list) else path[-1]
                assert isinstance(place[key], float), f"{path} leads to a number that is there"
                place[key] = x * times
    return [read(json.dumps(recipe)) for recipe in recipes]


def test_a_table_is_read_between_its_entries_in_proportion():
    table = (0.0, 0.1, 0.5, 1.0)
    assert [live.bend(table, x) for x in (0, 1 / 3, 1)] == pytest.approx([0, 0.1, 1])
    assert live.bend(table, 0.5) == pytest.approx(0.3) and live.bend((2.0, 4.0), 0.25) == 2.5


# Slots


def strip(*recipes: Recipe) -> dict:
    return {"name": "Keys", "items": [{"id": r.key, "name": r.describe(), "recipe": r.to_json()} for r in recipes]}


def test_a_strip_gives_its_recipes_in_order(loaded):
    wanted = [sample(loaded, "dog", 2), edited(loaded, Seed("cat", 1)), sample(loaded, "cat", 1)]
    assert slots.recipes(strip(*wanted), loaded, 3, "A way") == wanted


def test_a_strip_with_another_models_picture_is_refused_with_both_names(loaded):
    foreign = replace(sample(loaded, "cat", 9), model="theirs", fingerprint="0" * 32)
    with pytest.raises(CocktailError, match="“cat, seed 9, psi 0.8” was made by the model theirs, and Mine is open"):
        slots.recipes(strip(sample(loaded, "cat", 1), foreign), loaded, 1, "A way")


@pytest.mark.parametrize("sent", [None, 3, {}, {"items": None}, {"items": []}, {"items": [None, 3, "x"]}])
def test_a_strip_with_too_few_pictures_says_how_many_it_needs(loaded, sent):
    with pytest.raises(CocktailError, match="A way needs 2 pictures or more"):
        slots.recipes(sent, loaded, 2, "A way")
    with pytest.raises(CocktailError, match="The rows needs 1 picture or more"):
        slots.recipes(sent, loaded, 1, "The rows")


def test_a_strip_with_a_damaged_recipe_is_refused(loaded):
    for broken in ({"recipe": "{"}, {"recipe": None}, {}):
        with pytest.raises(CocktailError, match="no valid JSON"):
            slots.recipes({"items": [broken]}, loaded, 1, "A way")


def test_a_strip_opens_with_the_visitors_own_pictures_or_samples_of_all_classes(models, loaded, visitors):
    fresh = slots.fresh(loaded, None, 3)
    assert [(item["label"], read(item["recipe"]).seeds) for item in fresh] == [
        ("cat", (0,)),
        ("dog", (1,)),
        ("cat", (2,)),
    ]
    key = ""
    for seed in range(4):
        key, _ = shelf.add(key, loaded, sample(loaded, "dog", seed))
    assert [read(item["recipe"]).seeds for item in slots.fresh(loaded, key, 3, least=2)] == [(1,), (2,), (3,)]
    filled = slots.value(
        {"strips": [{"name": "Rows", "items": []}, {"name": "Columns", "items": []}]}, fresh, fresh[:1]
    )
    assert slots.ids(filled) == [[item["id"] for item in fresh], [fresh[0]["id"]]]
    assert [part["name"] for part in filled["strips"]] == ["Rows", "Columns"]


# Layers and mixing


def test_the_range_of_layers_is_what_the_browser_sent():
    assert layers.chosen({"first": 1, "last": 3, "more": "x"}, 6) == (1, 3)
    value = layers.value((4, 8, 8, 16, 16, 16), (2, 5))
    assert layers.chosen(value, 6) == (2, 5)
    assert [(g["first"], g["last"]) for g in value["groups"]] == [(0, 1), (2, 3), (4, 5)]


@pytest.mark.parametrize("sent", [None, [], {}, {"first": 1}, {"first": "1", "last": 2}, {"first": 0.5, "last": 2},
                                  {"first": True, "last": 2}, {"first": None, "last": None}])  # fmt: skip
def test_no_range_of_layers_is_refused(sent):
    with pytest.raises(CocktailError, match="no range of layers"):
        layers.chosen(sent, 6)


@pytest.mark.parametrize("first, last", [(3, 2), (-1, 2), (0, 6)])
def test_a_range_that_the_model_does_not_have_is_refused(first, last):
    with pytest.raises(CocktailError, match=f"from {first} to {last}; this model has layers 0 to 5"):
        layers.chosen({"first": first, "last": last}, 6)


def test_look_is_all_but_the_coarse_layers(loaded):
    assert layers.chosen(mix.look(loaded), loaded.gan.num_ws) == (2, 5)


def test_each_picture_of_a_mix_is_its_row_with_layers_of_its_column(models, loaded):
    rows, columns = [Seed("cat", 1, 0.8), Seed("dog", 2, 0.8)], [Seed("dog", seed, 0.8) for seed in (3, 4, 5)]
    chosen = {"strips": [strip(*(edited(loaded, node) for node in nodes)) for nodes in (rows, columns)]}
    *_, last = mix.mixed(loaded, chosen, mix.look(loaded), (1, 1, 0.5))
    expected = [edited(loaded, Mix(row, column, (0.0, 0.0, 1.0, 1.0, 0.5, 0.5))) for row in rows for column in columns]
    assert [read(cell["recipe"]) for cell in last["cells"]] == expected
    assert shown(last["cells"][4]["src"]).tobytes() == of(loaded, expected[4])
    assert (len(last["rows"]), len(last["columns"])) == (2, 3)
    (empty,) = mix.mixed(loaded, {"strips": [strip(), chosen["strips"][1]]}, mix.look(loaded), (1, 1, 1))
    assert empty["empty"] == mix.EMPTY and empty["cells"] == []


# Finding directions


def a_mark(seed=3, label="cat", mark=1):
    return {"label": label, "seed": seed, "mark": mark}


def test_all_marks_are_told_with_the_time(loaded):
    at, known = find.marked(loaded, {"at": 7.5, "marks": [a_mark(), a_mark(label="dog", mark=-1)]})
    assert at == 7.5
    assert [(m.label, m.seed, m.positive) for m in find.marks_of(known)] == [("cat", 3, True), ("dog", 3, False)]
    assert find.marked(loaded, {"at": 8, "marks": []}) == (8, {})


@pytest.mark.parametrize(
    "mark", [{}, 3, a_mark("3"), a_mark(None), a_mark(-1), a_mark(mark=2), a_mark(mark=0), a_mark(label="wolf")]
)
def test_a_mark_that_cannot_be_read_is_refused(loaded, mark):
    with pytest.raises(CocktailError, match="marks that cannot be read"):
        find.marked(loaded, {"at": 1, "marks": [mark]})


@pytest.mark.parametrize("data", [{}, {"at": 1}, {"at": "1", "marks": []}, {"at": 1, "marks": {}}])
def test_marks_without_a_time_or_a_list_are_refused(loaded, data):
    with pytest.raises(CocktailError, match="marks that cannot be read"):
        find.marked(loaded, data)


def test_how_things_stand_is_told_with_each_mark(loaded):
    marks = []
    assert find.tell(loaded, {}).startswith("0 positive, 0 negative. Five of each")
    for seed in range(12):
        marks.append(a_mark(seed, mark=1 if seed % 2 else -1))
        told = find.tell(loaded, find.marked(loaded, {"at": seed, "marks": marks})[1])
        assert told.startswith(f"{(seed + 1) // 2} positive, {(seed + 2) // 2} negative.")
        assert ("Accuracy if found now" in told) == (seed >= 9)
    assert re.search(r"left out: \d+% \(chance is 50%\)", told)


def test_a_list_of_seeds_gives_marks_of_the_first_class_unless_it_names_one(loaded, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("seed,label,class\n1,+,\n2,-,dog\n")
    assert [(m.label, m.seed, m.positive) for m in find.listed(loaded, path)] == [
        ("cat", 1, True),
        ("dog", 2, False),
    ]
    path.write_text("1,+,wolf\n")
    with pytest.raises(CocktailError, match="Unknown class 'wolf'"):
        find.listed(loaded, path)
    path.write_text("hello")
    with pytest.raises(CocktailError, match="Line 1"):
        find.listed(loaded, path)


def test_pictures_to_judge_are_samples_of_the_chosen_classes_in_turn(models, loaded):
    cells = find.page_of(loaded, ["cat", "dog"], 40)["cells"]
    assert [(cell["label"], cell["seed"]) for cell in cells[:3]] == [("cat", 40), ("dog", 40), ("cat", 41)]
    assert len(cells) == find.PAGE
    assert shown(cells[1]["src"]).tobytes() == to_pil(loaded.gan.sample([40], "dog"))[0].tobytes()
    assert {cell["label"] for cell in find.page_of(loaded, ["wolf"], 0)["cells"]} == {"cat"}


@pytest.mark.parametrize(
    "given, words",
    [({"how": find.LIST}, "No list is chosen"), ({"how": find.SCORER, "classes": []}, "at least one class"),
     ({"how": find.ONNX}, "No classifier is chosen"), ({"scorer": "dog: yaw"}, "fits dog only"),
     ({"scorer": "beauty"}, "No scorer is called 'beauty'"), ({"looked": 6000}, "ask for 2 to 5000")],
)  # fmt: skip
def test_what_gives_no_labels_is_refused_before_anything_is_drawn(loaded, given, words):
    controls = {"how": find.SCORER, "classes": ["cat"], "known": {}, "scorer": "brightness", "onnx": None, "output": 0,
                "scaling": "0 to 1", "looked": 50, "side": 5, "csv": None} | given  # fmt: skip
    with pytest.raises(CocktailError, match=words):
        next(find.labels_of(loaded, find.Labels(**controls)))


def test_a_public_page_runs_nobody_s_classifier(loaded, tmp_path):
    asked = find.Labels(find.ONNX, ["cat"], {}, None, str(tmp_path / "any.onnx"), 0, "0 to 1", 50, 5, None)
    with pytest.raises(CocktailError, match="public"):
        next(find.labels_of(loaded, asked, public=True))


# Directions


def direction(
    loaded: Loaded, name: str, seed: int = 0, span: tuple[int, int] = (0, 5), sigma: float = 1.3
) -> Direction:
    vector = torch.randn(8, generator=torch.Generator().manual_seed(seed))
    return Direction(name, vector / vector.norm(), sigma, "mine", loaded.fingerprint, "by hand", span)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_slider_reaches_the_number_that_it_sets(models, loaded, count):
    known = [
        direction(loaded, "yaw", 1),
        direction(loaded, "age", 2, (2, 4), 0.7),
        direction(loaded, "hue", 3, (5, 5), 2.1),
    ]
    known, nodes = known[:count], [Seed("cat", 3), Mix(Seed("dog", 1), Seed("cat", 2), (0.5,) * 6)]
    start = [direction_list.moved(loaded, node, known, [0.0] * count) for node in nodes]
    knobs = direction_list.knobs(known)
    value = live.view(loaded, start, knobs)
    assert [knob["label"] for knob in value["knobs"]] == [entry.name for entry in known]
    for amounts in ([1.5, 0.3, -2.0], [0.0, 3.0, 0.0]):
        positions = {knob.id: amount for knob, amount in zip(knobs, amounts)}
        for found, node in zip(moved_by_hand(value, positions), nodes, strict=True):
            expected = direction_list.moved(loaded, node, known, amounts[:count])
            assert found == expected
            assert torch.equal(codes(loaded.gan, found), codes(loaded.gan, expected))
            ways = sum(a * d.sigma * d.vector for a, d in zip(amounts, known) if d.layers[0] <= 4 <= d.layers[1])
            assert torch.allclose(codes(loaded.gan, found)[0, 4], node.code(loaded.gan)[4] + ways, atol=1e-5)


def test_sliders_at_0_leave_the_picture_as_it_is(loaded):
    still = direction_list.moved(
        loaded, Seed("cat", 3), [direction(loaded, "yaw"), direction(loaded, "age", 1)], [0.0] * 2
    )
    assert torch.equal(codes(loaded.gan, still)[0], Seed("cat", 3).code(loaded.gan))
    assert still.describe() == "cat #3"


def test_directions_at_hand_are_the_models_own_and_the_visitors_of_this_model(folder, visitors, tmp_path, caplog):
    copy = shutil.copytree(folder, tmp_path / "copy")
    loaded = Models([str(copy)], device=CPU).get(str(copy))
    own, own_age = direction(loaded, "yaw", 1), direction(loaded, "age", 2)
    direction_files.write([own, own_age], copy / direction_list.FILE)
    mine = direction(loaded, "age", 3)
    foreign = replace(direction(loaded, "hue"), fingerprint="0" * 32)
    key, _ = visitors.change(None, lambda desk: desk.with_directions([mine, foreign]))
    assert list(direction_list.at_hand(loaded, None)) == ["yaw", "age"]
    found = direction_list.at_hand(loaded, key)
    assert list(found) == ["yaw", "age"] and found["age"] is mine
    assert direction_list.chosen(loaded, key, "age") is mine
    with pytest.raises(CocktailError, match="No direction is chosen"):
        direction_list.chosen(loaded, key, "hue")


def test_a_file_of_another_models_directions_gives_none(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    loaded = Models([str(copy)], device=CPU).get(str(copy))
    direction_files.write([replace(direction(loaded, "yaw"), fingerprint="0" * 32)], copy / direction_list.FILE)
    assert direction_list.bundled(loaded) == ()


# Interpolate

KEYS = (Seed("cat", 1, 0.8), Seed("dog", 2, 0.8), Seed("cat", 3, 0.8))


def settings(loaded: Loaded, *nodes: Seed, **changes: object) -> interpolate.Settings:
    keys = {"strips": [strip(*(edited(loaded, node) for node in nodes or KEYS))]}
    way = interpolate.Settings(loaded.ref, keys, interpolate.WAY, "w+", "linear", False, 12, False, 0.0, "2-D")
    return replace(way, **changes)


def test_the_map_shows_what_is_on_the_shelf_of_this_model(models, loaded, tmp_path):
    own = shelf.pick(loaded, sample(loaded, "dog", 9), "my dog")
    other = models.get(str(write(tmp_path / "stranger", seed=8)))
    strange = shelf.pick(other, sample(other, "cat", 1), "stranger")
    _, second, *_ = interpolate.states(settings(loaded), loaded, (own, strange))
    shown = [text for trace in second["chart"].data for text in trace.text]
    assert "my dog, on the shelf" in shown and "stranger, on the shelf" not in shown


def test_a_way_shows_its_picture_then_the_map_then_the_strip(models, loaded):
    first, second, *rest = interpolate.states(settings(loaded), loaded)
    assert [list(state) for state in (first, second)] == [["picture"], ["chart", "about"]]
    assert {name for state in rest for name in state} == {"strip"}
    cells = rest[-1]["strip"]["cells"]
    recipes = [read(cell["recipe"]) for cell in cells]
    assert [cell["about"] for cell in (cells[0], cells[-1])] == ["cat #1", "cat #3"] and len(cells) == interpolate.STRIP
    assert [recipe.edit.at for recipe in recipes] == sorted(recipe.edit.at for recipe in recipes)
    assert shown(cells[0]["src"]).tobytes() == of(loaded, edited(loaded, KEYS[0]))
    assert shown(cells[-1]["src"]).tobytes() == of(loaded, edited(loaded, KEYS[2]))
    assert [cells[i]["caption"] for i in (0, -1)] == ["frame 1", "frame 12"]
    assert len(rest[-1]["strip"]["bars"]) == 11 and min(rest[-1]["strip"]["bars"]) > 0
    assert len(second["chart"].data[-2].x) == interpolate.WAY_POINTS and len(second["chart"].data[-1].x) == 3


@pytest.mark.parametrize("changes", [{}, {"closed": True}, {"even": True}, {"space": "z", "easing": "smooth"}])
def test_the_slider_along_the_way_reaches_every_frame(models, loaded, changes):
    value = next(interpolate.states(settings(loaded, **changes), loaded))["picture"]
    table = value["knobs"][0]["table"]
    assert len(table) == (13 if changes.get("closed") else 12) and (table[0], table[-1]) == (0, 1)
    for i, at in enumerate(table):
        (found,) = moved_by_hand(value, {"at": i / (len(table) - 1)})
        assert found.edit.at == pytest.approx(at, abs=1e-9)
    (middle,) = moved_by_hand(value, {})
    assert middle == read(value["cells"][0]["recipe"]), "the picture that is shown first is that of the slider's start"


def ratio(states: list[dict]) -> float:
    """Of the longest to the shortest step, as the note tells it."""
    return float(re.search(r"ratio ([\d.]+)\)", states[-1]["strip"]["note"])[1])


def test_constant_speed_makes_the_steps_more_equal_and_keeps_the_keys_at_the_ends(models, loaded):
    plain, even = (list(interpolate.states(settings(loaded, easing="start slowly", frames=24, even=on), loaded))
                   for on in (False, True))  # fmt: skip
    assert ratio(even) < ratio(plain) / 2
    ends = [[state[-1]["strip"]["cells"][i]["about"] for i in (0, -1)] for state in (plain, even)]
    assert ends == [["cat #1", "cat #3"]] * 2


def test_a_mixture_has_a_weight_for_each_key(models, loaded):
    first, second, third = interpolate.states(settings(loaded, mode=interpolate.MIXTURE), loaded)
    value = first["picture"]
    assert [knob["label"] for knob in value["knobs"]] == ["cat #1", "dog #2", "cat #3"]
    (found,) = moved_by_hand(value, {"weight0": 0.0, "weight2": 0.25})
    assert found == edited(loaded, Blend(KEYS, (0.0, 1.0, 0.25)))
    assert len(second["chart"].data[-1].x) == 4 and "mixture" in third["strip"]["empty"]


def test_fewer_than_two_keys_say_what_to_do(models, loaded):
    for nodes in ((), (KEYS[0],)):
        wanted = replace(settings(loaded), keys={"strips": [strip(*(edited(loaded, node) for node in nodes))]})
        (state,) = interpolate.states(wanted, loaded)
        assert state["picture"]["empty"] == state["strip"]["empty"] == interpolate.EMPTY
        with pytest.raises(CocktailError, match="A way needs 2 pictures or more"):
            interpolate.film(wanted, loaded, 10, "gif")


@pytest.mark.parametrize("kind", ["webp", "gif"])
@pytest.mark.parametrize("changes", [{}, {"closed": True, "even": True}])
def test_a_film_shows_the_frames_of_the_way(models, loaded, kind, changes):
    name, data = interpolate.film(settings(loaded, **changes), loaded, 10, kind)
    opened = PIL.Image.open(io.BytesIO(data))
    assert name == f"way-from-cat-1-12-frames.{kind}"
    assert (opened.n_frames, opened.size, opened.info["loop"]) == (12, (256, 256), 0)
    (key,) = draw(loaded.gan, edited(loaded, KEYS[0]))
    first = opened.convert("RGB").resize((16, 16), PIL.Image.Resampling.BOX)
    off = PIL.ImageChops.difference(first, to_pil(key)[0]).convert("L")
    assert np.asarray(off).mean() < 16


def test_a_film_that_cannot_be_is_refused(models, loaded):
    for changes, words in (({"mode": interpolate.MIXTURE}, "A mixture has no film"),
                           ({"frames": 100_000}, "100,000 frames"),
                           ({"stagger": 2}, "stagger is 2")):  # fmt: skip
        with pytest.raises(CocktailError, match=words):
            interpolate.film(settings(loaded, **changes), loaded, 10, "gif")
    mixed = {"strips": [strip(*(edited(loaded, n) for n in (KEYS[0], Mix(KEYS[0], KEYS[1], (0.5,) * 6))))]}
    with pytest.raises(CocktailError, match="has no z"):
        interpolate.film(replace(settings(loaded), keys=mixed, space="z"), loaded, 10, "gif")


# Library


def test_a_card_shows_what_a_model_says_of_itself_and_trusts_none_of_it(models, tmp_path):
    evil = "<script>alert(1)</script>"
    path = write(tmp_path / "evil", classes=("cat", "<b>"), title=evil, description=evil, licence=evil, parents=[evil],
                 scores={"<b>": {"frechet": 1.5, "floor": 0.25}}, recipe={"method": evil})  # fmt: skip
    made = cards.card(models.get(str(path)))
    assert "<script" not in made and "<b>" not in made and "onerror" not in made
    for words in ("16 × 16", "1.5", "0.25", "floor", "Recipe", "&lt;b&gt;"):
        assert words in made
    assert made.count("<img") == 8


def test_a_card_names_the_models_that_a_merge_was_made_from(models, tmp_path):
    parents = [{"ref": "bundled/cat", "classes": ["cat"], "licence": "mit"}, {"ref": "/home/me/pug"}, "me/owl"]
    made = cards.card(models.get(str(write(tmp_path / "merged", parents=parents))))
    assert "<dt>Made from</dt><dd>cat, pug, owl</dd>" in made and "/home" not in made.split("<details>")[0]


def test_a_card_survives_nonsense_in_its_model_card(models, tmp_path):
    path = write(tmp_path / "odd", scores=[1, 2], parents=None, images_seen="many", recipe=3)
    assert "<article" in cards.card(models.get(str(path)))


def test_a_broken_model_gets_a_card_that_says_why_and_no_models_an_advice(models, folder, tmp_path):
    torn = shutil.copytree(folder, tmp_path / "torn")
    (torn / "model.safetensors").write_bytes(b"short")
    made = cards.gallery(models, [str(torn), str(folder)])
    assert "damaged" in made and "Mine" in made
    assert "No models yet" in cards.gallery(models, [])


# Frame


def contrast(one: str, other: str) -> float:
    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


def test_class_colours_are_fixed_distinct_and_readable_in_both_themes():
    names = ["face", "cat", "dog", "car", *(str(i) for i in range(100)), "bird", "wild"]
    assert len({colours.class_colours(name) for name in names[:4]}) == 4
    for name in names:
        light, dark = colours.class_colours(name)
        assert contrast(light, "#ffffff") > 4.5 and contrast(dark, "#191d20") > 4.5
        assert (light, dark) == colours.class_colours(name)


def test_oklch_agrees_with_published_values():
    assert colours.oklch(1.0, 0.0, 0.0) == "#ffffff"
    assert colours.oklch(0.62796, 0.25768, 29.234) == "#ff0000"


def test_the_page_opens_without_any_model(monkeypatch):
    monkeypatch.setattr("cocktail.checkpoints.bundled", lambda: ())
    blocks = ui.build(Models(device=CPU))
    (value,) = [block.value for block in blocks.blocks.values() if getattr(block, "elem_id", None) == "sheet"]
    assert "Library" in value["empty"] and value["cells"] == []


def test_a_public_page_has_no_box_for_paths(folder):
    ids = {
        public: {getattr(block, "elem_id", None) for block in
                 ui.build(Models([str(folder)], public, CPU)).blocks.values()} for public in (True, False)
    }  # fmt: skip
    assert "library-path" in ids[False] and "library-path" not in ids[True]


def test_errors_become_notices_that_quote_text_harmlessly():
    def fail():
        raise CocktailError("<img src=x>")

    with pytest.raises(base.gr.Error) as caught:
        base.polite(fail)()
    assert "&lt;img" in caught.value.message


def test_every_event_but_sampling_is_private(models):
    events = ui.build(models).fns.values()
    open_to_all = [event.api_name for event in events if event.api_visibility != "private"]
    assert open_to_all == ["sample"]
    beside = {}
    for event in events:
        if event.queue and event.concurrency_id != base.DEVICE:
            beside.setdefault(event.concurrency_id, set()).add(event.name)
    assert beside.pop(invert.LONG) == {"arrive", "arrived", "invert", "train"}, "work of many seconds"
    assert beside.pop(merge.LONG) == {"recommended", "checked"}, "what is measured, one at a time"
    assert beside.pop(compare_actions.LONG) == {"measured", "moved"}, "minutes, while drawing goes on"
    # The others read folders and texts, and run no model.
    assert {name for names in beside.values() for name in names} == {
        "<lambda>", "acted", "again", "arrive", "branched", "budget", "cancelled", "choose", "cleared", "compose",
        "deleted", "edited", "extended", "fetched", "greeted",
        "picked", "recipe_loaded", "recount", "roll", "save", "started", "table", "tick", "watching",
    }  # fmt: skip


def test_what_writes_the_form_of_a_merge_waits_for_its_turn(models):
    events = [event for event in ui.build(models).fns.values() if event.name in ("compose", "edited", "recipe_loaded")]
    assert len(events) > 3 and {event.concurrency_id for event in events} == {launching.FORM}


def test_a_run_that_was_chosen_is_not_left_by_a_tick_that_was_sent_before(models):
    events = list(ui.build(models).fns.values())
    (tick,) = [event for event in events if event.name == "tick"]
    at = tick.inputs[0]
    assert isinstance(at, gr.State) and at in tick.outputs, "read and written when the event's turn comes"
    showing = [event for event in events if set(tick.outputs) <= set(event.outputs)]
    assert len(showing) > 8 and {event.concurrency_id for event in showing} == {tick.concurrency_id}
    shown = dict(zip(tick.outputs, tick.fn("/no/such/run", "", None, "", gr.Request()).values(), strict=True))
    assert shown[at] == ""


def test_app_refuses_a_missing_model_on_one_line():
    ended = subprocess.run(
        [sys.executable, "app.py", "--model", "/no/such/model"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: ") and ended.stderr.count("\n") == 1


@pytest.mark.parametrize("discriminator, words", [(True, "as the discriminator sees it"), (False, "by pixels")])
def test_lengths_say_by_what_they_are_measured(tiny, discriminator, words):
    name = interpolate.PerceptualDistance(tiny(("cat",), discriminator=discriminator)).name
    assert words in interpolate._told(torch.tensor([0.1, 0.2]), name)


def test_a_page_without_a_photo_inverts_a_drawing_that_no_model_saw(tiny):
    gan = tiny(("dog", "cat"), resolution=16)
    target, notes, name = invert.photo_of(Loaded("m", gan, "f" * 64), None)
    drawn, _ = domains.get("dog").draw(1, torch.Generator().manual_seed(invert.EXAMPLE), 16)
    assert torch.equal(target, drawn) and name == "drawn dog" and "dog" in notes[0]


def test_a_model_of_things_that_nobody_draws_inverts_a_sample_of_its_own(tiny):
    gan = tiny(("ship",), resolution=16)
    target, notes, name = invert.photo_of(Loaded("m", gan, "f" * 64), None)
    assert torch.equal(target, gan.sample([invert.EXAMPLE], "ship", 0.8)) and name == "sample" and "sample" in notes[0]
