"""Loading from and pushing to the Hub: the real huggingface_hub against a stand-in server on this machine."""

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import PIL.Image
import pytest
import torch
import yaml
from huggingface_hub import constants

import cocktail.__main__
from cocktail import checkpoints, runs
from cocktail.checkpoints import hub as cocktail_hub
from cocktail.checkpoints import licences, modelcard
from cocktail.checkpoints import push as pushing
from cocktail.errors import CocktailError
from cocktail.methods.cocktail import PRESETS, CocktailConfig
from cocktail.preflight import check
from cocktail.training import TrainConfig
from tests import foreign, hub_server
from ui import merge_form, options
from ui.merge_form import Form

CAT = "someone/cat-gan"
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def files(tiny, tmp_path_factory):
    """The files of a small model as they lie in a repository, by name."""
    gan = tiny(("cat", "dog"), seed=3)
    gan.card = {"title": "Two pets", "licence": "CC BY-NC 4.0", "recipe": {"seed": 1}}
    folder = checkpoints.save(gan, tmp_path_factory.mktemp("made") / "model")
    return {path.name: path.read_bytes() for path in folder.iterdir()} | {"samples/x.png": b"no picture"}


@pytest.fixture
def cat(hub, files):
    """The commit of CAT on the stand-in."""
    return hub.add(CAT, files)


@pytest.fixture
def signed_in(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", hub_server.TOKEN)


def picture(gan):
    return gan.sample([0], "cat" if gan.classes else None)


def test_a_name_of_the_hub_loads_the_model_and_its_card_tells_the_commit(hub, cat, tiny):
    gan = checkpoints.load(CAT)
    assert torch.equal(picture(gan), picture(tiny(("cat", "dog"), seed=3)))
    assert gan.card["hub"] == {"repo": CAT, "revision": cat} and gan.card["title"] == "Two pets"


def test_only_what_is_needed_is_fetched_and_all_of_it_at_one_commit(hub, cat):
    checkpoints.load(CAT)
    fetched = [path for path in hub.paths("HEAD") if "/resolve/" in path]
    assert {path.split("/resolve/")[1] for path in fetched} == {
        f"{cat}/config.json", f"{cat}/model.safetensors", f"{cat}/recipe.yaml"
    }  # fmt: skip


def test_what_is_in_the_cache_is_not_fetched_again(hub, cat):
    checkpoints.load(CAT)
    hub.asked.clear()
    checkpoints.load(CAT)
    assert not [path for path in hub.paths() if path.startswith(("/lfs", f"/{CAT}/resolve"))]


def test_a_revision_is_a_branch_or_a_commit_in_the_name_or_beside_it(hub, cat, files, tiny, tmp_path):
    newer = checkpoints.save(tiny(("cat", "dog"), seed=4), tmp_path / "newer")
    late = hub.repos[f"models/{CAT}"].commit({p.name: p.read_bytes() for p in newer.iterdir()}, "trial/2")
    first, second = picture(checkpoints.load(CAT)), picture(checkpoints.load(CAT, revision="trial/2"))
    assert not torch.equal(first, second)
    assert torch.equal(picture(checkpoints.load(f"{CAT}@{late}")), second)
    assert torch.equal(picture(checkpoints.load(f"{CAT}@{cat}")), first)
    assert checkpoints.load(f"{CAT}@trial/2").card["hub"]["revision"] == late
    with pytest.raises(CocktailError, match="give one"):
        checkpoints.load(f"{CAT}@trial/2", revision=cat)
    with pytest.raises(CocktailError, match="expected a branch"):
        checkpoints.load(CAT, revision="../../x")


def test_a_commit_that_is_in_the_cache_asks_nobody(hub, cat):
    checkpoints.load(CAT)
    hub.asked.clear()
    assert checkpoints.load(f"{CAT}@{cat}").card["hub"]["revision"] == cat
    assert hub.asked == []


def test_a_name_is_looked_up_anew_when_it_is_loaded_and_stays_the_same_where_it_is_located(hub, cat, tiny, tmp_path):
    place = checkpoints.locate(CAT)
    newer = checkpoints.save(tiny(("cat", "dog"), seed=5), tmp_path / "newer")
    late = hub.add(CAT, {p.name: p.read_bytes() for p in newer.iterdir()})
    hub.asked.clear()
    assert checkpoints.locate(CAT) == place and hub.asked == []
    assert checkpoints.load(CAT).card["hub"]["revision"] == late


def test_a_file_beside_the_weights_is_found(hub, files):
    hub.add(CAT, files | {"directions.safetensors": b"1234"})
    assert checkpoints.beside(CAT, "directions.safetensors").read_bytes() == b"1234"
    assert checkpoints.beside(CAT, "samples/x.png") is None


def test_a_path_wins_over_a_name(hub, cat, tiny, tmp_path, monkeypatch):
    checkpoints.save(tiny(seed=1), tmp_path / CAT)
    monkeypatch.chdir(tmp_path)
    assert checkpoints.load(CAT).classes == () and hub.asked == []


def test_without_a_network_the_cache_is_used(hub, cat, monkeypatch):
    checkpoints.load(CAT)
    hub.asked.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert checkpoints.load(CAT).card["hub"]["revision"] == cat
    assert hub.asked == []
    with pytest.raises(CocktailError, match="not in the cache, and HF_HUB_OFFLINE forbids"):
        checkpoints.load("someone/else")


def test_where_the_hub_cannot_be_reached_the_cache_is_used(hub, cat, monkeypatch):
    checkpoints.load(CAT)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert checkpoints.load(CAT).card["hub"]["revision"] == cat
    with pytest.raises(CocktailError, match="someone/else is no path here, and the connection to the Hub failed"):
        checkpoints.load("someone/else")


def test_a_hub_in_trouble_is_answered_from_the_cache_and_a_refusal_is_not(hub, cat):
    checkpoints.load(CAT)
    hub.faults.append(hub_server.Fault("/api/models", status=503))
    assert checkpoints.load(CAT).card["hub"]["revision"] == cat
    hub.faults.clear()
    hub.repos[f"models/{CAT}"].gated = True
    with pytest.raises(CocktailError, match="is gated"):
        checkpoints.load(CAT)


def test_a_revision_that_was_loaded_does_not_become_what_the_bare_name_means(hub, cat, files):
    late = hub.repos[f"models/{CAT}"].commit(files | {"recipe.yaml": b"seed: 2"}, "trial")
    checkpoints.load(CAT, revision="trial")
    assert checkpoints.locate(CAT).name == cat and checkpoints.locate(f"{CAT}@trial").name == late


def test_half_a_model_in_the_cache_is_not_taken_for_one(hub, cat, monkeypatch):
    folder = checkpoints.locate(CAT)
    (folder / "model.safetensors").unlink()
    cocktail_hub._LOCATED.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CocktailError, match="not in the cache"):
        checkpoints.load(CAT)


def test_a_private_model_asks_to_sign_in_and_opens_for_who_is(hub, cat, monkeypatch):
    hub.repos[f"models/{CAT}"].private = True
    with pytest.raises(CocktailError, match=r"does not exist or is private.*hf auth login.*HF_TOKEN"):
        checkpoints.load(CAT)
    monkeypatch.setenv("HF_TOKEN", hub_server.TOKEN)
    assert checkpoints.load(CAT).classes == ("cat", "dog")


def test_a_gated_model_says_where_to_accept_its_terms(hub, cat):
    hub.repos[f"models/{CAT}"].gated = True
    with pytest.raises(CocktailError, match=f"is gated: accept its terms at https://huggingface.co/{CAT}"):
        checkpoints.load(CAT)


@pytest.mark.parametrize(
    "fault, message",
    [
        ({"status": 404}, "on the Hub it does not exist or is private"),
        ({"status": 403}, "refuses .* to your token"),
        ({"status": 429, "headers": {"Retry-After": "17"}}, "too many requests came from here; .* in 17 seconds"),
        ({"status": 429}, "in some minutes"),
        ({"status": 503}, r"the Hub is in trouble \(status 503\)"),
        (
            {"status": 401, "headers": {"X-Error-Message": "Invalid credentials in Authorization header"}},
            "does not know your token",
        ),
    ],
)
def test_a_refusal_says_what_to_do(hub, cat, fault, message):
    hub.faults.append(hub_server.Fault("/api/models", **fault))
    with pytest.raises(CocktailError, match=message):
        checkpoints.load(CAT)


def test_what_is_not_there_is_said(hub, cat):
    with pytest.raises(CocktailError, match="nobody/none is no path here, and on the Hub it does not exist"):
        checkpoints.load("nobody/none")
    with pytest.raises(CocktailError, match="has no revision 'v9'"):
        checkpoints.load(CAT, revision="v9")


def test_a_cut_connection_is_taken_up_where_it_broke(hub, cat, files, monkeypatch):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1024)  # bytes; 10 MB of them else
    half = 10 * 1024
    hub.faults.append(hub_server.Fault("/lfs/", cut=half, times=1))
    seen = []
    snapshot = cocktail_hub.fetch(CAT, report=lambda done, total: seen.append((done, total)))
    assert [extra for _, path, extra in hub.asked if path.startswith("/lfs") and extra] == [f"bytes={half}-"]
    assert (snapshot.path / "model.safetensors").read_bytes() == files["model.safetensors"]
    total = sum(len(files[name]) for name in ("config.json", "model.safetensors", "recipe.yaml"))
    assert seen == sorted(seen) and seen[-1] == (total, total) and len(seen) >= 4


def test_a_connection_that_stays_cut_is_an_error_and_the_next_try_is_fine(hub, cat, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.faults.append(hub_server.Fault("/lfs/", cut=0, content=b"x" * 4))  # shorter than the Hub says
    with pytest.raises(CocktailError, match="should be of size"):
        checkpoints.load(CAT)
    hub.faults.clear()
    assert checkpoints.load(CAT).classes == ("cat", "dog")


@pytest.mark.parametrize("name, pattern", [("model.safetensors", "/lfs/"), ("config.json", "resolve/.*/config.json")])
def test_a_file_of_another_hash_is_refused_and_thrown_away(hub, cat, files, name, pattern):
    other = files[name][:-1] + bytes([files[name][-1] ^ 1])
    hub.faults.append(hub_server.Fault(pattern, content=other))
    with pytest.raises(CocktailError, match=f"{name} did not arrive as the Hub states it"):
        checkpoints.load(CAT)
    hub.faults.clear()
    assert checkpoints.load(CAT).classes == ("cat", "dog")


def test_a_model_that_is_larger_than_the_limit_is_not_fetched(hub, cat, monkeypatch):
    monkeypatch.setattr(cocktail_hub, "MAX_BYTES", 1000)
    with pytest.raises(CocktailError, match="at most 1,000 are downloaded"):
        checkpoints.load(CAT)
    assert not [path for path in hub.paths() if "/resolve/" in path]


def test_loading_is_strict(hub, files):
    config = json.loads(files["config.json"])
    config["generator"]["config"]["mapping_layers"] = 3
    hub.add(CAT, files | {"config.json": json.dumps(config).encode()})
    with pytest.raises(CocktailError, match="tensors missing"):
        checkpoints.load(CAT)


def test_a_repository_with_one_file_of_a_known_format_is_that_file(hub, files):
    hub.add(CAT, {"pets.safetensors": files["model.safetensors"], "README.md": b"# Pets"})
    gan = checkpoints.load(CAT)
    assert gan.classes == ("cat", "dog") and gan.card["hub"]["repo"] == CAT


def test_a_repository_with_one_pickle_of_nvidia_is_read_without_executing_it(hub, tmp_path):
    gan = foreign.stylegan2_gan(seed=2)
    hub.add(CAT, {"network-snapshot.pkl": foreign.nvidia_pickle(tmp_path / "x", gan).read_bytes(), "README.md": b""})
    back = checkpoints.load(CAT)
    assert torch.allclose(picture(back), picture(gan), atol=1e-4)
    assert back.card["hub"]["repo"] == CAT and back.card["imported"]["file"]


def test_a_repository_without_a_model_or_with_several_says_so(hub, files):
    hub.add("someone/words", {"config.json": b"{}", "pytorch_model.bin": b""})
    with pytest.raises(CocktailError, match=r"holds no model .*found config.json, pytorch_model.bin"):
        checkpoints.load("someone/words")
    hub.add("someone/many", {"a.pkl": b"1", "b.pt": b"2"})
    with pytest.raises(CocktailError, match=r"holds 2 checkpoints \(a.pkl, b.pt\)"):
        checkpoints.load("someone/many")


@pytest.mark.parametrize(
    "text, is_one",
    [("me/x", True), ("me/x-v1.5", True), ("me/x@main", True), ("me/x@refs/pr/1", True), ("x", False), ("a/b/c", False),
     ("./me", False), ("/me/x", False), ("~/x", False), ("bundled/cat", False), ("zoo/ffhq", False), ("", False),
     ("me/x.pkl", False), ("me/x.safetensors", False), ("me/../x", False), ("me/x@../y", False), ("me/x@", False),
     ("me/" + "x" * 500, False)],
)  # fmt: skip
def test_names_of_the_hub_are_told_from_paths(text, is_one):
    assert cocktail_hub.is_name(text) == is_one


def test_a_pushed_model_comes_back_the_same(hub, signed_in, tiny):
    gan = tiny(("cat", "dog"), seed=3)
    gan.card = {"title": "Pets", "recipe": {"seed": 1}, "scores": {"cat": {"frechet": 2.0}}}
    url = checkpoints.push_to_hub(gan, "me/pets")
    assert url == f"{hub.url}/me/pets"
    back = checkpoints.load("me/pets")
    for name, value in gan.generator.state_dict().items():
        assert torch.equal(back.generator.state_dict()[name], value)
    assert back.discriminator is not None and back.card["title"] == "Pets"


def test_a_push_is_one_commit_with_recipe_samples_and_card(hub, signed_in, tiny):
    gan = tiny(("cat", "Big Dog!"), seed=3)
    gan.card = {"title": "Pets", "recipe": {"seed": 1}, "scores": {"cat": {"frechet": 2.0}}}
    checkpoints.push_to_hub(gan, "me/pets", private=True, message="first")
    repo = hub.repos["models/me/pets"]
    assert repo.messages == ["initial commit", "first"] and repo.private
    held = repo.files()
    assert set(held) == {".gitattributes", "README.md", "config.json", "model.safetensors", "recipe.yaml",
                         "samples/00-cat.png", "samples/01-big-dog.png"}  # fmt: skip
    assert PIL.Image.open(io.BytesIO(held["samples/00-cat.png"])).size == (4 * 8 + 3 * 2, 4 * 8 + 3 * 2)
    card = held["README.md"].decode()
    assert 'cocktail.load("me/pets")' in card and "![cat](samples/00-cat.png)" in card and "| cat | 2 |" in card


def test_pushing_again_takes_away_what_the_model_no_longer_has(hub, signed_in, tiny):
    gan = tiny(("cat", "dog"))
    gan.card = {"recipe": {"seed": 1}}
    checkpoints.push_to_hub(gan, "me/pets")
    hub.repos["models/me/pets"].files()["notes.txt"] = b"mine"
    checkpoints.push_to_hub(tiny(("cat",)), "me/pets")
    held = hub.repos["models/me/pets"].files()
    assert "samples/01-dog.png" not in held and "recipe.yaml" not in held
    assert held["notes.txt"] == b"mine" and "samples/00-cat.png" in held


def test_a_push_to_a_branch_leaves_main_alone(hub, signed_in, tiny):
    checkpoints.push_to_hub(tiny(("cat",)), "me/pets")
    before = hub.repos["models/me/pets"].branches["main"]
    url = checkpoints.push_to_hub(tiny(("cat", "dog")), "me/pets", branch="trial")
    repo = hub.repos["models/me/pets"]
    assert repo.branches["main"] == before and url.endswith("/tree/trial")
    assert checkpoints.load("me/pets@trial").classes == ("cat", "dog")


def test_a_token_that_is_given_is_the_one_that_is_used(hub, tiny):
    checkpoints.push_to_hub(tiny(), "me/pets", token=hub_server.TOKEN)
    assert hub.tokens == {f"Bearer {hub_server.TOKEN}"}


def test_pushing_without_being_signed_in_or_where_it_is_forbidden_says_what_to_do(hub, tiny, monkeypatch):
    with pytest.raises(CocktailError, match="not signed in.*hf auth login"):
        checkpoints.push_to_hub(tiny(), "me/pets")
    monkeypatch.setenv("HF_TOKEN", hub_server.TOKEN)
    hub.faults.append(hub_server.Fault("/api/repos/create", status=403, method="POST"))
    with pytest.raises(CocktailError, match="one that may write is needed"):
        checkpoints.push_to_hub(tiny(), "someone/pets")
    with pytest.raises(CocktailError, match="expected user/name"):
        checkpoints.push_to_hub(tiny(), "pets")


def front_matter(card):
    return yaml.safe_load(card.split("---\n")[1])


def test_the_card_names_the_models_of_the_hub_that_a_union_was_made_from(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "local").mkdir(parents=True)
    gan = tiny(("cat", "dog", "fox", "owl"))
    gan.card = {"parents": [{"ref": "someone/cat@v2", "licence": "mit"}, {"ref": "models/local", "licence": "mit"},
                            {"ref": "bundled/dog", "licence": "apache-2.0"}, {"ref": "zoo/ffhq", "licence": "mit"},
                            {"ref": "/home/me/owl", "licence": "mit", "hub": {"repo": "someone/owl"}}]}  # fmt: skip
    front = front_matter(modelcard.render(gan))
    assert front["base_model"] == ["someone/cat", "someone/owl"] and front["base_model_relation"] == "merge"
    assert front["tags"] == ["merge", "gan", "stylegan2"] and front["library_name"] == "gan-cocktail"
    assert front["pipeline_tag"] == "unconditional-image-generation"


def test_a_copy_of_a_model_of_the_hub_names_it_and_is_no_merge(tiny):
    gan = tiny()
    gan.card = {"hub": {"repo": "someone/cat", "revision": "0" * 40}}
    front = front_matter(modelcard.render(gan))
    assert front["base_model"] == ["someone/cat"] and "base_model_relation" not in front
    assert "merge" not in front["tags"]


@pytest.mark.parametrize(
    "given, proposed, warns",
    [
        (["apache-2.0", "mit"], "apache-2.0", []),
        (["MIT", "CC BY 4.0"], "cc-by-4.0", []),
        (["cc-by-4.0", "cc-by-sa-4.0", "cc0-1.0"], "cc-by-sa-4.0", []),
        (["cc-by-sa-4.0", "cc-by-nc-4.0"], "cc-by-nc-4.0", ["no commercial use"]),
        (
            ["cc-by-nc-4.0", "nvidia-source-code-license"],
            "nvidia-source-code-license",
            ["research and evaluation only"],
        ),
        (["cc-by-nc-4.0", "cc-by-nc-sa-4.0"], "cc-by-nc-sa-4.0", ["no commercial use"]),
        (["mit", "cc-by-nd-4.0"], "cc-by-nd-4.0", ["no derivatives"]),
        (["mit", "creativeml-openrail-m"], "creativeml-openrail-m", ["restricts what"]),
        (["cc-by-sa-4.0", "gpl-3.0"], "", ["cannot have both"]),
        (["cc-by-sa-3.0", "cc-by-sa-4.0"], "cc-by-sa-4.0", []),
        (["mit", None], "", ["licence of 1 is unknown"]),
        (["mit", "unknown"], "", ["licence of 1 is unknown"]),
        (["mit", "The Owl Licence"], "the-owl-licence", ["not one that this program knows"]),
        ([], "", []),
    ],
)
def test_the_strictest_licence_of_the_sources_is_proposed(given, proposed, warns):
    found = licences.strictest({str(i): licence for i, licence in enumerate(given)})
    assert found.licence == proposed
    assert all(any(text in warning for warning in found.warnings) for text in warns)
    assert bool(warns) == bool(found.warnings)


def test_the_order_of_licences_is_the_documented_one():
    kinds = ["cc0-1.0", "mit", "cc-by-4.0", "cc-by-sa-4.0", "openrail", "cc-by-nc-4.0", "nvidia-source-code-license",
             "cc-by-nc-nd-4.0", "whatever"]  # fmt: skip
    assert [licences.rank(kind) for kind in kinds] == list(range(9))


def test_the_card_proposes_the_inherited_licence_and_warns(hub, signed_in, tiny):
    gan = tiny(("cat", "dog"))
    gan.card = {"parents": [{"ref": "a/cat", "licence": "mit"}, {"ref": "a/dog", "licence": "CC BY-NC 4.0"}]}
    checkpoints.push_to_hub(gan, "me/pets")
    card = hub.repos["models/me/pets"].files()["README.md"].decode()
    assert front_matter(card)["license"] == "cc-by-nc-4.0"
    assert "## Licences of the sources" in card and "a/dog (cc-by-nc-4.0) allows no commercial use" in card
    gan.card["parents"][0]["licence"] = None
    unknown = modelcard.render(gan)
    assert "license" not in front_matter(unknown)
    assert "| licence | unknown |" in unknown and "The licence of a/cat is unknown" in unknown


def test_a_licence_that_the_hub_does_not_know_is_other_with_a_name():
    assert licences.front_matter("nvidia-source-code-license") == {
        "license": "other",
        "license_name": "nvidia-source-code-license",
        "license_link": licences.LINKS["nvidia-source-code-license"],
    }
    assert licences.front_matter("") == {} and licences.front_matter("Unknown") == {}


def test_a_model_of_many_classes_shows_some_and_large_pictures_are_few(tiny, tmp_path):
    gan = tiny(tuple(f"c{i}" for i in range(20)))
    folder = pushing.write(gan, tmp_path / "out", "me/many")
    assert len(list((folder / "samples").iterdir())) == pushing.SHOWN
    folder = pushing.write(tiny(resolution=512), tmp_path / "large", "me/large")
    assert PIL.Image.open(folder / "samples" / "00-samples.png").size == (2 * 512 + 2, 2 * 512 + 2)


def test_where_huggingface_hub_is_missing_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(CocktailError, match="pip install huggingface_hub"):
        checkpoints.load("someone/cat")


def test_the_push_command_prints_the_address_and_warns(hub, signed_in, tiny, tmp_path, capsys):
    gan = tiny(("cat",))
    gan.card = {"parents": [{"ref": "a/cat", "licence": None}]}
    checkpoints.save(gan, tmp_path / "union")
    assert cocktail.__main__.main(["push", str(tmp_path / "union"), "me/union", "--private"]) == 0
    said = capsys.readouterr()
    assert f"me/union is at {hub.url}/me/union (licence: unknown)" in said.out
    assert "note: The licence of a/cat is unknown" in said.err
    assert cocktail.__main__.main(["push", str(tmp_path / "union"), "me/union", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["url"] == f"{hub.url}/me/union"


def test_the_command_line_of_another_process_finds_the_hub_by_its_environment(hub, cat, tmp_path):
    environment = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0",
                   "OMP_NUM_THREADS": "1", "HF_HUB_DISABLE_XET": "1",
                   "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}  # fmt: skip
    command = [sys.executable, "-m", "cocktail", "info", f"{CAT}@{cat}", "--json"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["card"]["hub"] == {"repo": CAT, "revision": cat}


def test_a_model_of_the_hub_is_a_source_of_a_merge_from_the_form_to_the_unions_card(hub, cat, tiny, tmp_path):
    fox = str(checkpoints.save(tiny(seed=5), tmp_path / "fox"))
    value = options.value(PRESETS["paper"])
    refs = [CAT, fox]
    recipe = merge_form.recipe_of(Form(refs, "", CAT, "cocktail", "paper", value, 1, "cpu", False, 1))
    assert [source.names for source in recipe.sources] == [("cat", "dog"), ("fox",)]
    assert [item for item in check(recipe) if item.level == "error"] == []
    hub.asked.clear()
    assert merge_form.default_names(refs) == "cat, dog, fox" and hub.asked == []  # the form asks at every change
    short = TrainConfig(total_kimg=0.008, batch=4)
    for _ in runs.execute(replace(recipe, config=CocktailConfig(short, short)), tmp_path / "run"):
        pass
    union = checkpoints.load(tmp_path / "run")
    parent = union.card["parents"][0]
    assert union.classes == ("cat", "dog", "fox")
    assert parent["ref"] == CAT and parent["hub"] == {"repo": CAT, "revision": cat}
    assert "base_model:\n- someone/cat-gan" in (tmp_path / "run" / "result" / "README.md").read_text()


def test_a_pushed_card_tells_no_folders_of_this_disk(hub, signed_in, tiny):
    gan = tiny(("cat", "dog"), seed=3)
    refs = ["/home/me/secret/fox", "~/secret/owl.pkl", "bundled/cat", "someone/cat-gan@v1"]
    gan.card = {"parents": [{"ref": ref, "licence": "mit"} for ref in refs] + ["/home/me/secret/elk"],
                "recipe": {"sources": [{"ref": ref} for ref in refs], "seed": 1}}  # fmt: skip
    checkpoints.push_to_hub(gan, "me/pets")
    files = hub.repos["models/me/pets"].files()
    assert not [name for name, data in files.items() if b"secret" in data]
    card = json.loads(files["config.json"])["card"]
    wanted = ["fox", "owl.pkl", "bundled/cat", "someone/cat-gan@v1"]
    assert [parent["ref"] for parent in card["parents"][:4]] == wanted and card["parents"][4] == "elk"
    assert [source["ref"] for source in card["recipe"]["sources"]] == wanted and card["recipe"]["seed"] == 1
    assert gan.card["parents"][0]["ref"] == refs[0]
