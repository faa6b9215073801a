"""The Compare tab without a browser: what is picked, pictures, references and scores, curves and weights, files, who
may see what."""

import base64
import csv
import io
import itertools
import json
import shutil
import zipfile
from dataclasses import replace

import gradio as gr
import numpy as np
import PIL.Image
import pytest
import torch

import ui
from cocktail import checkpoints, gan, runs
from cocktail.checkpoints import hub
from cocktail.errors import CocktailError
from cocktail.images import to_pil
from cocktail.methods.cocktail import CocktailConfig
from cocktail.metrics import DrawnDomains, OracleFeatures, PixelFeatures, evaluate
from cocktail.metrics.perceptual import FEATURES
from cocktail.recipe import Recipe
from cocktail.training import TrainConfig
from editing import comparison, movement
from editing.comparison import Value
from editing.comparison_figure import recipes_in
from editing.latents import render
from editing.recipes import from_png, read
from ui import (
    access,
    compare_actions,
    compare_charts,
    compare_movement,
    compare_picks,
    compare_pictures,
    compare_references,
    compare_scores,
)
from ui.compare_pictures import ALL, Settings
from ui.compare_scores import Scored, Table
from ui.models import Models

CPU = torch.device("cpu")
STAGE = TrainConfig(total_kimg=0.024, batch=4, ema_kimg=0.01)
FEW = 16  # samples of a class: scores of no worth, in no time


@pytest.fixture(scope="module")
def made(pair, tiny, tmp_path_factory):
    """A finished run of 16 px and another one of the same sources: its copy, with other weights and other scores."""
    home = tmp_path_factory.mktemp("compared") / "runs"
    list(runs.execute(Recipe(pair(16), threads=1, config=CocktailConfig(STAGE, STAGE)), home / "first"))
    shutil.copytree(home / "first", home / "second")
    union = checkpoints.load(home / "second")
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in union.generator.parameters():
            value += 0.1 * torch.randn(value.shape, generator=rng)
    checkpoints.save(union, home / "second" / "result")
    entries = runs.Run(home / "first").entries()
    for scores in [scores for entry in entries for scores in entry.get("scores", {}).values()]:
        scores["frechet"] *= 2
    (home / "second" / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return home


@pytest.fixture
def home(made, monkeypatch):
    monkeypatch.setenv("COCKTAIL_RUNS", str(made))
    return made


@pytest.fixture(scope="module")
def refs(tiny, tmp_path_factory):
    """Paths of models: pets of two classes, a smaller one of three, a cat without classes, one of another kind."""
    pets, zoo = tiny(("cat", "dog"), 1, 16), tiny(("dog", "owl", "face"), 2, 8)
    found = {"pets": pets, "zoo": zoo, "cat": tiny((), 3, 16), "odd": tiny(("cat", "dog"), 4, 16, "custom")}
    folder = tmp_path_factory.mktemp("kept") / "models"
    return {name: str(checkpoints.save(one, folder / name)) for name, one in found.items()}


@pytest.fixture
def models():
    return Models(device=CPU)


@pytest.fixture(autouse=True)
def _nothing_measured_before(monkeypatch):
    monkeypatch.setattr(compare_scores, "REPORTS", type(compare_scores.REPORTS)())


def sides(models, refs, *names):
    return compare_picks.resolve(models, [refs.get(name, name) for name in names])


def shown(models, found, settings=Settings("", "0-1")):  # noqa: B008
    *_, last = compare_pictures.fill(found, compare_pictures.plan(models, found, settings))
    return last


def pixels(source: str) -> bytes:
    return PIL.Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))).convert("RGB").tobytes()


# --- what is picked


def test_models_and_runs_are_resolved_in_order_with_names_and_colours_of_their_own(models, refs, home, tmp_path):
    twin = str(checkpoints.save(models.get(refs["pets"]).gan, tmp_path / "elsewhere" / "pets"))
    found = sides(models, refs, "zoo", str(home / "first"), "pets", twin)
    assert [side.name for side in found] == ["zoo", "first", "models/pets", "elsewhere/pets"]
    assert len({side.colour for side in found}) == 4
    assert [side.run is not None for side in found] == [False, True, False, False]
    assert found[1].loaded.gan.classes == ("cat", "dog") and found[1].status.state == "finished"


def test_a_run_without_a_model_is_compared_by_what_it_has(models, home, refs, tmp_path):
    folder = tmp_path / "young"
    folder.mkdir()
    for name in ("recipe.yaml", "log.jsonl"):
        (folder / name).write_bytes((home / "first" / name).read_bytes())
    found = sides(models, refs, "pets", str(folder))
    assert found[1].loaded is None and compare_charts.curves(found, False)
    value = shown(models, found)
    assert value["heads"][1]["facts"] == "no model yet"
    assert value["bands"][0]["parts"][1] == {"name": "young", "words": "has saved no model yet", "cells": []}


def test_too_many_and_the_same_twice_are_refused(models, refs):
    with pytest.raises(CocktailError, match="picked twice"):
        compare_picks.check(models, [], [refs["pets"]] * 2, None)
    with pytest.raises(CocktailError, match="at most 6"):
        compare_picks.check(models, [], [str(i) for i in range(7)], None)


def test_a_change_on_the_disk_changes_the_stamp(models, home, tiny, tmp_path):
    values = [
        str(checkpoints.save(tiny(seed=1), tmp_path / "mine")),
        str(shutil.copytree(home / "first", tmp_path / "x")),
    ]
    before = compare_picks.stamps(models, values)
    assert compare_picks.stamps(models, values) == before
    checkpoints.save(tiny(seed=2), values[0])
    model, run = compare_picks.stamps(models, values)
    assert model != before[0] and run == before[1]
    runs.Run(tmp_path / "x").log(note="x", value=1)
    assert compare_picks.stamps(models, values)[1] != run


# --- pictures


def test_every_model_draws_the_same_seeds_each_picture_as_it_is(models, refs):
    found = sides(models, refs, "pets", "zoo", "cat")
    value = shown(models, found, Settings("", "4, 7", 0.6))
    assert [band["label"] for band in value["bands"]] == ["cat", "dog", "owl", "face"]
    assert [[part["words"] for part in band["parts"]] for band in value["bands"][:2]] == [
        ["", "draws no cat", ""], ["", "", "draws no dog"]]  # fmt: skip
    for band in value["bands"]:
        for side, part in zip(found, band["parts"], strict=True):
            recipes = [read(cell["recipe"]) for cell in part["cells"]]
            assert [recipe.seeds for recipe in recipes] in ([], [(4,), (7,)])
            for cell, recipe in zip(part["cells"], recipes, strict=True):
                drawn = side.loaded.gan.sample([*recipe.seeds], recipe.label, truncation=0.6)
                assert pixels(cell["src"]) == to_pil(drawn)[0].tobytes() and recipe.psi == 0.6
                assert cell["about"].startswith(side.name)
                assert from_png(base64.b64decode(cell["src"].split(",")[1])) == recipe
    assert "Only pets and cat draw cat." in value["note"] and "resolutions differ" in value["note"]


def test_a_class_can_be_chosen_and_one_that_nobody_has_means_all(models, refs):
    found = sides(models, refs, "pets", "zoo")
    assert [band["label"] for band in shown(models, found, Settings("owl"))["bands"]] == ["owl"]
    assert len(shown(models, found, Settings("wolf", "1"))["bands"]) == 4
    assert compare_pictures.labels(found) == ["dog", "cat", "owl", "face"]


def test_a_sheet_fills_and_only_the_last_state_is_whole(models, refs, monkeypatch):
    monkeypatch.setattr(compare_pictures, "EVERY_SEC", 0.0)
    found = sides(models, refs, "pets", "cat")
    states = list(compare_pictures.fill(found, compare_pictures.plan(models, found, Settings("", "0-1"))))
    filled = [sum(bool(c["src"]) for b in s["bands"] for p in b["parts"] for c in p["cells"]) for s in states]
    assert filled == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("seeds, words", [("a", "neither"), ("0-16", "more than 16"), ("", "no seed")])
def test_seeds_that_cannot_be_are_refused(models, refs, seeds, words):
    with pytest.raises(CocktailError, match=words):
        compare_pictures.plan(models, sides(models, refs, "pets", "cat"), Settings("", seeds))


def test_too_many_pictures_are_refused_with_what_to_do(models, refs, monkeypatch):
    monkeypatch.setattr(compare_pictures, "MOST_PICTURES", 10)
    with pytest.raises(CocktailError, match="choose one class"):
        compare_pictures.plan(models, sides(models, refs, "pets", "zoo"), Settings())


def test_the_average_of_a_run_stands_above_what_became_of_it(models, refs, home):
    found = sides(models, refs, str(home / "first"), "pets")
    value = shown(models, found, Settings("", "2, 5"))
    assert [(band["label"], bool(band["words"])) for band in value["bands"]] == [
        ("cat", True), ("cat", False), ("dog", True), ("dog", False)]  # fmt: skip
    before = value["bands"][2]
    assert "plain average" in before["words"] and "seeds 2, 5" in before["words"]
    assert before["parts"][1]["words"] == "has no such stage"
    whole = np.asarray(PIL.Image.open(home / "first" / "samples" / "average.png").convert("RGB"))
    for cell, seed in zip(before["parts"][0]["cells"], (2, 5), strict=True):
        assert cell["recipe"] == "" and pixels(cell["src"]) == whole[18:34, 18 * seed : 18 * seed + 16].tobytes()
    late = shown(models, found, Settings("dog", "3, 99, 100"))["bands"][0]
    assert "seeds 0-2" in late["words"], "a run keeps the seeds 0 to 7 alone"


def test_an_average_that_was_kept_as_a_model_draws_any_seed(models, refs, home, tmp_path, tiny):
    folder = shutil.copytree(home / "first", tmp_path / "kept")
    checkpoints.save(tiny(("cat", "dog"), 7, 16), folder / "stages" / "average")
    value = shown(models, sides(models, refs, str(folder), "pets"), Settings("cat", "99"))
    (cell,) = value["bands"][0]["parts"][0]["cells"]
    kept = models.get(str(folder / "stages" / "average"))
    assert pixels(cell["src"]) == render(kept.gan, read(cell["recipe"]), kept.fingerprint).tobytes()
    assert value["bands"][0]["words"] == compare_pictures.AVERAGE


def test_a_damaged_average_is_left_out(models, refs, home, tmp_path):
    folder = shutil.copytree(home / "first", tmp_path / "torn")
    for content in (b"no picture", (folder / "samples" / "average.png").read_bytes()[:60]):
        (folder / "samples" / "average.png").write_bytes(content)
        value = shown(models, sides(models, refs, str(folder), "pets"))
        assert [band["words"] for band in value["bands"]] == ["", ""]


def test_the_figure_holds_what_is_shown_and_how_to_draw_it_again(models, refs, home):
    found, settings = sides(models, refs, str(home / "first"), "cat"), Settings("", "1-2", 0.5)
    data = compare_pictures.figure(found, compare_pictures.plan(models, found, settings), settings)
    titles, recipes = recipes_in(data)
    assert titles == ["first, 16 px", "cat, 16 px"] and len(recipes) == 4
    assert recipes[0] == [None, None] and recipes[1][1].seeds == (1, 2) and recipes[1][1].labels == ()
    assert recipes[1][0].fingerprint == found[0].loaded.fingerprint and recipes[1][0].psi == 0.5
    assert str(home) not in str(PIL.Image.open(io.BytesIO(data)).info), "no folder of this disk is told"


# --- references and scores


def test_references_offered_are_drawings_first_then_sources_then_models(models, refs, home):
    found = sides(models, refs, str(home / "first"), "zoo")
    assert [title for title, _ in compare_references.choices(found)] == [
        "Drawings", "Sources of first", "first itself", "zoo itself"]  # fmt: skip


def test_nothing_drawn_is_measured_against_its_sources_or_a_model(models, tiny, tmp_path):
    ref = str(checkpoints.save(tiny(("owl", "bat"), 5, 16), tmp_path / "night"))
    (only,) = compare_references.choices(sides(models, {}, ref))
    assert only == ("night itself", f"model:{ref}")


def against(found, choice, models):
    return compare_references.reference(found, choice, models, None)


def measured(found, choice, models, features="pixels", n=FEW):
    return list(compare_scores.measured(found, against(found, choice, models), features, n))


def test_all_models_are_measured_in_turn_and_once_only(models, refs, monkeypatch):
    found = sides(models, refs, "pets", "cat", "zoo")
    steps = measured(found, "drawn", models)
    words, table = steps[-1]
    assert words == "" and [row.name for row in table.scored] == ["pets", "cat", "zoo"]
    assert [list(row.classes) for row in table.scored] == [["cat", "dog", "all"], ["cat"], ["dog", "face", "all"]]
    assert table.measured and table.features == "pixels, 8x8" and "drawings" in table.against
    assert "Measuring pets, 1 of 3" in steps[0][0]
    monkeypatch.setattr(compare_scores, "evaluation", lambda *_, **__: pytest.fail("measured again"))
    *_, (_, again) = measured(found, "drawn", models)
    assert again == table


def test_scores_are_those_of_the_engine(models, refs):
    found = sides(models, refs, "pets")
    *_, (_, table) = measured(found, "drawn", models)
    report = evaluate(found[0].loaded.gan, [DrawnDomains(("cat", "dog"), 16)], PixelFeatures(16), FEW)
    assert table.scored[0].classes["dog"]["frechet"].value == report.classes["dog"].frechet
    assert table.scored[0].classes["all"]["recall"].value == report.union.recall
    low, high = table.scored[0].classes["cat"]["frechet"].interval
    assert low < report.classes["cat"].frechet < high


def test_a_model_is_not_measured_against_itself_and_one_that_shares_no_class_says_so(models, refs, tiny, tmp_path):
    ref = str(checkpoints.save(tiny(("owl",), 5, 16), tmp_path / "night"))
    found = sides(models, refs, "pets", "odd", ref)
    *_, (_, table) = measured(found, f"model:{refs['pets']}", models)
    assert [row.words[:30] for row in table.scored] == ["the reference", "", "not measured: none of its clas"]
    assert "cat, dog" in table.scored[2].words and table.against == "samples of pets"


def test_a_union_is_measured_against_the_models_it_was_made_from(models, refs, home):
    found = sides(models, refs, str(home / "first"), "cat")
    reference = against(found, f"sources:{home / 'first'}", models)
    assert [source.classes for source in reference.of(found[0])] == [("cat",), ("dog",)]
    assert [source.classes for source in reference.of(found[1])] == [("cat",)], "by its name"
    assert "first: cat, dog" in reference.words
    *_, (_, table) = measured(found, f"sources:{home / 'first'}", models, "discriminator")
    assert list(table.scored[0].classes) == ["cat", "dog", "all"] and "discriminator" in table.features


def test_sources_on_the_hub_are_not_fetched(models, tiny, tmp_path, monkeypatch):
    ref = str(checkpoints.save(replace(tiny(("owl",), 5), card={"parents": [{"ref": "me/owl", "classes": ["owl"]}]}),
                               tmp_path / "night"))  # fmt: skip
    monkeypatch.setattr(hub, "fetch", lambda *_, **__: pytest.fail("fetched"))
    with pytest.raises(CocktailError, match="on the Hub"):
        against(sides(models, {}, ref), f"sources:{ref}", models)


def test_features_are_the_oracles_for_drawn_classes_else_the_discriminators(models, refs, tiny, tmp_path):
    owl = {"owl": str(checkpoints.save(tiny(("owl",), 5, 16), tmp_path / "owl")),
           "bare": str(checkpoints.save(tiny(("owl",), 6, 16, discriminator=False), tmp_path / "bare"))}  # fmt: skip
    drawn = sides(models, refs, "pets", "cat")
    assert isinstance(compare_references.extractor(against(drawn, "drawn", models), "auto", 16), OracleFeatures)
    other = sides(models, owl, "owl", "bare")
    own = against(other, f"model:{owl['owl']}", models)
    assert "discriminator" in compare_references.extractor(own, "auto", 16).name
    bare = against(other, f"model:{owl['bare']}", models)
    assert isinstance(compare_references.extractor(bare, "auto", 16), PixelFeatures)
    with pytest.raises(CocktailError, match="no discriminator"):
        compare_references.extractor(bare, "discriminator", 16)


def test_a_choice_that_is_none_is_refused(models, refs):
    for choice in (None, "", "drawings", "model:/etc/passwd", "sources:x"):
        with pytest.raises(CocktailError, match="Choose what to measure against"):
            against(sides(models, refs, "pets"), choice, models)


def scored(name, classes, **more):
    return Scored(name, "#123456", classes, tuple(c for c in classes if c != "all"), **more)


def test_cards_tell_what_is_known_before_anything_is_measured(models, tiny, tmp_path):
    card = {"scores": {"cat": {"frechet": 1.25, "floor": 0.5}, "x": "<b>"}, "score_features": "<i>oracle"}
    one = str(checkpoints.save(replace(tiny(("cat",), 5), card=card), tmp_path / "one"))
    table = compare_scores.of_cards(sides(models, {}, one, str(checkpoints.save(tiny(("cat",), 6), tmp_path / "two"))))
    made = compare_scores.html_of(table)
    assert "1.25" in made and "0.5" in made and "&lt;i&gt;oracle" in made and "<i>oracle" not in made
    assert "two</b> nothing recorded" in made and "class=first" not in made
    assert "<b>" not in str(table.scored[0].classes)


def test_the_table_marks_what_is_best_beyond_its_interval_and_unions_only_of_the_same_classes():
    low, high = {"frechet": Value(1.0, (0.9, 1.1))}, {"frechet": Value(2.0, (1.9, 2.1))}
    made = compare_scores.html_of(Table((scored("a", {"cat": low}), scored("b", {"cat": high})), "f", "g", True))
    assert made.count("class=first") == 1 and "<td class=first>1<small>0.9 to 1.1</small></td>" in made
    unlike = (scored("a", {"cat": high, "all": low}), scored("b", {"dog": high, "all": high}))
    made = compare_scores.html_of(Table(unlike, "f", "g", True))
    assert "class=first" not in made and "Unions of other classes do not compare" in made


def test_names_and_words_of_others_are_harmless_in_the_table():
    made = compare_scores.html_of(Table((scored("<img>", {"<b>": {"frechet": Value(1.0)}}, words="<u>"),), "<s>", "<p>",
                                        True))  # fmt: skip
    for evil in ("<img", "<b>", "<u>", "<s>"):
        assert evil not in made.replace("<b>&lt;img", "")


# --- curves and weights


def test_curves_and_their_table_are_those_of_the_logs(models, refs, home):
    found = sides(models, refs, str(home / "first"), "pets", str(home / "second"))
    curves = compare_charts.curves(found, False)
    assert [side.name for side in curves] == ["first", "second"]
    figure = compare_charts.curve_figure(curves)
    lines = list(figure.data)
    assert [trace.name for trace in lines] == ["first", "second"] * 3 and [t.showlegend for t in lines[:3]] == [
        True, True, False]  # fmt: skip
    (snapshot,) = [s for s in runs.read(home / "second").snapshots if s.stage == "merge" and s.images == 24]
    assert lines[3].y[-1] == snapshot.scores["cat"]["frechet"] and lines[3].x[-1] == 0.024
    assert lines[3].line.color == found[2].colour
    made = compare_charts.curve_table(found)
    assert made.count("<tr>") == 1 + 6
    late = comparison.curves(found[2].status, True)["cat"].converged / 1000
    assert f"{late:.3g} kimg" in made.split("second")[2]
    words = compare_charts.curve_words(found, curves)
    assert "nothing measured yet: pets" in words and "different sources" not in words


def test_runs_of_different_sources_do_not_compare_in_height(models, refs, home, tmp_path):
    folder = shutil.copytree(home / "second", tmp_path / "other")
    text = (folder / "recipe.yaml").read_text()
    (folder / "recipe.yaml").write_text(text.replace("/dog", "/owl"))
    found = sides(models, refs, str(home / "first"), str(folder))
    assert "different sources" in compare_charts.curve_words(found, compare_charts.curves(found, True))


def test_models_alone_have_no_curves_and_are_told_where_to_find_some(models, refs):
    found = sides(models, refs, "pets", "cat")
    assert compare_charts.curves(found, True) == {} and compare_charts.curve_table(found) == ""
    assert "belong to runs" in compare_charts.curve_words(found, {})


class Brightness:
    """How much brighter one picture is than the other, on average."""

    name = "brightness"

    def __call__(self, first, second):
        return (first - second).mean(dim=(1, 2, 3)).abs()


def picture_of(folder, brightness, side=16):
    """The samples of a snapshot of two classes in one grey."""
    value = round(255 * brightness)
    PIL.Image.new("RGB", (8 * (side + 2) - 2, 2 * (side + 2) - 2), (value,) * 3).save(folder)


def test_movement_is_between_consecutive_snapshots_of_the_model_that_comes_out(models, refs, home, tmp_path):
    status = sides(models, refs, str(home / "first"))[0].status
    assert {one.stage for one in status.snapshots} == {"root/dog", "merge"}
    own = [one for one in status.snapshots if one.stage == "merge"]
    for number, one in enumerate(status.snapshots):
        path = tmp_path / f"{number}.png"
        picture_of(path, 0.0 if one.stage != "merge" else 0.2 if one.images == 0 else 0.2 + one.images / 100)
        status = replace(status, snapshots=tuple(replace(s, picture=path) if s is one else s for s in status.snapshots))
    found = movement.moves(status, Brightness())
    assert [at for at, _ in found] == [one.images for one in own[1:]] and own[0].images == 0
    gaps = [(b.images - a.images) / 100 for a, b in itertools.pairwise(own)]
    assert [distance for _, distance in found] == pytest.approx([2 * gap for gap in gaps], abs=0.01)
    assert [at for at, _ in movement.moves(status, Brightness(), every=True)] == [24 + at for at, _ in found]
    lost = [replace(one, picture=None) if one is status.snapshots[-1] else one for one in status.snapshots]
    assert movement.moves(replace(status, snapshots=tuple(lost)), Brightness()) == found[:-1]
    picture_of(status.snapshots[-1].picture, 1.0, side=32)  # it grew
    assert movement.moves(status, Brightness()) == found[:-1]
    status.snapshots[-1].picture.write_bytes(b"no picture")
    assert movement.moves(status, Brightness()) == found[:-1]


def test_runs_of_one_size_are_judged_by_one_model_and_models_are_named(models, refs, home, monkeypatch):
    monkeypatch.setattr("cocktail.metrics.lpips.missing", lambda: "weights are missing")
    found = sides(models, refs, str(home / "first"), "pets", str(home / "second"))
    *states, (words, moved) = compare_movement.movement(found, False)
    assert [words for words, _ in states] == ["Comparing the samples of first, 1 of 2.",
                                              "Comparing the samples of second, 2 of 2."]  # fmt: skip
    assert words.startswith("How far") and FEATURES in words and "No run, or too few snapshots: pets." in words
    assert "own model" not in words
    assert moved[0].moves == moved[1].moves, "the second run's pictures are copies, and the judge is the same"
    assert all(distance > 0 for _, distance in moved[0].moves)
    first, second = compare_movement.figure(moved).data
    assert first.name == "first" and list(first.y) == [distance for _, distance in moved[0].moves]
    assert compare_movement.lines(moved, True)[0] == ["first", "all stages", *moved[0].moves[0], FEATURES]
    assert compare_movement.figure([replace(one, moves=()) for one in moved]) is None


def test_weights_are_compared_where_the_architecture_is_the_same(models, refs, home):
    found = sides(models, refs, str(home / "first"), str(home / "second"), "odd", "zoo")
    distances = compare_charts.distances(found, found[0])
    assert [one.side.name for one in distances] == ["second", "odd", "zoo"]
    assert "odd and zoo left out: other architecture" in compare_charts.distance_words(distances, found[0])
    total = gan.weight_distance(found[0].loaded.gan, found[1].loaded.gan)
    assert f"second {total:.4g}" in compare_charts.distance_words(distances, found[0])
    (bars,) = compare_charts.distance_figure(distances).data
    own = [value for name, value in distances[0].tensors.items() if ".b8.conv0." in name]
    assert bars.y[bars.x.index("b8.conv0")] == pytest.approx(sum(own) / len(own))
    assert compare_charts.distance_figure(distances[1:]) is None


def test_the_tables_are_a_zip_of_csv_files(models, refs, home):
    found = sides(models, refs, str(home / "first"), str(home / "second"))
    row = scored("first", {"cat": {"frechet": Value(1.0, (0.5, 1.5)), "recall": Value(0.25)}}, n=16)
    moved = [["first", "merging", 24, 0.5, "LPIPS"]]
    data = compare_actions.tables(found, None, Table((row,), "pixels", "drawings", True), moved)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        read_in = {name: list(csv.DictReader(io.StringIO(archive.read(name).decode()))) for name in archive.namelist()}
    assert list(read_in) == ["scores.csv", "curves.csv", "convergence.csv", "movement.csv", "distances.csv"]
    assert read_in["movement.csv"][0]["distance from the snapshot before"] == "0.5"
    assert read_in["scores.csv"][0] == {
        "model": "first", "class": "cat", "score": "frechet", "value": "1.0", "low": "0.5", "high": "1.5",
        "samples": "16", "origin": "measured", "features": "pixels", "against": "drawings"}  # fmt: skip
    assert {(r["run"], r["images counted"]) for r in read_in["curves.csv"]} == {
        (run, counted) for run in ("first", "second") for counted in ("merging", "all stages")}  # fmt: skip
    first, second = (float(r["best frechet"]) for r in read_in["convergence.csv"] if r["class"] == "cat")
    assert second == 2 * first, "as the copy's log was written"
    tensors = [r for r in read_in["distances.csv"] if r["layer"]]
    assert {(r["model"], r["base"]) for r in tensors} == {("second", "first")}
    assert float(read_in["distances.csv"][-1]["distance"]) == pytest.approx(
        np.mean([float(r["distance"]) for r in tensors]))  # fmt: skip


def test_tables_of_nothing_are_refused(models, refs):
    with pytest.raises(CocktailError, match="no figures yet"):
        compare_actions.tables(sides(models, refs, "pets", "odd"), None, None)


# --- who may


def handlers(page_models):
    names = ("arrive", "show", "redraw", "measured", "moved", "figured", "tabled", "counted_again", "weighed_again")
    found = {}
    for fn in ui.build(page_models).fns.values():
        if fn.name in names and fn.fn.__wrapped__.__module__ == "ui.compare_actions":
            found[fn.name] = fn.fn
    assert set(found) == set(names)
    return found


@pytest.fixture(scope="module")
def at_home(refs):
    """The handlers of a page that is nobody else's."""
    return handlers(Models([refs["pets"], refs["cat"]], device=CPU))


@pytest.fixture
def stranger(monkeypatch, refs):
    monkeypatch.delenv(access.OWNER, raising=False)
    return Models([refs["pets"], refs["cat"]], public=True, device=CPU)


def test_a_stranger_on_a_public_page_names_no_paths_and_sees_no_runs(stranger, refs, home, monkeypatch):
    found = handlers(stranger)
    request, now = gr.Request(), compare_actions.Shown((), Settings(), "")
    monkeypatch.setattr(checkpoints, "load", lambda ref: pytest.fail(f"{ref} was read"))
    for strange in (refs["zoo"], str(home / "first")):
        values = [refs["pets"], strange]
        calls = {
            "show": (now, values, ALL, "0", 1.0, None, "merge", None, []), "redraw": (now, values, ALL, "1", 1.0, []),
            "measured": (values, "drawn", "auto", 200, []), "figured": (values, ALL, "0", 1.0, []),
            "tabled": (values, None, None, [], []), "counted_again": (values, "all", []),
            "weighed_again": (values, None, []), "moved": (values, "merge", []),
        }  # fmt: skip
        for name, given in calls.items():
            with pytest.raises(gr.Error, match="not one of the models"):
                result = found[name](*given, request)
                list(result) if hasattr(result, "__next__") else None
    listed = found["arrive"]([refs["zoo"]], [refs["pets"]], [], now, request)
    assert listed.value == [refs["pets"]]
    assert [value for _, value in listed.choices][:2] == [refs["pets"], refs["cat"]]
    assert not any("(run)" in title for title, _ in listed.choices)


def test_the_sources_in_a_card_are_no_way_to_other_models(stranger, refs, home, models):
    found = sides(models, refs, str(home / "first"))
    with pytest.raises(CocktailError, match="not one of the models"):
        compare_references.reference(found, f"sources:{home / 'first'}", stranger, None)


def test_whoever_sits_here_sees_runs_and_finds_what_was_compared_before(at_home, refs, home):
    found = at_home
    fresh, run = compare_actions.Shown(), str(home / "first")
    listed = found["arrive"]([run, "/gone", refs["cat"]], [refs["pets"]], [], fresh, gr.Request())
    assert ("first (run)", run) in [tuple(choice) for choice in listed.choices]
    assert listed.value == [run, refs["cat"]]
    typed = found["arrive"]([refs["zoo"], 3, "me/hub", "\0"], [refs["pets"]], [], fresh, gr.Request())
    assert typed.value == [refs["zoo"]], "a path that somebody typed, if it is still there"
    seen = compare_actions.Shown((refs["pets"],))
    assert found["arrive"]([run], [refs["pets"]], [], seen, gr.Request()).value == [refs["pets"]]


def test_nothing_is_drawn_again_while_nothing_changes(at_home, refs):
    found = at_home
    given = [[refs["pets"], refs["cat"]], ALL, "0-1", 1.0, None, "merge", None, []]
    states = list(found["show"](compare_actions.Shown(), *given, gr.Request()))
    now = next(value for value in states[0].values() if isinstance(value, compare_actions.Shown))
    assert now.values == tuple(given[0])
    (again,) = found["show"](now, *given, gr.Request())
    assert list(again.values()) == [now]
    (same,) = found["redraw"](now, given[0], ALL, "0-1", 1.0, [], gr.Request())
    assert list(same.values()) == [now]


def test_seeds_that_are_refused_are_told_once_and_the_pictures_stay(at_home, refs, monkeypatch):
    found, told = at_home, []
    monkeypatch.setattr(gr, "Warning", told.append)
    values, now = [refs["pets"], refs["cat"]], compare_actions.Shown((refs["pets"], refs["cat"]), Settings())
    (state,) = found["redraw"](now, values, ALL, "a-b", 1.0, [], gr.Request())
    (again,) = state.values()
    assert len(told) == 1 and "neither" in told[0] and again.settings == Settings(ALL, "a-b", 1.0)


def test_one_model_alone_is_told_what_is_missing(at_home, refs):
    found = at_home
    (state,) = found["show"](
        compare_actions.Shown(), [refs["pets"]], ALL, "0", 1.0, None, "merge", None, [], gr.Request()
    )
    assert any(isinstance(v, dict) and v.get("empty") == compare_pictures.EMPTY for v in state.values())
