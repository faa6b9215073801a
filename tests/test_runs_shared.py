"""A merge in two processes: what one would make of it, written once; stopped or killed, it goes on."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from cocktail import runs
from cocktail.methods import alignment
from cocktail.methods.cocktail import CocktailConfig
from cocktail.recipe import Recipe
from cocktail.training import TrainConfig
from cocktail.warmstart import WarmStartConfig
from tests import run_process
from tests.outcomes import weights
from tests.parallel_worker import doubles

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("accelerate") is None, reason="several processes need Accelerate: pip install accelerate"
)
ROOT = Path(__file__).parents[1]
STAGE = TrainConfig(total_kimg=0.064, batch=8, r1_interval=2, pl_weight=0.0, ema_kimg=0.01, style_mixing=0.5)
# Without contrasts: which of them is shown is drawn by what was missed, and a last bit may draw another one.
WARM = WarmStartConfig(stage_kimg=(0.4,), batch=8, ema_kimg=0.01)
LAUNCH = ["accelerate.commands.launch", "--num_machines=1", "--num_processes=2", "--mixed_precision=no",
          "--dynamo_backend=no", "--main_process_port=0", "--multi_gpu", "--module"]  # fmt: skip


@pytest.fixture(scope="module")
def recipe(pair):
    with doubles():
        return Recipe(pair(16), seed=5, threads=1, config=CocktailConfig(STAGE, STAGE, align=True, warm=WARM))


def launch(recipe, folder, save_sec="0"):
    """Starts two processes on a run, as a person does with `accelerate launch`."""
    path = folder.parent / "recipe.yaml"
    path.write_text(recipe.to_yaml())
    gone = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "ACCELERATE_USE_CPU", "MASTER_ADDR")
    kept = {name: value for name, value in os.environ.items() if name not in gone}
    environment = kept | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    command = [*LAUNCH, "tests.run_process", save_sec, "float64", "merge", str(path), "--out", str(folder), "--resume"]
    return subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, env=environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip


def until(reached, process):
    for _ in range(1200):
        if reached():
            return
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    pytest.fail("it does not come so far")


def steps(folder):
    return [(e["stage"], e["images"]) for e in runs.Run(folder).entries() if "losses" in e]


@pytest.fixture(scope="module")
def alone(recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone") / "run"
    with doubles(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(alignment, "SAMPLES", run_process.SAMPLES)
        for _ in runs.execute(recipe, folder):
            pass
    return folder


def assert_the_same(shared, alone):
    """In float64, where another picture in one batch cannot hide behind rounding, on whatever CPU."""
    found, wanted = weights(shared), weights(alone)
    assert found.keys() == wanted.keys() and len(found) > 30
    assert wanted["G.synthesis.b16.conv1.weight"].dtype == torch.float64
    apart = {name: float((found[name] - wanted[name]).abs().max()) for name in found}
    assert max(apart.values()) < 1e-9, apart


def test_two_processes_make_what_one_makes_and_write_it_once(recipe, alone, tmp_path):
    process = launch(recipe, tmp_path / "run")
    said = process.communicate(timeout=180)[0]
    assert process.returncode == 0, said
    assert said.count("16 px") == 1, "one of them tells where the union is"
    assert_the_same(tmp_path / "run", alone)
    assert steps(tmp_path / "run") == steps(alone)
    both, one = (runs.read(folder) for folder in (tmp_path / "run", alone))
    assert both.state == "finished" and [s.images for s in both.snapshots] == [s.images for s in one.snapshots]
    for a, b in zip(both.snapshots, one.snapshots, strict=True):
        for name, values in b.scores.items():
            assert a.scores[name] == pytest.approx(values, rel=1e-6)


@pytest.mark.slow
def test_two_processes_that_were_killed_or_paused_go_on_to_the_end(recipe, alone, tmp_path):
    folder = tmp_path / "run"
    process = launch(recipe, folder)
    until(lambda: steps(folder), process)
    os.kill(runs.Run(folder).process()["pid"], signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode, "the launcher ends the other one"
    assert not runs.Run(folder).alive()
    process = launch(recipe, folder)
    until(lambda: any(stage == "distill" for stage, _ in steps(folder)), process)
    runs.pause(runs.Run(folder))
    said = process.communicate(timeout=60)[0]
    assert "paused" in said and process.returncode == 0, said
    assert runs.read(folder).state == "paused"
    process = launch(recipe, folder)
    said = process.communicate(timeout=180)[0]
    assert process.returncode == 0, said
    assert steps(folder) == steps(alone), json.dumps(steps(folder))
    assert_the_same(folder, alone)
