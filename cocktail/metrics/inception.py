"""The standard Inception features, of which "FID" and "KID" of papers are distances, where the user has the weights."""

import os
from pathlib import Path

import torch
from torch import Tensor

from cocktail.errors import CocktailError
from cocktail.metrics import weight_files

FILE = "weights-inception-2015-12-05-6726825d.pth"
ORIGIN = "release v0.2.0 of toshas/torch-fidelity on GitHub"
VARIABLE = "COCKTAIL_INCEPTION"
BATCH = 32


def weights_file() -> Path:
    """What COCKTAIL_INCEPTION names, else the file in PyTorch's folder of weights, where torch-fidelity puts it."""
    return Path(os.environ[VARIABLE]).expanduser() if os.environ.get(VARIABLE) else weight_files.hub_folder() / FILE


def missing() -> str | None:
    """What stands in the way of Inception features, in a sentence, or None."""
    return weight_files.missing({weights_file(): f"{FILE} of {ORIGIN}; {VARIABLE} may name another place"})


class InceptionFeatures:
    """The 2048 features of the last pooling of TensorFlow's Inception of 2015, through torch-fidelity, which resizes
    pictures to 299 px as the original does: float32 [N, 2048], on the CPU. Scores compare with those of papers only at
    their number of pictures (50000, mostly) and their size.

    Raises: CocktailError where the package or the weights are missing, or the file is broken.
    """

    name, dim = "Inception (torch-fidelity)", 2048

    def __init__(self, device: torch.device | str = "cpu"):
        if (reason := missing()) is not None:
            raise CocktailError(f"Inception features: {reason}")
        path = weights_file()
        weight_files.check_plain(path)
        from torch_fidelity import FeatureExtractorInceptionV3

        try:
            network = FeatureExtractorInceptionV3(
                "inception-v3-compat", [str(self.dim)], feature_extractor_weights_path=str(path)
            )
        except (RuntimeError, KeyError, TypeError, AttributeError) as error:  # of load_state_dict
            raise CocktailError(f"{path} holds other weights than {FILE} of {ORIGIN}; download it anew") from error
        self._network, self._device = network.to(device), device

    @torch.inference_mode()
    def __call__(self, img: Tensor) -> Tensor:
        """Raises: CocktailError where the pictures are not uint8 [N, 3, H, W]."""
        if img.dtype != torch.uint8 or img.ndim != 4 or img.shape[1] != 3:
            raise CocktailError(f"pictures are {img.dtype} {list(img.shape)}; Inception takes uint8 [N, 3, H, W]")
        found = [self._network(part.to(self._device))[0].float().cpu() for part in img.split(BATCH)]
        return torch.cat(found) if found else torch.zeros(0, self.dim)
