"""What a person keeps while working: an ordered list of pictures with their latent codes, and its past."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from cocktail.errors import CocktailError
from editing.recipes import Recipe

MAX_PICKS = 48
MAX_NAME = 60  # letters
MAX_STEPS = 100  # that can be undone


@dataclass(frozen=True, eq=False)
class Pick:
    """A picture on the shelf: all that another tab needs to go on from it."""

    id: str
    name: str  # "cat #12"
    model: str  # the reference that the model was opened with
    label: str | None
    ws: Tensor  # float32 [num_ws, w_dim]
    recipe: Recipe
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

    def add(self, *picks: Pick) -> "Shelf":
        """The shelf with picks at its end; one that is there already stays where it is.

        Raises: CocktailError where they do not fit; none of them is added then.
        """
        new = {pick.id: pick for pick in picks if pick.id not in self}
        if len(self.picks) + len(new) > MAX_PICKS:
            have = "is full" if len(self.picks) == MAX_PICKS else f"has {len(self.picks)}"
            raise CocktailError(
                f"The shelf holds {MAX_PICKS} pictures and {have}; {len(new)} more do not fit. Remove some first."
            )
        return replace(self, picks=(*self.picks, *new.values()))

    def remove(self, pick_id: str) -> "Shelf":
        return replace(self, picks=tuple(pick for pick in self.picks if pick.id != pick_id))

    def rename(self, pick_id: str, name: str) -> "Shelf":
        """The shelf with another name for a pick; an empty name brings back how it was made.

        Raises: CocktailError on a name that is too long.
        """
        name = " ".join(name.split())
        if len(name) > MAX_NAME:
            raise CocktailError(f"The name has {len(name)} letters; at most {MAX_NAME} fit.")
        return self._each(
            lambda pick: (
                replace(pick, name=name or pick.made[:MAX_NAME]) if pick.id == pick_id and pick.name != name else pick
            )
        )

    def move(self, pick_id: str, place: int) -> "Shelf":
        """The shelf with a pick at another place, counted from 0; beyond the ends is at the end."""
        rest = [pick for pick in self.picks if pick.id != pick_id]
        moved = [pick for pick in self.picks if pick.id == pick_id]
        place = min(max(place, 0), len(rest))
        return replace(self, picks=(*rest[:place], *moved, *rest[place:]))

    def _each(self, change) -> "Shelf":
        return replace(self, picks=tuple(map(change, self.picks)))


@dataclass(frozen=True)
class History:
    """The present shelf with those before it and those that were undone, newest last."""

    shelf: Shelf = Shelf()
    past: Sequence[Shelf] = ()
    future: Sequence[Shelf] = ()

    def then(self, shelf: Shelf) -> "History":
        """The history one step on; what had been undone is forgotten. A shelf that did not change is no step."""
        if shelf == self.shelf:
            return self
        return History(shelf, (*self.past, self.shelf)[-MAX_STEPS:], ())

    def undo(self) -> "History":
        """Raises: CocktailError where there is nothing to undo."""
        if not self.past:
            raise CocktailError("There is nothing to undo.")
        return History(self.past[-1], self.past[:-1], (*self.future, self.shelf))

    def redo(self) -> "History":
        """Raises: CocktailError where nothing was undone."""
        if not self.future:
            raise CocktailError("There is nothing to redo.")
        return History(self.future[-1], (*self.past, self.shelf), self.future[:-1])
