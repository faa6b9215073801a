"""Kernel distances against scikit-learn's kernels, closed forms and the definition with its loops."""

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import polynomial_kernel, rbf_kernel

from cocktail.errors import CocktailError
from cocktail.metrics import distances
from cocktail.metrics.kernels import cubic, kernel_distance, kernel_mmd, median_distance, unbiased_mmd


def normal(n, dim, seed=0, shift=0.0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(n, dim, generator=rng, dtype=torch.float64) + shift


def unbiased(xx, yy, xy):
    """Gretton et al. 2012, eq. 3, of whole kernel matrices."""
    own = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (xx, yy)]
    return own[0] + own[1] - 2 * xy.mean()


def test_the_kernel_distance_agrees_with_scikit_learns_polynomial_kernel():
    a, b = normal(60, 7), normal(50, 7, 1, shift=0.5)
    expected = unbiased(*(polynomial_kernel(x, y, degree=3, gamma=1 / 7, coef0=1) for x, y in ((a, a), (b, b), (a, b))))
    assert kernel_distance(a, b) == (pytest.approx(expected, rel=1e-10), 0.0)
    assert kernel_distance(a.float(), b.float())[0] == pytest.approx(expected, rel=1e-4)


def test_the_gaussian_distance_agrees_with_scikit_learns_kernel():
    a, b = normal(60, 7, shift=100), normal(50, 7, 1, shift=100.5)
    for width in (0.5, 3.0):
        kernels = (rbf_kernel(x, y, gamma=0.5 / width**2) for x, y in ((a, a), (b, b), (a, b)))
        assert kernel_mmd(a, b, width) == pytest.approx(unbiased(*kernels), rel=1e-8)


def test_the_gaussian_distance_of_two_normals_is_its_closed_form():
    # E k(x, y) of x - y ~ N(m, v) in one dimension is s / sqrt(s^2 + v) exp(-m^2 / (2 (s^2 + v))).
    def mean_kernel(gap, variance, width=1.0):
        return width / (width**2 + variance) ** 0.5 * np.exp(-(gap**2) / (2 * (width**2 + variance)))

    expected = 2 * mean_kernel(0, 2) - 2 * mean_kernel(1, 2)
    even = torch.special.ndtri((torch.arange(2000, dtype=torch.float64) + 0.5) / 2000)[:, None]
    assert kernel_mmd(even, even + 1, 1.0) == pytest.approx(expected, rel=0.01)


def test_the_bandwidth_is_the_median_distance_of_both_sides_unless_given():
    a, b = normal(40, 3), normal(40, 3, 1, shift=2)
    width = torch.pdist(torch.cat([a, b])).median().item()
    assert kernel_mmd(a, b) == kernel_mmd(a, b, width) != kernel_mmd(a, b, 2 * width)
    assert median_distance(torch.tensor([[0.0], [1.0], [3.0]])) == 2
    assert median_distance(normal(3000, 4)) == pytest.approx(torch.pdist(normal(3000, 4)).median().item(), rel=0.02)


def test_kernel_distances_are_unbiased():
    pairs = [(normal(30, 4, 2 * i), normal(30, 4, 2 * i + 1)) for i in range(300)]
    for score in (lambda a, b: kernel_distance(a, b)[0], lambda a, b: kernel_mmd(a, b, 2.0)):
        values = torch.tensor([score(a, b) for a, b in pairs])
        assert abs(values.mean()) < 3 * values.std() / 300**0.5 and values.min() < 0 < values.max()


def test_subsets_give_the_mean_and_the_deviation_over_them():
    a, b = normal(200, 5), normal(150, 5, 1, shift=0.4)
    mean, deviation = kernel_distance(a, b, subsets=12, size=40, rng=torch.Generator().manual_seed(7))
    rng, values = torch.Generator().manual_seed(7), []
    for _ in range(12):
        x, y = (side[torch.randperm(len(side), generator=rng)[:40]] for side in (a, b))
        values.append(unbiased_mmd(x, y, cubic))
    assert mean == pytest.approx(np.mean(values), rel=1e-12) and deviation == pytest.approx(np.std(values), rel=1e-12)
    assert kernel_distance(a, b, 50, 60)[0] == pytest.approx(kernel_distance(a, b)[0], rel=0.1)
    assert kernel_distance(a, b, 3, 60) == kernel_distance(a, b, 3, 60), "seed 0 unless given"


def test_the_same_comes_out_in_small_pieces(monkeypatch):
    a, b = normal(90, 5), normal(70, 5, 1, shift=1)
    whole = kernel_distance(a, b)[0], kernel_mmd(a, b, 2.0)
    monkeypatch.setattr(distances, "ENTRIES", 500)
    assert (kernel_distance(a, b)[0], kernel_mmd(a, b, 2.0)) == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: kernel_distance(normal(5, 2), normal(5, 3)), "use one extractor"),
        (lambda: kernel_distance(normal(1, 2), normal(5, 2)), "N >= 2"),
        (lambda: kernel_distance(normal(5, 2), normal(5, 2), subsets=0), "0 subsets of 1000"),
        (lambda: kernel_distance(normal(5, 2), normal(5, 2), size=1), "subsets of 1;"),
        (lambda: kernel_distance(normal(5, 2), normal(5, 2) / 0), "NaN or infinity"),
        (lambda: kernel_mmd(normal(5, 2), normal(5, 2), 0.0), "bandwidth is 0.0"),
        (lambda: kernel_mmd(torch.ones(5, 2), torch.ones(5, 2)), "vectors that differ"),
    ],
)
def test_what_has_no_kernel_distance_is_refused(call, message):
    with pytest.raises(CocktailError, match=message):
        call()
