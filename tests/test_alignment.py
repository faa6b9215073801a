"""Latents of a source found for latents of the root: from samples alone, the way back through a known rotation."""

from dataclasses import replace

import pytest
import torch

from cocktail.methods import alignment
from cocktail.methods.alignment import AlignedSource, align, normalized
from cocktail.methods.visible import View, matched
from cocktail.sources import FolderSource, GanSource
from tests.drawn import drawn

LATENTS = 4


class Notes:
    def __init__(self):
        self.seed, self.found = 0, {}

    def record(self, name, value):
        self.found[name] = value


@pytest.fixture(autouse=True)
def _few_samples(monkeypatch):
    monkeypatch.setattr(alignment, "SAMPLES", 1500)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def pair(tiny):
    """A source, and a model of one class that draws the source's pictures from latents that are rotated."""
    options = {"z_dim": LATENTS, "w_dim": 8, "mapping_layers": 1, "mapping_lr_multiplier": 1.0, "use_noise": False}
    gan = tiny(resolution=16, seed=4, **options)
    rotation = torch.linalg.qr(torch.randn(LATENTS, LATENTS, generator=rng(1)))[0]
    rooted = gan.with_classes(("cat",), rng())
    with torch.no_grad():
        rooted.generator.mapping.fc0.weight[:, :LATENTS] = rooted.generator.mapping.fc0.weight[:, :LATENTS] @ rotation.T
    return gan, rooted, rotation


@pytest.fixture
def aligned(pair):
    """The rooted model as the root, "cat", and the source beside it, "dog"."""
    gan, rooted, _ = pair
    sources = [GanSource(rooted), GanSource(gan, names=("dog",))]
    return AlignedSource(sources, [rooted, replace(rooted, classes=("dog",))], Notes())


def test_normalized_latents_have_unit_mean_square_and_their_direction():
    z = torch.randn(50, 16, generator=rng())
    assert torch.allclose(normalized(z).square().mean(dim=1), torch.ones(50), atol=1e-4)
    assert torch.allclose(torch.cosine_similarity(normalized(z), z, dim=1), torch.ones(50))


def test_a_known_rotation_is_found_from_samples(pair):
    gan, rooted, rotation = pair
    found, agreement = align(rooted, GanSource(gan, names=("cat",)), 0, rng())
    assert torch.allclose(found @ found.T, torch.eye(LATENTS), atol=1e-4)
    assert torch.linalg.matrix_norm(found - rotation) < 0.5 < torch.linalg.matrix_norm(torch.eye(LATENTS) - rotation)
    assert agreement > 0.5


def test_the_sources_picture_of_an_aligned_latent_is_like_the_rooted_models(pair, aligned):
    gan, rooted, _ = pair
    images, z = aligned.sample_pairs(torch.ones(64, dtype=torch.long), rng(9))
    wanted = rooted.synthesize(rooted.map(z, "cat"))
    unaligned = GanSource(gan).draw(normalized(z), torch.zeros(64, dtype=torch.long))
    assert (images - wanted).abs().mean() < 0.4 * (unaligned - wanted).abs().mean()


def test_the_roots_own_pictures_need_no_map(pair, aligned):
    _, rooted, _ = pair
    images, z = aligned.sample_pairs(torch.zeros(5, dtype=torch.long), rng(9))
    assert torch.allclose(images, rooted.synthesize(rooted.map(z, "cat")), atol=1e-5)
    assert aligned.ctx.found.keys() == {"alignment/dog"} and aligned.paired


def test_the_class_of_pictures_follows_the_model_rooted_on_them(pair, tmp_path):
    gan, rooted, _ = pair
    fox = replace(rooted, classes=("fox",))
    sources = [GanSource(gan, names=("cat",)), FolderSource(drawn(tmp_path / "fox"), 16)]
    aligned = AlignedSource(sources, [rooted, fox], Notes())
    labels = torch.ones(5, dtype=torch.long)
    images, z = aligned.sample_pairs(labels, rng(9))
    assert torch.allclose(images, rooted.synthesize(rooted.map(z, "cat")), atol=1e-5), "by its latents as they are"
    images, z = aligned.sample_contrasts(labels, torch.zeros_like(labels), rng(9))
    assert torch.allclose(images, rooted.synthesize(rooted.map(z, "cat")), atol=1e-5)
    assert aligned.ctx.found["alignment/fox"] == "not needed: it follows the model rooted on pictures"
    assert aligned.ctx.found["visible_directions/fox"] >= 1 and aligned.classes == ("cat", "fox")


def test_no_map_is_made_before_pictures_are_asked_for(aligned):
    assert not aligned.ctx.found


def test_pairs_hold_every_class_in_its_place(pair, aligned):
    _, rooted, _ = pair
    labels = torch.tensor([0, 1, 1, 0])
    images, z = aligned.sample_pairs(labels, rng(9))
    assert images.shape == (4, 3, 16, 16) and z.shape == (4, LATENTS)
    for row in (0, 3):
        assert torch.allclose(images[row], rooted.synthesize(rooted.map(z[row : row + 1], "cat"))[0], atol=1e-5)


def test_spaces_of_different_size_are_joined_by_orthogonal_directions(tiny, pair):
    other = tiny(resolution=16, seed=5, z_dim=LATENTS + 3, use_noise=False)
    found, agreement = align(pair[1], GanSource(other, names=("cat",)), 0, rng())
    assert found.shape == (LATENTS, LATENTS + 3) and -1 <= agreement <= 1
    assert torch.allclose(found @ found.T, torch.eye(LATENTS), atol=1e-4)


def test_the_same_seed_finds_the_same_map(pair):
    gan, rooted, _ = pair
    a, b = (align(rooted, GanSource(gan, names=("cat",)), 0, rng(3))[0] for _ in range(2))
    assert torch.equal(a, b)


def test_only_directions_that_are_seen_count_as_visible(tiny):
    gan = tiny(resolution=16, seed=4, z_dim=LATENTS, w_dim=8, mapping_layers=1, use_noise=False)
    blind = torch.linalg.qr(torch.randn(LATENTS, LATENTS, generator=rng(1)))[0][:, 0]
    with torch.no_grad():
        weight = gan.generator.mapping.fc0.weight
        weight -= weight @ blind[:, None] @ blind[None]
    found = alignment.visible_directions(GanSource(gan), 0, rng())
    assert torch.allclose(found @ found.T, torch.eye(len(found)), atol=1e-4)
    # The length of z is divided out, so that moving along the blind direction still weakens the others.
    strongest = alignment.visible_directions(GanSource(gan), 0, rng())[-1]
    assert (strongest @ blind).abs() < 0.2 and 1 <= len(found) <= LATENTS


def test_contrasts_are_the_sources_pictures_of_latents_that_differ_along_one_line(pair, aligned):
    _, rooted, _ = pair
    labels = torch.tensor([0, 1, 0])
    assert all(kinds >= 1 for kinds in aligned.contrast_lines)
    lines = torch.tensor([0, 0, aligned.contrast_lines[0] - 1])
    images, z = aligned.sample_contrasts(labels, lines, rng(9))
    before, after = z.chunk(2)
    assert images.shape == (6, 3, 16, 16)
    changes = after - before
    for label, line, change in zip(labels, lines, changes, strict=True):
        assert (aligned._directions[label][line] @ change).abs() == pytest.approx(change.norm().item(), abs=1e-4)
    wanted = rooted.synthesize(rooted.map(z[[0, 2, 3, 5]], "cat"))
    assert torch.allclose(images[[0, 2, 3, 5]], wanted, atol=1e-5)
    assert aligned.ctx.found["visible_directions/dog"] >= 1


# --- small things of which samples say nothing


def seen(energies, signs=(1, 1, 1)):
    """Three visible directions in a space of four, each of which changes pixels of its own."""
    energies = torch.tensor(energies)
    changes = torch.tensor(signs)[:, None] * energies.sqrt().repeat(1, 3)
    return View(torch.eye(LATENTS)[:3], changes, energies)


def test_what_samples_leave_open_is_matched_by_where_it_shows():
    root = seen([[0.9, 0.9, 0.9], [0.5, 0.0, 0.0], [0.0, 0.5, 0.1]])
    source = seen([[0.0, 0.3, 0.0], [0.2, 0.1, 0.0], [0.9, 0.9, 0.9]], signs=(-1, 1, 1))
    agreement = torch.zeros(LATENTS, LATENTS)
    agreement[0, 2] = 0.8  # the direction that shows most is known to belong to the source's third
    ours, theirs = matched(root, source, agreement)
    assert torch.equal(ours, torch.eye(LATENTS)[1:3])
    assert torch.equal(theirs, torch.tensor([[0.0, 1, 0, 0], [-1.0, 0, 0, 0]])), "a mouth that opens opens both"


def test_nothing_is_matched_to_what_the_root_hardly_shows():
    root = seen([[0.9, 0.9, 0.9], [0.5, 0.0, 0.0], [0.0, 0.01, 0.0]])
    source = seen([[0.0, 0.3, 0.0], [0.0, 0.2, 0.0], [0.9, 0.9, 0.9]])
    agreement = torch.zeros(LATENTS, LATENTS)
    agreement[0, 2] = 0.8
    ours, _ = matched(root, source, agreement)
    assert torch.equal(ours, torch.eye(LATENTS)[1:2])


@pytest.mark.parametrize("ours, theirs, pairs", [(5, 5, 2), (4, 7, 2), (7, 4, 2), (5, 5, 0), (4, 4, 4)])
def test_a_rotation_keeps_the_pairs_that_it_is_given(ours, theirs, pairs):
    known, wanted = (torch.linalg.qr(torch.randn(n, n, generator=rng(n)))[0][:pairs] for n in (ours, theirs))
    agreement = torch.randn(ours, theirs, generator=rng(1))
    found = alignment.rotation_through(known, wanted, agreement)
    assert torch.allclose(known @ found, wanted, atol=1e-5)
    smaller = found @ found.T if ours <= theirs else found.T @ found
    assert torch.allclose(smaller, torch.eye(min(ours, theirs)), atol=1e-5)
    if not pairs:
        best = torch.linalg.matrix_norm(agreement, "nuc")
        assert (agreement * found).sum() == pytest.approx(best.item(), rel=1e-4)


def test_a_known_rotation_is_found_with_matching_too(pair, aligned):
    _, _, rotation = pair
    source = AlignedSource(aligned.sources, aligned.rooted, Notes(), match=True)
    source.sample_pairs(torch.ones(2, dtype=torch.long), rng())
    (found,) = source._maps[1]
    assert torch.allclose(found @ found.T, torch.eye(LATENTS), atol=1e-4)
    assert torch.linalg.matrix_norm(found - rotation) < 0.5
