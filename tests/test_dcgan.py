"""DCGAN: state dicts of the example's layout load and draw as they should; classes, averaging and training."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

import cocktail
from cocktail import parallel
from cocktail.checkpoints import dcgan as files
from cocktail.errors import CocktailError
from cocktail.gan import Gan, average, new_gan
from cocktail.networks import ARCHITECTURES, architecture_of, dcgan
from cocktail.sources import GanSource
from cocktail.training import TrainConfig, finetune
from cocktail.training.loop import start_state
from tests import foreign_torch as foreign

QUICK = TrainConfig(total_kimg=0.032, batch=8, lr=0.0002, pl_weight=0.0, r1_interval=2, ema_kimg=0.01)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def latent(n=4, dim=6, seed=0):
    return torch.randn(n, dim, generator=rng(seed))


def one_hot(n, classes):
    return torch.eye(classes)[torch.arange(n) % classes]


def noise(n=4, pixels=32, channels=3, seed=0):
    return torch.randn(n, channels, pixels, pixels, generator=rng(seed))


def small(classes=(), seed=0, pixels=16, **fields):
    """As after some training: no normalisation is the identity any more."""
    sizes = {"img_resolution": pixels, "channels": (12, 8, 6)}
    gan = new_gan("dcgan", sizes | {"z_dim": 6, "embed_dim": 5} | fields, sizes, classes, seed)
    with torch.no_grad():
        for network in (gan.generator, gan.discriminator):
            for name, value in network.state_dict().items():
                if name.endswith(("bias", "running_mean")):
                    value += 0.3 * torch.randn(value.shape, generator=rng(seed))
                if name.endswith("running_var") or (name.endswith("weight") and value.ndim == 1):
                    value *= 0.5 + torch.rand(value.shape, generator=rng(seed))
                if value.ndim == 4:
                    value *= 8
            network.eval()
    return gan


def train(student, source, config=QUICK, **options):
    """The trained Gan."""
    stage = finetune(student, source, config, **options)
    while True:
        try:
            next(stage)
        except StopIteration as stop:
            return stop.value


# --- the forward passes of the paper, on the example's names, in float64


def normalised(s, name, x):
    mean, variance, scale, shift = (
        s[f"{name}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (variance + 1e-5).sqrt() * scale + shift


def reference_picture(state, z):
    s = {name: value.double() for name, value in state.items()}
    x, at = z.double()[:, :, None, None], 0
    while f"main.{at + 1}.weight" in s:
        step, pad = (2, 1) if at else (1, 0)
        x = F.conv_transpose2d(x, s[f"main.{at}.weight"], s.get(f"main.{at}.bias"), step, pad)
        x, at = normalised(s, f"main.{at + 1}", x).clamp(min=0), at + 3
    weight = s[f"main.{at}.weight"]
    step, pad = (2, 1) if weight.shape[-1] == 4 else (1, 0)
    return F.conv_transpose2d(x, weight, s.get(f"main.{at}.bias"), step, pad).tanh()


def reference_verdict(state, images):
    """The probability that the example's sigmoid gives."""
    s = {name: value.double() for name, value in state.items()}
    x, at = F.leaky_relu(F.conv2d(images.double(), s["main.0.weight"], s.get("main.0.bias"), 2, 1), 0.2), 2
    while f"main.{at + 1}.weight" in s:
        x = F.conv2d(x, s[f"main.{at}.weight"], s.get(f"main.{at}.bias"), 2, 1)
        x, at = F.leaky_relu(normalised(s, f"main.{at + 1}", x), 0.2), at + 3
    return F.conv2d(x, s[f"main.{at}.weight"], s.get(f"main.{at}.bias")).flatten(1).sigmoid()


# --- files

LAYOUTS = [{}, {"pixels": 64}, {"pixels": 16}, {"pixels": 8}, {"pixels": 128, "ngf": 2}, {"nc": 1}, {"last_kernel": 1},
           {"biases": "all"}, {"biases": "plain"}, {"pixels": 8, "biases": "plain"}, {"nz": 100, "ngf": 7}]  # fmt: skip
JUDGES = [{}, {"pixels": 64}, {"pixels": 8}, {"nc": 1}, {"last_kernel": 2}, {"biases": "all"}, {"biases": "plain"},
          {"pixels": 8, "biases": "plain"}, {"ndf": 7}]  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_pictures_of_a_state_dict_are_those_of_the_papers_layers(torch_file, layout):
    state = foreign.dcgan_generator(**layout)
    gan, z = cocktail.load(torch_file(state)), latent(dim=layout.get("nz", 6))
    assert gan.resolution == layout.get("pixels", 32) and gan.z_dim == gan.w_dim == z.shape[1]
    wanted, found = reference_picture(state, z), gan.synthesize(gan.map(z))
    assert wanted.std() > 0.1 and (found - wanted).abs().max() < 1e-5
    halved = gan.synthesize(gan.map(z, truncation=0.5))
    assert (halved - reference_picture(state, z / 2)).abs().max() < 1e-5
    assert architecture_of(gan.generator).name == "dcgan" and gan.discriminator is None
    stored = gan.generator.state_dict()
    assert stored.keys() == state.keys() and all(torch.equal(stored[name], state[name]) for name in state)


@pytest.mark.parametrize("layout", JUDGES, ids=str)
def test_verdicts_of_a_state_dict_are_those_of_the_papers_layers_before_the_sigmoid(torch_file, layout):
    state, same = foreign.dcgan_discriminator(**layout), {k: v for k, v in layout.items() if k in ("pixels", "nc")}
    gan = cocktail.load(torch_file({"G": foreign.dcgan_generator(**same), "D": state}))
    images = noise(pixels=gan.resolution, channels=layout.get("nc", 3))
    wanted = reference_verdict(state, images)
    with torch.no_grad():
        found = gan.discriminator(images, None)
    assert found.shape == (4, 1) and wanted.std() > 0.01
    assert (found.sigmoid() - wanted).abs().max() < 1e-5


def in_parallel(state):
    return {"module." + name: value for name, value in state.items()}


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("nest, judged", [
    (lambda g, d: {"netG": g, "netD": d}, True), (lambda g, d: {"discriminator": d, "generator": g}, True),
    (lambda g, d: {"g": in_parallel(g), "d": in_parallel(d)}, True), (lambda g, d: in_parallel(g), False),
    (lambda g, d: {"models": {"G": {"state_dict": g}, "D": {"state_dict": d}}, "epoch": 3}, True),
    (lambda g, d: {"G": foreign.dcgan_generator(seed=5), "G_ema": g}, False),
    (lambda g, d: {f"netG.{k}": v for k, v in g.items()} | {f"netD.{k}": v for k, v in d.items()}, True),
])  # fmt: skip
def test_the_networks_are_found_wherever_they_are(torch_file, nest, judged, legacy):
    g, d = foreign.dcgan_generator(), foreign.dcgan_discriminator()
    gan = cocktail.load(torch_file(nest(g, d), legacy))
    assert (gan.synthesize(gan.map(latent())) - reference_picture(g, latent())).abs().max() < 1e-5
    assert (gan.discriminator is not None) == judged
    if judged:
        assert torch.equal(gan.discriminator.main[0].weight, d["main.0.weight"])


def test_a_file_of_before_the_counters_of_batch_normalisation_is_read(torch_file):
    state = {k: v for k, v in foreign.dcgan_generator().items() if "num_batches" not in k}
    gan = cocktail.load(torch_file(state))
    assert (gan.synthesize(gan.map(latent())) - reference_picture(state, latent())).abs().max() < 1e-5


def test_the_card_tells_what_was_left_out(torch_file):
    stored = {"netG": foreign.dcgan_generator(), "netD": foreign.dcgan_discriminator(pixels=64), "epoch": 3,
              "optimizerG": {"state": {0: {"exp_avg": torch.ones(3)}}}}  # fmt: skip
    gan = cocktail.load(torch_file(stored))
    imported = gan.card["imported"]
    assert imported["format"] == "DCGAN state dict" and imported["read"] == len(gan.generator.state_dict())
    assert set(imported["ignored"]) == {"epoch", "optimizerG", "discriminator"} and gan.discriminator is None
    assert "64 px" in imported["ignored"]["discriminator"] and "optimiser" in imported["ignored"]["optimizerG"]


def changed(name=None, value=None, **layout):
    state = foreign.dcgan_generator(**layout)
    if value is None:
        state.pop(name)
    else:
        state[name] = value
    return state


@pytest.mark.parametrize("stored, message", [
    (foreign.dcgan_discriminator(), "discriminator alone. Give the file of its generator"),
    ({"netD": in_parallel(foreign.dcgan_discriminator())}, "discriminator alone"),
    (changed("main.4.running_mean"), "1 tensors missing: main.4.running_mean"),
    (changed("main.20.weight", torch.ones(3)), "not part of such a network: main.20.weight"),
    (changed("attention.weight", torch.ones(3)), "not part of such a network: attention.weight"),
    (changed("main.3.weight", torch.ones(16, 9, 4, 4)), r"main.3.weight|main.4.bias \(\[8\] float32, expected \[9\]"),
    (changed("main.3.bias", torch.ones(8)), "not part of such a network: main.3.bias"),
    (changed("main.0.bias", torch.ones(16)), "missing: main.3.bias, main.6.bias, main.9.bias"),
    (changed("main.9.weight", torch.ones(4, 3, 3, 3)), r"main.9, has the shape \[4, 3, 3, 3\]; .* a kernel of 4 or 1"),
    (changed("main.0.weight", torch.ones(6, 16, 5, 5)), r"main.0.weight \(\[6, 16, 5, 5\] float32, expected "),
    (changed("main.0.weight", torch.ones(6, 16)), r"no generator in the layout .* found main.0.weight \[6, 16\]"),
    (changed("main.1.bias", torch.full((16,), math.nan)), "NaN or infinity: main.1.bias"),
    (changed("main.1.num_batches_tracked", torch.tensor(1.0)), r"main.1.num_batches_tracked \(\[\] float32"),
    ({"main.0.weight": torch.ones(8, 3), "main.3.weight": torch.ones(2, 8)}, r"found main.0.weight \[8, 3\]; expected"),
])  # fmt: skip
def test_a_file_that_does_not_fit_is_refused_with_names(torch_file, stored, message):
    with pytest.raises(CocktailError, match=message):
        cocktail.load(torch_file(stored))


def test_the_format_is_told_by_content(torch_file, tmp_path):
    assert files.recognises(torch_file(foreign.dcgan_generator())) and files.recognises(
        torch_file(foreign.dcgan_discriminator())
    )
    assert not files.recognises(torch_file({"weight": torch.ones(2)}))
    (tmp_path / "netG.pth").write_bytes(b"main.0.weight main.3.weight")
    assert not files.recognises(tmp_path / "netG.pth") and not files.recognises(tmp_path)


def test_a_dcgan_survives_the_native_format(torch_file, tmp_path):
    gan = cocktail.load(torch_file({"netG": foreign.dcgan_generator(), "netD": foreign.dcgan_discriminator()}))
    again = cocktail.load(cocktail.save(gan, tmp_path / "native"))
    assert torch.equal(gan.sample([4], truncation=0.7), again.sample([4], truncation=0.7))
    assert again.discriminator.config == gan.discriminator.config and again.card == gan.card


# --- networks


def test_it_offers_what_the_engine_uses():
    gan, kind = small(("cat", "dog")), ARCHITECTURES["dcgan"]
    assert architecture_of(gan.generator) is kind and architecture_of(gan.discriminator) is kind
    ws = gan.generator.map(latent(), one_hot(4, 2), truncation=0.5)
    assert ws.shape == (4, 1, gan.w_dim) and gan.w_dim == 6 + 5 and gan.generator.layer_resolutions == (4,)
    images = gan.generator.synthesize(ws)
    assert images.shape == (4, 3, 16, 16) and images.dtype == torch.float32
    assert gan.discriminator(images, one_hot(4, 2)).shape == (4, 1)
    *maps, features = gan.discriminator.activations(images)
    assert torch.equal(features, gan.discriminator.features(images)) and features.ndim == 2
    assert [tuple(m.shape[1:]) for m in maps] == [(8, 8, 8), (12, 4, 4)]


def test_new_weights_are_drawn_as_in_the_paper():
    gan = new_gan("dcgan", {}, {})
    assert gan.resolution == 64 and gan.generator.main[0].weight.shape == (100, 512, 4, 4)
    for network in (gan.generator, gan.discriminator):
        assert abs(network.main[3].weight.std() - 0.02) < 0.002
    assert abs(gan.generator.main[1].weight.mean() - 1) < 0.01


def test_a_picture_does_not_depend_on_its_neighbours():
    gan = small(("cat", "dog"))
    ws = gan.generator.map(latent(), one_hot(4, 2))
    with torch.no_grad():
        together, alone = gan.generator.synthesize(ws), gan.generator.synthesize(ws[2:3])
    assert together.std() > 0.01 and (together[2:3] - alone).abs().max() < 1e-6
    assert torch.equal(gan.sample([3, 1, 4], ["cat", "dog", "cat"])[2], gan.sample([4], "cat")[0])


@pytest.mark.parametrize("psi", [1.0, 0.6])
def test_a_generator_that_gains_classes_draws_its_old_pictures(psi):
    old, z = small(), latent()
    new = old.with_classes(["cat", "dog"], rng())
    for name in ("cat", "dog"):
        wanted, found = (g.synthesize(g.map(z, c, psi)) for g, c in ((old, None), (new, name)))
        assert wanted.std() > 0.01 and (found - wanted).abs().max() < 1e-5
    with torch.no_grad():
        new.generator.main[0].weight[old.z_dim :].normal_(generator=rng(1))
    more = new.with_classes(["fox"], rng())
    for name in ("cat", "dog"):
        wanted, found = (g.synthesize(g.map(z, name, psi)) for g in (new, more))
        assert (found - wanted).abs().max() < 1e-5
    assert (more.synthesize(more.map(z, "fox")) - more.synthesize(more.map(z, "cat"))).abs().max() > 1e-2


def test_a_discriminator_that_gains_classes_keeps_its_verdict():
    old, images = small(), noise(pixels=16)
    new = old.with_classes(["cat", "dog"], rng()).discriminator
    with torch.no_grad():
        assert torch.allclose(new(images, one_hot(4, 2)), old.discriminator(images, None), atol=1e-6)
        new.embed.normal_(generator=rng(1))
        wanted = new(images, one_hot(4, 2))
        assert (wanted - old.discriminator(images, None)).abs().max() > 1e-2
        found = new.with_classes(3, rng())(images, F.pad(one_hot(4, 2), [0, 1]))
    assert torch.allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize("part", ["generator", "discriminator"])
def test_classes_cannot_be_dropped(part):
    with pytest.raises(CocktailError, match="3 classes; 2 would drop"):
        getattr(small(("a", "b", "c")), part).with_classes(2, rng())


@pytest.mark.parametrize("fields", [
    {"img_resolution": 48}, {"img_resolution": 4}, {"img_resolution": 10**9}, {"channels": (8, 8)},
    {"channels": (0,) * 4}, {"channels": (10**9,) * 4}, {"z_dim": 0}, {"z_dim": "100"}, {"c_dim": -1}, {"embed_dim": 0},
    {"img_channels": 9}, {"last_kernel": 2}, {"biases": "some"},
], ids=str)  # fmt: skip
def test_an_absurd_config_is_refused(fields):
    with pytest.raises(CocktailError, match=next(iter(fields)).split("_")[0]):
        dcgan.GeneratorConfig(**fields)


def test_channels_that_the_resolution_does_not_need_are_dropped():
    assert dcgan.GeneratorConfig(img_resolution=16, channels=(9, 8, 7, 6)).channels == (9, 8)
    assert dcgan.GeneratorConfig(img_resolution=16, channels=(9, 8, 7, 6), last_kernel=1).channels == (9, 8, 7)
    assert dcgan.DiscriminatorConfig(img_resolution=16, channels=(9, 8, 7, 6), last_size=2).channels == (9, 8, 7)


# --- averaging and training


def test_an_average_of_equal_models_draws_their_pictures_and_keeps_the_counters():
    gan = small()
    gan.generator.main[1].num_batches_tracked += 5
    mean = average([gan, gan.copy(), gan.copy()])
    assert torch.allclose(mean.sample([1, 2]), gan.sample([1, 2]), atol=1e-6)
    assert mean.generator.main[1].num_batches_tracked == 5
    other = average([gan, small(seed=1)]).generator.main[1]
    means = torch.stack([g.generator.main[1].running_mean for g in (gan, small(seed=1))]).mean(dim=0)
    assert torch.allclose(other.running_mean, means)


def test_new_statistics_are_those_of_all_the_pictures():
    gan, z = small(("cat", "dog")), latent(128)
    gan.generator.recenter(z)
    norm, ws = gan.generator.main[1], gan.generator.map(z, one_hot(128, 2))
    with torch.no_grad():
        x = gan.generator.main[0](ws[:, 0, :, None, None])
    assert torch.allclose(norm.running_mean, x.mean(dim=[0, 2, 3]), atol=1e-5)
    spread = torch.stack([part.var(dim=[0, 2, 3]) for part in x.split(64)]).mean(dim=0)
    assert torch.allclose(norm.running_var, spread, atol=1e-5)
    assert norm.momentum == 0.1 and not gan.generator.training


STATES = {
    "unconditional": ((), QUICK),
    "classes, samples used twice": (("cat", "dog"), replace(QUICK, loss="relativistic", reuse_samples=True)),
    "path length": (("cat", "dog"), replace(QUICK, pl_weight=2.0, style_mixing=0.5)),
}


@pytest.mark.parametrize("case", STATES)
def test_training_goes_on_to_the_bit_after_it_was_saved(tmp_path, case):
    classes, config = STATES[case]
    student, source = small(classes), GanSource(small(classes, seed=1))
    through = train(student, source, config)
    first = next(finetune(student, source, config))
    save_file(first.state.state_dict(), tmp_path / "state.safetensors")
    state = start_state(student, config)
    state.load_state_dict(load_file(tmp_path / "state.safetensors"))
    resumed = train(student, source, config, state=state)
    for part in ("generator", "discriminator"):
        a, b = (getattr(gan, part).state_dict() for gan in (through, resumed))
        assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(through.generator.main[0].weight, student.generator.main[0].weight)
    assert through.generator.main[1].num_batches_tracked > 0 and not through.generator.training


def test_the_weight_average_takes_the_statistics_of_the_generator_in_training():
    student = small()
    *_, last = finetune(student, GanSource(small(seed=1)), QUICK)
    trained, mean = last.state.generator.main[1], last.state.ema.main[1]
    assert torch.equal(trained.running_var, mean.running_var) and not torch.equal(trained.weight, mean.weight)
    assert not torch.equal(mean.running_var, student.generator.main[1].running_var)


def test_a_dcgan_learns_the_brightness_of_its_source():
    student, dark = small(), small(seed=1)
    with torch.no_grad():  # what comes out of a ReLU is positive, so that these weights darken every pixel
        dark.generator.main[-2].weight.fill_(-0.1)
    goal = dark.sample(range(8)).mean()
    result = train(student, GanSource(dark), replace(QUICK, total_kimg=0.96, batch=16, lr=0.002, gamma=0.0))
    before, after = ((gan.sample(range(8)).mean() - goal).abs() for gan in (student, result))
    assert before > 0.2 and after < before / 2


def test_processes_share_the_running_statistics(monkeypatch):
    shared = []

    class Team:
        def mean_(self, tensors):
            shared.append([tensor.clone() for tensor in tensors])
            for tensor in tensors:
                tensor.zero_()

    monkeypatch.setattr(parallel, "current", Team)
    norm = dcgan.BatchNorm(3)
    norm(noise(pixels=8))
    assert len(shared) == 1 and len(shared[0]) == 2 and norm.running_mean.eq(0).all()
    norm.eval()(noise(pixels=8))
    assert len(shared) == 1


def test_a_discriminator_of_another_architecture_can_judge_it():
    """As when a file brings no discriminator: the engine puts an untrained one beside the generator."""
    judge = new_gan("custom", {"channels": (8, 8, 8)}, {"channels": (8, 8, 8)}).discriminator
    result = train(Gan(small().generator, judge), GanSource(small(seed=1)), QUICK)
    assert result.sample([0]).shape == (1, 3, 16, 16)
