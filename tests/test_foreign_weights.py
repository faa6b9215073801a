"""Inception features and LPIPS: what is said without the package or weights, and that nothing is read that is unsafe.

torch-fidelity itself is stood in for: a module of its name whose networks do as its own promise.
"""

import importlib.machinery
import sys
import types

import pytest
import torch

from cocktail.errors import CocktailError
from cocktail.metrics import InceptionFeatures, Lpips, inception, lpips


class Network(torch.nn.Module):
    """Takes weights "scale" [1], as torch-fidelity's networks load theirs."""

    def load(self, path):
        self.scale = torch.nn.Parameter(torch.zeros(1))
        self.load_state_dict(torch.load(path, weights_only=False))


class FeatureExtractorInceptionV3(Network):
    def __init__(self, name, features_list, feature_extractor_weights_path):
        super().__init__()
        assert features_list == ["2048"]
        self.load(feature_extractor_weights_path)

    def forward(self, img):
        assert img.dtype == torch.uint8
        return (img.double().mean(dim=(1, 2, 3), keepdim=True)[:, :, 0, 0].expand(-1, 2048) * self.scale,)


class SampleSimilarityLPIPS(Network):
    def __init__(self, name):
        super().__init__()
        self.load(inception.weights_file().parent / "weights-vgg16-lpips.pth")

    def forward(self, first, second):
        assert 0 <= first.min() and first.max() <= 255 and first.max() > 2
        return (first - second).abs().mean(dim=(1, 2, 3), keepdim=True) * self.scale


@pytest.fixture
def package(monkeypatch):
    """torch-fidelity and torchvision, as far as they are used."""
    for name in ("torch_fidelity", "torchvision"):
        module = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        module.FeatureExtractorInceptionV3, module.SampleSimilarityLPIPS = (
            FeatureExtractorInceptionV3,
            SampleSimilarityLPIPS,
        )
        monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """PyTorch's folder of weights, empty."""
    monkeypatch.delenv("COCKTAIL_INCEPTION", raising=False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


def stored(path):
    torch.save({"scale": torch.tensor([0.5])}, path)
    return path


def test_without_the_package_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    for kind in (InceptionFeatures, Lpips):
        with pytest.raises(CocktailError, match="pip install torch-fidelity"):
            kind()


def test_a_package_that_cannot_be_imported_is_told_apart_from_one_that_is_not_there(monkeypatch):
    def broken(name):
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr("importlib.import_module", broken)
    assert "cannot be imported (operator torchvision::nms" in inception.missing() and "torchvision" in lpips.missing()


def test_without_the_weights_it_is_said_where_they_go(package, folder):
    with pytest.raises(CocktailError) as refused:
        InceptionFeatures()
    text = str(refused.value)
    assert str(folder / inception.FILE) in text and "COCKTAIL_INCEPTION" in text and "torch-fidelity on GitHub" in text
    with pytest.raises(CocktailError) as refused:
        Lpips()
    assert all(str(folder / name) in str(refused.value) for name in lpips.FILES)
    stored(folder / "vgg16-397923af.pth")
    assert "vgg16-397923af.pth" not in lpips.missing() and "weights-vgg16-lpips.pth" in lpips.missing()


def test_inception_features_are_those_of_the_network(package, folder):
    stored(folder / inception.FILE)
    extractor, img = InceptionFeatures(), torch.arange(70, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 8, 8)
    found = extractor(img)
    assert found.shape == (70, extractor.dim) and found.dtype == torch.float32
    assert torch.equal(found[:, 0], torch.arange(70) / 2), "in batches, in order"
    assert extractor(img[:0]).shape == (0, 2048)
    for wrong in (img.float(), img[:, :1], img[0]):
        with pytest.raises(CocktailError, match="Inception takes uint8"):
            extractor(wrong)


def test_the_weights_may_lie_where_a_variable_says(package, tmp_path, monkeypatch):
    monkeypatch.setenv("COCKTAIL_INCEPTION", str(tmp_path / "mine.pth"))
    assert "mine.pth" in inception.missing()
    stored(tmp_path / "mine.pth")
    assert inception.missing() is None and InceptionFeatures().dim == 2048


class Evil:
    def __reduce__(self):
        return (exec, ("raise SystemError('executed')",))


@pytest.mark.parametrize("content", ["evil", "junk", "others", "cut"])
def test_files_that_hold_anything_but_these_weights_are_refused_unread(package, folder, content):
    names = (inception.FILE, *lpips.FILES)
    for name in names:
        path = stored(folder / name)
        if content == "evil":
            torch.save({"scale": Evil()}, path)
        elif content == "others":
            torch.save({"weight": torch.zeros(3)}, path)
        else:
            path.write_bytes(b"junk" if content == "junk" else path.read_bytes()[:300])
    message = "other weights" if content == "others" else "is damaged or holds more than weights"
    for kind in (InceptionFeatures, Lpips):
        with pytest.raises(CocktailError, match=message):
            kind()


def test_lpips_compares_pairs_in_the_range_that_the_package_takes(package, folder):
    for name in lpips.FILES:
        stored(folder / name)
    distance = Lpips()
    first = torch.linspace(-1, 1, 4)[:, None, None, None].expand(-1, 3, 16, 16)
    found = distance(first, torch.ones_like(first))
    assert found.dtype == torch.float32
    assert found.tolist() == pytest.approx([255 / 2, 255 / 3, 255 / 6, 0], abs=1e-3)
    assert distance.name.startswith("LPIPS")
    for other in (first[:2], first[:, :1]):
        with pytest.raises(CocktailError, match="LPIPS compares two of one shape"):
            distance(first, other)
    with pytest.raises(CocktailError, match="sides of 16 px or more"):
        distance(first[..., :8, :8], first[..., :8, :8])
