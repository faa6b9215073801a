"""Ways between codes: their ends, spheres, staggers and easings, mixtures, and films at constant speed."""

import math

import pytest
import torch

from cocktail.errors import CocktailError
from editing.interpolation import (
    EASINGS,
    LATEST,
    MAX_FRAMES,
    barycentric,
    between,
    constant_speed,
    positions,
    segment,
    slerp,
    step_lengths,
)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def codes(count: int, num_ws: int = 18, w_dim: int = 16) -> torch.Tensor:
    return torch.randn(count, num_ws, w_dim, generator=rng())


def units(count: int, dim: int, seed: int = 0) -> torch.Tensor:
    rows = torch.randn(count, dim, generator=rng(seed))
    return rows / rows.norm(dim=1, keepdim=True)


# On the sphere.


@pytest.mark.parametrize("t", [0, 1, 0.0, 1.0])
def test_a_great_circle_starts_and_ends_bit_by_bit(t):
    a, b = codes(2)
    assert torch.equal(slerp(a, b, t), b if t else a)
    assert slerp(a, b, t) is not a and slerp(a, b, t) is not b


@pytest.mark.parametrize("dim", [3, 64, 512])
def test_unit_vectors_stay_unit_vectors(dim):
    a, b = units(40, dim), units(40, dim, seed=1)
    b = b * (a * b).sum(dim=1, keepdim=True).sign()  # angles up to 90 degrees: beyond, float32 loses digits
    for t in (0.1, 0.25, 0.5, 0.9):
        assert (slerp(a, b, t).norm(dim=1) - 1).abs().max() < 1e-6


@pytest.mark.parametrize("angle", [3.1, 3.14])
def test_unit_vectors_that_are_nearly_opposite_stay_unit_vectors(angle):
    b = torch.tensor([math.cos(angle), math.sin(angle)])
    for t in (0.25, 0.5, 0.8):
        assert abs(slerp(torch.tensor([1.0, 0.0]), b, t).norm() - 1) < 1e-6


@pytest.mark.parametrize("t", [0.0, 0.2, 0.5, 0.7, 1.0])
def test_there_and_back_is_the_same_circle(t):
    a, b = units(6, 16), units(6, 16, seed=1)
    assert torch.allclose(slerp(a, b, t), slerp(b, a, 1 - t), atol=1e-6)


@pytest.mark.parametrize("angle", [0.0005, 0.002, 0.1, math.pi / 2, 2.5, 3.0])
def test_in_the_plane_a_circle_turns_by_its_share_of_the_angle_and_the_length_goes_straight(angle):
    a, b = torch.tensor([2.0, 0.0]), 4 * torch.tensor([math.cos(angle), math.sin(angle)])
    for t in (0.125, 0.5, 0.8):
        expected = (2 + 2 * t) * torch.tensor([math.cos(t * angle), math.sin(t * angle)])
        assert torch.allclose(slerp(a, b, t), expected, atol=1e-5)


def test_opposite_vectors_are_refused_also_where_only_one_row_of_several_is():
    a, b = units(3, 8), units(3, 8, seed=1)
    b[1] = -2 * a[1]
    with pytest.raises(CocktailError, match="opposite.*Choose w or w"):
        slerp(a, b, 0.5)
    assert torch.equal(slerp(a, b, 0.0), a)


@pytest.mark.parametrize("apart", [0.0, 1e-8, 1e-6, 1e-4, 9e-4, 1.1e-3])
def test_vectors_that_are_nearly_equal_are_no_trouble(apart):
    a = units(5, 16)
    b = a + apart * units(5, 16, seed=1)
    middle = slerp(a, b, 0.5)
    assert torch.isfinite(middle).all()
    assert torch.allclose(middle, (a + b) / 2, atol=1e-6)


def test_a_vector_without_length_gives_no_nan():
    assert torch.isfinite(slerp(torch.zeros(8), units(1, 8)[0], 0.5)).all()


# Along keys.


@pytest.mark.parametrize("closed", [False, True])
def test_keys_are_hit_exactly_at_equal_distances(closed):
    for keys in range(2, 25):
        pieces = keys if closed else keys - 1
        for i in range(pieces + 1):
            first, second, t = segment(i / pieces, keys, closed)
            assert t in (0, 1) and (second if t else first) == i % keys


def test_a_closed_way_returns_to_its_first_key():
    assert segment(1.0, 3, True) == (2, 0, 1.0)
    first, second, t = segment(5 / 6, 3, True)
    assert (first, second) == (2, 0) and t == pytest.approx(0.5)
    assert segment(1.0, 3, False) == (1, 2, 1.0)


@pytest.mark.parametrize("easing", EASINGS)
def test_an_easing_rises_from_0_to_1_and_never_falls(easing):
    way = [segment(i / 1000, 2, False, easing)[2] for i in range(1001)]
    assert way[0] == 0 and way[-1] == 1
    assert all(before < after for before, after in zip(way, way[1:]))


def test_easings_are_as_slow_as_their_names_say():
    slopes = {name: (ease(0.01) / 0.01, (1 - ease(0.99)) / 0.01) for name, ease in EASINGS.items()}
    slow = {name: (start < 0.1, end < 0.1) for name, (start, end) in slopes.items()}
    assert slow == {"linear": (False, False), "smooth": (True, True), "start slowly": (True, False),
                    "end slowly": (False, True)}  # fmt: skip


@pytest.mark.parametrize(
    "given, words",
    [((0.5, 1, False), "there is 1"), ((0.5, 0, True), "there is none"), ((1.1, 3, False), "position is 1.1"),
     ((-0.1, 3, False), "position is -0.1"), ((math.nan, 3, False), "position is nan"),
     ((0.5, 3, False, "jump"), "'jump' is unknown; known: linear, smooth")],
)  # fmt: skip
def test_a_position_that_is_nowhere_is_refused(given, words):
    with pytest.raises(CocktailError, match=words):
        segment(*given)


# Between two codes.


def test_without_stagger_a_way_is_straight_and_its_ends_are_exact():
    a, b = codes(2)
    assert torch.equal(between(a, b, 0.0), a) and torch.equal(between(a, b, 1.0), b)
    assert torch.allclose(between(a, b, 0.3), a + 0.3 * (b - a), atol=1e-6)


@pytest.mark.parametrize("stagger", [i / 20 for i in range(21)])
def test_with_stagger_all_layers_start_at_0(stagger):
    a, b = codes(2)
    assert torch.equal(between(a, b, 0.0, stagger), a)


@pytest.mark.parametrize("num_ws", [2, 4, 10, 18])
def test_with_stagger_all_layers_arrive_at_1(num_ws):
    a, b = codes(2, num_ws)
    for stagger in (i / 20 for i in range(21)):
        assert torch.equal(between(a, b, 1.0, stagger), b), f"stagger {stagger}"


def test_at_full_stagger_coarse_layers_set_out_first_and_the_finest_last():
    away, there = torch.zeros(5, 3), torch.ones(5, 3)

    def gone(t: float) -> list[float]:
        return between(away, there, t, 1.0)[:, 0].tolist()

    assert gone(0.1) == pytest.approx([0.5, 0, 0, 0, 0], abs=1e-6)
    assert gone(LATEST) == pytest.approx([1, 1, 1, 1, 0], abs=1e-6)
    for t in (0.15, 0.3, 0.55, 0.9):
        shares = gone(t)
        assert shares == sorted(shares, reverse=True) and len(set(shares)) > 1
    for before, after in ((0.1, 0.2), (0.4, 0.6)):
        assert all(a <= b for a, b in zip(gone(before), gone(after)))


def test_a_network_of_one_code_has_nothing_to_stagger():
    assert between(torch.zeros(1, 3), torch.ones(1, 3), 0.5, 1.0)[0, 0] == pytest.approx(0.5)


@pytest.mark.parametrize("stagger", [-0.1, 1.1, math.nan])
def test_a_stagger_outside_0_to_1_is_refused(stagger):
    with pytest.raises(CocktailError, match=f"stagger is {stagger:g}"):
        between(*codes(2), 0.5, stagger)


# Mixtures.


@pytest.mark.parametrize("weight", [1.0, 0.3, 7.0, 1e-6])
def test_all_weight_on_one_code_is_that_code_bit_by_bit(weight):
    found = codes(3)
    for i in range(3):
        weights = [weight if i == j else 0.0 for j in range(3)]
        assert torch.equal(barycentric(found, weights), found[i])


def test_equal_weights_are_the_mean_and_only_their_ratio_counts():
    found = codes(3)
    assert torch.allclose(barycentric(found, [2.0, 2.0, 2.0]), found.mean(dim=0), atol=1e-6)
    assert torch.allclose(barycentric(found, [1, 2, 5]), (found[0] + 2 * found[1] + 5 * found[2]) / 8, atol=1e-6)
    assert torch.allclose(barycentric(found, [1, 2, 5]), barycentric(found, [10, 20, 50]), atol=1e-6)


def test_very_small_weights_are_weights_too():
    found = codes(2)
    assert torch.allclose(barycentric(found, [1e-50, 1e-50]), found.mean(dim=0), atol=1e-6)


@pytest.mark.parametrize("weights", [[], [1.0], [1.0, -0.1], [0.0, 0.0], [math.nan, 1.0], [math.inf, 1.0], [1, 1, 1]])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(CocktailError, match="2 pictures and weights " + ", ".join(f"{w:g}" for w in weights)):
        barycentric(codes(2), weights)


# Frames.


def test_positions_go_evenly_from_end_to_end():
    assert positions(2, closed=False) == [0, 1]
    assert positions(5, closed=False) == [0, 0.25, 0.5, 0.75, 1]


def test_a_closed_way_leaves_out_the_end_that_is_its_beginning():
    assert positions(2, closed=True) == [0, 0.5]
    assert positions(4, closed=True) == [0, 0.25, 0.5, 0.75]


def test_too_few_and_too_many_frames_are_refused_with_an_estimate():
    assert len(positions(MAX_FRAMES, closed=False)) == MAX_FRAMES
    with pytest.raises(CocktailError, match="number of frames is 1; a film has 2 to 600"):
        positions(1, closed=True)
    with pytest.raises(CocktailError, match=f"100,000 frames .* 66.7 minutes. Ask for at most {MAX_FRAMES}"):
        positions(100_000, closed=False)


def euclid(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a - b).flatten(1).norm(dim=1)


def test_step_lengths_are_the_distances_of_neighbours_in_order():
    pictures = torch.tensor([0.0, 1, 3, 7, 6])[:, None, None, None].repeat(1, 3, 1, 1) / 3**0.5
    for chunk in (1, 2, 16):
        assert step_lengths(pictures, euclid, chunk=chunk).tolist() == pytest.approx([1, 2, 4, 1])
        assert step_lengths(pictures, euclid, closed=True, chunk=chunk).tolist() == pytest.approx([1, 2, 4, 1, 6])


def curve(at: list[float], closed: bool) -> torch.Tensor:
    """Points float32 [N, 3, 1, 1] of a helix, or of a circle if closed, whose speed changes ninefold on the way."""
    t = torch.tensor(at, dtype=torch.float64)
    turn = 2 * math.pi * (t + 0.8 * torch.sin(2 * math.pi * t) / (2 * math.pi))
    height = 0 * turn if closed else turn
    return torch.stack([turn.cos(), turn.sin(), height], dim=1).float()[:, :, None, None]


def ratio(at: list[float], closed: bool) -> float:
    lengths = step_lengths(curve(at, closed), euclid, closed)
    return (lengths.max() / lengths.min()).item()


@pytest.mark.parametrize("closed", [False, True])
def test_one_pass_at_constant_speed_makes_the_steps_of_a_smooth_curve_equal(closed):
    before = positions(48, closed)
    after = constant_speed(before, step_lengths(curve(before, closed), euclid, closed), closed)
    assert ratio(before, closed) > 5
    assert ratio(after, closed) < 1.1
    assert len(after) == 48 and after == sorted(after)
    assert after[0] == 0 and (after[-1] < 1 if closed else after[-1] == 1)


def test_constant_speed_on_three_steps_by_hand():
    # 0 to 4 units of length: half of it lies in the middle of the last piece.
    assert constant_speed([0, 0.5, 1], torch.tensor([1.0, 3.0])) == pytest.approx([0, 0.5 + 0.5 / 3, 1])
    assert constant_speed([0, 0.5], torch.tensor([1.0, 3.0]), closed=True) == pytest.approx([0, 0.5 + 0.5 / 3])


def test_a_way_that_does_not_move_keeps_its_ends():
    at = constant_speed(positions(5, closed=False), torch.zeros(4))
    assert at == pytest.approx(positions(5, closed=False))
