"""Files of rosinality's StyleGAN2: the pictures of a forward pass written from the paper, and what is refused."""

import argparse
import math

import pytest
import torch
import torch.nn.functional as F

import cocktail
from cocktail.checkpoints import dcgan, rosinality
from cocktail.errors import CocktailError
from tests import foreign_torch as foreign

TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.float64)


def stored(**others):
    return {"g_ema": foreign.rosinality_generator(), "d": foreign.rosinality_discriminator(),
            "latent_avg": torch.linspace(-1, 1, 8)} | others  # fmt: skip


def latent(n=3, seed=0):
    return torch.randn(n, 8, generator=torch.Generator().manual_seed(seed))


# --- the forward pass, written from StyleGAN2 (equations 1 to 3, figures 2 and 7) on their names, in float64


def lrelu(x):
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


def linear(s, name, x, multiplier=1.0):
    weight = s[name + ".weight"]
    return x @ weight.t() * multiplier / math.sqrt(weight.shape[1]) + s[name + ".bias"] * multiplier


def blur(x, before, after, gain=1.0):
    kernel = TAPS.outer(TAPS) / 64 * gain
    return F.conv2d(F.pad(x, [before, after] * 2), kernel.expand(x.shape[1], 1, 4, 4), groups=x.shape[1])


def spread(x):
    """Zeros between the pixels, and behind the last: [N, C, H, W] -> [N, C, 2H, 2W]."""
    y = x.new_zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
    y[:, :, ::2, ::2] = x
    return y


def modulated(s, name, x, w, demodulate=True, up=False):
    """Each picture is convolved with weights of its own."""
    styles, found = linear(s, name + ".modulation", w), []
    for picture, style in zip(x, styles):
        weight = s[name + ".weight"][0] * style[:, None, None]
        weight = weight / math.sqrt(weight[0].numel())
        if demodulate:
            weight = weight / (weight.square().sum(dim=[1, 2, 3], keepdim=True) + 1e-8).sqrt()
        if up:  # a transposed convolution: zeros between the pixels, and the kernel turned round
            y = F.conv2d(F.pad(spread(picture[None]), [2, 1, 2, 1]), weight.flip([2, 3]))
            y = blur(y, 1, 1, gain=4)
        else:
            y = F.conv2d(picture[None], weight, padding=weight.shape[-1] // 2)
        found.append(y)
    return torch.cat(found)


def styled(s, name, index, x, w, noise, up=False):
    y = modulated(s, name + ".conv", x, w, up=up)
    if noise:
        y = y + s[name + ".noise.weight"] * s[f"noises.noise_{index}"]
    return lrelu(y + s[name + ".activate.bias"][:, None, None])


def reference_picture(state, z, psi=1.0, centre=None, noise=True):
    s = {name: value.double() for name, value in state.items()}
    w = z.double() / (z.double().square().mean(dim=1, keepdim=True) + 1e-8).sqrt()
    for i in range(sum(name.startswith("style.") for name in s) // 2):
        w = lrelu(linear(s, f"style.{i + 1}", w, 0.01))
    w = w if centre is None else centre.double() + psi * (w - centre.double())
    x = styled(s, "conv1", 0, s["input.input"].repeat(len(z), 1, 1, 1), w, noise)
    img = modulated(s, "to_rgb1.conv", x, w, demodulate=False) + s["to_rgb1.bias"]
    for i in range(sum(name.startswith("to_rgbs.") and name.endswith("conv.weight") for name in s)):
        x = styled(s, f"convs.{2 * i}", 2 * i + 1, x, w, noise, up=True)
        x = styled(s, f"convs.{2 * i + 1}", 2 * i + 2, x, w, noise)
        rgb = modulated(s, f"to_rgbs.{i}.conv", x, w, demodulate=False) + s[f"to_rgbs.{i}.bias"]
        img = blur(spread(img), 2, 1, gain=4) + rgb
    return img


def conv(s, name, x, place=0, activate=True):
    weight = s[f"{name}.{place}.weight"]
    weight = weight / math.sqrt(weight[0].numel())
    if place:  # half the size
        pad = weight.shape[-1] // 2
        y = F.conv2d(blur(x, 1 + pad, 1 + pad), weight, stride=2)
    else:
        y = F.conv2d(x, weight, padding=weight.shape[-1] // 2)
    return lrelu(y + s[f"{name}.{place + 1}.bias"][:, None, None]) if activate else y


def reference_logit(state, images):
    """Of up to four pictures, which share one standard deviation."""
    s = {name: value.double() for name, value in state.items()}
    x = conv(s, "convs.0", images.double())
    for i in range(1, 1 + sum(name.endswith("conv1.0.weight") for name in s)):
        y = conv(s, f"convs.{i}.conv2", conv(s, f"convs.{i}.conv1", x), place=1)
        x = (y + conv(s, f"convs.{i}.skip", x, place=1, activate=False)) / math.sqrt(2)
    deviation = (x.var(dim=0, unbiased=False) + 1e-8).sqrt().mean()
    x = torch.cat([x, deviation.expand(len(x), 1, 4, 4)], dim=1)
    x = lrelu(linear(s, "final_linear.0", conv(s, "final_conv", x).flatten(1)))
    return linear(s, "final_linear.1", x)


@pytest.mark.parametrize("widths, style, layers", [((6, 7, 5), 8, 2), ((4, 5), 8, 3), ((5, 6, 4, 3), 8, 1)])
def test_pictures_are_those_of_the_papers_forward_pass(torch_file, widths, style, layers):
    state, centre = foreign.rosinality_generator(widths, style, layers), torch.linspace(-1, 1, style)
    gan = cocktail.load(torch_file({"g_ema": state, "latent_avg": centre}))
    assert (gan.resolution, gan.z_dim, gan.w_dim) == (2 << len(widths), style, style) and gan.discriminator is None
    assert gan.generator.config.channels == widths and gan.generator.config.mapping_layers == layers
    for psi in (1.0, 0.7):
        for mode in ("const", "none"):
            wanted = reference_picture(state, latent(), psi, centre, noise=mode == "const")
            with torch.no_grad():
                found = gan.generator.synthesize(gan.generator.map(latent(), None, psi), mode)
            assert wanted.std() > 0.3 and (found - wanted).abs().max() < 1e-5


@pytest.mark.parametrize("widths", [(6, 7, 5), (4, 5), (5, 6, 4, 3)])
def test_logits_are_those_of_the_papers_forward_pass(torch_file, widths):
    state = foreign.rosinality_discriminator(widths)
    gan = cocktail.load(torch_file({"g_ema": foreign.rosinality_generator(widths), "d": state}))
    images = torch.randn(4, 3, gan.resolution, gan.resolution, generator=torch.Generator().manual_seed(0))
    wanted = reference_logit(state, images)
    with torch.no_grad():
        assert wanted.std() > 0.03 and (gan.discriminator(images, None) - wanted).abs().max() < 1e-5
    assert gan.discriminator.config.channels == widths


def test_a_whole_training_file_tells_what_was_left_out(torch_file):
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.ones(2))])
    options = argparse.Namespace(size=16, path="pictures.lmdb")
    rest = {
        "g": foreign.rosinality_generator(seed=5),
        "args": options,
        "g_optim": optimizer.state_dict(),
        "ada_aug_p": 0.1,
    }
    gan, alone = cocktail.load(torch_file(stored(**rest))), cocktail.load(torch_file(stored()))
    assert torch.equal(gan.sample([3]), alone.sample([3])), "g_ema is taken, not g"
    imported = gan.card["imported"]
    assert imported["format"] == "rosinality StyleGAN2" and imported["file"] == "cats" and len(imported["sha256"]) == 64
    assert imported["read"] == len(gan.generator.state_dict()) + len(gan.discriminator.state_dict())
    assert set(imported["ignored"]) == {"g", "args", "g_optim", "ada_aug_p"}
    assert "optimiser" in imported["ignored"]["g_optim"] and "average" in imported["ignored"]["g"]


def encoders(generator):
    """As encoders into w+ keep the generator: their decoder, and the centre once for each layer."""
    inner = {"decoder." + name: value for name, value in generator.items()} | {"encoder.body.0.weight": torch.ones(2)}
    return {"state_dict": inner, "latent_avg": stored()["latent_avg"].repeat(6, 1)}


def in_parallel(generator):
    return {
        "g_ema": {"module." + name: value for name, value in generator.items()},
        "latent_avg": stored()["latent_avg"],
    }


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("nest", [
    lambda g: g | {"latent_avg": stored()["latent_avg"]}, lambda g: {"g": g, "latent_avg": stored()["latent_avg"]},
    in_parallel, encoders,
], ids=["alone", "g", "module", "decoder"])  # fmt: skip
def test_the_generator_is_found_wherever_it_is(torch_file, nest, legacy):
    wanted = cocktail.load(torch_file(stored()))
    gan = cocktail.load(torch_file(nest(foreign.rosinality_generator()), legacy))
    assert gan.discriminator is None
    assert torch.equal(gan.sample([1, 2], truncation=0.5), wanted.sample([1, 2], truncation=0.5))


def test_a_file_without_a_centre_gets_the_mean_of_its_codes(torch_file):
    gan = cocktail.load(torch_file({"g_ema": foreign.rosinality_generator()}))
    codes = gan.map(torch.randn(20_000, 8, generator=torch.Generator().manual_seed(9)))[:, 0]
    error = (gan.generator.mapping.w_avg - codes.mean(dim=0)).abs() / codes.std(dim=0)
    assert error.max() < 0.1 and "4,096" in gan.card["imported"]["ignored"]["latent_avg"]


def test_a_file_of_the_first_versions_has_no_constant_noise(torch_file):
    state = {k: v for k, v in foreign.rosinality_generator().items() if not k.startswith("noises.")}
    gan, whole = cocktail.load(torch_file(stored(g_ema=state))), cocktail.load(torch_file(stored()))
    assert torch.allclose(gan.sample([1]), gan.sample([1], noise_mode="none"), atol=1e-5)
    assert torch.equal(gan.sample([1], noise_mode="none"), whole.sample([1], noise_mode="none"))
    assert (
        not torch.allclose(gan.sample([1]), whole.sample([1]), atol=0.01)
        and "noises" in gan.card["imported"]["ignored"]
    )


def test_half_precision_is_read_as_single(torch_file):
    state = {name: value.half() for name, value in foreign.rosinality_generator().items()}
    gan = cocktail.load(torch_file({"g_ema": state}))
    assert {value.dtype for value in gan.generator.state_dict().values()} == {torch.float32}
    assert torch.equal(gan.generator.synthesis.b8.conv0.bias, state["convs.0.activate.bias"].float())


def test_a_discriminator_of_another_resolution_is_left_out_and_said_to_be(torch_file):
    gan = cocktail.load(torch_file(stored(d=foreign.rosinality_discriminator((6, 7)))))
    assert gan.discriminator is None
    assert "8 px" in gan.card["imported"]["ignored"]["discriminator"]


def test_a_rosinality_model_survives_the_native_format(torch_file, tmp_path):
    gan = cocktail.load(torch_file(stored()))
    again = cocktail.load(cocktail.save(gan, tmp_path / "native"))
    assert torch.equal(gan.sample([4], truncation=0.7), again.sample([4], truncation=0.7))
    assert again.card == gan.card


def without(*names):
    return lambda s: [s["g_ema"].pop(name) for name in names]


def put(name, value, network="g_ema"):
    return lambda s: s[network].update({name: value})


@pytest.mark.parametrize("change, message", [
    (without("convs.1.conv.weight"), "missing: convs.1.conv.weight"),
    (without("convs.0.conv.weight"), "convs.0.conv.weight should be a tensor with 5 axes; found nothing"),
    (without("style.1.weight"), "style.1.weight should be a tensor with 2 axes; found nothing"),
    (without("to_rgbs.1.conv.weight"), "not part of such a network: convs.2.activate.bias, .* and 10 more"),
    (put("extra.weight", torch.ones(2)), "not part of such a network: extra.weight"),
    (put("convs.1.conv.weight", torch.ones(1, 7, 6, 3, 3)), r"convs.1.conv.weight \(\[1, 7, 6, 3, 3\] float32, "),
    (put("conv1.activate.bias", torch.ones(6, dtype=torch.int64)), r"conv1.activate.bias \(\[6\] int64"),
    (put("conv1.activate.bias", torch.full((6,), math.nan)), "NaN or infinity: synthesis.b4.conv1.bias"),
    (put("convs.0.conv.blur.kernel", torch.ones(4, 4) / 4), r"convs.0.conv.blur.kernel is no filter of \[1, 3, 3, 1\]"),
    (put("convs.0.conv.blur.kernel", foreign._filter(1)), "and gain 4"),
    (put("convs.1.skip.0.kernel", foreign._filter(4), "d"), "and gain 1"),
    (put("final_linear.1.bias", torch.ones(2), "d"), r"d: 1 tensors of another shape or type: final_linear.1.bias"),
    (lambda s: s["d"].pop("convs.2.skip.1.weight"), "d: 1 tensors missing: convs.2.skip.1.weight"),
    (lambda s: s.update(latent_avg=torch.zeros(7)), r"latent_avg has shape \[7\]; expected \[8\]"),
    (lambda s: s.update(latent_avg=torch.full((8,), math.inf)), "latent_avg holds NaN"),
    (lambda s: s.update(latent_avg=torch.zeros([])), r"latent_avg has shape \[\]"),
])  # fmt: skip
def test_a_file_that_does_not_fit_is_refused_with_names(torch_file, change, message):
    content = stored()
    change(content)
    with pytest.raises(CocktailError, match=message):
        cocktail.load(torch_file(content))


def test_tensors_that_share_one_storage_are_not_multiplied(torch_file):
    memory = torch.zeros(1000)
    state = {name: value if name.endswith("kernel") else memory[: value.numel()].view(value.shape)
             for name, value in foreign.rosinality_generator().items()}  # fmt: skip
    with pytest.raises(CocktailError, match="g_ema: its tensors share their memory"):
        cocktail.load(torch_file({"g_ema": state}))


def test_the_format_is_told_by_content(torch_file, tmp_path):
    assert rosinality.recognises(torch_file(stored())) and not dcgan.recognises(torch_file(stored()))
    assert rosinality.recognises(torch_file(stored(), legacy=True))
    assert not rosinality.recognises(torch_file({"g_ema": {"main.0.weight": torch.ones(1)}}))
    (tmp_path / "named.pt").write_bytes(b"to_rgb1.conv.weight style.1.weight")
    assert not rosinality.recognises(tmp_path / "named.pt") and not rosinality.recognises(tmp_path)
