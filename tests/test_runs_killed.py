"""SIGKILL at any moment: whoever resumes comes to the same weights, log and samples as a run that nobody touched."""

import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from cocktail import runs
from cocktail.methods import alignment
from cocktail.methods.cocktail import CocktailConfig
from cocktail.recipe import Recipe
from cocktail.runs import context
from cocktail.training import TrainConfig
from cocktail.warmstart import WarmStartConfig
from tests import forked, run_process
from tests.outcomes import assert_same_weights, told

ROOT = Path(__file__).parents[1]
STAGE = TrainConfig(total_kimg=0.04, batch=4, r1_interval=2, pl_interval=2, ema_kimg=0.01, style_mixing=0.5)
WARM = WarmStartConfig(stage_kimg=(0.08,), batch=4, ema_kimg=0.01, contrast_weight=1.0)
LIMIT = 400  # processes that a run may take
KILLS = 22  # of a command


@pytest.fixture(scope="module", autouse=True)
def _often():
    """States are saved all the time, and a stage shows itself every dozen pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(context, "SAVE_SEC", 0.02)
        patch.setattr(context, "snapshots", lambda images, classes: max(1, images // 12))
        patch.setattr(alignment, "SAMPLES", run_process.SAMPLES)
        yield


@pytest.fixture(scope="module")
def sources(pair):
    return pair(16)


@pytest.fixture(scope="module")
def aligned(sources):
    return Recipe(sources, seed=5, threads=1, config=CocktailConfig(STAGE, STAGE, align=True, warm=WARM))


def perform(recipe, folder):
    for _ in runs.execute(recipe, folder, resume=True):
        pass


def assert_the_same(found, expected):
    assert_same_weights(found, expected)
    ends = ("failed", "stopped", "warning")  # how often somebody began is the only thing that may differ
    assert told(found, *ends) == told(expected, *ends) and len(told(found)) > 9
    notes = [entry["note"] for entry in told(found) if "note" in entry]
    assert len(set(notes)) == len(notes) > 1
    pictures = [
        {path.name: path.read_bytes() for path in (folder / "samples").iterdir()} for folder in (found, expected)
    ]
    assert pictures[0] == pictures[1] and len(pictures[0]) > 6
    if (expected / "best").exists():
        assert_same_weights(found, expected, "best")
    leftovers = [path.name for path in found.rglob(".*") if path.name != ".lock"]
    assert leftovers == [] and {path.name for path in found.iterdir()} == {path.name for path in expected.iterdir()}


@pytest.fixture(scope="module")
def untouched(aligned, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "untouched"
    perform(aligned, folder)
    return folder


def storm(recipe, folder, rng, least, most):
    """Resumes a run until it ends, each time killed after so many touches of its files: how often it was killed."""
    for kills in range(LIMIT):
        event = rng.randint(least, most)

        def do(event=event):
            forked.die_at(event, folder)
            perform(recipe, folder)

        code = forked.ended(forked.start(do))
        if code == 0:
            return kills
        assert code == -signal.SIGKILL
    raise AssertionError(f"not finished after {LIMIT} processes")


@pytest.mark.slow
def test_a_run_that_is_killed_whenever_it_touches_a_file_ends_like_any_other(sources, tmp_path):
    recipe = Recipe(sources, seed=5, threads=1, config=CocktailConfig(replace(STAGE, total_kimg=0.016), STAGE))
    perform(recipe, tmp_path / "untouched")
    assert storm(recipe, tmp_path / "run", random.Random(1), 100, 400) >= 3
    assert_the_same(tmp_path / "run", tmp_path / "untouched")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_runs_that_search_and_fit_are_killed_at_random_touches_of_their_files(aligned, untouched, tmp_path, seed):
    assert storm(aligned, tmp_path / "run", random.Random(seed), 60, 200) >= 15
    assert_the_same(tmp_path / "run", untouched)


@pytest.mark.slow
def test_a_run_is_killed_at_every_move_of_its_last_files(sources, tmp_path):
    """From the end of the last stage on, when models are put in place and states taken away."""
    recipe = Recipe(sources, seed=5, threads=1, config=CocktailConfig(replace(STAGE, total_kimg=0.004), STAGE))
    perform(recipe, tmp_path / "untouched")
    # The same, but for a moment in the last stage up to which it is done once for all.
    start = tmp_path / "start"
    steps = runs.execute(recipe, start)
    while next(steps).images < 36 or not (start / "stages" / "root").exists():
        pass
    steps.close()
    kills = 0
    for event in range(1, LIMIT):
        folder = tmp_path / f"run{event}"
        subprocess.run(["cp", "-r", str(start), str(folder)], check=True)

        def do(folder=folder, event=event):
            forked.die_at(event, folder, forked.MOVES)
            perform(recipe, folder)

        code = forked.ended(forked.start(do))
        kills += code != 0
        perform(recipe, folder)
        assert_the_same(folder, tmp_path / "untouched")
        if code == 0:
            break
        subprocess.run(["rm", "-r", str(folder)], check=True)
    assert kills > 20


@pytest.mark.slow
def test_a_command_that_is_killed_at_random_moments_ends_like_any_other(aligned, tmp_path):
    """One time in four while it loads, else at a moment of its work, of which a twelfth is done at once at most."""
    root, merge = replace(STAGE, total_kimg=0.6), replace(STAGE, total_kimg=1.0)
    config = replace(aligned.config, root=root, merge=merge, warm=replace(WARM, stage_kimg=(0.6,)))
    (tmp_path / "recipe.yaml").write_text(replace(aligned, config=config).to_yaml())

    def begin(folder):
        argv = ["0.1", "float32", "merge", str(tmp_path / "recipe.yaml"), "--out", str(folder), "--resume"]
        output = folder.with_suffix(".txt").open("wb")
        return subprocess.Popen(
            [sys.executable, "-m", "tests.run_process", *argv], stdout=output, stderr=output, cwd=ROOT
        )

    def work_sec(folder):
        entries = runs.Run(folder).entries()
        return entries[-1]["time"] - next(e["time"] for e in entries if "session" in e)

    def sessions(folder):
        return sum("session" in entry for entry in runs.Run(folder).entries())

    assert begin(tmp_path / "untouched").wait(timeout=300) == 0
    longest = work_sec(tmp_path / "untouched") / 12
    rng, folder, started = random.Random(3), tmp_path / "run", time.monotonic()
    for _ in range(KILLS):
        before, process = sessions(folder), begin(folder)
        if rng.random() < 0.75:
            forked.until(lambda before=before: sessions(folder) > before)
            time.sleep(rng.uniform(0, longest))
        else:
            time.sleep(rng.uniform(0.1, 4.0))
        assert process.poll() is None, folder.with_suffix(".txt").read_text()
        process.kill()
        process.wait()
    done = begin(folder)
    assert done.wait(timeout=300) == 0, folder.with_suffix(".txt").read_text()
    print(f"{KILLS} kills in {time.monotonic() - started:.0f} s, work of {12 * longest:.0f} s")
    assert_the_same(folder, tmp_path / "untouched")
