"""When a curve has converged, and which modes samples reach."""

import pytest
import torch

from cocktail.domains.oracle import load_oracle
from cocktail.domains.registry import get
from cocktail.errors import CocktailError
from cocktail.metrics import class_modes, convergence_images, factor_modes, modes_covered


def test_a_falling_score_has_converged_at_its_first_point_within_five_per_cent_of_the_best():
    curve = [(0, 100.0), (1000, 20.0), (2000, 10.4), (3000, 10.6), (4000, 10.0), (5000, 12.0)]
    assert convergence_images(curve) == 2000
    assert convergence_images(curve, tolerance=0) == 4000
    assert convergence_images(curve, tolerance=1) == 1000


def test_a_rising_score_has_converged_within_five_per_cent_below_the_best():
    assert convergence_images([(10, 0.2), (20, 0.94), (30, 0.96), (40, 1.0)], rising=True) == 30


def test_a_best_score_below_zero_is_reached_too():
    assert convergence_images([(10, 1.0), (20, -0.98), (30, -1.0)]) == 20


@pytest.mark.parametrize(
    "curve, message",
    [([], "curve of 0 points"), ([(1, float("nan"))], "finite"), ([(2, 1.0), (2, 0.5)], "must rise")],
)
def test_what_is_no_curve_is_refused(curve, message):
    with pytest.raises(CocktailError, match=message):
        convergence_images(curve)
    with pytest.raises(CocktailError, match="tolerance is -1"):
        convergence_images([(1, 1.0)], tolerance=-1)


def test_a_mode_counts_from_a_tenth_of_its_fair_share():
    found = torch.tensor([0] * 700 + [1] * 26 + [2] * 24 + [0] * 250)  # fair: 250 of 1000
    modes = modes_covered(found, ("a", "b", "c", "d"))
    assert modes.covered == ("a", "b") and modes.share == 0.5
    assert modes.shares == {"a": 0.95, "b": 0.026, "c": 0.024, "d": 0.0}
    assert modes_covered(torch.tensor([1]), ("a", "b", "c")).covered == ("b",), "one sample covers one mode"


def test_combinations_of_binary_factors_are_named_in_the_order_of_their_numbers():
    found, names = factor_modes({"hair": torch.tensor([0.9, 0.9, 0.1, 0.1]), "hat": torch.tensor([1.0, 0.0, 0.6, 0.4])})
    assert names == ("hair hat", "hair no hat", "no hair hat", "no hair no hat")
    assert found.tolist() == [0, 1, 2, 3] and modes_covered(found, names).share == 1


def test_classes_are_modes():
    found, names = class_modes(torch.tensor([[2.0, 1.0], [0.0, 3.0], [0.0, 1.0]]), ("cat", "dog"))
    assert found.tolist() == [0, 1, 1] and modes_covered(found, names).covered == ("cat", "dog")


def test_the_oracle_finds_all_modes_of_drawings_and_one_of_drawings_that_have_one():
    dog, oracle = get("dog"), load_oracle()
    factors = dog.sample(400, torch.Generator().manual_seed(0))
    for kept in (factors, factors | {name: torch.zeros(400) for name in dog.binary}):
        reading = oracle.read(dog.render(kept), "dog")
        modes = modes_covered(*factor_modes({name: reading.factors[name] for name in dog.binary}))
        assert len(modes.covered) == (4 if kept is factors else 1), modes.shares


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: modes_covered(torch.zeros(0).long(), ("a",)), "expected one number per sample"),
        (lambda: modes_covered(torch.tensor([2]), ("a", "b")), "in range"),
        (lambda: class_modes(torch.zeros(3, 2), ("a",)), "for the classes a"),
        (lambda: factor_modes({}), "0 binary factors"),
        (lambda: factor_modes({"x": torch.tensor([torch.nan])}), "x is no probability"),
        (lambda: factor_modes({"yaw": torch.tensor([-0.5])}), "yaw is no probability"),
    ],
)
def test_what_has_no_modes_is_refused(call, message):
    with pytest.raises(CocktailError, match=message):
        call()
