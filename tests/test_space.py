"""The studio around one model as a Space: its folder, its way to the Hub, and what is different there."""

import importlib
import pickle
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch

import cocktail.__main__
import ui.space
from cocktail import checkpoints
from cocktail.checkpoints import space
from cocktail.errors import CocktailError
from editing.latents import draw
from editing.recipes import PictureRecipe, fingerprint
from tests import hub_server
from ui import pushing
from ui.models import Models

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def union(tiny, tmp_path_factory):
    gan = tiny(("cat", "dog"), seed=3)
    gan.card = {"title": "Pets", "licence": "cc-by-4.0", "hub": {"repo": "me/pets", "revision": "0" * 40},
                "parents": [{"ref": "someone/cat", "licence": "cc-by-4.0"}]}  # fmt: skip
    folder = checkpoints.save(gan, tmp_path_factory.mktemp("models") / "pets")
    (folder / "directions.safetensors").write_bytes(b"1234")
    return folder


@pytest.fixture(scope="module")
def built(union, tmp_path_factory):
    return space.build(tmp_path_factory.mktemp("space") / "made", str(union))


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_space_holds_the_program_and_one_model_and_nothing_else(built):
    known = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                           capture_output=True, text=True, check=True).stdout.splitlines()  # fmt: skip
    wanted = {"app.py", "LICENSE", "requirements.txt"} | {
        name for name in known
        if name.startswith(("cocktail/", "editing/", "ui/", "assets/")) and (ROOT / name).is_file()
        and not name.startswith(("assets/readme/", *(f"assets/{name}/" for name in checkpoints.bundled())))
    }  # fmt: skip
    model = {
        f"model/pets/{name}" for name in ("README.md", "config.json", "model.safetensors", "directions.safetensors")
    }
    assert files(built) == wanted | model | {"README.md"}


def test_the_readme_of_a_space_has_what_the_hub_reads(built):
    text = (built / "README.md").read_text(encoding="utf-8")
    front = space.front_matter(text)
    assert front["title"] == "Pets" and front["sdk"] == "gradio" and front["app_file"] == "app.py"
    assert front["models"] == ["me/pets", "someone/cat"] and front["hf_oauth"] is True
    assert len(front["short_description"]) <= space.MAX_DESCRIPTION
    assert {"emoji", "colorFrom", "colorTo", "sdk_version", "python_version", "license"} <= set(front)
    assert "Model: licence cc-by-4.0." in text


def test_the_version_of_gradio_on_a_space_is_the_one_that_is_tested():
    front = space.front_matter((ROOT / "README.md").read_text(encoding="utf-8"))
    assert f"gradio=={front['sdk_version']}\n" in (ROOT / "constraints.txt").read_text(encoding="utf-8")


def test_a_folder_that_holds_something_is_left_alone(union, tmp_path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(CocktailError, match="holds something already"):
        space.build(tmp_path, str(union))
    assert files(tmp_path) == {"mine"}


@pytest.mark.parametrize(
    "ref, name",
    [("bundled/union", "union"), ("me/pets@v1", "pets"), ("runs/demo", "demo"), ("/a/b/afhq.pkl", "afhq"),
     ("zoo/ffhq", "ffhq"), ("my models/a b", "a-b"), ("..", "gan")],
)  # fmt: skip
def test_the_model_of_a_space_is_called_after_its_reference(ref, name):
    assert space.name_of(ref) == name


def test_a_space_is_pushed_as_one_commit_and_updated_by_another(hub, union, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", hub_server.TOKEN)
    assert space.push("me/studio", str(union), private=True) == f"{hub.url}/spaces/me/studio"
    repo = hub.repos["spaces/me/studio"]
    assert repo.sdk == "gradio" and repo.private and repo.messages[1:] == ["GAN Cocktail Studio with pets"]
    assert {"app.py", "README.md", "model/pets/model.safetensors", "ui/base.py"} <= set(repo.files())
    repo.files()["ui/old_tab.py"] = b"import gone"
    space.push("me/studio", str(union))
    assert len(repo.messages) == 3 and "ui/old_tab.py" not in repo.files() and ".gitattributes" in repo.files()


def test_pushing_a_space_without_being_signed_in_says_what_to_do(hub, union):
    with pytest.raises(CocktailError, match="hf auth login"):
        space.push("me/studio", str(union))
    with pytest.raises(CocktailError, match="expected user/name"):
        space.push("studio", str(union))


def test_the_space_command_builds_and_pushes(hub, union, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", hub_server.TOKEN)
    assert cocktail.__main__.main(["space", "build", str(tmp_path / "s"), "--model", str(union)]) == 0
    assert "a Space around" in capsys.readouterr().out and (tmp_path / "s" / "app.py").is_file()
    assert cocktail.__main__.main(["space", "push", "me/studio", "--model", str(union)]) == 0
    assert f"me/studio is at {hub.url}/spaces/me/studio" in capsys.readouterr().out


def test_the_app_opens_on_the_model_that_a_space_was_built_around(built, monkeypatch, tmp_path):
    assert ui.space.model() is None
    monkeypatch.setattr(ui.space, "ROOT", built)
    assert ui.space.model() == str(built / "model" / "pets")
    monkeypatch.chdir(built)
    assert ui.space.model() == "model/pets"
    monkeypatch.setenv("COCKTAIL_MODEL", "me/pets")
    assert ui.space.model() == "me/pets"


def test_duplicating_is_proposed_on_a_space_only(monkeypatch):
    monkeypatch.delenv("SPACE_ID", raising=False)
    assert ui.space.duplicate() == ""
    monkeypatch.setenv("SPACE_ID", 'me/"studio')
    assert 'href="https://huggingface.co/spaces/me/&quot;studio?duplicate=true"' in ui.space.duplicate()


@pytest.fixture
def zero(monkeypatch):
    """A ZeroGPU Space with a `spaces` of ours, which pickles what goes in and out as the real one does."""
    lent = []

    def gpu(duration):
        def decorate(function):
            def on_gpu(*args):
                if lent and lent[-1] == "quota":
                    raise RuntimeError("You have exceeded your GPU quota")
                lent.append(duration)
                return pickle.loads(pickle.dumps(function(*pickle.loads(pickle.dumps(args)))))

            return on_gpu

        return decorate

    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    fake = types.ModuleType("spaces")
    fake.GPU, fake.__spec__ = gpu, importlib.machinery.ModuleSpec("spaces", None)
    monkeypatch.setitem(sys.modules, "spaces", fake)
    importlib.reload(ui.space)
    yield lent
    monkeypatch.delenv("SPACES_ZERO_GPU")
    importlib.reload(ui.space)


def test_on_zerogpu_large_pictures_are_drawn_with_a_gpu_and_small_ones_without(zero, tiny, union, tmp_path):
    folder = checkpoints.save(tiny(resolution=512, discriminator=False), tmp_path / "large")
    for path, times in ((folder, 1), (union, 1)):
        gan = checkpoints.load(path)
        recipe = PictureRecipe(path.name, fingerprint(gan), gan.classes[:1], (7,))
        (expected,) = draw(gan, recipe)
        assert torch.equal(ui.space.picture(gan, recipe, str(path), fingerprint(gan)), expected)
        assert zero == [ui.space.GPU_SEC] * times


def test_where_the_minutes_of_zerogpu_are_used_up_the_cpu_draws(zero, tiny, tmp_path):
    folder = checkpoints.save(tiny(resolution=512, discriminator=False), tmp_path / "large")
    gan = checkpoints.load(folder)
    recipe = PictureRecipe("large", fingerprint(gan), (), (7,))
    zero.append("quota")
    (expected,) = draw(gan, recipe)
    assert torch.equal(ui.space.picture(gan, recipe, str(folder), fingerprint(gan)), expected) and zero == ["quota"]


def test_nothing_is_decorated_where_there_is_no_zerogpu_or_no_spaces(monkeypatch):
    assert ui.space._decorated() is None and ui.space._DRAW is None
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.setitem(sys.modules, "spaces", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert ui.space._decorated() is None


def test_a_visitor_of_a_public_page_pushes_in_their_own_name_only(hub, union, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", hub_server.TOKEN)  # of whoever runs the page
    models = Models([str(union)], public=True)
    with pytest.raises(CocktailError, match="Sign in to push"):
        pushing.push_as(models, str(union), "me/pets", False, None)
    assert hub.asked == []
    said = pushing.push_as(models, str(union), "me/pets", True, hub_server.TOKEN)
    assert f'href="{hub.url}/me/pets"' in said and "licence cc-by-4.0" in said
    assert hub.repos["models/me/pets"].private


def test_at_home_the_page_pushes_as_whoever_is_signed_in_on_the_machine(hub, union, monkeypatch):
    models = Models([str(union)])
    with pytest.raises(CocktailError, match="hf auth login"):
        pushing.push_as(models, str(union), "me/pets", False, None)
    with pytest.raises(CocktailError, match="name is empty"):
        pushing.push_as(models, str(union), " ", False, None)
    monkeypatch.setenv("HF_TOKEN", hub_server.TOKEN)
    assert "me/pets" in pushing.push_as(models, str(union), " me/pets ", False, None)
