"""A merge as a visitor of the Merge tab has it: how long it takes, how right its time left is, how the page feels.

`python -m benchmarks.merge` merges two bundled models with the preset "try" on the CPU, in a folder of its own, and
writes docs/merge.json; benchmarks/bundle_report.py puts the figures into docs/RESULTS.md.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks import studio
from cocktail import runs
from cocktail.hardware import available_threads
from cocktail.methods.cocktail import PRESETS
from cocktail.preflight import estimate
from cocktail.recipe import Recipe, Source

OUT = Path(__file__).parents[1] / "docs" / "merge.json"
NAMES = ("cat", "dog")
FROM = 0.1  # of the work: from here on the time left should be right
GOALS = {"minutes": 3, "left_error": 0.2, "slider_median_ms": 100, "slider_p95_ms": 250, "stop_sec": 3}
MOVES = 60


def recipe(seed: int = 0) -> Recipe:
    sources = tuple(Source(f"bundled/{name}", names=(name,)) for name in NAMES)
    return Recipe(sources, seed=seed, threads=max(1, available_threads() - 1), config=PRESETS["try"])


def undisturbed(home: Path) -> dict:
    """A merge by itself: its minutes, the probe's range before it, and how wrong the time left was on the way."""
    steps = estimate(recipe(), folder=home)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            probe = done.value
            break
    started = time.monotonic()
    run, seen = runs.start(recipe(), home / "undisturbed", probe), []
    while (status := runs.read(run.folder)).alive:
        if status.left_sec is not None and status.progress >= FROM:
            seen.append((time.monotonic() - started, status.left_sec))
        time.sleep(1)
    total = time.monotonic() - started
    if status.state != "finished":
        raise SystemExit(f"the merge ended as {status.state}: {status.message}")
    errors = [abs(left - (total - at)) / (total - at) for at, left in seen if total - at > 5]
    return {
        "minutes": round(total / 60, 2), "probe_minutes": [round(sec / 60, 2) for sec in probe.total_sec],
        "left_error": {"median": round(statistics.median(errors), 3), "max": round(max(errors), 3),
                       "share_within": round(statistics.mean(e <= GOALS["left_error"] for e in errors), 3)},
    }  # fmt: skip


def beside(home: Path) -> dict:
    """The slider while a merge trains, then how soon it stops when it is asked to."""
    from playwright.sync_api import sync_playwright

    executable = shutil.which("chromium") or shutil.which("google-chrome")
    run = runs.start(recipe(1), home / "beside")
    with studio.app() as url, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=studio.FLAGS)
        page = studio.page_on(browser, url)
        _until(run, lambda status: bool(status.losses))
        page.wait_for_timeout(3000)  # the page notices a run within two seconds
        page.evaluate(studio.DRAG, 10)  # warm
        before = runs.read(run.folder)
        dragged = page.evaluate(studio.DRAG, MOVES)["times"]
        after = runs.read(run.folder)
        browser.close()
    started = time.monotonic()
    runs.pause(run)
    _until(run, lambda status: not status.alive)
    return {"slider": studio.summary(dragged), "stop_sec": round(time.monotonic() - started, 2),
            "training": [status.state for status in (before, after)], "threads_of_run": recipe().threads}  # fmt: skip


def _until(run: runs.Run, reached) -> None:
    for _ in range(600):
        status = runs.read(run.folder)
        if reached(status):
            return
        if status.state == "failed":
            raise SystemExit(status.message)
        time.sleep(0.1)
    raise SystemExit(f"{run.name} does not come so far: {status.state}")


def section(data: dict) -> str:
    """The figures as Markdown."""
    alone, busy, goals = data["undisturbed"], data["beside"], data["goals"]
    rows = [
        ('preset "try", two models, minutes', alone["minutes"], f"about {goals['minutes']}", True),
        ("time left after the first tenth: median error, %", 100 * alone["left_error"]["median"],
         f"at most {100 * goals['left_error']:.0f}", alone["left_error"]["median"] <= goals["left_error"]),
        ("the same: share of the time that it is within 20 %, %", 100 * alone["left_error"]["share_within"], "100",
         alone["left_error"]["share_within"] >= 1),
        ("slider to picture while a merge trains, median ms", busy["slider"]["median_ms"],
         f"at most {goals['slider_median_ms']}", busy["slider"]["median_ms"] <= goals["slider_median_ms"]),
        ("the same, 95th percentile", busy["slider"]["p95_ms"], f"at most {goals['slider_p95_ms']}",
         busy["slider"]["p95_ms"] <= goals["slider_p95_ms"]),
        ("seconds from Pause to a saved state and no process", busy["stop_sec"], f"at most {goals['stop_sec']}",
         busy["stop_sec"] <= goals["stop_sec"]),
    ]  # fmt: skip
    low, high = alone["probe_minutes"]
    return "\n".join([
        "## A merge from the page",
        "",
        f"Measured by `python -m benchmarks.merge` on {data['hardware']}, {data['threads']} threads, of which the run "
        f"takes {busy['threads_of_run']}. The probe before the start said {low:.1f} to {high:.1f} minutes.",
        "",
        "| what | reached | wanted |  |",
        "| --- | --- | --- | --- |",
        *(f"| {what} | {value:.3g} | {goal} | {'' if good else '**missed**'} |" for what, value, goal, good in rows),
    ])  # fmt: skip


def main() -> None:
    """Measures and writes the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.merge", description=main.__doc__)
    parser.add_argument("--out", type=Path, default=OUT, help="JSON file (default: %(default)s)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ |= {runs.control.HOME: str(home), "COCKTAIL_QUEUE": str(home / "queue")}
        data = {"hardware": platform.machine(), "threads": available_threads(), "goals": GOALS,
                "undisturbed": undisturbed(home), "beside": beside(home)}  # fmt: skip
    args.out.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    print(section(data))


if __name__ == "__main__":
    main()
