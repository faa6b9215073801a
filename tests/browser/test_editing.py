"""Editing as a person does it, in real Chromium: shelf, ways, mixes, directions, inversion."""

import json

import numpy as np
import PIL.Image
import pytest
from playwright.sync_api import expect

from cocktail.checkpoints import load
from editing.latents import render
from editing.recipes import fingerprint, from_png

pytestmark = pytest.mark.browser
WAY = "#way .knob input[type=range]"


def names(visitor) -> list[str]:
    return visitor.page.locator("#shelf .name").all_inner_texts()


def await_names(visitor, wanted: list[str]) -> None:
    visitor.page.wait_for_function(
        "names => JSON.stringify([...document.querySelectorAll('#shelf .name')].map(n => n.textContent)) === names",
        arg=json.dumps(wanted, separators=(",", ":")),
    )


def shelf_button(visitor, name: str):
    return visitor.page.locator("#shelf").get_by_role("button", name=name, exact=True)


# Shelf


def test_the_shelf_is_renamed_reordered_undone_and_survives_a_reload(visit):
    visitor = visit().open()
    visitor.shelve(0, 4, 8)
    assert names(visitor) == ["face #0", "cat #1", "dog #2"]
    visitor.page.locator("#shelf .pick .name").nth(1).click()
    visitor.page.locator("#shelf .rename").fill("my cat")
    visitor.page.keyboard.press("Enter")
    await_names(visitor, ["face #0", "my cat", "dog #2"])
    visitor.page.locator("#shelf .pick .use").nth(1).focus()
    visitor.page.keyboard.press("Alt+ArrowLeft")
    await_names(visitor, ["my cat", "face #0", "dog #2"])
    visitor.page.locator("#shelf .pick .use").nth(2).focus()
    visitor.page.keyboard.press("Delete")
    await_names(visitor, ["my cat", "face #0"])
    for wanted in (["my cat", "face #0", "dog #2"], ["face #0", "my cat", "dog #2"], ["face #0", "cat #1", "dog #2"]):
        shelf_button(visitor, "Undo").click()
        await_names(visitor, wanted)
    shelf_button(visitor, "Redo").click()
    await_names(visitor, ["face #0", "my cat", "dog #2"])
    visitor.open()
    await_names(visitor, ["face #0", "my cat", "dog #2"])
    visitor.page.locator("#shelf .pick").nth(2).drag_to(visitor.page.locator("#shelf .pick").nth(0))
    await_names(visitor, ["dog #2", "face #0", "my cat"])


def test_a_saved_shelf_is_loaded_by_somebody_else_and_bad_files_change_nothing(visit, tmp_path):
    visitor = visit().open()
    visitor.shelve(1, 5)
    with visitor.page.expect_download() as download:
        shelf_button(visitor, "Save").click()
    download.value.save_as(tmp_path / "shelf.safetensors")
    with visitor.page.expect_download() as download:
        shelf_button(visitor, "npz").click()
    download.value.save_as(tmp_path / "projected_w.npz")
    assert np.load(tmp_path / "projected_w.npz")["w"].shape == (2, 10, 32)
    other = visit(viewport={"width": 1440, "height": 900}).open()
    chooser = other.page.locator("#shelf-file")
    chooser.set_input_files(tmp_path / "shelf.safetensors")
    await_names(other, ["face #1", "cat #2"])
    chooser.set_input_files(tmp_path / "projected_w.npz")
    await_names(other, ["face #1", "cat #2", "projected_w 1", "projected_w 2"])
    first, third = (other.pixels(f"#shelf .pick:nth-child({i}) img") for i in (1, 3))
    assert np.array_equal(first, third)
    (tmp_path / "torn.npz").write_bytes((tmp_path / "projected_w.npz").read_bytes()[:200])
    (tmp_path / "note.safetensors").write_text("no shelf")
    for file, words in (("torn.npz", "no projected_w.npz"), ("note.safetensors", "no shelf of this program")):
        chooser.set_input_files(tmp_path / file)
        other.notice(words)
    assert len(names(other)) == 4


# Interpolate


def test_a_way_goes_from_key_to_key_and_the_slider_draws_at_once(visit):
    visitor = visit().open()
    visitor.shelve(0, 5)
    keys = [visitor.pixels(f"#shelf .pick:nth-child({i}) img") for i in (1, 2)]
    visitor.tab("Interpolate")
    visitor.filled("#film", 8)
    assert visitor.page.locator("#way-keys .slot .name").all_inner_texts() == ["face #0", "cat #2"]
    middle = visitor.pixels("#way .cell img")
    for to, key in ((0, keys[0]), (1, keys[1])):
        visitor.drag(WAY, to)
        visitor.page.wait_for_function(
            "about => document.querySelector('#way .cell img').alt === about", arg=["face #0", "cat #2"][to]
        )
        assert np.array_equal(visitor.pixels("#way .cell img"), key)
        assert not np.array_equal(middle, key)
    visitor.picture("interpolate")
    visitor.page.locator("#film .cell .picture").nth(3).click()
    visitor.page.wait_for_function("document.querySelectorAll('#shelf .pick').length === 3")
    assert "→" in names(visitor)[2]


def test_play_walks_and_constant_speed_makes_steps_even(visit):
    visitor = visit().open().tab("Interpolate")
    visitor.filled("#film", 8)

    def ratio() -> float:
        return float(visitor.page.locator("#film .note").inner_text().split("ratio ")[1].split(")")[0])

    before = ratio()
    visitor.page.locator("#way-even input").check()
    visitor.page.wait_for_function("before => !document.querySelector('#film .note').textContent.includes(before)",
                                   arg=f"ratio {before:.1f}")  # fmt: skip
    visitor.filled("#film", 8)
    assert ratio() < before
    seen = visitor.page.locator("#way .cell img").get_attribute("alt")
    visitor.page.get_by_role("button", name="Play").click()
    visitor.page.wait_for_function("seen => document.querySelector('#way .cell img').alt !== seen", arg=seen)
    visitor.page.get_by_role("button", name="Pause").click()


def test_a_film_has_the_frames_that_were_asked_for(visit, tmp_path):
    visitor = visit().open().tab("Interpolate")
    visitor.filled("#film", 8)
    box = visitor.page.locator("#way-frames input[type=number]")
    box.fill("12")
    box.press("Enter")
    for kind in ("WebP", "GIF"):
        visitor.page.locator("#way-kind label", has_text=kind).click()
        with visitor.page.expect_download() as download:
            visitor.page.locator("#way-save").click()
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        with PIL.Image.open(path) as film:
            assert film.n_frames == 12 and film.width >= 256


def test_one_key_or_a_sample_without_z_give_a_message_and_the_keys_stay(visit):
    visitor = visit().open().tab("Interpolate")
    visitor.filled("#film", 8)
    visitor.page.locator("#film .cell .picture").nth(3).click()
    visitor.page.locator("#shelf .pick").wait_for()
    visitor.page.locator("#shelf .use").click()
    visitor.page.wait_for_function("document.querySelectorAll('#way-keys .slot').length === 4")
    visitor.page.locator("#way-space label").nth(2).click()
    visitor.notice("has no z")
    assert visitor.page.locator("#way-keys .slot").count() == 4
    visitor.page.locator("#way-space label").nth(0).click()
    for left in (3, 2, 1):
        visitor.page.locator("#way-keys .slot").last.hover()
        visitor.page.locator("#way-keys .slot .remove").last.click()
        visitor.page.wait_for_function("n => document.querySelectorAll('#way-keys .slot').length === n", arg=left)
    expect(visitor.page.locator("#way .note")).to_contain_text("Choose two pictures")


def test_a_mixture_has_a_slider_for_each_key(visit):
    visitor = visit().open().tab("Interpolate")
    visitor.filled("#film", 8)
    keys = [visitor.pixels(f"#way-keys .slot:nth-child({i}) img") for i in (1, 2, 3)]
    visitor.page.locator("#way-mode label", has_text="Mixture").click()
    visitor.page.wait_for_function("document.querySelectorAll('#way .knob').length === 3")
    for place in (0, 1):
        visitor.drag(f"#way .knob:nth-child({place + 1}) input[type=range]", 0)
    visitor.page.wait_for_function("document.querySelector('#way .cell img').alt.includes('100%')")
    assert np.abs(visitor.pixels("#way .cell img").astype(int) - keys[2]).max() <= 1


# Mix


def test_all_layers_of_the_columns_are_the_columns_pictures(visit):
    visitor = visit().open().tab("Mix")
    visitor.filled("#mix", 12)
    heads = [visitor.pixels(f"#mix .column-head:nth-child({i}) img") for i in (1, 2, 3, 4)]
    visitor.picture("mix")
    visitor.drag("#mix-layers .end.first", 0)
    visitor.page.wait_for_function("document.querySelector('#mix .cell img').alt.includes('layers 0-9')")
    visitor.filled("#mix", 12)
    cells = [visitor.pixels(f"#mix .cell >> nth={i} >> img") for i in range(4)]
    assert all(np.array_equal(a, b) for a, b in zip(heads, cells))
    visitor.page.locator("#mix-layers").get_by_role("button", name="coarse").click()
    visitor.page.wait_for_function("document.querySelector('#mix .cell img').alt.includes('layers 0-2')")
    visitor.page.locator("#mix-pose").click()
    visitor.page.wait_for_function("document.querySelector('#mix .cell img').alt.includes('layers 3-9')")
    visitor.page.locator("#mix .cell .picture").nth(5).click()
    visitor.page.locator("#shelf .pick").wait_for()
    assert "with layers 3-9 of" in visitor.page.locator("#shelf .pick .use").get_attribute("title")


def test_rows_and_columns_are_filled_and_a_click_on_the_shelf_adds(visit):
    visitor = visit().open()
    visitor.shelve(3)
    visitor.tab("Mix")
    visitor.filled("#mix", 12)
    visitor.page.get_by_role("button", name="Columns", exact=True).click()
    visitor.page.locator("#shelf .use").click()
    visitor.filled("#mix", 15)
    visitor.page.get_by_role("button", name="Fill with samples").click()
    count = visitor.page.locator("#mix-count input[type=number]")
    # What was folded is made when it is opened, and takes its first value an instant later: nobody types that fast.
    visitor.page.wait_for_timeout(500)
    count.fill("8")
    count.press("Enter")
    visitor.page.locator("#mix-fill").click()
    visitor.filled("#mix", 64)


# Directions


def finder(visit):
    """A visitor with the first of the pictures to judge in focus, and where the page tells how things stand."""
    visitor = visit().open().tab("Directions")
    visitor.filled("#move", 4)
    visitor.page.get_by_role("tab", name="Find", exact=True).click()
    visitor.page.locator("#judge .judged").first.focus()
    return visitor, visitor.page.locator("#judge .judge-told")


def hold(visitor, address):
    """Keeps back the answer to the next request to an address: [(route, answer)] once it is there."""
    held = []
    visitor.page.route(address, lambda route: held.append((route, route.fetch())), times=1)
    return held


def test_marks_can_be_forgotten_and_begun_again(visit):
    visitor, told = finder(visit)
    plus = visitor.page.locator("#judge .judged.plus")
    visitor.page.keyboard.press("+")
    visitor.page.keyboard.press("+")
    expect(told).to_contain_text("2 positive, 0 negative")
    visitor.page.locator("#judge-reset").click()
    expect(told).to_contain_text("0 positive, 0 negative")
    expect(plus).to_have_count(0)
    visitor.page.locator("#judge .judged").nth(4).focus()
    visitor.page.keyboard.press("+")
    expect(told).to_contain_text("1 positive, 0 negative")
    expect(plus).to_have_count(1)


def test_an_answer_that_comes_late_does_not_replace_a_newer_one(visit):
    visitor, told = finder(visit)
    held = hold(visitor, "**/queue/join*")
    visitor.page.keyboard.press("+")
    while not held:
        visitor.page.wait_for_timeout(20)
    visitor.page.keyboard.press("+")
    expect(told).to_contain_text("2 positive, 0 negative")
    route, answer = held[0]
    route.fulfill(response=answer)
    visitor.page.wait_for_timeout(1500)
    expect(told).to_contain_text("2 positive, 0 negative")


def test_an_event_sent_while_the_end_of_the_answers_is_on_its_way_is_answered(visit):
    visitor, told = finder(visit)
    visitor.page.wait_for_timeout(500)  # nothing else is under way
    held = hold(visitor, "**/queue/data*")
    visitor.page.keyboard.press("+")
    while not held:
        visitor.page.wait_for_timeout(20)
    with visitor.page.expect_response("**/queue/join*"):
        visitor.page.keyboard.press("+")
    route, answers = held[0]
    asked = []
    visitor.page.on("request", lambda request: asked.append(request) if "queue/join" in request.url else None)
    route.fulfill(response=answers)
    expect(told).to_contain_text("2 positive, 0 negative")
    visitor.page.wait_for_timeout(1500)
    assert len(asked) == 1  # what wakes the stream does not wake it again


def test_a_direction_is_found_by_judging_with_the_keyboard_and_moves_every_class(visit):
    visitor, _ = finder(visit)
    for key in "+-+-+-+-+-+":
        visitor.page.keyboard.press(key)
    expect(visitor.page.locator("#judge .judge-told")).to_contain_text("Accuracy if found now")
    assert visitor.page.locator("#judge .judged.plus").count() == 6
    visitor.picture("judge")
    visitor.page.locator("#find-go").click()
    visitor.notice("needs a name")
    visitor.page.locator("#find-name input").fill("odd ones")
    visitor.page.locator("#find-go").click()
    expect(visitor.page.locator("#find-told")).to_contain_text("6 +, 5 −")
    visitor.page.get_by_role("tab", name="Move", exact=True).click()
    visitor.filled("#strip", 28)
    before = [visitor.pixels(f"#move .cell >> nth={i} >> img") for i in range(4)]
    visitor.drag("#move .knob input[type=range]", 3)
    visitor.page.wait_for_function("document.querySelector('#move .cell img').alt.includes('+3.0σ')")
    after = [visitor.pixels(f"#move .cell >> nth={i} >> img") for i in range(4)]
    assert all(not np.array_equal(a, b) for a, b in zip(before, after))
    strip = visitor.pixels("#strip .cell >> nth=6 >> img")
    assert np.array_equal(strip, after[0])
    visitor.picture("directions")


def test_too_few_marks_are_refused_with_their_numbers(visit):
    visitor = visit().open().tab("Directions")
    visitor.page.get_by_role("tab", name="Find", exact=True).click()
    visitor.page.locator("#judge .judged").first.wait_for()
    for place in range(3):
        visitor.page.locator("#judge .yes").nth(place).click()
    expect(visitor.page.locator("#judge .judge-told")).to_contain_text("3 positive, 0 negative")
    visitor.page.locator("#find-name input").fill("smile")
    visitor.page.locator("#find-go").click()
    visitor.notice("3 positive and 0 negative")


def test_suggestions_are_made_orthogonal_saved_and_loaded(visit, tmp_path):
    visitor = visit().open().tab("Directions")
    visitor.filled("#move", 4)
    visitor.page.get_by_role("button", name="Suggestions").click()
    visitor.page.locator("#suggest-sefa").click()
    visitor.page.wait_for_function("document.querySelectorAll('#move .knob').length === 5")
    visitor.filled("#strip", 28)
    with visitor.page.expect_download() as download:
        visitor.page.locator("#direction-save").click()
    download.value.save_as(tmp_path / "directions.safetensors")
    other = visit(viewport={"width": 1440, "height": 900}).open().tab("Directions")
    other.filled("#move", 4)
    upload = other.page.locator("#direction-load").locator("xpath=preceding-sibling::input[@type='file'][1]")
    (tmp_path / "bad.safetensors").write_text("nothing")
    upload.set_input_files(tmp_path / "bad.safetensors")
    other.notice("holds no directions")
    upload.set_input_files(tmp_path / "directions.safetensors")
    other.page.wait_for_function("document.querySelectorAll('#move .knob').length === 5")
    other.page.get_by_role("tab", name="Measure", exact=True).click()
    other.page.locator("#measure-go").click()
    expect(other.page.locator("#measure-told")).to_contain_text("keep their class")
    other.page.locator("#effects .js-plotly-plot").wait_for()


# Invert


@pytest.mark.slow
def test_a_picture_of_the_model_is_inverted_and_kept(visit, union, tmp_path):
    gan = load(union)
    path = tmp_path / "mine.png"
    visitor = visit().open()
    visitor.page.locator("#sheet .cell .picture").nth(4).wait_for()
    with visitor.page.expect_download() as download:
        visitor.page.locator("#sheet .cell .save").nth(4).click(force=True)
    download.value.save_as(path)
    visitor.tab("Invert")
    visitor.page.locator("#photo input[type=file]").set_input_files(path)
    expect(visitor.page.locator("#invert-told")).to_contain_text("seconds here")
    visitor.page.locator("#invert-go").click()
    expect(visitor.page.locator("#invert-told")).to_contain_text("steps and")
    visitor.page.locator("#before-after").wait_for()
    visitor.picture("invert")
    text = visitor.page.locator("#invert-told").inner_text()
    assert float(text.split("PSNR ")[1].split(" dB")[0]) > 20
    visitor.page.locator("#inverted .cell .picture").last.click()
    visitor.page.locator("#shelf .pick").wait_for()
    with visitor.page.expect_download() as download:
        visitor.page.locator("#inverted .cell .save").last.click(force=True)
    kept = tmp_path / "kept.png"
    download.value.save_as(kept)
    recipe = from_png(kept)
    assert np.array_equal(np.asarray(render(gan, recipe, fingerprint(gan))), np.asarray(PIL.Image.open(kept)))


def test_files_that_are_no_pictures_get_a_reason(visit, tmp_path):
    visitor = visit().open().tab("Invert")
    visitor.filled("#inverted", 1)
    example = visitor.pixels("#inverted .cell img")
    for name, words in (("note.png", "no picture that can be read"), ("small.png", "at least 8")):
        path = tmp_path / name
        if name == "note.png":
            path.write_text("no picture")
        else:
            PIL.Image.new("RGB", (3, 3)).save(path)
        visitor.page.locator("#photo input[type=file]").set_input_files(path)
        visitor.notice(words)
        assert np.array_equal(visitor.pixels("#inverted .cell img"), example), "the picture of before stays"
        visitor.page.locator("#photo").get_by_role("button", name="Clear").click()
        visitor.page.locator("#photo input[type=file]").wait_for(state="attached")


def test_without_a_photo_an_example_is_inverted_and_cancel_ends_it(visit):
    visitor = visit().open().tab("Invert")
    told = visitor.page.locator("#invert-told")
    expect(told).to_contain_text("here is a drawn face")
    visitor.page.locator("#tab-invert").get_by_role("button", name="More").click()
    for selector, value in (("#invert-sec", "60"), ("#invert-steps", "1000")):
        box = visitor.page.locator(selector).locator("input[type=number]")
        box.fill(value)
        box.press("Enter")
    visitor.page.locator("#invert-go").click()
    expect(told).to_contain_text("Step")
    visitor.page.locator("#invert-cancel").click()
    expect(told).to_contain_text("Cancelled")
    visitor.page.wait_for_timeout(1500)
    assert "Cancelled" in told.inner_text(), "it goes on"
    assert visitor.page.locator("#inverted .cell").count() == 2, "the best so far stays"
