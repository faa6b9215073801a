"""Sources: what a student learns from, and what folders and zips of pictures hold in practice."""

import io
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cocktail import domains, pictures
from cocktail.domains import factors_to_latents
from cocktail.errors import CocktailError
from cocktail.images import to_uint8
from cocktail.sources import DomainSource, FolderSource, GanSource, MixtureSource, sample

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def labels(*values):
    return torch.tensor(values)


class Flat:
    """Class i of this source is a flat grey of `start` + i/100."""

    def __init__(self, classes, start, resolution=8):
        self.classes, self.start, self.resolution = classes, start, resolution

    def sample_class(self, wanted, generator):
        assert int(wanted.min()) >= 0 and int(wanted.max()) < len(self.classes)
        value = self.start + wanted.float() / 100
        return value[:, None, None, None].expand(-1, 3, self.resolution, self.resolution)


# --- GANs and mixtures


def test_equal_seeds_give_equal_pictures_and_others_do_not(tiny):
    every = [
        GanSource(tiny(("cat", "dog"))),
        MixtureSource([GanSource(tiny(), names=("cat",)), GanSource(tiny(seed=1), names=("dog",))]),
        DomainSource(("cat", "dog"), 16, pool=16),
    ]
    for source in every:
        (a, la), (b, lb), (c, _) = (sample(source, 6, rng(seed)) for seed in (1, 1, 2))
        assert torch.equal(a, b) and torch.equal(la, lb) and not torch.equal(a, c)
        assert a.shape == (6, 3, source.resolution, source.resolution) and a.dtype == torch.float32
        assert a.min() >= -1 and a.max() <= 1 and la.dtype == torch.int64


def test_a_sample_draws_all_classes_in_equal_shares():
    _, found = sample(Flat(("a", "b", "c"), 0.0), 3000, rng())
    assert (torch.bincount(found, minlength=3) > 900).all()


def test_a_gan_source_draws_what_the_gan_draws_for_that_class(tiny):
    gan = tiny(("cat", "dog", "car"))
    source = GanSource(gan)
    assert source.classes == ("cat", "dog", "car") and source.resolution == 8
    drawn = source.sample_class(labels(2, 0, 0), rng(3))
    z = torch.randn(3, gan.z_dim, generator=rng(3))
    expected = gan.synthesize(gan.map(z, ("car", "cat", "cat")))
    assert torch.allclose(drawn, expected, atol=1e-5)
    assert drawn.requires_grad is False


def test_a_gan_source_picks_and_renames_classes(tiny):
    gan = tiny(("cat", "dog", "car"))
    source = GanSource(gan, picks=("car", "cat"), names=("auto", "tom"))
    assert source.classes == ("auto", "tom")
    whole = GanSource(gan)
    assert torch.equal(source.sample_class(labels(0, 1), rng()), whole.sample_class(labels(2, 0), rng()))
    assert not torch.equal(source.sample_class(labels(0, 1), rng()), whole.sample_class(labels(0, 2), rng()))


def test_a_gan_without_classes_is_one_class(tiny):
    assert GanSource(tiny()).classes == ("image",)
    assert GanSource(tiny(), names=("cat",)).classes == ("cat",)
    assert GanSource(tiny(), names=("cat",)).sample_class(labels(0, 0), rng()).shape == (2, 3, 8, 8)


def test_a_gan_source_resizes_when_asked(tiny):
    source = GanSource(tiny(), resolution=16)
    assert source.resolution == 16 and source.sample_class(labels(0), rng()).shape == (1, 3, 16, 16)


@pytest.mark.parametrize(
    "picks, names, message",
    [(("bird",), (), "Unknown class 'bird'"), (("cat",), ("a", "b"), "2 names"), ((), ("a",), "1 names")],
)
def test_picks_and_names_that_do_not_fit_are_refused(tiny, picks, names, message):
    with pytest.raises(CocktailError, match=message):
        GanSource(tiny(("cat", "dog")), picks, names)


def test_picks_of_a_gan_without_classes_are_refused(tiny):
    with pytest.raises(CocktailError, match="without classes"):
        GanSource(tiny(), ("cat",))


def test_labels_of_a_mixture_reach_the_right_class_of_the_right_source():
    mixture = MixtureSource([Flat(("a",), 0.1), Flat(("b", "c"), 0.3), Flat(("d",), 0.5)])
    assert mixture.classes == ("a", "b", "c", "d")
    drawn = mixture.sample_class(labels(3, 1, 0, 2, 1, 3), rng())
    assert torch.allclose(drawn[:, 0, 0, 0], torch.tensor([0.5, 0.3, 0.1, 0.31, 0.3, 0.5]))
    assert torch.equal(mixture.sample_class(labels(2, 2), rng())[:, 0, 0, 0], torch.tensor([0.31, 0.31]))


def test_a_mixture_holds_pictures_of_a_folder_beside_those_of_a_model(tiny, tmp_path):
    folder = FolderSource(write(tmp_path / "fox", {"a.png": encoded(flat(RED))}), 8)
    mixture = MixtureSource([GanSource(tiny(), names=("cat",)), folder])
    assert mixture.classes == ("cat", "fox")
    drawn = mixture.sample_class(labels(1, 0, 1), rng())
    assert drawn[[0, 2]].mean(dim=(2, 3)).tolist() == [[1, -1, -1]] * 2 and drawn[1].std() > 0.01
    part = mixture.sample_class(labels(1, 0, 1), rng(), torch.tensor([2, 1]))
    assert torch.equal(part[0], drawn[2]) and torch.allclose(part[1], drawn[1], atol=1e-5)


def test_a_mixture_of_one_name_twice_or_of_two_sizes_is_refused():
    with pytest.raises(CocktailError, match="class names must differ, found a, b, a"):
        MixtureSource([Flat(("a", "b"), 0), Flat(("a",), 0)])
    with pytest.raises(CocktailError, match=r"sources of \[8, 16\] px"):
        MixtureSource([Flat(("a",), 0), Flat(("b",), 0, 16)])


# --- drawn domains


def test_a_domain_source_gives_drawings_of_the_class_that_was_asked_for():
    source = DomainSource(("cat", "car"), 16, pool=8, seed=3)
    for index, name in enumerate(("cat", "car")):
        drawings = to_uint8(domains.get(name).draw(8, rng(3), 16)[0])
        given = to_uint8(source.sample_class(torch.full((20,), index), rng()))
        assert all((drawings == picture).flatten(1).all(dim=1).any() for picture in given)
        assert len({picture.numpy().tobytes() for picture in given}) > 4


def test_every_drawing_of_a_pair_belongs_to_its_latent():
    source = DomainSource(("cat", "dog"), 16, pool=8, z_dim=12)
    images, z = source.sample_pairs(torch.arange(60) % 2, rng())
    latent_of = {}
    for picture, latent in zip(images, z):
        known = latent_of.setdefault(picture.numpy().tobytes(), latent)
        assert torch.equal(known, latent)
    assert len(latent_of) == len({tuple(latent.tolist()) for latent in z}) > 10
    assert torch.equal(source.sample_class(torch.arange(60) % 2, rng()), images)


def test_contrasts_leave_the_pairs_as_they_are_and_change_one_named_factor():
    plain = DomainSource(("face",), 32, pool=64, seed=2, z_dim=64)
    source = DomainSource(("face",), 32, pool=64, seed=2, z_dim=64, contrasts=("smile",))
    labels = torch.zeros(40, dtype=torch.long)
    images, z = source.sample_contrasts(labels, labels, rng())
    first, codes = plain.sample_pairs(labels, rng())
    assert torch.equal(images[:40], first) and torch.equal(z[:40], codes)
    changed = (images[40:] - images[:40]).abs().amax(dim=1).amax(dim=0) > 0.02
    rows, columns = changed.nonzero(as_tuple=True)
    assert changed.any() and rows.min() > 9, "a smile changes nothing above the eyes"
    assert (z[40:] != z[:40]).any(dim=1).all()
    assert (z.norm(dim=1) - 8).abs().max() < 1e-4


def test_a_contrast_of_an_unknown_factor_is_refused():
    with pytest.raises(CocktailError, match="car has no factor 'glasses'"):
        DomainSource(("car",), 16, pool=4, z_dim=16, contrasts=("glasses",))


@pytest.mark.parametrize("factor", ["glasses", "hair"])
def test_one_changed_changes_nothing_else(factor):
    domain, factors = factors_of("face", 200)
    other = domains.one_changed(domain, factors, (factor,), rng(5))
    assert all(torch.equal(other[name], factors[name]) for name in factors if name != factor)
    assert (other[factor] != factors[factor]).float().mean() > 0.99


def factors_of(name, n, seed=0):
    return domains.get(name), domains.get(name).sample(n, rng(seed))


@pytest.mark.parametrize("name", domains.names())
def test_latents_of_factors_are_normal_and_of_one_length(name):
    z = factors_to_latents(*factors_of(name, 20_000), z_dim=64, rng=rng(1))
    assert z.shape == (20_000, 64) and z.dtype == torch.float32
    assert z.mean(dim=0).abs().max() < 0.04
    assert (torch.cov(z.T) - torch.eye(64)).abs().max() < 0.05
    assert (z**4).mean(dim=0).sub(3).abs().max() < 0.3  # no tails, no lumps
    assert z.norm(dim=1).sub(8).abs().max() < 1e-4  # so a mapping network, which divides by it, loses nothing


def test_latents_depend_on_factors_and_seed_alone():
    domain, factors = factors_of("dog", 50)
    a, b, c = (factors_to_latents(domain, factors, 16, rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(a, b) and not torch.allclose(a, c)


def test_factors_can_be_read_from_the_latents_in_their_order():
    """A linear map undoes the rotation; what comes out rises with the factor, and has a binary factor's sign."""
    domain, factors = factors_of("face", 3000)
    z = factors_to_latents(domain, factors, 16, rng(1))
    for name in domain.factors:
        low, high = domain.ranges[name]
        unit = ((factors[name] - low) / (high - low)).clamp(1e-4, 1 - 1e-4)
        wanted = factors[name] * 2 - 1 if name in domain.binary else torch.special.ndtri(unit)
        found = z @ torch.linalg.lstsq(z, wanted[:, None]).solution[:, 0]
        if name in domain.binary:
            assert ((found > 0) == (factors[name] > 0.5)).float().mean() > 0.9
        else:
            order = factors[name].argsort()
            assert (found[order].diff() > -1e-3).all()


def test_a_latent_too_small_for_the_factors_is_refused():
    for z_dim in (4, 11):
        with pytest.raises(CocktailError, match=f"z_dim is {z_dim}; face has 11 factors"):
            factors_to_latents(*factors_of("face", 5), z_dim=z_dim, rng=rng())


# --- folders and zips


def encoded(image, kind="png", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def flat(colour, mode="RGB", size=(20, 20)):
    return Image.new(mode, size, colour)


def write(folder, files):
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def write_zip(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def pixels(source):
    """The colour of each picture of a folder source, in its order."""
    return source.pools[0][:, :, 4, 4].tolist()


def test_a_zip_that_asks_for_a_version_nobody_has_is_called_broken(tmp_path):
    path = write_zip(tmp_path / "pets.zip", {"a.png": b"x" * 100})
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 6] = 200  # version needed to extract
    path.write_bytes(bytes(data))
    with pytest.raises(CocktailError, match="pets.zip"):
        FolderSource(path, 8)


def test_folder_and_zip_give_the_same_pictures_in_the_order_of_their_names(tmp_path):
    files = {"b/x.png": encoded(flat(GREEN)), "a.jpg": encoded(flat(BLUE), "jpeg", quality=100),
             "notes.txt": b"no picture", "c.WEBP": encoded(flat(RED), "webp", lossless=True)}  # fmt: skip
    folder = FolderSource(write(tmp_path / "pets", files), 8)
    zipped = FolderSource(write_zip(tmp_path / "pets.zip", files), 8)
    assert folder.classes == zipped.classes == ("pets",) and folder.resolution == 8
    assert pixels(folder)[1:] == [[0, 255, 0], [255, 0, 0]] and pixels(folder)[0][2] > 250
    assert torch.equal(folder.pools[0], zipped.pools[0])
    images = zipped.sample_class(torch.zeros(5, dtype=torch.int64), rng())
    assert images.shape == (5, 3, 8, 8) and images.abs().max() <= 1
    assert FolderSource(tmp_path / "pets", 8, name="cat").classes == ("cat",)


def test_a_picture_is_cut_to_its_centre_square(tmp_path):
    wide = flat(GREEN, size=(60, 20))
    wide.paste(RED, (0, 0, 20, 20))
    wide.paste(RED, (40, 0, 60, 20))
    source = FolderSource(write(tmp_path / "a", {"wide.png": encoded(wide)}), 8)
    assert source.pools[0].shape == (1, 3, 8, 8) and (source.pools[0][0, 1] > 200).all()


def test_sixteen_bit_grey_keeps_its_grey(tmp_path):
    grey = Image.fromarray(np.full((20, 20), 128 * 257, dtype=np.uint16))
    source = FolderSource(write(tmp_path / "a", {"grey.png": encoded(grey)}), 8)
    assert pixels(source) == [[128, 128, 128]]


def test_cmyk_transparent_and_palette_pictures_are_readable(tmp_path):
    palette = flat(BLUE).convert("P", palette=Image.Palette.ADAPTIVE)
    files = {
        "1.jpg": encoded(Image.new("CMYK", (20, 20), (0, 255, 255, 0)), "jpeg", quality=100),
        "2.png": encoded(flat((*RED, 0), "RGBA")),  # invisible, so what lies under it shows: white
        "3.png": encoded(flat((*GREEN, 255), "RGBA")),
        "4.png": encoded(palette),
        "5.png": encoded(flat(128, "L")),
        "6.png": encoded(flat((40, 255), "LA")),
    }
    found = pixels(FolderSource(write(tmp_path / "a", files), 8))
    assert found[0][0] > 240 and max(found[0][1:]) < 15
    assert found[1:] == [[255] * 3, [0, 255, 0], [0, 0, 255], [128] * 3, [40] * 3]


def test_a_photo_is_turned_upright(tmp_path):
    photo = flat(RED)
    photo.paste(GREEN, (0, 0, 20, 10))  # stored with green on top; orientation 3 turns it by half
    exif = Image.Exif()
    exif[0x0112] = 3
    source = FolderSource(write(tmp_path / "a", {"photo.png": encoded(photo, exif=exif)}), 8)
    assert source.pools[0][0, :, 0, 4].tolist() == [255, 0, 0] and source.pools[0][0, :, 7, 4].tolist() == [0, 255, 0]


def test_what_macos_leaves_beside_pictures_is_skipped(tmp_path):
    files = {"a.png": encoded(flat(RED)), "__MACOSX/._a.png": b"resource fork", ".hidden.png": b"x"}
    assert pixels(FolderSource(write(tmp_path / "a", files), 8)) == [[255, 0, 0]]
    assert pixels(FolderSource(write_zip(tmp_path / "a.zip", files), 8)) == [[255, 0, 0]]


WHOLE = encoded(Image.fromarray(np.random.RandomState(0).randint(0, 255, (40, 40, 3), dtype=np.uint8)))
BROKEN = {
    "no picture at all": b"these are words",
    "empty": b"",
    "cut off": WHOLE[: len(WHOLE) // 2],
    "damaged inside": WHOLE[:200] + bytes(100) + WHOLE[300:],
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_a_broken_picture_is_named(tmp_path, data, packed):
    files = {"good.png": WHOLE, "inner/broken.png": data}
    path = write_zip(tmp_path / "a.zip", files) if packed else write(tmp_path / "a", files)
    with pytest.raises(CocktailError, match=r"inner/broken\.png is not a readable picture.*[Rr]emove"):
        FolderSource(path, 8)


def test_a_zip_that_is_damaged_inside_names_the_picture(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"a.png": bytes(2000) + WHOLE, "b.png": WHOLE})
    data = bytearray(path.read_bytes())
    data[60:80] = b"\xff" * 20
    path.write_bytes(data)
    with pytest.raises(CocktailError, match=r"a\.png cannot be unpacked"):
        FolderSource(path, 8)


def test_a_zip_whose_directory_is_damaged_is_refused(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"a.png": WHOLE})
    data = bytearray(path.read_bytes())
    data[data.rfind(b"PK\x01\x02")] = 0
    path.write_bytes(data)
    with pytest.raises(CocktailError, match=r"a\.zip is a broken zip"):
        FolderSource(path, 8)


@pytest.mark.parametrize("kind", ["empty folder", "no pictures", "missing", "a file", "empty zip"])
def test_a_place_without_pictures_is_refused_by_name(tmp_path, kind):
    path = tmp_path / "place"
    if kind in ("empty folder", "no pictures"):
        path.mkdir()
    if kind == "no pictures":
        write(path, {"a.txt": b"words", "b.gif": b"not read"})
    if kind == "a file":
        path.write_bytes(b"words")
    if kind == "empty zip":
        path = write_zip(tmp_path / "place.zip", {})
    with pytest.raises(CocktailError, match="place.*(no pictures found|expected a folder or zip)"):
        FolderSource(path, 8)


def test_an_oversized_picture_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 9000, 9000, 8, 2, 0, 0, 0))
    huge = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    with pytest.raises(CocktailError, match=r"huge\.png: 9000x9000 pixels; at most 50 megapixels"):
        FolderSource(write(tmp_path / "a", {"huge.png": huge}), 8)
    bomb = huge.replace(header, chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)))
    with pytest.raises(CocktailError, match=r"bomb\.png is not a readable picture"):
        FolderSource(write(tmp_path / "b", {"bomb.png": bomb}), 8)
    monkeypatch.setattr(pictures, "MAX_BYTES", 100)
    with pytest.raises(CocktailError, match=r"a\.png has [\d,]+ bytes; at most 100"):
        FolderSource(write_zip(tmp_path / "a.zip", {"a.png": WHOLE}), 8)


def test_the_folder_here_has_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(write(tmp_path / "cats", {"a.png": WHOLE}))
    assert FolderSource(Path("."), 8).classes == ("cats",)


def test_pictures_are_recognised_by_the_names_in_a_folder_or_zip(tmp_path):
    inside, other = {"deep/er/a.JPG": WHOLE}, {"a.txt": b"words", ".a.png": WHOLE}
    assert pictures.is_pictures(write(tmp_path / "yes", inside))
    assert pictures.is_pictures(write_zip(tmp_path / "yes.zip", inside))
    assert not pictures.is_pictures(write(tmp_path / "no", other))
    assert not pictures.is_pictures(write_zip(tmp_path / "no.zip", other))
    assert not pictures.is_pictures(tmp_path / "yes" / "deep" / "er" / "a.JPG")
    assert not pictures.is_pictures(tmp_path / "nowhere")


def test_the_search_for_a_first_picture_ends(tmp_path, monkeypatch):
    folder = write(tmp_path / "a", {f"{i}.txt": b"" for i in range(9)})
    monkeypatch.setattr(Path, "rglob", lambda self, _: iter([*self.iterdir(), self / "late.png"]))
    assert pictures.is_pictures(folder)
    monkeypatch.setattr(pictures, "LOOKED_AT", 9)
    assert not pictures.is_pictures(folder)


def test_a_survey_counts_pictures_and_finds_the_one_with_the_shortest_side(tmp_path):
    sizes = [(40, 30), (90, 12), (12, 50), (33, 33)]
    files = {f"{i}.png": encoded(flat(RED, size=size)) for i, size in enumerate(sizes)}
    for path in (write(tmp_path / "a", files), write_zip(tmp_path / "a.zip", files)):
        assert pictures.survey(path) == pictures.Survey(4, (12, 50))
    assert pictures.survey(write(tmp_path / "b", {"a.txt": b""})) == pictures.Survey(0, (0, 0))


def test_a_survey_names_what_has_no_readable_header(tmp_path):
    with pytest.raises(CocktailError, match=r"bad\.png is not a readable picture"):
        pictures.survey(write(tmp_path / "a", {"good.png": WHOLE, "bad.png": b"words"}))


def test_the_fingerprint_of_pictures_changes_with_names_bytes_and_number_only(tmp_path):
    files = {"a.png": WHOLE, "deep/b.png": WHOLE[:-1]}
    folder = write(tmp_path / "a", files)
    before = pictures.fingerprint(folder)
    assert len(before) == 64 and before == pictures.fingerprint(write_zip(tmp_path / "a.zip", files))
    (folder / "notes.txt").write_text("other files do not count")
    (folder / "a.png").touch()
    assert pictures.fingerprint(folder) == before
    others = [files | {"a.png": WHOLE[:-1]}, {"c.png": WHOLE, "deep/b.png": WHOLE[:-1]}, {"a.png": WHOLE},
              files | {"c.png": b""}, {"a.png": WHOLE + WHOLE[:-1]}]  # fmt: skip
    found = {pictures.fingerprint(write(tmp_path / f"other {i}", other)) for i, other in enumerate(others)}
    assert len(found | {before}) == len(others) + 1


def test_a_picture_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    folder = write(tmp_path / "a", {"a.png": WHOLE})
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(CocktailError, match=r"a\.png cannot be read \(Permission denied\)"):
        FolderSource(folder, 8)
