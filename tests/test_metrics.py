"""Scores against closed forms and an independent implementation; reports against sources whose scores are known."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.linalg
import torch

from cocktail import checkpoints
from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.images import to_uint8
from cocktail.metrics import DrawnDomains, OracleFeatures, Scores, evaluate, evaluation, reference
from cocktail.metrics.scores import class_accuracy, covariance, frechet_distance, gaussian_distance, precision_recall
from cocktail.networks import custom

RNG = torch.Generator


def normal(n, dim, seed=0):
    return torch.randn(n, dim, generator=RNG().manual_seed(seed), dtype=torch.float64)


def whitened(n, dim, seed=0):
    """Vectors of exactly zero mean and unit covariance, so that closed forms hold to rounding."""
    x = normal(n, dim, seed)
    x = x - x.mean(0)
    return x @ torch.linalg.inv(torch.linalg.cholesky(covariance(x))).T


def test_frechet_distance_of_identical_sets_is_zero():
    x = normal(300, 20) @ normal(20, 20, seed=1)
    assert frechet_distance(x, x.clone()) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_of_a_shift_is_its_squared_length():
    x, shift = whitened(200, 5), torch.tensor([3.0, 0, 4, 0, 0])
    assert frechet_distance(x, x + shift) == pytest.approx(25, rel=1e-9)


def test_frechet_distance_of_scaled_gaussians_is_the_sum_of_squared_differences():
    x = whitened(200, 3)
    scales = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)
    # For commuting covariances: sum (s_a - s_b)^2 over the axes.
    assert frechet_distance(x, x * scales) == pytest.approx(0 + 1 + 16, rel=1e-9)


def test_frechet_distance_of_flat_distributions_is_exact_and_symmetric():
    x = whitened(100, 4)
    flat = x * torch.tensor([1.0, 1, 0, 0])
    assert frechet_distance(x, flat) == pytest.approx(2, rel=1e-7)
    assert frechet_distance(flat, x) == pytest.approx(2, rel=1e-7)


def test_frechet_distance_agrees_with_scipy_on_covariances_that_do_not_commute():
    a, b = normal(500, 16) @ normal(16, 16, 1), normal(400, 16, 2) @ normal(16, 16, 3) + 0.5
    cov_a, cov_b = np.cov(a.numpy(), rowvar=False), np.cov(b.numpy(), rowvar=False)
    root = scipy.linalg.sqrtm(cov_a @ cov_b).real
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum().item() + np.trace(cov_a + cov_b - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-8)
    assert frechet_distance(a.float(), b.float()) == pytest.approx(expected, rel=1e-4)


def test_gaussian_distance_takes_moments_directly():
    mean, eye = torch.zeros(2, dtype=torch.float64), torch.eye(2, dtype=torch.float64)
    assert gaussian_distance(mean, eye, mean + 1, 4 * eye) == pytest.approx(2 + 2, rel=1e-12)


def test_frechet_distance_of_fewer_vectors_than_dimensions_is_finite_and_positive():
    assert 0 < frechet_distance(normal(10, 64), normal(10, 64, 1)) < 1000


@pytest.mark.parametrize(
    "a, b, message",
    [
        (torch.zeros(1, 3), torch.zeros(5, 3), "N >= 2"),
        (torch.zeros(5), torch.zeros(5, 3), "expected \\[N, D\\]"),
        (torch.zeros(5, 3), torch.zeros(5, 4), "use one extractor"),
        (torch.full((5, 3), float("nan")), torch.zeros(5, 3), "NaN"),
    ],
)
def test_features_that_cannot_be_compared_are_refused(a, b, message):
    with pytest.raises(CocktailError, match=message):
        frechet_distance(a, b)


def test_identical_sets_have_full_precision_and_recall():
    x = normal(200, 8)
    assert precision_recall(x, x.clone()) == (1.0, 1.0)


def test_distant_sets_have_neither_precision_nor_recall():
    assert precision_recall(normal(100, 8), normal(100, 8, 1) + 1000) == (0.0, 0.0)


def test_half_of_the_fakes_among_half_of_the_reals_gives_one_half_each():
    shared, only_real, only_fake = normal(100, 4), normal(100, 4, 1) + 1000, normal(100, 4, 2) - 1000
    assert precision_recall(torch.cat([shared, only_real]), torch.cat([shared, only_fake])) == (0.5, 0.5)


def test_a_collapsed_model_has_precision_without_recall():
    real = normal(500, 2)
    fake = real.mean(0) + 1e-6 * normal(100, 2, 1)
    precision, recall = precision_recall(real, fake)
    assert precision == 1 and recall == 0


def test_the_ball_reaches_to_the_kth_neighbour_and_no_further():
    real = torch.arange(10.0)[:, None]  # the 2nd nearest neighbour of 0 and of 9 is 2 away, of the others 1
    fake = torch.tensor([[-2.0], [-2.001], [11.0], [11.001], [0.5], [5.0]])
    assert precision_recall(real, fake, k=2)[0] == pytest.approx(4 / 6)


def test_precision_and_recall_are_the_same_in_chunks(monkeypatch):
    real, fake = normal(150, 3), normal(130, 3, 1) * 1.5
    whole = precision_recall(real, fake)
    monkeypatch.setattr("cocktail.metrics.distances.ENTRIES", 1000)
    assert precision_recall(real, fake) == whole
    assert whole == brute_force_precision_recall(real.numpy(), fake.numpy(), 5)


def brute_force_precision_recall(real, fake, k):
    def covered(points, centres):
        inside = 0
        for point in points:
            for centre in centres:
                radius = np.sort(np.linalg.norm(centres - centre, axis=1))[k]
                if np.linalg.norm(point - centre) <= radius:
                    inside += 1
                    break
        return inside / len(points)

    return covered(fake, real), covered(real, fake)


@pytest.mark.parametrize("k, n", [(0, 10), (5, 5)])
def test_too_few_vectors_for_neighbours_are_refused(k, n):
    with pytest.raises(CocktailError):
        precision_recall(normal(n, 2), normal(n, 2), k)


def test_class_accuracy_counts_the_largest_logit():
    logits = torch.tensor([[2.0, 1.0], [0.0, 1.0], [5.0, 4.0], [1.0, 0.0]])
    assert class_accuracy(logits, 0) == 0.75
    with pytest.raises(CocktailError):
        class_accuracy(logits, 2)


@dataclass
class Reading:
    class_logits: torch.Tensor
    factors: dict


class Colour:
    """Mean colour as feature; says "red" of what is redder than green, and takes the blue channel for the yaw."""

    name, dim, classes = "colour", 3, ("red", "green")

    def __call__(self, img):
        return img.float().mean(dim=(2, 3)) / 127.5 - 1

    def read(self, img, label):
        mean = self(img)
        return Reading(mean[:, :2], {"yaw": mean[:, 2]})


class ColourOnly:
    name, dim = "colour", 3
    __call__ = Colour.__call__


class Flat:
    """Flat pictures: class i has mean colour i of `colours` with spread 0.1 in each channel."""

    def __init__(self, classes, colours, resolution=8):
        self.classes, self.colours, self.resolution = classes, torch.tensor(colours), resolution

    def sample_class(self, labels, rng):
        colour = self.colours[labels] + 0.1 * torch.randn(len(labels), 3, generator=rng)
        return colour.clamp(-1, 1)[:, :, None, None].expand(-1, -1, self.resolution, self.resolution)


class Twin:
    """A model and a source that paint the same: flat pictures, of mean `colour` with spread 0.1 in each channel."""

    def __init__(self, classes, colour):
        self.source = Flat(classes, [colour] * len(classes))
        self.gan = painter(classes)
        self.gan.generator.synthesize = lambda ws, noise_mode="const", rng=None: (
            torch.tensor(colour) + 0.1 * ws[:, 0, :3]
        )[:, :, None, None].expand(-1, -1, 8, 8)
        self.gan.generator.map = lambda z, c, truncation=1.0, cutoff=None: z[:, None]


RED, GREEN = [0.5, -0.5, 0.0], [-0.5, 0.5, 0.0]


def painter(classes):
    """A GAN that paints nearly flat grey pictures: the last layer's bias is the colour."""
    torch.manual_seed(0)
    gan = Gan(custom.Generator(custom.GeneratorConfig(z_dim=4, embed_dim=4, channels=(4, 4), c_dim=len(classes))), None,
              classes)  # fmt: skip
    with torch.no_grad():
        gan.generator.rgb.weight.zero_()
        gan.generator.rgb.bias.copy_(torch.tensor(RED))
    return gan


def test_a_report_scores_every_class_and_the_union():
    gan = painter(("red", "green"))
    report = evaluate(gan, [Flat(("green",), [GREEN]), Flat(("red",), [RED])], Colour(), n=200, seed=3)
    assert list(report.classes) == ["red", "green"] and report.n == 200 and report.features == "colour"
    red, green = report.classes["red"], report.classes["green"]
    assert red.class_accuracy == 1 and green.class_accuracy == 0  # both classes come out red
    assert red.frechet == pytest.approx(0.03, rel=0.2)  # a point against three axes of spread 0.1
    assert green.frechet == pytest.approx(2.03, rel=0.05)
    assert 0 < red.floor < 0.004 and 0 < green.floor < 0.004
    assert red.precision == 1 and red.recall == 0 and green.precision == 0
    assert red.yaw_std == pytest.approx(0, abs=1e-6) and red.reference_yaw_std == pytest.approx(0.1, rel=0.15)
    assert report.union.n == 400 and report.union.class_accuracy == 0.5
    assert report.distances["red-green"] == pytest.approx(2, rel=0.1)
    assert json.loads(json.dumps(report.to_dict()))["classes"]["red"]["frechet"] == red.frechet


def test_a_report_is_the_same_again_and_another_with_another_seed():
    gan, references = painter(("red",)), [Flat(("red",), [RED])]
    first, again, other = (evaluate(gan, references, Colour(), n=50, seed=s) for s in (0, 0, 1))
    assert first == again and first != other
    assert first.union is None and first.distances == {}


def test_a_model_without_classes_is_scored_against_one_reference():
    report = evaluate(painter(()), [Flat(("red",), [RED])], Colour(), n=60)
    assert list(report.classes) == ["red"]
    with pytest.raises(CocktailError, match="reference of one class; references are for: red, green"):
        evaluate(painter(()), [Flat(("red", "green"), [RED, GREEN])], Colour(), n=60)


def test_scores_that_need_a_reader_are_none_without_one_or_for_a_class_it_does_not_know():
    unknown = evaluate(painter(("blue",)), [Flat(("blue",), [RED])], Colour(), n=20).classes["blue"]
    unread = evaluate(painter(("red",)), [Flat(("red",), [RED])], ColourOnly(), n=20).classes["red"]
    for scores in (unknown, unread):
        assert scores.class_accuracy is None and scores.yaw_std is None and scores.frechet > 0


def test_scores_of_the_reference_itself_are_those_of_equal_distributions():
    same = Twin(("red",), RED)
    scores = evaluate(same.gan, [same.source], ColourOnly(), n=400, intervals=True).classes["red"]
    low, high = scores.intervals["frechet_corrected"]
    assert low < 0 < high and scores.frechet_corrected < scores.frechet
    low, high = scores.intervals["kid"]
    assert low < 0 < high and low < scores.kid < high
    assert scores.coverage > 0.9 and scores.density == pytest.approx(1, abs=0.2) and abs(scores.mmd) < 0.01
    assert scores.diversity == pytest.approx(scores.reference_diversity, rel=0.1)
    # Two points of a normal of deviation 0.1 in three dimensions: 0.1 x sqrt(2) x the mean of chi with 3 degrees.
    assert scores.reference_diversity == pytest.approx(0.1 * 2**0.5 * (8 / np.pi) ** 0.5, rel=0.06)


def test_intervals_hold_their_score_and_are_given_on_request_only():
    gan, references = painter(("red", "green")), [Flat(("red", "green"), [RED, GREEN])]
    plain = evaluate(gan, references, Colour(), n=60)
    report = evaluate(gan, references, Colour(), n=60, intervals=True)
    names = {"frechet", "frechet_corrected", "precision", "recall", "kid", "density", "coverage"}
    for scores, without in ((report.union, plain.union), (report.classes["red"], plain.classes["red"])):
        assert without.intervals == {} and without.frechet_corrected is None
        assert scores.frechet == without.frechet and scores.kid == without.kid
        assert set(scores.intervals) == names
        for name, (low, high) in scores.intervals.items():
            assert low <= getattr(scores, name) <= high, name
    stored = json.loads(json.dumps(report.to_dict()))
    assert stored["union"]["intervals"]["frechet"] == list(report.union.intervals["frechet"])


def test_intervals_of_too_few_pictures_are_refused():
    with pytest.raises(CocktailError, match="n is 11; intervals need n >= 12"):
        evaluate(painter(("red",)), [Flat(("red",), [RED])], Colour(), n=11, intervals=True)


def test_modes_are_the_combinations_of_the_binary_factors_of_a_drawn_domain():
    class Dogs(Colour):
        classes = ("dog", "cat")

        def read(self, img, label):
            mean = self(img)
            patch = torch.arange(len(img)) % 2
            return Reading(mean[:, :2], {"yaw": mean[:, 2], "patch": patch.float(), "tongue": torch.zeros(len(img))})

    gan, references = painter(("dog", "cat")), [Flat(("dog", "cat"), [RED, GREEN])]
    report = evaluate(gan, references, Dogs(), n=40)
    assert report.classes["dog"].modes == 0.5  # patch or none, never a tongue
    assert report.classes["cat"].modes is None and report.union.modes is None  # a cat has no binary factors


def test_scores_of_an_old_card_can_be_read():
    stored = {"n": 2000, "frechet": 0.4, "floor": 0.3, "precision": 0.9, "recall": 0.8, "class_accuracy": 1.0}
    scores = Scores(**stored)
    assert scores.intervals == {} and scores.kid is None and scores.recall == 0.8


def test_progress_rises_to_all_pictures():
    seen = list(evaluation(painter(("red",)), [Flat(("red",), [RED])], Colour(), n=50, batch=20))
    assert [done for done, total in seen if total == 150] == [20, 40, 50, 70, 90, 100, 120, 140, 150]


@pytest.mark.parametrize(
    "references, n, message",
    [
        ([], 50, "references are for: none"),
        ([Flat(("zebra",), [RED])], 50, r"\(red\); references are for: zebra"),
        ([Flat(("red",), [RED]), Flat(("red",), [RED])], 50, "two references stand for the class red"),
        ([Flat(("red",), [RED])], 5, "n is 5"),
        ([Flat(("red",), [RED])], -1, "n is -1"),
    ],
)
def test_references_that_do_not_fit_are_refused(references, n, message):
    with pytest.raises(CocktailError, match=message):
        evaluate(painter(("red",)), references, Colour(), n=n)


def test_oracle_features_keep_the_domains_apart_and_read_their_yaw():
    extractor, img = OracleFeatures(), {}
    for name in ("face", "cat"):
        source = DrawnDomains((name,), 64)
        img[name] = [to_uint8(source.sample_class(torch.zeros(150).long(), RNG().manual_seed(s))) for s in (1, 2)]
    face, again, cat = extractor(img["face"][0]), extractor(img["face"][1]), extractor(img["cat"][0])
    assert face.shape == (150, extractor.dim) and face.dtype == torch.float32
    assert frechet_distance(face, again) < 0.05 * frechet_distance(face, cat)
    reading = extractor.read(img["cat"][0], "cat")
    assert class_accuracy(reading.class_logits, extractor.classes.index("cat")) > 0.97
    assert 0.4 < reading.factors["yaw"].std() < 0.75  # drawn uniformly from [-1, 1]: 0.577


def test_drawn_references_are_new_each_time_and_sorted_by_label():
    source = DrawnDomains(("face", "car"), 16)
    rng, labels = RNG().manual_seed(0), torch.tensor([1, 0, 1])
    first, second = source.sample_class(labels, rng), source.sample_class(labels, rng)
    assert first.shape == (3, 3, 16, 16) and not torch.equal(first, second)
    assert torch.equal(first, source.sample_class(labels, RNG().manual_seed(0)))


@pytest.mark.parametrize(
    "text, classes, expected",
    [
        ("cat", ("cat", "dog"), ("cat",)),
        ("dog=cat", ("cat", "dog"), ("dog",)),
        ("car", (), ("car",)),
        ("{folder}/cat", ("cat", "dog"), ("cat",)),
        ("dog={folder}/cat", ("cat", "dog"), ("dog",)),
        ("{folder}/union", ("cat", "dog"), ("cat", "dog")),
        ("dog={folder}/union", ("cat", "dog"), ("dog",)),
    ],
)
def test_a_reference_stands_for_the_class_that_its_text_says(text, classes, expected, tmp_path):
    checkpoints.save(painter(()), tmp_path / "cat")
    checkpoints.save(painter(("cat", "dog")), tmp_path / "union")
    source = reference(text.format(folder=tmp_path), painter(classes))
    assert source.classes == expected and source.resolution == 8
    assert source.sample_class(torch.tensor([0, 0]), RNG()).shape == (2, 3, 8, 8)


@pytest.mark.parametrize(
    "text, message",
    [
        ("zebra", "neither a path nor a bundled model"),
        ("{folder}/thing", 'say which one is meant, for example "cat='),
        ("zebra=cat", "stands for zebra, but the model's classes are cat, dog"),
        ("cat={folder}/union", "has the classes a, b and none called 'cat'"),
    ],
)
def test_a_reference_to_nothing_that_fits_is_refused(text, message, tmp_path):
    checkpoints.save(painter(()), tmp_path / "thing")
    checkpoints.save(painter(("a", "b")), tmp_path / "union")
    with pytest.raises(CocktailError, match=message):
        reference(text.format(folder=tmp_path), painter(("cat", "dog")))
