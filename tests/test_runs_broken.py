"""What can break under a run breaks: it stops or goes on with a message that says what to do, and nothing is lost."""

import errno
import itertools
import os
import subprocess
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from cocktail import checkpoints, runs
from cocktail.errors import CocktailError
from cocktail.methods import alignment
from cocktail.methods.cocktail import CocktailConfig
from cocktail.recipe import Recipe, Source
from cocktail.runs import context, publishing, saving
from cocktail.runs import folder as folders
from cocktail.training import TrainConfig, TrainState
from cocktail.warmstart import FitState, WarmStartConfig
from tests.outcomes import assert_same_weights, told

STAGE = TrainConfig(total_kimg=0.024, batch=4, r1_interval=2, pl_interval=2, ema_kimg=0.01)
STEPS = 12  # of both stages
SLOWLY = partial(pytest.param, marks=pytest.mark.slow)  # more of the same
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture(autouse=True)
def _always_save(monkeypatch):
    monkeypatch.setattr(context, "SAVE_SEC", -1.0)


@pytest.fixture(scope="module")
def recipe(pair):
    return Recipe(pair(), seed=5, threads=1, config=CocktailConfig(STAGE, STAGE))


@pytest.fixture(scope="module")
def uninterrupted(recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "uninterrupted"
    assert len(perform(recipe, folder)) == STEPS
    return folder


def perform(recipe, folder):
    return list(runs.execute(recipe, folder, resume=True, report_images=1))


def begin(recipe, folder, steps):
    """A run that has done some steps, and is still at it."""
    running = runs.execute(recipe, folder, report_images=1)
    list(itertools.islice(running, steps))
    return running


def assert_the_same(found, expected):
    assert_same_weights(found, expected)
    assert told(found) == told(expected)


# --- a full disk


def break_log(patch):
    opened = Path.open

    def full(path, mode="r", *args, **options):
        if path.name == folders.LOG and "a" in mode:
            raise FULL
        return opened(path, mode, *args, **options)

    patch.setattr(Path, "open", full)


def break_state(patch):
    def full(tensors, path, metadata):
        Path(path).write_bytes(b"half")
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    patch.setattr(saving, "save_file", full)


def break_flush(patch):
    def full(handle):
        raise FULL

    patch.setattr(os, "fsync", full)


def break_model(patch):
    def full(gan, folder):
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{")
        raise CocktailError(f"{folder} cannot be written (No space left on device); choose a folder that is writable.")

    patch.setattr(publishing.checkpoints, "save", full)


@pytest.mark.parametrize("steps", [SLOWLY(3), 5, SLOWLY(STEPS - 1)])
@pytest.mark.parametrize("break_it", [break_log, break_state, break_flush, break_model])
def test_a_full_disk_stops_a_run_that_can_go_on_when_there_is_space(
    recipe, uninterrupted, tmp_path, monkeypatch, break_it, steps
):
    running = begin(recipe, tmp_path / "run", steps)
    with monkeypatch.context() as patch, pytest.raises(CocktailError, match=r"No space left on device.*resume"):
        break_it(patch)
        list(running)
    status = runs.read(tmp_path / "run")
    assert status.state in ("failed", "interrupted") and not status.run.alive()
    assert break_it is break_log or "No space left on device" in status.message
    rest = perform(recipe, tmp_path / "run")
    assert STEPS - steps - 1 <= len(rest) <= STEPS - steps
    assert_the_same(tmp_path / "run", uninterrupted)
    assert not [path.name for path in (tmp_path / "run").rglob(".*") if path.name != ".lock"]


@pytest.fixture
def disk(tmp_path):
    """A small disk of its own: disk(options) mounts it anew. Skipped where nobody may."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options):
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("no right to mount a disk here")
        return place

    yield mount
    subprocess.run(["umount", "-l", str(place)], capture_output=True, check=False)


def test_a_disk_that_is_really_full_stops_a_run_that_can_go_on(recipe, uninterrupted, disk):
    place = disk("size=8m")
    running = begin(recipe, place / "run", 2)
    with (place / "ballast").open("wb", buffering=0) as ballast, pytest.raises(OSError, match="No space left"):
        while True:
            ballast.write(bytes(4096))
    with pytest.raises(CocktailError, match=r"No space left on device.*resume"):
        list(running)
    (place / "ballast").unlink()
    perform(recipe, place / "run")
    assert_the_same(place / "run", uninterrupted)


def test_a_folder_that_became_read_only_stops_a_run_that_can_go_on(recipe, uninterrupted, tmp_path, monkeypatch):
    def refused(path, *args, **options):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    running = begin(recipe, tmp_path / "run", 2)
    with monkeypatch.context() as patch, pytest.raises(CocktailError, match=r"cannot be written \(Read-only file syst"):
        patch.setattr(Path, "touch", refused)
        list(running)
    assert runs.read(tmp_path / "run").state == "failed"
    perform(recipe, tmp_path / "run")
    assert_the_same(tmp_path / "run", uninterrupted)


def test_a_folder_that_is_read_only_can_be_read_and_says_what_to_do(recipe, uninterrupted, disk):
    place = disk("size=8m")
    begin(recipe, place / "run", 2).close()
    runs.Run(place / "run").ask("pause")
    subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
    status = runs.read(place / "run")
    assert status.state == "paused" and status.progress > 0
    for forbidden in (lambda: perform(recipe, place / "run"), lambda: runs.resume(status.run)):
        with pytest.raises(CocktailError, match=r"cannot be written \(Read-only file system\).*Make it writable"):
            forbidden()
    subprocess.run(["mount", "-o", "remount,rw", str(place)], check=True)
    perform(recipe, place / "run")
    assert_the_same(place / "run", uninterrupted)


# --- memory, numbers, clocks


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough memory: you tried")],
)
@pytest.mark.parametrize("where", [(TrainState, "set_learning_rate"), SLOWLY((TrainState, "load_state_dict"))])
def test_a_run_that_is_out_of_memory_says_so_and_can_go_on(recipe, uninterrupted, tmp_path, monkeypatch, error, where):
    def out(*args):
        raise error

    begin(recipe, tmp_path / "run", 3).close()
    with monkeypatch.context() as patch, pytest.raises(CocktailError, match=r"^out of memory .*resume, or branch"):
        patch.setattr(*where, out)
        perform(recipe, tmp_path / "run")
    assert runs.read(tmp_path / "run").state == "failed" and "smaller batch" in runs.read(tmp_path / "run").message
    perform(recipe, tmp_path / "run")
    assert_the_same(tmp_path / "run", uninterrupted)


def test_an_error_that_nobody_foresaw_is_in_the_log_and_raised_as_it_is(recipe, tmp_path, monkeypatch):
    def broken(*args):
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(TrainState, "set_learning_rate", broken)
    with pytest.raises(ZeroDivisionError):
        perform(recipe, tmp_path / "run")
    assert runs.read(tmp_path / "run").message == "ZeroDivisionError: by nothing"


def test_a_caller_that_loses_interest_is_no_failure(recipe, tmp_path):
    begin(recipe, tmp_path / "run", 2).close()
    assert runs.read(tmp_path / "run").state == "interrupted"
    running = begin(recipe, tmp_path / "other", 2)
    with pytest.raises(KeyboardInterrupt):
        running.throw(KeyboardInterrupt)
    assert runs.read(tmp_path / "other").state == "interrupted" and not runs.read(tmp_path / "other").run.alive()


def test_a_fit_that_diverged_does_not_replace_the_last_good_state(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(alignment, "SAMPLES", 200)
    fit = WarmStartConfig(stage_kimg=(0.024,), batch=4)
    fitted = replace(recipe, config=CocktailConfig(replace(STAGE, total_kimg=0.004), STAGE, align=True, warm=fit))
    running = begin(fitted, tmp_path / "run", 3)
    progress = next(running)
    assert progress.stage == "distill" and isinstance(progress.state, FitState)
    with torch.no_grad():
        next(progress.state.generator.parameters()).fill_(float("nan"))
    with pytest.raises(CocktailError, match=r"training stopped at image 16: .* is not finite\. The last saved state"):
        next(running)
    for name in ("state.safetensors", "state.previous.safetensors"):
        state = load_file(tmp_path / "run" / name)
        assert all(v.isfinite().all() for v in state.values() if v.is_floating_point())
    assert [p.images for p in perform(fitted, tmp_path / "run") if p.stage == "distill"] == [16, 20, 24]


def test_a_clock_that_is_set_back_changes_nothing(recipe, uninterrupted, tmp_path, monkeypatch):
    real = time.time
    begin(recipe, tmp_path / "run", 3).close()
    monkeypatch.setattr(time, "time", lambda: real() - 86_400)
    begin_again = runs.execute(recipe, tmp_path / "run", resume=True, report_images=1)
    list(itertools.islice(begin_again, 3))
    status = runs.read(tmp_path / "run")
    assert status.state == "running" and status.left_sec >= 0 and status.run.minutes() >= 0
    monkeypatch.setattr(time, "time", lambda: real() - 2 * 86_400)
    list(begin_again)
    assert_the_same(tmp_path / "run", uninterrupted)
    assert 0 <= checkpoints.load(tmp_path / "run").card["minutes"] < 2
    sec = [e["sec"] for e in runs.Run(tmp_path / "run").entries() if e.get("stage") == "merge"]
    assert sec == sorted(sec)


# --- sources and recipes


def test_a_source_that_is_unplugged_can_be_plugged_in_again(tiny, tmp_path):
    for seed, name in enumerate(("cat", "dog")):
        checkpoints.save(tiny(seed=seed), tmp_path / name)
    made = Recipe(
        (Source(f"{tmp_path}/cat"), Source(f"{tmp_path}/dog")), threads=1, config=CocktailConfig(STAGE, STAGE)
    )
    running = begin(made, tmp_path / "run", 2)
    (tmp_path / "dog").rename(tmp_path / "elsewhere")
    next(running)  # a run that has its sources needs their files no more
    running.close()
    with pytest.raises(CocktailError, match=r"/dog' is neither a path .*put the source back, then resume"):
        perform(made, tmp_path / "run")
    status = runs.read(tmp_path / "run")
    assert status.state == "failed" and "put the source back" in status.message
    (tmp_path / "elsewhere").rename(tmp_path / "dog")
    assert len(perform(made, tmp_path / "run")) == STEPS - 3


def test_a_recipe_that_is_edited_while_it_runs_counts_from_the_next_start_on(recipe, tmp_path):
    running, path = begin(recipe, tmp_path / "run", 3), tmp_path / "run" / "recipe.yaml"
    edited = replace(recipe, config=replace(recipe.config, root=replace(STAGE, lr=0.001, total_kimg=0.032)))
    path.write_text("# by hand\n" + edited.to_yaml())
    assert next(running).total_images == 24
    running.close()
    progress = perform(Recipe.from_yaml(path), tmp_path / "run")
    assert [p.images for p in progress if p.stage == "root/dog"] == [20, 24, 28, 32]
    warnings = runs.read(tmp_path / "run").warnings
    assert any("recipe.yaml has been edited (root)" in text for text in warnings)
    assert any("root/dog goes on from image 16 with another config" in text for text in warnings)
    assert checkpoints.load(tmp_path / "run").card["recipe"] == edited.to_dict()
    assert runs.read(tmp_path / "run").state == "finished"


def test_what_cannot_change_in_the_middle_of_a_run_is_refused(recipe, tmp_path):
    begin(recipe, tmp_path / "run", 3).close()
    path = tmp_path / "run" / "recipe.yaml"
    path.write_text(replace(recipe, root=1).to_yaml())
    with pytest.raises(CocktailError, match=r"root cannot change in the middle of a run\. Put the old text back"):
        perform(Recipe.from_yaml(path), tmp_path / "run")
    path.write_text(replace(recipe, config=replace(recipe.config, root=replace(STAGE, lr=0.1))).to_yaml())
    perform_until_merge = runs.execute(Recipe.from_yaml(path), tmp_path / "run", resume=True, report_images=1)
    while next(perform_until_merge).stage != "merge":
        pass
    perform_until_merge.close()
    path.write_text(recipe.to_yaml())
    with pytest.raises(CocktailError, match=r"root/dog was made with another config\. Branch from this run"):
        perform(Recipe.from_yaml(path), tmp_path / "run")


def test_a_line_after_a_torn_one_is_read(tmp_path):
    run = runs.Run(tmp_path)
    run.log(note="a", value=1)
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"time": 1, "note": "b", "va')
    run.log(note="c", value=2)
    assert [entry["note"] for entry in run.entries()] == ["a", "c"]
    (tmp_path / "log.jsonl").write_bytes(
        b'\x00\x00\xff\n12\n[]\n"x"\n{"stage": "a"}\n{"time": "late"}\n{"note": "d"}\n'
    )
    assert run.entries() == [{"note": "d"}]


def test_what_a_kill_left_half_done_is_tidied_and_what_was_set_aside_is_put_back(recipe, tmp_path):
    begin(recipe, tmp_path / "run", 3).close()
    run = runs.Run(tmp_path / "run")
    checkpoints.save(checkpoints.load(run.latest), run.folder / ".result.old")
    half = run.folder / ".state.safetensors.0abc.partial"
    half.mkdir()
    (half / ".tmp0abc").write_bytes(b"half")
    checkpoints.save(checkpoints.load(run.latest), run.folder / "stages" / "root" / ".dog.partial")
    assert (
        runs.read(run.folder).state == "interrupted" and (run.folder / ".result.old").exists()
    )  # reading mends nothing
    with run.owned():
        run.tidy()
    assert checkpoints.load(run.result).classes == ("cat", "dog")
    assert not list(run.folder.rglob(".*.*"))
