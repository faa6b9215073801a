"""Scores against torch-fidelity's, which were computed once (tests/torch_fidelity.json): 1e-3 relative or better."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cocktail.metrics import frechet_distance, kernel_distance, kernel_mmd, precision_recall
from cocktail.metrics.scores import FeatureStatistics

STORED = json.loads(Path(__file__).with_name("torch_fidelity.json").read_text(encoding="utf-8"))
CASES = [pytest.param(case, id=f"{case['n']}x{case['dim']}") for case in STORED["cases"]]


def features(case):
    """Real and fake features float64 [n, dim] from the seed, as they were when torch-fidelity saw them."""
    n, dim, rng = case["n"], case["dim"], np.random.RandomState(case["seed"])
    mix = rng.randn(dim, dim) / dim**0.5
    real = rng.randn(n, dim) @ mix
    fake = (case["scale"] * rng.randn(n, dim)) @ mix + case["shift"] * rng.randn(dim)
    return torch.from_numpy(real), torch.from_numpy(fake)


@pytest.mark.parametrize("case", CASES)
def test_the_frechet_distance_is_torch_fidelitys(case):
    real, fake = features(case)
    assert frechet_distance(fake, real) == pytest.approx(case["fid"], rel=1e-6)
    sides = [FeatureStatistics() for _ in range(2)]
    for side, found in zip(sides, (fake, real)):
        for part in found.split(77):
            side.add(part)
    assert sides[0].frechet_distance(sides[1]) == pytest.approx(case["fid"], rel=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_kernel_distances_are_torch_fidelitys(case):
    real, fake = features(case)
    assert kernel_distance(fake, real) == (pytest.approx(case["kid"], rel=1e-6), 0)
    assert kernel_mmd(fake, real, bandwidth=4.0) == pytest.approx(case["mmd_bandwidth_4"], rel=1e-6)
    # The subsets are others: the mean of 100 deviates by a tenth of their deviation, which is known to 7 %.
    mean, deviation = kernel_distance(fake, real, subsets=100, size=case["n"] // 2)
    assert abs(mean - case["kid_100_halves_mean"]) < 0.4 * case["kid_100_halves_std"]
    assert deviation == pytest.approx(case["kid_100_halves_std"], rel=0.25)


@pytest.mark.parametrize("k", [3, 5])
@pytest.mark.parametrize("case", CASES)
def test_precision_and_recall_are_torch_fidelitys(case, k):
    real, fake = features(case)
    expected = case[f"precision_{k}"], case[f"recall_{k}"]
    assert precision_recall(real, fake, k) == pytest.approx(expected, rel=1e-6)
