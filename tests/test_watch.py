"""The scores of a run: closed forms on grey pictures, real tiny models, and the alarms that follow from them."""

import numpy as np
import pytest
import torch

from cocktail.errors import CocktailError
from cocktail.metrics.alarms import alarms
from cocktail.metrics.features import PixelFeatures
from cocktail.metrics.watch import Watch
from cocktail.sources import FolderSource, GanSource
from tests.drawn import drawn
from tests.grey import grey


def source(gan, name):
    return GanSource(gan, (), (name,))


class Counting(PixelFeatures):
    """Pixels, with a count of the pictures seen."""

    def __init__(self, name):
        super().__init__(8)
        self.name, self.seen = name, 0

    def __call__(self, img):
        self.seen += len(img)
        return super().__call__(img)


def test_a_student_that_draws_like_its_source_scores_like_the_source_itself():
    watch = Watch.of([source(grey(0, 0.2), "cat")], n=1000)
    scores = watch.measure(grey(0, 0.2))["cat"]
    assert scores["frechet"] < 0.02 and watch.floor("cat") < 0.02
    assert scores["spread"] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("centre, deviation", [(0.3, 0.2), (0, 0.1), (-0.2, 0.05)])
def test_scores_of_grey_pictures_are_their_closed_forms(centre, deviation):
    watch = Watch.of([source(grey(0, 0.2), "cat")], n=4000)
    scores = watch.measure(grey(centre, deviation))["cat"]
    # One dimension, in units of the source's variance.
    expected = (centre**2 + (deviation - 0.2) ** 2) / 0.2**2
    assert scores["frechet"] == pytest.approx(expected, rel=0.1, abs=0.01)
    assert scores["spread"] == pytest.approx(deviation / 0.2, rel=0.1)


def test_a_student_whose_pictures_are_all_alike_has_no_spread(tiny):
    gan = tiny(resolution=16)
    student = gan.copy()
    with torch.no_grad():
        for name, value in student.generator.mapping.named_parameters():
            if name.endswith("weight"):
                value.zero_()
    watch = Watch.of([source(gan, "cat")], n=128)
    assert watch.measure(student)["cat"]["spread"] < 1e-3 < 0.8 < watch.measure(gan)["cat"]["spread"]


def test_another_model_is_further_away_than_the_source(tiny):
    gans = [tiny(seed=seed, resolution=16) for seed in range(2)]
    watch = Watch.of([source(gan, name) for gan, name in zip(gans, ("cat", "dog"))], n=128)
    for gan, own, other in zip(gans, ("cat", "dog"), ("dog", "cat")):
        near, far = (watch.measure(gan, [name])[name]["frechet"] for name in (own, other))
        assert near < 3 * watch.floor(own) and far > 5 * watch.floor(other)


def test_a_student_with_classes_is_measured_on_those_that_are_asked_for(tiny):
    union = tiny(("cat", "dog", "cow"), resolution=16)
    watch = Watch.of([GanSource(union, ("dog", "cat"))], n=64)
    assert list(watch.measure(union)) == ["dog", "cat"]
    assert list(watch.measure(union, ["cat"])) == ["cat"]
    assert watch.measure(union)["cat"] == watch.measure(union, ["cat"])["cat"]
    assert watch.measure(union)["cat"]["frechet"] < 3 * watch.floor("cat")


def test_each_class_is_seen_by_its_own_source_and_references_are_drawn_once_when_needed():
    extractors = [Counting("a"), Counting("b"), Counting("b")]
    sources = [source(grey(0, 0.1), name) for name in ("cat", "dog", "cow")]
    watch = Watch(sources, extractors, n=32)
    assert watch.name == "a; b" and not any(e.seen for e in extractors)
    watch.measure(grey(0, 0.1), ["dog"])
    assert [e.seen for e in extractors] == [0, 96, 0]
    watch.measure(grey(0, 0.1), ["dog"])
    assert watch.floor("dog") >= 0 and [e.seen for e in extractors] == [0, 128, 0]


def test_figures_are_the_same_each_time_and_no_global_random_state_is_touched(tiny):
    gan, before, numpy_before = tiny(resolution=16), torch.get_rng_state(), np.random.get_state()[1].copy()
    watches = [Watch.of([source(gan, "cat")], n=64, seed=seed) for seed in (1, 1, 2)]
    first, again, other = (watch.measure(gan) for watch in watches)
    assert first == again == watches[0].measure(gan) and first != other
    assert watches[0].floor("cat") == watches[1].floor("cat") != watches[2].floor("cat")
    assert torch.equal(torch.get_rng_state(), before) and np.array_equal(np.random.get_state()[1], numpy_before)


def test_pictures_are_seen_by_the_first_discriminator_there_is(tiny, tmp_path):
    folder = FolderSource(drawn(tmp_path / "fox", 40), 16)
    gans = [tiny(resolution=16, discriminator=False), tiny(resolution=16, seed=1), tiny(resolution=16, seed=2)]
    for gan, name in zip(gans, "abc"):
        gan.card = {"title": name}
    watch = Watch.of([*(source(gan, name) for gan, name in zip(gans, ("cat", "dog", "cow"))), folder], n=64)
    assert [(o.extractor.name[-1], type(o.extractor).__name__) for o in map(watch._owners.get, watch.classes)] == [
        ("8", "PixelFeatures"), *((title, "DiscriminatorFeatures") for title in "bcb")
    ]  # fmt: skip
    far = watch.measure(gans[1], ["fox"])["fox"]
    assert far["frechet"] > 5 * watch.floor("fox") and far["spread"] > 0


def test_pictures_alone_are_seen_as_pixels_also_where_they_are_fewer_than_the_set(tmp_path):
    watch = Watch.of([FolderSource(drawn(tmp_path / "fox", 5), 8)], n=64)
    assert watch.name == "pixels, 8x8" and 0 <= watch.floor("fox") < 0.2


def test_a_student_of_another_size_is_measured_too(tiny):
    watch = Watch.of([source(tiny(resolution=16), "cat")], n=32)
    assert watch.measure(tiny(resolution=8))["cat"]["frechet"] > 0


@pytest.mark.parametrize(
    "act, message",
    [
        (lambda s: Watch.of([s, s]), "class names must differ, found cat, cat"),
        (lambda s: Watch.of([s], n=15), "n is 15"),
        (lambda s: Watch([s], []), "0 extractors"),
        (lambda s: Watch.of([s]).floor("dog"), "no source draws the class 'dog'; known: cat"),
        (lambda s: Watch.of([s]).measure(grey(0, 1), ["dog"]), "known: cat"),
        (lambda s: Watch.of([s]).measure(grey(0, 1, ("dog",))), "the classes dog cannot be measured on cat"),
        (
            lambda s: Watch.of([s, source(s.gan, "dog")]).measure(grey(0, 1)),
            "classes none cannot be measured on cat, d",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused(act, message):
    with pytest.raises(CocktailError, match=message):
        act(source(grey(0, 0.1), "cat"))


# --- alarms


def points(distances, spreads=None):
    spreads = spreads or [1.0] * len(distances)
    return [{"images": 1000 * i, "frechet": f, "spread": s} for i, (f, s) in enumerate(zip(distances, spreads))]


@pytest.mark.parametrize(
    "spreads, alarming",
    [
        ([1.0, 0.8], False),
        ([1.0, 0.29], True),  # low and falling
        ([0.2, 0.29], False),  # low, but rising
        ([0.1, 0.149], True),  # far too low, rising or not
        ([0.1], True),
        ([0.2], False),
        ([0.1, 0.6], False),  # recovered
    ],
)
def test_collapse_is_a_low_spread_that_falls_or_hardly_any_spread(spreads, alarming):
    found = alarms("cat", points([0.1] * len(spreads), spreads), floor=0.1)
    assert bool(found) == alarming
    if alarming:
        assert found[0].startswith("cat: collapse") and f"{spreads[-1]:.0%}" in found[0] and "learning rate" in found[0]


@pytest.mark.parametrize(
    "distances, alarming",
    [
        ([0.5, 0.4, 0.3], False),
        ([0.1, 2.0, 2.0], True),
        ([0.1, 2.0], False),  # once is chance
        ([0.1, 2.0, 0.2], False),  # recovered
        ([0.5, 1.2, 1.4], False),  # not 3 times the best
        ([0.01, 0.9, 0.9], False),  # not 10 times the floor
        ([2.0, 2.0], False),  # never good, so not diverging
        ([], False),
    ],
)
def test_divergence_is_a_distance_far_above_the_best_and_the_floor_twice_running(distances, alarming):
    found = alarms("dog", points(distances), floor=0.1)
    assert bool(found) == alarming
    if alarming:
        assert "dog: divergence at image 2,000: Frechet distance 2, after 0.1 at image 0" in found[0]
        assert "raise gamma" in found[0] and "branch" in found[0]


def test_both_alarms_can_ring_at_once():
    assert len(alarms("cat", points([0.1, 5, 5], [1, 0.2, 0.1]), floor=0.1)) == 2
