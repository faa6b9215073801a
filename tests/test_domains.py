"""Drawn domains: reproducible pictures in which every factor does what its name says."""

import pytest
import torch
import torch.nn.functional as F

from cocktail import domains
from cocktail.domains.sdf import Canvas, ellipse, intersect, outline, rounded_box, stroke, tilted_ellipse, wedge
from cocktail.errors import CocktailError

ALL = ("face", "cat", "dog", "car")


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def middle(name, n=1, **changes):
    """Factors at the middle of their ranges, binary ones off, with some changed."""
    domain = domains.get(name)
    factors = {}
    for factor, (low, high) in domain.ranges.items():
        value = 0.0 if factor in domain.binary else (low + high) / 2
        factors[factor] = torch.full((n,), value)
    for factor, value in changes.items():
        factors[factor] = torch.as_tensor(value, dtype=torch.float32).expand(n)
    return factors


def whites_x(img):
    """Mean horizontal place of the whites of the eyes, 0..1, of each picture."""
    rows = img[:, :, img.shape[2] // 4 : 3 * img.shape[2] // 4]
    white = (rows.amin(1) > 0.96).float()
    places = (torch.arange(img.shape[3]) + 0.5) / img.shape[3]
    return (white * places).sum((1, 2)) / white.sum((1, 2))


def test_the_four_domains_are_registered_in_their_order():
    assert domains.names() == ALL


def test_an_unknown_domain_is_refused_and_the_known_ones_are_listed():
    with pytest.raises(CocktailError, match="'horse'.*face, cat, dog, car"):
        domains.get("horse")


@pytest.mark.parametrize("name", ALL)
def test_the_same_generator_state_gives_the_same_pixels(name):
    first, factors = domains.get(name).draw(40, rng(5))
    torch.manual_seed(99)  # the global generator plays no part
    second, again = domains.get(name).draw(40, rng(5))
    assert torch.equal(first, second)
    assert all(torch.equal(factors[k], again[k]) for k in factors)
    assert not torch.equal(first, domains.get(name).draw(40, rng(6))[0])


@pytest.mark.parametrize("name", ALL)
def test_more_pictures_begin_with_the_same_ones(name):
    few, few_factors = domains.get(name).draw(3, rng(5))
    many, many_factors = domains.get(name).draw(70, rng(5))
    assert all(torch.equal(few_factors[k], many_factors[k][:3]) for k in few_factors)
    assert torch.allclose(few, many[:3], atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_factors_fill_their_ranges_and_binary_ones_are_zero_or_one(name):
    domain = domains.get(name)
    factors = domain.sample(2000, rng())
    assert tuple(factors) == domain.factors
    for factor, (low, high) in domain.ranges.items():
        value = factors[factor]
        assert value.shape == (2000,) and value.dtype == torch.float32
        if factor in domain.binary:
            assert set(value.tolist()) == {0.0, 1.0} and 0.45 < value.mean() < 0.55
        else:
            span = high - low
            assert low <= value.min() < low + 0.01 * span and high - 0.01 * span < value.max() <= high


@pytest.mark.parametrize("name", ALL)
def test_all_domains_share_the_common_factors(name):
    common = ("yaw", "x", "y", "size", "background", "tone", "eye_size", "smile")
    assert domains.get(name).factors[: len(common)] == common


@pytest.mark.parametrize("resolution", [32, 48, 64, 128, 256, 512])
@pytest.mark.parametrize("name", ALL)
def test_every_resolution_gives_finite_pictures_in_range(name, resolution):
    img, _ = domains.get(name).draw(2, rng(), resolution)
    assert img.shape == (2, 3, resolution, resolution) and img.dtype == torch.float32
    assert img.isfinite().all() and img.min() >= -1 and img.max() <= 1
    assert img.std() > 0.2


@pytest.mark.parametrize("name", ALL)
def test_a_large_picture_reduced_is_the_small_picture(name):
    small, _ = domains.get(name).draw(8, rng(2), 64)
    for resolution in (32, 256):
        other, _ = domains.get(name).draw(8, rng(2), resolution)
        size = min(resolution, 64)
        difference = F.interpolate(other, size=size, mode="area") - F.interpolate(small, size=size, mode="area")
        assert difference.abs().mean() < 0.008


@pytest.mark.parametrize("name", ALL)
def test_positive_yaw_moves_the_eyes_strongly_to_the_viewers_right(name):
    yaw = torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0])
    places = whites_x(domains.get(name).render(middle(name, 5, yaw=yaw), 128))
    assert (places.diff() > 0.02).all()
    assert 0.15 < places[4] - places[0] < 0.30
    assert abs(places[2] - 0.5) < 0.03


@pytest.mark.parametrize("name", ALL)
def test_x_and_y_move_the_picture_by_the_stated_share_of_the_frame(name):
    domain = domains.get(name)
    shift = 4 / 128
    still = domain.render(middle(name), 128)
    for factor, dim in (("x", 3), ("y", 2)):
        moved = domain.render(middle(name, **{factor: shift}), 128)
        centre = (slice(None), slice(None), slice(24, 88), slice(24, 104))
        follows = (moved.roll(-4, dim)[centre] - still[centre]).abs().mean()
        assert follows < 0.1 * (moved[centre] - still[centre]).abs().mean()


@pytest.mark.parametrize("name", ALL)
def test_every_factor_changes_pixels(name):
    domain = domains.get(name)
    for factor, (low, high) in domain.ranges.items():
        change = domain.render(middle(name, **{factor: low})) - domain.render(middle(name, **{factor: high}))
        assert change.abs().mean() > 0.002, factor


@pytest.mark.parametrize("name", ALL)
def test_the_background_fills_the_upper_corners_and_changes_with_its_factor_only(name):
    domain = domains.get(name)
    img, _ = domain.draw(200, rng(), 64)
    corners = torch.cat([img[:, :, :3, :3], img[:, :, :3, -3:]], 3)
    # A shape in a corner would break the smooth gradient; nothing is cut off by the upper frame either.
    assert corners.flatten(2).std(2).max() < 0.02
    assert img[:, :, 0].std(2).max() < 1e-5
    change = domain.render(middle(name, background=0.0)) - domain.render(middle(name, background=0.4))
    assert change[:, :, :3, :3].abs().mean() > 0.3


def test_glasses_are_worn_by_faces_only_and_darken_the_eye_region_only():
    assert [name for name in ALL if "glasses" in domains.get(name).factors] == ["face"]
    face = domains.get("face")
    change = face.render(middle("face", glasses=1.0)) - face.render(middle("face"))
    assert change[:, :, 24:44].min() < -1 and change[:, :, 24:44].abs().mean() > 0.1
    assert change[:, :, :20].abs().max() == 0 and change[:, :, 48:].abs().max() == 0


def test_smile_raises_the_ends_of_the_mouth_of_a_face():
    face = domains.get("face")
    img = face.render(middle("face", 2, smile=torch.tensor([-1.0, 1.0])), 128)
    neutral = (img[:, 0] - img[:, 1]) * (img[:, 0] > -0.3)  # red of the lips against skin
    rows = torch.arange(128.0)[:, None]
    band = slice(84, 104)

    def height(columns):
        red = (neutral[:, band, columns] > 0.75).float()
        return (red * rows[band]).sum((1, 2)) / red.sum((1, 2))

    bend = height(slice(60, 68)) - height(slice(76, 82))  # positive: the middle lies below the ends
    assert bend[0] < -2 and bend[1] > 2


def test_tongue_and_patch_of_a_dog_are_local():
    dog = domains.get("dog")
    still = dog.render(middle("dog"))
    tongue = dog.render(middle("dog", tongue=1.0)) - still
    patch = dog.render(middle("dog", patch=1.0)) - still
    assert tongue[:, :, 40:].abs().max() > 0.5 and tongue[:, :, :36].abs().max() == 0
    assert patch[:, :, :, :32].abs().max() > 0.3 and patch[:, :, :, 40:].abs().max() == 0


def test_a_cat_without_stripes_is_plain_on_the_forehead():
    cat = domains.get("cat")
    plain, striped = cat.render(middle("cat", 2, stripes=torch.tensor([0.0, 1.0])), 64)[:, :, 21:25, 26:38]
    assert plain.flatten(1).std(1).max() < 1e-4
    assert striped.flatten(1).std(1).max() > 0.1


@pytest.mark.parametrize("name", ALL)
def test_both_eyes_are_wide_and_apart_when_the_head_looks_straight(name):
    whites = domains.get(name).render(middle(name), 64)[0].amin(0)[22:42] > 0.5
    columns = whites.any(0)
    left, right = columns[:32].nonzero(), columns[32:].nonzero() + 32
    assert left.max() - left.min() + 1 >= 9
    assert right.max() - right.min() + 1 >= 9
    assert right.min() - left.max() - 1 >= 4


def test_missing_and_unknown_factors_are_refused():
    factors = middle("cat")
    factors.pop("yaw")
    with pytest.raises(CocktailError, match="factors of 'cat' are yaw"):
        domains.get("cat").render(factors)
    with pytest.raises(CocktailError, match="beard"):
        domains.get("cat").render(middle("cat") | {"beard": torch.ones(1)})


@pytest.mark.parametrize("resolution", [0, -64, 5000])
def test_an_impossible_resolution_is_refused(resolution):
    with pytest.raises(CocktailError, match=f"resolution is {resolution}"):
        domains.get("face").draw(1, rng(), resolution)


def test_no_pictures_are_an_empty_tensor():
    img, factors = domains.get("face").draw(0, rng())
    assert img.shape == (0, 3, 64, 64) and factors["yaw"].shape == (0,)


def test_shapes_cover_the_area_that_geometry_says():
    canvas = Canvas(1, 256)

    def area(shape):
        canvas.img.zero_()
        canvas.paint(shape, torch.ones(1, 3, 1, 1))
        return canvas.img[0, 0].sum().item() * canvas.pixel**2

    disc = ellipse(0.0, 0.0, 0.5, 0.5)
    assert area(disc) == pytest.approx(torch.pi * 0.25, rel=0.01)
    assert area(ellipse(0.1, -0.2, 0.6, 0.3)) == pytest.approx(torch.pi * 0.18, rel=0.01)
    assert area(tilted_ellipse(0.1, -0.2, 0.6, 0.3, 0.7)) == pytest.approx(torch.pi * 0.18, rel=0.01)
    assert area(rounded_box(0.0, 0.0, 0.5, 0.3, 0.1)) == pytest.approx(0.6 - (4 - torch.pi) * 0.01, rel=0.01)
    assert area(stroke(0.0, 0.0, 0.5, 0.0, 0.1)) == pytest.approx(0.2 + torch.pi * 0.01, rel=0.01)
    assert area(outline(disc, 0.05)) == pytest.approx(torch.pi * (0.55**2 - 0.45**2), rel=0.01)
    assert area(wedge(0.0, -0.5, -0.5, 0.5, 1.0, 0.02)) == pytest.approx(0.5, rel=0.02)
    assert area(intersect(disc, rounded_box(0.5, 0.0, 0.5, 1.0, 0.01))) == pytest.approx(torch.pi / 8, rel=0.01)
    assert area(ellipse(5.0, 0.0, 0.5, 0.5)) == 0


def test_opacity_mixes_a_shape_with_what_lies_below():
    canvas = Canvas(2, 32)
    canvas.paint(ellipse(0.0, 0.0, 0.9, 0.9), torch.ones(1, 3, 1, 1), torch.tensor([0.0, 0.25]).view(2, 1, 1, 1))
    assert canvas.img[0].max() == 0
    assert canvas.img[1, :, 16, 16].tolist() == [0.25] * 3
