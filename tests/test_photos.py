"""Pictures that people bring: what is made of them, and which are refused with a reason."""

import io
import struct
import zlib

import numpy as np
import PIL.Image
import pytest
import torch

from cocktail.errors import CocktailError
from editing.photos import read_photo


def encoded(image: PIL.Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def halves(width: int = 32, height: int = 32, mode: str = "RGB") -> PIL.Image.Image:
    """Red above, blue below."""
    image = PIL.Image.new("RGB", (width, height), (255, 0, 0))
    image.paste((0, 0, 255), (0, height // 2, width, height))
    return image.convert(mode)


def corner_colors(pixels: torch.Tensor) -> list[list[float]]:
    """Top left and bottom right, rounded to whole numbers."""
    return [pixels[0, :, 0, 0].round().tolist(), pixels[0, :, -1, -1].round().tolist()]


RED, BLUE = [1, -1, -1], [-1, -1, 1]


def test_a_plain_picture_keeps_its_pixels_and_needs_no_note():
    array = np.random.RandomState(0).randint(0, 256, (16, 16, 3), dtype=np.uint8)
    pixels, notes = read_photo(encoded(PIL.Image.fromarray(array)), 16)
    assert pixels.dtype == torch.float32 and pixels.shape == (1, 3, 16, 16) and notes == ()
    assert torch.equal(pixels[0], torch.from_numpy(array).permute(2, 0, 1) / 127.5 - 1)


def test_a_file_and_its_bytes_give_the_same(tmp_path):
    path = tmp_path / "halves.png"
    path.write_bytes(encoded(halves()))
    for source in (path, str(path)):
        assert torch.equal(read_photo(source, 16)[0], read_photo(path.read_bytes(), 16)[0])


def test_the_middle_square_is_taken_and_told():
    image = PIL.Image.new("RGB", (64, 48), (0, 255, 0))
    image.paste((255, 0, 0), (8, 0, 56, 48))
    pixels, notes = read_photo(encoded(image), 16)
    assert notes == ("Cropped to the middle square, 48 of 64 pixels.",)
    red = torch.tensor([1.0, -1, -1])[None, :, None, None]
    assert torch.allclose(pixels[..., 1:-1], red.expand(1, 3, 16, 14), atol=0.05)  # the filter looks over the edge


def test_reducing_averages_over_areas():
    checks = np.indices((64, 64)).sum(axis=0) % 2 * 255
    pixels, _ = read_photo(encoded(PIL.Image.fromarray(checks.astype(np.uint8)).convert("RGB")), 16)
    assert pixels.abs().max() < 0.02


def test_a_small_picture_is_enlarged_and_told():
    pixels, notes = read_photo(encoded(halves(8, 8)), 16)
    assert corner_colors(pixels) == [RED, BLUE] and notes == ("Enlarged from 8 to 16 pixels, so it is soft.",)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_camera_that_was_held_sideways_is_put_upright(kind):
    exif = PIL.Image.Exif()
    exif[0x0112] = 3  # upside down
    pixels, notes = read_photo(encoded(halves(), kind, exif=exif), 16)
    assert corner_colors(pixels) == [BLUE, RED] and notes == ("Turned upright, as the camera noted.",)


@pytest.mark.parametrize(
    "mode, kind", [("P", "PNG"), ("P", "GIF"), ("RGBA", "PNG"), ("CMYK", "TIFF"), ("CMYK", "JPEG")]
)
def test_other_color_modes_show_the_same_colors(mode, kind):
    pixels, notes = read_photo(encoded(halves(mode=mode), kind), 16)
    assert corner_colors(pixels) == [RED, BLUE]
    assert bool(notes) == (mode == "CMYK")


def test_transparent_parts_lie_on_white_and_are_told():
    clear = PIL.Image.new("RGBA", (16, 16), (255, 0, 0, 0))
    palette = PIL.Image.new("P", (16, 16), 0)
    for data in (encoded(clear), encoded(palette, transparency=0), encoded(PIL.Image.new("LA", (16, 16), (0, 0)))):
        pixels, notes = read_photo(data, 16)
        assert torch.equal(pixels, torch.ones(1, 3, 16, 16)) and notes == ("Transparent parts lie on white.",)


def test_grey_of_8_and_of_16_bits_gives_the_same_grey():
    ramp = np.arange(0, 256, dtype=np.uint16).reshape(16, 16)
    narrow, _ = read_photo(encoded(PIL.Image.fromarray(ramp.astype(np.uint8))), 16)
    for kind in ("PNG", "TIFF"):
        wide, _ = read_photo(encoded(PIL.Image.fromarray(ramp * 257), kind), 16)
        assert torch.equal(wide, narrow) and torch.equal(wide[:, 0], wide[:, 2])


def test_numbers_without_a_white_are_stretched():
    ramp = np.linspace(-3, 7, 256, dtype=np.float32).reshape(16, 16)
    pixels, _ = read_photo(encoded(PIL.Image.fromarray(ramp), "TIFF"), 16)
    assert pixels.min() == -1 and pixels.max() == 1


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_of_an_animation_the_first_frame_is_taken_and_told(kind):
    frames = {"save_all": True, "append_images": [halves().rotate(180)], "duration": 100}
    pixels, notes = read_photo(encoded(halves(), kind, **frames), 16)
    assert corner_colors(pixels) == [RED, BLUE] and notes == ("The file holds several frames; the first one is taken.",)


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header promises a size and whose data is a few bytes."""

    def part(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(b"\0")) + part(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    "data, words",
    [(png_of_size(12_000, 10_000), "120 megapixels.*at most 100"), (png_of_size(60_000, 60_000), "far more than"),
     (b"", "no picture"), (b"just words", "no picture.*HEIC"), (encoded(halves())[:60], "damaged or cut off"),
     (encoded(halves(), "JPEG")[:-20], "damaged or cut off"), (encoded(halves(7, 64)), "7 x 64.*at least 8"),
     (png_of_size(64, 64), "damaged or cut off"), (encoded(halves(), "EPS"), "no picture")],
    ids=["too-large", "bomb", "empty", "text", "cut-png", "cut-jpeg", "too-small", "no-pixels", "eps"],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_with_a_reason(data, words):
    with pytest.raises(CocktailError, match=words):
        read_photo(data, 16)


def test_a_path_that_cannot_be_opened_says_why_and_tells_no_folder(tmp_path):
    for path, words in ((tmp_path / "gone.png", "gone.png cannot be opened: No such file"), (tmp_path, "directory")):
        with pytest.raises(CocktailError, match=words) as caught:
            read_photo(path, 16)
        assert str(tmp_path.parent) not in str(caught.value)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"])
def test_damaged_bytes_give_a_picture_or_a_reason_never_another_error(kind):
    whole, rng = encoded(halves(), kind), np.random.RandomState(0)
    for _ in range(60):
        torn = bytearray(whole)
        for place in rng.randint(0, len(torn), 4):
            torn[place] = rng.randint(256)
        try:
            pixels, _ = read_photo(bytes(torn), 16)
        except CocktailError:
            continue
        assert pixels.shape == (1, 3, 16, 16)
