"""Times and sizes as people say them."""

UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"))
EARLY, LATE = 0.85, 1.2  # what is left is said as a range around what is measured


def duration(low_sec: float, high_sec: float) -> str:
    """A span of seconds in the unit that suits it: "2 to 3 minutes"."""
    unit, name = next(((u, n) for u, n in UNITS if low_sec >= 1.5 * u), (1, "second"))
    first, last = (max(1, round(value / unit)) for value in (low_sec, high_sec))
    return f"{first} to {last} {name}s" if first < last else f"{last} {name}{'s' if last > 1 else ''}"


def time_left(sec: float) -> str:
    """Seconds still to come as a range, which does not count down to the second."""
    return duration(EARLY * sec, LATE * sec) if sec >= 60 else "less than a minute"


def size(count: int) -> str:
    """Bytes: "60 MB"."""
    if count < 5e5:
        return f"{max(1, round(count / 1e3))} kB"
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{max(1, round(count / 1e6))} MB"
