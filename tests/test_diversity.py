"""Diversity of samples and movement of snapshots, and under which name they go."""

import pytest
import torch
from sklearn.metrics import pairwise_distances

from cocktail.errors import CocktailError
from cocktail.metrics import (
    distances,
    diversity,
    feature_diversity,
    picture_distance,
    picture_diversity,
    snapshot_distances,
)
from cocktail.metrics.perceptual import FEATURES, PIXELS
from tests.grey import grey


class Brightness:
    """How much brighter one picture is than the other."""

    name = "brightness"

    def __call__(self, first, second):
        return (first - second).mean(dim=(1, 2, 3)).abs()


@pytest.fixture(autouse=True)
def no_lpips(monkeypatch):
    monkeypatch.setattr("cocktail.metrics.lpips.missing", lambda: "weights are missing")


def test_feature_diversity_is_the_mean_distance_of_two_vectors(monkeypatch):
    x = torch.randn(90, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 1000
    expected = pairwise_distances(x).sum() / (90 * 89)
    assert feature_diversity(x) == pytest.approx(expected, rel=1e-9)
    monkeypatch.setattr(distances, "ENTRIES", 500)
    assert feature_diversity(x) == pytest.approx(expected, rel=1e-9)


def test_equal_vectors_have_no_diversity():
    assert feature_diversity(torch.full((50, 3), 1e4)) == 0
    assert feature_diversity(torch.tensor([[0.0], [3.0]])) == 3


def test_picture_diversity_compares_each_picture_once():
    img = torch.tensor([0.0, 0.1, 0.5, 0.2, 0.9])[:, None, None, None].expand(-1, 3, 8, 8)
    assert picture_diversity(Brightness(), img) == pytest.approx((0.1 + 0.3) / 2)
    many = torch.zeros(50, 3, 8, 8)
    many[1::2] = 0.25
    assert picture_diversity(Brightness(), many) == pytest.approx(0.25)
    with pytest.raises(CocktailError, match="1 pictures"):
        picture_diversity(Brightness(), img[:1])


def test_snapshots_are_compared_one_after_the_other_picture_by_picture(monkeypatch):
    snapshots = [torch.full((5, 3, 8, 8), at) for at in (0.0, 0.1, 0.4)]
    snapshots[2][0] = 0.1  # the first picture stays as it is
    assert snapshot_distances(snapshots, Brightness()) == pytest.approx([0.1, 0.3 * 4 / 5], abs=1e-6)
    assert snapshot_distances([snapshots[2]] * 2, picture_distance(grey(0, 1))) == [0]
    monkeypatch.setattr(diversity, "AT_ONCE", 2)
    assert snapshot_distances(snapshots, Brightness()) == pytest.approx([0.1, 0.3 * 4 / 5], abs=1e-6)


@pytest.mark.parametrize("number, n", [(1, 4), (2, 0)])
def test_what_makes_no_comparison_is_refused(number, n):
    with pytest.raises(CocktailError, match="expected two or more"):
        snapshot_distances([torch.zeros(n, 3, 8, 8)] * number, Brightness())


def test_a_distance_of_pictures_is_named_for_what_it_is(tiny, monkeypatch):
    assert picture_distance(tiny()).name == FEATURES
    assert picture_distance(tiny(discriminator=False)).name == PIXELS
    monkeypatch.setattr("cocktail.metrics.lpips.missing", lambda: None)
    monkeypatch.setattr("cocktail.metrics.lpips.Lpips", Brightness)
    assert picture_distance(tiny()).name == "brightness"
