"""What a person keeps while working: an ordered list of pictures with their latent codes."""

from dataclasses import dataclass, replace

from torch import Tensor

from cocktail.errors import CocktailError
from editing.recipes import PictureRecipe

MAX_PICKS = 48


@dataclass(frozen=True)
class Pick:
    """A picture on the shelf: all that another tab needs to go on from it."""

    id: str
    name: str  # "cat #12"
    model: str  # the reference that the model was opened with
    label: str | None
    ws: Tensor  # float32 [num_ws, w_dim]
    recipe: PictureRecipe
    thumbnail: bytes  # PNG

    @property
    def made(self) -> str:
        return self.recipe.describe()


@dataclass(frozen=True)
class Shelf:
    """Picks in order, oldest first; every change gives a new shelf, so that an older one can be returned to."""

    picks: tuple[Pick, ...] = ()

    def __contains__(self, pick_id: str) -> bool:
        return any(pick.id == pick_id for pick in self.picks)

    def add(self, pick: Pick) -> "Shelf":
        """The shelf with a pick at its end; one that is there already stays where it is.

        Raises: CocktailError where the shelf is full.
        """
        if pick.id in self:
            return self
        if len(self.picks) >= MAX_PICKS:
            raise CocktailError(f"The shelf holds {MAX_PICKS} pictures and is full. Remove one first.")
        return replace(self, picks=(*self.picks, pick))

    def remove(self, pick_id: str) -> "Shelf":
        return replace(self, picks=tuple(pick for pick in self.picks if pick.id != pick_id))
