"""From a picture's recipe to its w+ code and its pixels."""

from collections.abc import Iterator

import PIL.Image
import torch
from torch import Tensor

from cocktail.errors import CocktailError
from cocktail.gan import Gan, latents
from cocktail.images import grid, to_pil, to_uint8
from editing.recipes import EditRecipe, Recipe


@torch.inference_mode()
def codes(gan: Gan, recipe: Recipe) -> Tensor:
    """The w+ codes of a recipe's pictures, row by row: float32 [N, num_ws, w_dim].

    Raises: CocktailError where the model does not know a class or has other layers than the recipe.
    """
    if isinstance(recipe, EditRecipe):
        return recipe.edit.code(gan)[None]
    z = latents(recipe.seeds, gan.z_dim)
    rows = [gan.map(z, label, recipe.psi, recipe.cutoff) for label in recipe.labels or (None,)]
    return torch.cat(rows)


def draw(gan: Gan, recipe: Recipe) -> Iterator[Tensor]:
    """The pictures of a recipe one after the other, row by row: uint8 [1, 3, H, W] each, on the CPU.

    One by one, so that the last bit of a picture never depends on its neighbours in a batch.
    """
    cells = [recipe] if isinstance(recipe, EditRecipe) else recipe.cells()
    for cell in cells:
        ws = codes(gan, cell)
        if cell.noise_mode != "random":
            yield to_uint8(gan.synthesize(ws, cell.noise_mode)).cpu()
            continue
        devices = [gan.device] if gan.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(cell.noise_seed)
            picture = to_uint8(gan.synthesize(ws, "random")).cpu()
        yield picture


def render(gan: Gan, recipe: Recipe, fingerprint: str) -> PIL.Image.Image:
    """The picture of a recipe, or the grid of a sheet, from the very model that made it.

    Raises: CocktailError where `fingerprint`, the model's own, is another than the recipe's.
    """
    check_model(recipe, fingerprint)
    pictures = torch.cat(list(draw(gan, recipe)))
    return to_pil(pictures)[0] if len(pictures) == 1 else grid(pictures, columns=len(recipe.seeds), pad=2)


def check_model(recipe: Recipe, fingerprint: str) -> None:
    """Raises: CocktailError where a recipe belongs to another model than that of this fingerprint."""
    if recipe.fingerprint != fingerprint:
        raise CocktailError(
            f"These settings belong to the model {recipe.model!r} ({recipe.fingerprint[:8]}); the one given is "
            f"{fingerprint[:8]}. Open the model that made the picture."
        )
