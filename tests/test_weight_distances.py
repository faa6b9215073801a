"""Distances of weights, tensor by tensor and layer by layer."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cocktail.errors import CocktailError
from cocktail.gan import distances_by_layer, weight_distance, weight_distances


def test_every_tensor_has_its_distance_and_the_mean_is_that_of_the_models(tiny):
    a, b = tiny(seed=1, resolution=16), tiny(seed=2, resolution=16)
    found = weight_distances(a, b)
    names = dict(a.generator.named_parameters())
    assert list(found) == list(names)
    other = dict(b.generator.named_parameters())
    for name, value in found.items():
        expected = np.linalg.norm((names[name] - other[name]).detach().double().numpy())
        assert value == pytest.approx(expected, rel=1e-6), name
    assert weight_distance(a, b) == pytest.approx(np.mean(list(found.values())), rel=1e-12)
    assert set(weight_distances(a, replace(a, discriminator=None)).values()) == {0}


def test_tensors_are_grouped_by_the_layer_that_they_belong_to(tiny):
    names = [name for name, _ in tiny(resolution=8, classes=("cat", "dog")).generator.named_parameters()]
    layers = distances_by_layer(dict.fromkeys(names, 1.0))
    assert set(layers) == {
        "b4.const", "b4.conv1", "b4.torgb", "b8.conv0", "b8.conv1", "b8.torgb",
        "mapping.embed", "mapping.fc0", "mapping.fc1",
    }  # fmt: skip
    found = distances_by_layer({"synthesis.b8.conv0.weight": 1.0, "synthesis.b8.conv0.affine.bias": 3.0, "embed": 5.0})
    assert found == {"b8.conv0": 2.0, "embed": 5.0}


@pytest.mark.parametrize("architecture", ["stylegan2", "custom"])
def test_only_the_layer_that_was_changed_has_moved(tiny, architecture):
    a = tiny(architecture=architecture)
    b = a.copy()
    name, value = next(iter(b.generator.named_parameters()))
    with torch.no_grad():
        value += 1
    moved = {layer: gap for layer, gap in distances_by_layer(weight_distances(a, b)).items() if gap}
    assert len(moved) == 1 and weight_distances(a, b)[name] == pytest.approx(value.numel() ** 0.5, rel=1e-5)


def test_generators_of_other_shapes_have_no_distance(tiny):
    with pytest.raises(CocktailError, match="generators to compare differ"):
        weight_distances(tiny(), tiny(resolution=16))
