"""LPIPS as published, where the user has its weights; elsewhere `perceptual` compares, under a name of its own."""

import torch
from torch import Tensor

from cocktail.errors import CocktailError
from cocktail.metrics import weight_files

FILES = {
    "weights-vgg16-lpips.pth": "release v0.2.0 of toshas/torch-fidelity on GitHub",
    "vgg16-397923af.pth": "torchvision's VGG16, IMAGENET1K_V1",
}
LEAST = 16  # px: VGG16 halves the picture four times before its last maps


def missing() -> str | None:
    """What stands in the way of LPIPS, in a sentence, or None: torch-fidelity, or a file of PyTorch's folder of
    weights (TORCH_HOME moves it), where torch-fidelity looks for them."""
    return weight_files.missing({weight_files.hub_folder() / name: origin for name, origin in FILES.items()})


class Lpips:
    """Distance of pictures float32 [N, 3, R, R] in [-1, 1], pair by pair: float32 [N], >= 0 (Zhang et al., CVPR 2018;
    VGG16 with learned channel weights, version 0.1, through torch-fidelity). Pictures are compared at their own size.

    Raises: CocktailError where the package or weights are missing, or a file is broken.
    """

    name = "LPIPS (VGG16, torch-fidelity)"

    def __init__(self, device: torch.device | str = "cpu"):
        if (reason := missing()) is not None:
            raise CocktailError(f"LPIPS: {reason}")
        for name in FILES:
            weight_files.check_plain(weight_files.hub_folder() / name)
        from torch_fidelity import SampleSimilarityLPIPS

        try:
            network = SampleSimilarityLPIPS("lpips-vgg16")
        except (RuntimeError, KeyError, TypeError, AttributeError) as error:  # of load_state_dict
            found = f"{' and '.join(FILES)} in {weight_files.hub_folder()}"
            raise CocktailError(f"{found} hold other weights than these names say; download them anew") from error
        self._network, self._device = network.to(device), device

    @torch.inference_mode()
    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        """Raises: CocktailError where the shapes differ, or pictures are smaller than the 16 px that VGG16 needs."""
        if first.shape != second.shape or first.ndim != 4 or first.shape[1] != 3 or min(first.shape[2:]) < LEAST:
            raise CocktailError(
                f"pictures of shapes {list(first.shape)} and {list(second.shape)}; LPIPS compares two of one shape "
                f"[N, 3, H, W] with sides of {LEAST} px or more"
            )
        # torch-fidelity takes pictures in [0, 255].
        pixels = [(img.to(self._device).clamp(-1, 1) + 1) * 127.5 for img in (first, second)]
        return self._network(*pixels).flatten().float().cpu()
