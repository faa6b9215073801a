"""Encoder and inversion on tiny models: the picture of a code leads back to it; files, budgets, verdicts."""

import json
from dataclasses import asdict, replace

import pytest
import safetensors.torch
import torch

from cocktail import checkpoints
from cocktail.commands.base import drain
from cocktail.errors import CocktailError
from cocktail.metrics.perceptual import PerceptualDistance
from editing import encoder as encoders
from editing.descent import correlation, noise_inputs, psnr
from editing.encoder import FILE, Encoder, find_encoder, new_encoder, read_encoder, save_encoder
from editing.encoder_training import EncoderConfig, degraded, samples, train_encoder
from editing.inversion import Inversion, InversionConfig, estimate_sec, project, with_noise
from editing.region import Region, class_codes, nearest
from editing.verdict import Typical, judge, typical_error, typical_of

QUICK = EncoderConfig(total_kimg=4, lr=0.004)
CLASSES = ("cat", "dog")


def silent(steps):
    return drain(steps, lambda progress: None)


@pytest.fixture(scope="module")
def gan(tiny):
    """A tiny model whose pictures keep within [-1, 1], as a trained one's do."""
    model = tiny(CLASSES)
    with torch.no_grad():
        for name, value in model.generator.named_parameters():
            if "torgb" in name and "affine" not in name:
                value *= 0.25
    return model


@pytest.fixture(scope="module")
def encoder(gan) -> Encoder:
    return silent(train_encoder(gan, QUICK))


@pytest.fixture(scope="module")
def dog(gan):
    """Code float32 [num_ws, w_dim] and picture of a sample."""
    ws = gan.map(torch.randn(1, gan.z_dim, generator=torch.Generator().manual_seed(5)), "dog")
    return ws[0], gan.synthesize(ws)


# PSNR and region


def test_psnr_of_a_known_error_is_the_closed_form():
    a = torch.zeros(2, 3, 4, 4)
    found = psnr(a, a + torch.tensor([0.2, 0.02])[:, None, None, None])
    assert torch.allclose(found, torch.tensor([20.0, 40.0]), atol=1e-3)
    assert torch.allclose(psnr(a, a), torch.full((2,), 100.0))


def test_codes_of_a_class_are_white_in_the_coordinates_of_their_region(gan):
    region, w = Region.of(gan, 1), class_codes(gan, 1)
    u = (w - region.mean) @ region.axes.t() / region.axes.square().sum(dim=1)
    assert torch.allclose(u.mean(dim=0), torch.zeros(len(region.axes)), atol=1e-3)
    assert torch.allclose(u.t() @ u / len(u), torch.eye(len(region.axes)), atol=1e-2)


def test_a_code_within_the_region_comes_back_from_its_coordinates(gan):
    region = Region.of(gan, 0)
    u = torch.randn(5, len(region.axes), generator=torch.Generator().manual_seed(0)).clamp(-3, 3)
    assert torch.allclose(region.coordinates(region.code(u)), u, atol=1e-3)


def test_the_region_keeps_a_class_embedding_where_it_is(tiny):
    custom = tiny(CLASSES, architecture="custom")
    region, fixed = Region.of(custom, 0), class_codes(custom, 0)[:1, custom.z_dim :]
    moved = region.code(torch.randn(4, len(region.axes)))
    assert torch.allclose(moved[:, custom.z_dim :], fixed.expand(4, -1), atol=1e-4)


# Encoder


def test_a_trained_encoder_beats_the_class_mean_and_knows_the_classes(gan, encoder):
    img, ws, labels = samples(gan, encoder, 64, torch.Generator().manual_seed(99))
    mean, _ = new_encoder(gan, 0).eval()(img, labels)
    assert torch.allclose(mean, encoder.center[labels][:, None].expand_as(mean), atol=1e-2)
    guess, chances = encoder.encode(img)
    assert (chances.argmax(dim=1) == labels).float().mean() > 0.75
    guess, _ = encoder(img, labels)
    assert (guess - ws).square().mean() < 0.6 * (mean - ws).square().mean()
    drawn, plain = gan.synthesize(guess), gan.synthesize(mean)
    assert psnr(drawn, img).mean() > psnr(plain, img).mean() + 1


def test_training_reports_progress_and_leaves_the_model_alone(gan):
    before = {name: value.clone() for name, value in gan.generator.state_dict().items()}
    reports = list(train_encoder(gan, EncoderConfig(total_kimg=0.4)))
    assert [report.images for report in reports] == [160, 320, 400]
    assert all(report.total_images == 400 and set(report.losses) == {"code", "class", "picture"} for report in reports)
    assert all(torch.equal(before[name], value) for name, value in gan.generator.state_dict().items())
    assert all(parameter.grad is None for parameter in gan.generator.parameters())


def test_the_same_seed_trains_the_same_encoder_also_in_inference_mode(gan):
    short = EncoderConfig(total_kimg=0.1)
    with torch.inference_mode():
        first = silent(train_encoder(gan, short, seed=3))
    again, other = silent(train_encoder(gan, short, seed=3)), silent(train_encoder(gan, short, seed=4))
    img = gan.sample([0], "cat")
    assert torch.equal(first.encode(img)[0], again.encode(img)[0])
    assert not torch.equal(first.encode(img)[0], other.encode(img)[0])


def test_closing_the_training_cancels_it(gan):
    steps = train_encoder(gan, EncoderConfig(total_kimg=1000))
    next(steps)
    steps.close()
    assert list(steps) == []


@pytest.mark.parametrize("fields", [{"architecture": "custom"}, {"architecture": "custom", "classes": CLASSES}, {},
                                    {"resolution": 16, "classes": ("cat",)}])  # fmt: skip
def test_every_architecture_with_or_without_classes_has_an_encoder(tiny, fields):
    model = tiny(**fields)
    made = silent(train_encoder(model, EncoderConfig(total_kimg=0.05)))
    ws, chances = made.encode(model.sample([0, 1], model.classes[0] if model.classes else None))
    assert ws.shape == (2, model.num_ws, model.w_dim) and chances.shape == (2, max(1, len(model.classes)))
    model.synthesize(ws)


def test_degraded_pictures_are_near_the_clean_ones(gan):
    img = gan.sample(range(16), "cat")
    worse = degraded(img, torch.Generator().manual_seed(0))
    assert worse.abs().max() <= 1 and 10 < psnr(worse, img).mean() < 35


# Files


def test_a_stored_encoder_gives_the_same_codes(gan, encoder, tmp_path):
    save_encoder(encoder, tmp_path / FILE)
    read, img = read_encoder(tmp_path / FILE, gan), gan.sample([0, 1, 2], "dog")
    assert all(torch.equal(a, b) for a, b in zip(read.encode(img), encoder.encode(img), strict=True))
    assert read.notes == encoder.notes and read.notes["config"] == asdict(QUICK)


def test_equal_encoders_make_equal_files_that_are_small(gan, encoder, tmp_path):
    for name in ("a", "b"):
        save_encoder(encoder, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").stat().st_size < 5_000_000


def test_an_encoder_lies_beside_its_model(gan, encoder, tmp_path):
    checkpoints.save(gan, tmp_path)
    assert find_encoder(tmp_path, gan) is None
    save_encoder(encoder, tmp_path / FILE)
    assert find_encoder(tmp_path, gan).fingerprint == encoder.fingerprint
    assert find_encoder(tmp_path / "model.safetensors", gan) is not None


def test_another_model_refuses_the_encoder(tiny, encoder, tmp_path):
    save_encoder(encoder, tmp_path / FILE)
    with pytest.raises(CocktailError, match="belongs to another model.*python -m editing.encoder"):
        read_encoder(tmp_path / FILE, tiny(CLASSES, seed=1))


def stored(encoder: Encoder, tensors=None, **content) -> bytes:
    described = {"format": encoders.FORMAT, "version": encoders.VERSION, "fingerprint": encoder.fingerprint} | content
    held = {name: value.contiguous() for name, value in encoder.state_dict().items()} | (tensors or {})
    return safetensors.torch.save(held, {encoders.ENTRY: json.dumps(described)})


@pytest.mark.parametrize(
    "damage, words",
    [(lambda e: b"", "no readable encoder"), (lambda e: b"\x80\x04K\x01.", "no readable encoder"),
     (lambda e: stored(e)[:-100], "no readable encoder"), (lambda e: stored(e, version=99), "is no encoder"),
     (lambda e: stored(e, fingerprint=[1]), "another model"), (lambda e: safetensors.torch.save({}), "is no encoder"),
     (lambda e: safetensors.torch.save({}, {encoders.ENTRY: "{"}), "no readable encoder"),
     (lambda e: stored(e, {"extra": torch.zeros(1)}), "other tensors"),
     (lambda e: stored(e, {"center": torch.zeros(3, 3)}), "other tensors"),
     (lambda e: stored(e, {"center": torch.full_like(e.center, torch.nan)}), "NaN")],
    ids=["empty", "pickle", "cut", "version", "fingerprint", "no-entry", "no-json", "surplus", "shape", "nan"],
)  # fmt: skip
def test_a_damaged_file_is_refused_with_a_reason(gan, encoder, tmp_path, damage, words):
    path = tmp_path / FILE
    path.write_bytes(damage(encoder))
    with pytest.raises(CocktailError, match=words):
        read_encoder(path, gan)


def test_a_missing_or_giant_file_is_refused(gan, tmp_path, monkeypatch):
    with pytest.raises(CocktailError, match="No such file"):
        read_encoder(tmp_path / FILE, gan)
    monkeypatch.setattr(encoders, "MAX_BYTES", 3)
    (tmp_path / FILE).write_bytes(b"1234")
    with pytest.raises(CocktailError, match="4 bytes"):
        read_encoder(tmp_path / FILE, gan)


def test_the_command_line_trains_measures_and_stores(gan, tmp_path, monkeypatch, capsys):
    checkpoints.save(gan, tmp_path / "model")
    monkeypatch.setattr("editing.verdict.PICTURES", 2)
    out = str(tmp_path / "model" / FILE)
    assert encoders.main([str(tmp_path / "model"), "--out", out, "--total-kimg", "0.1", "--threads", "1"]) == 0
    made = find_encoder(tmp_path / "model", gan)
    assert typical_of(made).pictures == 2 and FILE in capsys.readouterr().out
    assert encoders.main([str(tmp_path / "none"), "--out", out]) == 2
    assert "error: " in capsys.readouterr().err


# Inversion


def test_a_sample_is_found_again_from_a_perturbed_code(gan, dog):
    ws, img = dog
    start = ws + 0.3 * torch.randn(ws.shape, generator=torch.Generator().manual_seed(1))
    found = silent(project(gan, img, "dog", InversionConfig(steps=400, patience=400, prior_weight=0), start=start))
    assert psnr(gan.synthesize(start[None]), img) < 30 < 40 < found.psnr
    assert found.label == "dog" and found.ws.shape == ws.shape and found.encoder_ws is None


def test_the_figures_are_those_of_the_code(gan, encoder, dog):
    _, img = dog
    found = silent(project(gan, img, encoder=encoder))
    drawn, guess = gan.synthesize(found.ws[None]), gan.synthesize(found.encoder_ws[None])
    distance = PerceptualDistance(gan)
    assert found.psnr == pytest.approx(psnr(drawn, img).item(), abs=0.01)
    assert found.encoder_psnr == pytest.approx(psnr(guess, img).item(), abs=0.01)
    with torch.no_grad():
        assert found.encoder_distance == pytest.approx(distance(guess, img).item(), rel=0.05)
    assert found.psnr > found.encoder_psnr and found.distance < found.encoder_distance


def test_the_first_report_is_the_encoder_alone_and_reports_never_get_worse(gan, encoder, dog):
    reports = []
    found = drain(project(gan, dog[1], "dog", InversionConfig(steps=30), encoder=encoder), reports.append)
    assert reports[0].step == 0 and torch.equal(reports[0].ws, found.encoder_ws)
    assert reports[0].psnr == found.encoder_psnr
    assert [report.step for report in reports] == [0, 10, 20, 30] and found.steps == 30
    loss = [4 / 10 ** (report.psnr / 10) + report.distance for report in reports]
    assert loss == sorted(loss, reverse=True)


def test_in_w_all_layers_have_one_code(gan, encoder, dog):
    found = silent(project(gan, dog[1], "dog", InversionConfig(space="w", steps=20), encoder=encoder))
    assert torch.allclose(found.ws, found.ws[:1].expand_as(found.ws), atol=1e-6)


@pytest.mark.parametrize("helped", [True, False], ids=["encoder", "samples"])
def test_the_class_is_guessed(gan, encoder, helped):
    config, help_ = InversionConfig(steps=0), encoder if helped else None
    for label in CLASSES:
        img = gan.sample([1], label)
        assert silent(project(gan, img, config=config, encoder=help_)).label == label


def test_a_strong_prior_holds_the_code_at_the_class_mean(gan, dog):
    mean = Region.of(gan, 1).mean
    config = InversionConfig(steps=100, patience=100, lr=0.2)
    loose, held = (silent(project(gan, dog[1], "dog", replace(config, prior_weight=w))) for w in (0.0, 1.0))
    assert (held.ws - mean).norm() < (loose.ws - mean).norm() and held.psnr < loose.psnr


def test_descent_stops_where_nothing_is_gained(gan, dog):
    found = silent(project(gan, dog[1], "dog", InversionConfig(steps=100_000, patience=5, lr=0.0), start=dog[0]))
    assert found.steps <= 7


def test_the_time_is_kept(gan, dog):
    config = InversionConfig(steps=100_000, patience=100_000, max_sec=0.5)
    assert silent(project(gan, dog[1], "dog", config)).elapsed_sec < 2
    nothing = silent(project(gan, dog[1], "dog", replace(config, max_sec=0.0)))
    assert nothing.steps == 0


def test_closing_cancels(gan, dog):
    steps = project(gan, dog[1], "dog", InversionConfig(steps=100_000, patience=100_000))
    next(steps)
    steps.close()
    assert list(steps) == []


def test_inversion_leaves_the_model_alone_and_works_in_inference_mode(gan, encoder, dog):
    before = {name: value.clone() for name, value in gan.generator.state_dict().items()}
    config = InversionConfig(steps=10)
    with torch.inference_mode():
        inside = silent(project(gan, dog[1], config=config, encoder=encoder))
    outside = silent(project(gan, dog[1].clone(), config=config, encoder=encoder))
    assert torch.equal(inside.ws, outside.ws)
    assert all(torch.equal(before[name], value) for name, value in gan.generator.state_dict().items())
    networks = (*gan.generator.parameters(), *gan.discriminator.parameters())
    assert all(parameter.grad is None for parameter in networks)


@pytest.mark.parametrize("fields", [{"architecture": "custom", "classes": CLASSES}, {"discriminator": False},
                                    {"use_noise": False, "linear_input": True, "class_centers": True}])  # fmt: skip
def test_other_models_are_inverted_too(tiny, fields):
    model = tiny(**fields)
    img = model.sample([3], model.classes[0] if model.classes else None)
    reports = []
    found = drain(project(model, img, config=InversionConfig(noise=True)), reports.append)
    assert found.psnr > reports[0].psnr and found.label == (model.classes[0] if model.classes else None)


@pytest.mark.parametrize(
    "change, words",
    [({"target": torch.zeros(1, 3, 9, 9)}, "picture has shape"), ({"target": torch.zeros(2, 3, 8, 8)}, "needs"),
     ({"target": torch.full((1, 3, 8, 8), torch.nan)}, "NaN"), ({"label": "cow"}, "Unknown class"),
     ({"start": torch.zeros(1, 1)}, "start has shape"), ({"start": torch.full((4, 8), torch.inf)}, "infinite")],
)  # fmt: skip
def test_what_cannot_be_inverted_is_refused(gan, dog, change, words):
    with pytest.raises(CocktailError, match=words):
        next(project(gan, **({"target": dog[1], "label": "dog"} | change)))


@pytest.mark.parametrize("field", [{"space": "z"}, {"steps": -1}, {"max_sec": float("nan")}, {"patience": 0}])
def test_a_config_out_of_range_is_refused(field):
    with pytest.raises(CocktailError, match=next(iter(field))):
        InversionConfig(**field)


def test_the_nearest_sample_is_one_that_was_drawn_and_time_cuts_the_search(gan):
    w = class_codes(gan, 1)[7]
    ws = w[None, None].repeat(1, gan.num_ws, 1)
    index, found = nearest(gan, gan.synthesize(ws), None, 32, deadline=float("inf"))
    assert index == 1 and torch.equal(found, ws)
    index, found = nearest(gan, gan.synthesize(ws), None, 4096, deadline=0.0)
    assert index == 0 and found.shape == ws.shape


def test_the_estimate_holds_the_time_that_it_takes(gan, dog):
    config = InversionConfig(steps=200, patience=200)
    least, most = estimate_sec(gan, config)
    assert 0 < least <= most <= config.max_sec
    assert silent(project(gan, dog[1], "dog", config, start=dog[0])).elapsed_sec < 10 * most
    assert estimate_sec(gan, replace(config, max_sec=0.01)) == (0.01, 0.01)


# Noise inputs


def test_white_noise_is_less_correlated_than_blurred_noise():
    noise = torch.randn(32, 32, generator=torch.Generator().manual_seed(0))
    smooth = (noise + noise.roll(1, 0) + noise.roll(1, 1)) / 3**0.5
    assert correlation(noise) < 0.02 < 0.1 < correlation(smooth)


def test_noise_inputs_are_fitted_on_a_copy_and_stay_white(gan, dog):
    target = (dog[1] + 0.2 * torch.randn(dog[1].shape, generator=torch.Generator().manual_seed(2))).clamp(-1, 1)
    config = InversionConfig(steps=150, patience=150)
    plain, fine = (silent(project(gan, target, "dog", replace(config, noise=noise))) for noise in (False, True))
    assert plain.noise == {} and set(fine.noise) == set(noise_inputs(gan.generator))
    for value in fine.noise.values():
        assert abs(value.mean()) < 0.2 and 0.8 < value.std() < 1.2
    assert fine.psnr > plain.psnr + 1
    assert sum(correlation(value) for value in fine.noise.values()) < 1e-3
    drawn = with_noise(gan, fine.noise).synthesize(fine.ws[None])
    assert psnr(drawn, target).item() == pytest.approx(fine.psnr, abs=0.01)


# Verdict

TYPICAL = Typical(32, 47.0, 44.0, 1e-5, 1e-4, 0.002, 0.006)


def inversion(psnr: float, distance: float, guess: float | None, label: str | None = "dog") -> Inversion:
    return Inversion(torch.zeros(1), label, psnr, distance, 9, 1.0, None, None, guess)


def test_a_picture_of_something_else_gets_a_plain_sentence_with_the_figures():
    verdict = judge(inversion(18.6, 0.02, 0.31), TYPICAL)
    assert not verdict.drawable and verdict.sentence.startswith("This model cannot draw this picture as dog: ")
    assert all(figure in verdict.sentence for figure in ("18.6 dB", "47.0", "0.310", "0.006", "95 %"))
    assert judge(inversion(18.6, 0.02, 0.31, None), TYPICAL).sentence.startswith(
        "This model cannot draw this picture: "
    )


def test_a_picture_of_its_kind_is_called_near_or_exact():
    assert judge(inversion(30.0, 0.002, 0.01), TYPICAL).sentence.startswith("Near, but not exact: 30.0 dB")
    assert judge(inversion(45.0, 5e-5, 0.003), TYPICAL).sentence.startswith("As exact as the model's own samples")


def test_without_an_encoder_the_reached_distance_decides():
    alone = replace(TYPICAL, guess_distance=float("nan"), guess_distance_high=float("nan"))
    assert not judge(inversion(20.0, 0.01, None), alone).drawable
    assert judge(inversion(46.0, 1e-5, None), alone).drawable
    assert not judge(inversion(20.0, 0.01, None), TYPICAL).drawable


def test_own_samples_are_typical_and_noise_is_not(gan, encoder):
    done = []
    typical = drain(typical_error(gan, encoder, 6, InversionConfig(steps=60)), done.append)
    assert done == [1, 2, 3, 4, 5, 6] and typical.pictures == 6
    assert typical.psnr_low <= typical.psnr and typical.guess_distance <= typical.guess_distance_high
    noise = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)).round() * 2 - 1
    own, strange = (
        silent(project(gan, img, config=InversionConfig(steps=60), encoder=encoder))
        for img in (gan.sample([77], "cat"), noise)
    )
    assert judge(own, typical).drawable and not judge(strange, typical).drawable


@pytest.mark.parametrize("notes", [{}, {"typical": 3}, {"typical": {"psnr": 1}},
                                   {"typical": asdict(TYPICAL) | {"psnr": "x"}}])  # fmt: skip
def test_figures_that_a_file_does_not_tell_are_none(gan, encoder, notes):
    bare = new_encoder(gan, 0)
    bare.notes = notes
    assert typical_of(bare) is None
    bare.notes = {"typical": asdict(TYPICAL)}
    assert typical_of(bare) == TYPICAL
