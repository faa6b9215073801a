"""How far the stages of a run are, how fast, and how long the rest will take."""

import json
import time
from dataclasses import dataclass

from cocktail.runs.folder import Run
from cocktail.runs.publishing import published

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
    """Pictures per second of a stage, over its last reports; None before a process has given two.

    Until its first report a process does other things as well: it loads, measures, aligns latents.
    """
    before, spans = None, []
    for entry in entries:
        if "session" in entry:
            before = None
        if stage is None or entry.get("stage") != stage.name or not ("losses" in entry and "sec" in entry):
            continue
        if before is not None:
            spans.append((entry["images"] - before["images"], entry["sec"] - before["sec"]))
        before = entry
    images, seconds = (sum(values) for values in zip((0, 0.0), *spans[int(len(spans) * (1 - RECENT)) :]))
    return images / seconds if seconds > 0 and images > 0 else None


def left_sec(run: Run, stages: tuple[Stage, ...], entries: list[dict], at_work: bool = False) -> float | None:
    """Seconds of work left: measured speeds where there are any, for the others what they are expected to be.

    A stage to come is as fast as the last one of its kind was, or as the probe before the start says, corrected by how
    wrong the probe was on the stages that ran. `at_work` says that the time since the last entry was work.
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
    return left + (_alignment_left(alignment_sec, stages, entries, at_work) if left else 0.0)


def _alignment_left(sec: float, stages: tuple[Stage, ...], entries: list[dict], at_work: bool) -> float:
    """Seconds that aligning latents still takes of `sec`: each process does so before its first picture of a stage that
    is no rooting, and says nothing meanwhile."""
    merging = {stage.name for stage in stages if not stage.name.startswith("root/")}
    begun = max((index for index, entry in enumerate(entries) if "session" in entry), default=0)
    if not merging or any("losses" in entry and entry.get("stage") in merging for entry in entries[begun:]):
        return 0.0
    rooted = all(stage.done for stage in stages if stage.name not in merging)
    last = next((e for e in reversed(entries) if "stage" in e or "plan" in e), {})  # notes are made on the way
    since = time.time() - last.get("time", time.time()) if at_work and rooted else 0.0
    return max(0.0, sec - max(0.0, since))  # a clock that was set back is no reason for more


def _probed(run: Run) -> tuple[dict[str, float], float]:
    """Stage -> pictures per second, and seconds of alignment, as measured before the start; {}, 0 if nobody did."""
    try:
        expected = json.loads((run.folder / ESTIMATE).read_text(encoding="utf-8"))
        rates = {name: float(rate) for name, rate in expected["rates"].items() if float(rate) > 0}
        return rates, max(0.0, float(expected.get("alignment_sec", 0.0)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}, 0.0
