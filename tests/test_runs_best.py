"""The best snapshot of a run: kept where it is not the last one, with a card of its own, the same however often the
run was interrupted."""

import itertools
import json
import math
from dataclasses import replace

import pytest
import torch

from cocktail import checkpoints, runs
from cocktail.__main__ import main
from cocktail.errors import CocktailError
from cocktail.methods.cocktail import CocktailConfig
from cocktail.metrics import Watch
from cocktail.recipe import Recipe
from cocktail.runs import context
from cocktail.runs.best import mean_score
from cocktail.training import TrainConfig
from tests.outcomes import assert_same_weights
from ui import compare_picks, run_actions, run_view
from ui.models import Models

STAGE = TrainConfig(total_kimg=0.024, batch=4, ema_kimg=0.01)
ROOT = (9.0, 8.0, 7.0, 6.0)  # scores of rooting, which nobody compares


@pytest.fixture(scope="module")
def recipe(pair):
    return Recipe(pair(16), seed=5, threads=1, config=CocktailConfig(STAGE, STAGE))


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    """Four snapshots of each stage, after 0, 8, 16 and 24 pictures, each with a state before it."""
    monkeypatch.setattr(context, "snapshots", lambda images, classes: 3)
    monkeypatch.setattr(context, "SAVE_SEC", 1e9)


@pytest.fixture
def scored(monkeypatch):
    """scored(*scores): what the student is said to score in the snapshots to come, the same for all classes."""

    def prepare(*scores):
        coming = iter(scores)

        def measure(self, gan, classes=None):
            score = next(coming)
            return {name: {"frechet": score, "spread": 1.0} for name in classes or gan.classes}

        monkeypatch.setattr(Watch, "measure", measure)

    return prepare


def perform(recipe, folder, resume=False):
    """The students of all steps: (stage, images) -> weights of the average."""
    found = {}
    for progress in runs.execute(recipe, folder, resume=resume):
        weights = progress.state.student().generator.state_dict()
        found[progress.stage, progress.images] = {name: value.clone() for name, value in weights.items()}
    return found


def test_the_mean_counts_where_all_classes_were_measured_and_no_others():
    scores = {"cat": {"frechet": 1.0}, "dog": {"frechet": 3.0}}
    assert mean_score(scores, ("dog", "cat")) == 2.0
    assert mean_score(scores, ("cat", "dog", "owl")) is mean_score(scores, ("cat",)) is mean_score({}, ()) is None


def test_the_best_snapshot_is_kept_with_its_weights_and_a_card_of_its_own(recipe, scored, tmp_path):
    scored(*ROOT, 5.0, 3.0, 1.0, 2.0)
    steps = perform(recipe, tmp_path / "run")
    best = runs.best_snapshot(runs.read(tmp_path / "run"))
    assert best == runs.Best("merge", 16, 1.0, 2.0, tmp_path / "run" / "best")
    model, result = checkpoints.load(best.folder), checkpoints.load(tmp_path / "run")
    assert all(torch.equal(value, steps["merge", 16][name]) for name, value in model.generator.state_dict().items())
    assert model.card["snapshot"] == {"stage": "merge", "images": 16} and model.card["images_seen"] == 24 + 16
    assert model.card["title"] == "UnionGAN of cat, dog, best snapshot"
    assert [model.card[key] for key in ("parents", "recipe")] == [result.card[key] for key in ("parents", "recipe")]
    assert "snapshot" not in result.card and result.card["images_seen"] == 48


def test_the_average_that_a_merge_begins_with_is_no_candidate(recipe, scored, tmp_path):
    scored(*ROOT, 1.0, 3.0, 2.0, 2.5)
    perform(recipe, tmp_path / "run")
    best = runs.best_snapshot(runs.read(tmp_path / "run"))
    assert (best.images, best.score) == (16, 2.0) and best.folder == tmp_path / "run" / "best"


@pytest.mark.parametrize("scores", [(5.0, 3.0, 2.0, 1.0), (5.0, 3.0, 1.0, 1.0), (math.inf,) * 4])
def test_nothing_is_kept_where_the_last_snapshot_is_as_good(recipe, scored, tmp_path, scores):
    scored(*ROOT, *scores)
    perform(recipe, tmp_path / "run")
    assert runs.best_snapshot(runs.read(tmp_path / "run")) is None and not (tmp_path / "run" / "best").exists()


def test_the_end_of_an_earlier_stage_is_what_that_stage_gave(recipe, scored, tmp_path):
    more = replace(recipe, config=replace(recipe.config, extra_kimg=(0.024,)))
    scored(*ROOT, 5.0, 4.0, 3.0, 2.0, 2.0, 3.0, 3.0, 3.0)
    perform(more, tmp_path / "run")
    best = runs.best_snapshot(runs.read(tmp_path / "run"))
    assert (best.stage, best.images, best.folder) == ("merge", 24, tmp_path / "run" / "stages" / "merge")
    assert not (tmp_path / "run" / "best").exists()


def test_an_interrupted_run_keeps_the_same_one(recipe, tmp_path, monkeypatch):
    snapshot, now = context.RunContext._snapshot, []

    def counted(self, sitting, student, images):
        now[:] = [images]
        snapshot(self, sitting, student, images)

    def measure(self, gan, classes=None):  # best after 16 pictures of each stage
        return {name: {"frechet": 1.0 + abs(now[0] - 16), "spread": 1.0} for name in classes or gan.classes}

    monkeypatch.setattr(context.RunContext, "_snapshot", counted)
    monkeypatch.setattr(Watch, "measure", measure)
    perform(recipe, tmp_path / "whole")
    for steps in itertools.count(1, 4):
        some = runs.execute(recipe, tmp_path / "run", resume=steps > 1)
        if len(list(itertools.islice(some, steps))) < steps:
            break
        some.close()
    found, expected = (runs.best_snapshot(runs.read(tmp_path / name)) for name in ("run", "whole"))
    assert expected.images == 16 and found == replace(expected, folder=tmp_path / "run" / "best")
    assert_same_weights(tmp_path / "run", tmp_path / "whole", "best")


def test_what_was_not_logged_is_kept_again_with_the_snapshot(recipe, scored, tmp_path, monkeypatch):
    """Killed between the model and the line of the log."""
    scored(*ROOT, 5.0, 3.0, 1.0, 2.0)
    perform(recipe, tmp_path / "whole")
    log, lines = runs.Run.log, []

    def cut(self, **values):
        if values.get("scores") and values["images"] == 16 and values["stage"] == "merge" and not lines:
            lines.append(values)
            raise KeyboardInterrupt
        log(self, **values)

    scored(*ROOT, 5.0, 3.0, 1.0, 1.0, 2.0)
    monkeypatch.setattr(runs.Run, "log", cut)
    with pytest.raises(KeyboardInterrupt):
        perform(recipe, tmp_path / "run")
    perform(recipe, tmp_path / "run", resume=True)
    assert_same_weights(tmp_path / "run", tmp_path / "whole", "best")
    assert checkpoints.load(tmp_path / "run" / "best").card["snapshot"] == {"stage": "merge", "images": 16}


def test_a_branch_offers_no_snapshot_that_it_does_not_hold(recipe, scored, tmp_path):
    scored(*ROOT, 5.0, 3.0, 1.0, 2.0)
    perform(recipe, tmp_path / "run")
    made = runs.branch(runs.Run(tmp_path / "run"), tmp_path / "branch")
    assert runs.best_snapshot(runs.read(made.folder)) is None


def test_page_command_line_and_comparison_offer_it(recipe, scored, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COCKTAIL_RUNS", str(tmp_path))
    scored(*ROOT, 5.0, 3.0, 1.0, 2.0)
    perform(recipe, tmp_path / "pets")
    assert main(["runs", "show", "pets"]) == 0
    assert "best snapshot: merge after 16 pictures, mean distance 1 (now 2)" in capsys.readouterr().out
    assert main(["runs", "show", "pets", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["best"]["folder"] == str(tmp_path / "pets" / "best")
    status = runs.read(tmp_path / "pets")
    assert (
        "best snapshot: merge after 16 pictures, mean distance 1 (now 2)"
        in run_view.view(status, [status])["run"]["facts"]
    )
    *_, opened, best = run_actions._buttons(status)
    assert opened.visible and best.visible and run_actions.best_of(status.run) == str(status.run.best)
    models = Models([], device=torch.device("cpu"))
    assert ("pets, best snapshot", str(status.run.best)) in compare_picks.choices(models, [], None)
    (side,) = compare_picks.resolve(models, [str(status.run.best)])
    assert side.name == "pets best"
    scored(*ROOT, 4.0, 3.0, 2.0, 1.0)
    perform(recipe, tmp_path / "others")
    status = runs.read(tmp_path / "others")
    assert not run_actions._buttons(status)[-1].visible
    with pytest.raises(CocktailError, match="no better snapshot"):
        run_actions.best_of(status.run)
