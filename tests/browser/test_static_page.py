"""The exported page in Chromium, from a static host under a sub-path and from the disk, with the network off."""

import functools
import http.server
import threading

import numpy as np
import pytest
import torch

from cocktail import checkpoints
from cocktail.export import to_page
from cocktail.gan import Gan, latents
from cocktail.images import to_uint8
from cocktail.networks import custom

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.browser
WAIT_MS = 60_000
LIMIT_MS = 100.0  # a picture of 64 pixels on one core


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def folder(union, tmp_path_factory):
    """The page of the browser tests' union, some folders down."""
    root = tmp_path_factory.mktemp("host")
    to_page(checkpoints.load(union), root / "spaces" / "me" / "union")
    return root


@pytest.fixture(scope="module")
def host(folder):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/spaces/me/union/"
    server.shutdown()


@pytest.fixture
def opened(chromium, host):
    """Opens the page, with everything but its own files cut off; at the end nothing else may have been asked for."""
    contexts, faults = [], []

    def open_page(address=None, **options):
        address = address or host + "index.html"
        own = address.rsplit("/", 1)[0] + "/"
        context = chromium.new_context(**({"viewport": {"width": 1440, "height": 900}} | options))
        context.set_default_timeout(WAIT_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))

        def answer(route):
            if route.request.url.startswith(own):
                route.continue_()
            else:
                faults.append(f"request to elsewhere: {route.request.url}")
                route.abort()

        context.route(lambda url: not url.startswith(("blob:", "data:")), answer)
        page.goto(address)
        page.wait_for_function("document.body.dataset.ready === 'true' || !document.querySelector('#fault').hidden")
        assert not page.is_visible("#fault"), page.inner_text("#fault")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not faults


@pytest.fixture(scope="module")
def gan(union) -> Gan:
    return checkpoints.load(union)


def pixels(page, selector, place=0):
    """The picture on a canvas: uint8 [H, W, 3]."""
    width, height, flat = page.locator(f"{selector} canvas").nth(place).evaluate(
        """canvas => { const { width, height } = canvas;
           return [width, height, [...canvas.getContext("2d").getImageData(0, 0, width, height).data]] }"""
    )  # fmt: skip
    return np.array(flat, dtype=np.uint8).reshape(height, width, 4)[:, :, :3]


def settled(page, selector, count):
    """Waits until a sheet shows so many pictures."""
    page.wait_for_function(
        """([selector, count]) => { const all = [...document.querySelectorAll(selector + ' .picture')];
           return all.length === count && all.every(one => !one.classList.contains('waiting'))
             && !document.querySelector(selector + '[aria-busy], ' + selector + ' [aria-busy]') }""",
        arg=[selector, count],
    )  # fmt: skip


def same(found, images, row=0):
    wanted = to_uint8(images)[row].permute(1, 2, 0).numpy().astype(int)
    assert wanted.std() > 5  # not one grey
    return found.shape == wanted.shape and np.abs(found.astype(int) - wanted).max() <= 2


def test_its_pictures_are_those_of_the_engine(opened, gan):
    page = opened()
    settled(page, "#sample", 24)
    for place, (label, seed) in {0: ("face", 0), 8: ("cat", 2), 23: ("car", 5)}.items():
        assert same(pixels(page, "#sample .cell", place), gan.sample([seed], label))
    assert page.locator("#sample canvas").nth(8).get_attribute("aria-label") == "cat, seed 2"


def test_seeds_classes_and_truncation_are_followed(opened, gan):
    page = opened()
    page.locator("#classes label", has_text="dog").click()
    page.fill("#seeds", "7, 4294967295")
    page.keyboard.press("Tab")
    page.locator("#psi").evaluate("range => { range.value = 0.5; range.dispatchEvent(new Event('input')) }")
    settled(page, "#sample", 2)
    for place, seed in enumerate((7, 2**32 - 1)):
        assert same(pixels(page, "#sample .cell", place), gan.sample([seed], "dog", 0.5))


def test_seeds_mean_the_latents_that_numpy_draws(opened):
    page = opened()
    seeds = [0, 1, 2, 42, 12345, 2**31, 2**32 - 1]
    found = page.evaluate(
        "seeds => seeds.map(seed => [...latent(seed, 700)])", seeds
    )  # beyond one round of the twister
    wanted = latents(seeds, 700).numpy()
    assert np.abs(np.array(found) - wanted).max() < 1e-6
    assert (np.array(found, dtype=np.float32) == wanted).mean() > 0.9999


def test_the_way_between_two_clicked_pictures_with_the_network_off(opened, gan):
    page = opened()
    page.context.set_offline(True)
    settled(page, "#sample", 24)
    page.locator("#sample .picture").nth(1).click()
    page.locator("#sample .picture").nth(14).click()
    page.click("#tab-interpolate")
    settled(page, "#interpolate .strip", 7)
    a, b = gan.map(latents([1], 32), "face"), gan.map(latents([2], 32), "dog")
    assert same(pixels(page, "#interpolate .large"), gan.synthesize(torch.lerp(a, b, 0.5)))
    for place, t in ((0, 0), (2, 1 / 3), (6, 1)):
        assert same(pixels(page, "#interpolate .strip .cell", place), gan.synthesize(torch.lerp(a, b, t)))
    page.locator("#way").evaluate("range => { range.value = 0.25; range.dispatchEvent(new Event('input')) }")
    page.wait_for_function("document.querySelector('#interpolate .large canvas').ariaLabel.endsWith('25 %')")
    settled(page, "#interpolate .large", 1)
    assert same(pixels(page, "#interpolate .large"), gan.synthesize(torch.lerp(a, b, 0.25)))
    page.click("#play")
    before = page.locator("#way").input_value()
    page.wait_for_function("before => document.querySelector('#way').value !== before", arg=before)
    page.click("#play")


def test_a_mix_takes_the_chosen_layers_from_the_column(opened, gan):
    page = opened()
    page.click("#tab-mix")
    settled(page, "#mix", 4 + 3 * 5)
    page.locator("#groups button", has_text="middle").click()
    settled(page, "#mix", 4 + 3 * 5)
    row, column = gan.map(latents([1], 32), "face"), gan.map(latents([5], 32), "cat")
    mixed = row.clone()
    mixed[:, 3:7] = column[:, 3:7]  # 16 and 32 px
    assert page.locator("#first").input_value() == "3" and page.locator("#last").input_value() == "6"
    assert same(pixels(page, "#mix .cell", 4 + 5 + 3), gan.synthesize(mixed))
    assert same(pixels(page, "#mix .cell", 2), gan.synthesize(column))


def test_a_wrong_seed_is_explained_and_the_pictures_stay(opened):
    page = opened()
    page.fill("#seeds", "9-3")
    page.keyboard.press("Tab")
    page.wait_for_selector("#fault:not([hidden])")
    assert page.inner_text("#fault") == "9-3 runs backwards. Write 3-9."
    assert page.locator("#sample .picture").count() == 24
    page.fill("#seeds", "3-9")
    page.keyboard.press("Tab")
    settled(page, "#sample", 28)
    assert not page.is_visible("#fault")


def test_a_picture_takes_less_than_a_tenth_of_a_second(opened):
    assert opened().evaluate("cocktail.speed(20)") < LIMIT_MS


def test_it_opens_from_a_disk_without_any_server(opened, folder, gan):
    page = opened((folder / "spaces" / "me" / "union" / "index.html").as_uri())
    settled(page, "#sample", 24)
    assert same(pixels(page, "#sample .cell"), gan.sample([0], "face"))


@pytest.mark.parametrize("width, scheme", [(1440, "light"), (390, "dark")])
def test_nothing_sticks_out_and_every_control_has_a_name(opened, width, scheme):
    page = opened(viewport={"width": width, "height": 844}, color_scheme=scheme)
    for tab in ("sample", "interpolate", "mix"):
        page.click(f"#tab-{tab}")
        page.wait_for_selector(f"#{tab} .picture")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        outside = page.evaluate(
            """tab => { const panel = document.querySelector('#' + tab + ' .controls').getBoundingClientRect();
               return [...document.querySelectorAll('#' + tab + ' .controls :is(button, input, select, output)')]
                 .filter(one => one.offsetWidth > 1 && one.getBoundingClientRect().right > panel.right)
                 .map(one => one.id || one.textContent) }""",
            tab,
        )  # fmt: skip
        assert outside == []
    nameless = page.evaluate(
        """[...document.querySelectorAll('input, select, button, canvas')].filter(one =>
             !(one.ariaLabel || one.labels?.length || one.textContent.trim() || one.querySelector('[aria-label]')))
             .map(one => one.outerHTML)"""
    )  # fmt: skip
    assert nameless == []


def test_a_model_without_classes_or_layers_offers_what_it_can(opened, host, folder):
    torch.manual_seed(0)
    generator = custom.Generator(custom.GeneratorConfig(z_dim=8, channels=(16, 12), embed_dim=4)).eval()
    gan = Gan(generator.requires_grad_(False), None)
    to_page(gan, folder / "spaces" / "me" / "plain", fp16=True)
    page = opened(host.replace("union", "plain") + "index.html")
    settled(page, "#sample", 6)
    found = pixels(page, "#sample .cell", 1).astype(int)
    assert np.abs(found - to_uint8(gan.sample([1]))[0].permute(1, 2, 0).numpy()).mean() < 2
    assert page.locator("#tab-mix").is_disabled() and not page.is_visible("#classes")
    page.click("#tab-interpolate")
    settled(page, "#interpolate .strip", 7)


def test_a_missing_file_is_named_as_the_cause(chromium, folder, host):
    context = chromium.new_context()
    page = context.new_page()
    context.route("**/model.js", lambda route: route.abort())
    page.goto(host + "index.html")
    page.wait_for_selector("#fault:not([hidden])")
    assert "A file of the page is missing" in page.inner_text("#fault")
    context.close()
