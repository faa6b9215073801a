"""The parts of the page that need no browser."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import ui
from cocktail.checkpoints import save
from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.hardware import available_threads
from cocktail.networks.stylegan2 import Generator, GeneratorConfig
from cocktail.seeds import parse_seeds
from editing.recipes import PictureRecipe
from ui import base, colours, library, sheet, shelf
from ui.models import Models
from ui.plan import ALL, MAX_PICTURES, Settings, opening, plan, resized, seed_text, shuffled

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
    assert sheet.data_uri(big, recipe).startswith("data:image/webp")
    assert sheet.data_uri(big[:, :, :128, :128], recipe).startswith("data:image/png")


# Shelf


def test_every_visitor_has_a_shelf_under_a_key_that_cannot_be_guessed_or_planted():
    shelves = shelf.Shelves()
    key, _ = shelves.enter("")
    other, _ = shelves.enter("chosen-by-somebody")
    assert key != other != "chosen-by-somebody" and len(key) >= 24
    assert shelves.enter(key)[0] == key


def test_a_shelf_is_forgotten_after_its_time():
    shelves = shelf.Shelves(lifetime_sec=0)
    key, _ = shelves.enter(None)
    assert shelves.enter(key)[0] != key


def test_a_pick_holds_codes_and_a_picture(models, folder, monkeypatch):
    monkeypatch.setattr(shelf, "SHELVES", shelf.Shelves())
    loaded = models.get(str(folder))
    recipe = plan(loaded, Settings("", 0, "7", 0.8, None, "const"))
    from editing.latents import render

    key, view = shelf.add("", loaded, recipe, render(loaded.gan, recipe, loaded.fingerprint))
    (item,) = view["picks"]
    assert (item["name"], item["made"]) == ("cat #7", "cat, seed 7, psi 0.8")
    (pick,) = shelf.SHELVES.enter(key)[1].picks
    assert pick.ws.shape == (loaded.gan.num_ws, 8) and pick.model == str(folder)


# Library


def test_a_card_shows_what_a_model_says_of_itself_and_trusts_none_of_it(models, tmp_path):
    evil = "<script>alert(1)</script>"
    path = write(tmp_path / "evil", classes=("cat", "<b>"), title=evil, description=evil, licence=evil, parents=[evil],
                 scores={"<b>": {"frechet": 1.5, "floor": 0.25}}, recipe={"method": evil})  # fmt: skip
    made = library.card(models.get(str(path)))
    assert "<script" not in made and "<b>" not in made and "onerror" not in made
    for words in ("16 × 16", "1.5", "0.25", "floor", "Recipe", "&lt;b&gt;"):
        assert words in made
    assert made.count("<img") == 8


def test_a_card_names_the_models_that_a_merge_was_made_from(models, tmp_path):
    parents = [{"ref": "bundled/cat", "classes": ["cat"], "licence": "mit"}, {"ref": "/home/me/pug"}, "me/owl"]
    made = library.card(models.get(str(write(tmp_path / "merged", parents=parents))))
    assert "<dt>Made from</dt><dd>cat, pug, owl</dd>" in made and "/home" not in made.split("<details>")[0]


def test_a_card_survives_nonsense_in_its_model_card(models, tmp_path):
    path = write(tmp_path / "odd", scores=[1, 2], parents=None, images_seen="many", recipe=3)
    assert "<article" in library.card(models.get(str(path)))


def test_a_broken_model_gets_a_card_that_says_why_and_no_models_an_advice(models, folder, tmp_path):
    torn = shutil.copytree(folder, tmp_path / "torn")
    (torn / "model.safetensors").write_bytes(b"short")
    made = library.gallery(models, [str(torn), str(folder)])
    assert "damaged" in made and "Mine" in made
    assert "No models yet" in library.gallery(models, [])


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
    assert all(event.concurrency_id == base.DEVICE for event in events if event.queue)


def test_app_refuses_a_missing_model_on_one_line():
    ended = subprocess.run(
        [sys.executable, "app.py", "--model", "/no/such/model"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: ") and ended.stderr.count("\n") == 1
