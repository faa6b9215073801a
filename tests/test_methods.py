"""The cocktail: rooting, averaging, merging, for sources of every kind; a 16x16 merge from end to end."""

import ast
import itertools
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from cocktail import checkpoints, methods, runs, warmstart
from cocktail.errors import CocktailError
from cocktail.gan import latents, weight_distance
from cocktail.methods.cocktail import PRESETS, CocktailConfig, cocktail
from cocktail.methods.preparing import prepare_root
from cocktail.methods.registry import METHODS, get
from cocktail.networks import stylegan2
from cocktail.recipe import Recipe, Source
from cocktail.sources import FolderSource, GanSource, MixtureSource
from cocktail.teachers import ModelTeacher, PictureTeacher
from cocktail.training import FREE, TrainConfig, TrainState, finetune
from tests.drawn import drawn

NONE = TrainConfig(total_kimg=0.0, batch=4)
SOME = TrainConfig(total_kimg=0.024, batch=4, r1_interval=2, pl_interval=2, ema_kimg=0.005, lr=0.005)
SEEDS = [0, 1, 2]


class Memory:
    """A context that keeps everything in memory."""

    def __init__(self, seed=0):
        self.seed, self.notes, self.shown, self.stages = seed, {}, {}, {}

    def stage(self, name, student, source, config, anchors=None, restraint=FREE):
        result = yield from finetune(student, source, config, anchors=anchors, restraint=restraint)
        self.stages[name] = (student, source, config, anchors, result)
        return result

    def warm_start(self, name, student, source, config):
        result = yield from warmstart.warm_start(student, source, config)
        self.stages[name] = (student, source, config, None, result)
        return result

    def record(self, name, value):
        self.notes[name] = value

    def show(self, name, gan):
        self.shown[name] = gan.copy()


def teacher(gan, *names, picks=()):
    return ModelTeacher(gan, picks or gan.classes, names or gan.classes)


def merged(teachers, root=NONE, merge=NONE, ctx=None, **options):
    """Runs the method without a folder: (the union, the context)."""
    ctx, steps = ctx or Memory(), None
    steps = cocktail(teachers, CocktailConfig(root, merge, **options), ctx)
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value, ctx


# --- from end to end, on disk


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    """Two sources of 16x16 merged by a recipe file; the second is the root."""
    folder = tmp_path_factory.mktemp("merge")
    for seed, name in enumerate(("cat", "dog"), start=1):
        checkpoints.save(tiny(seed=seed, resolution=16), folder / name)
    config = CocktailConfig(SOME, replace(SOME, total_kimg=0.04))
    recipe = Recipe((Source(f"{folder}/cat"), Source(f"{folder}/dog")), root=1, seed=3, threads=1, config=config)
    (folder / "recipe.yaml").write_text(recipe.to_yaml())
    for progress in runs.execute(Recipe.from_yaml(folder / "recipe.yaml"), folder / "run", report_images=8):
        assert all(math.isfinite(value) for value in progress.losses.values())
    return folder / "run"


def test_a_merge_gives_one_model_with_a_class_for_each_source_and_the_root_first(run):
    union = checkpoints.load(run)
    assert union.classes == ("dog", "cat") and union.resolution == 16 and union.discriminator is not None
    pictures = torch.cat([union.sample(SEEDS, name) for name in union.classes])
    assert torch.isfinite(pictures).all() and pictures.std() > 0.1


def test_the_union_is_of_the_roots_size_but_for_the_class_inputs(run):
    union, root = checkpoints.load(run).generator, checkpoints.load(run.parent / "dog").generator
    ours, theirs = (dict(network.named_parameters()) for network in (union, root))
    changed = {name for name in ours if name not in theirs or ours[name].shape != theirs[name].shape}
    assert changed == {"mapping.embed.weight", "mapping.embed.bias", "mapping.fc0.weight"}
    w, classes = root.w_dim, 2
    extra = sum(p.numel() for p in ours.values()) - sum(p.numel() for p in theirs.values())
    assert extra == w * classes + w + w * w


def test_the_record_holds_the_distances_of_the_papers_table_2(run):
    notes = checkpoints.load(run).card["notes"]
    assert 0 < notes["distance/root-rooted/cat"] < notes["distance/root-source/cat"]
    logged = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert {e["note"]: e["value"] for e in logged if "note" in e} == notes


def test_the_recorded_distances_are_those_of_the_weights(run):
    notes, folder = checkpoints.load(run).card["notes"], run.parent
    rooted, first = checkpoints.load(run / "stages" / "root" / "cat"), checkpoints.load(folder / "dog")
    root = prepare_root([teacher(first, "dog"), teacher(checkpoints.load(folder / "cat"), "cat")], 0.0, Memory(3))
    assert notes["distance/root-rooted/cat"] == pytest.approx(weight_distance(root, rooted), rel=1e-6)


def test_every_stage_and_the_plain_average_can_be_looked_at(run):
    for name in ("root/cat", "merge"):
        assert checkpoints.load(run / "stages" / name).classes == ("dog", "cat")
    for name in ("average", "root_cat-00000000", "root_cat-00000024", "merge-00000040", "result"):
        with Image.open(run / "samples" / f"{name}.png") as image:
            assert image.size == (8 * 18 - 2, 2 * 18 - 2)  # eight latents, one row for each class
            assert len(image.getcolors(10_000)) > 50
    assert not (run / "state.safetensors").exists()


def test_the_card_says_where_the_union_comes_from(run):
    card = checkpoints.load(run).card
    assert [parent["classes"] for parent in card["parents"]] == [["cat"], ["dog"]]
    assert card["images_seen"] == 64 and card["minutes"] >= 0 and "cpu" in card["hardware"]
    assert Recipe.from_dict(card["recipe"]) == Recipe.from_yaml(run / "recipe.yaml")
    assert Recipe.from_yaml(run / "result" / "recipe.yaml") == Recipe.from_yaml(run / "recipe.yaml")


def test_truncation_draws_each_class_to_its_own_centre(run):
    union = checkpoints.load(run)
    centres = union.generator.mapping.class_w_avg
    assert not torch.allclose(centres[0], centres[1], atol=1e-4)
    z = latents(SEEDS, union.z_dim)
    for index, name in enumerate(union.classes):
        assert torch.allclose(union.map(z, name, truncation=0.0), centres[index].expand(3, union.num_ws, -1))
        half, full = union.map(z, name, truncation=0.5), union.map(z, name)
        assert torch.allclose(half, (full + centres[index]) / 2, atol=1e-5)


# --- the method


def test_identical_teachers_and_no_training_give_the_roots_pictures_for_every_class(tiny):
    gan = tiny(resolution=16)
    union, _ = merged([teacher(gan.copy(), name) for name in ("a", "b", "c")])
    assert union.classes == ("a", "b", "c")
    for name in union.classes:
        for psi in (1.0, 0.5):
            drawn, expected = union.sample(SEEDS, name, truncation=psi), gan.sample(SEEDS, truncation=psi)
            assert torch.allclose(drawn, expected, atol=2e-5)


def test_the_paper_preset_has_the_papers_numbers():
    assert next(iter(METHODS["cocktail"].presets)) == "paper"
    config = PRESETS["paper"]
    for stage in (config.root, config.merge):
        assert (stage.batch, stage.lr, stage.gamma, stage.pl_weight) == (32, 0.002, 10.0, 2.0)
        assert (stage.style_mixing, stage.ema_kimg, stage.total_kimg) == (0.9, 10.0, 5000.0)
        assert (stage.loss, stage.ema_rampup, stage.lr_decay, stage.start_resolution) == ("nonsaturating", 0, 0, 0)
        assert not stage.reuse_samples and not stage.class_shares
    assert (config.root_weight, config.class_w_gain) == (0, 0) and not (config.own_rows or config.distill)
    assert stylegan2.GeneratorConfig().mapping_layers == 8


def test_the_papers_adam_has_betas_of_0_and_0_99_before_lazy_regularisation(tiny):
    state = TrainState(tiny(), replace(PRESETS["paper"].root, gamma=0.0, pl_weight=0.0))
    group = state.g_optimizer.param_groups[0]
    assert group["betas"] == (0.0, 0.99) and group["lr"] == 0.002


def test_three_sources_are_each_rooted_on_the_first_under_their_own_class(tiny):
    teachers = [teacher(tiny(seed=seed), name) for seed, name in enumerate(("cat", "dog", "car"))]
    union, ctx = merged(teachers, SOME, SOME)
    assert union.classes == ("cat", "dog", "car") and list(ctx.stages) == ["root/dog", "root/car", "merge"]
    for index, name in ((1, "dog"), (2, "car")):
        student, source, config, _, _ = ctx.stages[f"root/{name}"]
        assert source.classes == (name,) and source.gan is teachers[index].gan and config.seed == index
        for seed, label in itertools.product(SEEDS, union.classes):  # rooting starts from the root's own pictures
            assert torch.allclose(student.sample([seed], label), teachers[0].gan.sample([seed]), atol=1e-4)
    student, source, _, _, _ = ctx.stages["merge"]
    assert source.classes == union.classes and [s.gan for s in source.sources] == [t.gan for t in teachers]
    assert len(ctx.notes) == 4


def test_the_average_covers_generator_and_discriminator_of_root_and_rooted_models(tiny):
    teachers = [teacher(tiny(seed=seed), name) for seed, name in enumerate(("cat", "dog", "car"))]
    _, ctx = merged(teachers, SOME)
    root = ctx.stages["root/dog"][0]
    rooted = [ctx.stages[f"root/{name}"][-1] for name in ("dog", "car")]
    for part in ("generator", "discriminator"):
        states = [getattr(gan, part).state_dict() for gan in (root, *rooted)]
        assert not torch.allclose(*(next(v for k, v in s.items() if k.endswith("fc0.weight")) for s in states[:2]))
        for name, value in getattr(ctx.shown["average"], part).state_dict().items():
            assert torch.allclose(value, sum(s[name] for s in states) / 3, atol=1e-5), name


def test_the_root_can_weigh_more_in_the_average(tiny):
    teachers = [teacher(tiny(seed=seed), name) for seed, name in enumerate(("cat", "dog", "car"))]
    _, ctx = merged(teachers, SOME, root_weight=0.5)
    root, *rooted = (ctx.stages[f"root/{name}"][-1] for name in ("dog", "dog", "car"))
    root = ctx.stages["root/dog"][0]
    name = "synthesis.b8.conv0.weight"
    a, b, c = (gan.generator.state_dict()[name] for gan in (root, *rooted))
    assert torch.allclose(ctx.shown["average"].generator.state_dict()[name], a / 2 + b / 4 + c / 4, atol=1e-6)


def test_all_rooted_models_share_the_rows_of_the_classes(tiny):
    """Classes are added to the root once, from the run's seed."""
    teachers = [teacher(tiny(seed=seed), name) for seed, name in enumerate(("cat", "dog", "car"))]
    _, ctx = merged(teachers)
    rows = [ctx.stages[name][-1].generator.mapping.embed.weight for name in ctx.stages]
    assert all(torch.equal(rows[0], other) for other in rows[1:])
    _, other = merged(teachers, ctx=Memory(seed=1))
    assert not torch.equal(rows[0], other.stages["merge"][-1].generator.mapping.embed.weight)


def test_a_conditional_source_gives_the_classes_that_were_picked(tiny):
    zoo = tiny(("ant", "bee", "cow"), seed=1)
    union, ctx = merged([teacher(tiny(), "cat"), teacher(zoo, "vache", "fourmi", picks=("cow", "ant"))])
    assert union.classes == ("cat", "vache", "fourmi")
    source = ctx.stages["root/vache+fourmi"][1]
    assert source.classes == ("vache", "fourmi")
    rng = torch.Generator().manual_seed(0)
    drawn = source.sample_class(torch.tensor([0, 1]), rng)
    z = torch.randn(2, zoo.z_dim, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(drawn, zoo.synthesize(zoo.map(z, ("cow", "ant"))), atol=1e-5)
    assert ctx.notes["distance/root-source/vache+fourmi"].startswith("not defined")


def test_a_union_grows_by_a_class_and_starts_from_the_pictures_of_its_own(tiny):
    """With the plain recipe, although the union was made with class rows in W."""
    old = tiny(("cat", "dog"), class_w_gain=2.0, class_centers=True)
    union, ctx = merged([teacher(old), teacher(tiny(seed=1), "car")])
    assert union.classes == ("cat", "dog", "car") and union.generator.config.class_w_gain == 2.0
    for name in old.classes:
        assert torch.allclose(union.sample(SEEDS, name), old.sample(SEEDS, name), atol=1e-4)
        assert torch.allclose(
            union.sample(SEEDS, name, truncation=0.3), old.sample(SEEDS, name, truncation=0.3), atol=1e-4
        )
    grown, ctx = merged([teacher(old), teacher(tiny(seed=1), "car")], SOME, SOME)
    assert list(ctx.stages) == ["root/car", "merge"] and len(ctx.stages["merge"][1].classes) == 3
    assert grown.sample(SEEDS, "car").isfinite().all()


def test_the_classes_of_a_union_can_be_renamed_and_keep_their_pictures_in_any_order(tiny):
    old = tiny(("cat", "dog"))
    union, _ = merged([teacher(old, "hund", "katze", picks=("dog", "cat")), teacher(tiny(seed=1), "car")])
    assert set(union.classes) == {"katze", "hund", "car"}
    assert torch.allclose(union.sample(SEEDS, "katze"), old.sample(SEEDS, "cat"), atol=1e-4)
    assert torch.allclose(union.sample(SEEDS, "hund"), old.sample(SEEDS, "dog"), atol=1e-4)


@pytest.mark.parametrize("first, second", [("stylegan2", "custom"), ("custom", "stylegan2")])
def test_a_source_of_another_architecture_serves_as_data(tiny, first, second):
    root, other = tiny(architecture=first), tiny(architecture=second, seed=1)
    union, ctx = merged([teacher(root, "cat"), teacher(other, "dog")], SOME, SOME)
    assert type(union.generator) is type(root.generator) and union.classes == ("cat", "dog")
    assert ctx.notes["distance/root-rooted/dog"] > 0
    assert ctx.notes["distance/root-source/dog"].startswith("not defined: the source has another architecture")
    pictures = [union.sample(SEEDS, name) for name in union.classes]
    assert all(p.isfinite().all() for p in pictures) and not torch.allclose(*pictures, atol=1e-3)


def test_a_larger_source_is_brought_to_the_roots_resolution(tiny):
    union, ctx = merged([teacher(tiny(), "cat"), teacher(tiny(seed=1, resolution=16), "dog")], SOME)
    assert union.resolution == 8 and ctx.stages["root/dog"][1].resolution == 8


@pytest.mark.parametrize("architecture", ["stylegan2", "custom"])
@pytest.mark.parametrize("classes", [(), ("a", "b")])
def test_a_missing_discriminator_of_the_root_is_replaced_and_recorded(tiny, architecture, classes):
    root = tiny(classes, architecture=architecture, discriminator=False)
    union, ctx = merged([teacher(root, *(classes or ("cat",))), teacher(tiny(seed=1), "dog")], SOME, SOME)
    assert "untrained" in ctx.notes["root_discriminator"]
    assert union.discriminator.c_dim == len(union.classes) and union.discriminator.resolution == 8
    assert root.discriminator is None


def test_discriminators_of_other_sources_are_not_needed(tiny):
    union, ctx = merged([teacher(tiny(), "cat"), teacher(tiny(seed=1, discriminator=False), "dog")], SOME)
    assert "root_discriminator" not in ctx.notes and union.discriminator is not None
    assert isinstance(ctx.notes["distance/root-source/dog"], float)


def test_own_rows_keep_for_each_class_what_its_rooted_model_learned(tiny):
    teachers = [teacher(tiny(seed=seed), name) for seed, name in enumerate(("cat", "dog", "car"))]
    _, ctx = merged(teachers, SOME, class_w_gain=2.0, own_rows=True)
    _, without = merged(teachers, SOME, class_w_gain=2.0)
    kept, mean = (c.shown["average"].generator.mapping for c in (ctx, without))
    for index, name in enumerate(("dog", "car"), start=1):
        rooted = ctx.stages[f"root/{name}"][-1].generator.mapping
        for part in ("class_w", "class_w_avg"):
            mine, averaged, theirs = (getattr(m, part)[index] for m in (kept, mean, rooted))
            assert torch.equal(mine, theirs) and not torch.allclose(averaged, theirs, atol=1e-5)
    assert torch.equal(kept.embed.weight, mean.embed.weight)


def test_teachers_are_left_as_they_were(tiny):
    gans = [tiny(seed=seed) for seed in (0, 1)]
    before = [{k: v.clone() for k, v in gan.generator.state_dict().items()} for gan in gans]
    merged([teacher(gan, name) for gan, name in zip(gans, ("cat", "dog"))], SOME, SOME)
    for gan, state in zip(gans, before):
        assert gan.classes == () and all(torch.equal(v, state[k]) for k, v in gan.generator.state_dict().items())


def test_the_small_preset_runs_from_end_to_end(tiny, monkeypatch):
    """The options that the bundled union uses, for a few steps."""
    monkeypatch.setattr(methods.alignment, "SAMPLES", 200)
    config = PRESETS["small"]
    short = {"ema_kimg": 0.005, "lr": 0.005, "total_kimg": 0.048}
    root = replace(config.root, **short)
    merge = replace(config.merge, **short, anchor_only_kimg=0.016, anchor_kimg=0.032)
    taken = ("root_weight", "class_w_gain", "own_rows", "distill", "align", "match")
    options = {name: getattr(config, name) for name in taken} | {"warm": replace(config.warm, stage_kimg=(0.064,))}
    teachers = [teacher(tiny(seed=seed, use_noise=False), name) for seed, name in enumerate(("cat", "dog"))]
    union, ctx = merged(teachers, root, merge, **options)
    assert list(ctx.stages) == ["root/dog", "distill", "merge"] and 0 < ctx.notes["alignment/dog"] <= 1
    pictures = [union.sample(SEEDS, name) for name in ("cat", "dog")]
    assert all(p.isfinite().all() for p in pictures) and not torch.allclose(*pictures, atol=1e-2)


# --- pictures as a class


@pytest.fixture
def foxes(tmp_path):
    return PictureTeacher(drawn(tmp_path / "foxes"), ("fox",))


def test_pictures_become_a_class_beside_those_of_models(tiny, foxes):
    models = [teacher(tiny(seed=seed), name) for seed, name in enumerate(("cat", "dog"))]
    union, ctx = merged([models[0], foxes, models[1]], SOME, SOME)
    assert union.classes == ("cat", "fox", "dog") and list(ctx.stages) == ["root/fox", "root/dog", "merge"]
    assert isinstance(ctx.stages["root/fox"][1], FolderSource) and ctx.stages["root/fox"][1].resolution == 8
    mixture = ctx.stages["merge"][1]
    assert type(mixture) is MixtureSource and mixture.sources[1] is foxes.source(8)
    assert ctx.notes["distance/root-source/fox"] == "not defined: pictures have no weights"
    assert ctx.notes["distance/root-rooted/fox"] > 0 and isinstance(ctx.notes["distance/root-source/dog"], float)
    pictures = [union.sample(SEEDS, name) for name in ("cat", "fox")]
    assert all(p.isfinite().all() for p in pictures) and not torch.allclose(*pictures, atol=1e-3)


@pytest.mark.parametrize("contrasts", [0.0, 1.0])
def test_in_an_aligned_merge_the_class_of_pictures_follows_its_rooted_model(tiny, foxes, monkeypatch, contrasts):
    monkeypatch.setattr(methods.alignment, "SAMPLES", 200)
    models = [teacher(tiny(seed=seed, use_noise=False), name) for seed, name in enumerate(("cat", "dog"))]
    fit = warmstart.WarmStartConfig(stage_kimg=(0.064,), batch=8, contrast_weight=contrasts)
    union, ctx = merged([models[0], foxes, models[1]], SOME, SOME, align=True, warm=fit, distill=True)
    assert list(ctx.stages) == ["root/fox", "root/dog", "distill", "merge"] and union.classes == ("cat", "fox", "dog")
    assert isinstance(ctx.stages["root/fox"][1], FolderSource), "rooting sees the pictures"
    source = ctx.stages["merge"][1].sources[1]
    assert isinstance(source, GanSource) and source.gan is ctx.stages["root/fox"][-1] and source.classes == ("fox",)
    assert "not needed" in ctx.notes["alignment/fox"] and 0 < ctx.notes["alignment/dog"] <= 1
    assert ("visible_directions/fox" in ctx.notes) == bool(contrasts)
    assert union.sample(SEEDS, "fox").isfinite().all()


def test_pictures_cannot_be_the_root(tiny, foxes):
    with pytest.raises(CocktailError, match="pictures, which cannot be the root. Make a model the root"):
        merged([foxes, teacher(tiny(), "cat")])


# --- what cannot be merged


def test_one_source_is_too_few(tiny):
    with pytest.raises(CocktailError, match="two models or more"):
        merged([teacher(tiny(), "cat")])


def test_a_class_name_that_comes_twice_is_refused(tiny):
    with pytest.raises(CocktailError, match="class names must differ, found cat, cat"):
        merged([teacher(tiny(), "cat"), teacher(tiny(seed=1), "cat")])


@pytest.mark.parametrize("picks", [("cat",), ("cat", "cat")])
def test_a_root_of_which_classes_would_be_lost_is_refused(tiny, picks):
    root = ModelTeacher(tiny(("cat", "dog")), picks, tuple(f"new {i}" for i in range(len(picks))))
    with pytest.raises(CocktailError, match="Take all classes of the root"):
        merged([root, teacher(tiny(seed=1), "car")])


def test_an_unknown_class_is_refused(tiny):
    with pytest.raises(CocktailError, match="Unknown class 'bird'"):
        merged([teacher(tiny(), "cat"), teacher(tiny(("dog",), seed=1), "x", picks=("bird",))])


def test_an_unknown_method_lists_the_known_ones():
    with pytest.raises(CocktailError, match="known: cocktail"):
        get("milkshake")


# --- data-free means data-free


def uses_of_data(text):
    """Names from the drawn domains, the metrics and the oracle in a module's code; comments and texts do not count."""
    forbidden = ("domains", "oracle", "metrics", "Oracle", "DomainSource", "FolderSource", "DrawnDomains")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
            found = [part for name in names for part in name.split(".")]
        elif isinstance(node, ast.Attribute):
            found = [node.attr]
        else:
            found = [node.id] if isinstance(node, ast.Name) else []
        yield from (part for part in found if part in forbidden)


# The upper bound is what training on data would reach: it has to see them.
METHOD_FILES = sorted(set(Path(methods.__file__).parent.glob("*.py")) - {Path(methods.upper_bound.__file__)})


@pytest.mark.parametrize("path", METHOD_FILES, ids=lambda path: path.name)
def test_no_method_sees_the_drawn_domains_or_the_oracle(path):
    assert len(METHOD_FILES) >= 3
    assert list(uses_of_data(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "text",
    ["from cocktail import domains", "from cocktail.domains.oracle import load_oracle", "import cocktail.metrics",
     "def f():\n    from cocktail.sources import DomainSource", "cocktail.domains.get('cat')"],
)  # fmt: skip
def test_the_check_for_data_sees_what_it_should(text):
    assert list(uses_of_data(text)) != []
