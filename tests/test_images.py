"""Conversions between tensors and pictures, grids, and seeds as people type them."""

import io

import numpy as np
import PIL.Image
import pytest
import torch

from cocktail.errors import CocktailError
from cocktail.images import from_pil, from_uint8, grid, resize, to_pil, to_uint8
from cocktail.seeds import MAX_SEED, parse_seeds


def test_to_uint8_maps_as_stylegan_does_and_truncates():
    x = torch.tensor([-2.0, -1.0, -0.5, 0.0, 0.5, 0.99999, 1.0, 2.0]).reshape(1, 1, 1, 8).expand(1, 3, 1, 8)
    expected = [0, 0, 64, 128, 191, 255, 255, 255]  # 127.5 x + 128: -0.5 -> 64.25, 0.5 -> 191.75
    assert to_uint8(x)[0, 0, 0].tolist() == expected
    assert to_uint8(x).dtype == torch.uint8


def test_uint8_survives_the_way_to_float_and_back():
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).expand(1, 3, 16, 16)
    assert from_uint8(levels).min() == -1 and from_uint8(levels).max() == 1
    assert torch.equal(to_uint8(from_uint8(levels)), levels)


def test_pictures_survive_the_way_to_pil_and_back():
    img = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pictures = to_pil(img)
    assert [p.size for p in pictures] == [(16, 16)] * 3
    assert torch.equal(from_pil(pictures, 16), img)
    assert np.array_equal(np.asarray(to_pil(from_uint8(img))[1]), np.asarray(pictures[1]))


def test_to_pil_refuses_what_is_no_batch_of_rgb():
    with pytest.raises(CocktailError, match=r"\[3, 8, 8\]; expected \[N,3,H,W\]"):
        to_pil(torch.zeros(3, 8, 8))


def test_from_pil_crops_the_centre():
    array = np.zeros((8, 24, 3), dtype=np.uint8)
    array[:, 8:16] = (250, 100, 50)
    img = from_pil(PIL.Image.fromarray(array), 8)
    assert (img == torch.tensor([250, 100, 50], dtype=torch.uint8)[None, :, None, None]).all()


def test_from_pil_lays_transparent_pixels_on_white_and_takes_grey():
    clear = PIL.Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    grey = PIL.Image.new("L", (8, 8), 77)
    img = from_pil([clear, grey], 4)
    assert (img[0] == 255).all() and (img[1] == 77).all()


def test_from_pil_turns_a_photo_upright():
    photo = PIL.Image.new("RGB", (8, 8))
    photo.putpixel((0, 0), (255, 255, 255))
    exif = photo.getexif()
    exif[0x0112] = 3  # rotated by 180 degrees
    stored = io.BytesIO()
    photo.save(stored, format="PNG", exif=exif)
    assert from_pil(PIL.Image.open(stored), 8)[0, 0, 7, 7] == 255


def test_from_pil_names_a_broken_picture():
    stored = io.BytesIO()
    noise = np.random.RandomState(0).randint(0, 256, (64, 64, 3), dtype=np.uint8)
    PIL.Image.fromarray(noise).save(stored, format="PNG")
    broken = PIL.Image.open(io.BytesIO(stored.getvalue()[:3000]))
    with pytest.raises(CocktailError, match="cannot be decoded"):
        from_pil(broken, 16)


def test_grid_places_pictures_row_by_row_on_white():
    img = torch.stack([torch.full((3, 4, 6), v, dtype=torch.uint8) for v in (10, 20, 30)])
    sheet = np.asarray(grid(img, columns=2, pad=2))
    assert sheet.shape == (4 + 2 + 4, 6 + 2 + 6, 3)
    assert (sheet[:4, :6] == 10).all() and (sheet[:4, 8:] == 20).all() and (sheet[6:, :6] == 30).all()
    assert (sheet[4:6] == 255).all() and (sheet[6:, 6:] == 255).all()


@pytest.mark.parametrize("count, columns", [(0, 3), (3, 0)])
def test_grid_refuses_nothing_and_no_columns(count, columns):
    with pytest.raises(CocktailError):
        grid(torch.zeros(count, 3, 4, 4), columns)


def test_resize_down_is_the_mean_over_areas():
    img = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    means = img.reshape(2, 3, 4, 4, 4, 4).mean(dim=(3, 5))
    torch.testing.assert_close(resize(img, 4), means)


def test_resize_up_keeps_flat_pictures_flat_and_the_same_size_the_same():
    flat = torch.full((1, 3, 8, 8), 0.25)
    torch.testing.assert_close(resize(flat, 32), torch.full((1, 3, 32, 32), 0.25))
    assert resize(flat, 8) is flat


@pytest.mark.parametrize(
    "text, seeds",
    [
        ("7", [7]),
        ("0-3,8", [0, 1, 2, 3, 8]),
        (" 5 , 2 - 3 ", [5, 2, 3]),
        ("4-4", [4]),
        ("1,1", [1, 1]),
        ("0" * 5000 + "3", [3]),
        (str(MAX_SEED), [MAX_SEED]),
    ],
)
def test_seeds_are_read_as_people_type_them(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "no seed given"),
        (" , ", "no seed given"),
        ("a-b", "neither a number nor a range"),
        ("1.5", "neither a number nor a range"),
        ("1-2-3", "neither a number nor a range"),
        ("3--5", "neither a number nor a range"),
        ("5-1", 'run backwards; write "1-5"'),
        ("-3", "is negative"),
        (str(MAX_SEED + 1), "too large"),
        ("9" * 5000, "too large"),
        ("0-4294967295", "more than 10000"),
    ],
)
def test_seeds_that_mean_nothing_are_refused_with_a_reason(text, message):
    with pytest.raises(CocktailError, match=message):
        parse_seeds(text)


def test_the_limit_of_seeds_counts_all_parts():
    assert len(parse_seeds("0-4,10-14", limit=10)) == 10
    with pytest.raises(CocktailError, match="more than 10"):
        parse_seeds("0-4,10-15", limit=10)
