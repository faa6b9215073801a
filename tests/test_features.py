"""Features of discriminators and pixels: what they see, and that nothing but the picture counts."""

import pytest
import torch

from cocktail.errors import CocktailError
from cocktail.gan import new_gan
from cocktail.images import from_uint8, resize, to_uint8
from cocktail.metrics.embedding import Embedding, total_deviation
from cocktail.metrics.features import DiscriminatorFeatures, PixelFeatures, features_of, sample_features
from cocktail.metrics.scores import frechet_distance
from cocktail.sources import GanSource

RNG = torch.Generator


def noise(n, size=16, seed=0):
    return torch.randint(0, 256, (n, 3, size, size), generator=RNG().manual_seed(seed), dtype=torch.uint8)


def flat(value, n=2, size=16):
    return torch.full((n, 3, size, size), value, dtype=torch.uint8)


@pytest.mark.parametrize("architecture", ["stylegan2", "custom"])
def test_features_of_a_discriminator_do_not_depend_on_the_neighbours_in_the_batch(tiny, architecture):
    extractor = DiscriminatorFeatures(tiny(resolution=16, architecture=architecture))
    img = noise(9)
    together = extractor(img)
    assert together.dtype == torch.float32 and together.shape == (9, extractor.dim)
    alone = torch.cat([extractor(img[i : i + 1]) for i in range(9)])
    assert torch.allclose(together, alone, rtol=1e-4, atol=1e-5)
    assert together.std(dim=0).min() > 0, "a feature that never changes tells nothing"


def test_features_of_a_discriminator_are_means_of_its_maps(tiny):
    gan = tiny(resolution=8)
    found, img = DiscriminatorFeatures(gan)(noise(3, 8)), from_uint8(noise(3, 8))
    with torch.no_grad():
        (last,) = [maps for maps in gan.discriminator.activations(img) if maps.ndim == 4]
    quarter = last[:, :, :2, :2].mean(dim=(2, 3))  # the last map of an 8 px discriminator is the only one, 4x4
    assert torch.allclose(found[:, 0 : 4 * last.shape[1] : 4], quarter, atol=1e-5)
    assert torch.allclose(found[:, 4 * last.shape[1] :], last.flatten(2).std(dim=2, correction=0), atol=1e-5)


def test_wide_discriminators_are_projected_to_256_dimensions_the_same_way_each_time():
    sizes = {"channels": (80, 80, 80), "img_resolution": 16}
    gan = new_gan("stylegan2", sizes | {"z_dim": 8, "w_dim": 8}, sizes | {"mapping_layers": 2})
    state = torch.get_rng_state()
    first, again = DiscriminatorFeatures(gan), DiscriminatorFeatures(gan)
    assert first.dim == 256 and first(noise(4)).shape == (4, 256)
    assert torch.equal(first(noise(4)), again(noise(4)))
    assert torch.equal(torch.get_rng_state(), state)
    gaps = torch.pdist(first(noise(20))), torch.pdist(first._pooled(from_uint8(noise(20))))
    assert torch.corrcoef(torch.stack(gaps))[0, 1] > 0.9, "what differs must still differ"


def test_pictures_are_resized_to_the_discriminators_size(tiny):
    extractor = DiscriminatorFeatures(tiny(resolution=8))
    half = to_uint8(resize(from_uint8(noise(4, 16)), 8))
    assert torch.allclose(extractor(noise(4, 16)), extractor(half), atol=0.1)
    assert not torch.allclose(extractor(half), extractor(half.flip(0)), atol=0.1)


def test_the_name_says_whose_discriminator_it_is(tiny):
    gan = tiny()
    assert features_of(gan).name == "features of the discriminator of an untitled model"
    gan.card["title"] = "Cats"
    assert features_of(gan).name == "features of the discriminator of Cats"


def test_a_model_without_a_discriminator_is_seen_by_its_pixels(tiny):
    extractor = features_of(tiny(resolution=16, discriminator=False))
    assert isinstance(extractor, PixelFeatures) and extractor.name == "pixels, 8x8" and extractor.resolution == 16
    assert extractor(noise(3)).shape == (3, extractor.dim) and extractor.dim <= 256
    with pytest.raises(CocktailError, match="no discriminator"):
        DiscriminatorFeatures(tiny(discriminator=False))


def test_pixel_features_of_a_flat_picture_are_its_grey_and_no_change():
    found = PixelFeatures(16)(flat(255))
    assert torch.allclose(found[:, :192], torch.ones(2, 192)) and not found[:, 192:].any()


def test_pixel_features_of_a_ramp_across_tell_its_slope_and_direction():
    ramp = (10 * torch.arange(16, dtype=torch.uint8)).expand(1, 3, 16, 16)
    found = PixelFeatures(16)(ramp)[0]
    across, down = found[192:208], found[208:]
    assert torch.allclose(across, torch.full((16,), 10 / 127.5), atol=1e-5) and not down.any()


@pytest.mark.parametrize("extractor", ["discriminator", "pixels"])
def test_pictures_of_other_channels_are_refused(tiny, extractor):
    found = DiscriminatorFeatures(tiny()) if extractor == "discriminator" else PixelFeatures(8)
    with pytest.raises(CocktailError, match="pictures of 1 channels"):
        found(noise(2)[:, :1])


def test_samples_are_drawn_once_for_all_extractors(tiny):
    gan = tiny(("cat", "dog"))
    extractors = [features_of(gan), PixelFeatures(8)]
    labels = torch.arange(100) % 2
    parts = list(sample_features(GanSource(gan), labels, RNG().manual_seed(3), extractors))
    assert [len(deep) for deep, _ in parts] == [64, 36]
    img = to_uint8(GanSource(gan).sample_class(labels[:64], RNG().manual_seed(3)))
    for extractor, part in zip(extractors, parts[0]):
        assert torch.allclose(part, extractor(img), atol=1e-5)


# --- embeddings


def plane(n, seed=0):
    """Points of a plane of 50 dimensions, deviations 3 and 4 along its axes."""
    x = torch.randn(n, 2, generator=RNG().manual_seed(seed), dtype=torch.float64)
    x = x - x.mean(0)
    x = x @ torch.linalg.inv(torch.linalg.cholesky(x.T @ x / (n - 1))).T
    return torch.cat([x * torch.tensor([3.0, 4.0]), torch.zeros(n, 48)], dim=1)


@pytest.mark.parametrize("axis", [0, 1, 2, 49])
def test_an_embedding_sees_a_shift_inside_and_outside_of_the_references_subspace(axis):
    points = plane(40)
    embedding, shifted = Embedding.of(points, max_dim=3), points.clone()
    shifted[:, axis] += 10
    # The reference's total variance is 9 + 16: distances are in units of 5.
    assert frechet_distance(embedding(shifted), embedding(points)) == pytest.approx((10 / 5) ** 2, rel=1e-6)


def test_an_embedding_has_at_most_a_dimension_for_four_vectors():
    x = torch.randn(40, 200, generator=RNG().manual_seed(0))
    assert Embedding.of(x)(x).shape == (40, 10)
    assert Embedding.of(torch.cat([x] * 10))(x).shape == (40, 32)


def test_an_embedding_refuses_too_few_and_broken_vectors():
    with pytest.raises(CocktailError, match="n >= 8"):
        Embedding.of(torch.zeros(7, 3))
    with pytest.raises(CocktailError, match="NaN"):
        Embedding.of(torch.full((9, 3), torch.nan))


def test_total_deviation_is_the_root_of_the_summed_variances():
    assert total_deviation(plane(30)) == pytest.approx(5)
