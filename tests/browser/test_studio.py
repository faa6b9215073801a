"""The studio as a person meets it, in real Chromium."""

import base64
import io
import json
import urllib.request

import numpy as np
import PIL.Image
import pytest
from playwright.sync_api import expect

from cocktail.checkpoints import load
from cocktail.images import to_pil
from editing.latents import render
from editing.recipes import fingerprint, from_png

pytestmark = pytest.mark.browser

BAD_SEEDS = {
    "a-b": "neither a number nor a range",
    "-3": "negative",
    "9-2": "backwards",
    "": "no seed",
    "0-63": "at most 64",
    "99999999999": "too large",
    "<img src=x onerror=alert(1)>": "neither",
}

# The contrast of every text in sight with what is painted behind it (WCAG 2.2, 1.4.3).
CONTRAST = """() => {
  const channel = v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = c => .2126 * channel(c[0]) + .7152 * channel(c[1]) + .0722 * channel(c[2]);
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const read = text => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
    const d = canvas.getImageData(0, 0, 1, 1).data; return [d[0], d[1], d[2], d[3] / 255]; };
  const behind = e => { const found = []; for (let n = e; n; n = n.parentElement) {
      const c = read(getComputedStyle(n).backgroundColor); found.push(c); if (c[3] > .99) break; }
    return found.reverse().reduce((under, c) => under.map((v, i) => v + (c[i] - v) * c[3]), [255, 255, 255]); };
  const poor = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement, text = walk.currentNode.textContent.trim();
    if (!text || !e.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    if (e.closest('style, script, .sr, .hint, [aria-hidden=true]')) continue;
    const front = read(getComputedStyle(e).color), back = behind(e);
    const [a, b] = [light(front), light(back)].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    if (ratio < 4.5) poor.push(`${text.slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return poor; }"""

TABS = {"Sample": "#sheet .cell", "Interpolate": "#film .cell", "Mix": "#mix .cell", "Directions": "#move .cell",
        "Invert": "#invert-go", "Merge": "#merge-start", "Compare": "#compare .cell", "Library": ".model"}  # fmt: skip

# Boxes whose content is cut off at the right.
CLIPPED = """() => [...document.querySelectorAll('.model, .model .body, .controls, #topbar, .sheet, .shelf')]
  .filter(e => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1).map(e => e.className)"""

UNFOLD = """() => [...document.querySelectorAll('button.label-wrap:not(.open)')]
  .filter(e => e.checkVisibility()).forEach(e => e.click())"""

UNNAMED = """() => [...document.querySelectorAll('button, input, img, select, textarea')]
  .filter(e => e.checkVisibility() && !e.closest('[aria-hidden=true]'))
  .filter(e => !(e.getAttribute('aria-label') || e.alt || e.textContent.trim() || (e.labels && e.labels.length)))
  .map(e => e.outerHTML.slice(0, 120))"""


def pixels(image: PIL.Image.Image) -> list:
    return np.asarray(image).tolist()


def test_page_opens_with_every_class_side_by_side(visit):
    visitor = visit().open()
    rows = visitor.page.locator("#sheet .row-head").all_inner_texts()
    assert rows == ["face", "cat", "dog", "car"]
    assert visitor.titles() == [f"{label}, seed {seed}, psi 1" for label in rows for seed in range(3)]
    assert len(set(visitor.sources())) == 12
    shown = np.asarray(PIL.Image.open(visitor.picture("opening")).convert("RGB"), dtype=float)
    stage = shown[200:800, 40:900]
    assert stage.std() > 20, "the pictures are blank"


def test_a_cat_and_a_dog_are_sampled(visit):
    visitor = visit().open()
    visitor.choose("cat")
    visitor.see(3)
    cats = visitor.sources()
    assert all(title.startswith("cat, seed") for title in visitor.titles())
    visitor.choose("dog")
    visitor.until_changed(cats)
    assert [title.split(",")[0] for title in visitor.titles()] == ["dog"] * 3
    assert not set(cats) & set(visitor.sources())


def test_psi_changes_the_pictures_and_the_last_value_wins(visit):
    visitor = visit().open()
    before = visitor.sources()
    slider = visitor.page.locator("#sample-psi input[type=range]")
    for _ in range(12):
        slider.press("ArrowLeft")
    visitor.page.wait_for_function("document.querySelector('#sheet .cell img').alt.endsWith('psi 0.4')")
    visitor.see(12)
    assert not set(before) & set(visitor.sources())
    visitor.picture("psi")


def test_bad_seeds_give_a_message_and_the_pictures_stay(visit):
    visitor = visit().open()
    before = visitor.sources()
    box = visitor.page.locator("#sample-seeds input")
    for seeds, words in BAD_SEEDS.items():
        box.fill(seeds)
        box.press("Enter")
        visitor.notice(words)
        assert visitor.sources() == before
    box.fill("5, 7-8")
    box.press("Enter")
    visitor.until_changed(before)
    assert visitor.page.locator("#sheet .column-head").all_inner_texts() == ["seed 5", "seed 7", "seed 8"]


def test_leaving_the_seeds_as_they_are_changes_nothing(visit):
    visitor = visit().open()
    box, count = visitor.page.locator("#sample-seeds input"), visitor.page.locator("#sample-count input[type=number]")
    before = visitor.sources()
    box.fill("5-9")
    box.press("Enter")
    visitor.until_changed(before)
    expect(count).to_have_value("5")
    drawn = visitor.sources()
    box.blur()
    visitor.page.wait_for_timeout(1500)
    assert count.input_value() == "5" and visitor.sources() == drawn


def test_psi_out_of_range_gives_a_message_or_is_limited(visit):
    visitor = visit().open()
    box = visitor.page.locator("#sample-psi input[type=number]")
    box.fill("9")
    box.press("Enter")
    visitor.page.locator("h1").click()
    visitor.page.wait_for_function(
        "document.querySelector('.toast-body') || /psi (1.5|1)$/.test(document.querySelector('#sheet .cell img').alt)"
    )
    assert len(visitor.sources()) == 12


def test_count_and_random_change_the_seeds(visit):
    visitor = visit().open()
    visitor.choose("cat")
    visitor.see(3)
    slider = visitor.page.locator("#sample-count input[type=range]")
    for _ in range(4):  # faster than the pictures come: the slider must not be pulled back
        slider.press("ArrowRight")
    visitor.see(7)
    assert visitor.page.locator("#sample-seeds input").input_value() == "0-6"
    assert slider.input_value() == "7"
    before = visitor.sources()
    visitor.page.locator("#sample-random").click()
    visitor.until_changed(before)
    assert visitor.page.locator("#sample-seeds input").input_value() != "0-6"


def test_a_click_puts_a_picture_on_a_shelf_of_ones_own(visit):
    visitor, other = visit().open(), visit(color_scheme="dark")
    visitor.page.locator("#sheet .cell .picture").nth(4).click()
    visitor.page.locator("#shelf .pick").wait_for()
    visitor.page.locator("#sheet .cell .picture").nth(4).click()
    visitor.page.locator("#sheet .cell .picture").nth(8).click()
    visitor.page.locator("#shelf .pick").nth(1).wait_for()
    assert visitor.page.locator("#shelf .name").all_inner_texts() == ["cat #1", "dog #2"]
    assert visitor.page.locator("#sheet .cell.shelved").count() == 2
    visitor.picture("shelf")
    visitor.open()
    visitor.page.locator("#shelf .pick").nth(1).wait_for()
    other.open()
    assert other.page.locator("#shelf .pick").count() == 0
    visitor.page.locator("#shelf .pick .remove").first.click(force=True)
    visitor.page.wait_for_function("document.querySelectorAll('#shelf .pick').length === 1")
    visitor.page.locator("#shelf .clear").click()
    visitor.page.locator("#shelf .shelf-empty").wait_for()


def test_the_keyboard_reaches_a_picture_and_the_shelf(visit):
    visitor = visit().open()
    visitor.page.locator("#sheet .cell .picture").first.focus()
    visitor.page.keyboard.press("Tab")
    visitor.page.keyboard.press("Tab")
    visitor.page.keyboard.press("Enter")
    visitor.page.locator("#shelf .pick").wait_for()
    assert visitor.page.locator("#shelf .name").inner_text() == "face #1"
    visitor.page.wait_for_function("document.activeElement.closest('.cell')")


def test_a_downloaded_picture_reproduces_itself_exactly(visit, union, tmp_path):
    visitor = visit().open()
    visitor.page.locator("#sample-psi input[type=range]").press("ArrowLeft")
    visitor.page.wait_for_function("document.querySelector('#sheet .cell img').alt.endsWith('psi 0.95')")
    visitor.see(12)
    with visitor.page.expect_download() as download:
        visitor.page.locator("#sheet .cell .save").nth(5).click()
    path = tmp_path / "picture.png"
    download.value.save_as(path)
    assert download.value.suggested_filename == "cat-seed2-psi0.95.png"
    gan, recipe = load(union), from_png(path)
    saved = PIL.Image.open(path)
    assert saved.size == (64, 64)
    assert pixels(render(gan, recipe, fingerprint(gan))) == pixels(saved)
    assert pixels(to_pil(gan.sample([2], "cat", truncation=0.95))[0]) == pixels(saved)
    shown = PIL.Image.open(io.BytesIO(base64.b64decode(visitor.sources()[5].split(",")[1])))
    assert pixels(shown) == pixels(saved)


def test_a_dropped_sheet_brings_its_settings_back(visit, tmp_path):
    visitor = visit().open()
    box = visitor.page.locator("#sample-seeds input")
    box.fill("11, 20-21")
    box.press("Enter")
    visitor.page.wait_for_function("document.querySelector('#sheet .column-head').textContent === 'seed 11'")
    visitor.see(12)
    wanted = visitor.sources()
    with visitor.page.expect_download() as download:
        visitor.page.locator("[data-do=sheet]").click()
    path = tmp_path / "sheet.png"
    download.value.save_as(path)
    other = visit().open()
    other.choose("car")
    other.see(3)
    data = base64.b64encode(path.read_bytes()).decode()
    other.page.evaluate(
        """data => { const bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0)), transfer = new DataTransfer();
           transfer.items.add(new File([bytes], 'sheet.png', { type: 'image/png' }));
           document.querySelector('#sheet .sheet').dispatchEvent(
             new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true })) }""",
        data,
    )  # fmt: skip
    other.see(12)
    other.page.wait_for_function("document.querySelector('#sheet .column-head')?.textContent === 'seed 11'")
    assert other.sources() == wanted
    assert other.page.locator("#sample-seeds input").input_value() == "11, 20-21"


def test_a_foreign_picture_is_refused_with_a_reason(visit, tmp_path):
    visitor = visit().open()
    before = visitor.sources()
    path = tmp_path / "photo.png"
    PIL.Image.new("RGB", (64, 64), "red").save(path)
    visitor.page.locator("#open-picture").locator("xpath=preceding-sibling::input[@type='file'][1]").set_input_files(
        path
    )
    visitor.notice("holds no settings")
    assert visitor.sources() == before


def test_library_shows_cards_and_opens_paths(visit, union, tmp_path):
    visitor = visit().open()
    visitor.page.get_by_role("tab", name="Library").click()
    card = visitor.page.locator(".model", has_text="Test union")
    card.wait_for()
    assert card.locator("img").count() == 8
    assert card.locator(".chip").all_inner_texts() == ["face", "cat", "dog", "car"]
    text = card.inner_text()
    assert "64 × 64" in text and "1.25" in text and "0.2" in text and "Apache-2.0" in text
    visitor.picture("library")
    box = visitor.page.locator("#library-path input")
    torn = tmp_path / "torn.safetensors"
    torn.write_bytes((union / "model.safetensors").read_bytes()[:1000])
    for typed, words in (("", "empty"), ("/no/such/model", "neither a path"), (str(torn), "damaged")):
        box.fill(typed)
        visitor.page.locator("#library-open").click()
        visitor.notice(words)
    box.fill(str(union / "model.safetensors"))
    box.press("Enter")
    visitor.page.locator("#sheet .cell").first.wait_for(state="visible")
    visitor.see(12)
    assert visitor.page.locator("#model input").input_value() == "model.safetensors"


@pytest.mark.slow
@pytest.mark.parametrize("width, height", [(1440, 900), (390, 844)])
def test_page_is_readable_and_fits(visit, width, height):
    visitor = visit(viewport={"width": width, "height": height}, color_scheme="light").open()
    page = visitor.page
    page.locator("#sheet .cell .picture").first.click()
    page.locator("#shelf .pick").wait_for()
    for tab in TABS:
        visitor.tab(tab)
        page.locator(TABS[tab]).first.wait_for()
        page.evaluate(UNFOLD)
        for theme in ("light", "dark"):
            assert page.evaluate("document.body.classList.contains('dark')") == (theme == "dark")
            page.wait_for_timeout(500)  # for what unfolds, and for colours that change slowly
            visitor.picture(f"{tab.lower()}-{width}-{theme}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate(CLIPPED) == []
            assert page.evaluate(CONTRAST) == []
            assert page.evaluate(UNNAMED) == []
            page.get_by_role("button", name="Dark theme").click()


def test_small_pictures_are_enlarged_and_exact_pixels_are_a_click_away(visit):
    visitor = visit().open()
    image = visitor.page.locator("#sheet .cell img").first
    assert image.bounding_box()["width"] >= 256
    assert image.evaluate("e => getComputedStyle(e).imageRendering") == "auto"
    visitor.page.get_by_role("button", name="Exact pixels").click()
    assert image.evaluate("e => getComputedStyle(e).imageRendering") == "pixelated"


def test_the_button_changes_between_light_and_dark_and_a_reload_keeps_it(visit):
    visitor = visit(color_scheme="light").open()
    visitor.page.get_by_role("button", name="Dark theme").click()
    visitor.page.wait_for_function("document.body.classList.contains('dark')")
    visitor.open()
    assert visitor.page.evaluate("document.body.classList.contains('dark')")


def test_only_sampling_is_offered_to_programs(url):
    with urllib.request.urlopen(url + "gradio_api/info", timeout=60) as answer:
        endpoints = json.load(answer)["named_endpoints"]
    assert list(endpoints) == ["/sample"]
