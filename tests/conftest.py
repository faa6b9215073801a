"""Tiny networks and threads for the tests of training, merging and runs."""

import pytest
import torch

from cocktail.gan import Gan, new_gan

NETWORKS = {
    "stylegan2": ({"z_dim": 8, "w_dim": 8, "mapping_layers": 2, "mapping_lr_multiplier": 0.1}, {"mapping_layers": 2}),
    "custom": ({"z_dim": 8, "embed_dim": 8}, {}),
}


@pytest.fixture(scope="session")
def tiny():
    """make(classes, seed, resolution, architecture, discriminator=False, **generator fields) -> a Gan that draws in
    milliseconds. Biases and noise strengths are as after training: at their initial zeros they could hide a mistake."""

    def make(classes=(), seed=0, resolution=8, architecture="stylegan2", discriminator=True, **fields) -> Gan:
        generator, judge = NETWORKS[architecture]
        sizes = {"channels": (8,) * (resolution.bit_length() - 2)}
        if architecture == "stylegan2":
            sizes["img_resolution"] = resolution
        gan = new_gan(architecture, generator | sizes | fields, judge | sizes, classes, seed)
        rng = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, value in gan.generator.state_dict().items():
                if name.endswith((".bias", "noise_strength", "w_avg", "class_w")):
                    value += 0.3 * torch.randn(value.shape, generator=rng)
        gan.generator.eval()
        return gan if discriminator else Gan(gan.generator, None, gan.classes)

    return make


@pytest.fixture(autouse=True)
def _threads():
    """Runs set torch's thread count; a test must not leave it to the next one."""
    threads = torch.get_num_threads()
    yield
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
