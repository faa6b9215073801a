"""Runs: the same weights every time, in one go or in pieces; what is finished stays, what does not fit is refused."""

import itertools
import json
import time
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from cocktail import checkpoints, runs
from cocktail.errors import CocktailError
from cocktail.methods import alignment
from cocktail.methods.cocktail import CocktailConfig
from cocktail.recipe import Recipe, Source
from cocktail.runs import context
from cocktail.sources import DomainSource
from cocktail.training import TrainConfig
from cocktail.warmstart import WarmStartConfig
from tests.outcomes import assert_same_weights, log, told, weights

STAGE = TrainConfig(total_kimg=0.024, batch=4, r1_interval=2, pl_interval=2, ema_kimg=0.01, style_mixing=0.5)
STEPS = 6  # of each stage, with a report after each


@pytest.fixture(scope="module", autouse=True)
def _always_save():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(context, "SAVE_SEC", -1.0)
        yield


@pytest.fixture(scope="module")
def recipe(pair):
    return Recipe(pair(), seed=5, threads=1, config=CocktailConfig(STAGE, STAGE))


@pytest.fixture(scope="module")
def uninterrupted(recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "uninterrupted"
    progress = list(runs.execute(recipe, folder, report_images=1))
    assert [(p.stage, p.images) for p in progress] == ROUND
    return folder


ROUND = [(stage, 4 * step) for stage in ("root/dog", "merge") for step in range(1, STEPS + 1)]


def reported(folder):
    return [(entry["stage"], entry["images"]) for entry in log(folder) if "losses" in entry]


def interrupt(recipe, folder, reports, resume=False):
    """Runs until a number of reports have come, then stops as if the process had been ended."""
    steps = runs.execute(recipe, folder, resume, report_images=1)
    found = list(itertools.islice(steps, reports))
    steps.close()
    return found


def resume(recipe, folder):
    return list(runs.execute(recipe, folder, resume=True, report_images=1))


# --- reproducible


def test_the_same_recipe_gives_the_same_weights(recipe, uninterrupted, tmp_path):
    list(runs.execute(recipe, tmp_path / "again", report_images=8))
    assert_same_weights(uninterrupted, tmp_path / "again")


def test_another_seed_gives_other_weights(recipe, uninterrupted, tmp_path):
    list(runs.execute(replace(recipe, seed=6), tmp_path / "other"))
    a, b = weights(uninterrupted), weights(tmp_path / "other")
    assert not torch.equal(a["G.synthesis.b8.conv0.weight"], b["G.synthesis.b8.conv0.weight"])


def test_a_run_sets_the_threads_of_its_recipe(recipe, tmp_path):
    torch.set_num_threads(2)
    interrupt(recipe, tmp_path / "run", 1)
    assert torch.get_num_threads() == 1


# --- interrupted and resumed


@pytest.mark.parametrize("reports", [1, 3, STEPS, STEPS + 2, 2 * STEPS])
def test_a_run_that_was_interrupted_goes_on_to_the_bit(recipe, uninterrupted, tmp_path, reports):
    folder = tmp_path / "run"
    first = interrupt(recipe, folder, reports)
    assert not (folder / "result").exists()
    second = resume(recipe, folder)
    assert [(p.stage, p.images) for p in first + second] == ROUND
    assert_same_weights(uninterrupted, folder)
    assert reported(folder) == ROUND and told(folder) == told(uninterrupted)
    assert not [path.name for path in folder.iterdir() if path.name.startswith(("state", "latest"))]


def test_a_run_that_was_interrupted_time_and_again_goes_on_to_the_bit(recipe, uninterrupted, tmp_path):
    folder = tmp_path / "run"
    for attempt in range(4):
        interrupt(recipe, folder, 3, resume=attempt > 0)
    resume(recipe, folder)
    assert_same_weights(uninterrupted, folder)
    assert reported(folder) == ROUND and told(folder) == told(uninterrupted)


@pytest.mark.parametrize("saved, lost", [(2, 3), (0, 4), (STEPS + 1, 4)])
def test_what_was_reported_but_not_saved_is_done_and_logged_again_once(
    recipe, uninterrupted, tmp_path, monkeypatch, saved, lost
):
    folder = tmp_path / "run"
    steps = runs.execute(recipe, folder, report_images=1)
    for index in range(saved + lost):
        monkeypatch.setattr(context, "SAVE_SEC", -1.0 if index < saved else 1e9)
        next(steps)
    steps.close()
    assert len(reported(folder)) == saved + lost
    assert len(resume(recipe, folder)) == len(ROUND) - saved
    assert reported(folder) == ROUND
    assert_same_weights(uninterrupted, folder)
    assert told(folder) == told(uninterrupted)


def test_a_note_is_logged_once_however_often_a_run_is_resumed(recipe, uninterrupted, tmp_path):
    folder = tmp_path / "run"
    interrupt(recipe, folder, STEPS + 1)
    interrupt(recipe, folder, 1, resume=True)
    resume(recipe, folder)
    notes = [(e["note"], e["value"]) for e in log(folder) if "note" in e]
    assert len(notes) == 2 and notes == [(e["note"], e["value"]) for e in log(uninterrupted) if "note" in e]
    assert dict(notes) == checkpoints.load(folder).card["notes"]


def test_a_note_made_beyond_what_was_saved_is_taken_back_with_the_lines_around_it(recipe, tmp_path, monkeypatch):
    """A fit records how well its latents are aligned after its first snapshot and before its first step."""
    monkeypatch.setattr(alignment, "SAMPLES", 64)
    warm = WarmStartConfig(stage_kimg=(0.024,), batch=4, ema_kimg=0.01)
    aligned = replace(recipe, config=CocktailConfig(STAGE, STAGE, align=True, warm=warm))
    untouched, folder = tmp_path / "untouched", tmp_path / "run"
    list(runs.execute(aligned, untouched, report_images=1))
    monkeypatch.setattr(context, "SAVE_SEC", 1e9)
    assert interrupt(aligned, folder, STEPS + 1)[-1].stage == "distill"
    assert [entry["note"] for entry in log(folder) if "note" in entry][-1] == "alignment/dog"
    resume(aligned, folder)
    assert told(folder) == told(untouched)
    assert checkpoints.load(folder).card["notes"] == checkpoints.load(untouched).card["notes"]


def test_a_line_of_the_log_that_was_cut_off_is_no_obstacle(recipe, tmp_path):
    folder = tmp_path / "run"
    interrupt(recipe, folder, 2)
    with (folder / "log.jsonl").open("a") as file:
        file.write('{"time": 17000, "stage": "root/d')
    resume(recipe, folder)
    assert reported(folder) == ROUND


def test_minutes_count_the_sessions_without_the_pause_between_them(tmp_path):
    run = runs.Run(tmp_path)
    lines = [{"time": 0, "session": "a"}, {"time": 60, "images": 1, "stage": "s"}, {"time": 180, "note": "n"},
             {"time": 90_000, "session": "b"}]  # fmt: skip
    now = time.time()
    lines = [line | {"time": now - 90_060 + line["time"]} for line in lines]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert run.minutes() == pytest.approx(3 + 1, abs=0.2)


def test_finished_stages_are_not_done_again(recipe, uninterrupted, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    interrupt(recipe, folder, STEPS + 1)
    before = (folder / "stages" / "root" / "dog" / "model.safetensors").stat().st_mtime_ns
    trained, finetune = [], context.finetune

    def counting(student, source, *args, **options):
        trained.append(source.classes)
        return finetune(student, source, *args, **options)

    monkeypatch.setattr(context, "finetune", counting)
    resume(recipe, folder)
    assert trained == [("cat", "dog")]
    assert (folder / "stages" / "root" / "dog" / "model.safetensors").stat().st_mtime_ns == before
    trained.clear()
    assert resume(recipe, folder) == [] and trained == []
    assert_same_weights(uninterrupted, folder)


def test_a_diverged_run_stops_with_its_last_good_state_and_can_go_on(recipe, uninterrupted, tmp_path):
    folder = tmp_path / "run"
    steps = runs.execute(recipe, folder, report_images=1)
    for _ in range(3):
        progress = next(steps)
    with torch.no_grad():
        next(progress.state.generator.parameters()).fill_(float("nan"))
    with pytest.raises(CocktailError, match=r"training stopped at image 12.*The last saved state is kept"):
        next(steps)
    state = load_file(folder / "state.safetensors")
    assert all(v.isfinite().all() for v in state.values() if v.is_floating_point())
    assert len(resume(recipe, folder)) == len(ROUND) - 3
    assert_same_weights(uninterrupted, folder)


def test_samples_are_drawn_on_the_way(uninterrupted):
    names = {path.name for path in (uninterrupted / "samples").iterdir()}
    assert names == {"average.png", "result.png", *(f"{stage}-{images:08d}.png" for stage in ("root_dog", "merge")
                                                    for images in (0, 24))}  # fmt: skip


# --- what does not fit


def test_a_folder_in_use_needs_resume(recipe, uninterrupted):
    with pytest.raises(CocktailError, match=r"is not empty\. Add --resume"):
        next(runs.execute(recipe, uninterrupted))


def test_another_recipe_in_the_folder_is_refused(recipe, tmp_path):
    interrupt(recipe, tmp_path / "run", 1)
    other = replace(recipe, config=replace(recipe.config, merge=replace(STAGE, lr=0.001)))
    for changed in (other, replace(recipe, seed=1), replace(recipe, root=1)):
        with pytest.raises(CocktailError, match=r"recipe\.yaml differs"):
            next(runs.execute(changed, tmp_path / "run", resume=True))
    assert len(resume(recipe, tmp_path / "run")) == len(ROUND) - 1


def test_a_folder_that_holds_something_else_is_refused(recipe, tmp_path):
    (tmp_path / "thesis.txt").write_text("words")
    for again in (False, True):
        with pytest.raises(CocktailError, match="not empty|holds another run"):
            next(runs.execute(recipe, tmp_path, again))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_source_that_changed_is_refused(tiny, tmp_path):
    for seed, name in enumerate(("cat", "dog")):
        checkpoints.save(tiny(seed=seed), tmp_path / name)
    recipe = Recipe((Source(f"{tmp_path}/cat"), Source(f"{tmp_path}/dog")), config=CocktailConfig(STAGE, STAGE))
    interrupt(recipe, tmp_path / "run", 1)
    checkpoints.save(tiny(seed=7), tmp_path / "dog")
    with pytest.raises(CocktailError, match="the source of dog has changed"):
        next(runs.execute(recipe, tmp_path / "run", resume=True))
    checkpoints.save(tiny(seed=1), tmp_path / "dog")
    next(runs.execute(recipe, tmp_path / "run", resume=True))


def damage(path):
    path.write_bytes(path.read_bytes()[:1000])


def test_a_damaged_state_gives_way_to_the_one_before(recipe, uninterrupted, tmp_path):
    folder = tmp_path / "run"
    interrupt(recipe, folder, 3)
    damage(folder / "state.safetensors")
    assert len(resume(recipe, folder)) == len(ROUND) - 2
    assert_same_weights(uninterrupted, folder)
    assert told(folder) == told(uninterrupted)
    (warning,) = [entry["warning"] for entry in log(folder) if "warning" in entry]
    assert "state.safetensors cannot be read" in warning and "went on from the state before it" in warning


def test_a_state_that_was_not_yet_in_place_is_the_one_before(recipe, uninterrupted, tmp_path):
    folder = tmp_path / "run"
    interrupt(recipe, folder, 3)
    (folder / "state.safetensors").unlink()
    assert len(resume(recipe, folder)) == len(ROUND) - 2
    assert told(folder) == told(uninterrupted) and not [e for e in log(folder) if "warning" in e]


def test_damaged_states_are_named_and_say_what_to_do(recipe, tmp_path):
    folder = tmp_path / "run"
    interrupt(recipe, folder, 2)
    states = [folder / name for name in ("state.safetensors", "state.previous.safetensors")]
    for path in states:
        damage(path)
    with pytest.raises(CocktailError, match=r"state\.safetensors cannot be read .*previous.*cannot be .*Remove it"):
        next(runs.execute(recipe, folder, resume=True))
    assert runs.read(folder).state == "failed" and "Remove it" in runs.read(folder).message
    for path in states:
        path.unlink()
    assert len(resume(recipe, folder)) == len(ROUND)
    assert reported(folder) == ROUND


def test_a_missing_source_leaves_no_folder_behind(recipe, tmp_path):
    broken = replace(recipe, sources=(recipe.sources[0], Source(str(tmp_path / "nowhere"))))
    with pytest.raises(CocktailError, match="nowhere"):
        next(runs.execute(broken, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"classes": ("cat",)}, "without classes"),
        ({"names": ("a", "b")}, "2 names for 1 classes"),
        ({"names": ("../outside",)}, "cannot name a folder"),
        ({"names": ("",)}, "cannot name a folder"),
        ({"names": (".",)}, "cannot name a folder"),
        ({"names": ("x" * 300,)}, "cannot name a folder"),
        ({"names": ("dog",)}, "class names must differ"),
    ],
)
def test_classes_and_names_that_cannot_be_are_refused(recipe, tmp_path, change, message):
    broken = replace(recipe, sources=(replace(recipe.sources[0], **change), recipe.sources[1]))
    with pytest.raises(CocktailError, match=message):
        next(runs.execute(broken, tmp_path / "run"))


@pytest.mark.parametrize("device", ["abacus", "meta:x", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(recipe, tmp_path, device):
    with pytest.raises(CocktailError, match=f"device is '{device}'"):
        next(runs.execute(replace(recipe, device=device), tmp_path / "run"))


def test_a_source_of_many_classes_has_a_folder_of_its_own(tiny, tmp_path):
    many = tuple(f"class number {i} of a large data set" for i in range(12))
    checkpoints.save(tiny(), tmp_path / "cat")
    checkpoints.save(tiny(many, seed=1), tmp_path / "many")
    none = CocktailConfig(replace(STAGE, total_kimg=0.0), replace(STAGE, total_kimg=0.0))
    recipe = Recipe((Source(f"{tmp_path}/cat"), Source(f"{tmp_path}/many")), config=none)
    assert list(runs.execute(recipe, tmp_path / "run")) == []
    assert checkpoints.load(tmp_path / "run").classes == ("cat", *many)


# --- training a source


@pytest.fixture(scope="module")
def drawn():
    return DomainSource(("cat",), 16, pool=32, z_dim=12)


WARM = WarmStartConfig(start_resolution=8, stage_kimg=(0.016, 0.016), batch=4)


def source_run(tiny, drawn, folder, **options):
    student = tiny(resolution=16, z_dim=12, use_noise=False)
    return runs.train_source(student, drawn, STAGE, folder, {"domain": "cat"}, threads=1, report_images=1, **options)


def test_a_source_is_trained_with_a_warm_start_and_goes_on_to_the_bit(tiny, drawn, tmp_path):
    whole = list(source_run(tiny, drawn, tmp_path / "whole", warm=WARM))
    assert [p.stage for p in whole] == ["warm"] * 8 + ["train"] * STEPS
    for reports in (3, 4, 6, 8, 10):  # in the fit, when it grows, at the second size, at its end, in training
        folder = tmp_path / f"run{reports}"
        steps = source_run(tiny, drawn, folder, warm=WARM)
        list(itertools.islice(steps, reports))
        steps.close()
        rest = list(source_run(tiny, drawn, folder, warm=WARM, resume=True))
        assert len(rest) == 14 - reports
        assert_same_weights(tmp_path / "whole", folder)
        assert told(folder) == told(tmp_path / "whole")
    gan = checkpoints.load(tmp_path / "whole")
    assert gan.classes == () and gan.resolution == 16 and gan.discriminator is not None
    assert gan.card["images_seen"] == 32 + 24 and gan.card["recipe"]["domain"] == "cat"


def test_a_source_run_of_another_description_is_refused(tiny, drawn, tmp_path):
    next(source_run(tiny, drawn, tmp_path / "run"))
    with pytest.raises(CocktailError, match="differs"):
        next(source_run(tiny, drawn, tmp_path / "run", resume=True, warm=WARM))
    next(source_run(tiny, drawn, tmp_path / "run", resume=True))
