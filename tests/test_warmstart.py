"""A fit of a generator to pictures whose latents are known: its loss, what it reaches, what it refuses."""

from dataclasses import replace

import pytest
import torch

from cocktail.errors import CocktailError
from cocktail.sources import DomainSource, GanSource, MixtureSource
from cocktail.warmstart import LEAST_CHANGE, FitState, WarmStartConfig, fit_loss, missed_shares, warm_start

SHORT = WarmStartConfig(stage_kimg=(0.4,), batch=8, lr=0.01, ema_kimg=0.02)


@pytest.fixture(scope="module")
def drawn():
    return DomainSource(("cat", "dog"), 16, pool=64, z_dim=16)


def fitted(student, source, config=SHORT, **options):
    steps, reports = warm_start(student, source, config, report_images=8, **options), []
    while True:
        try:
            reports.append(next(steps))
        except StopIteration as stop:
            return reports, stop.value


def error(gan, source, label):
    images, z = source.sample_pairs(torch.full((64,), source.classes.index(label)), torch.Generator().manual_seed(7))
    return (gan.synthesize(gan.map(z, label)) - images).abs().mean().item()


def test_the_loss_of_a_constant_shift_has_its_closed_form():
    wanted = torch.rand(2, 3, 16, 16) * 2 - 1
    loss, l1, l2 = fit_loss(wanted + 0.25, wanted)
    assert l1.item() == pytest.approx(0.25, rel=1e-5) and l2.item() == pytest.approx(0.0625, rel=1e-5)
    assert loss.item() == pytest.approx(3 * 0.25 + 4 * 0.0625, rel=1e-4)  # three scales; neighbours differ as before


def test_the_loss_of_a_checkerboard_is_one_of_edges():
    """Errors of +-d that cancel at half size: |d| and 4 d^2 of the pixels, and 2 d from one pixel to the next."""
    sign = (torch.arange(16)[:, None] + torch.arange(16)) % 2 * 2.0 - 1
    wanted = torch.zeros(1, 3, 16, 16)
    loss, _, _ = fit_loss(wanted + 0.1 * sign, wanted)
    assert loss.item() == pytest.approx(0.1 + 4 * 0.01 + 2 * (2 * 0.2 + 4 * 0.04), rel=1e-4)


def test_what_is_missed_of_a_contrast_is_the_share_of_the_change_that_is_missed():
    wanted = torch.rand(6, 3, 8, 8)
    assert missed_shares(wanted + 0.3, wanted).max().item() < 1e-6, "what both pictures miss alike is no contrast"
    blind = wanted[:3].repeat(2, 1, 1, 1)
    change = (wanted[:3] - wanted[3:]).square().mean(dim=(1, 2, 3))
    assert torch.allclose(missed_shares(blind, wanted), change / (change + LEAST_CHANGE), rtol=1e-5)
    assert missed_shares(wanted.flip(0)[[2, 1, 0, 5, 4, 3]], wanted).min().item() > 3, (
        "the opposite change is four times as wrong"
    )


def test_a_fit_with_contrasts_draws_the_factor_better(tiny):
    source = DomainSource(("face",), 16, pool=64, z_dim=16, contrasts=("hair",))
    config = replace(SHORT, stage_kimg=(1.0,))
    zeros = torch.zeros(64, dtype=torch.long)
    images, z = source.sample_contrasts(zeros, zeros, torch.Generator().manual_seed(3))
    missed = []
    for weight in (0.0, 3.0):
        student = tiny((), resolution=16, z_dim=16, use_noise=False)
        _, gan = fitted(student, source, replace(config, contrast_weight=weight))
        missed.append(missed_shares(gan.synthesize(gan.map(z)), images).mean().item())
    assert missed[1] < missed[0]


def test_contrasts_need_a_source_that_has_them(tiny, drawn):
    with pytest.raises(CocktailError, match="source with contrasts"):
        fitted(tiny(("cat", "dog"), resolution=16, z_dim=16), drawn, replace(SHORT, contrast_weight=1.0))


def test_a_fit_draws_the_picture_that_belongs_to_the_latent_class_by_class(tiny, drawn):
    student = tiny(("dog", "cat"), resolution=16, z_dim=16, use_noise=False, class_w_gain=1.0)
    reports, gan = fitted(student, drawn)
    for label in ("cat", "dog"):
        assert error(gan, drawn, label) < 0.6 * error(student, drawn, label)
    assert reports[-1].images == reports[-1].total_images == 400 and reports[-1].losses.keys() == {"l1", "l2"}
    assert gan.discriminator is student.discriminator and gan.classes == student.classes


@pytest.mark.parametrize("contrast_weight", [0.0, 1.0])
def test_a_fit_shows_classes_in_the_shares_asked_for(tiny, contrast_weight, monkeypatch):
    source = DomainSource(("cat", "dog"), 16, pool=64, z_dim=16, contrasts=("smile",))
    student, shown = tiny(("cat", "dog"), resolution=16, z_dim=16), []
    for name in ("sample_pairs", "sample_contrasts"):
        ask = getattr(source, name)
        monkeypatch.setattr(source, name, lambda labels, *rest, ask=ask: shown.append(labels) or ask(labels, *rest))
    config = replace(SHORT, contrast_weight=contrast_weight, class_shares=(1.0, 3.0))
    fitted(student, source, config)
    assert torch.bincount(torch.cat(shown)).tolist() == [len(torch.cat(shown)) // 4, len(torch.cat(shown)) * 3 // 4]
    with pytest.raises(CocktailError, match="class_shares .* for 2 classes"):
        fitted(student, source, replace(config, class_shares=(1.0,)))


def test_a_fit_leaves_the_student_as_it_was_and_sets_the_centres(tiny, drawn):
    student = tiny(("cat", "dog"), resolution=16, z_dim=16, use_noise=False, class_centers=True)
    before = {name: value.clone() for name, value in student.generator.state_dict().items()}
    _, gan = fitted(student, drawn, replace(SHORT, stage_kimg=(0.08,)))
    assert all(torch.equal(value, before[name]) for name, value in student.generator.state_dict().items())
    z = torch.randn(4000, 16)
    for index, label in enumerate(gan.classes):
        mean = gan.generator.map(z, gan.one_hot(label, len(z)))[:, 0].mean(dim=0)
        assert torch.allclose(gan.generator.mapping.class_w_avg[index], mean, atol=0.1)


def test_a_new_generator_grows_to_the_students_size(tiny, drawn):
    config = WarmStartConfig(start_resolution=8, stage_kimg=(0.08, 0.08), batch=8)
    student = tiny(("cat", "dog"), resolution=16, z_dim=16, use_noise=False)
    reports, gan = fitted(student, drawn, config)
    sizes = [report.state.generator.resolution for report in reports]
    assert gan.resolution == 16 and len(reports) == 20 and sizes[-1] == 16
    assert gan.generator.config == student.generator.config


def test_progress_comes_after_every_step_and_losses_about_as_often_as_asked(tiny, drawn):
    student, config = tiny(("cat", "dog"), resolution=16, z_dim=16), replace(SHORT, stage_kimg=(0.064,))
    every = list(warm_start(student, drawn, config, report_images=20))
    assert [p.images for p in every] == list(range(8, 65, 8))
    assert [p.images for p in every if p.losses] == [24, 40, 64]
    assert all(isinstance(value, float) for value in every[2].losses.values())


def test_a_state_goes_on_to_the_bit(tiny, drawn):
    student = tiny(("cat", "dog"), resolution=16, z_dim=16, use_noise=False)
    config = WarmStartConfig(start_resolution=8, stage_kimg=(0.024, 0.024), batch=8)
    _, whole = fitted(student, drawn, config)
    for reports in (2, 3, 5):
        steps = warm_start(student, drawn, config, report_images=8)
        saved = [next(steps).state.state_dict() for _ in range(reports)][-1]
        state = FitState(student, config)
        state.load_state_dict(saved)
        _, rest = fitted(student, drawn, config, state=state)
        for name, value in rest.generator.state_dict().items():
            assert torch.equal(value, whole.generator.state_dict()[name]), name


@pytest.mark.parametrize(
    "config, words",
    [
        ({"start_resolution": 8, "stage_kimg": (1.0,)}, "ends at 8 px; the model has 16 px"),
        ({"stage_kimg": (1.0, 1.0)}, "without growth there is one stage"),
    ],
)
def test_stages_that_do_not_fit_are_refused(tiny, drawn, config, words):
    student = tiny(("cat", "dog"), resolution=16, z_dim=16)
    with pytest.raises(CocktailError, match=words):
        fitted(student, drawn, WarmStartConfig(**config))


def test_a_source_without_latents_and_an_architecture_that_cannot_grow_are_refused(tiny, drawn):
    mixture = MixtureSource([GanSource(tiny(seed=i), names=(name,)) for i, name in enumerate(("cat", "dog"))])
    for unpaired in (DomainSource(("cat", "dog"), 8, pool=4), mixture):
        with pytest.raises(CocktailError, match="knows its latents"):
            fitted(tiny(("cat", "dog")), unpaired)
    grow = WarmStartConfig(start_resolution=8, stage_kimg=(0.01, 0.01))
    with pytest.raises(CocktailError, match="cannot grow"):
        fitted(tiny(("cat", "dog"), resolution=16, architecture="custom", z_dim=16), drawn, grow)
