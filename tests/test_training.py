"""Training: losses in closed form, Adam as StyleGAN2 scales it, labels, growth, anchors, and states that resume."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch.autograd import gradcheck
from torch.func import functional_call

from cocktail import ops
from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.networks import stylegan2
from cocktail.sources import DomainSource, GanSource
from cocktail.training import (
    TrainConfig,
    TrainState,
    adversarial_losses,
    balanced_labels,
    finetune,
    gradient_penalty,
    path_length_penalty,
    start_state,
    trainer,
)

BATCH = 4
QUICK = TrainConfig(total_kimg=0.024, batch=BATCH, r1_interval=2, pl_interval=2, ema_kimg=0.01)  # six steps
PLAIN = replace(QUICK, pl_weight=0.0, style_mixing=0.0, gamma=0.0)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def train(student, source, config, steps=None, **options):
    """Trains for some steps, or to the end: (the reports of all steps, the trained Gan or None)."""
    training, reports = finetune(student, source, config, report_images=1, **options), []
    for _ in range(steps if steps is not None else 10**9):
        try:
            reports.append(next(training))
        except StopIteration as stop:
            return reports, stop.value
    return reports, None


def same(a, b):
    """Names of the tensors that differ in one bit or more."""
    assert a.keys() == b.keys()
    return [name for name in a if not torch.equal(a[name], b[name])]


# --- losses


def test_the_nonsaturating_loss_is_the_logistic_loss_of_both_halves():
    real, fake = torch.tensor([[2.0], [-1.0]]), torch.tensor([[0.5], [3.0]])
    expected = (math.log1p(math.exp(-2)) + math.log1p(math.exp(1))) / 2
    expected += (math.log1p(math.exp(0.5)) + math.log1p(math.exp(3))) / 2
    assert adversarial_losses("nonsaturating", real, fake).item() == pytest.approx(expected, rel=1e-6)


def test_the_relativistic_loss_compares_pair_by_pair():
    real, fake = torch.tensor([[2.0], [-1.0]]), torch.tensor([[0.5], [3.0]])
    expected = (math.log1p(math.exp(0.5 - 2)) + math.log1p(math.exp(3 + 1))) / 2
    assert adversarial_losses("relativistic", real, fake).item() == pytest.approx(expected, rel=1e-6)


def test_r1_of_a_linear_discriminator_is_its_squared_weight_norm():
    weight = torch.randn(3, 8, 8, generator=rng())
    images = torch.randn(5, 3, 8, 8, generator=rng(1)).requires_grad_()
    logits = (images * weight).sum(dim=[1, 2, 3])[:, None] + 7
    assert gradient_penalty(images, logits).item() == pytest.approx(weight.square().sum().item(), rel=1e-5)


def test_the_path_length_of_a_linear_generator_is_the_norm_of_its_transposed_jacobian():
    jacobian = torch.randn(2, 5, 3 * 16, generator=rng())  # two layers of five, 3x4x4 pictures
    ws = torch.randn(6, 2, 5, generator=rng(1)).requires_grad_()
    images = torch.einsum("nlw,lwp->np", ws, jacobian).reshape(6, 3, 4, 4)
    noise = torch.randn(6, 3, 4, 4, generator=rng(2))
    projected = torch.einsum("lwp,np->nlw", jacobian, noise.flatten(1)) / 4  # sqrt(16 pixels)
    lengths = (projected.square().sum(dim=[1, 2]) / 2).sqrt()
    penalty, average = path_length_penalty(images, ws, torch.tensor(3.0), noise)
    expected_average = 3 + 0.01 * (lengths.mean() - 3)
    assert average.item() == pytest.approx(expected_average.item(), rel=1e-5)
    assert penalty.item() == pytest.approx((lengths - expected_average).square().mean().item(), rel=1e-5)


@pytest.mark.parametrize("name", ["b8.conv0.weight", "b8.skip.weight", "b4.conv.weight", "b4.out.weight"])
def test_the_gradient_of_r1_with_respect_to_the_discriminator_is_right(name):
    torch.manual_seed(0)
    config = stylegan2.DiscriminatorConfig(img_resolution=8, channels=(2, 2), mbstd_group_size=2)
    network = stylegan2.Discriminator(config).double()
    images = torch.randn(2, 3, 8, 8, generator=rng(), dtype=torch.float64).requires_grad_()

    def penalty(weight):
        return gradient_penalty(images, functional_call(network, {name: weight}, (images, None)))

    weight = network.get_parameter(name).detach().clone().requires_grad_()
    assert gradcheck(penalty, (weight,), eps=1e-7, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("name", ["synthesis.b8.conv0.weight", "synthesis.b4.conv1.affine.weight"])
def test_the_gradient_of_the_path_length_penalty_with_respect_to_the_generator_is_right(name):
    torch.manual_seed(0)
    config = stylegan2.GeneratorConfig(img_resolution=8, z_dim=3, w_dim=3, mapping_layers=1, channels=(2, 2))
    network = stylegan2.Generator(config).double()
    noise = torch.randn(2, 3, 8, 8, generator=rng(), dtype=torch.float64)
    ws = torch.randn(2, network.num_ws, 3, generator=rng(1), dtype=torch.float64).requires_grad_()

    def penalty(weight):
        weights = {name.removeprefix("synthesis."): weight}
        images = functional_call(network.synthesis, weights, (ws,), {"noise_mode": "none"})
        _, moved = path_length_penalty(images, ws, torch.zeros([], dtype=torch.float64), noise)
        before = (5 - moved) / 0.99  # the running mean is a constant for the gradient: here it becomes 5 every time
        return path_length_penalty(images, ws, before, noise)[0]

    weight = network.get_parameter(name).detach().clone().requires_grad_()
    assert gradcheck(penalty, (weight,), eps=1e-7, atol=1e-4, rtol=1e-3)


# --- optimisers and average


def test_lazy_regularisation_scales_the_learning_rate_and_the_betas(tiny):
    config = TrainConfig(lr=0.002, gamma=1.0, r1_interval=16, pl_weight=2.0, pl_interval=4)
    state = TrainState(tiny(), config)
    for optimizer, c in ((state.g_optimizer, 4 / 5), (state.d_optimizer, 16 / 17)):
        group = optimizer.param_groups[0]
        assert group["lr"] == pytest.approx(0.002 * c, rel=1e-12)
        assert group["betas"] == pytest.approx((0.0, 0.99**c), rel=1e-12)


def test_without_regularisation_adam_is_what_the_config_says(tiny):
    state = TrainState(tiny(), replace(PLAIN, lr=0.003))
    for optimizer in (state.g_optimizer, state.d_optimizer):
        assert (optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["betas"]) == (0.003, (0.0, 0.99))
        assert optimizer.param_groups[0]["eps"] == 1e-8


def averaged(tiny, **fields):
    """How much of an average that began at zero is left to the generator after 24 pictures of a resting generator."""
    gan = tiny()
    config = replace(PLAIN, lr=0.0, **fields)
    state = TrainState(gan, config)
    with torch.no_grad():
        for parameter in state.ema.parameters():
            parameter.zero_()
    train(gan, GanSource(gan), config, state=state)
    pairs = zip(state.ema.parameters(), state.generator.parameters(), strict=True)
    shares = [(a / b)[b.abs() > 1e-3] for a, b in pairs]
    shares = torch.cat([s.flatten() for s in shares])
    assert len(shares) > 1000 and shares.std() < 1e-4
    return shares.mean().item()


def test_the_average_is_half_way_after_its_half_life(tiny):
    assert averaged(tiny, ema_kimg=0.024) == pytest.approx(0.5, abs=1e-4)
    assert averaged(tiny, ema_kimg=0.012) == pytest.approx(0.75, abs=1e-4)
    assert averaged(tiny, ema_kimg=0.0) == pytest.approx(1.0, abs=1e-6)


def test_the_ramp_shortens_the_half_life_to_a_share_of_the_images_seen(tiny):
    kept = math.prod(0.5 ** (BATCH / min(20, 0.5 * images)) for images in range(BATCH, 25, BATCH))
    assert averaged(tiny, ema_kimg=0.02, ema_rampup=0.5) == pytest.approx(1 - kept, abs=1e-4)


def test_the_learning_rate_falls_linearly_in_the_last_part_and_not_below_a_twentieth(tiny):
    config, rates = replace(PLAIN, lr=0.001, lr_decay=0.5), []
    for progress in finetune(tiny(), GanSource(tiny()), config, report_images=1):
        rates.append(progress.state.g_optimizer.param_groups[0]["lr"] / 0.001)
    assert rates == pytest.approx([1, 1, 1, 1, 2 / 3, 1 / 3])
    reports, _ = train(tiny(), GanSource(tiny()), replace(config, total_kimg=0.1, lr_decay=1.0))
    assert reports[-1].state.d_optimizer.param_groups[0]["lr"] == pytest.approx(0.05 * 0.001)


# --- labels


@pytest.mark.parametrize(
    "n, classes, shares, expected",
    [
        (32, 4, (), [8, 8, 8, 8]),
        (8, 2, (0.75, 0.25), [6, 2]),
        (10, 3, (5, 3, 2), [5, 3, 2]),
        (6, 3, (1, 0, 1), [3, 0, 3]),
        (4, 1, (), [4]),
    ],
)
def test_labels_have_exactly_the_shares_that_were_asked_for(n, classes, shares, expected):
    for seed in range(20):
        labels = balanced_labels(n, classes, shares, rng(seed))
        assert labels.dtype == torch.int64 and torch.bincount(labels, minlength=classes).tolist() == expected


def test_where_the_batch_cannot_be_divided_shares_are_right_on_average_and_never_off_by_more_than_one():
    counts = torch.stack([torch.bincount(balanced_labels(8, 3, (), rng(s)), minlength=3) for s in range(300)])
    assert counts.min() == 2 and counts.max() == 3
    assert torch.allclose(counts.double().mean(dim=0), torch.full((3,), 8 / 3, dtype=torch.float64), atol=0.1)


def test_labels_come_in_random_order():
    assert len({tuple(balanced_labels(8, 2, (), rng(s)).tolist()) for s in range(20)}) > 10


def test_both_halves_of_a_batch_and_the_generator_see_the_same_order_of_labels(tiny, monkeypatch):
    student, source = tiny(("cat", "dog")), GanSource(tiny(("dog", "cat"), seed=1))
    asked, judged, mapped = [], [], []
    draw, judge = GanSource.sample_class, stylegan2.Discriminator.logits
    map_codes = stylegan2.Generator.map

    def drawing(self, labels, generator):
        asked.append(labels)
        return draw(self, labels, generator)

    def judging(self, features, c):
        judged.append(c)
        return judge(self, features, c)

    def mapping(self, z, c, *rest):
        if self is not source.gan.generator:
            mapped.append(c)
        return map_codes(self, z, c, *rest)

    monkeypatch.setattr(GanSource, "sample_class", drawing)
    monkeypatch.setattr(stylegan2.Discriminator, "logits", judging)
    monkeypatch.setattr(stylegan2.Generator, "map", mapping)
    train(student, source, replace(QUICK, pl_weight=0.0, style_mixing=1.0), steps=3)
    assert (len(asked), len(judged), len(mapped)) == (3, 9, 12)  # each step judges three times, and maps two z twice
    for step, labels in enumerate(asked):
        expected = F.one_hot(1 - labels, 2).float()  # class 0 of the source is the student's class 1
        for c in (*judged[3 * step : 3 * step + 3], *mapped[4 * step : 4 * step + 4]):
            assert torch.equal(c, expected)
    assert len({tuple(labels.tolist()) for labels in asked}) > 1


# --- what cannot be trained


@pytest.mark.parametrize("shares", [(1.0,), (1.0, 1.0, 1.0), (0.0, 0.0)])
@pytest.mark.parametrize("name", ["class_shares", "anchor_shares"])
def test_shares_that_do_not_fit_the_classes_are_refused(tiny, name, shares):
    gan = tiny(("cat", "dog"))
    with pytest.raises(CocktailError, match=name):
        train(gan, GanSource(gan), replace(QUICK, **{name: shares}))


def test_a_student_without_a_discriminator_is_refused(tiny):
    with pytest.raises(CocktailError, match="discriminator"):
        train(tiny(discriminator=False), GanSource(tiny()), QUICK)


def test_a_source_of_other_pixels_is_refused(tiny):
    with pytest.raises(CocktailError, match="16 px, student of 8 px"):
        train(tiny(), GanSource(tiny(resolution=16)), QUICK)


def test_a_class_that_the_student_lacks_is_refused(tiny):
    with pytest.raises(CocktailError, match="Unknown class 'car'"):
        train(tiny(("cat", "dog")), GanSource(tiny(), names=("car",)), QUICK)


def test_a_student_without_classes_learns_one_class_only(tiny):
    with pytest.raises(CocktailError, match="without classes"):
        train(tiny(), GanSource(tiny(("cat", "dog"))), QUICK)


@pytest.mark.parametrize(
    "field, value",
    [("batch", 0), ("gamma", -1.0), ("lr", math.nan), ("loss", "hinge"), ("style_mixing", 1.5), ("total_kimg", -1.0),
     ("class_shares", (1.0, -1.0)), ("grow_kimg", (math.inf,)), ("seed", -1), ("r1_interval", 0)],
)  # fmt: skip
def test_a_config_out_of_range_is_refused_by_name(field, value):
    with pytest.raises(CocktailError, match=f"^{field} is "):
        TrainConfig(**{field: value})


class Poisoned:
    """A source whose pictures turn to NaN."""

    def __init__(self, source, after):
        self.source, self.left = source, after
        self.classes, self.resolution = source.classes, source.resolution

    def sample_class(self, labels, generator):
        self.left -= 1
        return self.source.sample_class(labels, generator) * (1.0 if self.left >= 0 else math.nan)


def test_a_gradient_that_is_not_finite_stops_the_training_before_the_weights_are_touched(tiny):
    gan, reports = tiny(), []
    with pytest.raises(CocktailError, match=r"stopped at image 8: the discriminator's gradient is not finite"):
        for progress in finetune(gan, Poisoned(GanSource(gan), 2), QUICK, report_images=1):
            reports.append(progress)
    assert len(reports) == 2
    assert all(v.isfinite().all() for v in reports[-1].state.state_dict().values() if v.is_floating_point())


def test_nan_from_the_generator_is_named_too(tiny):
    gan = tiny()
    state = TrainState(gan, QUICK)
    with torch.no_grad():
        state.generator.synthesis.b4.const[0, 0, 0] = math.nan
    with pytest.raises(CocktailError, match="the generator's gradient"):
        train(gan, GanSource(gan), QUICK, state=state)


# --- states

STATES = {
    "everything of the paper": ({}, replace(QUICK, style_mixing=0.5)),
    "relativistic, samples used twice": (
        {"classes": ("cat", "dog")},
        replace(QUICK, loss="relativistic", reuse_samples=True, ema_rampup=0.5, lr_decay=0.5, class_shares=(3, 1)),
    ),
    "class rows in W": (
        {"classes": ("cat", "dog"), "class_w_gain": 2.0, "class_centers": True, "linear_input": True},
        replace(QUICK, style_mixing=0.5),
    ),
    "growing": ({"resolution": 16}, replace(QUICK, start_resolution=8, grow_kimg=(0.012,), style_mixing=0.5)),
    "custom": ({"architecture": "custom", "classes": ("cat", "dog")}, QUICK),
}


@pytest.mark.parametrize("case, steps", [*((case, 3) for case in STATES), (next(iter(STATES)), 1), ("growing", 4)])
def test_a_state_that_was_saved_and_loaded_goes_on_to_the_bit(tiny, tmp_path, case, steps):
    fields, config = STATES[case]
    student, source = tiny(**fields), GanSource(tiny(**fields, seed=1))
    through, uninterrupted = train(student, source, config)
    assert len(through) == 6
    first, _ = train(student, source, config, steps=steps)
    save_file(first[-1].state.state_dict(), tmp_path / "state.safetensors")
    state = start_state(student, config)
    state.load_state_dict(load_file(tmp_path / "state.safetensors"))
    second, resumed = train(student, source, config, state=state)
    assert [p.images for p in first + second] == [p.images for p in through] == [4, 8, 12, 16, 20, 24]
    assert same(second[-1].state.state_dict(), through[-1].state.state_dict()) == []
    for part in ("generator", "discriminator"):
        assert same(getattr(resumed, part).state_dict(), getattr(uninterrupted, part).state_dict()) == []
    # Losses are means since the last report, so they too must be those of a training in one go.
    assert [p.losses for p in first + second] == [p.losses for p in through]


def test_a_state_holds_all_that_changes(tiny):
    """Without one of these parts a resumed training would differ, if only in the last bit."""
    gan = tiny()
    reports, _ = train(gan, GanSource(gan), QUICK, steps=2)
    names = set(reports[-1].state.state_dict())
    assert {"counters", "path_length", "rng", "noise_rng", "g_optimizer.0.exp_avg_sq", "d_optimizer.0.step"} <= names
    for part in ("generator", "discriminator", "ema"):
        assert {f"{part}.{name}" for name in getattr(reports[-1].state, part).state_dict()} <= names


def test_equal_seeds_train_equal_students_and_others_do_not(tiny):
    gan = tiny()
    twice = [train(gan, GanSource(gan), replace(QUICK, seed=seed))[1].generator.state_dict() for seed in (5, 5, 6)]
    assert same(twice[0], twice[1]) == []
    assert "synthesis.b8.conv0.weight" in same(twice[0], twice[2])


def test_training_leaves_the_student_alone_and_its_result_can_be_trained_again(tiny):
    gan = tiny()
    before = gan.copy()
    _, once = train(gan, GanSource(gan), QUICK, steps=None)
    for part in ("generator", "discriminator"):
        assert same(getattr(gan, part).state_dict(), getattr(before, part).state_dict()) == []
        assert all(p.requires_grad for p in getattr(once, part).parameters())
    _, twice = train(once, GanSource(gan), QUICK)
    assert "synthesis.b8.conv0.weight" in same(once.generator.state_dict(), twice.generator.state_dict())


def test_no_images_give_the_student_back(tiny):
    gan = tiny(("cat", "dog"))
    reports, result = train(gan, GanSource(gan), replace(QUICK, total_kimg=0.0))
    assert reports == [] and result.classes == ("cat", "dog")
    assert same(result.generator.state_dict(), gan.generator.state_dict()) == []


def test_mixed_precision_is_for_cuda_only(tiny):
    gan = tiny()
    a, b = (train(gan, GanSource(gan), replace(QUICK, amp=amp))[1] for amp in (False, True))
    assert same(a.generator.state_dict(), b.generator.state_dict()) == []


def test_mixed_precision_trains_about_as_full_precision_does(tiny, monkeypatch):
    """On this CPU in place of a CUDA device: what is kept has full precision, and the pictures are nearly the same."""
    monkeypatch.setattr(trainer, "has_bfloat16", lambda device: True)
    gan, config = tiny(("cat", "dog")), replace(QUICK, loss="relativistic", reuse_samples=True)
    (reports, a), (mixed, b) = (train(gan, GanSource(gan), replace(config, amp=amp)) for amp in (False, True))
    assert set(same(a.generator.state_dict(), b.generator.state_dict())) >= {"mapping.w_avg"}
    assert {v.dtype for v in b.generator.state_dict().values()} == {torch.float32}
    for label in gan.classes:
        moved = (a.sample([1, 2], label) - gan.sample([1, 2], label)).abs().mean()
        assert (b.sample([1, 2], label) - a.sample([1, 2], label)).abs().mean() < 0.2 * moved
    for one, other in zip(reports, mixed, strict=True):
        assert other.losses == pytest.approx(one.losses, rel=0.05, abs=0.02)


def test_regularisation_happens_at_its_intervals(tiny):
    gan = tiny()
    reports, _ = train(gan, GanSource(gan), replace(QUICK, r1_interval=3, pl_interval=2))
    assert ["r1" in p.losses for p in reports] == [True, False, False] * 2
    assert ["pl" in p.losses for p in reports] == [True, False] * 3
    reports, _ = train(gan, GanSource(gan), PLAIN)
    assert not any({"r1", "pl"} & set(p.losses) for p in reports)


def test_a_discriminator_learns_to_tell_two_sources_apart(tiny):
    student, source = tiny(), GanSource(tiny(seed=1))
    reports, _ = train(student, source, replace(PLAIN, lr=0.005, total_kimg=0.2, batch=8))
    margins = [p.losses["real"] - p.losses["fake"] for p in reports]
    assert max(margins[:3]) < 0.1 < 0.3 < sum(margins[-10:]) / 10


# --- growth


def test_growing_keeps_the_picture_of_the_average(tiny):
    student = tiny(resolution=16)
    state = start_state(student, replace(QUICK, start_resolution=8, grow_kimg=(0.004,)))
    with torch.no_grad():  # the average is not the generator
        for index, parameter in enumerate(state.ema.parameters()):
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=rng(index)))
        z = torch.randn(3, 8, generator=rng())
        small = state.ema.synthesize(state.ema.map(z, None), "none")
        state.grow()
        large = state.ema.synthesize(state.ema.map(z, None), "none")
        other = state.generator.synthesize(state.generator.map(z, None), "none")
    upsampled = ops.upsample2(small, ops.fir_kernel((1, 3, 3, 1)))
    assert state.resolution == state.ema.resolution == state.discriminator.resolution == large.shape[-1] == 16
    assert torch.allclose(large, upsampled, atol=1e-5)
    assert not torch.allclose(large, other, atol=1e-2)


def test_a_student_grows_when_it_is_time(tiny):
    student, source = tiny(resolution=16), GanSource(tiny(resolution=16, seed=1))
    config = replace(QUICK, start_resolution=8, grow_kimg=(0.012,))
    sizes = [p.state.resolution for p in finetune(student, source, config, report_images=1)]
    assert sizes == [8, 8, 8, 16, 16, 16]
    _, result = train(student, source, config)
    assert result.resolution == 16 and result.generator.config == student.generator.config
    assert result.sample([0]).shape == (1, 3, 16, 16)


@pytest.mark.parametrize("start, kimg", [(8, ()), (8, (0.024,)), (4, (0.004,)), (32, ()), (8, (1.0,))])
def test_growth_that_does_not_end_at_the_students_resolution_is_refused(tiny, start, kimg):
    config = replace(QUICK, start_resolution=start, grow_kimg=kimg)
    with pytest.raises(CocktailError, match="start_resolution"):
        train(tiny(resolution=16), GanSource(tiny(resolution=16)), config)


def test_an_architecture_that_cannot_grow_says_so(tiny):
    gan = tiny(architecture="custom", resolution=16)
    with pytest.raises(CocktailError, match="cannot grow"):
        train(gan, GanSource(gan), replace(QUICK, start_resolution=8, grow_kimg=(0.004,)))


# --- anchors

FOLLOW = replace(PLAIN, total_kimg=0.2, batch=8, lr=0.02, anchor_only_kimg=1.0, ema_kimg=0.02)


def distance(a, b, label=None):
    return (a.sample(range(16), label, noise_mode="none") - b.sample(range(16), label, noise_mode="none")).abs().mean()


def test_an_anchor_pulls_the_student_to_its_pictures_of_the_same_z(tiny):
    names, options = ("cat", "dog"), {"use_noise": False}
    student, target = tiny(names, **options), tiny(names, seed=1, **options)
    source = GanSource(target)
    anchors = {name: target.copy().generator for name in names}
    _, pulled = train(student, source, FOLLOW, anchors=anchors)
    _, free = train(student, source, replace(FOLLOW, anchor_weight=0.0, anchor_only_kimg=0.0), anchors=anchors)
    for name in names:
        assert distance(pulled, target, name) < 0.4 * distance(student, target, name)
        assert distance(pulled, target, name) < 0.9 * distance(free, target, name)


class Flat(torch.nn.Module):
    """A generator that draws one grey."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def map(self, z, c):
        return z

    def synthesize(self, ws):
        return torch.full((len(ws), 3, 8, 8), self.value)


@pytest.mark.parametrize("shares, white", [((), True), ((1.0, 1.0), True), ((1.0, 0.0), False)])
def test_each_class_follows_its_own_anchor_as_closely_as_asked(tiny, shares, white):
    """The anchor of one class draws black, that of the other white."""
    student = tiny(("cat", "dog"), use_noise=False, class_w_gain=1.0)
    config, anchors = replace(FOLLOW, anchor_shares=shares), {"dog": Flat(0.9), "cat": Flat(-0.9)}
    _, pulled = train(student, GanSource(student), config, anchors=anchors)
    cat, dog = (pulled.sample(range(16), name).mean() for name in ("cat", "dog"))
    assert cat < -0.4 and (dog > 0.4) == white


def test_a_source_that_knows_its_latents_is_followed_too(tiny):
    student = tiny(resolution=16, z_dim=12, use_noise=False)
    source = DomainSource(("cat",), 16, pool=64, z_dim=12)
    reports, pulled = train(student, source, FOLLOW)
    images, z = source.sample_pairs(torch.zeros(64, dtype=torch.long), rng())
    before, after = (F.l1_loss(g.synthesize(g.map(z)), images).item() for g in (student, pulled))
    assert after < 0.5 * before
    assert reports[-1].losses["anchor"] < 0.7 * reports[0].losses["anchor"]


def test_distillation_fades_out(tiny):
    gan = tiny()
    config = replace(QUICK, anchor_kimg=0.012)
    reports, _ = train(gan, GanSource(gan), config, anchors={"image": gan.copy().generator})
    assert ["anchor" in p.losses for p in reports] == [True] * 3 + [False] * 3


def test_reports_come_in_the_rhythm_that_was_asked_for_and_at_the_end(tiny):
    gan = tiny()
    every = list(finetune(gan, GanSource(gan), replace(QUICK, total_kimg=0.028), report_images=12))
    assert [p.images for p in every] == [4, 8, 12, 16, 20, 24, 28]
    assert [p.images for p in every if p.losses] == [12, 24, 28]
    last = list(itertools.islice(finetune(gan, GanSource(gan), QUICK, report_images=8), 4))[-1]
    assert isinstance(last.state.student(), Gan) and last.total_images == 24 and last.elapsed_sec > 0


def test_a_report_holds_the_means_since_the_last_one_also_where_the_state_was_saved_in_between(tiny):
    gan = tiny()
    single, _ = train(gan, GanSource(gan), QUICK)
    whole = list(finetune(gan, GanSource(gan), QUICK, report_images=12))
    for name in ("g", "d", "real", "fake", "r1", "pl"):  # of lazy terms, over the steps that have them
        parts = [p.losses[name] for p in single[:3] if name in p.losses]
        assert whole[2].losses[name] == pytest.approx(sum(parts) / len(parts), rel=1e-5)
    for steps in (1, 4, 5):
        *_, stopped = itertools.islice(finetune(gan, GanSource(gan), QUICK, report_images=12), steps)
        state = start_state(gan, QUICK)
        state.load_state_dict(stopped.state.state_dict())
        rest = finetune(gan, GanSource(gan), QUICK, state=state, report_images=12)
        assert [(p.images, p.losses) for p in rest] == [(p.images, p.losses) for p in whole[steps:]]
