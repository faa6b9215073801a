"""Runs started, resumed, extended, branched and deleted from outside, and read from their folders alone."""

import itertools
import json
import random
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from cocktail import checkpoints, runs
from cocktail.errors import CocktailError
from cocktail.methods.cocktail import CocktailConfig
from cocktail.recipe import Recipe
from cocktail.runs import context, control
from cocktail.sources import DomainSource
from cocktail.training import TrainConfig
from tests import forked

STAGE = TrainConfig(total_kimg=0.024, batch=4, pl_weight=0.0)


@pytest.fixture(autouse=True)
def _always_save(monkeypatch, tmp_path):
    monkeypatch.setattr(context, "SAVE_SEC", -1.0)
    monkeypatch.setenv("COCKTAIL_RUNS", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def recipe(pair):
    return Recipe(pair(), seed=5, threads=1, config=CocktailConfig(STAGE, STAGE))


def begun(recipe, folder, steps=None):
    """A run that was interrupted after some steps, or one that is finished."""
    running = runs.execute(recipe, folder, report_images=1)
    list(itertools.islice(running, steps))
    running.close()
    return runs.Run(folder)


@pytest.fixture(scope="module")
def finished(recipe, tmp_path_factory):
    return begun(recipe, tmp_path_factory.mktemp("runs") / "finished")


def copy(run, folder):
    shutil.copytree(run.folder, folder)
    return runs.Run(folder)


def go_on(run):
    return list(runs.execute(run.recipe(), run.folder, resume=True, report_images=1))


@pytest.fixture
def unlaunched(monkeypatch):
    """Runs that would be launched stay as they are."""
    launched = []
    monkeypatch.setattr(control, "_launch", lambda run: launched.append(run) or run)
    return launched


# --- from outside


@pytest.mark.slow
def test_a_run_outlives_the_studio_that_started_it_and_is_found_again(recipe, tmp_path):
    run = runs.Run(tmp_path / "home" / "first")
    (tmp_path / "recipe.yaml").write_text(replace(recipe, threads=0).to_yaml())
    started = f"start(Recipe.from_yaml({str(tmp_path / 'recipe.yaml')!r}), {str(run.folder)!r})"
    script = f"import time; from cocktail import Recipe, start; {started}; print(flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as studio:
        studio.stdout.readline()
        assert runs.read(run.folder).state == "starting" and run.recipe().threads > 0
        studio.kill()
    forked.until(lambda: runs.read(run.folder).state not in runs.states.ALIVE, sec=90)
    status = runs.read(run.folder)
    assert status.state == "finished", (status.message, (run.folder / "output.log").read_text())
    assert [listed.name for listed in runs.listed(runs.home())] == ["first"]
    assert checkpoints.load(run.folder).classes == ("cat", "dog")
    with pytest.raises(CocktailError, match=r"is finished\. Extend it"):
        runs.resume(run)
    with pytest.raises(CocktailError, match="is not empty"):
        runs.start(recipe, run.folder)


def test_a_finished_run_is_extended_and_keeps_its_result_until_the_next_one_is_there(
    recipe, finished, tmp_path, unlaunched
):
    run = copy(finished, tmp_path / "run")
    old = (run.result / "model.safetensors").read_bytes()
    runs.extend(run, 0.008)
    assert unlaunched == [run] and runs.read(run.folder).state == "stopped"
    steps = runs.execute(run.recipe(), run.folder, resume=True, report_images=1)
    assert [(p.stage, p.images) for p in itertools.islice(steps, 1)] == [("extra/1", 4)]
    status = runs.read(run.folder)
    assert status.state == "running" and [s.name for s in status.stages] == ["root/dog", "merge", "extra/1"]
    assert status.current.title == "merging further 1" and run.latest.is_dir()
    assert (run.result / "model.safetensors").read_bytes() == old
    assert [p.images for p in steps] == [8] and runs.read(run.folder).state == "finished"
    assert (run.result / "model.safetensors").read_bytes() != old and not run.latest.exists()
    assert checkpoints.load(run.folder).card["recipe"]["config"]["extra_kimg"] == [0.008]
    assert runs.read(run.folder).warnings == ()
    runs.extend(run, 0.004)
    assert [(p.stage, p.images) for p in go_on(run)] == [("extra/2", 4)]
    for kimg in (0.0, -1.0, float("nan")):
        with pytest.raises(CocktailError, match="nothing to extend by"):
            runs.extend(run, kimg)


def test_a_branch_has_what_is_finished_and_goes_on_with_the_stage_in_progress(recipe, tmp_path):
    run = begun(recipe, tmp_path / "run", 8)
    before = {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}
    made = runs.branch(run, tmp_path / "branch")
    assert runs.read(made.folder).state == "new", "how the other run ended is not how this one did"
    assert [(p.stage, p.images) for p in go_on(made)] == [("merge", images) for images in (12, 16, 20, 24)]
    assert any("branched from" in text for text in runs.read(made.folder).warnings)
    assert before == {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "config, first",
    [
        pytest.param({"merge": replace(STAGE, lr=0.01)}, ("merge", 4), marks=pytest.mark.slow),
        pytest.param({"root": replace(STAGE, lr=0.01)}, ("root/dog", 4), marks=pytest.mark.slow),
        ({"root_weight": 0.9}, ("root/dog", 4)),  # which no stage's own config shows
        ({"extra_kimg": (0.004,)}, ("extra/1", 4)),
    ],
)
def test_a_branch_makes_again_what_its_recipe_changes_and_all_that_follows(recipe, finished, tmp_path, config, first):
    changed = replace(recipe, config=replace(recipe.config, **config))
    made = runs.branch(finished, tmp_path / "branch", changed)
    progress = go_on(made)
    assert (progress[0].stage, progress[0].images) == first
    fresh = begun(changed, tmp_path / "fresh")
    mine, other = ((run.result / "model.safetensors").read_bytes() for run in (made, fresh))
    assert mine.split(b"}}", 1)[1][-2000:] == other.split(b"}}", 1)[1][-2000:]
    stages = [(e["stage"], e["images"]) for e in made.entries() if "losses" in e]
    assert stages == [(e["stage"], e["images"]) for e in fresh.entries() if "losses" in e]


def test_a_branch_of_other_sources_or_into_a_folder_in_use_is_refused(recipe, finished, tmp_path):
    with pytest.raises(CocktailError, match="a branch has the sources, the root and the method"):
        runs.branch(finished, tmp_path / "branch", replace(recipe, root=1))
    (tmp_path / "file").write_text("")
    for place in (tmp_path, tmp_path / "file"):
        with pytest.raises(CocktailError, match="is not empty"):
            runs.branch(finished, place)


def test_a_run_at_rest_is_deleted_and_what_is_no_run_is_not(finished, tmp_path):
    run = copy(finished, tmp_path / "run")
    runs.delete(run)
    assert not run.folder.exists()
    (tmp_path / "photos").mkdir()
    with pytest.raises(CocktailError, match="holds no run"):
        runs.delete(runs.Run(tmp_path / "photos"))
    assert (tmp_path / "photos").exists()


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        ".",
        "..",
        "../elsewhere",
        "a/b",
        "a\\b",
        "/etc",
        ".hidden",
        "-rf",
        "a\0b",
        "a\nb",
        "x" * 81,
        "~",
        "$HOME",
    ],
)
def test_names_that_cannot_be_folders_are_refused(name):
    with pytest.raises(CocktailError, match="cannot name a run"):
        runs.named(name)


@pytest.mark.parametrize("name", ["demo", " cats + dogs", "Füchse 2", "a.b-c_d"])
def test_names_of_runs_lie_in_the_home_of_runs(name):
    assert runs.named(name).parent == runs.home() and runs.named(name).name == name.strip()


# --- read from the folder alone


def test_the_state_is_read_from_the_folder_whoever_asks(recipe, finished, tmp_path):
    assert runs.read(finished.folder).state == "finished" and runs.read(finished.folder).progress == 1.0
    running = runs.execute(recipe, tmp_path / "run", report_images=1)
    list(itertools.islice(running, 9))
    status = runs.read(str(tmp_path / "run"))
    assert status.state == "running" and status.current.name == "merge" and 0.5 < status.progress < 1
    assert [(s.name, s.images, s.done) for s in status.stages] == [("root/dog", 24, True), ("merge", 12, False)]
    assert [images for images, _ in status.losses["merge"]] == [4, 8, 12] and "g" in status.losses["merge"][0][1]
    assert [(s.stage, s.images) for s in status.snapshots] == [("root/dog", 0), ("root/dog", 24), ("merge", 0)]
    assert set(status.snapshots[-1].scores) == set(status.floors) == {"cat", "dog"} and status.memory > 0
    assert all(s.picture.is_file() for s in status.snapshots) and "distance/root-rooted/dog" in status.notes
    running.close()
    assert runs.read(tmp_path / "run").state == "interrupted"


def test_a_source_that_was_trained_is_read_too(tiny, tmp_path):
    student, source = tiny(resolution=16, z_dim=12, use_noise=False), DomainSource(("cat",), 16, pool=32)
    list(runs.train_source(student, source, STAGE, tmp_path / "run", {"domain": "cat"}, threads=1))
    status = runs.read(tmp_path / "run")
    assert status.state == "finished" and [s.name for s in status.stages] == ["train"]
    with pytest.raises(CocktailError):
        runs.resume(status.run)


def test_a_run_that_is_deleted_while_it_is_read_is_no_surprise(finished, tmp_path):
    faults = []

    def look():
        while (tmp_path / "run").exists():
            try:
                runs.read(tmp_path / "run")
            except CocktailError:
                pass
            except Exception as error:
                faults.append(error)

    for _ in range(5):
        run = copy(finished, tmp_path / "run")
        thread = threading.Thread(target=look)
        thread.start()
        time.sleep(0.02)
        forked.until(lambda run=run: not deleted(run))
        thread.join()
    assert faults == []


def deleted(run):
    """Whether something is left: a reader may hold the lock for an instant, and then nobody may delete."""
    try:
        runs.delete(run)
    except CocktailError:
        pass
    return run.folder.exists()


PLAN = [{"name": "root/dog", "images": 4000, "classes": 1, "fit": False},
        {"name": "distill", "images": 40_000, "classes": 2, "fit": True},
        {"name": "merge", "images": 20_000, "classes": 2, "fit": False}]  # fmt: skip
SPEEDS = {"root/dog": 20.0, "distill": 50.0, "merge": 22.0}  # a fit as much faster as it usually is


def written(folder, done_sec, speeds, first_sec=30.0):
    """A run that has worked for so long, as its log tells, at these speeds and some noise."""
    run, rng, lines, clock = runs.Run(folder), random.Random(0), [{"session": "x"}, {"plan": PLAN}], 0.0
    for planned in PLAN:
        name, total, sec = planned["name"], planned["images"], 0.0
        entry = {"stage": name, "total": total}
        for images in range(0, total + 1, total // 100):
            if images:
                sec += total / 100 / speeds[name] * rng.uniform(0.9, 1.1) + (first_sec if images == total // 100 else 0)
            if clock + sec > done_sec:
                break
            lines.append(
                entry | {"images": images, "sec": round(sec, 2)} | ({"losses": {}} if images else {"scores": {}})
            )
        clock += sec
        if clock > done_sec or lines[-1].get("images") != total:
            break
        (run.stage(name)).mkdir(parents=True)
        (run.stage(name) / "config.json").write_text("{}")
    (folder / "recipe.yaml").write_text("")
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.75, 0.95])
@pytest.mark.parametrize("probed", [None, 1.0, 0.6])
def test_the_time_left_is_right_within_a_fifth_after_the_first_tenth(tmp_path, share, probed):
    if probed:  # the probe was that much too slow; the merge is slower than anybody could know without it
        speeds = SPEEDS | {"merge": 14.0}
        rates = {name: speed * probed for name, speed in speeds.items()}
        (tmp_path / "estimate.json").write_text(json.dumps({"rates": rates}))
    else:
        speeds = SPEEDS
    whole = sum(p["images"] / speeds[p["name"]] for p in PLAN)
    status = runs.read(written(tmp_path, share * whole, speeds, first_sec=5.0).folder)
    assert status.left_sec == pytest.approx((1 - share) * whole, rel=0.2, abs=20)
    assert status.progress == pytest.approx(share, abs=0.1)


def test_the_time_left_is_known_from_a_probe_before_anything_is_measured_and_never_negative(tmp_path):
    run = written(tmp_path, -1.0, SPEEDS)
    assert runs.read(run.folder).left_sec is None and runs.read(run.folder).progress == 0
    (tmp_path / "estimate.json").write_text(json.dumps({"rates": SPEEDS}))
    assert runs.read(run.folder).left_sec == pytest.approx(4000 / 20 + 40_000 / 50 + 20_000 / 22)
    (tmp_path / "estimate.json").write_text(json.dumps({"rates": SPEEDS, "alignment_sec": 70.0}))
    assert runs.read(run.folder).left_sec == pytest.approx(4000 / 20 + 40_000 / 50 + 20_000 / 22 + 70)
    for text in ("{", '{"rates": {"merge": -1, "distill": "fast"}}', "[]"):
        (tmp_path / "estimate.json").write_text(text)
        assert runs.read(run.folder).left_sec is None
    with (tmp_path / "log.jsonl").open("a") as file:
        for images, sec in ((0, 1.0), (9_000_000, 2.0), (9_000_001, 1.0)):
            file.write(json.dumps({"stage": "merge", "images": images, "sec": sec, "losses": {}}) + "\n")
    status = runs.read(run.folder)
    assert status.left_sec is None or status.left_sec >= 0
    assert 0 <= status.progress <= 1


def test_the_search_for_latents_counts_until_it_is_done_and_again_after_an_interruption(tmp_path):
    run = written(tmp_path, 190.0, SPEEDS, first_sec=0.0)
    run.stage("root/dog").mkdir(parents=True)
    (run.stage("root/dog") / "config.json").write_text("{}")
    (tmp_path / "estimate.json").write_text(json.dumps({"rates": SPEEDS, "alignment_sec": 0.0}))
    without = runs.read(run.folder).left_sec
    (tmp_path / "estimate.json").write_text(json.dumps({"rates": SPEEDS, "alignment_sec": 90.0}))
    assert runs.read(run.folder).left_sec == pytest.approx(without + 90)
    run.log(stage="distill", images=0, total=40_000, sec=1.0, scores={})
    with run.owned():  # somebody is at it
        assert runs.read(run.folder).left_sec == pytest.approx(without + 90, abs=1)
        entries = run.entries()
        entries[-1]["time"] -= 60
        (tmp_path / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
        run.log(note="alignment/dog", value=0.5)
        assert runs.read(run.folder).left_sec == pytest.approx(without + 30, abs=1)
    run.log(stage="distill", images=400, total=40_000, sec=99.0, losses={"l1": 0.1})
    done = runs.read(run.folder).left_sec
    assert done < without
    run.log(session="again")
    assert runs.read(run.folder).left_sec == pytest.approx(done + 90)
