"""The perceptual distance: its mathematics, with and without a discriminator."""

import pytest
import torch

from cocktail.errors import CocktailError
from cocktail.metrics.perceptual import FEATURES, PIXELS, PerceptualDistance, between

KINDS = [("stylegan2", True), ("stylegan2", False), ("custom", True), ("custom", False)]


@pytest.fixture(params=KINDS, ids=lambda kind: f"{kind[0]}-{'with' if kind[1] else 'without'}-discriminator")
def distance(request, tiny) -> PerceptualDistance:
    architecture, discriminator = request.param
    return PerceptualDistance(tiny(("cat", "dog"), 0, 16, architecture, discriminator))


def pictures(n: int, seed: int = 0, size: int = 16) -> torch.Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_equal_pictures_have_no_distance(distance):
    assert torch.equal(distance(pictures(3), pictures(3)), torch.zeros(3))


def test_distance_is_symmetric_and_positive_for_different_pictures(distance):
    a, b = pictures(3), pictures(3, seed=1)
    assert torch.allclose(distance(a, b), distance(b, a))
    assert (distance(a, b) > 0).all()


def test_distance_grows_with_the_change(distance):
    a, b = pictures(4), pictures(4, seed=1)
    near, far = distance(a, a.lerp(b, 0.05)), distance(a, a.lerp(b, 0.5))
    assert (near < far).all()


def test_a_pair_alone_is_as_far_apart_as_in_company(distance):
    a, b = pictures(4), pictures(4, seed=1)
    assert torch.allclose(distance(a[:1], b[:1]), distance(a, b)[:1], rtol=1e-4)


def test_gradients_lead_from_one_picture_towards_the_other(distance):
    a, b = pictures(1).requires_grad_(), pictures(1, seed=1)
    (gradient,) = torch.autograd.grad(distance(a, b).sum(), a)
    assert torch.isfinite(gradient).all() and gradient.abs().max() > 0
    with torch.no_grad():
        assert distance(a - 0.01 * gradient / gradient.norm(), b) < distance(a, b)


def test_gradients_at_equal_pictures_are_zero_not_infinite(distance):
    a = pictures(1).requires_grad_()
    (gradient,) = torch.autograd.grad(distance(a, a.detach()).sum(), a)
    assert torch.equal(gradient, torch.zeros_like(a))


def test_features_that_are_kept_give_the_same_distance(distance):
    a, b = pictures(2), pictures(2, seed=1)
    assert torch.equal(between(distance.features(a), distance.features(b)), distance(a, b))


def test_unit_features_are_never_further_apart_than_opposite_ones(tiny):
    found = PerceptualDistance(tiny(resolution=16))(pictures(8), -pictures(8))
    assert (found <= 4).all()


@pytest.mark.parametrize("size", [8, 16, 32])
def test_without_a_discriminator_a_shift_of_brightness_costs_its_square(tiny, size):
    distance = PerceptualDistance(tiny(resolution=size, discriminator=False))
    a = pictures(2, size=size) * 0.5
    assert torch.allclose(distance(a, a + 0.25), torch.full((2,), 0.0625), atol=1e-6)


def test_the_name_says_what_is_looked_at(tiny):
    assert PerceptualDistance(tiny()).name == FEATURES
    assert PerceptualDistance(tiny(discriminator=False)).name == PIXELS


@pytest.mark.parametrize("shapes", [((1, 3, 16, 16), (2, 3, 16, 16)), ((1, 3, 8, 8), (1, 3, 8, 8)),
                                    ((1, 1, 16, 16), (1, 1, 16, 16)), ((3, 16, 16), (3, 16, 16))])  # fmt: skip
def test_pictures_of_other_shapes_are_refused(distance, shapes):
    a, b = (torch.zeros(shape) for shape in shapes)
    with pytest.raises(CocktailError, match="shape"):
        distance(a, b)
