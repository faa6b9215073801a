"""The command line for runs: merge with a bar, a check and event files; what can be asked of a run by its name."""

import itertools
import json
import shutil
import sys
from dataclasses import replace

import pytest
import tqdm

from cocktail import checkpoints, preflight, runs
from cocktail.__main__ import main
from cocktail.methods.cocktail import CocktailConfig
from cocktail.recipe import Recipe, Source
from cocktail.runs import control
from cocktail.runs.queue import Queue
from cocktail.training import TrainConfig

STAGE = TrainConfig(total_kimg=0.024, batch=4, pl_weight=0.0)


@pytest.fixture(scope="module")
def recipe(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    for seed, name in enumerate(("cat", "dog")):
        gan = tiny(seed=seed)
        gan.card["licence"] = "cc-by"
        checkpoints.save(gan, folder / name)
    sources = tuple(Source(str(folder / name)) for name in ("cat", "dog"))
    return Recipe(sources, seed=5, threads=1, config=CocktailConfig(STAGE, STAGE))


@pytest.fixture(scope="module")
def made(recipe, tmp_path_factory):
    """A folder of runs with one that is finished and one that was interrupted in its last stage."""
    home = tmp_path_factory.mktemp("home")
    for name, steps in (("done", None), ("half", 9)):
        running = runs.execute(recipe, home / name, report_images=1)
        list(itertools.islice(running, steps))
        running.close()
    return home


@pytest.fixture
def home(made, tmp_path, monkeypatch):
    monkeypatch.setenv("COCKTAIL_RUNS", str(tmp_path / "home"))
    return shutil.copytree(made, tmp_path / "home")


def says(capsys, *argv):
    assert main(["runs", *argv]) == 0
    return capsys.readouterr().out


def fails(capsys, *argv):
    assert main(argv) == 2
    return capsys.readouterr().err


# --- runs


def test_runs_are_listed_with_state_stage_progress_and_time_left(home, capsys):
    lines = [line.split() for line in says(capsys, "list").splitlines()]
    assert lines[0] == ["run", "state", "stage", "progress", "time", "left"]
    assert {line[0]: line[1] for line in lines[1:]} == {"done": "finished", "half": "interrupted"}
    assert any(line[2:5] == ["-", "100", "%"] for line in lines) and any("merging" in line for line in lines)
    found = {entry["name"]: entry for entry in json.loads(says(capsys, "list", "--json"))}
    assert found["done"]["progress"] == 1 and 0.4 < found["half"]["progress"] < 1
    assert [stage["images"] for stage in found["half"]["stages"]] == [24, 12]


def test_an_empty_home_has_no_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COCKTAIL_RUNS", str(tmp_path / "nowhere"))
    assert "no runs in" in says(capsys, "list") and json.loads(says(capsys, "list", "--json")) == []


def test_a_run_is_shown_by_its_name_or_its_path(home, capsys):
    text = says(capsys, "show", "half")
    assert "half: interrupted" in text and "rooting dog: done" in text and "merging: 12 of 24 pictures" in text
    assert "cat: embedded Frechet distance" in text
    assert says(capsys, "show", str(home / "half")) == text
    shown = json.loads(says(capsys, "show", "done", "--json"))
    assert shown["state"] == "finished" and set(shown["scores"]) == {"cat", "dog"}


def test_a_run_is_paused_cancelled_and_resumed_by_its_name(home, capsys, monkeypatch):
    launched = []
    monkeypatch.setattr(control, "_launch", lambda run: launched.append(run.name) or run)
    assert "asked to pause" in says(capsys, "pause", "half") and runs.read(home / "half").state == "paused"
    assert "asked to stop" in says(capsys, "cancel", "half") and runs.read(home / "half").state == "cancelled"
    assert "goes on" in says(capsys, "resume", "half") and runs.read(home / "half").state == "interrupted"
    assert "goes on" in says(capsys, "extend", "done", "0.008") and launched == ["half", "done"]
    assert runs.Run(home / "done").recipe().config.extra_kimg == (0.008,)


def test_a_run_is_branched_into_a_name_or_a_path(home, capsys, tmp_path):
    says(capsys, "branch", "half", "other")
    says(capsys, "branch", "half", str(tmp_path / "elsewhere"))
    for folder in (home / "other", tmp_path / "elsewhere"):
        assert runs.read(folder).current.images == 12


def test_a_run_is_deleted_after_a_question(home, capsys, monkeypatch):
    assert "--yes" in fails(capsys, "runs", "delete", "half")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda text: "n")
    assert "nothing is deleted" in says(capsys, "delete", "half") and (home / "half").exists()
    monkeypatch.setattr("builtins.input", lambda text: "y")
    assert "is deleted" in says(capsys, "delete", "half") and not (home / "half").exists()
    says(capsys, "delete", "done", "--yes")
    assert not (home / "done").exists()


@pytest.mark.parametrize(
    "argv, message",
    [
        (["show", "zebra"], "no run 'zebra'; known: "),
        (["delete", "{home}/..", "--yes"], "holds no run"),
        (["delete", "{home}", "--yes"], "Remove what is to go by hand"),
        (["delete", "", "--yes"], "no run ''"),
        (["pause", "done"], "is finished"),
        (["resume", "done"], "Extend it"),
        (["extend", "half", "-1"], "nothing to extend by"),
        (["extend", "half", "much"], "invalid float value"),
        (["branch", "half", "done"], "is not empty"),
        (["branch", "half", ".hidden"], "cannot name a run"),
        (["stir"], "invalid choice"),
        ([], "required: ACTION"),
    ],
)
def test_what_cannot_be_done_to_a_run_is_said_in_one_line(home, capsys, argv, message):
    (home / "recipe.yaml").write_text("a run around the home of runs would take all others with it")
    error = fails(capsys, "runs", *(text.format(home=home) for text in argv))
    assert message in error and error.count("\n") == 1
    assert (home / "half").exists() and (home / "done").exists()


# --- merge


@pytest.fixture
def written(recipe, tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe.to_yaml())
    return str(path)


def test_a_check_prints_what_was_found_and_what_it_will_take(written, tmp_path, capsys, monkeypatch):
    estimate = preflight.estimate
    monkeypatch.setattr(preflight, "estimate", lambda recipe, folder: estimate(recipe, 0.1, folder))
    assert main(["merge", written, "--check"]) == 0
    text = capsys.readouterr().out
    assert "cat: 8 px" in text and " of memory, " in text and "on disk" in text
    assert main(["merge", written, "--check", "--json", "--out", str(tmp_path / "run")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["estimate"]["rates"]["merge"] > 0 and not (tmp_path / "run").exists()


def test_a_check_fails_where_something_stands_in_the_way(recipe, tmp_path, capsys):
    broken = replace(recipe, sources=(recipe.sources[0], Source(str(tmp_path / "nowhere"))))
    (tmp_path / "recipe.yaml").write_text(broken.to_yaml())
    assert main(["merge", str(tmp_path / "recipe.yaml"), "--check"]) == 2
    printed = capsys.readouterr()
    assert "error" in printed.out and "nowhere" in printed.out and "1 error stands in the way" in printed.err


def test_a_merge_needs_a_folder(written, capsys):
    assert "required: --out" in fails(capsys, "merge", written)


def test_the_bar_says_that_a_run_waits(written, tmp_path, monkeypatch, capsys):
    said = []

    class Bar(tqdm.tqdm):
        def set_description_str(self, desc=None, refresh=True):
            said.append(desc)
            first.__exit__(None, None, None)  # and now the first one is done

    monkeypatch.setattr(tqdm, "tqdm", Bar)
    first = Queue("cpu").ticket(tmp_path / "first")
    first.__enter__()
    assert main(["merge", written, "--out", str(tmp_path / "run")]) == 0
    assert said == ["waiting for 1 run on this device"] and "cat, dog" in capsys.readouterr().out


def test_event_files_need_tensorboard_and_say_so(written, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert "pip install tensorboard" in fails(capsys, "merge", written, "--out", str(tmp_path / "run"), "--tensorboard")
    assert not (tmp_path / "run").exists()


class Writer:
    """What a SummaryWriter was told."""

    told: list = []

    def __init__(self, folder):
        self.told.clear()

    def add_scalar(self, tag, value, step, walltime):
        self.told.append((tag, step, value))

    def flush(self):
        pass

    close = flush


def test_event_files_hold_losses_and_scores_of_the_whole_run_once(written, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("cocktail.commands.events.summary_writer", lambda: Writer)
    argv = ["merge", written, "--out", str(tmp_path / "run"), "--tensorboard"]
    assert main(argv) == 0
    told = list(Writer.told)
    assert [step for tag, step, _ in told if tag == "losses/root/dog/g"] == [4, 8, 12, 16, 20, 24]
    assert [step for tag, step, _ in told if tag == "losses/merge/g"] == [28, 32, 36, 40, 44, 48]
    assert [step for tag, step, _ in told if tag == "scores/cat/frechet"] == [24, 48]
    assert main([*argv, "--resume"]) == 0 and Writer.told == told


def test_event_files_can_be_read_by_tensorboard(written, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert main(["merge", written, "--out", str(tmp_path / "run"), "--tensorboard"]) == 0
    found = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    found.Reload()
    assert len(found.Scalars("losses/merge/g")) == 6 and len(found.Scalars("scores/dog/frechet")) > 1
