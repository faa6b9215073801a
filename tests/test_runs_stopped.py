"""Runs that are asked to stop, wait for each other, or are begun twice: nothing is lost, and nobody waits long."""

import os
import signal
import threading
import time
from dataclasses import replace

import pytest

from cocktail import checkpoints, runs
from cocktail.__main__ import main
from cocktail.errors import CocktailError
from cocktail.methods import alignment, cocktail
from cocktail.recipe import Recipe
from cocktail.runs import context, control, saving, stopping
from cocktail.runs.queue import Queue
from cocktail.sources import MixtureSource
from cocktail.training import TrainConfig
from cocktail.warmstart import WarmStartConfig
from tests import forked

SOON_SEC = 4.5  # for a step that takes too long; on a busy machine
ENDLESS = TrainConfig(total_kimg=1000.0, batch=4, pl_weight=0.0)
SHORT = replace(ENDLESS, total_kimg=0.008)


@pytest.fixture(scope="module")
def sources(pair):
    return pair()


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr(context, "REPORTS", 10**5)  # in an endless stage, too


@pytest.fixture
def queue(tmp_path, monkeypatch):
    monkeypatch.setenv("COCKTAIL_QUEUE", str(tmp_path / "queue"))


def recipe(sources, root=ENDLESS, merge=ENDLESS, **config):
    return Recipe(sources, seed=5, threads=1, config=cocktail.CocktailConfig(root, merge, **config))


@pytest.fixture
def begin(tmp_path, queue):
    """begin(recipe, name) -> (run, process): the command `merge --resume`, ended at the test's end at the latest."""
    begun = []

    def make(made, name="run"):
        path = tmp_path / f"{name}.yaml"
        path.write_text(made.to_yaml())
        argv = ["merge", str(path), "--out", str(tmp_path / name), "--resume"]
        pid = forked.start(lambda: main(argv), tmp_path / f"{name}.txt")
        begun.append(pid)
        return runs.Run(tmp_path / name), pid

    yield make
    for pid in begun:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except OSError:  # it ended, as it should
            pass


def said(run):
    return run.folder.with_suffix(".txt").read_text()


def reports(run):
    return [entry["images"] for entry in run.entries() if "losses" in entry]


def trains(run):
    forked.until(lambda: reports(run))


def end(pid, number=signal.SIGTERM):
    """Asks a process to stop: its exit code, and how many seconds that took."""
    started = time.monotonic()
    os.kill(pid, number)
    return forked.ended(pid), time.monotonic() - started


def stuck(*args, **options):
    (runs.home().parent / "stuck").touch()
    time.sleep(60)


@pytest.fixture
def is_stuck(tmp_path, monkeypatch):
    monkeypatch.setenv("COCKTAIL_RUNS", str(tmp_path / "runs"))
    return lambda: forked.until((tmp_path / "stuck").exists)


# --- signals


def test_sigterm_saves_and_says_how_to_go_on(begin, sources):
    run, pid = begin(recipe(sources))
    trains(run)
    code, sec = end(pid)
    assert code == 0 and sec < SOON_SEC, said(run)
    assert f"stopped; the run's state is kept. Go on with: --out {run.folder} --resume" in said(run)
    status = runs.read(run.folder)
    assert status.state == "stopped" and not (run.folder / "process.json").exists()
    assert saving.stage_of(run) == "root/dog" and checkpoints.load(run.latest).classes == ("cat", "dog")
    print(f"SIGTERM: {sec:.2f} s")


@pytest.mark.slow
def test_what_was_trained_before_sigterm_is_not_trained_again(begin, sources):
    run, pid = begin(recipe(sources))
    trains(run)
    end(pid)
    before = reports(run)
    again, pid = begin(recipe(sources))
    forked.until(lambda: len(reports(again)) > len(before))
    end(pid)
    assert reports(again)[: len(before)] == before and len(set(reports(again))) == len(reports(again))


def test_a_step_that_takes_too_long_is_broken_off(begin, sources, monkeypatch, is_stuck):
    monkeypatch.setattr(MixtureSource, "sample_class", stuck)
    run, pid = begin(recipe(sources, SHORT))
    is_stuck()
    code, sec = end(pid)
    assert code == 0 and sec < SOON_SEC and "stopped" in said(run)
    assert (run.folder / "stages" / "root" / "dog").is_dir() and runs.read(run.folder).state == "stopped"


@pytest.mark.slow
def test_the_search_for_latents_is_broken_off(begin, sources, monkeypatch, is_stuck):
    monkeypatch.setattr(stopping, "PATIENCE_SEC", 0.3)
    monkeypatch.setattr(alignment, "align", stuck)
    fit = WarmStartConfig(stage_kimg=(1.0,), batch=4)
    run, pid = begin(recipe(sources, SHORT, align=True, warm=fit))
    is_stuck()
    code, sec = end(pid)
    assert code == 0 and sec < SOON_SEC and runs.read(run.folder).state == "stopped"


@pytest.mark.slow
def test_no_method_takes_the_wish_to_stop_for_an_answer(begin, sources, monkeypatch, is_stuck):
    """What cannot be measured is noted as such, and being asked to stop is not that."""
    monkeypatch.setattr(stopping, "PATIENCE_SEC", 0.3)
    monkeypatch.setattr(cocktail, "weight_distance", stuck)
    run, pid = begin(recipe(sources, SHORT))
    is_stuck()
    code, sec = end(pid)
    assert code == 0 and sec < SOON_SEC and not [entry for entry in run.entries() if "note" in entry]


@pytest.mark.slow
def test_what_is_being_saved_is_not_broken_off(begin, sources, monkeypatch, is_stuck):
    def slowly(*args):
        (runs.home().parent / "stuck").touch()
        time.sleep(1)
        saving_save(*args)

    monkeypatch.setattr(stopping, "PATIENCE_SEC", 0.3)
    saving_save = saving.save
    monkeypatch.setattr(saving, "save", slowly)
    monkeypatch.setattr(context, "SAVE_SEC", 0.0)
    run, pid = begin(recipe(sources))
    is_stuck()
    os.kill(pid, signal.SIGTERM)
    code, _ = end(pid)
    assert code == 0 and saving.stage_of(run) == "root/dog"


@pytest.mark.slow
def test_ctrl_c_is_a_request_and_a_second_one_does_not_wait(begin, sources, monkeypatch, is_stuck):
    run, pid = begin(recipe(sources))
    trains(run)
    assert end(pid, signal.SIGINT)[0] == 0 and runs.read(run.folder).state == "stopped"
    monkeypatch.setattr(MixtureSource, "sample_class", stuck)
    again, pid = begin(recipe(sources, SHORT), "again")
    is_stuck()
    os.kill(pid, signal.SIGINT)
    time.sleep(0.2)
    code, sec = end(pid, signal.SIGINT)
    assert code == 130 and sec < 1.5 and "stopped" in said(again)


# --- files


@pytest.mark.parametrize("ask, state", [(runs.cancel, "cancelled"), (runs.pause, "paused")])
def test_a_run_is_cancelled_or_paused_within_three_seconds(begin, sources, ask, state):
    run, pid = begin(recipe(sources))
    trains(run)
    assert runs.read(run.folder).state == "running"
    started = time.monotonic()
    ask(run)
    assert runs.read(run.folder).state in ("stopping", state)
    assert forked.ended(pid) == 0
    sec = time.monotonic() - started
    assert sec < 3 and f"{state}; the run's state is kept" in said(run)
    assert runs.read(run.folder).state == state and saving.stage_of(run) == "root/dog"
    print(f"{state}: {sec:.2f} s")


@pytest.mark.slow
def test_a_run_that_was_cancelled_goes_on_when_asked_to(begin, sources):
    run, pid = begin(recipe(sources))
    trains(run)
    runs.cancel(run)
    forked.ended(pid)
    before = len(reports(run))
    run, pid = begin(recipe(sources))
    forked.until(lambda: len(reports(run)) > before)
    assert runs.read(run.folder).state == "running"
    end(pid)


def test_a_run_that_is_cancelled_before_it_has_begun_does_not_begin(sources, tmp_path, queue, monkeypatch):
    """Its process was started and has not loaded anything yet."""
    run = runs.Run(tmp_path / "run")

    def launched(command, **options):
        class Process:
            pid = forked.start(lambda: (time.sleep(0.7), main(command[3:]))[1], tmp_path / "run.txt")

            def wait(self):
                assert forked.ended(self.pid) == 0

        return Process()

    monkeypatch.setattr(control.subprocess, "Popen", launched)
    runs.start(recipe(sources), run.folder)
    assert runs.read(run.folder).state == "starting"
    with pytest.raises(CocktailError, match="is starting already"):
        runs.resume(run)
    with pytest.raises(CocktailError, match="at work"):
        runs.delete(run)
    started = time.monotonic()
    runs.cancel(run)
    assert runs.read(run.folder).state == "stopping"
    forked.until(lambda: runs.read(run.folder).state == "cancelled")
    assert time.monotonic() - started < 8 and reports(run) == []  # most of which it takes to load


def test_a_run_in_a_thread_minds_the_files_too(sources, tmp_path, queue):
    found = []

    def work():
        try:
            for _ in runs.execute(recipe(sources), tmp_path / "run"):
                pass
        except runs.Stopped as stopped:
            found.append(str(stopped))

    thread = threading.Thread(target=work)
    thread.start()
    run = runs.Run(tmp_path / "run")
    trains(run)
    runs.pause(run)
    thread.join(timeout=10)
    assert len(found) == 1 and "paused" in found[0] and runs.read(run.folder).state == "paused"


# --- two at a time


def test_a_folder_that_is_being_worked_on_is_refused(begin, sources):
    run, pid = begin(recipe(sources))
    trains(run)
    with pytest.raises(CocktailError, match=r"is being worked on by another process\. Wait for it, or cancel it"):
        next(runs.execute(recipe(sources), run.folder, resume=True))
    for refused in (runs.delete, runs.resume, lambda run: runs.extend(run, 1.0)):
        with pytest.raises(CocktailError, match="at work|already"):
            refused(run)
    assert run.alive() and (run.folder / "process.json").exists() and runs.read(run.folder).state == "running"
    assert not [entry for entry in run.entries() if "failed" in entry]
    end(pid)


def test_lookers_do_not_take_each_other_for_a_process(sources, tmp_path, queue):
    run = runs.Run(tmp_path / "run")
    steps = runs.execute(recipe(sources), run.folder)
    next(steps)
    steps.close()
    seen = set()

    def look():
        seen.update(run.alive() for _ in range(300))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {False}
    next(runs.execute(recipe(sources), run.folder, resume=True))


@pytest.mark.slow
def test_runs_take_turns_in_the_order_in_which_they_came(begin, sources):
    first, blocker = begin(recipe(sources), "first")
    trains(first)
    others = []
    for name in ("second", "third"):
        others.append(begin(recipe(sources, SHORT, SHORT), name))
        forked.until(lambda: len(runs.waiting("cpu")) == len(others) + 1)
    (second, two), (third, three) = others
    assert runs.waiting("cpu") == [run.folder.resolve() for run in (first, second, third)]
    status = runs.read(third.folder)
    assert status.state == "waiting" and [path.name for path in status.ahead] == ["first", "second"]
    assert runs.read(first.folder).state == "running"
    os.kill(blocker, signal.SIGKILL)  # it leaves its ticket behind
    assert forked.ended(blocker) == -signal.SIGKILL
    assert forked.ended(two) == 0 and forked.ended(three) == 0
    begun = [next(e["time"] for e in run.entries() if "session" in e) for run in (second, third)]
    done = [next(e["time"] for e in run.entries() if "finished" in e) for run in (second, third)]
    assert begun[0] < done[0] <= begun[1] < done[1]
    assert runs.waiting("cpu") == [] and runs.read(first.folder).state == "interrupted"


@pytest.mark.slow
def test_a_run_that_waits_stops_when_asked(begin, sources):
    first, blocker = begin(recipe(sources), "first")
    trains(first)
    for name, stop in (("a", signal.SIGTERM), ("b", None)):
        run, pid = begin(recipe(sources), name)
        forked.until((run.folder / "recipe.yaml").exists)
        forked.until(lambda run=run: runs.read(run.folder).state == "waiting")
        started = time.monotonic()
        if stop:
            os.kill(pid, stop)
        else:
            runs.cancel(run)
        assert forked.ended(pid) == 0 and time.monotonic() - started < 3
        assert runs.read(run.folder).state == ("stopped" if stop else "cancelled")
    assert runs.waiting("cpu") == [first.folder.resolve()]
    end(blocker)


def test_a_ticket_whose_process_is_dead_is_swept_and_a_new_one_is_not(tmp_path, queue):
    here = Queue("cpu")
    with here.ticket(tmp_path / "a") as ticket:
        (here.folder / "0.ticket").write_text(str(tmp_path / "dead"))
        assert ticket.ahead() == [] and here.living() == [(ticket.number, tmp_path / "a")]
        assert not (here.folder / "0.ticket").exists()
        with here.ticket(tmp_path / "b") as later:
            assert later.ahead() == [tmp_path / "a"] and later.number > ticket.number
    assert here.living() == [] and not list(here.folder.glob("*.ticket"))
    assert Queue("cuda").folder == Queue("cuda:0").folder != Queue("cuda:1").folder


def test_a_queue_that_cannot_be_used_says_what_to_do(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COCKTAIL_QUEUE", str(tmp_path / "file"))
    with pytest.raises(CocktailError, match=r"the queue of runs .* COCKTAIL_QUEUE"), Queue("cpu").ticket(tmp_path):
        pass
    assert runs.listed(tmp_path) == []
