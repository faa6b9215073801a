"""The Library without a browser: what comes in, what is fetched, what leaves."""

import time
import zipfile

import gradio as gr
import pytest
import torch

import ui
from cocktail import checkpoints
from cocktail.checkpoints import importing, zoo
from cocktail.errors import CocktailError
from cocktail.export import to_onnx
from ui import base, cards, downloads, exporting
from ui.models import Models

CPU = torch.device("cpu")


def handlers(models, name):
    return [fn.fn for fn in ui.build(models).fns.values() if fn.name == name]


@pytest.fixture
def saved(tiny, tmp_path):
    gan = tiny(("cat", "dog"), resolution=16)
    gan.card["title"] = "Pets <b>"
    return str(checkpoints.save(gan, tmp_path / "pets"))


def test_a_dropped_file_becomes_a_model_of_the_page_with_its_report(saved, monkeypatch, tmp_path):
    monkeypatch.setenv(importing.HOME, str(tmp_path / "home"))
    models = Models(device=CPU)
    (dropped,) = handlers(models, "dropped")
    *_, last = dropped(f"{saved}/model.safetensors", [])
    shown = [value.value for value in last.values() if isinstance(value, gr.HTML) and value.value]
    assert any("Pets &lt;b&gt;" in text and "kept in" in text for text in shown)
    assert str(tmp_path / "home" / "model") in models.refs()
    assert str(tmp_path / "home" / "model") not in Models(public=True, device=CPU).refs()


def test_a_file_that_cannot_be_read_leaves_nothing_behind(monkeypatch, tmp_path):
    monkeypatch.setenv(importing.HOME, str(tmp_path / "home"))
    (tmp_path / "x.pkl").write_bytes(b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02ls\x85R.")
    (dropped,) = handlers(Models(device=CPU), "dropped")
    with pytest.raises(gr.Error, match="system"):
        list(dropped(str(tmp_path / "x.pkl"), []))
    assert not (tmp_path / "home").exists()


def test_a_public_page_takes_no_files_and_exports_nothing(saved, monkeypatch):
    monkeypatch.delenv("SPACE_AUTHOR_NAME", raising=False)
    models = Models([saved], public=True, device=CPU)
    assert handlers(models, "dropped") == handlers(models, "typed") == handlers(models, "fetched") == []
    (made,) = handlers(models, "made")
    with pytest.raises(gr.Error, match="public"):
        list(made(gr.Request(), saved, "native", False))


@pytest.mark.parametrize("act, tab", [("open", "sample"), ("merge", "merge")])
def test_the_buttons_of_a_card_open_a_model_or_take_it_to_a_merge(saved, act, tab):
    acts = handlers(Models([saved], device=CPU), "act")
    event = type("Event", (), {"_data": {"ref": saved, "do": act}})()
    found = acts[0]([], ["bundled/cat", saved], event)
    (tabs,) = [value for value in found.values() if isinstance(value, gr.Tabs)]
    assert tabs.selected == tab
    assert act != "merge" or ["bundled/cat", saved] in found.values()


def test_a_card_has_a_button_for_everything_that_can_be_done(saved):
    made = cards.card(Models([saved], device=CPU).get(saved))
    for act in ("open", "merge", "share"):
        assert f'data-do="{act}"' in made
    assert "<b>" not in made


@pytest.mark.parametrize(
    "kind, inside",
    [
        ("native", "pets/model.safetensors"),
        ("web", "pets-web/index.html"),
        pytest.param("onnx", "pets-onnx/generator.onnx", marks=pytest.mark.slow),
    ],
)
def test_a_model_is_packed_with_all_it_needs(saved, tmp_path, kind, inside):
    path, said = exporting.pack(checkpoints.load(saved), kind, False, tmp_path, "pets")
    with zipfile.ZipFile(path) as archive:
        assert inside in archive.namelist() and not any(name.startswith(("/", "..")) for name in archive.namelist())
    assert path.name in said and ("difference" in said) == (kind != "native")


def test_an_unknown_kind_is_refused(saved, tmp_path):
    with pytest.raises(CocktailError, match="known: native, onnx, web"):
        exporting.pack(checkpoints.load(saved), "exe", False, tmp_path, "pets")


def test_progress_of_a_download_is_told_and_its_failure_raised(monkeypatch):
    monkeypatch.setattr(downloads, "EVERY_SEC", 0.0)

    def work(report):
        report(2_000_000, 4_000_000)
        time.sleep(0.2)  # so that the end does not overtake it

    lines = list(downloads.during("Fetching <x>", work))
    assert lines == ["<p>Fetching &lt;x&gt; …</p>", "<p>Fetching &lt;x&gt;: 2 MB of 4 MB</p>"]
    with pytest.raises(CocktailError, match="cut"):
        list(downloads.during("x", lambda report: (_ for _ in ()).throw(CocktailError("cut"))))


def test_the_zoo_is_fetched_on_a_click_and_then_opened(monkeypatch, tmp_path):
    monkeypatch.setenv(zoo.CACHE, str(tmp_path))
    first = next(iter(zoo.entries().values()))
    assert f'data-ref="{first.ref}" data-do="fetch"' in downloads.table()
    zoo.path_of(first.name).parent.mkdir(parents=True)
    zoo.path_of(first.name).write_bytes(b"x")
    assert f'data-ref="{first.ref}" data-do="open"' in downloads.table()
    asked = []
    monkeypatch.setattr(zoo, "fetch", lambda name, report: asked.append(name))
    (fetched,) = handlers(Models(device=CPU), "fetched")
    for act in ("open", "fetch"):
        list(fetched(gr.Request(), type("Event", (), {"_data": {"ref": first.ref, "do": act}})()))
    assert asked == [first.ref]


def test_a_models_name_becomes_a_files_name():
    assert base.file_stem("bundled/union") == "union"
    assert base.file_stem("me/x@main") == "x-main" and base.file_stem("/tmp/ä b") == "ä-b"


@pytest.mark.slow
def test_an_onnx_file_is_shown_as_it_was_found_and_read_otherwise_if_asked(tiny, monkeypatch, tmp_path):
    monkeypatch.setenv(importing.HOME, str(tmp_path / "home"))
    to_onnx(tiny(resolution=16), tmp_path)
    models = Models(device=CPU)
    (dropped,), (read_so,) = handlers(models, "dropped"), handlers(models, "read_so")
    *_, last = dropped(str(tmp_path / "generator.onnx"), [])
    shown = next(value.value for value in last.values() if isinstance(value, gr.HTML) and value.value)
    assert "-1 is black, 1 is white" in shown
    assert [value.visible for value in last.values() if isinstance(value, gr.Row)] == [True]
    kept = str(tmp_path / "home" / "generator")
    before = models.get(kept).gan.sample([1])
    read_so(kept, "0 and 1", "as found", [])
    assert torch.allclose(models.get(kept).gan.sample([1]), (2 * before - 1).clamp(-1, 1), atol=1e-5)
