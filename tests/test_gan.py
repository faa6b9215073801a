"""A checkpoint in memory: sampling, classes, averaging and distance."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from cocktail.errors import CocktailError
from cocktail.gan import Gan, average, latents, new_gan, weight_distance

SIZES = {
    "stylegan2": ({"img_resolution": 16, "z_dim": 16, "w_dim": 12, "mapping_layers": 2, "channels": (16, 12, 8)},
                  {"img_resolution": 16, "channels": (16, 12, 8)}),
    "custom": ({"z_dim": 16, "embed_dim": 4, "channels": (16, 12, 8)}, {"channels": (16, 12, 8)}),
}  # fmt: skip
PETS = ("cat", "dog", "fox")


def gan(architecture="stylegan2", classes=PETS, seed=0):
    made = new_gan(architecture, *SIZES[architecture], classes=classes, seed=seed)
    with torch.no_grad():
        for part in (made.generator, made.discriminator):
            for name, value in part.state_dict().items():
                if name.endswith(("bias", "noise_strength", "w_avg")):
                    value += 0.2 * torch.randn(value.shape, generator=torch.Generator().manual_seed(seed))
    return made


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


# --- latents and samples


def test_a_seed_is_numpys_random_state():
    z = latents([0, 7, 2**32 - 1], 16)
    assert z.dtype == torch.float32
    expected = np.random.RandomState(7).randn(1, 16).astype(np.float32)
    assert np.array_equal(z[1:2].numpy(), expected)
    # The first standard normal numbers of numpy.random.RandomState(0), as in every table of it.
    assert np.allclose(z[0, :3], [1.76405235, 0.40015721, 0.97873798])


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_refused(seed):
    with pytest.raises(CocktailError, match=f"seed {seed} found; expected a whole number from 0"):
        latents([0, seed], 16)


@pytest.mark.parametrize("architecture", SIZES)
@pytest.mark.parametrize("noise_mode", ["const", "random", "none"])
def test_a_picture_is_the_same_in_any_company(architecture, noise_mode):
    model = gan(architecture)
    together = model.sample([3, 1, 4, 15, 9], ["cat", "dog", "fox", "cat", "dog"], 0.7, noise_mode)
    assert together.std() > 0.05
    assert torch.equal(model.sample([4], "fox", 0.7, noise_mode), together[2:3])
    assert torch.equal(model.sample([9, 4], ["dog", "fox"], 0.7, noise_mode), together[[4, 2]])


def test_sampling_leaves_torchs_global_generator_and_the_weights_alone():
    model = gan()
    state, weights = torch.get_rng_state(), {k: v.clone() for k, v in model.generator.state_dict().items()}
    model.sample([1, 2], "cat", 0.5, "random")
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, weights[name]) for name, value in model.generator.state_dict().items())


def test_sampling_follows_weights_that_change_in_place():
    model = gan()
    before = model.sample([1], "cat")
    with torch.no_grad():
        for value in model.generator.parameters():
            value.mul_(1.1)
    after = model.sample([1], "cat")
    assert not torch.allclose(before, after, atol=1e-3)
    other = gan()
    other.generator.load_state_dict(model.generator.state_dict())
    assert torch.equal(other.sample([1], "cat"), after)


def test_a_training_step_works_after_sampling():
    model = gan()
    model.sample([1], "cat")
    ws = model.generator.map(latents([1], 16), model.one_hot("cat", 1))
    model.generator.synthesize(ws).square().mean().backward()
    assert all(p.grad is not None for p in model.generator.synthesis.parameters())


def test_sampling_is_mapping_and_synthesis():
    model = gan()
    ws = model.map(latents([5, 6], 16), "dog", truncation=0.5, cutoff=3)
    assert ws.shape == (2, model.num_ws, 12)
    img = model.synthesize(ws)
    assert img.shape == (2, 3, 16, 16) and img.dtype == torch.float32 and img.abs().max() <= 1
    assert torch.equal(img, model.sample([5, 6], "dog", 0.5, cutoff=3))


def test_labels_may_be_names_numbers_tensors_or_a_mixture():
    model = gan()
    expected = model.sample([1, 2], ["dog", "fox"])
    assert torch.equal(model.sample([1, 2], torch.tensor([1, 2])), expected)
    assert torch.equal(model.sample([1, 2], [1, "fox"]), expected)
    assert torch.equal(model.sample([1, 2], "dog")[:1], expected[:1])
    assert not torch.allclose(model.sample([2], "dog"), expected[1:], atol=1e-3), "the class matters"


def test_no_seeds_are_no_pictures():
    assert gan().sample([], "cat").shape == (0, 3, 16, 16)
    assert gan(classes=()).sample([]).shape == (0, 3, 16, 16)


# --- errors


@pytest.mark.parametrize("label", ["cow", 3, -1, None, 1.5])
def test_an_unknown_class_is_named_with_the_known_ones(label):
    with pytest.raises(CocktailError, match="cat, dog, fox"):
        gan().sample([0], label)


def test_a_class_asked_of_a_model_without_classes_is_refused():
    with pytest.raises(CocktailError, match="'cat' asked of a model without classes"):
        gan(classes=()).sample([0], "cat")


def test_labels_must_be_one_each():
    with pytest.raises(CocktailError, match="2 labels for 3 pictures"):
        gan().sample([0, 1, 2], ["cat", "dog"])


@pytest.mark.parametrize("psi", [-2.5, 3, float("nan"), float("inf")])
def test_psi_out_of_range_is_refused(psi):
    with pytest.raises(CocktailError, match="truncation psi is"):
        gan().sample([0], "cat", psi)


@pytest.mark.parametrize("cutoff", [-1, 7])
def test_a_cutoff_beyond_the_layers_is_refused(cutoff):
    with pytest.raises(CocktailError, match="layers 0 to 6"):
        gan().sample([0], "cat", 0.5, cutoff=cutoff)


def test_latents_of_another_shape_are_refused():
    model = gan()
    with pytest.raises(CocktailError, match=r"\[2, 15\]; this model needs \[N, 16\]"):
        model.map(torch.zeros(2, 15), "cat")
    with pytest.raises(CocktailError, match=r"\[2, 12\]; this model needs \[N, 6, 12\]"):
        model.synthesize(torch.zeros(2, 12))


def test_codes_with_nan_are_refused():
    model = gan()
    ws = model.map(latents([0], 16), "cat").clone()
    ws[0, 2, 3] = float("nan")
    with pytest.raises(CocktailError, match="NaN or infinite"):
        model.synthesize(ws)


def test_an_unknown_noise_mode_is_refused():
    with pytest.raises(CocktailError, match="'loud' found; expected const, random or none"):
        gan().sample([0], "cat", noise_mode="loud")


def test_class_names_must_fit_the_generator_and_differ():
    model = gan()
    with pytest.raises(CocktailError, match="2 class names for a generator of 3 classes"):
        replace(model, classes=("cat", "dog"))
    with pytest.raises(CocktailError, match="must differ, found cat, cat, dog"):
        replace(model, classes=("cat", "cat", "dog"))


def test_a_model_of_absurd_size_is_refused_quickly():
    started = time.monotonic()
    with pytest.raises(CocktailError, match="channels"):
        new_gan("stylegan2", {"channels": (10**9,) * 5}, {})
    with pytest.raises(CocktailError, match="unknown architecture 'biggan'; known: custom, dcgan"):
        new_gan("biggan", {}, {})
    assert time.monotonic() - started < 0.5


# --- classes


@pytest.mark.parametrize("architecture", SIZES)
def test_new_classes_leave_the_old_pictures(architecture):
    old = gan(architecture)
    new = old.with_classes(["owl", "cat", "hen"], rng())
    assert new.classes == ("cat", "dog", "fox", "owl", "hen") and old.classes == PETS
    for label in PETS:
        assert (new.sample([1, 2], label, 0.8) - old.sample([1, 2], label, 0.8)).abs().max() < 1e-5
    assert not torch.allclose(new.sample([1], "owl"), new.sample([1], "hen"), atol=1e-3)


@pytest.mark.parametrize("architecture", SIZES)
def test_a_model_without_classes_draws_its_pictures_for_each_class_that_it_is_given(architecture):
    old = gan(architecture, classes=())
    new = old.with_classes(PETS, rng())
    for label in PETS:
        assert (new.sample([1, 2], label) - old.sample([1, 2])).abs().max() < 1e-5


def test_classes_are_added_to_a_model_without_discriminator():
    model = replace(gan(), discriminator=None).with_classes(["owl"], rng())
    assert model.discriminator is None and model.classes == (*PETS, "owl")


def test_the_same_generator_gives_the_same_new_rows():
    a, b, c = (gan().with_classes(["owl"], rng(seed)).generator.mapping.embed.weight for seed in (1, 1, 2))
    assert torch.equal(a, b) and not torch.equal(a, c)


# --- averages and distances


@pytest.mark.parametrize("architecture", SIZES)
def test_the_average_of_identical_gans_is_the_identity(architecture):
    model = gan(architecture)
    mean = average([model, model.copy(), model.copy()])
    for part in ("generator", "discriminator"):
        wanted = getattr(model, part).state_dict()
        for name, value in getattr(mean, part).state_dict().items():
            assert torch.equal(value, wanted[name]), name
    assert torch.equal(mean.sample([1], "cat"), model.sample([1], "cat"))
    assert mean.classes == PETS


def test_the_average_is_the_weighted_mean_of_parameters_and_buffers_of_both_networks():
    a, b = gan(seed=1), gan(seed=2)
    mean = average([a, b], [0.25, 0.75])
    for part in ("generator", "discriminator"):
        x, y = getattr(a, part).state_dict(), getattr(b, part).state_dict()
        for name, value in getattr(mean, part).state_dict().items():
            assert torch.allclose(value, 0.25 * x[name] + 0.75 * y[name], atol=1e-6), name
    assert not torch.equal(a.generator.mapping.w_avg, b.generator.mapping.w_avg)


def test_averaging_leaves_the_models_alone():
    a, b = gan(seed=1), gan(seed=2)
    before = a.sample([1], "cat")
    average([a, b])
    assert torch.equal(a.sample([1], "cat"), before)


@pytest.mark.parametrize("weights", [[0.5], [0.5, 0.6], []])
def test_weights_of_an_average_must_fit_and_sum_to_one(weights):
    with pytest.raises(CocktailError, match="2 models and weights"):
        average([gan(), gan()], weights)


def test_models_of_another_architecture_or_shape_cannot_be_averaged():
    with pytest.raises(CocktailError, match="generators to compare differ"):
        average([gan(), gan("custom")])
    with pytest.raises(CocktailError, match="generators to compare differ"):
        weight_distance(gan(), gan(classes=("cat",)))
    with pytest.raises(CocktailError, match="only some of the models to average have a discriminator"):
        average([gan(), replace(gan(), discriminator=None)])
    with pytest.raises(CocktailError, match="no models to average"):
        average([])


def test_the_distance_of_a_model_to_itself_is_zero():
    assert weight_distance(gan(), gan()) == 0


def test_the_distance_of_a_shifted_copy_is_the_mean_root_of_the_tensor_sizes():
    a, b = gan(), gan()
    with torch.no_grad():
        for value in b.generator.parameters():
            value += 0.5
        for value in b.discriminator.parameters():
            value += 9
    expected = np.mean([0.5 * value.numel() ** 0.5 for value in a.generator.parameters()])
    assert weight_distance(a, b) == pytest.approx(expected, rel=1e-5)
    assert weight_distance(replace(a, discriminator=None), b) == pytest.approx(expected, rel=1e-5)


def test_a_copy_is_independent():
    model = gan()
    other = model.copy()
    with torch.no_grad():
        other.generator.mapping.w_avg += 1
    assert weight_distance(model, other) == 0 and not torch.equal(
        model.generator.mapping.w_avg, other.generator.mapping.w_avg
    )


def test_parameters_are_counted_of_the_generator():
    model = gan()
    assert model.num_parameters == sum(p.numel() for p in model.generator.parameters()) > 0
    assert isinstance(model, Gan) and model.device == torch.device("cpu")
