"""The Library in real Chromium: a file is dropped, becomes a model, and leaves again in another form."""

import zipfile

import pytest
from playwright.sync_api import expect

from cocktail import checkpoints
from cocktail.gan import new_gan

pytestmark = pytest.mark.browser

SMALL = {"img_resolution": 16, "z_dim": 8, "w_dim": 16, "mapping_layers": 2, "channels": (8, 8, 8)}
DROP = """([name, data]) => {
  const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0)), carried = new DataTransfer();
  carried.items.add(new File([bytes], name));
  document.querySelector("#library").dispatchEvent(
    new DragEvent("drop", { dataTransfer: carried, bubbles: true, cancelable: true })) }"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    judge = {"img_resolution": 16, "channels": (8, 8, 8)}
    gan = new_gan("stylegan2", SMALL, judge, ("owl", "wren"), seed=5)
    return checkpoints.save(gan, tmp_path_factory.mktemp("file") / "birds") / "model.safetensors"


@pytest.fixture
def library(visit):
    visitor = visit().open().tab("Library")
    visitor.page.locator("#library .model").first.wait_for()
    return visitor


def imported(visitor, file):
    visitor.page.locator("#library-drop input[type=file]").set_input_files(file)
    report = visitor.page.locator("#library-report .model")
    report.wait_for()
    return report


def test_a_file_is_imported_shown_with_its_report_opened_and_merged(library, file, home):
    report = imported(library, file)
    assert report.locator("img").count() == 8
    expect(report.locator(".chip")).to_have_text(["owl", "wren"])
    expect(report.locator("dl.report")).to_contain_text("not stated in the file")
    library.picture("library-imported")
    kept = report.locator("dl.report dd").last.inner_text()
    assert kept.startswith(str(home.parent / "models")) and checkpoints.load(kept).classes == ("owl", "wren")
    report.get_by_role("button", name="Use in a merge").click()
    expect(library.page.locator("#merge-sources .token", has_text="model")).to_have_count(1)
    library.tab("Library")
    report.get_by_role("button", name="Open").click()
    expect(library.page.locator("#about .chip")).to_have_text(["owl", "wren"])
    library.see(6)


def test_a_file_dropped_anywhere_on_the_tab_is_imported(library, file):
    import base64

    library.page.evaluate(DROP, ["birds.safetensors", base64.b64encode(file.read_bytes()).decode()])
    expect(library.page.locator("#library-report .model .chip")).to_have_text(["owl", "wren"])


def test_a_file_that_is_no_model_is_refused_and_the_next_one_read(library, file, tmp_path):
    bad = tmp_path / "bad.pkl"
    bad.write_bytes(b"cos\nsystem\n(S'touch /tmp/x'\ntR.")
    library.page.locator("#library-drop input[type=file]").set_input_files(bad)
    library.notice("os.system")
    expect(library.page.locator("#library-told")).not_to_be_visible()
    library.open().tab("Library")
    imported(library, file)


def test_a_model_leaves_as_a_zip_that_opens_again(library, file, tmp_path):
    report = imported(library, file)
    report.get_by_role("button", name="Share").click()
    expect(library.page.locator("#share-about")).to_contain_text("Share")
    library.page.locator("#share-kind label", has_text="Model folder").click()
    library.page.locator("#share-make").click()
    expect(library.page.locator("#share-told")).to_contain_text(".zip")
    library.picture("library-share")
    with library.page.expect_download() as saved:
        library.page.locator("#share-file a").first.click()
    with zipfile.ZipFile(saved.value.path()) as archive:
        archive.extractall(tmp_path)
    (folder,) = tmp_path.iterdir()
    assert checkpoints.load(folder).classes == ("owl", "wren")
