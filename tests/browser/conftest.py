"""A running app with a tiny model of random weights, and Chromium to look at it."""

import base64
import io
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from cocktail.checkpoints import save
from cocktail.gan import Gan
from cocktail.networks.stylegan2 import Generator, GeneratorConfig

ROOT = Path(__file__).parents[2]
ARTIFACTS = Path(__file__).parent / "artifacts"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--no-first-run"]  # fmt: skip
REQUIRED = os.environ.get("COCKTAIL_REQUIRE_BROWSER") == "1"
GIVEN_UP = re.compile("Connection errored out|AbortError|Unexpected error 404")  # the last: its session is closed
WAIT_MS = 60_000  # far more than the page needs: CI machines are shared


@pytest.fixture(scope="session")
def union(tmp_path_factory) -> Path:
    """A folder with an untrained class-conditional model, small enough to draw at once."""
    torch.manual_seed(0)
    config = GeneratorConfig(
        img_resolution=64, z_dim=32, c_dim=4, w_dim=32, mapping_layers=2, channels=(24, 24, 16, 12, 8)
    )
    card = {"title": "Test union", "description": "Untrained.", "licence": "Apache-2.0",
            "parents": [{"ref": "bundled/cat", "classes": ["cat"]}],
            "scores": {"cat": {"frechet": 1.25, "floor": 0.2, "class_accuracy": 0.995, "recall": 0.6}}}  # fmt: skip
    gan = Gan(Generator(config).eval().requires_grad_(False), None, ("face", "cat", "dog", "car"), card)
    with torch.no_grad():  # of the order of trained pictures: untrained ones are nearly all black or white
        for name, value in gan.generator.named_parameters():
            if "torgb" in name and name.endswith("weight"):
                value *= 0.35
    return save(gan, tmp_path_factory.mktemp("models") / "test-union")


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """The folder of the app's runs."""
    return tmp_path_factory.mktemp("studio") / "runs"


@pytest.fixture(scope="session")
def url(union, home, tmp_path_factory):
    """The address of the app, started as a person starts it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("app") / "app.log"
    environment = os.environ | {"GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": str(port),
                                "COCKTAIL_RUNS": str(home), "COCKTAIL_QUEUE": str(home.parent / "queue"),
                                "COCKTAIL_MODELS": str(home.parent / "models")}  # fmt: skip
    with log.open("wb") as out:
        app = subprocess.Popen([sys.executable, "app.py", "--model", str(union)], cwd=ROOT, env=environment,
                               stdout=out, stderr=subprocess.STDOUT)  # fmt: skip
    address = f"http://127.0.0.1:{port}/"
    try:
        _await(address, app, log)
        yield address
    finally:
        app.terminate()
        app.wait(timeout=30)


def _await(address: str, app: subprocess.Popen, log: Path) -> None:
    for _ in range(300):
        if app.poll() is not None:
            break
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.5)
    pytest.fail(f"the app did not start:\n{log.read_text(errors='replace')[-3000:]}")


@pytest.fixture(scope="session")
def chromium():
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        message = "no Chromium found; install it (Debian: apt-get install chromium) to run the browser tests"
        pytest.fail(message) if REQUIRED else pytest.skip(message)
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


class Visitor:
    """A person at the page, in a browser context that has its own cookies and storage."""

    def __init__(self, context, url: str) -> None:
        self.context, self.url, self.faults = context, url, []
        self.page = context.new_page()
        self.page.on("console", lambda m: self.faults.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", self._check)
        self.page.on("response", lambda r: self.faults.append(f"{r.status} {r.url}") if r.status >= 400 else None)

    def _check(self, request) -> None:
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.faults.append(f"request to elsewhere: {request.url}")

    def open(self, pictures: int = 12) -> "Visitor":
        self._leave(lambda: self.page.goto(self.url))
        return self._arrive(pictures)

    def reload(self, pictures: int = 12) -> "Visitor":
        self._leave(self.page.reload)
        return self._arrive(pictures)

    def _leave(self, go: Callable[[], object]) -> None:
        """A page that is left tells of the requests that it gave up; that is no fault."""
        known = len(self.faults)
        go()
        self.faults[known:] = [fault for fault in self.faults[known:] if not GIVEN_UP.search(fault)]

    def _arrive(self, pictures: int) -> "Visitor":
        self.see(pictures)
        self.page.wait_for_function("window.cocktailShelf !== undefined")
        return self

    def tab(self, name: str) -> "Visitor":
        """Opens a tab, by the menu where the page is too narrow for all of them."""
        found = self.page.get_by_role("tab", name=name, exact=True)
        if found.count() and found.first.is_visible():
            found.first.click()
        else:
            self.page.locator("#tabs > .tab-wrapper .overflow-menu > button").click()
            self.page.locator(".overflow-dropdown button", has_text=name).click()
        return self

    def pick(self, field: str, values: Sequence[str]) -> None:
        """Picks these and nothing else in a field of several, by typing."""
        self.page.locator(f"{field} .remove-all").click()
        box = self.page.locator(f"{field} input")
        for value in values:
            box.fill(value)
            box.press("Enter")
        self.page.wait_for_function("([field, n]) => document.querySelectorAll(field + ' .token').length === n",
                                    arg=[field, len(values)])  # fmt: skip
        box.press("Escape")

    def shelve(self, *places: int) -> None:
        """Puts pictures of the Sample tab on the shelf, which was empty."""
        for count, place in enumerate(places, start=1):
            self.page.locator("#sheet .cell .picture").nth(place).click()
            self.page.wait_for_function("n => document.querySelectorAll('#shelf .pick').length === n", arg=count)

    def filled(self, selector: str, count: int) -> None:
        """Waits until a component shows so many pictures and awaits none."""
        self.page.wait_for_function(
            """([selector, count]) => { const cells = [...document.querySelectorAll(selector + ' .cell')];
               return cells.length === count && cells.every(c => !c.classList.contains('waiting')) }""",
            arg=[selector, count],
        )  # fmt: skip

    def pixels(self, selector: str) -> np.ndarray:
        """The picture of an <img> with a data URI, uint8 [H, W, 3]."""
        source = self.page.locator(selector).first.get_attribute("src")
        image = PIL.Image.open(io.BytesIO(base64.b64decode(source.split(",")[1])))
        return np.asarray(image.convert("RGB"))

    def drag(self, selector: str, to: float) -> None:
        """Sets a slider to a value, as a hand that lets go there."""
        self.page.locator(selector).evaluate(
            """(range, to) => { range.value = to; range.dispatchEvent(new Event('input', { bubbles: true }));
               range.dispatchEvent(new Event('change', { bubbles: true })) }""",
            to,
        )  # fmt: skip

    def see(self, count: int) -> None:
        """Waits until exactly so many pictures are there and none is awaited."""
        self.page.wait_for_function(
            """count => { const cells = [...document.querySelectorAll('#sheet .cell')];
               return cells.length === count && cells.every(c => !c.classList.contains('waiting')) }""",
            arg=count,
        )  # fmt: skip

    def sources(self) -> list[str]:
        return self.page.eval_on_selector_all("#sheet .cell img", "images => images.map(i => i.src)")

    def titles(self) -> list[str]:
        return self.page.eval_on_selector_all("#sheet .cell img", "images => images.map(i => i.alt)")

    def until_changed(self, before: list[str]) -> None:
        self.page.wait_for_function(
            """before => { const now = [...document.querySelectorAll('#sheet .cell img')].map(i => i.src);
               return now.length && now.every((src, i) => src !== before[i]) }""",
            arg=before,
        )  # fmt: skip

    def choose(self, label: str) -> None:
        self.page.locator("#sample-class label", has_text=label).click()

    def notice(self, words: str) -> None:
        """Waits for a notice with these words and closes it."""
        toast = self.page.locator(".toast-body", has_text=words)
        toast.wait_for()
        toast.locator(".toast-close").click()
        toast.wait_for(state="detached")

    def picture(self, name: str) -> Path:
        ARTIFACTS.mkdir(exist_ok=True)
        path = ARTIFACTS / f"{name}.png"
        self.page.screenshot(path=path)
        return path


@pytest.fixture(scope="session")
def usual(chromium):
    """The context that most tests share, so that the browser keeps the page's scripts; `visit` empties its storage."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light")
    context.set_default_timeout(WAIT_MS)
    yield context
    context.close()


@pytest.fixture
def visit(chromium, usual, url):
    """Makes visitors: `visit()` in the usual browser, with options in one of their own.

    At the end none of them may have met an error or asked another host for anything.
    """
    visitors = []

    def arrive(**options) -> Visitor:
        context = usual
        if options:
            context = chromium.new_context(**options)
            context.set_default_timeout(WAIT_MS)
        visitors.append(Visitor(context, url))
        return visitors[-1]

    yield arrive
    for visitor in visitors:
        if visitor.context is usual:
            visitor.page.evaluate("localStorage.clear()")
            visitor.page.close()
        else:
            visitor.context.close()
    assert not [fault for visitor in visitors for fault in visitor.faults]
