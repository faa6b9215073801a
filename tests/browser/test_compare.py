"""The Compare tab in real Chromium: models and runs side by side, measured, and taken away as files."""

import csv
import io
import json
import re
import shutil
import zipfile

import PIL.Image
import pytest
import torch
from playwright.sync_api import expect

from cocktail import checkpoints, runs
from cocktail.gan import new_gan
from cocktail.methods.cocktail import CocktailConfig
from cocktail.recipe import Recipe, Source
from cocktail.runs import Run
from cocktail.training import TrainConfig
from editing.comparison_figure import recipes_in
from tests.browser.test_studio import CLIPPED, CONTRAST, UNNAMED

pytestmark = pytest.mark.browser

SMALL = {"img_resolution": 16, "z_dim": 8, "w_dim": 16, "mapping_layers": 2, "channels": (16, 16, 8)}
LAST = "document.querySelector('#compare-curves .js-plotly-plot')?.data[0].x.at(-1)"
STAGE = TrainConfig(total_kimg=0.024, batch=4, ema_kimg=0.01)


@pytest.fixture(scope="module")
def made(home, tmp_path_factory):
    """Two runs in the app's folder: one that is finished, and its copy with other weights and scores."""
    folder, judge = tmp_path_factory.mktemp("compared"), {"img_resolution": 16, "channels": (16, 16, 8)}
    sources = []
    for seed, name in enumerate(("cat", "dog")):
        gan = new_gan("stylegan2", SMALL, judge, seed=seed)
        sources.append(Source(str(checkpoints.save(gan, folder / name))))
    list(runs.execute(Recipe(tuple(sources), threads=1, config=CocktailConfig(STAGE, STAGE)), home / "compared one"))
    shutil.copytree(home / "compared one", home / "compared two")
    union = checkpoints.load(home / "compared two")
    with torch.no_grad():
        for value in union.generator.parameters():
            value *= 1.5
    checkpoints.save(union, home / "compared two" / "result")
    entries = Run(home / "compared one").entries()
    for scores in [scores for entry in entries for scores in entry.get("scores", {}).values()]:
        scores["frechet"] *= 3
    text = "".join(json.dumps(entry) + "\n" for entry in entries)
    (home / "compared two" / "log.jsonl").write_text(text)
    yield [str(home / "compared one"), str(home / "compared two")]
    for name in ("compared one", "compared two"):  # the tests of other tabs see the runs that they made
        runs.delete(Run(home / name))


def arrive(visitor):
    visitor.open().tab("Compare")
    visitor.page.locator("#compare .cell").first.wait_for()
    return visitor


def choose(visitor, values, count):
    """Picks these folders and nothing else, by typing, and waits for so many pictures."""
    visitor.pick("#compare-picks", values)
    expect(visitor.page.locator("#compare .compare-head h3")).to_have_text(
        [value.rsplit("/", 1)[-1] for value in values]
    )
    visitor.filled("#compare", count)


def sources(visitor):
    return visitor.page.eval_on_selector_all("#compare .cell img", "images => images.map(i => i.src)")


def heads(visitor):
    return visitor.page.locator("#compare .compare-head h3").all_inner_texts()


def saved(visitor, button):
    with visitor.page.expect_download() as download:
        visitor.page.locator(button).click()
    return download.value.suggested_filename, download.value.path().read_bytes()


def test_the_tab_opens_with_two_models_and_follows_its_controls(visit, made):
    visitor = arrive(visit())
    page = visitor.page
    assert heads(visitor) == ["test-union", "union"]
    visitor.filled("#compare", 4 * 2 * 8)
    assert re.search("Only|All|Uncurated", page.locator("#compare .note").inner_text())
    expect(page.locator("#compare-scores")).to_contain_text("1.25")  # from the card
    page.locator("#compare-class input").click()
    page.get_by_role("option", name="dog", exact=True).click()
    visitor.filled("#compare", 2 * 8)
    before = sources(visitor)
    page.locator("#compare-psi input[type=range]").press("ArrowLeft")
    page.wait_for_function("document.querySelector('#compare .cell img').alt.endsWith('psi 0.95')")
    visitor.filled("#compare", 2 * 8)
    assert not set(before) & set(sources(visitor))
    page.locator("#compare-seeds input").fill("5, 9")
    page.locator("#compare-seeds input").press("Enter")
    visitor.filled("#compare", 4)
    titles = page.eval_on_selector_all("#compare .cell img", "images => images.map(i => i.alt)")
    assert titles == [f"{name}: dog, seed {seed}, psi 0.95" for name in ("test-union", "union") for seed in (5, 9)]
    page.locator("#compare-seeds input").fill("nine")
    page.locator("#compare-seeds input").press("Enter")
    visitor.notice("neither a number nor a range")
    assert len(sources(visitor)) == 4
    page.locator("#compare .cell .picture").nth(2).click()
    expect(page.locator("#shelf .name")).to_have_text(["dog #5"])


@pytest.mark.slow
def test_runs_are_compared_measured_and_taken_away(visit, made):
    visitor = arrive(visit())
    page = visitor.page
    choose(visitor, made, 2 * 2 * 8 + 2 * 2 * 8)  # two classes of two runs, and their averages
    expect(page.locator("#compare .compare-band.before")).to_have_count(2)
    assert page.locator("#compare .still").count() == 32
    expect(page.locator("#compare-curves .js-plotly-plot")).to_be_visible()
    expect(page.locator("#compare-curve-table tbody tr")).to_have_count(6)
    page.locator("#compare-counted label", has_text="All stages").click()
    page.wait_for_function(LAST + " === 0.048")  # rooting and merging, 24 pictures each
    page.locator("#compare-move").click()
    expect(page.locator("#compare-moved-words")).to_contain_text("How far the samples of the same latents moved")
    expect(page.locator("#compare-moved .js-plotly-plot")).to_be_visible()
    expect(page.locator("#compare-weight-words")).to_contain_text(re.compile(r"from compared one: compared two \d"))
    page.locator("#compare-samples input").click()
    page.get_by_role("option", name="200", exact=True).click()
    page.locator("#compare-measure").click()
    expect(page.locator("#compare-scores .help")).to_contain_text("200 samples of each class")
    expect(page.locator("#compare-told")).to_be_empty()
    expect(page.locator("#compare-scores tbody")).to_have_count(3)
    assert page.locator("#compare-scores td small").count() > 6
    visitor.picture("compare-measured")
    name, data = saved(visitor, "#compare-png")
    assert name == "compare-compared-one-compared-two.png" and PIL.Image.open(io.BytesIO(data)).width > 800
    titles, recipes = recipes_in(data)
    assert titles == ["compared one, 16 px", "compared two, 16 px"] and recipes[1][0].labels == ("cat",)
    name, data = saved(visitor, "#compare-csv")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == ["scores.csv", "curves.csv", "convergence.csv", "movement.csv", "distances.csv"]
        rows = list(csv.DictReader(io.StringIO(archive.read("scores.csv").decode())))
    frechet = {row["model"]: row for row in rows if (row["class"], row["score"]) == ("cat", "frechet")}
    assert set(frechet) == {"compared one", "compared two"} and frechet["compared one"]["low"]
    visitor.open().tab("Compare")  # the page was left: what was compared is there again
    expect(page.locator("#compare .compare-head h3")).to_have_text(["compared one", "compared two"])


def test_measuring_is_cancelled_and_what_cannot_be_read_is_told(visit, made, tmp_path):
    visitor = arrive(visit())
    page = visitor.page
    page.locator("#compare-samples input").click()
    page.get_by_role("option", name="5000", exact=True).click()
    page.locator("#compare-measure").click()
    expect(page.locator("#compare-told")).to_contain_text("Measuring test-union, 1 of 2")
    page.locator("#compare-cancel").click()
    expect(page.locator("#compare-told")).to_contain_text("Cancelled")
    before = sources(visitor)
    box = page.locator("#compare-picks input")
    box.fill(str(tmp_path / "nothing"))
    box.press("Enter")
    visitor.notice("neither a path nor a bundled model")
    assert sources(visitor) == before and heads(visitor) == ["test-union", "union"]
    box.press("Escape")
    page.locator("#compare-picks .remove-all").click()
    expect(page.locator("#compare.empty, #compare .empty")).to_contain_text("Pick two models or runs")


@pytest.mark.slow
@pytest.mark.parametrize("width, height", [(1440, 900), (390, 844)])
def test_the_tab_is_readable_and_fits(visit, made, width, height):
    visitor = arrive(visit(viewport={"width": width, "height": height}, color_scheme="light"))
    choose(visitor, made, 64)
    expect(visitor.page.locator("#compare-weights .js-plotly-plot")).to_be_visible()
    for theme in ("light", "dark"):
        if theme == "dark":
            visitor.page.get_by_role("button", name="Dark theme").click()
            visitor.page.wait_for_function("document.body.classList.contains('dark')")
            visitor.page.wait_for_timeout(300)  # for the colours that change slowly
        visitor.picture(f"compare-{width}-{theme}")
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width
        for found in (CLIPPED, CONTRAST, UNNAMED):
            assert visitor.page.evaluate(found) == []
