"""What the benchmarks that train share: the settings of a source's training, and a progress bar."""

from collections.abc import Iterator
from dataclasses import replace

from tqdm import tqdm

from cocktail.gan import Gan
from cocktail.methods.presets import SMALL
from cocktail.training import Progress

SOURCE = replace(SMALL, total_kimg=40.0, lr=0.001, ema_kimg=0.5, lr_decay=0.5, anchor_weight=10.0)


def follow(steps: Iterator[Progress], name: str) -> Gan:
    """Runs steps to their end under a progress bar and gives what they return."""
    with tqdm(desc=name, unit="img", mininterval=10) as bar:
        while True:
            try:
                progress = next(steps)
            except StopIteration as finished:
                return finished.value
            bar.set_description(f"{name} {progress.stage}", refresh=False)
            bar.total = progress.total_images
            bar.update(progress.images - bar.n)
