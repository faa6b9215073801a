"""Several processes train what one does: rows, random numbers, gradients; two real processes against one."""

import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cocktail import checkpoints, ops, parallel
from cocktail.errors import CocktailError
from cocktail.networks.layers import MinibatchStd
from cocktail.parallel import RowsRng, Team
from cocktail.sources import DomainSource, GanSource, MixtureSource, of_rows
from cocktail.training import TrainConfig, finetune
from tests import parallel_worker as worker

ROOT = Path(__file__).parents[1]
needs_accelerate = pytest.mark.skipif(
    importlib.util.find_spec("accelerate") is None, reason="several processes need Accelerate"
)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def teams(size):
    return [Team(rank, size) for rank in range(size)]


# --- who takes what


@pytest.mark.parametrize(
    "n, limit, size", [(8, 4, 2), (32, 4, 8), (24, 4, 3), (6, 4, 2), (12, 3, 4), (5, 1, 5), (16, 16, 1)]
)
def test_rows_are_each_taken_once_and_equally_many_by_every_process(n, limit, size):
    rows = [team.rows(n, limit) for team in teams(size)]
    assert {len(part) for part in rows} == {n // size}
    assert torch.cat(rows).sort().values.tolist() == list(range(n))


@pytest.mark.parametrize("n, limit, size", [(8, 4, 2), (32, 4, 4), (24, 4, 3), (6, 4, 2), (12, 3, 4), (8, 1, 2)])
def test_a_process_finds_in_its_rows_the_standard_deviations_of_the_whole_batch(n, limit, size):
    layer, x = MinibatchStd(limit, parts=2), torch.randn(n, 4, 3, 3, generator=rng())
    whole = layer(x)
    for team in teams(size):
        rows = team.rows(n, limit)
        assert torch.allclose(layer(x[rows]), whole[rows], atol=1e-6)


@pytest.mark.parametrize(
    "n, limit, size, advice", [(8, 4, 4, "16"), (12, 4, 2, "8 or 16"), (30, 4, 4, "16 or 32"), (3, 1, 2, "2 or 4")]
)
def test_a_batch_that_cannot_be_shared_is_refused_with_one_that_can(n, limit, size, advice):
    with pytest.raises(CocktailError, match=f"{size} processes cannot share {n} pictures.*{advice} would do"):
        Team(0, size).rows(n, limit)
    for number in advice.split(" or "):
        assert ops.group_size(int(number), limit) == limit
        Team(0, size).rows(int(number), limit)


@pytest.mark.parametrize(
    "config", [TrainConfig(batch=12, total_kimg=0.1), TrainConfig(batch=6, pl_weight=1.0, total_kimg=0.1)]
)
def test_training_refuses_a_batch_that_cannot_be_shared_before_the_first_step(tiny, monkeypatch, config):
    monkeypatch.setattr(parallel, "_current", Team(0, 2))
    with pytest.raises(CocktailError, match="2 processes cannot share"):
        next(finetune(tiny(), GanSource(tiny()), config))


@pytest.mark.parametrize("n, size", [(7, 2), (8, 3), (2, 3), (0, 2), (5, 1)])
def test_shares_of_independent_things_lie_side_by_side_and_differ_by_one_at_most(n, size):
    shares = [team.share(n) for team in teams(size)]
    assert [index for share in shares for index in share] == list(range(n))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


# --- the same random numbers


def test_rows_get_the_random_numbers_of_the_whole_batch():
    whole, rows = parallel.randn(rng(3), 6, 2, 5), torch.tensor([4, 1])
    assert torch.equal(parallel.randn(RowsRng(rng(3), 6, rows), 2, 2, 5), whole[rows])


def test_pictures_of_rows_have_the_noise_of_the_whole_batch(tiny):
    generator = tiny().generator
    with torch.no_grad():
        ws, rows = generator.map(torch.randn(8, 8, generator=rng()), None), Team(1, 2).rows(8, 4)
        whole = generator.synthesize(ws, "random", rng(1))
        mine = generator.synthesize(ws[rows], "random", RowsRng(rng(1), 8, rows))
    assert torch.allclose(mine, whole[rows], atol=1e-5)


def test_sources_draw_all_random_numbers_and_the_pictures_of_the_rows_alone(tiny):
    gans = [GanSource(tiny(seed=i), names=(name,)) for i, name in enumerate(("cat", "dog", "car"))]
    drawn = DomainSource(("cat", "dog", "car"), 16, pool=16, z_dim=16, contrasts=("yaw",))
    labels = torch.tensor([0, 1, 1, 0, 2, 1])
    for rows in (torch.tensor([1, 5]), torch.tensor([4, 0, 2]), torch.arange(6)):  # the first: none of cats or cars
        for source in (MixtureSource(gans), drawn, MixtureSource([drawn])):
            whole = source.sample_class(labels, rng(1))
            first, second = rng(1), rng(1)
            assert torch.allclose(source.sample_class(labels, first, rows), whole[rows], atol=1e-5)
            source.sample_class(labels, second)
            assert torch.equal(first.get_state(), second.get_state())
        pairs = zip(drawn.sample_pairs(labels, rng(2), rows), drawn.sample_pairs(labels, rng(2)), strict=True)
        assert all(torch.equal(mine, whole[rows]) for mine, whole in pairs)
        lines, both = torch.zeros_like(labels), torch.cat([rows, rows + 6])
        part, whole = (drawn.sample_contrasts(labels, lines, rng(2), r) for r in (rows, None))
        assert all(torch.equal(mine, every[both]) for mine, every in zip(part, whole, strict=True))
    assert torch.equal(of_rows(labels, None), labels)


# --- one process alone


def test_one_process_is_a_team_that_sends_nothing_and_needs_no_accelerate(monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    for count in (None, "1"):
        monkeypatch.setenv("WORLD_SIZE", count) if count else monkeypatch.delenv("WORLD_SIZE", raising=False)
        with parallel.joined("cpu") as team:
            x = torch.tensor([1.0, 2.0])
            team.mean_([x])
            team.barrier()
            assert team.main and team.size == 1 and not torch.distributed.is_initialized()
            assert team.gather(x, 2) is x and team.agree(True) and not team.agree(False) and team.same("a") == "a"
            part = team.part(2, 4)
            assert part.take(x) is x and part.gather(x) is x and part.asked == () and len(part) == 2


def test_several_processes_without_accelerate_are_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(CocktailError, match="pip install accelerate"), parallel.joined():
        pass
    assert parallel.current() == parallel.ALONE


def test_accelerate_with_the_cpu_option_is_told_that_it_starts_one_process(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    for name, value in (("ACCELERATE_USE_CPU", "True"), ("MASTER_ADDR", "127.0.0.1")):
        monkeypatch.setenv(name, value)
    with pytest.raises(CocktailError, match="starts one process only.*--multi_gpu"), parallel.joined():
        pass


# --- two processes


def environment(**more):
    """The environment of a machine without GPU, one thread for each process, and nothing left of another launcher."""
    kept = {name: value for name, value in os.environ.items() if name not in ("RANK", "LOCAL_RANK", "WORLD_SIZE")}
    return kept | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)} | more


def results(folder, mode, started):
    """What two processes have left, once those that were started have ended well."""
    outputs = [process.communicate(timeout=120)[0] for process in started]
    assert not any(process.returncode for process in started), "\n".join(outputs)
    return [torch.load(folder / f"{mode}-2-{rank}.pt") for rank in (0, 1)]


def start(command, **more):
    return subprocess.Popen([sys.executable, "-m", *command], env=environment(**more), cwd=ROOT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip


def by_environment(folder, mode):
    """Two processes that find each other by what `torchrun` puts into the environment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = str(found.getsockname()[1])
    names = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    command = ["tests.parallel_worker", str(folder), mode]
    return results(folder, mode, [start(command, **names, RANK=rank, LOCAL_RANK=rank) for rank in ("0", "1")])


LAUNCH = ["accelerate.commands.launch", "--num_machines=1", "--num_processes=2", "--mixed_precision=no",
          "--dynamo_backend=no", "--main_process_port=0"]  # fmt: skip


def by_accelerate(folder, mode):
    """Two processes that `accelerate launch` starts; there is no GPU, and none is needed."""
    command = [*LAUNCH, "--multi_gpu", "--module", "tests.parallel_worker", str(folder), mode]
    return results(folder, mode, [start(command)])


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("team")
    options = {"resolution": 16, "z_dim": 16, "class_w_gain": 1.0, "class_centers": True}
    checkpoints.save(tiny(("cat", "dog"), **options), folder / "student")
    for seed, name in enumerate(("cat", "dog"), start=1):
        checkpoints.save(tiny(seed=seed, resolution=16, z_dim=16), folder / name)
    return folder


@pytest.fixture(scope="module")
def alone(folder):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = worker.perform("whole", folder)
    torch.set_num_threads(threads)
    return found


@pytest.fixture(scope="module")
def both(folder):
    return by_environment(folder, "whole")


CASES = [f"{case} {precision}" for precision in ("float32", "float64") for case in worker.CASES]
CASES.remove("growing float64")


def differences(a, b):
    """Largest absolute difference of each floating-point tensor."""
    assert a.keys() == b.keys()
    return {
        name: (a[name] - b[name]).abs().max().item() for name in a if a[name].is_floating_point() and a[name].numel()
    }


@pytest.mark.slow
@needs_accelerate
@pytest.mark.parametrize("case", CASES)
def test_two_processes_come_to_the_same_weights_as_one(alone, both, case):
    one, two = alone[case], both[0][case]
    found = differences(one["state"], two["state"])
    # In float32 Adam turns the last bit of a gradient near 0 into a step: 2e-5 was seen, a few steps are possible.
    assert len(found) > 50 and max(found.values()) < (1e-9 if case.endswith("float64") else 1e-2), found
    assert torch.equal(one["state"]["rng"], two["state"]["rng"])
    for (images, losses), (expected_images, expected) in zip(two["reports"], one["reports"], strict=True):
        assert images == expected_images and losses == pytest.approx(expected, rel=1e-3, abs=1e-4)


@pytest.mark.slow
@needs_accelerate
@pytest.mark.parametrize("case", CASES)
def test_both_processes_have_the_same_state_to_the_bit(both, case):
    first, second = (found[case] for found in both)
    assert first["reports"] == second["reports"]
    assert [name for name, value in first["state"].items() if not torch.equal(value, second["state"][name])] == []


@pytest.mark.slow
@needs_accelerate
def test_two_processes_go_on_to_the_bit_from_what_the_main_one_saved(folder, both):
    for found, whole in zip(by_accelerate(folder, "resume"), both, strict=True):
        for case in CASES[: len(worker.CASES)]:
            state = whole[case]["state"]
            assert [n for n, value in found[case]["state"].items() if not torch.equal(value, state[n])] == [], case
            assert found[case]["reports"] == whole[case]["reports"][worker.SAVED :]


@pytest.mark.slow
@needs_accelerate
def test_processes_tell_each_other_what_they_have(both):
    for found in both:
        team = found["team"]
        assert team["gathered"].tolist() == [0, 10, 20, 30, 40, 50, 60]
        assert team["stopped"].startswith("training stopped at image 0: the generator's gradient is not finite")
        assert team["agreed"] == [True, False] and team["same"] == {"rank": 0} and team["neighbours"] == 2
