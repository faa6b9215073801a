"""The Merge tab in real Chromium: from the form to the editor, with a reload in the middle."""

import re
import time

import pytest
from playwright.sync_api import expect

from cocktail import checkpoints, runs
from cocktail.gan import new_gan
from cocktail.methods.cocktail import PRESETS
from cocktail.recipe import Recipe, Source

pytestmark = pytest.mark.browser

STOP_SEC = 3.0  # that a cancelled run may take
MERGE_MS = 300_000
SMALL = {"img_resolution": 16, "z_dim": 8, "w_dim": 16, "mapping_layers": 2, "channels": (16, 16, 8)}


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two models of 16 px made for the test, as paths."""
    folder = tmp_path_factory.mktemp("pair")
    judge = {"img_resolution": 16, "channels": (16, 16, 8)}
    made = [(folder / name, new_gan("stylegan2", SMALL, judge, seed=seed)) for seed, name in enumerate(("cat", "dog"))]
    return [str(checkpoints.save(gan, path)) for path, gan in made]


@pytest.fixture
def form(visit):
    visitor = visit().open().tab("Merge")
    visitor.page.locator("#merge-name input, #merge-name textarea").wait_for()
    visitor.page.wait_for_function("document.querySelectorAll('#merge-options .budget input').length === 3")
    return visitor


def choose(visitor, refs):
    visitor.pick("#merge-sources", refs)
    expect(visitor.page.locator("#merge-names textarea")).to_have_value(
        ", ".join(ref.rsplit("/", 1)[-1] for ref in refs)
    )


def budget(visitor, **kimg):
    for path, value in kimg.items():
        field = visitor.page.locator(f"#merge-options input[name='{path.replace('__', '.')}']")
        field.fill(str(value))
        field.press("Tab")


def named(visitor, name):
    visitor.page.wait_for_timeout(500)  # the form writes its recipe and proposes a name of its own
    box = visitor.page.locator("#merge-name").locator("input, textarea")
    box.fill(name)
    box.press("Tab")


def state(visitor, words, timeout=MERGE_MS):
    expect(visitor.page.locator(".run-state")).to_contain_text(re.compile(words, re.IGNORECASE), timeout=timeout)


def test_the_tab_opens_with_a_working_example(form):
    expect(form.page.locator("#merge-sources .token")).to_have_count(2)
    expect(form.page.locator("#merge-names textarea")).to_have_value("cat, dog")
    expect(form.page.locator("#merge-name").locator("input, textarea")).to_have_value(re.compile("cat.dog"))
    form.page.locator("#tabpanel-merge, #tab-merge, [role=tabpanel]").get_by_text("Recipe", exact=True).click()
    expect(form.page.locator("#merge-recipe")).to_contain_text("bundled/dog")
    form.picture("merge-form")


def test_recommend_shows_every_model_and_makes_the_best_the_root(form):
    form.page.locator("#merge-recommend").click()
    rows = form.page.locator("table.roots tbody tr")
    expect(rows).to_have_count(2, timeout=MERGE_MS)
    best = form.page.locator("table.roots tr.best th").inner_text()
    expect(form.page.locator("#merge-root input")).to_have_value(best)
    title, reason, features = form.page.locator("#merge-roots p").all_inner_texts()
    assert title == f"Root: {best}" and reason.startswith("Its samples cover") and features.startswith("300 samples")
    form.picture("merge-recommended")


def test_a_recipe_that_is_loaded_fills_the_form_and_keeps_its_names(form, pair, tmp_path):
    sources = tuple(Source(ref, names=(name,)) for ref, name in zip(pair, ("tom", "rex"), strict=True))
    path = tmp_path / "mine.yaml"
    path.write_text(Recipe(sources, root=1, seed=7, threads=1, config=PRESETS["small"]).to_yaml())
    form.page.locator("#tab-merge").get_by_text("Recipe", exact=True).click()
    with form.page.expect_file_chooser() as chooser:
        form.page.locator("#merge-load").click()
    chooser.value.set_files(path)
    expect(form.page.locator("#merge-names textarea")).to_have_value("tom, rex")
    form.page.wait_for_timeout(1500)  # for whatever follows the change of the models
    expect(form.page.locator("#merge-names textarea")).to_have_value("tom, rex")
    expect(form.page.locator("#merge-root input")).to_have_value(pair[1])
    expect(form.page.locator("#merge-preset input:checked")).to_have_value("small")


def test_two_models_are_merged_from_form_to_editor(form, pair, home):
    choose(form, pair)
    budget(form, root__total_kimg=0.4, warm__stage_kimg=0.8, merge__total_kimg=0.8)
    named(form, "browser merge")
    form.page.locator("#merge-start").click()
    expect(form.page.locator(".run-title h2")).to_have_text("browser merge")
    state(form, "rooting|fitting|merging")
    expect(form.page.locator("#merges .merges")).to_contain_text("1 merge", timeout=15_000)
    form.reload().tab("Merge")  # the laptop was closed
    expect(form.page.locator(".run-title h2")).to_have_text("browser merge")
    state(form, "finished")
    expect(form.page.locator(".run-stages li.done")).to_have_count(3)
    first_and_last_differ(form)
    expect(form.page.locator("#run-curves .js-plotly-plot")).to_be_visible()
    form.picture("merge-run")
    branched_and_compared(form, home)
    form.page.locator(".run-line", has_text="browser merge").get_by_role("button").click()
    state(form, "finished")
    form.page.locator("#run-open").click()
    expect(form.page.locator("#about .chip")).to_have_text(["cat", "dog"])
    form.see(6)  # three latents, as before, of two classes
    union = checkpoints.load(home / "browser merge")
    assert union.classes == ("cat", "dog") and union.card["recipe"]["config"]["merge"]["total_kimg"] == 0.8


def first_and_last_differ(visitor):
    page = visitor.page
    image = page.locator(".strip-pair > img")
    expect(image).to_have_attribute("src", re.compile("^data:image/png"))
    last = image.get_attribute("src")
    visitor.drag(".strip-bar input", 0)
    page.wait_for_function("last => document.querySelector('.strip-pair > img').src !== last", arg=last)
    expect(page.locator(".strip-time figcaption")).to_contain_text("0 kimg")
    expect(page.locator(".strip-beside img")).to_have_attribute("src", re.compile("^data:image/png"))


def branched_and_compared(visitor, home):
    """A branch with another length of merging, with the pictures of the run that it comes from beside its own."""
    page = visitor.page
    page.get_by_text("Extend, branch, compare, delete").click()
    budget(visitor, merge__total_kimg=7)  # so that one sees when the recipe has come into the form
    page.locator("#run-edit").click()
    expect(page.locator("#merge-options input[name='merge.total_kimg']")).to_have_value("0.8")
    page.locator("#run-branch-name").locator("input, textarea").fill("a branch")
    budget(visitor, merge__total_kimg=1.5)
    page.locator("#run-branch").click()
    expect(page.locator(".run-title h2")).to_have_text("a branch")
    state(visitor, "not started")
    assert runs.Run(home / "a branch").recipe().config.merge.total_kimg == 1.5
    page.locator("#run-other input").click()
    page.get_by_role("option", name="browser merge").click()
    expect(page.locator(".strip-beside span")).to_contain_text("browser merge")
    expect(page.locator(".strip-beside img")).to_have_attribute("src", re.compile("^data:image/png"))
    visitor.picture("merge-compared")


@pytest.mark.slow
def test_a_run_is_paused_resumed_and_cancelled_from_the_page(form, pair, home):
    choose(form, pair)
    budget(form, root__total_kimg=500, warm__stage_kimg=0, merge__total_kimg=1)
    named(form, "long merge")
    form.page.locator("#merge-start").click()
    state(form, "rooting")
    for button, after in (("pause", "paused"), ("resume", "rooting"), ("cancel", "cancelled")):
        started = time.monotonic()
        form.page.locator(f"#run-{button}").click()
        state(form, after, 60_000)
        if button != "resume":
            run = runs.Run(home / "long merge")
            while run.alive() and time.monotonic() - started < 60:
                time.sleep(0.05)
            assert time.monotonic() - started < STOP_SEC, f"{button} took too long"
    form.page.get_by_text("Extend, branch, compare, delete").click()
    form.page.locator("#run-delete").click()
    form.notice("Tick the box first")
    form.page.locator("#run-sure input").check()
    form.page.locator("#run-delete").click()
    expect(form.page.locator(".run-line", has_text="long merge")).to_have_count(0)
    assert not (home / "long merge").exists()


def test_what_stands_in_the_way_is_said_and_nothing_is_started(form, pair, home):
    choose(form, [pair[0]])
    expect(form.page.locator("#merge-told")).to_contain_text("two models or more")
    choose(form, pair)
    form.page.locator("#merge-names textarea").fill("cat, cat")
    form.page.locator("#merge-names textarea").press("Tab")
    expect(form.page.locator("#merge-name").locator("input, textarea")).to_have_value(re.compile("cat.cat"))
    named(form, "never")
    form.page.locator("#merge-start").click()
    form.notice("cat is given 2 times")
    named(form, "../outside")
    form.page.locator("#merge-start").click()
    form.notice("cannot name a run")
    assert not (home / "never").exists() and not (home.parent / "outside").exists()
