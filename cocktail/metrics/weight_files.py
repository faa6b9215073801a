"""Files of weights of others: where the user keeps them, whether they are there, and whether they are safe to read.

Nothing is downloaded and none is included: Inception and VGG weights are their authors'.
"""

import importlib
import pickle
import struct
from pathlib import Path

import torch

from cocktail.errors import CocktailError

PACKAGE = "torch_fidelity"
INSTALL = "pip install torch-fidelity"
# What torch.load raises for a file that is cut, no pickle, or not only tensors.
UNREADABLE = (OSError, RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, AssertionError,
              struct.error, pickle.UnpicklingError)  # fmt: skip


def hub_folder() -> Path:
    """Where PyTorch keeps weights, and torch-fidelity looks for them: TORCH_HOME moves it."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def missing(files: dict[Path, str]) -> str | None:
    """What stands in the way of weights of others, in a sentence, or None: the package, or a file, each with its
    origin."""
    try:
        importlib.import_module(PACKAGE)
    except ModuleNotFoundError as error:
        return f"the package {error.name} is not installed: {INSTALL}"
    except (ImportError, RuntimeError, AttributeError, OSError) as error:  # a torchvision made for another torch
        return f"torch-fidelity cannot be imported ({error}); install the torchvision that fits this torch"
    absent = [f"{path} ({origin})" for path, origin in files.items() if not path.is_file()]
    return f"weights are missing; put them there: {' and '.join(absent)}" if absent else None


def check_plain(path: Path) -> None:
    """Refuses a file of weights that holds anything but tensors: torch-fidelity reads its files without restriction.

    Raises: CocktailError with what is the matter.
    """
    try:
        torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise CocktailError(
            f"{path} is damaged or holds more than weights ({type(error).__name__}); download it anew"
        ) from error
