"""The zoo: public checkpoints by name, downloaded on request from a stand-in server on this machine."""

import json

import pytest
import torch

import cocktail.__main__
from cocktail import checkpoints, teachers
from cocktail.checkpoints import download as downloading
from cocktail.checkpoints import zoo
from cocktail.checkpoints.download import download
from cocktail.errors import CocktailError
from tests import foreign, hub_server

DATA = bytes(range(256)) * 4096  # 1 MiB: several pieces


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A stand-in from which the zoo fetches into an empty cache."""
    with hub_server.running() as running:
        monkeypatch.setenv("COCKTAIL_ZOO_MIRROR", running.url + "/files")
        monkeypatch.setenv("COCKTAIL_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(downloading, "PAUSE_SEC", 0.01)
        running.static["/files/afhqcat.pkl"] = DATA
        yield running


def test_the_list_names_for_each_model_where_it_is_what_it_is_and_its_licence():
    found = zoo.entries()
    assert {"afhq-cat", "afhq-dog", "afhq-wild", "ffhq", "metfaces", "brecahad", "cifar10"} <= set(found)
    for entry in found.values():
        downloading.check(entry.url)
        assert entry.url.startswith("https://") and entry.url.endswith(".pkl") and entry.licence and entry.licence_link
        assert entry.resolution & (entry.resolution - 1) == 0 and entry.sha256 in ("", entry.sha256.lower())
    assert len({entry.url.rpartition("/")[2] for entry in found.values()}) == len(found)


def test_nothing_is_downloaded_unasked(server):
    with pytest.raises(CocktailError, match=r"not on this machine yet .*nvidia-source-code.*zoo fetch afhq-cat"):
        checkpoints.load("zoo/afhq-cat")
    with pytest.raises(CocktailError, match="the zoo has no 'lion'; it has afhq-cat"):
        checkpoints.locate("zoo/lion")
    assert server.asked == []


def test_a_fetched_file_is_whole_and_fetched_once(server):
    seen = []
    path = zoo.fetch("afhq-cat", lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == DATA and checkpoints.locate("zoo/afhq-cat") == path
    assert seen == sorted(seen) and seen[-1] == (len(DATA), len(DATA)) and len(seen) > 2
    assert [entry.name for entry in path.parent.iterdir() if not entry.name.startswith(".")] == ["afhqcat.pkl"]
    zoo.fetch("zoo/afhq-cat")
    assert len(server.asked) == 1


def test_a_cut_download_goes_on_where_it_broke(server):
    server.faults.append(hub_server.Fault("afhqcat", cut=300_000, times=1))
    assert zoo.fetch("afhq-cat").read_bytes() == DATA
    assert [extra for _, _, extra in server.asked] == ["", "bytes=300000-"]


def test_what_came_before_a_download_was_given_up_is_used_by_the_next(server):
    server.faults.append(hub_server.Fault("afhqcat", cut=300_000, times=1))
    server.faults.append(hub_server.Fault("afhqcat", status=503, times=4))
    with pytest.raises(CocktailError, match="status 503.*300,000 bytes that came are kept"):
        zoo.fetch("afhq-cat")
    assert not zoo.is_here("afhq-cat")
    server.asked.clear()
    assert zoo.fetch("afhq-cat").read_bytes() == DATA
    assert [extra for _, _, extra in server.asked] == ["bytes=300000-"]


def test_a_file_that_changed_meanwhile_is_begun_anew(server):
    server.faults.append(hub_server.Fault("afhqcat", cut=300_000, times=1))
    server.faults.append(hub_server.Fault("afhqcat", status=503, times=4))
    with pytest.raises(CocktailError):
        zoo.fetch("afhq-cat")
    server.static["/files/afhqcat.pkl"] = DATA[::-1]
    assert zoo.fetch("afhq-cat").read_bytes() == DATA[::-1]


def test_the_hash_is_recorded_at_first_and_another_file_is_refused_later(server):
    path = zoo.fetch("afhq-cat")
    assert zoo.recorded("afhq-cat") == hub_server.sha256(DATA)
    path.unlink()
    server.static["/files/afhqcat.pkl"] = DATA[::-1]
    with pytest.raises(CocktailError, match=f"another file than it was.*expected {hub_server.sha256(DATA)}, recorded"):
        zoo.fetch("afhq-cat")
    assert not zoo.is_here("afhq-cat") and [p for p in path.parent.iterdir() if p.stat().st_size] == []
    server.static["/files/afhqcat.pkl"] = DATA
    assert zoo.fetch("afhq-cat").read_bytes() == DATA


def test_a_published_hash_is_demanded_of_the_first_download(server, monkeypatch, tmp_path):
    listed = tmp_path / "zoo.yaml"
    text = zoo.LIST.read_text(encoding="utf-8")
    listed.write_text(text.replace("4.0, sha256: null", f"4.0, sha256: '{'0' * 64}'", 1), encoding="utf-8")
    monkeypatch.setattr(zoo, "LIST", listed)
    zoo.entries.cache_clear()
    try:
        with pytest.raises(CocktailError, match="expected 0{64}, published"):
            zoo.fetch("afhq-cat")
    finally:
        zoo.entries.cache_clear()


@pytest.mark.parametrize(
    "fault, message",
    [
        ({"status": 404}, "is not there any more"),
        ({"status": 403}, "does not give .* away"),
        ({"status": 429}, "too many requests"),
        ({"cut": -1}, "the connection to 127.0.0.1 broke .cut off after 0 of 1,048,576 bytes"),
    ],
)
def test_a_download_that_fails_says_why(server, fault, message):
    server.faults.append(hub_server.Fault("afhqcat", **fault))
    with pytest.raises(CocktailError, match=message):
        zoo.fetch("afhq-cat")
    assert not zoo.is_here("afhq-cat")


def test_a_file_larger_than_the_limit_is_not_fetched(server, tmp_path):
    with pytest.raises(CocktailError, match="1,048,576 bytes; at most 1,000"):
        download(server.url + "/files/afhqcat.pkl", tmp_path / "x", limit=1000)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("url", ["http://example.org/x.pkl", "ftp://example.org/x", "file:///etc/passwd", "x.pkl"])
def test_only_https_is_used(url, tmp_path):
    with pytest.raises(CocktailError, match="no https address"):
        download(url, tmp_path / "x")


def test_a_redirect_away_from_https_is_not_followed(server, tmp_path):
    headers = {"Location": "http://example.org/x.pkl"}
    server.faults.append(hub_server.Fault("afhqcat", status=302, headers=headers))
    with pytest.raises(CocktailError, match="http://example.org/x.pkl is no https address"):
        download(server.url + "/files/afhqcat.pkl", tmp_path / "x")


def test_a_loaded_model_tells_its_title_licence_and_the_names_of_its_classes(server, tiny, tmp_path, monkeypatch):
    folder = checkpoints.save(tiny(tuple(map(str, range(10)))), tmp_path / "ten")
    # The mirror gives a file of ours under the zoo's name; only its ending tells the format here.
    monkeypatch.setattr(zoo, "path_of", lambda name: folder / "model.safetensors")
    gan = checkpoints.load("zoo/cifar10")
    assert gan.classes[:4] == ("airplane", "automobile", "bird", "cat") and gan.card["zoo"]["name"] == "cifar10"
    assert gan.card["licence"] == "nvidia-source-code-license" and "CIFAR-10" in gan.card["title"]
    assert torch.isfinite(gan.sample([0], "horse")).all()


def test_a_fetched_pickle_is_read_and_can_be_a_source_at_once(server, tmp_path):
    gan = foreign.stylegan2_gan(seed=2)
    server.static["/files/afhqdog.pkl"] = foreign.nvidia_pickle(tmp_path / "x", gan).read_bytes()
    zoo.fetch("afhq-dog")
    back = checkpoints.load("zoo/afhq-dog")
    assert torch.allclose(back.sample([0]), gan.sample([0]), atol=1e-4)
    assert back.card["licence"] == "nvidia-source-code-license" and back.card["title"] == "AFHQ Dog (afhq-dog)"
    assert teachers.pictures_at("zoo/afhq-dog") is None  # a model, as far as a merge is concerned


def test_the_zoo_command_lists_and_fetches(server, capsys):
    assert cocktail.__main__.main(["zoo", "list"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 1 + len(zoo.entries()) and any("zoo/afhq-cat" in row and "512" in row for row in rows)
    assert cocktail.__main__.main(["zoo", "fetch", "afhq-cat"]) == 0
    said = capsys.readouterr().out
    assert "licence nvidia-source-code-license" in said and "trained on cc-by-nc-4.0 pictures" in said
    assert hub_server.sha256(DATA) in said
    assert cocktail.__main__.main(["zoo", "list", "--json"]) == 0
    listed = {row["ref"]: row for row in json.loads(capsys.readouterr().out)}
    assert listed["zoo/afhq-cat"]["here"] and not listed["zoo/ffhq"]["here"]
    assert cocktail.__main__.main(["zoo", "fetch", "lion"]) == 2
