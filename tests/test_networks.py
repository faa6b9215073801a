"""StyleGAN2 and the custom architecture: published names, agreement with a second formulation, classes, growth."""

import math
import time

import pytest
import torch
from torch.autograd import gradcheck

from benchmarks.reference import ReferenceDiscriminator, ReferenceGenerator
from cocktail import ops
from cocktail.errors import CocktailError
from cocktail.networks import ARCHITECTURES, architecture_of, custom, stylegan2
from cocktail.networks.layers import MinibatchStd
from cocktail.training import gradient_penalty

SMALL_G = {"img_resolution": 32, "z_dim": 24, "w_dim": 20, "mapping_layers": 2, "channel_base": 512, "channel_max": 16}
SMALL_D = {"img_resolution": 32, "channel_base": 512, "channel_max": 16, "mapping_layers": 2}
CUSTOM_G = {"z_dim": 24, "embed_dim": 8, "channels": (16, 16, 16, 8)}


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def lively(network, seed=0):
    """Biases, noise strengths and centres as after training: at their initial values they could hide a mistake."""
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if name.endswith((".bias", "noise_strength", "w_avg", "class_w")):
                value += 0.3 * torch.randn(value.shape, generator=rng(seed))
    return network.eval()


def generator(seed=0, **options):
    torch.manual_seed(seed)
    return lively(stylegan2.Generator(stylegan2.GeneratorConfig(**(SMALL_G | options))))


def discriminator(seed=0, **options):
    torch.manual_seed(seed)
    return lively(stylegan2.Discriminator(stylegan2.DiscriminatorConfig(**(SMALL_D | options))))


def custom_generator(seed=0, **options):
    torch.manual_seed(seed)
    return lively(custom.Generator(custom.GeneratorConfig(**(CUSTOM_G | options))))


def custom_discriminator(seed=0, **options):
    torch.manual_seed(seed)
    return lively(custom.Discriminator(custom.DiscriminatorConfig(channels=CUSTOM_G["channels"], **options)))


def latent(n, seed=0, dim=24):
    return torch.randn(n, dim, generator=rng(seed))


def one_hot(n, classes):
    return torch.eye(classes)[torch.arange(n) % classes]


def draw(network, z, c=None, **options):
    with torch.no_grad():
        return network.synthesize(network.map(z, c, **options))


# --- the published layout


def published_generator_layout(channels, classes, z_dim, w_dim, mapping_layers):
    """Names and shapes of a conditional generator in NVIDIA's PyTorch checkpoints; `channels`: by resolution."""
    layout = {"mapping.embed.weight": (w_dim, classes), "mapping.embed.bias": (w_dim,), "mapping.w_avg": (w_dim,)}
    for i in range(mapping_layers):
        layout[f"mapping.fc{i}.weight"] = (w_dim, z_dim + w_dim if i == 0 else w_dim)
        layout[f"mapping.fc{i}.bias"] = (w_dim,)
    for resolution, out in channels.items():
        block = f"synthesis.b{resolution}."
        layout[block + "resample_filter"] = (4, 4)
        if resolution == 4:
            layout[block + "const"] = (out, 4, 4)
        inputs = {"conv0": channels.get(resolution // 2), "conv1": out}
        for layer in ("conv1",) if resolution == 4 else ("conv0", "conv1"):
            layout |= {
                f"{block}{layer}.weight": (out, inputs[layer], 3, 3), f"{block}{layer}.bias": (out,),
                f"{block}{layer}.noise_const": (resolution, resolution), f"{block}{layer}.noise_strength": (),
                f"{block}{layer}.resample_filter": (4, 4), f"{block}{layer}.affine.weight": (inputs[layer], w_dim),
                f"{block}{layer}.affine.bias": (inputs[layer],),
            }  # fmt: skip
        layout |= {
            block + "torgb.weight": (3, out, 1, 1), block + "torgb.bias": (3,),
            block + "torgb.affine.weight": (out, w_dim), block + "torgb.affine.bias": (out,),
        }  # fmt: skip
    return layout


def published_discriminator_layout(channels, classes, mapping_layers):
    """Names and shapes of a conditional resnet discriminator in NVIDIA's PyTorch checkpoints."""
    last, top = channels[4], max(channels)
    layout = {"mapping.embed.weight": (last, classes), "mapping.embed.bias": (last,)}
    for i in range(mapping_layers):
        layout |= {f"mapping.fc{i}.weight": (last, last), f"mapping.fc{i}.bias": (last,)}
    for resolution in sorted(channels, reverse=True)[:-1]:
        block, width, out = f"b{resolution}.", channels[resolution], channels[resolution // 2]
        if resolution == top:
            layout |= {block + "fromrgb.weight": (width, 3, 1, 1), block + "fromrgb.bias": (width,)}
            layout[block + "fromrgb.resample_filter"] = (4, 4)
        layout |= {
            block + "resample_filter": (4, 4),
            block + "conv0.weight": (width, width, 3, 3), block + "conv0.bias": (width,),
            block + "conv1.weight": (out, width, 3, 3), block + "conv1.bias": (out,),
            block + "skip.weight": (out, width, 1, 1),
        }  # fmt: skip
        layout |= {f"{block}{layer}.resample_filter": (4, 4) for layer in ("conv0", "conv1", "skip")}
    return layout | {
        "b4.conv.weight": (last, last + 1, 3, 3), "b4.conv.bias": (last,), "b4.conv.resample_filter": (4, 4),
        "b4.fc.weight": (last, last * 16), "b4.fc.bias": (last,), "b4.out.weight": (last, last), "b4.out.bias": (last,),
    }  # fmt: skip


CHANNELS = {4: 64, 8: 64, 16: 48, 32: 24}  # channel_base 768, at most 64


def shapes(network):
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


def test_the_generators_tensors_have_the_published_names_and_shapes():
    config = stylegan2.GeneratorConfig(
        img_resolution=32, z_dim=24, c_dim=3, w_dim=20, mapping_layers=2, channel_base=768, channel_max=64
    )
    assert shapes(stylegan2.Generator(config)) == published_generator_layout(CHANNELS, 3, 24, 20, 2)


def test_the_discriminators_tensors_have_the_published_names_and_shapes():
    config = stylegan2.DiscriminatorConfig(
        img_resolution=32, c_dim=3, mapping_layers=2, channel_base=768, channel_max=64
    )
    assert shapes(stylegan2.Discriminator(config)) == published_discriminator_layout(CHANNELS, 3, 2)


def test_an_unconditional_pair_has_neither_embedding_nor_class_mapping():
    names = set(generator().state_dict()) | set(discriminator().state_dict())
    assert "mapping.fc0.weight" in names and not any("embed" in name for name in names)
    assert not any(name.startswith("mapping") for name in discriminator().state_dict())
    assert discriminator().b4.out.weight.shape == (1, 16)


def test_channels_follow_base_and_maximum_unless_listed():
    listed = stylegan2.Generator(stylegan2.GeneratorConfig(img_resolution=16, w_dim=8, z_dim=8, channels=(7, 6, 5)))
    assert [listed.synthesis.get_submodule(f"b{r}").conv1.weight.shape[0] for r in (4, 8, 16)] == [7, 6, 5]


# --- agreement with NVIDIA's formulation


@pytest.mark.parametrize("options", [{}, {"c_dim": 3}, {"conv_clamp": 0.5}, {"use_noise": False, "linear_input": True}],
                         ids=["plain", "classes", "clamp", "small-net options"])  # fmt: skip
@pytest.mark.parametrize("noise_mode", ["const", "random", "none"])
@pytest.mark.parametrize("training", [False, True])
def test_the_generator_agrees_with_the_reference_formulation(options, noise_mode, training):
    ours = generator(**options).train(training)
    reference = ReferenceGenerator(ours)
    z, c = latent(4), one_hot(4, ours.c_dim) if ours.c_dim else None
    with torch.no_grad():
        for psi, cutoff in ((1, None), (0.7, None), (0.7, 3)):
            expected = reference.synthesize(reference.map(z, c, psi, cutoff), noise_mode, rng())
            found = ours.synthesize(ours.map(z, c, psi, cutoff), noise_mode, rng())
            assert expected.std() > 0.1
            assert (found - expected).abs().max() < 1e-4
        if noise_mode != "random":
            single = ours.synthesize(ours.map(z[:1], None if c is None else c[:1], 0.7, 3), noise_mode)
            assert (single - expected[:1]).abs().max() < 1e-4


@pytest.mark.parametrize("options", [{}, {"c_dim": 3}, {"conv_clamp": 0.5}], ids=["plain", "classes", "clamp"])
def test_the_discriminator_agrees_with_the_reference_formulation(options):
    ours = discriminator(**options)
    images, c = torch.randn(8, 3, 32, 32, generator=rng()), one_hot(8, 3) if ours.c_dim else None
    with torch.no_grad():
        found, expected = ours(images, c), ReferenceDiscriminator(ours)(images, c)
    assert expected.std() > 1e-3
    assert (found - expected).abs().max() < 1e-4


def test_weights_gradients_agree_with_the_reference_formulation():
    ours = generator(c_dim=3).train()
    judge = discriminator(c_dim=3)
    reference, judging = ReferenceGenerator(ours), ReferenceDiscriminator(judge)
    z, c = latent(4), one_hot(4, 3)
    judge(ours.synthesize(ours.map(z, c)), c).sum().backward()
    judging(reference.synthesize(reference.map(z, c)), c).sum().backward()
    for mine, other in ((ours, reference.net), (judge, judging.net)):
        for (name, a), b in zip(mine.named_parameters(), other.parameters(), strict=True):
            assert torch.allclose(a.grad, b.grad, rtol=1e-3, atol=1e-4 * max(1, b.grad.abs().max())), name


def test_gradient_penalties_agree_with_the_reference_formulation():
    judge, ours = discriminator(), generator().train()
    judging, reference = ReferenceDiscriminator(judge), ReferenceGenerator(ours)

    def r1(network):
        images = torch.randn(4, 3, 32, 32, generator=rng()).requires_grad_()
        (gradient,) = torch.autograd.grad(network(images, None).sum(), images, create_graph=True)
        gradient.square().sum().backward()
        return torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])

    def path_length(network):
        ws = network.map(latent(2), None)
        images = network.synthesize(ws)
        (gradient,) = torch.autograd.grad(
            (images * torch.randn(images.shape, generator=rng())).sum(), ws, create_graph=True
        )
        gradient.square().sum(dim=2).mean(dim=1).sqrt().sum().backward()
        return {name: p.grad for name, p in network.named_parameters() if name.endswith("conv1.weight")}

    mine, other = r1(judge), r1(judging)
    assert other.norm() > 0 and (mine - other).norm() < 1e-3 * other.norm()
    mine, other = path_length(ours), path_length(reference)
    assert len(mine) == 4
    for a, b in zip(mine.values(), other.values(), strict=True):
        assert b.norm() > 0 and (a - b).norm() < 1e-3 * b.norm()


# --- gradients in double precision


def penalty_of(network, name, compute):
    """`compute` as a function of the network's parameter `name`, in double precision, with that parameter's value."""
    network = network.double().train()
    others = {k: v.detach() for k, v in network.state_dict().items()}

    def penalty(value):
        return torch.func.functional_call(network, others | {name: value}, (compute,))

    return penalty, others[name].clone().requires_grad_()


class Calling(torch.nn.Module):
    """Passes a network to a function, so that functional_call reaches every method of it."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, compute):
        return compute(self.network)


@pytest.mark.parametrize("name", ["b8.conv1.weight", "b8.fromrgb.bias", "b8.skip.weight", "b4.out.weight"])
def test_r1_penalty_has_the_right_gradient(name):
    config = stylegan2.DiscriminatorConfig(img_resolution=8, channels=(3, 2))
    torch.manual_seed(0)
    images = torch.randn(2, 3, 8, 8, generator=rng(), dtype=torch.float64)

    def r1(network):
        pixels = images.clone().requires_grad_()
        return gradient_penalty(pixels, network(pixels, None))

    network = lively(stylegan2.Discriminator(config))
    penalty, value = penalty_of(Calling(network), f"network.{name}", r1)
    assert penalty(value) > 0
    assert gradcheck(penalty, [value])


@pytest.mark.parametrize(
    "name", ["b8.conv0.weight", "b8.conv1.affine.weight", "b8.torgb.weight", "b4.conv1.affine.bias"]
)
def test_path_length_penalty_has_the_right_gradient(name):
    config = stylegan2.GeneratorConfig(img_resolution=8, z_dim=4, w_dim=3, mapping_layers=1, channels=(3, 2))
    torch.manual_seed(0)
    codes = torch.randn(2, 4, 3, generator=rng(), dtype=torch.float64)
    noise = torch.randn(2, 3, 8, 8, generator=rng(1), dtype=torch.float64)

    def path_length(network):
        ws = codes.clone().requires_grad_()
        (gradient,) = torch.autograd.grad((network.synthesize(ws) * noise).sum(), ws, create_graph=True)
        # A fixed target: the running mean of training is detached, which a numerical gradient would not see.
        return (gradient.square().sum(dim=2).mean(dim=1).sqrt() - 0.1).square().mean()

    network = lively(stylegan2.Generator(config))
    penalty, value = penalty_of(Calling(network), f"network.synthesis.{name}", path_length)
    assert penalty(value) > 0
    assert gradcheck(penalty, [value])


# --- parts


def test_minibatch_deviation_is_numpys_over_groups_n_over_g_apart():
    x = torch.randn(8, 3, 4, 4, generator=rng())
    found = MinibatchStd(4)(x)
    assert torch.equal(found[:, :3], x)
    for first in range(2):
        group = x[first::2].numpy()
        expected = ((group.var(axis=0) + 1e-8) ** 0.5).mean()
        assert torch.allclose(found[first::2, 3], torch.tensor(expected), atol=1e-6)


def test_minibatch_deviation_takes_any_batch_size():
    x = torch.randn(7, 3, 4, 4, generator=rng())
    assert MinibatchStd(4)(x)[:, 3].abs().max() < 1e-3  # 7 is prime: groups of one, no deviation
    assert MinibatchStd(4)(x[:6])[:, 3].min() > 0.5  # 6 makes groups of three


def test_truncation_draws_towards_the_centre_and_psi_zero_is_the_centre():
    network = generator()
    ws, half, none = (network.map(latent(3), None, psi) for psi in (1, 0.5, 0))
    assert torch.allclose(none, network.mapping.w_avg.expand_as(none), atol=1e-6)
    assert torch.allclose(half, (ws + none) / 2, atol=1e-6)
    cut = network.map(latent(3), None, 0.5, cutoff=2)
    assert torch.equal(cut[:, 2:], ws[:, 2:]) and torch.equal(cut[:, :2], half[:, :2])


def test_a_class_with_its_own_centre_is_truncated_towards_it():
    network = generator(c_dim=2, class_centers=True)
    network.mapping.class_w_avg.copy_(torch.randn(2, 20, generator=rng()))
    ws = network.map(latent(2), one_hot(2, 2), 0.0)
    assert torch.allclose(ws[:, 0], network.mapping.class_w_avg, atol=1e-6)


def test_tracking_moves_the_centres_of_the_classes_seen_only():
    network = generator(c_dim=3, class_centers=True)
    mapping = network.mapping
    before, average = mapping.class_w_avg.clone(), mapping.w_avg.clone()
    w = torch.randn(4, 20, generator=rng())
    network.track(w[:, None], one_hot(4, 2) @ torch.eye(2, 3))
    assert torch.allclose(mapping.w_avg, 0.995 * average + 0.005 * w.mean(dim=0), atol=1e-6)
    assert torch.allclose(mapping.class_w_avg[1], 0.995 * before[1] + 0.005 * w[1::2].mean(dim=0), atol=1e-6)
    assert torch.equal(mapping.class_w_avg[2], before[2])


def test_random_noise_follows_its_generator_and_none_is_smooth():
    network, z = generator(), latent(2)
    with torch.no_grad():
        ws = network.map(z, None)
        first, again, other = (network.synthesize(ws, "random", rng(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.allclose(first, other, atol=1e-2)
    assert torch.equal(draw(network, z), draw(network, z))


# --- classes


PAIRS = {
    "stylegan2": (generator, discriminator), "custom": (custom_generator, custom_discriminator),
    "class_w": (lambda **o: generator(class_w_gain=4.0, class_centers=True, **o), discriminator),
}  # fmt: skip


@pytest.mark.parametrize("make", [pair[0] for pair in PAIRS.values()], ids=PAIRS)
@pytest.mark.parametrize("psi", [1.0, 0.6])
def test_a_generator_that_gains_classes_draws_its_old_picture_for_each(make, psi):
    old, z = make(), latent(3)
    new = old.with_classes(3, rng())
    assert new.c_dim == 3 and draw(old, z).std() > 0.05
    for label in range(3):
        picture = draw(new, z, torch.eye(3)[[label] * 3], truncation=psi)
        assert (picture - draw(old, z, truncation=psi)).abs().max() < 1e-5


@pytest.mark.parametrize("make", [pair[0] for pair in PAIRS.values()], ids=PAIRS)
def test_a_generator_keeps_the_pictures_of_old_classes_when_classes_are_added(make):
    old, z = make(c_dim=3), latent(6)
    new = old.with_classes(5, rng())
    for psi in (1.0, 0.6):
        wanted = draw(old, z, one_hot(6, 3), truncation=psi)
        found = draw(new, z, torch.nn.functional.pad(one_hot(6, 3), [0, 2]), truncation=psi)
        assert (found - wanted).abs().max() < 1e-5
    four, five = (draw(new, z[:1], torch.eye(5)[[i]]) for i in (3, 4))
    assert not torch.allclose(four, five, atol=1e-3), "a new class of a conditional model is a new picture"


def test_class_rows_in_w_switch_on_neutrally_and_then_move_one_class_only():
    old, z = generator(c_dim=2), latent(2)
    new = old.with_classes(2, rng(), class_w_gain=4.0, class_centers=True)
    assert (draw(new, z, one_hot(2, 2)) - draw(old, z, one_hot(2, 2))).abs().max() < 1e-5
    with torch.no_grad():
        new.mapping.class_w[1] += 0.1
    moved = new.map(z, one_hot(2, 2)) - old.map(z, one_hot(2, 2))
    assert moved[0].abs().max() < 1e-6 and torch.allclose(moved[1], torch.tensor(0.4), atol=1e-6)


@pytest.mark.parametrize("make", [discriminator, custom_discriminator], ids=["stylegan2", "custom"])
def test_a_discriminator_keeps_its_verdict_on_old_classes(make):
    old, images = make(c_dim=3), torch.randn(6, 3, 32, 32, generator=rng())
    new = old.with_classes(5, rng())
    with torch.no_grad():
        wanted, found = old(images, one_hot(6, 3)), new(images, torch.nn.functional.pad(one_hot(6, 3), [0, 2]))
    assert wanted.std() > 1e-2 and (found - wanted).abs().max() < 1e-5


def test_a_discriminator_that_gains_classes_keeps_the_sign_of_its_verdict():
    old, images = discriminator(), torch.randn(32, 3, 32, 32, generator=rng())
    with torch.no_grad():
        old.b4.out.bias -= old(images, None).mean()
        wanted = old(images, None)
        for seed in range(3):
            new = old.with_classes(4, rng(seed))
            ratios = new(images, one_hot(32, 4)) / wanted
            assert 0.5 < ratios.min() and ratios.max() < 2
    assert (wanted > 0).any() and (wanted < 0).any()


def test_a_custom_discriminator_that_gains_classes_keeps_its_logit_as_one_part():
    old, images = custom_discriminator(), torch.randn(8, 3, 32, 32, generator=rng())
    new = old.with_classes(2, rng())
    with torch.no_grad():
        new.embed.weight.zero_()
        assert torch.allclose(new(images, one_hot(8, 2)), old(images, None), atol=1e-6)


@pytest.mark.parametrize("make", [m for pair in PAIRS.values() for m in pair])
def test_classes_cannot_be_dropped(make):
    with pytest.raises(CocktailError, match="3 classes; 2 would drop"):
        make(c_dim=3).with_classes(2, rng())


# --- growth


def test_a_grown_generator_draws_the_same_picture_upsampled():
    old = generator(img_resolution=16)
    new, z = old.grown(), latent(3)
    assert new.resolution == 32 and new.num_ws == old.num_ws + 2
    wanted = ops.upsample2(draw(old, z), ops.fir_kernel((1, 3, 3, 1)))
    assert wanted.std() > 0.1 and (draw(new, z) - wanted).abs().max() < 1e-5


def test_a_grown_discriminator_judges_upsampled_pictures_as_before():
    old = discriminator(img_resolution=16)
    # Smooth pictures: those of a generator are, and noise is what upsampling changes most.
    small = torch.randn(32, 3, 4, 4, generator=rng())
    for _ in range(2):
        small = ops.upsample2(small, ops.fir_kernel((1, 3, 3, 1)))
    with torch.no_grad():
        wanted, found = old(small, None), old.grown()(ops.upsample2(small, ops.fir_kernel((1, 3, 3, 1))), None)
    correlation = torch.corrcoef(torch.cat([wanted, found], dim=1).t())[0, 1]
    assert correlation > 0.7
    assert (found.mean() - wanted.mean()).abs() < wanted.std() * 2


# --- configs


@pytest.mark.parametrize("options", [
    {"channel_base": 10**9}, {"channel_max": 10**9}, {"channels": (10**9,) * 5}, {"z_dim": 10**9}, {"w_dim": 10**9},
    {"img_resolution": 2**20}, {"img_resolution": 48}, {"img_resolution": 2}, {"c_dim": 10**9}, {"c_dim": -1},
    {"mapping_layers": 10**6}, {"channels": (16, 16)}, {"channel_base": 16}, {"img_channels": 0}, {"z_dim": "512"},
    {"conv_clamp": -1.0}, {"mapping_lr_multiplier": 0}, {"resample_filter": (float("nan"), 1)},
], ids=str)  # fmt: skip
def test_an_absurd_generator_config_is_refused_before_anything_is_allocated(options):
    started = time.monotonic()
    with pytest.raises(CocktailError, match=next(iter(options)).split("_")[0]):
        stylegan2.GeneratorConfig(**(SMALL_G | {"img_resolution": 64} | options))
    assert time.monotonic() - started < 0.5


@pytest.mark.parametrize("options", [
    {"architecture": "vgg"}, {"cmap_dim": 10**9}, {"mbstd_group_size": 0}, {"channels": (10**9,) * 4}, {"c_dim": -1},
], ids=str)  # fmt: skip
def test_an_absurd_discriminator_config_is_refused(options):
    with pytest.raises(CocktailError, match=next(iter(options))):
        stylegan2.DiscriminatorConfig(**(SMALL_D | options))


@pytest.mark.parametrize(
    "options", [{"channels": (16,)}, {"channels": (16,) * 10}, {"channels": (10**9, 16)}, {"z_dim": 0}], ids=str
)
def test_an_absurd_custom_config_is_refused(options):
    with pytest.raises(CocktailError, match=next(iter(options))):
        custom.GeneratorConfig(**(CUSTOM_G | options))


@pytest.mark.parametrize("name", sorted(set(ARCHITECTURES) - {"onnx", "stylegan3"}))  # these can teach, and no more
def test_every_architecture_that_can_be_the_root_offers_what_the_engine_uses(name):
    kind = ARCHITECTURES[name]
    sizes = {"channels": (8, 8, 8)} | ({"img_resolution": 16} if name != "custom" else {})
    g = kind.generator(kind.generator_config(c_dim=2, z_dim=8, **sizes)).eval()
    d = kind.discriminator(kind.discriminator_config(c_dim=2, **sizes)).eval()
    assert architecture_of(g) is kind and architecture_of(d) is kind
    ws = g.map(latent(2, dim=8), one_hot(2, 2), truncation=0.5)
    assert ws.shape == (2, g.num_ws, g.w_dim) and len(g.layer_resolutions) == g.num_ws
    images = g.synthesize(ws)
    assert images.shape == (2, 3, 16, 16) and images.dtype == torch.float32
    assert d(images, one_hot(2, 2)).shape == (2, 1)
    *maps, features = d.activations(images)
    assert torch.equal(features, d.features(images)) and features.ndim == 2 and all(m.ndim == 4 for m in maps)


def test_a_module_of_no_registered_architecture_is_named():
    with pytest.raises(
        CocktailError, match="Linear is no registered architecture; known: custom, dcgan, onnx, stylegan2, stylegan3"
    ):
        architecture_of(torch.nn.Linear(1, 1))


def test_every_layer_starts_with_unit_weights_scaled_at_run_time():
    network = stylegan2.Generator(stylegan2.GeneratorConfig(img_resolution=8, z_dim=64, w_dim=64, channels=(64, 64)))
    assert abs(network.synthesis.b8.conv1.weight.std() - 1) < 0.05
    assert abs(network.mapping.fc0.weight.std() * network.config.mapping_lr_multiplier - 1) < 0.05
    assert torch.equal(network.synthesis.b8.conv1.affine.bias, torch.ones(64))
    w = network.map(latent(256, dim=64), None)[:, 0]
    assert 0.3 < w.square().mean().sqrt() < 2, "eight layers of equalised learning rate keep the scale"
    assert math.isclose(network.mapping.fc0.gain, math.sqrt(2) * 0.01)
