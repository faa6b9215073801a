"""How far the stages of a run are, how fast, and how long the rest will take."""

import json
from dataclasses import dataclass

from cocktail.runs.folder import Run, published

ESTIMATE = "estimate.json"
FIT_SPEED = 2.5  # pictures per second of a fit against adversarial training, until either is measured
RECENT = 0.3  # of a stage's reports: the part whose speed counts


@dataclass(frozen=True)
class Stage:
    """A stage of the plan: pictures seen, of how many, in how many seconds of work."""

    name: str
    images: int
    total: int
    sec: float
    fit: bool
    done: bool

    @property
    def title(self) -> str:
        kind, _, rest = self.name.partition("/")
        return {"root": f"rooting {rest}", "distill": "fitting", "merge": "merging",
                "extra": f"merging further {rest}"}.get(kind, self.name)  # fmt: skip


def stage_of(run: Run, planned: dict, entries: list[dict]) -> Stage:
    own = [entry for entry in entries if entry.get("stage") == planned["name"]]
    images, sec = max((e["images"] for e in own), default=0), max((e.get("sec", 0.0) for e in own), default=0.0)
    done = published(run.stage(planned["name"]))
    return Stage(planned["name"], min(images, planned["images"]), planned["images"], sec, planned["fit"], done)


def rate_of(stage: Stage | None, entries: list[dict]) -> float | None:
    """Pictures per second of a stage, over its last reports; None before there are two."""
    if stage is None:
        return None
    points = [(e["images"], e["sec"]) for e in entries if e.get("stage") == stage.name and "sec" in e]
    if len(points) < 2:
        return None
    first = points[min(len(points) - 2, int(len(points) * (1 - RECENT)))]
    seconds = points[-1][1] - first[1]
    return (points[-1][0] - first[0]) / seconds if seconds > 0 and points[-1][0] > first[0] else None


def left_sec(run: Run, stages: tuple[Stage, ...], entries: list[dict]) -> float | None:
    """Seconds of work left: measured speeds where there are any, for the others what they are expected to be.

    A stage to come is as fast as the last one of its kind was, or as the probe before the start says, corrected by how
    wrong the probe was on the stages that ran.
    """
    measured = {stage.name: rate_of(stage, entries) for stage in stages}
    probed, alignment_sec = _probed(run)
    measured = {name: rate for name, rate in measured.items() if rate}
    fits = {stage.name: stage.fit for stage in stages}
    known = {fits[name]: rate for name, rate in (probed | measured).items() if name in fits}
    if not known:
        return None
    wrong = {fits[name]: rate / probed[name] for name, rate in measured.items() if name in probed}

    def speed(stage: Stage) -> float:
        if stage.name in measured:
            return measured[stage.name]
        if stage.name in probed:
            return probed[stage.name] * wrong.get(stage.fit, wrong.get(not stage.fit, 1.0))
        if stage.fit in known:
            return known[stage.fit]
        return known[not stage.fit] * (FIT_SPEED if stage.fit else 1 / FIT_SPEED)

    left = sum((stage.total - stage.images) / speed(stage) for stage in stages if not stage.done)
    # Latents are aligned before the first picture of the first stage that is no rooting.
    merging = [stage for stage in stages if not stage.name.startswith("root/")]
    return left + (alignment_sec if merging and not merging[0].images else 0.0)


def _probed(run: Run) -> tuple[dict[str, float], float]:
    """Stage -> pictures per second, and seconds of alignment, as measured before the start; {}, 0 if nobody did."""
    try:
        expected = json.loads((run.folder / ESTIMATE).read_text(encoding="utf-8"))
        rates = {name: float(rate) for name, rate in expected["rates"].items() if float(rate) > 0}
        return rates, max(0.0, float(expected.get("alignment_sec", 0.0)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}, 0.0
