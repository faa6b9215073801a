"""The baselines: what each inherits from the root, what it holds, what it freezes, what it learns from."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from cocktail import checkpoints, runs
from cocktail.errors import CocktailError
from cocktail.gan import average
from cocktail.methods import alignment, cocktail
from cocktail.methods.cocktail import CocktailConfig
from cocktail.methods.ewc import EwcConfig
from cocktail.methods.fisher import Fisher, fisher_average, fisher_information
from cocktail.methods.freezed import FreezeDConfig, first_layers
from cocktail.methods.l2 import L2Config
from cocktail.methods.onestage import inherited
from cocktail.methods.preparing import prepare_root
from cocktail.methods.registry import METHODS, get
from cocktail.methods.scratch import ScratchConfig
from cocktail.methods.transfer import TransferConfig
from cocktail.methods.upper_bound import UpperBoundConfig
from cocktail.recipe import Recipe
from cocktail.sources import DomainSource, FolderSource, GanSource
from cocktail.teachers import PictureTeacher
from cocktail.training import Pull, Restraint, TrainConfig, finetune
from tests.drawn import drawn
from tests.test_methods import SEEDS, Memory, teacher

NONE = TrainConfig(total_kimg=0.0, batch=4)
SOME = TrainConfig(total_kimg=0.048, batch=4, r1_interval=2, pl_interval=2, ema_kimg=0.005, lr=0.005)


@pytest.fixture
def two(tiny):
    return [teacher(tiny(seed=seed), name) for seed, name in enumerate(("cat", "dog"))]


def run(method, config, teachers, seed=0):
    """Runs a method without a folder: (the student, the context)."""
    ctx = Memory(seed)
    steps = get(method).run(teachers, config, ctx)
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value, ctx


def root_of(teachers, seed=0):
    return prepare_root(teachers, 0.0, Memory(seed))


def distance(a, b, names=None):
    pairs = zip(a.named_parameters(), b.parameters())
    return sum((p - q).square().sum().item() for (name, p), q in pairs if names is None or name in names)


# --- every method


@pytest.mark.parametrize("name", METHODS)
def test_every_method_merges_two_models_from_a_recipe_and_tells_its_stages_beforehand(
    name, pair, tmp_path, monkeypatch
):

    monkeypatch.setattr(alignment, "SAMPLES", 200)
    kind = METHODS[name]
    assert list(kind.presets)[:3] == ["paper", "small", "try"] and kind.title and kind.paper
    config = kind.presets["small"]
    short = {"merge": replace(config.merge, total_kimg=0.032, batch=8)}
    if hasattr(config, "drawings"):
        short["drawings"] = 50
    if hasattr(config, "root"):
        short["root"] = replace(config.root, total_kimg=0.016)
    if hasattr(config, "warm"):
        short["warm"] = replace(config.warm, stage_kimg=(0.032,))
    recipe = Recipe(pair(16 if name == "upper_bound" else 8), name, 1, 3, 1, "cpu", replace(config, **short))
    assert Recipe.from_dict(recipe.to_dict()) == recipe
    seen = {progress.stage for progress in runs.execute(recipe, tmp_path / "run", report_images=8)}
    assert seen == {stage.name for stage in kind.plan([("dog",), ("cat",)], recipe.config, 3)}
    union = checkpoints.load(tmp_path / "run")
    assert union.classes == ("dog", "cat") and union.discriminator is not None
    assert all(union.sample(SEEDS, label).isfinite().all() for label in union.classes)


def test_transfer_starts_from_the_root_and_learns_all_sources_in_one_stage(two):
    union, ctx = run("transfer", TransferConfig(merge=NONE), two)
    student, source, config, anchors, _ = ctx.stages["merge"]
    assert list(ctx.stages) == ["merge"] and source.classes == ("cat", "dog") and anchors is None and config.seed == 2
    for label in union.classes:
        assert torch.allclose(union.sample(SEEDS, label), two[0].gan.sample(SEEDS), atol=1e-4)


def test_the_roots_classes_can_follow_the_root(two):
    _, ctx = run("transfer", TransferConfig(merge=SOME, distill=True), two)
    student, _, _, anchors, _ = ctx.stages["merge"]
    assert list(anchors) == ["cat"] and anchors["cat"] is student.generator


def test_a_baseline_can_be_extended(two):
    _, ctx = run("transfer", TransferConfig(merge=SOME, extra_kimg=(0.016,)), two)
    assert list(ctx.stages) == ["merge", "extra/1"] and ctx.stages["extra/1"][0] is ctx.stages["merge"][-1]


@pytest.mark.parametrize(
    "name, on_all", [("cocktail", ["distill", "merge"]), ("distillation", ["distill", "merge"]), ("ewc", ["merge"])]
)
def test_classes_that_the_root_lacks_are_shown_as_often_as_asked(name, on_all):
    found, classes = get(name), [("cat", "fox"), ("dog",), ("car", "bus")]
    config = replace(found.presets["small"], new_share=3.0)
    shares = {stage.name: stage.config.class_shares for stage in found.plan(classes, config)}
    assert [stage for stage in shares if shares[stage] == (1.0, 1.0, 3.0, 3.0, 3.0)] == on_all
    assert all(shares[stage] == () for stage in shares if stage not in on_all)
    if name != "ewc":  # which has no pairs
        merge = found.plan(classes, replace(config, new_anchor=0.1))[-1].config
        assert merge.anchor_shares == (1.0, 1.0, 0.1, 0.1, 0.1) and merge.class_shares == (1.0, 1.0, 3.0, 3.0, 3.0)
    own = (5.0, 4.0, 3.0, 2.0, 1.0)
    config = replace(config, merge=replace(config.merge, class_shares=own))
    assert found.plan(classes, config)[-1].config.class_shares == own
    config = replace(found.presets["small"], new_share=1.0)
    assert all(stage.config.class_shares == () for stage in found.plan(classes, config))


@pytest.mark.parametrize(
    "keep, same", [("nothing", ()), ("generator", ("generator",)), ("discriminator", ("discriminator",))]
)
def test_from_scratch_keeps_nothing_of_the_root_but_the_network_that_is_named(two, keep, same):
    union, _ = run("scratch", ScratchConfig(merge=NONE, keep=keep), two)
    root = root_of(two)
    for part in ("generator", "discriminator"):
        equal = distance(getattr(union, part), getattr(root, part)) == 0
        assert equal == (part == keep)


def test_new_weights_come_from_the_seed_of_the_run(two):
    first, again, other = (run("scratch", ScratchConfig(merge=NONE), two, seed)[0] for seed in (0, 0, 1))
    assert distance(first.generator, again.generator) == 0 < distance(first.generator, other.generator)


# --- what is held


@pytest.mark.parametrize("architecture", ["stylegan2", "custom"])
def test_what_is_inherited_leaves_classes_free(tiny, architecture):
    teachers = [teacher(tiny(seed=seed, architecture=architecture), name) for seed, name in enumerate(("cat", "dog"))]
    root = root_of(teachers)
    masks = inherited(root.generator, teachers[0].gan.generator)
    assert not any("embed" in name.split(".") for name in masks) and len(masks) > 3
    if architecture == "stylegan2":
        mask, z_dim = masks["mapping.fc0.weight"], root.z_dim
        assert mask[:, :z_dim].all() and not mask[:, z_dim:].any() and mask.shape[1] > z_dim
        judged = inherited(root.discriminator, teachers[0].gan.discriminator)
        assert not any(name.startswith("mapping.") for name in judged) and "b8.conv0.weight" in judged
    assert inherited(root.generator, None) == {}


def test_a_pull_is_the_weighted_squared_distance_and_0_at_the_start(tiny):
    network = tiny().generator
    reference = {name: p.detach().clone() for name, p in network.named_parameters()}
    weights = {"mapping.fc0.weight": torch.full_like(reference["mapping.fc0.weight"], 0.5)}
    pull = Pull(reference, weights)
    assert pull.penalty(network).item() == 0
    with torch.no_grad():
        network.mapping.fc0.weight += 2.0
        network.mapping.fc0.bias += 2.0  # has no weight
    penalty = pull.penalty(network)
    assert penalty.item() == pytest.approx(0.5 * 4 * network.mapping.fc0.weight.numel())
    penalty.backward()
    assert torch.allclose(network.mapping.fc0.weight.grad, torch.full_like(network.mapping.fc0.weight, 2.0))


def test_l2_keeps_the_student_nearer_to_the_root_the_stronger_it_is(two):
    root = root_of(two)
    moved = []
    for strength in (0.0, 0.1, 10.0):
        union, _ = run("l2", L2Config(SOME, generator_strength=strength, discriminator_strength=strength), two)
        held = [set(inherited(getattr(root, p), getattr(two[0].gan, p))) for p in ("generator", "discriminator")]
        moved.append([distance(getattr(union, p), getattr(root, p), names)
                      for p, names in zip(("generator", "discriminator"), held)])  # fmt: skip
    assert moved[0][0] > moved[1][0] > moved[2][0] and moved[0][1] > moved[1][1] > moved[2][1]


def test_ewc_holds_mapping_synthesis_and_discriminator_apart(two):
    """A strong hold on one part leaves that part nearly where it was, and the others free."""
    root, free = root_of(two), run("transfer", TransferConfig(merge=SOME), two)[0]
    strong, weak = 1e4, 0.0
    options = {"mapping_strength": weak, "synthesis_strength": weak, "discriminator_strength": weak}

    def parts(gan):
        g = {name for name, _ in gan.generator.named_parameters()}
        mapping = {
            name for name in g if name.startswith("mapping.") and "embed" not in name and name != "mapping.fc0.weight"
        }
        d = set(inherited(root.discriminator, two[0].gan.discriminator))
        return {
            "mapping_strength": distance(gan.generator, root.generator, mapping),
            "synthesis_strength": distance(gan.generator, root.generator, {n for n in g if n.startswith("synthesis.")}),
            "discriminator_strength": distance(gan.discriminator, root.discriminator, d),
        }

    plain = parts(free)
    for name in options:
        union, _ = run("ewc", EwcConfig(SOME, **options | {name: strong}, fisher_samples=8), two)
        held = parts(union)
        assert held[name] < 0.5 * plain[name], name
        assert all(held[other] > 0.5 * plain[other] for other in options if other != name), name


def test_freeze_d_counts_fromrgb_conv0_conv1_and_skip_and_moves_none_of_them(two):
    root = root_of(two)
    assert first_layers(root.discriminator, 1) == {"b8.fromrgb.weight", "b8.fromrgb.bias"}
    four = first_layers(root.discriminator, 4)
    assert {name.split(".")[1] for name in four} == {"fromrgb", "conv0", "conv1", "skip"}
    union, _ = run("freezed", FreezeDConfig(SOME, layers=4), two)
    assert distance(union.discriminator, root.discriminator, four) == 0
    rest = {name for name, _ in root.discriminator.named_parameters()} - four
    assert distance(union.discriminator, root.discriminator, rest) > 0
    assert all(p.requires_grad for p in union.discriminator.parameters())


def test_more_frozen_layers_than_there_are_is_refused(two):
    with pytest.raises(CocktailError, match="layers is 99; this discriminator has 5 convolutions"):
        run("freezed", FreezeDConfig(SOME, layers=99), two)


def test_a_restraint_of_nothing_changes_nothing(tiny):
    gan, source = tiny(("cat",)), GanSource(tiny(("cat",), seed=1))
    first, second = (
        list(finetune(gan, source, SOME, **extra))[-1].state.student() for extra in ({}, {"restraint": Restraint()})
    )
    assert distance(first.generator, second.generator) == 0


# --- Fisher information


def test_the_fisher_information_is_the_mean_squared_gradient_of_single_pictures(tiny):
    gan = tiny(("cat", "dog"))
    found = fisher_information(gan, ("dog",), 3, seed=5)
    rng, total = torch.Generator().manual_seed(5), {}
    for _ in range(3):
        z = torch.randn(1, gan.z_dim, generator=rng)
        c = gan.one_hot("dog", 1)
        gan.discriminator.zero_grad()
        F.softplus(-gan.discriminator(gan.generator.synthesize(gan.generator.map(z, c), "none"), c)).sum().backward()
        for name, p in gan.discriminator.named_parameters():
            total[name] = total.get(name, 0) + (p.grad.square() / 3 if p.grad is not None else torch.zeros_like(p))
    mean = sum(t.sum() for t in total.values()) / sum(t.numel() for t in total.values())
    for name, value in total.items():
        assert torch.allclose(found.discriminator[name], value / mean, rtol=1e-3, atol=1e-6), name
    every = torch.cat([v.flatten() for v in found.generator.values()])
    assert every.mean().item() == pytest.approx(1, rel=1e-4) and every.min() >= 0


def ones(gan):
    parts = (gan.generator, gan.discriminator)
    return Fisher(*({name: torch.ones_like(p) for name, p in part.named_parameters()} for part in parts))


def test_a_fisher_average_takes_each_weight_from_the_model_that_it_matters_to(tiny):
    gans = [tiny(seed=seed) for seed in (0, 1)]
    name = "mapping.fc0.weight"

    def fisher(gan, size):
        rows = [
            {n: torch.ones_like(p) for n, p in part.named_parameters()} for part in (gan.generator, gan.discriminator)
        ]
        rows[0][name] *= size
        return Fisher(*rows)

    plain = average(gans)
    mixed = fisher_average(gans, [fisher(gans[0], 1e6), fisher(gans[1], 0.0)], plain, [0.5, 0.5])
    weights = [gan.generator.mapping.fc0.weight for gan in (*gans, mixed)]
    assert torch.allclose(weights[2], weights[0], atol=1e-4)
    assert torch.allclose(mixed.generator.mapping.fc1.weight, plain.generator.mapping.fc1.weight, atol=1e-5)
    assert torch.allclose(mixed.discriminator.b8.conv0.weight, plain.discriminator.b8.conv0.weight, atol=1e-5)


def test_equal_fishers_give_the_weighted_mean(tiny):
    gans = [tiny(seed=seed) for seed in (0, 1)]
    mixed = fisher_average(gans, [ones(gan) for gan in gans], average(gans), [0.25, 0.75])
    expected = average(gans, [0.25, 0.75])
    assert distance(mixed.generator, expected.generator) < 1e-8


def test_the_cocktail_can_average_by_fisher_and_by_the_users_shares(two, monkeypatch):
    monkeypatch.setattr(cocktail, "FISHER_SAMPLES", 8)

    def averaged(**options):
        return (
            run("cocktail", CocktailConfig(SOME, NONE, **options), two)[1].shown["average"].generator.mapping.fc0.weight
        )

    plain, fisher, shares, root = (
        averaged(**o) for o in ({}, {"averaging": "fisher"}, {"shares": (3, 1)}, {"root_weight": 0.75})
    )
    assert torch.equal(shares, root) and not torch.allclose(shares, plain) and not torch.allclose(fisher, plain)


def test_shares_that_do_not_fit_the_models_are_refused(two):
    with pytest.raises(CocktailError, match="shares has 3 numbers for 2 models"):
        run("cocktail", CocktailConfig(NONE, NONE, shares=(1, 1, 1)), two)
    with pytest.raises(CocktailError, match="at least one must be above 0"):
        CocktailConfig(NONE, NONE, shares=(0, 0))


# --- the upper bound and distillation


def test_the_upper_bound_learns_from_drawings_or_folders_and_never_from_the_sources(two, tmp_path):
    folder = drawn(tmp_path / "pets")
    union, ctx = run("upper_bound", UpperBoundConfig(SOME, drawings=50, pictures=("face", str(folder))), [
        teacher(two[0].gan, "cat"), teacher(two[1].gan, "dog")])  # fmt: skip
    source = ctx.stages["merge"][1]
    assert [type(part) for part in source.sources] == [DomainSource, FolderSource] and source.classes == ("cat", "dog")
    assert math.isfinite(union.sample(SEEDS, "dog").mean())


@pytest.mark.parametrize(
    "pictures, says",
    [(("cat",), "names 1 sources for 2 classes"), (("cat", "nowhere"), "'nowhere' is no folder or zip")],
)
def test_pictures_that_are_not_there_are_named(two, pictures, says):
    with pytest.raises(CocktailError, match=says):
        run("upper_bound", UpperBoundConfig(SOME, drawings=50, pictures=pictures), two)


def test_distillation_without_rooting_gives_every_class_its_own_sources_picture_of_z(tiny):
    gans = [tiny(seed=seed, use_noise=False) for seed in (0, 1)]
    config = get("distillation").presets["small"]
    config = replace(config, merge=NONE, warm=replace(config.warm, stage_kimg=(0.032,), contrast_weight=0.0))
    _, ctx = run("distillation", config, [teacher(gan, name) for gan, name in zip(gans, ("cat", "dog"))])
    source = ctx.stages["merge"][1]
    images, z = source.sample_pairs(torch.tensor([0, 1, 1]), torch.Generator().manual_seed(0))
    for image, code, gan in zip(images, z, (gans[0], gans[1], gans[1])):
        assert torch.allclose(image, gan.synthesize(gan.map(code[None]))[0], atol=1e-4)


def test_distillation_refuses_pictures_which_have_no_latents(tiny, tmp_path):
    foxes = PictureTeacher(drawn(tmp_path / "foxes"), ("fox",))
    with pytest.raises(CocktailError, match="pictures of fox have no latents"):
        run("distillation", get("distillation").presets["paper"], [teacher(tiny(), "cat"), foxes])
    with Image.open(next((tmp_path / "foxes").iterdir())) as image:
        assert image.size  # and they are left alone
