"""Folders of drawn pictures, for what learns from pictures instead of a model."""

import torch

from cocktail import domains
from cocktail.images import to_pil


def drawn(folder, count=12, size=16, name="dog"):
    """Fills a folder with PNG pictures of a drawn domain and returns it."""
    folder.mkdir(parents=True)
    images, _ = domains.get(name).draw(count, torch.Generator().manual_seed(0), size)
    for number, picture in enumerate(to_pil(images)):
        picture.save(folder / f"{number}.png")
    return folder
