"""Where the studio runs as a Hugging Face Space: its model, its hardware, and how to have one of one's own.

On ZeroGPU the page's process has no GPU: a function decorated with `spaces.GPU` gets one for some seconds, in a process
of its own, and what goes in and out is pickled. The GPU's minutes are few, so only large pictures are drawn there.
"""

import html
import importlib.util
import logging
import os
from collections.abc import Callable
from pathlib import Path

import gradio as gr
import numpy as np
import torch
from torch import Tensor

from cocktail import checkpoints
from cocktail.checkpoints import native
from cocktail.gan import Gan
from editing.latents import draw
from editing.recipes import Recipe

SPACE, ZERO, MODEL = "SPACE_ID", "SPACES_ZERO_GPU", "COCKTAIL_MODEL"
ROOT = Path(__file__).parents[1]
GPU_SEC = 15  # what one picture may take, the loading of the model included
WORTH_A_GPU = 512  # pixels; smaller pictures are drawn sooner on the CPU than a GPU is had
LOG = logging.getLogger("studio")
_RESIDENT: dict[tuple[str, str], Gan] = {}  # in the process that has the GPU: the model that it drew last


def on_zero() -> bool:
    """Whether this Space runs on ZeroGPU."""
    return os.environ.get(ZERO, "").lower() in ("1", "t", "true")


def model() -> str | None:
    """The model to open first where the command line names none.

    COCKTAIL_MODEL (a variable of the Space), else the one that the Space was built around, in model/; None elsewhere.
    """
    named = os.environ.get(MODEL)
    if named:
        return named
    found = sorted(path for path in (ROOT / "model").glob("*") if native.is_folder(path))
    if not found:
        return None
    return str(found[0].relative_to(ROOT)) if Path.cwd() == ROOT else str(found[0])


def duplicate() -> str:
    """A sentence with a link, as HTML, for those who want to merge: a Space of their own; "" where this is none."""
    name = os.environ.get(SPACE)
    if not name:
        return ""
    link = f"https://huggingface.co/spaces/{html.escape(name, quote=True)}?duplicate=true"
    return (
        f'To merge and train, <a href="{link}" target="_blank" rel="noopener">duplicate this Space</a>: you are '
        "the owner of yours. Give it a CPU or a GPU of its own; on ZeroGPU merging stays off."
    )


def picture(gan: Gan, recipe: Recipe, ref: str, fingerprint: str) -> Tensor:
    """The one picture of a recipe, uint8 [1, 3, H, W] on the CPU; a large one by the GPU of ZeroGPU where there is one.

    Where its minutes are used up the CPU draws.
    """
    if _DRAW is not None and gan.resolution >= WORTH_A_GPU:
        try:
            return torch.from_numpy(_DRAW(ref, fingerprint, recipe))
        except (gr.Error, RuntimeError) as error:  # no GPU free, or the visitor's minutes are used up
            LOG.warning("drawn on the CPU: %s", error)
    (found,) = draw(gan, recipe)
    return found


def _draw_there(ref: str, fingerprint: str, recipe: Recipe) -> np.ndarray:
    """In the process that has the GPU: uint8 [1, 3, H, W]. The model is read from disk once per process."""
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.set_num_threads(1)  # this process was forked: it has none of the threads that its parent computed with
    if (ref, fingerprint) not in _RESIDENT:
        _RESIDENT.clear()
        _RESIDENT[ref, fingerprint] = checkpoints.load(ref).to("cuda" if on_gpu else "cpu")
    (found,) = draw(_RESIDENT[ref, fingerprint], recipe)
    return found.numpy()


def _decorated() -> Callable[[str, str, Recipe], np.ndarray] | None:
    """`_draw_there` with a GPU lent to it; None where this is no ZeroGPU Space, or `spaces` is not installed."""
    if not on_zero() or importlib.util.find_spec("spaces") is None:
        return None
    import spaces

    return spaces.GPU(duration=GPU_SEC)(_draw_there)


_DRAW = _decorated()  # while the app starts: ZeroGPU looks for decorated functions then
