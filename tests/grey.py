"""Models whose pictures are known: one grey each, of a brightness that is normal by construction."""

import torch
from torch import nn

from cocktail.gan import Gan


class Grey(nn.Module):
    """Draws grey pictures of brightness centre + deviation x z[0]; the class, if there are any, changes nothing."""

    def __init__(self, centre, deviation, classes, resolution):
        super().__init__()
        self.value = nn.Parameter(torch.tensor([float(centre), float(deviation)]))
        self.z_dim = self.w_dim = 4
        self.num_ws, self.c_dim, self.resolution, self.config = 1, len(classes), resolution, None

    def map(self, z, c, truncation=1.0, cutoff=None):
        return z[:, None]

    def synthesize(self, ws, noise_mode="const", rng=None):
        brightness = self.value[0] + self.value[1] * ws[:, 0, 0]
        return brightness[:, None, None, None].expand(-1, 3, self.resolution, self.resolution)


def grey(centre, deviation, classes=(), discriminator=None, resolution=8):
    return Gan(Grey(centre, deviation, classes, resolution), discriminator, classes)
