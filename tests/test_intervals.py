"""Intervals by half-samples: how often they hold what they should, on Gaussians whose distance is known."""

import math

import pytest
import torch

from cocktail.errors import CocktailError
from cocktail.metrics import frechet_distance, half_samples
from cocktail.metrics.comparison import Measured, compare
from cocktail.metrics.intervals import HalfSamples
from cocktail.metrics.scores import gaussian_distance


def normal(n, dim, rng):
    return torch.randn(n, dim, generator=rng, dtype=torch.float64)


def mean_of_first(a, b):
    return {"mean": a[:, 0].mean().item() - b[:, 0].mean().item()}


def test_the_deviation_of_a_mean_is_its_standard_error():
    rng = torch.Generator().manual_seed(0)
    a, b = 3 * normal(900, 1, rng), normal(400, 1, rng)
    found = half_samples(mean_of_first, a, b, rounds=400)
    expected = math.sqrt(a.var().item() / 900 + b.var().item() / 400)
    assert found.deviation["mean"] == pytest.approx(expected, rel=0.1)
    value = mean_of_first(a, b)["mean"]
    assert found.mean["mean"] == pytest.approx(value, abs=1e-9), "the halves are all of the vectors"
    assert found.corrected("mean", value) == pytest.approx(value, abs=1e-9), "a mean has no bias"


def test_classes_are_halved_one_by_one():
    rng = torch.Generator().manual_seed(0)
    far = torch.cat([normal(100, 1, rng), normal(100, 1, rng) + 1000])
    mixed, apart = (half_samples(mean_of_first, far, far, 50, blocks=b).deviation["mean"] for b in (None, [100, 100]))
    assert apart == pytest.approx(math.sqrt(2 / 200), rel=0.25) and mixed > 100 * apart


@pytest.mark.parametrize("shift, scale", [(0.0, 1.0), (0.3, 1.0), (1.0, 1.2)])
def test_the_corrected_interval_holds_the_known_distance_and_the_plain_one_the_expected_score(shift, scale):
    # Nominal 95 %. Over more trials, dimensions and sizes: 0.90 to 1.0 (most where both sides are alike).
    dim, n, trials, rng = 16, 200, 80, torch.Generator().manual_seed(0)
    spread = torch.linspace(0, -2, dim).exp().double()
    mean = torch.zeros(dim, dtype=torch.float64)
    moved = mean.clone()
    moved[0] = shift
    known = gaussian_distance(moved, torch.diag((scale * spread) ** 2), mean, torch.diag(spread**2))
    held, values, intervals = 0, [], []
    for trial in range(trials):
        a, b = scale * spread * normal(n, dim, rng) + moved, spread * normal(n, dim, rng)
        halves = half_samples(lambda x, y: {"frechet": frechet_distance(x, y)}, a, b, seed=trial)
        values.append(frechet_distance(a, b))
        low, high = halves.interval("frechet", halves.corrected("frechet", values[-1]))
        held += low <= known <= high
        intervals.append(halves.interval("frechet", values[-1]))
    expected = sum(values) / trials
    assert expected > known + 0.05, "the plain score is biased"
    assert held / trials > 0.87
    assert sum(low <= expected <= high for low, high in intervals) / trials > 0.87
    width = sum(high - low for low, high in intervals) / trials
    assert width < 2 * 1.6 * 2.18 * torch.tensor(values).std(), "not much wider than need be"


@pytest.mark.parametrize("n, known", [(31, False), (32, True)])
def test_the_distance_itself_is_told_only_where_halves_have_as_many_vectors_as_dimensions(n, known):
    rng = torch.Generator().manual_seed(0)
    scores = compare(*(Measured(normal(n, 16, rng), None, None) for _ in range(3)), intervals=True)
    assert ("frechet_corrected" in scores.intervals) == (scores.frechet_corrected is not None) == known
    assert "frechet" in scores.intervals


def test_intervals_of_a_union_do_not_count_the_chance_of_unequal_classes():
    rng, far = torch.Generator().manual_seed(0), torch.tensor([100.0] + [0.0] * 3)

    def width(blocks):
        parts = (torch.cat([normal(100, 4, rng), normal(100, 4, rng) + far]) for _ in range(3))
        found = compare(*(Measured(part, None, None, blocks=blocks) for part in parts), intervals=True)
        low, high = found.intervals["frechet_corrected"]
        return high - low

    assert width(2) < 0.5 * width(1)


def test_the_interval_of_precision_holds_its_expectation():
    rng, values, intervals = torch.Generator().manual_seed(0), [], []
    for trial in range(40):
        sides = (Measured(x, None, None) for x in (1.3 * normal(150, 6, rng), normal(150, 6, rng), normal(9, 6, rng)))
        scores = compare(*sides, intervals=True, seed=trial)
        values.append([getattr(scores, name) for name in scores.intervals])
        intervals.append(list(scores.intervals.values()))
    names, expected = list(scores.intervals), torch.tensor(values).mean(0)
    held = [[low <= e <= high for (low, high), e in zip(row, expected)] for row in intervals]
    for name, share in zip(names, torch.tensor(held).double().mean(0)):
        assert share >= 0.85, name


def test_a_share_at_the_edge_has_an_interval_all_the_same():
    never = HalfSamples({"recall": 1.0}, {"recall": 0.0}, 12)
    low, high = never.share("recall", 1.0, 1000)
    assert high == 1 and low == pytest.approx(1 - 3.84 / 1003.84, abs=1e-5)  # Wilson 1927
    low, high = never.share("recall", 0.0, 1000)
    assert low == 0 and high == pytest.approx(3.84 / 1003.84, abs=1e-5)


def test_student_widens_the_interval_of_few_rounds():
    found = HalfSamples({"x": 0.0}, {"x": 1.0}, 12)
    assert found.interval("x", 5.0) == pytest.approx((5 - 2.1788, 5 + 2.1788), abs=1e-4)
    assert found.interval("x", 1.0, least=0.0, most=2.0) == (0, 2)


@pytest.mark.parametrize("n, rounds, blocks", [(3, 12, None), (10, 0, None), (10, 12, [4, 4])])
def test_what_cannot_be_halved_is_refused(n, rounds, blocks):
    with pytest.raises(CocktailError, match="expected 4 vectors or more"):
        half_samples(mean_of_first, torch.zeros(n, 1), torch.zeros(10, 1), rounds, blocks=blocks)
