"""The map of w: its axes, what they explain, and where codes lie on it."""

import numpy as np
import pytest
import torch

from cocktail.errors import CocktailError
from cocktail.gan import Gan, latents
from editing.atlas import AXES, Atlas, survey

COUNT = 30


@pytest.fixture(scope="module")
def gan(tiny) -> Gan:
    return tiny(("cat", "dog"), discriminator=False)


@pytest.fixture(scope="module")
def atlas(gan) -> Atlas:
    return survey(gan, gan.classes, COUNT)


def codes(gan: Gan, label: str | None, seeds=range(COUNT)) -> torch.Tensor:
    return gan.map(latents(seeds, gan.z_dim), label)


def test_the_axes_are_orthonormal_and_point_along_their_largest_entry(atlas):
    assert torch.allclose(atlas.axes @ atlas.axes.t(), torch.eye(AXES), atol=1e-5)
    largest = atlas.axes.gather(1, atlas.axes.abs().argmax(dim=1, keepdim=True))
    assert (largest > 0).all()


def test_mean_axes_and_explained_variance_agree_with_numpy(gan, atlas):
    w = torch.cat([codes(gan, label)[:, 0] for label in gan.classes]).double().numpy()
    values, vectors = np.linalg.eigh(np.cov(w.T))
    assert np.allclose(atlas.mean.numpy(), w.mean(axis=0), atol=1e-5)
    assert atlas.explained == pytest.approx((values[::-1] / values.sum())[:AXES], abs=1e-6)
    cosines = np.abs((atlas.axes.double().numpy() * vectors.T[::-1][:AXES]).sum(axis=1))
    assert cosines == pytest.approx(1, abs=1e-4)


def test_points_are_the_coordinates_whose_variances_the_axes_explain(atlas):
    assert atlas.points.mean(dim=0).abs().max() < 1e-4
    variances = atlas.points.double().var(dim=0)
    shares = torch.tensor(atlas.explained, dtype=torch.float64)
    assert torch.allclose(variances / variances[0], shares / shares[0], atol=1e-4)


def test_every_sample_lies_where_its_point_is(gan, atlas):
    assert atlas.labels == ("cat",) * COUNT + ("dog",) * COUNT and atlas.seeds == (*range(COUNT), *range(COUNT))
    ws = torch.cat([codes(gan, label) for label in gan.classes])
    assert torch.allclose(atlas.place(ws), atlas.points, atol=1e-4)
    assert torch.allclose(atlas.place(ws[7]), atlas.points[7], atol=1e-4)


def test_a_code_of_many_layers_lies_at_the_mean_of_its_layers(gan, atlas):
    ws = torch.cat([codes(gan, label)[:1, :2] for label in gan.classes], dim=1)
    assert torch.allclose(atlas.place(ws[0]), (atlas.points[0] + atlas.points[COUNT]) / 2, atol=1e-4)


def test_a_map_is_the_same_twice(gan, atlas):
    again = survey(gan, gan.classes, COUNT)
    assert torch.equal(again.points, atlas.points) and torch.equal(again.axes, atlas.axes)
    assert (again.explained, again.caption) == (atlas.explained, atlas.caption)


def test_the_caption_tells_the_shares(atlas):
    two, three = sum(atlas.explained[:2]), sum(atlas.explained)
    assert 0 < two < three <= 1
    assert f"{two:.0%} of the variance of w in two dimensions, {three:.0%} in three" in atlas.caption


def test_a_model_without_classes_has_a_map_of_one_cloud(tiny):
    plain = tiny(discriminator=False)
    atlas = survey(plain, (None,), COUNT)
    assert atlas.labels == (None,) * COUNT
    assert torch.allclose(atlas.place(codes(plain, None)), atlas.points, atol=1e-4)


@pytest.mark.parametrize("classes, count", [(("cat",), 3), (("cat", "dog"), 1), ((), 50)])
def test_fewer_samples_than_axes_make_no_map(gan, classes, count):
    with pytest.raises(CocktailError, match=f"{count} samples of {len(classes)} classes are too few"):
        survey(gan, classes, count)
