"""Films: what players will find in them, and what cannot be filmed."""

import importlib.util
import io
import sys
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest

from cocktail.errors import CocktailError
from editing import animation
from editing.animation import LEAST_SIDE, film, kinds

GREYS = (0, 40, 80, 120, 160, 200, 240)


def flat(*greys: int, size: tuple[int, int] = (64, 64)) -> list[PIL.Image.Image]:
    return [PIL.Image.new("RGB", size, (grey, grey, grey)) for grey in greys]


def played(data: bytes) -> tuple[PIL.Image.Image, list[int], list[int]]:
    """The opened film, the milliseconds of each frame, and the grey in the middle of each."""
    opened, times, greys = PIL.Image.open(io.BytesIO(data)), [], []
    for i in range(opened.n_frames):
        opened.seek(i)
        opened.load()
        times.append(opened.info["duration"])
        greys.append(opened.convert("RGB").getpixel((opened.width // 2, opened.height // 2))[1])
    return opened, times, greys


@pytest.mark.parametrize("kind", ["webp", "gif"])
@pytest.mark.parametrize("fps, each", [(1, 1000), (10, 100), (25, 40)])
def test_a_film_holds_every_frame_in_order_at_its_rate_and_repeats(kind, fps, each):
    opened, times, greys = played(film(flat(*GREYS), kind, fps))
    assert opened.format == kind.upper() and opened.info["loop"] == 0
    assert times == [each] * len(GREYS)
    assert greys == pytest.approx(GREYS, abs=3)


def test_a_gif_is_never_faster_than_players_play_it():
    assert played(film(flat(*GREYS), "gif", 60))[1] == [20] * len(GREYS)
    assert played(film(flat(*GREYS), "webp", 60))[1] == [17] * len(GREYS)


@pytest.mark.parametrize("kind", ["webp", "gif"])
def test_frames_that_repeat_keep_the_length_of_the_film(kind):
    _, times, greys = played(film(flat(0, 0, 80, 80, 80, 160), kind, 10))
    assert sum(times) == 600 and list(dict.fromkeys(greys)) == pytest.approx([0, 80, 160], abs=3)


@pytest.mark.parametrize(
    "size, shown",
    [((8, 8), (256, 256)), ((64, 64), (256, 256)), ((64, 48), (256, 192)), ((100, 100), (300, 300)),
     ((256, 256), (256, 256)), ((300, 200), (300, 200))],
)  # fmt: skip
def test_small_frames_are_enlarged_by_a_whole_number_and_large_ones_left(size, shown):
    assert PIL.Image.open(io.BytesIO(film(flat(0, 200, size=size), "webp", 10))).size == shown
    assert max(shown) >= LEAST_SIDE and shown[0] % size[0] == 0
    assert PIL.Image.open(io.BytesIO(film(flat(0, 200, size=size), "webp", 10, exact=True))).size == size


def test_a_gif_has_the_colours_of_its_pictures():
    rng = np.random.RandomState(0)
    noise = [PIL.Image.fromarray(rng.randint(0, 256, (4, 4, 3)).astype(np.uint8)) for _ in range(8)]
    opened = PIL.Image.open(io.BytesIO(film(noise, "gif", 10, exact=True)))
    for i, frame in enumerate(noise):
        opened.seek(i)
        off = np.abs(np.asarray(opened.convert("RGB")).astype(int) - np.asarray(frame))
        assert off.mean() < 3, "128 colours fit a palette of 256"


@pytest.mark.parametrize(
    "frames, kind, fps, words",
    [([], "webp", 10, "there is none"), (flat(0), "gif", 10, "there is 1"), (flat(0, 1), "avi", 10, "'avi' cannot be"),
     (flat(0, 1), "avi", 10, "known: webp, gif, mp4"), (flat(0, 1), "webp", 0, "rate is 0"),
     (flat(0, 1), "webp", 61, "rate is 61 frames per second; expected 1 to 60"),
     (flat(0, 1), "gif", float("nan"), "rate is nan")],
)  # fmt: skip
def test_what_is_no_film_is_refused(frames, kind, fps, words):
    with pytest.raises(CocktailError, match=words):
        film(frames, kind, fps)


def test_mp4_without_its_encoder_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert kinds() == ["webp", "gif"]
    with pytest.raises(CocktailError, match="pip install imageio-ffmpeg"):
        film(flat(0, 200), "mp4", 10)


@pytest.mark.parametrize("code", [0, 1])
def test_mp4_gets_raw_frames_of_even_sides_and_a_failure_is_told(monkeypatch, code):
    asked = {}

    def run(command: list[str], input: bytes, capture_output: bool) -> SimpleNamespace:
        asked["size"], asked["bytes"] = command[command.index("-s") + 1], len(input)
        with open(command[-1], "wb") as file:
            file.write(b"film")
        return SimpleNamespace(returncode=code, stderr=b"no such codec")

    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", SimpleNamespace(get_ffmpeg_exe=lambda: "ffmpeg"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(animation.subprocess, "run", run)
    if code:
        with pytest.raises(CocktailError, match="no such codec Use WebP"):
            film(flat(0, 200, size=(301, 257)), "mp4", 10)
    else:
        assert film(flat(0, 200, size=(301, 257)), "mp4", 10) == b"film"
    assert asked == {"size": "300x256", "bytes": 2 * 300 * 256 * 3}
