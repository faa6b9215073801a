"""Precision, recall, density and coverage against scikit-learn's neighbours; statistics that come in batches."""

import pytest
import torch
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors

from cocktail.errors import CocktailError
from cocktail.metrics import density_coverage, distances, frechet_distance, precision_recall
from cocktail.metrics.scores import FeatureStatistics, covariance


def normal(n, dim, seed=0):
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def of_scikit_learn(real, fake, k):
    """Kynkaanniemi et al. 2019 and Naeem et al. 2020 in scikit-learn's words."""

    def radii(x):
        return NearestNeighbors(n_neighbors=k + 1).fit(x).kneighbors(x)[0][:, k]

    gaps = pairwise_distances(real, fake)
    in_real, in_fake = gaps <= radii(real)[:, None], gaps <= radii(fake)
    return in_real.any(0).mean(), in_fake.any(1).mean(), in_real.sum() / (k * len(fake)), in_real.any(1).mean()


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("scale, shift", [(1.0, 0.0), (0.6, 0.3), (2.0, 1.0)])
def test_neighbourhoods_agree_with_scikit_learn(k, scale, shift):
    real, fake = normal(160, 6) + 50, scale * normal(120, 6, 1) + shift + 50
    precision, recall, density, coverage = of_scikit_learn(real, fake, k)
    assert precision_recall(real, fake, k) == pytest.approx((precision, recall), rel=1e-12)
    assert density_coverage(real, fake, k) == pytest.approx((density, coverage), rel=1e-12)


def test_neighbourhoods_are_the_same_in_small_pieces(monkeypatch):
    real, fake = normal(150, 3), normal(130, 3, 1) * 1.5
    whole = precision_recall(real, fake) + density_coverage(real, fake)
    monkeypatch.setattr(distances, "ENTRIES", 1000)
    assert precision_recall(real, fake) + density_coverage(real, fake) == whole


def test_a_distance_matrix_is_never_whole(monkeypatch):
    seen = []

    def squared(a, b):
        seen.append(len(a) * len(b))
        return distances.squared(a, b)

    monkeypatch.setattr("cocktail.metrics.scores.squared", squared)
    monkeypatch.setattr(distances, "ENTRIES", 5000)
    precision_recall(normal(400, 2), normal(300, 2, 1))
    assert max(seen) <= 5000 and sum(seen) == 400**2 + 300**2 + 400 * 300


def test_density_counts_balls_and_coverage_counts_reals():
    real = torch.tensor([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    fake = torch.tensor([[1.0]] * 4)  # in the balls of 0, 1 and 2 with k = 1 (radius 1), never near 10 to 12
    assert density_coverage(real, fake, k=1) == (3.0, 0.5)


def test_density_of_alike_sides_is_about_one():
    density, coverage = density_coverage(normal(1000, 8), normal(1000, 8, 1))
    # Naeem et al. 2020, section 3.3: coverage of equal distributions is about 1 - 2^-k.
    assert density == pytest.approx(1, abs=0.15) and coverage == pytest.approx(1 - 2**-5, abs=0.02)


@pytest.mark.parametrize("k, n", [(0, 10), (5, 5)])
def test_too_few_neighbours_are_refused(k, n):
    with pytest.raises(CocktailError):
        density_coverage(normal(n, 2), normal(n, 2), k)


# --- statistics in batches


def test_statistics_in_batches_are_those_of_all():
    x = normal(300, 7) @ normal(7, 7, 1) + 1e6  # far from the origin, where sums of squares would cancel
    found = FeatureStatistics()
    for part in x.split([1, 40, 3, 156, 100]):
        assert found.add(part) is found
    assert found.n == 300
    assert torch.allclose(found.mean, x.mean(0), rtol=1e-14)
    assert torch.allclose(found.covariance, covariance(x), rtol=1e-6, atol=1e-6)


def test_merged_statistics_are_those_of_both_and_leave_the_other_alone():
    x, y = normal(50, 4), normal(80, 4, 1) + 2
    first, second = FeatureStatistics().add(x), FeatureStatistics().add(y)
    both = FeatureStatistics().merge(FeatureStatistics()).merge(first).merge(second)
    assert both.n == 130 and torch.allclose(both.covariance, covariance(torch.cat([x, y])), rtol=1e-12)
    assert first.n == 50 and torch.allclose(first.covariance, covariance(x), rtol=1e-12)
    assert second.frechet_distance(first) == pytest.approx(frechet_distance(y, x), rel=1e-10)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: FeatureStatistics().mean, "no features were added"),
        (lambda: FeatureStatistics().add(normal(1, 3)).covariance, "1 feature vectors were added"),
        (lambda: FeatureStatistics().add(normal(2, 3)).add(normal(2, 4)), "of 3 and of 4 numbers"),
        (lambda: FeatureStatistics().add(normal(2, 3) / 0), "NaN or infinity"),
        (lambda: FeatureStatistics().add(normal(0, 3)), "N >= 1"),
        (
            lambda: FeatureStatistics().add(normal(4, 3)).frechet_distance(FeatureStatistics().add(normal(4, 2))),
            "of 3 and of 2 numbers",
        ),
    ],
)
def test_statistics_of_what_does_not_fit_are_refused(call, message):
    with pytest.raises(CocktailError, match=message):
        call()
