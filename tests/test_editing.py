"""Recipes inside pictures, and pictures from recipes."""

import json
from dataclasses import replace

import numpy as np
import PIL.Image
import pytest
import torch

from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.images import to_pil
from cocktail.networks.stylegan2 import Generator, GeneratorConfig
from editing.latents import codes, draw, render
from editing.recipes import PictureRecipe, fingerprint, from_png, model_name, read, to_png


def tiny(classes: tuple[str, ...] = ("cat", "dog"), seed: int = 0) -> Gan:
    torch.manual_seed(seed)
    config = GeneratorConfig(
        img_resolution=16, z_dim=8, c_dim=len(classes), w_dim=8, mapping_layers=2, channels=(8, 8, 8)
    )
    return Gan(Generator(config).eval().requires_grad_(False), None, classes)


@pytest.fixture(scope="module")
def gan() -> Gan:
    return tiny()


@pytest.fixture
def recipe(gan) -> PictureRecipe:
    return PictureRecipe("tiny", fingerprint(gan), ("cat", "dog"), (3, 5, 8), psi=0.7)


def pixels(image: PIL.Image.Image) -> list:
    return np.asarray(image).tolist()


def test_png_keeps_the_recipe_and_the_exact_pixels(gan, recipe, tmp_path):
    cell = recipe.cells()[4]
    image = render(gan, cell, fingerprint(gan))
    path = tmp_path / "dog.png"
    path.write_bytes(to_png(image, cell))
    assert from_png(path) == cell
    assert pixels(PIL.Image.open(path)) == pixels(image)
    assert pixels(render(gan, from_png(path), fingerprint(gan))) == pixels(image)


def test_cells_go_row_by_row_and_draw_what_the_model_samples(gan, recipe):
    cells = recipe.cells()
    assert [(cell.labels, cell.seeds) for cell in cells] == [
        (("cat",), (3,)), (("cat",), (5,)), (("cat",), (8,)), (("dog",), (3,)), (("dog",), (5,)), (("dog",), (8,)),
    ]  # fmt: skip
    drawn = [pixels(to_pil(picture)[0]) for picture in draw(gan, recipe)]
    dogs = to_pil(gan.sample([3, 5, 8], "dog", truncation=0.7))
    assert drawn[3:] == [pixels(dog) for dog in dogs]
    assert len({str(picture) for picture in drawn}) == 6


def test_a_picture_alone_equals_the_picture_on_its_sheet_with_random_noise_too(recipe):
    gan = tiny()
    with torch.no_grad():
        for name, value in gan.generator.named_parameters():
            if name.endswith("noise_strength"):
                value.fill_(0.5)
    sheet = replace(recipe, fingerprint=fingerprint(gan), noise_mode="random", noise_seed=9)
    together = [pixels(to_pil(picture)[0]) for picture in draw(gan, sheet)]
    alone = [pixels(render(gan, cell, fingerprint(gan))) for cell in sheet.cells()]
    assert together == alone
    other = [pixels(to_pil(picture)[0]) for picture in draw(gan, replace(sheet, noise_seed=10))]
    assert together[0] != other[0]


def test_random_noise_leaves_the_global_generator_alone(gan, recipe):
    torch.manual_seed(4)
    expected = torch.randn(3)
    torch.manual_seed(4)
    list(draw(gan, replace(recipe, noise_mode="random")))
    assert torch.equal(torch.randn(3), expected)


def test_codes_have_one_row_per_picture_and_obey_the_cutoff(gan, recipe):
    full = codes(gan, recipe)
    assert full.shape == (6, gan.num_ws, gan.w_dim)
    partly = codes(gan, replace(recipe, cutoff=1))
    free = codes(gan, replace(recipe, psi=1.0))
    assert torch.equal(partly[:, :1], full[:, :1]) and torch.equal(partly[:, 1:], free[:, 1:])


def test_unconditional_models_have_recipes_without_labels():
    gan = tiny(classes=())
    recipe = PictureRecipe("plain", fingerprint(gan), (), (1, 2))
    assert len(list(draw(gan, recipe))) == len(recipe.cells()) == 2
    assert recipe.describe() == "2 seeds, psi 1"


def test_fingerprint_tells_models_apart_by_weights_and_class_names(gan):
    assert fingerprint(gan) == fingerprint(gan.copy())
    renamed = Gan(gan.generator, None, ("cat", "wolf"))
    assert len({fingerprint(gan), fingerprint(tiny(seed=1)), fingerprint(renamed)}) == 3


def test_another_model_refuses_the_recipe(recipe):
    other = tiny(seed=1)
    with pytest.raises(CocktailError, match="belong to the model 'tiny'"):
        render(other, recipe, fingerprint(other))


def test_a_path_on_disk_is_not_told_in_a_picture():
    assert model_name("/home/me/secret/my-union") == "my-union"
    assert model_name("bundled/union") == "bundled/union"


@pytest.mark.parametrize(
    "change, words",
    [({"seeds": []}, "seeds"), ({"seeds": [-1]}, "seeds"), ({"seeds": ["0"]}, "seeds"), ({"seeds": 3}, "list"),
     ({"psi": float("nan")}, "psi"), ({"psi": 50}, "psi"), ({"psi": "1"}, "psi"), ({"cutoff": -2}, "cutoff"),
     ({"noise_mode": "loud"}, "noise_mode"), ({"version": 7}, "version"), ({"labels": [1]}, "labels"),
     ({"seeds": list(range(5000))}, "4096"), ({"model": 4}, "model"),
     ({"psi": 10**400}, "psi")],
)  # fmt: skip
def test_a_recipe_from_outside_is_checked(recipe, change, words):
    data = json.loads(recipe.to_json()) | change
    with pytest.raises(CocktailError, match=words):
        read(json.dumps(data))


@pytest.mark.parametrize("text", ["", "[]", "3", "{", "[" * 100000, None, '{"version": 1}'])
def test_what_is_no_recipe_is_refused(text):
    with pytest.raises(CocktailError):
        read(text)


def test_pictures_without_a_recipe_are_refused_with_a_reason(tmp_path, gan, recipe):
    plain = tmp_path / "plain.png"
    PIL.Image.new("RGB", (8, 8)).save(plain)
    torn = tmp_path / "torn.png"
    torn.write_bytes(to_png(render(gan, recipe, recipe.fingerprint), recipe)[:60])
    text = tmp_path / "note.png"
    text.write_text("no picture")
    for path, words in ((plain, "holds no settings"), (torn, "cannot be opened"), (text, "cannot be opened"),
                        (tmp_path / "gone.png", "No such file")):  # fmt: skip
        with pytest.raises(CocktailError, match=words):
            from_png(path)
