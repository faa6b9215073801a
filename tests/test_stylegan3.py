"""StyleGAN3: its filters and bands against the paper and scipy, its equivariance, its files."""

import math
from unittest import mock

import numpy as np
import pytest
import scipy.signal
import torch
import torch.nn.functional as F

from cocktail import checkpoints, parallel, runs
from cocktail.checkpoints import importing
from cocktail.checkpoints import stylegan3 as reader
from cocktail.errors import CocktailError
from cocktail.gan import Gan, average, new_gan
from cocktail.methods.cocktail import CocktailConfig
from cocktail.networks import architecture_of, stylegan2, stylegan3, stylegan3_filters
from cocktail.networks.stylegan3 import Generator, GeneratorConfig, bands
from cocktail.networks.stylegan3_filters import filtered_lrelu, lowpass, radial_lowpass
from cocktail.recipe import Recipe, Source
from cocktail.training import TrainConfig
from tests import foreign

SMALL = {"img_resolution": 32, "z_dim": 16, "w_dim": 16, "channel_base": 256, "channel_max": 8, "num_layers": 5}
JUDGE = {"img_resolution": 32, "channel_base": 256, "channel_max": 8, "mapping_layers": 2}
R = {"conv_kernel": 1, "use_radial_filters": True}
WIDTHS_R = (1024, 1024, 1024, 1024, 1024, 1024, 1024, 1024, 1024, 724, 512, 362, 256, 256)
# sizes and channels of T's layers, which are in the names of the public networks' tensors: L9_148_362
PUBLISHED = {
    256: ((36, 36, 36, 52, 52, 84, 84, 148, 148, 148, 276, 276, 276, 256, 256),
          (512, 512, 512, 512, 512, 512, 512, 512, 512, 362, 256, 181, 128, 128, 3)),
    512: ((36, 36, 52, 52, 84, 84, 148, 148, 276, 276, 532, 532, 532, 512, 512),
          (512, 512, 512, 512, 512, 512, 512, 483, 323, 215, 144, 96, 64, 64, 3)),
    1024: ((36, 36, 52, 52, 84, 148, 148, 276, 276, 532, 1044, 1044, 1044, 1024, 1024),
           (512, 512, 512, 512, 512, 512, 512, 323, 203, 128, 81, 51, 32, 32, 3)),
}  # fmt: skip


def small(seed=0, **options):
    """A generator with nothing left at its initial constant."""
    torch.manual_seed(seed)
    generator = Generator(GeneratorConfig(**SMALL | options))
    with torch.no_grad():
        for name, value in generator.state_dict().items():
            if name.endswith(("bias", "w_avg", "input.affine.weight")):
                value += 0.3 * torch.randn_like(value)
            elif name.endswith("magnitude_ema"):
                value *= 0.5 + torch.rand([])
    return generator.eval()


def small_gan(classes=(), **options):
    judge = stylegan2.Discriminator(stylegan2.DiscriminatorConfig(**JUDGE, c_dim=len(classes)))
    return Gan(small(c_dim=len(classes), **options), judge.eval(), classes)


def response(kernel, frequency, rate, angle=0.0):
    """The size of what a filter leaves of a wave of that frequency and direction."""
    kernel = kernel.double() if kernel.ndim == 2 else kernel.double().outer(kernel.double())
    x = (torch.arange(len(kernel), dtype=torch.float64) - (len(kernel) - 1) / 2) / rate
    wave = torch.cos(2 * math.pi * frequency * (math.cos(angle) * x[None] + math.sin(angle) * x[:, None]))
    return (kernel * wave).sum().abs().item()


@pytest.mark.parametrize("taps, cutoff, width, rate", [(12, 16, 26, 128), (24, 32, 30, 256), (12, 2, 4.6, 32)])
def test_the_low_pass_filter_is_scipys_kaiser_design(taps, cutoff, width, rate):
    theirs = scipy.signal.firwin(numtaps=taps, cutoff=cutoff, width=width, fs=rate)
    assert np.abs(lowpass(taps, cutoff, width, rate).numpy() - theirs).max() < 1e-7


@pytest.mark.parametrize("make", [lowpass, radial_lowpass])
def test_a_filter_lets_constants_pass_is_symmetric_and_holds_its_stopband(make):
    taps, cutoff, width, rate = 24, 16.0, 24.0, 128.0
    kernel = make(taps, cutoff, width, rate)
    assert abs(kernel.double().sum().item() - 1) < 1e-6
    assert torch.allclose(kernel, kernel.flip(list(range(kernel.ndim))), atol=1e-9)
    promised = 2.285 * (taps - 1) * math.pi * width / (rate / 2) + 7.95  # dB, Kaiser's formula
    beyond = [response(kernel, f, rate) for f in np.linspace(cutoff + width / 2, rate / 2, 50)]
    assert 20 * math.log10(max(beyond)) < -0.85 * promised
    within = [response(kernel, f, rate) for f in np.linspace(0, cutoff - width / 2, 20)]
    assert max(abs(gain - 1) for gain in within) < 0.01
    assert 0.4 < response(kernel, cutoff, rate) < 0.6


def test_the_radial_filter_treats_all_directions_alike_and_the_separable_one_does_not():
    design = (24, 16.0, 12.0, 128.0)

    def spread(kernel):
        gains = [[response(kernel, f, 128.0, a) for a in np.linspace(0, math.pi / 4, 7)] for f in range(4, 40, 4)]
        return max(max(row) - min(row) for row in gains)

    assert spread(radial_lowpass(*design)) < 0.05 < 0.2 < spread(lowpass(*design))
    kernel = radial_lowpass(*design)
    assert torch.equal(kernel, kernel.t())


def test_the_middle_of_an_odd_radial_filter_is_the_limit():
    kernel = radial_lowpass(13, 16.0, 20.0, 128.0)
    assert kernel.isfinite().all() and kernel.argmax() == 13 * 6 + 6


def plainly_filtered(x, up_filter, down_filter, up, down, size, clamp):
    """The definition, in float64: zeros in between, filter, nonlinearity, filter, every `down`-th sample."""
    x, two = x.double(), lambda kernel: kernel.double() if kernel.ndim == 2 else kernel.double().outer(kernel.double())
    n, c, h, _ = x.shape
    spread = x.new_zeros(n, c, (h - 1) * up + 1, (h - 1) * up + 1)
    spread[:, :, ::up, ::up] = x
    a, b = two(up_filter) * up**2, two(down_filter)
    gap = (size - 1) * down + len(a) + len(b) - 2 - (h - 1) * up
    spread = F.pad(spread, [(gap + 1) // 2, gap // 2] * 2)
    y = F.conv2d(spread, a.expand(c, 1, *a.shape), groups=c)
    y = (F.leaky_relu(y, 0.2) * math.sqrt(2)).clamp(-clamp, clamp)
    return F.conv2d(y, b.expand(c, 1, *b.shape), groups=c)[:, :, ::down, ::down]


@pytest.mark.parametrize("limit", [1 << 27, 7000])
@pytest.mark.parametrize("up, down, size, radial", [(2, 2, 20, False), (4, 2, 44, False), (2, 2, 14, True),
                                                    (3, 3, 17, False), (4, 4, 21, True)])  # fmt: skip
def test_the_filtered_lrelu_is_its_definition_whole_or_in_groups_of_channels(
    monkeypatch, limit, up, down, size, radial
):
    monkeypatch.setattr(stylegan3_filters, "MAX_VALUES", limit)
    x = torch.randn(2, 5, 19, 19)
    up_filter = lowpass(6 * up, 6.0, 8.0, 16.0 * up)
    down_filter = (radial_lowpass if radial else lowpass)(6 * down, 6.0, 8.0, 16.0 * down)
    ours = filtered_lrelu(x, up_filter, down_filter, up, down, size, 1.5)
    theirs = plainly_filtered(x, up_filter, down_filter, up, down, size, 1.5)
    assert ours.shape == (2, 5, size, size) and (ours - theirs).abs().max() < 1e-5


def test_without_filters_the_nonlinearity_acts_on_the_signal_itself():
    x = torch.randn(1, 3, 10, 10)
    y = filtered_lrelu(x, None, None, 1, 1, 8)
    assert torch.allclose(y, F.leaky_relu(x[:, :, 1:-1, 1:-1], 0.2) * math.sqrt(2), atol=1e-6)


@pytest.mark.parametrize("resolution", PUBLISHED)
def test_sizes_and_channels_are_those_of_the_published_networks(resolution):
    found = bands(GeneratorConfig(img_resolution=resolution))
    assert tuple(band.size for band in found) == PUBLISHED[resolution][0]
    assert tuple(band.channels for band in found) == PUBLISHED[resolution][1]


def test_configuration_r_doubles_the_channels():
    found = bands(GeneratorConfig(channel_base=65536, channel_max=1024, **R))
    assert tuple(band.channels for band in found[:-1]) == WIDTHS_R
    assert [band.size for band in found] == list(PUBLISHED[256][0])


@pytest.mark.parametrize("resolution", [64, 256, 1024])
def test_bands_follow_the_papers_progression(resolution):
    found = bands(GeneratorConfig(img_resolution=resolution))
    assert len(found) == 15 and found[0].cutoff == 2 and found[12].cutoff == found[14].cutoff == resolution / 2
    for i, band in enumerate(found):
        progress = min(i / 12, 1)
        cutoff = 2 ** (1 + (math.log2(resolution) - 2) * progress)
        stopband = 2 ** (2.1 + (math.log2(resolution) - 1 + 0.3 - 2.1) * progress)
        assert math.isclose(band.cutoff, cutoff, rel_tol=1e-9)
        # The signal fits its grid: no stopband beyond half of the rate, but for the last layers, and no larger grid.
        assert band.rate == resolution or stopband * (1 - 1e-9) <= band.rate / 2 < 2 * stopband
        assert math.isclose(band.cutoff + band.half_width, max(stopband, band.rate / 2), rel_tol=1e-9)


def test_tensor_names_and_shapes_are_the_published_ones():
    with torch.device("meta"):
        state = Generator(GeneratorConfig(c_dim=3, channel_base=65536, channel_max=1024, **R)).state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    layer = "synthesis.L10_276_512."
    assert {name.removeprefix(layer): s for name, s in shapes.items() if name.startswith(layer)} == {
        "weight": (512, 724, 1, 1), "bias": (512,), "magnitude_ema": (), "up_filter": (24,), "down_filter": (12, 12),
        "affine.weight": (724, 512), "affine.bias": (724,)}  # fmt: skip
    assert shapes["synthesis.L13_256_256.down_filter"] == (12,)  # critically sampled: separable
    assert {n for n in shapes if "L14" in n} == {f"synthesis.L14_256_3.{n}" for n in (
        "weight", "bias", "magnitude_ema", "affine.weight", "affine.bias")}  # fmt: skip
    assert {n.removeprefix("synthesis.input."): s for n, s in shapes.items() if "input" in n} == {
        "weight": (1024, 1024), "affine.weight": (4, 512), "affine.bias": (4,), "transform": (3, 3),
        "freqs": (1024, 2), "phases": (1024,)}  # fmt: skip
    assert {n for n in shapes if n.startswith("mapping.")} == {f"mapping.{n}" for n in (
        "w_avg", "embed.weight", "embed.bias", "fc0.weight", "fc0.bias", "fc1.weight", "fc1.bias")}  # fmt: skip
    assert shapes["mapping.fc0.weight"] == (512, 1024)


@pytest.mark.parametrize("options, words", [
    ({"img_resolution": 48}, "power of two"), ({"num_critical": 5}, "num_critical is 5"),
    ({"first_cutoff": 9}, "first_cutoff is 9"), ({"channel_base": 8}, "0 channels"),
    ({"num_layers": 10**9}, "num_layers"),
    ({"last_stopband_rel": float("nan")}, "last_stopband_rel"), ({"margin_size": -1}, "margin_size"),
    ({"filter_size": 10**6}, "filter_size"), ({"conv_clamp": "256"}, "conv_clamp"),
], ids=str)  # fmt: skip
def test_an_absurd_config_is_refused(options, words):
    with pytest.raises(CocktailError, match=words):
        Generator(GeneratorConfig(**SMALL | options))


def test_input_frequencies_fill_a_disc_evenly_and_start_untransformed():
    torch.manual_seed(0)
    inputs = stylegan3.SynthesisInput(8, bands(GeneratorConfig(channel_max=20_00, channel_base=1 << 20))[0])
    radii = inputs.freqs.norm(dim=1)
    assert radii.max() <= 2 and abs(radii.square().mean() - 2) < 0.1  # half of the square of the disc's radius
    assert abs(inputs.freqs.mean()) < 0.1 and inputs.phases.min() >= -0.5 and inputs.phases.max() <= 0.5
    with torch.inference_mode():
        assert torch.equal(inputs(torch.randn(1, 8)), inputs(torch.randn(1, 8)))


def test_w_turns_and_shifts_the_input_and_the_users_transform_comes_on_top():
    generator = small()
    inputs, size = generator.synthesis.input, generator.synthesis.bands[0].size
    with torch.inference_mode():
        inputs.affine.weight.zero_()
        inputs.affine.bias.copy_(torch.tensor([2.0, 0.0, 0.0, 0.0]))  # of any length: only its direction turns
        plain = inputs(torch.zeros(1, 16))
        inputs.affine.bias.copy_(torch.tensor([0.0, 1.0, 0.0, 0.0]))
        turned = inputs(torch.zeros(1, 16))
        inputs.affine.bias.copy_(torch.tensor([1.0, 0.0, 2 / 16, 0.0]))  # two of the 16 samples of a picture's width
        shifted = inputs(torch.zeros(1, 16))
        inputs.transform[0, 2] = 2 / 16
        back = inputs(torch.zeros(1, 16))
    assert size == 36 and not torch.allclose(plain, turned, atol=1e-2)
    assert torch.allclose(turned, plain.rot90(1, [2, 3]), atol=1e-4) or torch.allclose(
        turned, plain.rot90(-1, [2, 3]), atol=1e-4
    )
    assert torch.allclose(shifted[..., 2:], plain[..., :-2], atol=1e-4)
    assert torch.allclose(back, plain, atol=1e-4)


def test_frequencies_that_a_transform_moves_beyond_the_grid_fade_out():
    generator = small()
    with torch.inference_mode():
        generator.synthesis.input.transform[:2, :2] *= 8  # the slowest of them is beyond 8 cycles then, or nearly so
        inputs = generator.synthesis.input(torch.zeros(1, 16))
        generator.synthesis.input.transform[:2, :2] *= 100
        assert generator.synthesis.input(torch.zeros(1, 16)).abs().max() == 0 and inputs.isfinite().all()


def psnr(wanted, found):
    """In dB, pixels scaled to a deviation of 0.5: their range is 2 (the paper's section 2)."""
    return 10 * math.log10(16 * wanted.var().item() / (wanted - found).square().mean().item())


def translation_psnr(**options):
    """The worst agreement of pictures with those of a shifted input, over shifts by whole pixels, as EQ-T."""
    torch.manual_seed(0)
    sizes = {"img_resolution": 64, "channel_base": 1024, "channel_max": 16, "num_layers": 14}
    generator = Generator(GeneratorConfig(**SMALL | sizes | options)).eval()
    transform, found = generator.synthesis.input.transform, []
    with torch.inference_mode():
        ws = generator.map(torch.randn(1, 16), None)
        still = generator.synthesize(ws)
        for across, down in ((1, 0), (3, 2)):
            transform[0, 2], transform[1, 2] = across / 64, down / 64
            moved = generator.synthesize(ws)
            found.append(psnr(still[:, :, down:, across:], moved[:, :, : 64 - down, : 64 - across]))
    return min(found)


def test_pictures_of_configuration_t_move_with_their_input():
    assert translation_psnr() > 55


def test_without_filtered_nonlinearities_or_margin_they_move_less_truly():
    assert translation_psnr(lrelu_upsampling=1) < 48
    assert translation_psnr(margin_size=0) < 40


def test_pictures_of_configuration_r_turn_with_their_input():
    quarter = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    found = {}
    for name, options in (("t", {}), ("r", R)):
        generator = small(**options)
        with torch.inference_mode():
            ws = generator.map(torch.randn(2, 16), None)
            generator.synthesis.input.affine.weight.zero_()
            generator.synthesis.input.affine.bias.copy_(torch.tensor([1.0, 0, 0, 0]))
            still = generator.synthesize(ws)
            generator.synthesis.input.transform.copy_(quarter)
            turned = generator.synthesize(ws)
        found[name] = max(psnr(still.rot90(k, [2, 3]), turned) for k in (1, 3))
    assert found["r"] > 90 and found["t"] < 30


def test_the_generator_keeps_the_engines_contract():
    generator = small(c_dim=3)
    z, c = torch.randn(4, 16), torch.eye(3)[[0, 1, 2, 0]]
    with torch.inference_mode():
        ws = generator.map(z, c)
        assert ws.shape == (4, 7, 16) and torch.equal(ws[:, 0], ws[:, -1])
        assert torch.allclose(generator.map(z, c, 0.0), generator.mapping.w_avg.expand(4, 7, 16), atol=1e-6)
        half = generator.map(z, c, 0.5, cutoff=3)
        assert torch.equal(half[:, 3:], ws[:, 3:])
        assert torch.allclose(half[:, :3], (ws[:, :3] + generator.mapping.w_avg) / 2, atol=1e-5)
        pictures = generator.synthesize(ws)
        assert pictures.shape == (4, 3, 32, 32) and pictures.dtype == torch.float32 and pictures.std() > 0.01
        for mode in ("random", "none"):
            assert torch.equal(generator.synthesize(ws, mode, torch.Generator()), pictures)
    assert generator.layer_resolutions == (16, 16, 16, 32, 32, 32, 32) and generator.num_ws == 7


def test_every_code_has_a_say():
    generator = small()
    with torch.inference_mode():
        ws = generator.map(torch.randn(1, 16), None)
        base = generator.synthesize(ws)
        for i in range(generator.num_ws):
            other = ws.clone()
            other[:, i] += 1
            assert not torch.allclose(generator.synthesize(other), base, atol=1e-4), i


def test_the_centre_of_w_is_set_and_tracked():
    generator, z = small(c_dim=2), torch.randn(64, 16)
    generator.recenter(z)
    means = [generator.mapping(z, row.expand(64, -1)).mean(dim=0) for row in torch.eye(2)]
    assert torch.allclose(generator.mapping.w_avg, (means[0] + means[1]) / 2, atol=1e-5)
    generator.track(torch.ones(4, 7, 16) * 100, torch.eye(2)[[0, 1, 0, 1]])
    assert not torch.allclose(generator.mapping.w_avg, (means[0] + means[1]) / 2, atol=0.1)
    alone = small()
    alone.recenter(z)
    assert torch.allclose(alone.mapping.w_avg, alone.mapping(z, None).mean(dim=0), atol=1e-5)


def test_training_tracks_the_magnitudes_and_drawing_does_not(monkeypatch):
    generator = small(magnitude_ema_beta=0.5)
    names = [name for name in generator.state_dict() if name.endswith("magnitude_ema")]
    before = {name: generator.state_dict()[name].clone() for name in names}
    ws = generator.map(torch.randn(2, 16), None).detach()
    generator.synthesize(ws)
    assert all(torch.equal(generator.state_dict()[name], before[name]) for name in names)
    seen = []
    monkeypatch.setattr(parallel.ALONE.__class__, "mean_", lambda team, values: seen.extend(values))
    generator.train().synthesize(ws).square().mean().backward()
    assert len(seen) == len(names) == 6  # and every process of a team would have had the same
    first = generator.synthesis.input(ws[:, 0]).square().mean()
    after = generator.state_dict()[names[0]]
    assert torch.allclose(after, (before[names[0]] + first) / 2, atol=1e-5)
    grads = {name: p.grad for name, p in generator.synthesis.named_parameters()}
    assert all(g is not None and g.isfinite().all() for g in grads.values())
    assert all(g.abs().max() > 0 for name, g in grads.items() if name.endswith("weight"))


def test_inputs_of_any_magnitude_are_brought_to_the_one_that_was_tracked():
    generator = small()
    with torch.inference_mode():
        ws = generator.map(torch.randn(1, 16), None)
        before = generator.synthesize(ws)
        generator.synthesis.input.weight *= 10
        generator.get_submodule(f"synthesis.{generator.synthesis.names[0]}").magnitude_ema *= 100
        assert torch.allclose(generator.synthesize(ws), before, atol=1e-4)


def test_a_picture_does_not_depend_on_its_company():
    gan = small_gan()
    assert torch.equal(gan.sample([2])[0], gan.sample([1, 2])[1])


def test_it_cannot_be_the_root_and_says_so():
    with pytest.raises(CocktailError, match="StyleGAN3 can teach, but cannot be the root"):
        small_gan().with_classes(["cat", "dog"], torch.Generator())


def test_a_pickle_teaches_a_stylegan2_in_a_merge(tiny, tmp_path):
    checkpoints.save(tiny(resolution=16), tmp_path / "root")
    teaching = pickled(tmp_path / "cat.pkl", small_gan())
    train = TrainConfig(total_kimg=0.008, batch=4, pl_weight=0.0)
    config = CocktailConfig(train, train)
    sources = (Source(str(tmp_path / "root"), names=("dog",)), Source(str(teaching), names=("cat",)))
    for _ in runs.execute(Recipe(sources, threads=1, config=config), tmp_path / "run", report_images=0):
        pass
    union = checkpoints.load(tmp_path / "run")
    assert union.classes == ("dog", "cat") and architecture_of(union.generator).name == "stylegan2"
    assert union.card["notes"]["distance/root-rooted/cat"] > 0
    assert union.card["notes"]["distance/root-source/cat"].startswith(
        "not defined: the source has another architecture"
    )


def test_it_is_not_averaged_with_stylegan2():
    other = new_gan("stylegan2", {"img_resolution": 32, "z_dim": 16, "w_dim": 16, "channels": (8,) * 4}, JUDGE)
    with pytest.raises(CocktailError, match="differ"):
        average([small_gan(), other])


@pytest.mark.parametrize("options", [{}, R], ids=["t", "r"])
@pytest.mark.parametrize("classes", [(), ("cat", "dog")])
def test_a_saved_model_comes_back_with_the_same_weights_and_pictures(tmp_path, options, classes):
    gan = small_gan(classes, **options)
    loaded = checkpoints.load(checkpoints.save(gan, tmp_path / "gan"))
    assert loaded.generator.config == gan.generator.config and loaded.classes == classes
    assert architecture_of(loaded.generator).name == "stylegan3"
    assert architecture_of(loaded.discriminator).name == "stylegan2"
    label = classes[-1] if classes else None
    assert torch.equal(loaded.sample([3], label), gan.sample([3], label))


def pickled(path, gan, change=None, given=None, keys=("G", "D", "G_ema")):
    """Writes a Gan as StyleGAN3's training does; `given`: arguments of the generator to override, None to leave out."""
    config = gan.generator.config
    names = [*reader.SIZES, "channel_base", "channel_max", "magnitude_ema_beta", "num_layers"]
    names += ["conv_kernel", "use_radial_filters"] if config.use_radial_filters else []
    arguments = {name: getattr(config, name) for name in names} | {"mapping_kwargs": {"num_layers": 2}} | (given or {})
    arguments = {name: value for name, value in arguments.items() if value is not None}

    def attributes(name, state):
        if name == "synthesis.":
            state |= {key: getattr(config, key) for key in reader.OF_NETWORK}
        elif name.startswith("synthesis.L") and name.count(".") == 2:
            last = name == f"synthesis.{gan.generator.synthesis.names[-1]}."
            state |= {"is_torgb": last, "use_fp16": "_32_" in name, "conv_kernel": 1 if last else config.conv_kernel}
            state |= {"conv_clamp": config.conv_clamp, "magnitude_ema_beta": config.magnitude_ema_beta}
        if change:
            change(name, state)

    with mock.patch.dict(foreign.LAYERS, {"ToRGB": "SynthesisLayer"}), foreign.nvidia_modules():
        judge = foreign.discriminator_arguments(gan.discriminator.config)
        arguments = foreign.easy(arguments)
        whole = {"G": foreign.persistent(gan.generator, arguments=arguments, change=attributes),
                 "D": foreign.persistent(gan.discriminator, arguments=judge),
                 "G_ema": foreign.persistent(gan.generator, arguments=arguments, change=attributes)}  # fmt: skip
        data = {key: whole[key] for key in keys} | {"augment_pipe": None, "training_set_kwargs": {"path": "a.zip"}}
        path.write_bytes(foreign.pickle.dumps(data, protocol=4))
    return path


@pytest.mark.parametrize("options", [{}, R, {"output_scale": 0.5, "conv_clamp": None, "margin_size": 6}], ids=str)
@pytest.mark.parametrize("classes", [(), ("0", "1", "2")])
def test_a_pickle_is_read_by_its_content_and_draws_the_same_pictures(tmp_path, options, classes):
    gan = small_gan(classes, **options)
    path = pickled(tmp_path / "network.txt", gan)
    loaded = checkpoints.load(path)
    assert loaded.generator.config == gan.generator.config and loaded.classes == classes
    label = classes[-1] if classes else None
    assert torch.equal(loaded.sample([3], label, 0.7), gan.sample([3], label, 0.7))
    assert torch.equal(loaded.discriminator(torch.ones(1, 3, 32, 32), gan.one_hot(label, 1)),
                       gan.discriminator(torch.ones(1, 3, 32, 32), gan.one_hot(label, 1)))  # fmt: skip
    said = loaded.card["imported"]
    assert said["format"] == "StyleGAN3 pickle" and said["file"] == "network.txt" and len(said["sha256"]) == 64
    assert said["read"] == len(gan.generator.state_dict()) + len(gan.discriminator.state_dict())
    assert set(said["ignored"]) == {"G", "augment_pipe", "training_set_kwargs", "num_fp16_res"}
    assert "stylegan3, 32 x 32 px" in importing.report(loaded)["generator"]


def test_the_users_transform_is_kept(tmp_path):
    gan = small_gan()
    gan.generator.synthesis.input.transform[0, 2] = 0.25
    assert checkpoints.load(pickled(tmp_path / "a.pkl", gan)).generator.synthesis.input.transform[0, 2] == 0.25


def test_half_precision_weights_become_float32(tmp_path):
    def halved(name, state):
        for table in ("_parameters", "_buffers"):
            state[table] = {key: value.half() for key, value in state[table].items()}

    gan = small_gan()
    loaded = checkpoints.load(pickled(tmp_path / "a.pkl", gan, halved))
    assert all(value.dtype == torch.float32 for value in loaded.generator.state_dict().values())
    assert torch.allclose(loaded.sample([1]), gan.sample([1]), atol=0.05)


@pytest.mark.parametrize("keys, count", [(("G_ema",), 0), (("G",), 0), (("G", "D"), 1)])
def test_a_generator_is_enough(tmp_path, keys, count):
    gan = small_gan()
    loaded = checkpoints.load(pickled(tmp_path / "a.pkl", gan, keys=keys))
    assert (loaded.discriminator is not None) == bool(count)
    assert torch.equal(loaded.sample([1]), gan.sample([1]))


def test_a_discriminator_that_does_not_fit_is_left_out_and_the_card_says_why(tmp_path):
    gan, judge = small_gan(), small_gan(("a", "b")).discriminator
    loaded = checkpoints.load(pickled(tmp_path / "a.pkl", Gan(gan.generator, judge)))
    assert loaded.discriminator is None
    assert loaded.card["imported"]["ignored"]["D"] == "its c_dim is 2, the generator's 0"


def layers_differ(name, state):
    if name.startswith("synthesis.L1"):
        state["conv_clamp"] = 128


def a_layer_lacks(name, state):
    if name.startswith("synthesis.L2"):
        state["_buffers"] = {k: v for k, v in state["_buffers"].items() if k != "up_filter"}


def not_finite(name, state):
    if name == "synthesis.input.":
        state["_buffers"]["freqs"] = state["_buffers"]["freqs"] * float("nan")


@pytest.mark.parametrize("given, change, keys, words", [
    ({"rank": 4}, None, ("G_ema",), "options that StyleGAN3 lacks: rank"),
    ({"img_resolution": 64}, None, ("G_ema",), "L3_84_8|missing"),
    ({"channel_max": 10**9}, None, ("G_ema",), "channel_max"),
    ({"z_dim": "16"}, None, ("G_ema",), "z_dim as whole numbers"),
    ({"filter_size": 4}, None, ("G_ema",), "another shape"),
    ({"mapping_kwargs": {"embed_features": 4}}, None, ("G_ema",), "embed_features"),
    ({"mapping_kwargs": 3}, None, ("G_ema",), "no table"),
    ({}, layers_differ, ("G_ema",), "different conv_clamp"), ({}, a_layer_lacks, ("G_ema",), "up_filter"),
    ({}, not_finite, ("G_ema",), "NaN"),
], ids=lambda given: getattr(given, "__name__", str(given)))  # fmt: skip
def test_a_file_that_our_network_cannot_hold_is_refused_with_the_reason(tmp_path, given, change, keys, words):
    with pytest.raises(CocktailError, match=words):
        checkpoints.load(pickled(tmp_path / "a.pkl", small_gan(), change, given, keys))


def test_stylegan2_and_other_files_are_left_to_their_readers(tmp_path):
    path = foreign.nvidia_pickle(tmp_path / "two.pkl", foreign.stylegan2_gan())
    assert not reader.recognises(path) and not reader.recognises(tmp_path) and not reader.recognises(tmp_path / "no")
    assert architecture_of(checkpoints.load(path).generator).name == "stylegan2"
