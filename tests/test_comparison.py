"""Several models side by side: who draws what, which score is best beyond doubt, curves, layers, files."""

import csv
import io
import math
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from cocktail.errors import CocktailError
from cocktail.images import grid, to_pil
from cocktail.metrics import Scores
from cocktail.runs import Run, Status
from cocktail.runs.reading import Snapshot
from cocktail.runs.speed import Stage
from editing import comparison, comparison_figure
from editing.comparison import Curve, Known, Value
from editing.comparison_figure import Block, Row, figure, recipes_in
from editing.recipes import PictureRecipe, from_png, to_png

UNION, CAT, PETS = Known(("face", "cat", "dog"), "union"), Known((), "cat"), Known(("dog", "bird"), "pets")


def status(stages, snapshots, floors) -> Status:
    """A run as it would be read, with these stages (name, images) and scores (stage, images, {class: distance})."""
    planned = tuple(Stage(name, total, total, 1.0, False, True) for name, total in stages)
    seen = tuple(Snapshot(stage, images, {name: {"frechet": value, "spread": 1.0} for name, value in scores.items()},
                          None) for stage, images, scores in snapshots)  # fmt: skip
    return Status(Run(Path("/runs/x")), "finished", "", (), planned, None, None, {}, seen, floors, "pixels", {}, (), 0)


# --- who draws what


def test_classes_that_more_models_draw_come_first():
    assert comparison.rows([UNION, CAT, PETS]) == ["cat", "dog", "face", "bird"]
    assert comparison.rows([UNION]) == ["face", "cat", "dog"]


def test_a_model_without_classes_stands_for_the_class_of_its_name_else_for_all():
    all_three, strange = [UNION, CAT, PETS], Known((), "ffhq")
    assert [comparison.drawn_as(CAT, row, all_three) for row in ("cat", "dog")] == [(), None]
    assert (
        comparison.drawn_as(UNION, "cat", all_three) == ("cat",)
        and comparison.drawn_as(UNION, "bird", all_three) is None
    )
    assert [comparison.drawn_as(strange, row, [UNION, strange]) for row in ("cat", "dog")] == [(), ()]


def test_models_without_classes_share_one_row():
    pair = [CAT, Known((), "dog")]
    assert comparison.rows(pair) == [""]
    assert [comparison.drawn_as(one, "", pair) for one in pair] == [(), ()]


def test_what_only_some_draw_is_said_once_for_all_that_draw_the_same():
    told = comparison.lacking([UNION, CAT], ["union", "cat"], ["cat", "face", "dog"])
    assert told == "Only union draws face, dog."
    assert comparison.lacking([UNION, UNION], ["a", "b"], ["face"]) == ""
    assert comparison.lacking([UNION, PETS, CAT], ["a", "b", "c"], ["dog"]) == "Only a and b draw dog."
    assert comparison.listed(["a", "b", "c"]) == "a, b and c" and comparison.listed([]) == ""
    many = [Known((name,), name) for name in "abcd"]
    assert comparison.lacking(many, "abcd", "abcd") == "Not all of them draw all classes."


def test_a_grid_is_cut_into_the_pictures_that_it_was_made_of():
    pictures = torch.randint(0, 255, (24, 3, 16, 16), dtype=torch.uint8)
    lines = comparison.cut(grid(pictures, 8))
    assert [len(line) for line in lines] == [8, 8, 8]
    for picture, wanted in zip([one for line in lines for one in line], to_pil(pictures), strict=True):
        assert picture.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("size", [(142, 17), (143, 16), (8, 8), (142, 35)])
def test_a_picture_that_is_no_grid_is_refused(size):
    with pytest.raises(CocktailError, match="no grid of 8 columns"):
        comparison.cut(PIL.Image.new("RGB", size))


# --- scores


def test_values_are_read_from_scores_and_from_cards_of_which_nothing_is_trusted():
    scores = Scores(n=9, frechet=1.5, floor=0.5, precision=0.25, recall=1.0)
    found = comparison.values(scores)
    assert found["frechet"].value == 1.5 and found["floor"] == Value(0.5) and "class_accuracy" not in found
    card = {"frechet": 2, "precision": "<b>", "recall": None, "floor": math.nan, "class_accuracy": True,
            "intervals": {"frechet": [1, 3]}}  # fmt: skip
    assert comparison.values(card) == {"frechet": Value(2.0, (1.0, 3.0))}
    for odd in ("x", [1], [1, "2"], [1, math.inf], {}):
        assert comparison.values({"frechet": 1.0, "intervals": {"frechet": odd}}) == {"frechet": Value(1.0)}


def test_the_best_is_marked_only_where_its_interval_touches_no_other_one():
    a, b, c = Value(1.0, (0.8, 1.2)), Value(2.0, (1.5, 2.5)), Value(2.2, (1.1, 9.0))
    assert comparison.best({"a": a, "b": b}, less=True) == "a"
    assert comparison.best({"a": a, "b": b}, less=False) == "b"
    assert comparison.best({"a": a, "b": b, "c": c}, less=True) is None, "not only the next one counts"
    assert comparison.best({"a": a, "b": Value(2.0)}, less=True) is None, "no interval, no certainty"
    assert comparison.best({"a": a}, less=True) is None and comparison.best({}, less=True) is None
    assert comparison.best({"a": a, "b": Value(1.4, (1.2, 1.6))}, less=True) is None, "they touch"


# --- curves


def test_a_curve_counts_the_images_of_merging_or_those_of_rooting_too():
    seen = [("root/dog", 0, {"dog": 9.0}), ("root/dog", 100, {"dog": 5.0}), ("distill", 0, {"cat": 4.0, "dog": 2.0}),
            ("distill", 50, {"cat": 3.0, "dog": 1.0}), ("merge", 0, {"cat": 2.9, "dog": 0.9}),
            ("merge", 200, {"cat": 1.0, "dog": 0.5})]  # fmt: skip
    run = status([("root/dog", 100), ("distill", 50), ("merge", 200)], seen, {"cat": 0.1, "dog": 0.3})
    own, whole = comparison.curves(run, False), comparison.curves(run, True)
    assert own["cat"] == Curve(((0, 4.0), (50, 2.9), (250, 1.0)), 0.1)
    assert own["dog"].points == ((0, 2.0), (50, 0.9), (250, 0.5))
    assert list(own) == ["mean", "cat", "dog"] and own["mean"].floor == pytest.approx(0.2)
    assert dict(own["mean"].points) == pytest.approx({0: 3.0, 50: 1.9, 250: 0.75})
    assert [images for images, _ in whole["cat"].points] == [100, 150, 350]


def test_a_run_without_rooting_counts_the_same_both_ways_and_one_without_scores_has_no_curve():
    run = status([("train", 100)], [("train", 0, {"cat": 2.0}), ("train", 100, {"cat": 1.0})], {"cat": 0.1})
    assert comparison.curves(run, True) == comparison.curves(run, False)
    assert list(comparison.curves(run, True)) == ["cat"], "the mean of one class is that class"
    assert comparison.curves(status([("merge", 9)], [("merge", 0, {})], {}), True) == {}


def test_converged_is_the_first_time_within_five_percent_of_the_best():
    assert Curve(((0, 9.0), (10, 1.05), (20, 3.0), (30, 1.0)), None).converged == 10
    assert Curve(((0, 9.0), (10, 1.0501), (30, 1.0)), None).converged == 30
    assert Curve(((0, 1.0), (10, 2.0)), None).converged == 0


# --- files


def test_csv_keeps_numbers_whole_and_names_harmless():
    text = comparison.to_csv(["model", "value"], [["=1+1", 0.1], ["a,b", None], ["plain", -2.5]])
    assert list(csv.reader(io.StringIO(text))) == [["model", "value"], ["'=1+1", "0.1"], ["a,b", ""], ["plain", "-2.5"]]


def recipe(label: str, model: str = "mine") -> PictureRecipe:
    return PictureRecipe(model, "f" * 32, (label,), (3, 4), 0.7)


def pictures(side: int, colour: str, count: int = 2) -> tuple[PIL.Image.Image, ...]:
    return tuple(PIL.Image.new("RGB", (side, side), colour) for _ in range(count))


def test_a_figure_shows_every_picture_in_one_size_and_carries_the_recipes():
    first = Block(pictures(16, "red"), recipe=recipe("cat")), Block(pictures(512, "blue"), "", recipe("cat", "other"))
    second = Block(pictures(16, "lime"), recipe=recipe("dog")), Block(words="draws no dog")
    rows = [Row("cat", "#aa0000", first), Row("dog", "", second)]
    data = figure(["mine", "other, a very long title that no column holds " * 3], rows, "seeds 3-4, psi 0.7")
    shown = np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGB"))
    side = comparison_figure.LARGEST
    for colour, count in (((255, 0, 0), 2), ((0, 0, 255), 2), ((0, 255, 0), 2)):
        assert (shown == colour).all(axis=2).sum() == count * side**2
    titles, recipes = recipes_in(data)
    assert titles[0] == "mine" and recipes[0] == [recipe("cat"), recipe("cat", "other")]
    assert recipes[1] == [recipe("dog"), None]
    about = PIL.Image.open(io.BytesIO(data)).info
    assert "psi 0.7" in about["Description"] and "cat" in about["Description"] and about["Title"].startswith("mine | ")


def test_small_pictures_are_enlarged_and_a_figure_of_none_is_refused():
    data = figure(["a"], [Row("cat", "", (Block(pictures(8, "red", 1)),))], "")
    shown = np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGB"))
    assert (shown == (255, 0, 0)).all(axis=2).sum() == comparison_figure.SMALLEST**2
    with pytest.raises(CocktailError, match="no pictures"):
        figure(["a"], [Row("cat", "", (Block(words="draws no cat"),))], "")


def test_only_a_figure_is_read_as_one_and_a_figure_is_no_sheet():
    data = figure(["a"], [Row("cat", "", (Block(pictures(8, "red", 1), recipe=recipe("cat")),))], "")
    with pytest.raises(CocktailError, match="holds no settings"):
        from_png(data)
    for other in (to_png(pictures(8, "red", 1)[0], recipe("cat")), b"no picture", data[: len(data) // 2]):
        with pytest.raises(CocktailError, match="holds no comparison|cannot be read"):
            recipes_in(other)
