"""Tiny networks and threads for the tests of training, merging and runs."""

import os

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # before the hub's library is imported: no test asks the real Hub
if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):  # and before torch is: workers share the cores
    threads = max(1, len(os.sched_getaffinity(0)) // int(workers)) if hasattr(os, "sched_getaffinity") else 1
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))

import torch

from cocktail import checkpoints
from cocktail.gan import Gan, new_gan
from cocktail.recipe import Source

NETWORKS = {
    "stylegan2": ({"z_dim": 8, "w_dim": 8, "mapping_layers": 2, "mapping_lr_multiplier": 0.1}, {"mapping_layers": 2}),
    "custom": ({"z_dim": 8, "embed_dim": 8}, {}),
}


@pytest.fixture(scope="session")
def tiny():
    """make(classes, seed, resolution, architecture, discriminator=False, **generator fields) -> a Gan that draws in
    milliseconds. Biases and noise strengths are as after training: at their initial zeros they could hide a mistake."""

    def make(classes=(), seed=0, resolution=8, architecture="stylegan2", discriminator=True, **fields) -> Gan:
        generator, judge = NETWORKS[architecture]
        sizes = {"channels": (8,) * (resolution.bit_length() - 2)}
        if architecture == "stylegan2":
            sizes["img_resolution"] = resolution
        gan = new_gan(architecture, generator | sizes | fields, judge | sizes, classes, seed)
        rng = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, value in gan.generator.state_dict().items():
                if name.endswith((".bias", "noise_strength", "w_avg", "class_w")):
                    value += 0.3 * torch.randn(value.shape, generator=rng)
        gan.generator.eval()
        return gan if discriminator else Gan(gan.generator, None, gan.classes)

    return make


@pytest.fixture(scope="session")
def pair(tiny, tmp_path_factory):
    """make(resolution) -> the sources of a merge, a cat and a dog, in a folder of their own."""

    def make(resolution=8) -> tuple[Source, Source]:
        folder = tmp_path_factory.mktemp("sources")
        for seed, name in enumerate(("cat", "dog")):
            checkpoints.save(tiny(seed=seed, resolution=resolution), folder / name)
        return Source(str(folder / "cat")), Source(str(folder / "dog"))

    return make


@pytest.fixture
def torch_file(tmp_path):
    """torch_file(object) -> the path of a file of torch.save with a name that tells nothing."""

    def make(stored, legacy=False):
        torch.save(stored, tmp_path / "cats", _use_new_zipfile_serialization=not legacy)
        return tmp_path / "cats"

    return make


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A stand-in Hub, and an empty cache; nobody is signed in."""
    from tests import hub_server

    with hub_server.running() as server:
        yield server.instead_of_the_real_one(tmp_path, monkeypatch)


@pytest.fixture(autouse=True)
def _threads():
    """Runs set torch's thread count; a test must not leave it to the next one."""
    threads = torch.get_num_threads()
    yield
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


@pytest.fixture(scope="session", autouse=True)
def _own_runs(tmp_path_factory):
    """What the tests run and import, in other processes too, neither waits for what this machine trains nor is listed
    with it."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("own")
        for name in ("queue", "runs", "models"):
            patch.setenv(f"COCKTAIL_{name.upper()}", str(folder / name))
        yield folder


@pytest.fixture(autouse=True)
def _own_queue(_own_runs, request, monkeypatch):
    """Nor do they wait for a run that a test which failed has left open."""
    monkeypatch.setenv("COCKTAIL_QUEUE", str(_own_runs / f"queue-{id(request.node)}"))
