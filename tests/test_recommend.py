"""Which root: on grey pictures whose best root is known, and from the command line."""

import json

import pytest

from cocktail import checkpoints
from cocktail.__main__ import main
from cocktail.errors import CocktailError
from cocktail.metrics.recommend import recommend, recommendation
from cocktail.sources import GanSource
from tests.grey import grey

# Brightness of narrow models at both sides, and of one that covers them both.
DARK, BRIGHT, WIDE = (-0.3, 0.05), (0.3, 0.05), (0.0, 0.3)


def sources(**models):
    return {name: GanSource(gan) for name, gan in models.items()}


def test_the_model_whose_samples_cover_the_others_is_recommended():
    found = recommend(sources(dark=grey(*DARK), wide=grey(*WIDE), bright=grey(*BRIGHT)), n=300)
    rows = found.rows
    assert found.best == "wide" and list(rows) == ["dark", "wide", "bright"]
    assert rows["wide"].recall > 0.95 > 0.7 > rows["dark"].recall
    # Of the wide model's samples few lie in each narrow one, of a narrow one's all lie in the wide one.
    assert rows["wide"].precision < 0.5 < rows["dark"].precision + 0.1
    assert rows["wide"].frechet < rows["dark"].frechet and rows["wide"].frechet < rows["bright"].frechet
    assert found.features == "pixels, 8x8"


def test_diversity_is_the_mean_distance_of_two_samples():
    rows = recommend(sources(a=grey(0, 0.05), b=grey(0, 0.2)), n=400).rows
    assert rows["b"].diversity / rows["a"].diversity == pytest.approx(4, rel=0.15)


def test_each_score_says_which_root_it_would_pick():
    found = recommend(sources(dark=grey(*DARK), wide=grey(*WIDE), bright=grey(*BRIGHT), odd=grey(0.9, 0.3)), n=300)
    rows, picks = found.rows, found.picks
    assert list(picks) == ["recall", "frechet", "kid", "precision", "diversity"]
    assert picks["recall"] == found.best == "wide"
    for score, choose in (("frechet", min), ("kid", min), ("precision", max), ("diversity", max)):
        assert picks[score] == choose(rows, key=lambda name: getattr(rows[name], score)), score
    assert picks["precision"] != picks["recall"], "a narrow model lies among the others, and covers none"


def test_no_score_picks_what_cannot_be_the_root():
    wide = GanSource(grey(*WIDE, classes=("cat", "dog")), ("cat",))
    found = recommend({"wide": wide} | sources(dark=grey(*DARK), bright=grey(*BRIGHT)), n=200)
    assert "wide" not in found.picks.values()


def test_the_kernel_distance_is_small_between_models_that_draw_the_same():
    far = recommend(sources(a=grey(*DARK), b=grey(*BRIGHT)), n=200).rows["a"]
    near = recommend(sources(a=grey(*DARK), b=grey(*DARK)), n=200).rows["a"]
    assert abs(near.kid) < 0.02 * far.kid and far.lpips is None


@pytest.mark.parametrize("resolution, there", [(16, True), (8, False)])
def test_lpips_compares_pairs_of_one_class_where_it_is_at_hand(monkeypatch, resolution, there):
    class Fake:
        name = "LPIPS"

        def __call__(self, first, second):
            assert first.shape[1:] == (3, 16, 16)
            return (first - second).abs().mean(dim=(1, 2, 3))

    monkeypatch.setattr("cocktail.metrics.lpips.missing", lambda: None)
    monkeypatch.setattr("cocktail.metrics.lpips.Lpips", Fake)
    models = sources(a=grey(0, 0.02, resolution=resolution), b=grey(0, 0.2, resolution=32))
    found = recommend(models, n=64)
    if there:
        assert found.rows["b"].lpips == pytest.approx(2 / 3.1416**0.5 * 0.2, rel=0.3) and found.picks["lpips"] == "b"
    else:
        assert found.rows["b"].lpips is None and "lpips" not in found.picks


def test_where_nothing_covers_anything_the_nearest_model_is_recommended():
    found = recommend(sources(a=grey(-0.8, 0.01), b=grey(0.1, 0.01), c=grey(0.3, 0.01)), n=100)
    assert all(row.recall == 0 for row in found.rows.values())
    assert found.best == "b" and "as much as a and c; the smaller Frechet distance" in found.reason


def test_of_two_models_no_distance_picks_one_and_equals_in_recall_are_the_first_of_them():
    near, far = sources(a=grey(*DARK), b=grey(*WIDE)), sources(b=grey(-0.8, 0.01), a=grey(0.1, 0.01))
    found = recommend(near, n=200)
    assert found.best == found.picks["recall"] == "b" and set(found.picks) == {"recall", "precision", "diversity"}
    assert found.rows["a"].frechet == found.rows["b"].frechet and found.rows["a"].kid == found.rows["b"].kid
    assert found.scores == ["recall", "frechet", "kid", "precision", "diversity"]
    found = recommend(far, n=100)
    assert found.best == "b" and "recall" not in found.picks and "so it is the first." in found.reason


def test_a_model_of_which_only_some_classes_are_taken_cannot_be_the_root():
    wide = GanSource(grey(*WIDE, classes=("cat", "dog")), ("cat",))
    found = recommend({"wide": wide} | sources(dark=grey(*DARK), bright=grey(*BRIGHT)), n=200)
    assert not found.rows["wide"].eligible and found.rows["wide"].recall > found.rows[found.best].recall
    assert found.best != "wide"
    assert (
        "only 1 of its 2 classes are taken" in found.rows["wide"].remark and found.rows["wide"].remark in found.reason
    )


def test_a_model_with_a_discriminator_is_preferred(tiny):
    dark, bright = (grey(*at, discriminator=tiny(seed=i).discriminator) for i, at in enumerate((DARK, BRIGHT)))
    found = recommend(sources(wide=grey(*WIDE), dark=dark, bright=bright), n=100)
    assert found.best in ("dark", "bright") and found.rows["wide"].eligible
    assert "no discriminator" in found.rows["wide"].remark and "no discriminator" in found.reason
    assert found.features.count("discriminator") == 1, "both are untitled; a name is told once"


def test_every_class_of_a_model_is_sampled():
    gan = grey(0, 0.1, classes=("cat", "dog", "cow"))
    drawn = []
    source = GanSource(gan)
    source.sample_class = lambda labels, rng: (
        drawn.extend(labels.tolist()),
        GanSource.sample_class(source, labels, rng),
    )[1]
    recommend({"union": source} | sources(other=grey(*DARK)), n=40)
    assert [drawn.count(i) for i in range(3)] == [14, 13, 13]


def test_the_reason_gives_the_figures_and_claims_no_more_than_a_rough_guide():
    found = recommend(sources(dark=grey(*DARK), wide=grey(*WIDE)), n=100)
    row = found.rows["wide"]
    assert (
        f"{row.recall:.1%}" in found.reason and f"{row.frechet:.3g}" in found.reason and "rough guide" in found.reason
    )


def test_the_same_seed_gives_the_same_figures(tiny):
    models = sources(a=tiny(seed=1, resolution=16), b=tiny(seed=2))
    assert recommend(models, 64, 5) == recommend(models, 64, 5) != recommend(models, 64, 6)


def test_progress_counts_the_pictures():
    steps = list(recommendation(sources(a=grey(*DARK), b=grey(*WIDE)), n=100))
    assert steps == [(64, 200), (100, 200), (164, 200), (200, 200)]


@pytest.mark.parametrize(
    "models, n, message",
    [
        (sources(a=grey(0, 1)), 100, "1 models, n is 100; a choice needs two models or more"),
        (sources(a=grey(0, 1), b=grey(0, 1)), 31, "n >= 32"),
        ({name: GanSource(grey(0, 1, ("x", "y")), ("x",)) for name in "ab"}, 100, "no model can be the root"),
    ],
)
def test_what_leaves_no_choice_is_refused(models, n, message):
    with pytest.raises(CocktailError, match=message):
        recommend(models, n)


@pytest.fixture(scope="module")
def refs(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return [str(checkpoints.save(tiny(seed=seed), folder / name)) for seed, name in enumerate(("cat", "dog"))]


def test_the_command_prints_a_table_and_the_choice(refs, capsys):
    assert main(["recommend", *refs, "-n", "64"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["model", "recall", "frechet", "kid", "precision", "diversity"]
    assert lines[2].split()[0] == refs[0] and lines[3].split()[0] == refs[1]
    assert lines[4].startswith("diversity: mean feature distance") and "LPIPS is not at hand" in lines[4]
    assert lines[5].startswith("each score alone would pick: recall ") and "frechet none, kid none" in lines[5]
    assert lines[6].startswith("root: ") and lines[6].split()[1].rstrip(".") in refs


def test_the_command_gives_json(refs, capsys):
    assert main(["recommend", *refs, "-n", "64", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["best"] in refs and set(printed["rows"]) == set(refs) and printed["n"] == 64
    assert set(printed["picks"]) <= {"recall", "precision", "diversity"}, "distances of two are the same both ways"
    assert printed["picks"].get("recall", refs[0]) == printed["best"] and printed["rows"][refs[0]]["lpips"] is None


def test_the_command_refuses_one_model_twice(refs, capsys):
    assert main(["recommend", refs[0], refs[0]]) == 2
    assert "given twice" in capsys.readouterr().err
