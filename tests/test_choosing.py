"""Which features a model is judged by, and that several discriminators weigh the same."""

import json

import pytest
import torch

from cocktail import checkpoints
from cocktail.__main__ import main
from cocktail.errors import CocktailError
from cocktail.metrics import DrawnDomains, OracleFeatures, PixelFeatures, choose_features
from cocktail.metrics.choosing import SideBySide, is_drawn
from cocktail.metrics.embedding import total_deviation
from cocktail.metrics.features import DiscriminatorFeatures, features_of
from cocktail.sources import GanSource


@pytest.fixture
def union(tiny):
    return tiny(("cat", "dog"), seed=9)


def models(tiny, **options):
    return [GanSource(tiny(seed=i, **options), (), (name,)) for i, name in enumerate(("cat", "dog"))]


def trained_on(gan, domain):
    gan.card["recipe"] = {"domain": domain}
    return gan


def test_drawn_classes_are_judged_by_the_oracle(tiny, union):
    assert isinstance(choose_features("auto", union, [DrawnDomains(("cat", "dog"), 8)]), OracleFeatures)
    learnt = GanSource(trained_on(tiny(), "dog"), (), ("dog",))
    assert isinstance(choose_features("auto", union, [DrawnDomains(("cat",), 8), learnt]), OracleFeatures)
    assert is_drawn(learnt) and not is_drawn(GanSource(trained_on(tiny(), "ffhq")))


def test_a_reference_of_no_class_of_the_model_has_no_say(tiny, union):
    other = GanSource(tiny(), (), ("zebra",))
    assert isinstance(choose_features("auto", union, [DrawnDomains(("cat",), 8), other]), OracleFeatures)


def test_a_class_called_cat_is_not_for_that_reason_drawn(tiny, union):
    found = choose_features("auto", union, models(tiny))
    assert isinstance(found, SideBySide) and found.name.startswith("features of the discriminator of")


def test_other_models_are_judged_by_the_discriminators_of_the_references_never_by_their_own(tiny, union):
    cat, dog = models(tiny)
    cat.gan.card["title"], dog.gan.card["title"], union.card["title"] = "Cats", "Dogs", "Union"
    found = choose_features("auto", union, [cat, dog])
    assert found.name == "features of the discriminator of Cats; features of the discriminator of Dogs"
    assert choose_features("discriminator", union, [cat, dog]).name == found.name
    single = choose_features("auto", union, [cat, DrawnDomains(("dog",), 8)])
    assert single.name == "features of the discriminator of Cats"


def test_where_no_reference_has_a_discriminator_pixels_are_compared(tiny, union):
    bare = models(tiny, discriminator=False)
    assert isinstance(choose_features("auto", union, bare), PixelFeatures)
    with pytest.raises(CocktailError, match="no reference has a discriminator"):
        choose_features("discriminator", union, bare)


def test_a_choice_overrules_what_would_be_taken(tiny, union):
    drawn = [DrawnDomains(("cat",), 8)]
    assert isinstance(choose_features("pixels", union, drawn), PixelFeatures)
    assert isinstance(choose_features("oracle", union, models(tiny)), OracleFeatures)
    with pytest.raises(CocktailError, match="choose auto, oracle, discriminator, inception, pixels"):
        choose_features("vgg", union, drawn)


def test_side_by_side_all_extractors_weigh_the_same(tiny):
    sources = models(tiny, resolution=16)
    loud, quiet = (features_of(source.gan) for source in sources)
    with torch.no_grad():  # the loud one's maps are a thousand times as large
        list(sources[0].gan.discriminator.parameters())[0].mul_(1000)
    joined = SideBySide([loud, quiet], sources)
    img = torch.cat(
        [source.sample_class(torch.zeros(200).long(), torch.Generator().manual_seed(5)) for source in sources]
    )
    found = joined((img * 127.5 + 128).clamp(0, 255).byte())
    assert found.shape == (400, loud.dim + quiet.dim) and found.dtype == torch.float32
    assert found.mean(0).abs().max() < 0.6, "centred, but for the chance of other pictures"
    parts = found.split([loud.dim, quiet.dim], dim=1)
    half = (joined.dim / 2) ** 0.5  # half of a variance that is as large as there are dimensions
    assert [total_deviation(part) for part in parts] == pytest.approx([half, half], rel=0.15)


def test_more_dimensions_than_256_are_projected_the_same_way_each_time(tiny):
    sources = models(tiny, resolution=16)

    class Wide:
        name, dim = "wide", 200

        def __call__(self, img):
            return img.float().flatten(1)[:, :200]

    first, again = (SideBySide([Wide(), Wide()], sources) for _ in range(2))
    img = torch.randint(0, 256, (40, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert first.dim == 256 and first(img).shape == (40, 256) and torch.equal(first(img), again(img))
    gaps = torch.pdist(first(img)), torch.pdist(Wide()(img))
    assert torch.corrcoef(torch.stack(gaps))[0, 1] > 0.7, "what differs must still differ"


@pytest.fixture
def refs(tiny, union, tmp_path):
    for name, gan in (("union", union), ("cat", tiny(seed=1)), ("dog", tiny(seed=2))):
        checkpoints.save(gan, tmp_path / name)
    return [str(tmp_path / name) for name in ("union", "cat", "dog")]


def test_the_command_says_by_which_features_it_judged(refs, capsys):
    union, cat, dog = refs
    assert main(["evaluate", union, "--against", cat, dog, "--n", "20"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("features of the discriminator of an untitled model; ")
    assert "class_accuracy" not in lines[1] and "kid" in lines[1].split()
    assert lines[6].startswith("95 % intervals") and lines[7].split()[:3] == ["class", "frechet", "kid"]
    assert main(["evaluate", union, "--against", "cat", "--n", "20", "--features", "pixels", "--no-intervals"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("pixels, 8x8; 224 dimensions") and "intervals" not in out


def test_the_command_gives_intervals_as_json_unless_told_not_to(refs, capsys):
    union = refs[0]
    options = ["evaluate", union, "--against", "cat", "dog", "--n", "20", "--json", "--features", "pixels"]
    assert main(options) == 0
    intervals = json.loads(capsys.readouterr().out)["union"]["intervals"]
    assert {"frechet", "precision", "recall", "kid"} <= set(intervals)
    assert main([*options, "--no-intervals"]) == 0
    assert json.loads(capsys.readouterr().out)["union"]["intervals"] == {}


def test_the_command_says_where_the_weights_of_inception_go(refs, capsys, monkeypatch):
    monkeypatch.setattr("cocktail.metrics.inception.missing", lambda: "put the file there")
    assert main(["evaluate", refs[0], "--against", "cat", "--features", "inception"]) == 2
    assert "Inception features: put the file there" in capsys.readouterr().err


def test_a_model_that_is_the_reference_of_two_classes_is_asked_once(tiny, union):
    both = tiny(("cat", "dog"), seed=3)
    sources = [GanSource(both, ("cat",)), GanSource(both, ("dog",))]
    assert choose_features("auto", union, sources).dim == DiscriminatorFeatures(both).dim
