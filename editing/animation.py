"""Pictures in a row as a film: animated WebP and GIF by Pillow, MP4 where imageio-ffmpeg is installed."""

import importlib.util
import io
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import PIL.Image

from cocktail.errors import CocktailError

FPS = (1, 60)
LEAST_SIDE = 256  # smaller pictures are enlarged smoothly: players show a 64-pixel film as a stamp


def kinds() -> list[str]:
    """What can be written here: "webp", "gif", and "mp4" where imageio-ffmpeg is installed."""
    return ["webp", "gif"] + (["mp4"] if importlib.util.find_spec("imageio_ffmpeg") else [])


def film(frames: Sequence[PIL.Image.Image], kind: str, fps: float, exact: bool = False) -> bytes:
    """The bytes of a film that repeats for ever, enlarged to LEAST_SIDE unless `exact`.

    Raises: CocktailError on fewer than two frames, a rate outside FPS, an unknown kind, or MP4 without its encoder.
    """
    if len(frames) < 2:
        raise CocktailError(f"A film needs two frames or more; there is {len(frames) or 'none'}.")
    if not FPS[0] <= fps <= FPS[1]:
        raise CocktailError(f"The rate is {fps:g} frames per second; expected {FPS[0]} to {FPS[1]}.")
    if kind not in WRITERS:
        raise CocktailError(f"Films of kind {kind!r} cannot be written; known: {', '.join(WRITERS)}.")
    if kind not in kinds():
        raise CocktailError("MP4 needs an encoder: pip install imageio-ffmpeg. WebP and GIF work without.")
    return WRITERS[kind](list(frames) if exact else [_enlarged(frame) for frame in frames], fps)


def _enlarged(frame: PIL.Image.Image) -> PIL.Image.Image:
    times = -(-LEAST_SIDE // max(frame.size))
    if times == 1:
        return frame
    return frame.resize((frame.width * times, frame.height * times), PIL.Image.Resampling.BICUBIC)


def _webp(frames: list[PIL.Image.Image], fps: float) -> bytes:
    return _by_pillow(frames, fps, "WEBP", quality=90, method=2)


def _gif(frames: list[PIL.Image.Image], fps: float) -> bytes:
    # One palette for all frames, taken from a few of them, so that flat colours do not flicker.
    some = frames[:: max(1, len(frames) // 8)]
    strip = PIL.Image.new("RGB", (sum(frame.width for frame in some), some[0].height))
    for i, frame in enumerate(some):
        strip.paste(frame, (i * frame.width, 0))
    palette = strip.quantize(256, PIL.Image.Quantize.MEDIANCUT)
    indexed = [frame.convert("RGB").quantize(palette=palette, dither=PIL.Image.Dither.NONE) for frame in frames]
    return _by_pillow(indexed, fps, "GIF", optimize=False, disposal=1)


def _by_pillow(frames: list[PIL.Image.Image], fps: float, format_name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    # GIF counts in hundredths of a second, and players show anything below two of them slowly.
    duration = max(20, round(100 / fps) * 10) if format_name == "GIF" else round(1000 / fps)
    frames[0].save(buffer, format_name, save_all=True, append_images=frames[1:], duration=duration, loop=0, **options)
    return buffer.getvalue()


def _mp4(frames: list[PIL.Image.Image], fps: float) -> bytes:
    import imageio_ffmpeg

    width, height = (side - side % 2 for side in frames[0].size)  # H.264 takes even sides only
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        command = [
            imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24",
            "-s", f"{width}x{height}", "-r", f"{fps:g}", "-i", "-", "-pix_fmt", "yuv420p", "-crf", "18",
            "-threads", "1", "-movflags", "+faststart", str(path),
        ]  # fmt: skip
        raw = b"".join(frame.convert("RGB").crop((0, 0, width, height)).tobytes() for frame in frames)
        done = subprocess.run(command, input=raw, capture_output=True)
        if done.returncode:
            raise CocktailError(f"The MP4 encoder failed: {done.stderr.decode(errors='replace')[-200:]} Use WebP.")
        return path.read_bytes()


WRITERS: dict[str, Callable[[list[PIL.Image.Image], float], bytes]] = {"webp": _webp, "gif": _gif, "mp4": _mp4}
