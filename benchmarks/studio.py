"""How quickly the page follows the hand, measured in real Chromium on the bundled union.

`python -m benchmarks.studio` starts the app, drags, and writes docs/studio.json; benchmarks/bundle_report.py puts the
figures into docs/RESULTS.md. All of it, browser included, runs on the cores of this machine.
"""

import argparse
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cocktail.hardware import available_threads

ROOT = Path(__file__).parents[1]
OUT = ROOT / "docs" / "studio.json"
MOVES, VISITORS, GRIDS = 80, 10, 12
SIDE = 8  # pictures in a row and in a column of the mixing grid
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--no-first-run"]  # fmt: skip
GOALS = {"median_ms": 100, "p95_ms": 250, "grid_ms": 400, "visitors_median_ms": 1000}

# Moves the slider of the open way and waits until the new picture is decoded and painted; milliseconds of each move.
DRAG = """async moves => {
  const grid = document.querySelector('#way .live-grid'), times = [], seen = new Set();
  for (let i = 0; i < moves; i++) {
    const range = document.querySelector('#way .knob input[type=range]'), shown = grid.dataset.shown;
    const to = (0.5 + 0.45 * Math.sin(i * 0.7)).toFixed(3);
    const start = performance.now();
    range.value = to;
    range.dispatchEvent(new Event('input', { bubbles: true }));
    while (grid.dataset.shown === shown) {
      if (performance.now() - start > 20000) throw new Error('no picture after 20 s');
      await new Promise(done => setTimeout(done, 1));
    }
    const img = grid.querySelector('img');
    await img.decode();
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
    times.push(performance.now() - start);
    seen.add(img.alt);
    await new Promise(done => setTimeout(done, 20));
  }
  return { times, seen: [...seen] };
}"""

# Moves the layers of the mixing grid and waits until every picture is another one.
GRID = """async ends => {
  const images = () => [...document.querySelectorAll('#mix .cell img')];
  const times = [];
  for (const end of ends) {
    const before = images().map(i => i.src), start = performance.now();
    const range = document.querySelector('#mix-layers .end.first');
    range.value = end;
    range.dispatchEvent(new Event('input', { bubbles: true }));
    // Looking at all 64 sources all the time would take a core from the network that draws them.
    while (images().at(-1).src === before.at(-1)) {
      if (performance.now() - start > 20000) throw new Error('no grid after 20 s');
      await new Promise(done => setTimeout(done, 10));
    }
    if (images().some((i, k) => i.src === before[k])) throw new Error('a picture is still the old one');
    await Promise.all(images().map(i => i.decode()));
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
    times.push(performance.now() - start);
    await new Promise(done => setTimeout(done, 150));
  }
  return times;
}"""


@contextmanager
def app() -> Iterator[str]:
    """The address of a studio that was started for this."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": str(port)}
    with subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as running:
        try:
            for _ in range(240):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
                    break
                except OSError:
                    time.sleep(0.5)
            yield f"http://127.0.0.1:{port}/"
        finally:
            running.terminate()


def measure() -> dict:
    """All figures, in milliseconds."""
    from playwright.sync_api import sync_playwright

    executable = shutil.which("chromium") or shutil.which("google-chrome")
    with app() as url, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=FLAGS)
        page = page_on(browser, url)
        page.evaluate(DRAG, 10)  # warm
        dragged = page.evaluate(DRAG, MOVES)["times"]
        grid = _grid(page)
        page.close()
        crowd = _crowd(browser, url)
        browser.close()
    return {"hardware": platform.machine(), "threads": available_threads(), "goals": GOALS,
            "slider": summary(dragged), "grid": summary(grid) | {"side": SIDE}, "visitors": crowd}  # fmt: skip


def page_on(browser, url: str):
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.goto(url)
    page.locator("#sheet .cell img").first.wait_for()
    page.get_by_role("tab", name="Interpolate", exact=True).click()
    page.locator("#way .knob input[type=range]").wait_for()
    page.wait_for_function("document.querySelectorAll('#film .cell img').length > 0")
    page.wait_for_timeout(500)
    return page


def _grid(page) -> list[float]:
    page.get_by_role("tab", name="Mix", exact=True).click()
    page.locator("#mix .cell").first.wait_for()
    page.get_by_role("button", name="Fill with samples").click()
    count = page.locator("#mix-count input[type=number]")
    count.fill(str(SIDE))
    count.press("Enter")
    page.locator("#mix-fill").click()
    page.wait_for_function(f"document.querySelectorAll('#mix .cell:not(.waiting)').length === {SIDE * SIDE}")
    page.wait_for_timeout(800)
    return page.evaluate(GRID, [3 + (i % 2) * 2 for i in range(1, GRIDS + 1)])


def _crowd(browser, url: str) -> dict:
    """Ten visitors, each with two keys of their own, drag at once; what they see must be made of their keys."""
    pages = []
    for visitor in range(VISITORS):
        page = browser.new_context(viewport={"width": 1200, "height": 800}).new_page()
        page.goto(url)
        page.locator("#sheet .cell img").first.wait_for()
        box = page.locator("#sample-seeds input")
        box.fill(f"{100 + visitor}-{101 + visitor}")
        box.press("Enter")
        page.wait_for_function(f"document.querySelector('#sheet .column-head')?.textContent === 'seed {100 + visitor}'")
        page.wait_for_timeout(400)
        for i in range(2):
            page.locator("#sheet .cell .picture").nth(i).click()
            page.wait_for_function(f"document.querySelectorAll('#shelf .pick').length === {i + 1}")
        page.get_by_role("tab", name="Interpolate", exact=True).click()
        page.wait_for_function("document.querySelectorAll('#film .cell:not(.waiting)').length > 1")
        pages.append(page)
    for page in pages:
        page.evaluate(f"n => {{ window.dragged = ({DRAG})(n).catch(e => ({{ error: String(e) }})) }}", MOVES // 2)
    found = [page.evaluate("window.dragged") for page in pages]
    errors = [result["error"] for result in found if "error" in result]
    times = [ms for result in found for ms in result.get("times", [])]
    foreign = 0
    for visitor, result in enumerate(found):
        own = (f"#{100 + visitor}", f"#{101 + visitor}")
        foreign += sum(not all(part.split(",")[0].strip().endswith(own) for part in about.split("→"))
                       for about in result.get("seen", []))  # fmt: skip
    for page in pages:
        page.context.close()
    return summary(times) | {"visitors": VISITORS, "errors": errors, "pictures_of_others": foreign}


def summary(times: list[float]) -> dict:
    times = sorted(times)
    return {"n": len(times), "median_ms": round(statistics.median(times), 1), "max_ms": round(times[-1], 1),
            "p95_ms": round(times[min(len(times) - 1, int(0.95 * len(times)))], 1)}  # fmt: skip


def section(data: dict) -> str:
    """The figures as Markdown."""
    slider, grid, crowd, goals = data["slider"], data["grid"], data["visitors"], data["goals"]
    rows = [
        ("slider moved to new picture on screen, median", slider["median_ms"], goals["median_ms"]),
        ("the same, 95th percentile", slider["p95_ms"], goals["p95_ms"]),
        (f"{grid['side']} x {grid['side']} mixing grid, median", grid["median_ms"], goals["grid_ms"]),
        (f"{crowd['visitors']} visitors dragging at once, median", crowd["median_ms"], goals["visitors_median_ms"]),
    ]
    lines = [
        "## The page under the hand",
        "",
        f"Measured by `python -m benchmarks.studio` in Chromium on {data['hardware']}, {data['threads']} threads, the "
        "browser on the same cores; from the event to the decoded picture in a painted frame.",
        "",
        "| what | ms | wanted |  |",
        "| --- | --- | --- | --- |",
        *(f"| {what} | {ms:.0f} | at most {goal} | {'' if ms <= goal else '**missed**'} |" for what, ms, goal in rows),
        "",
        f"With {crowd['visitors']} visitors: {crowd['n']} moves, {len(crowd['errors'])} errors, "
        f"{crowd['pictures_of_others']} pictures of somebody else's keys, 95th percentile {crowd['p95_ms']:.0f} ms.",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measures and writes the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studio", description=main.__doc__)
    parser.add_argument("--out", type=Path, default=OUT, help="JSON file (default: %(default)s)")
    args = parser.parse_args()
    data = measure()
    args.out.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    print(section(data))


if __name__ == "__main__":
    main()
