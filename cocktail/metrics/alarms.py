"""When the scores of a run say that it goes wrong: collapse and divergence, in plain words."""

from collections.abc import Mapping, Sequence

MEND = "Lower the learning rate, raise gamma, or branch from an earlier point."
LOW_SPREAD, LEAST_SPREAD = 0.3, 0.15  # share of the source's spread: alarming while it falls, and in any case
WORSE, FAR = 3.0, 10.0  # times the best distance so far, and times the floor


def alarms(name: str, points: Sequence[Mapping[str, float]], floor: float) -> list[str]:
    """What is wrong with a class after its last point: a sentence each for collapse and divergence, or none.

    points: {"images", "frechet", "spread"} in the order of training, as `Watch.measure` gives them; floor: the
    sources' own score. Collapse: spread below 0.15, or below 0.3 and falling. Divergence: at the last two points,
    a distance of more than 3 times the best so far and 10 times the floor.
    """
    return [text for text in (_collapse(name, points), _divergence(name, points, floor)) if text]


def _collapse(name: str, points: Sequence[Mapping[str, float]]) -> str | None:
    if not points:
        return None
    last = points[-1]
    falling = len(points) > 1 and last["spread"] < points[-2]["spread"]
    if last["spread"] >= LEAST_SPREAD and not (last["spread"] < LOW_SPREAD and falling):
        return None
    return (
        f"{name}: collapse at image {int(last['images']):,}: the pictures differ {last['spread']:.0%} as much as the "
        f"source's. {MEND}"
    )


def _divergence(name: str, points: Sequence[Mapping[str, float]], floor: float) -> str | None:
    if len(points) < 2 or not all(_diverged(points[:end], floor) for end in (len(points) - 1, len(points))):
        return None
    last, best = points[-1], min(points, key=lambda point: point["frechet"])
    return (
        f"{name}: divergence at image {int(last['images']):,}: Frechet distance {last['frechet']:.3g}, after "
        f"{best['frechet']:.3g} at image {int(best['images']):,}; the sources' own score is {floor:.3g}. {MEND}"
    )


def _diverged(points: Sequence[Mapping[str, float]], floor: float) -> bool:
    distances = [point["frechet"] for point in points]
    return distances[-1] > max(WORSE * min(distances), FAR * floor)
