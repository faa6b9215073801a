"""One colour per class, the same in every chip, border, row label and plot, by day and by night."""

import math
import zlib

# The four drawn domains are told apart at a glance; any other name gets the hue that its bytes give.
HUES = {"face": 32.0, "cat": 300.0, "dog": 82.0, "car": 248.0}
LIGHT, DARK = (0.50, 0.135), (0.79, 0.115)  # lightness and chroma: 4.5:1 or more against the page in both themes


def class_colours(name: str) -> tuple[str, str]:
    """The colours of a class as "#rrggbb", for the light and for the dark theme."""
    # The golden angle spreads names that differ by one digit.
    hue = HUES.get(name, zlib.crc32(name.encode()) * 137.508 % 360)
    return oklch(*LIGHT, hue), oklch(*DARK, hue)


def of(label: str | None) -> dict:
    """A class, or none, with its colours, as the browser's pictures and heads carry it."""
    light, dark = class_colours(label or "")
    return {"label": label or "", "light": light, "dark": dark}


def style(name: str) -> str:
    """The two colours as CSS variables for a style attribute."""
    light, dark = class_colours(name)
    return f"--c-light:{light};--c-dark:{dark}"


def oklch(lightness: float, chroma: float, hue: float) -> str:
    """OKLCH (lightness 0-1, chroma, hue in degrees) as "#rrggbb" in sRGB, clipped (Ottosson, 2020)."""
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    return "#" + "".join(f"{round(255 * _gamma(min(1.0, max(0.0, value)))):02x}" for value in linear)


def _gamma(value: float) -> float:
    return 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055
