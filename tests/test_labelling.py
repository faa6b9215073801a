"""From marks and scores to a direction: a planted one is found again, and what cannot be found is refused."""

import math

import pytest
import torch

from cocktail.errors import CocktailError
from cocktail.gan import Gan, latents
from cocktail.images import to_uint8
from editing import labelling
from editing.directions import fit
from editing.labelling import Mark, codes_of, fit_marks, named, score
from editing.recipes import fingerprint


@pytest.fixture(scope="module")
def gan(tiny) -> Gan:
    return tiny(("cat", "dog"), discriminator=False)


def planted(gan: Gan, seed: int = 0) -> torch.Tensor:
    """A direction of unit length within what z moves: the way from one code to another of the same class."""
    a, b = gan.map(latents([1000 + seed, 2000 + seed], gan.z_dim), gan.classes[0] if gan.classes else None)[:, 0]
    return (b - a) / (b - a).norm()


def judged(gan: Gan, label: str | None, vector: torch.Tensor, count: int = 200, offset: float = 0.0) -> list[Mark]:
    """Marks of the samples that lie on either side of their class's middle along a vector."""
    along = codes_of(gan, [(label, seed) for seed in range(count)]) @ vector
    middle = along.median() + offset
    return [Mark(label, seed, bool(value > middle)) for seed, value in enumerate(along)]


class Planted:
    """A scorer that knows what it is shown: the codes of samples in their order, along a vector."""

    name = "planted"

    def __init__(self, gan: Gan, samples: list[tuple[str | None, int]], vector: torch.Tensor):
        self.values = codes_of(gan, samples) @ vector
        self.pictures = to_uint8(torch.cat([gan.sample([seed], label) for label, seed in samples]))
        self.seen = 0

    def __call__(self, img: torch.Tensor) -> torch.Tensor:
        rows = slice(self.seen, self.seen + len(img))
        assert torch.equal(img, self.pictures[rows]), "the pictures of these samples, in this order"
        self.seen += len(img)
        return self.values[rows]


def test_codes_are_those_of_the_samples_each_as_its_class(gan):
    found = codes_of(gan, [("dog", 4), ("cat", 4), ("dog", 9)])
    expected = [
        gan.map(latents([seed], gan.z_dim), label)[0, 0] for label, seed in (("dog", 4), ("cat", 4), ("dog", 9))
    ]
    assert torch.equal(found, torch.stack(expected))


def test_marks_by_a_planted_direction_give_that_direction(gan):
    vector = planted(gan)
    found = fit_marks(gan, judged(gan, "cat", vector))
    assert found.vector @ vector > 0.95 and found.vector.norm() == pytest.approx(1, abs=1e-5)
    assert found.accuracy > 0.9 and (found.positives, found.negatives) == (100, 100)


def test_marks_of_two_classes_give_what_they_share_not_what_parts_the_classes(gan):
    vector = planted(gan)
    marks = judged(gan, "cat", vector, 120, offset=-0.5) + judged(gan, "dog", vector, 120, offset=0.5)
    assert sum(mark.positive for mark in marks if mark.label == "cat") > 75, "mostly cats are positive"
    codes = {label: codes_of(gan, [(label, seed) for seed in range(120)]) for label in gan.classes}
    apart = codes["cat"].mean(dim=0) - codes["dog"].mean(dim=0)
    apart = apart - (apart @ vector) * vector
    together, found = fit(torch.cat([*codes.values()]), [mark.positive for mark in marks]), fit_marks(gan, marks)
    assert found.vector @ vector > 0.9 and found.vector @ vector > together.vector @ vector
    assert abs(found.vector @ apart) < abs(together.vector @ apart) / 2


def test_a_model_without_classes_is_judged_too(tiny):
    plain = tiny(discriminator=False)
    vector = planted(plain)
    assert fit_marks(plain, judged(plain, None, vector)).vector @ vector > 0.95


@pytest.mark.parametrize(
    "marks, words",
    [([], "at least 5 pictures"), ([Mark("cat", seed, seed < 4) for seed in range(40)], "4 positive and 36 negative"),
     ([Mark("cat", seed, True) for seed in range(9)], "9 positive and 0 negative"),
     ([Mark(label, seed, label == "cat") for label in ("cat", "dog") for seed in range(9)], "only tell the classes"),
     ([Mark("wolf", seed, seed < 9) for seed in range(18)], "Unknown class 'wolf'"),
     ([Mark(None, seed, seed < 9) for seed in range(18)], "A class is needed"),
     ([Mark("cat", -1 - seed, seed < 9) for seed in range(18)], "seed -1 found")],
)  # fmt: skip
def test_marks_that_give_no_direction_are_refused(gan, marks, words):
    with pytest.raises(CocktailError, match=words):
        fit_marks(gan, marks)


def test_a_planted_scorer_marks_the_ends_of_every_class_and_gives_its_direction(gan):
    vector, count, side = planted(gan), 100, 25
    samples = [(label, seed) for label in gan.classes for seed in range(50, 50 + count)]
    scorer = Planted(gan, samples, vector)
    *steps, marks = score(gan, gan.classes, count, scorer, side, start=50)
    assert steps[-1] == (200, 200) and [done for done, _ in steps] == sorted({done for done, _ in steps})
    for rows, label in ((slice(0, count), "cat"), (slice(count, None), "dog")):
        order = scorer.values[rows].argsort()
        low = {50 + int(i) for i in order[:side]}
        high = {50 + int(i) for i in order[-side:]}
        assert {mark.seed for mark in marks if mark.label == label and mark.positive} == high
        assert {mark.seed for mark in marks if mark.label == label and not mark.positive} == low
    assert fit_marks(gan, marks).vector @ vector > 0.9


def test_scores_come_in_batches_with_progress_between(gan, monkeypatch):
    monkeypatch.setattr(labelling, "BATCH", 4)
    scorer = Planted(gan, [("dog", seed) for seed in range(10)], planted(gan))
    *steps, marks = score(gan, ("dog",), 10, scorer, 2)
    assert steps == [(4, 10), (8, 10), (10, 10)] and len(marks) == 4


def test_too_many_or_too_few_pictures_and_equal_scores_are_refused(gan):
    flat = lambda img: torch.zeros(len(img))  # noqa: E731
    for count, words in ((2501, "5002 pictures are to be scored; ask for 2 to 5000"), (0, "0 pictures")):
        with pytest.raises(CocktailError, match=words):
            next(score(gan, gan.classes, count, flat, 5))
    broken = lambda img: torch.full((len(img),), math.nan)  # noqa: E731
    for scorer, side, words in ((flat, 2, "meet at 0"), (broken, 2, "not finite"),
                                (flat, 6, "6 of each side asked of 10")):  # fmt: skip
        with pytest.raises(CocktailError, match=words):
            list(score(gan, ("cat",), 10, scorer, side))


def test_sigma_is_the_spread_of_the_codes_within_classes(gan, monkeypatch):
    monkeypatch.setattr(labelling, "SIGMA_SAMPLES", 50)
    vector = planted(gan)
    along = [codes_of(gan, [(label, seed) for seed in range(50)]).double() @ vector.double() for label in gan.classes]
    squares = sum((values - values.mean()).square().sum().item() for values in along)
    found = named(gan, vector, "  turn  the head ", "by hand", "tiny", fingerprint(gan))
    assert found.sigma == pytest.approx(math.sqrt(squares / (100 - 2)), rel=1e-5)
    assert (found.name, found.layers) == ("turn the head", (0, gan.num_ws - 1))
    assert named(gan, vector, "turn", "", "tiny", "", (1, 2)).layers == (1, 2)


@pytest.mark.parametrize("name", ["", "  ", "x" * 41])
def test_a_direction_needs_a_name_that_is_not_too_long(gan, name):
    with pytest.raises(CocktailError, match=f"{len(name.strip())} letters; a direction needs 1 to 40"):
        named(gan, planted(gan), name, "by hand", "tiny", fingerprint(gan))
