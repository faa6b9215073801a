"""The directions at hand: those that come with a model and those that a visitor found."""

from collections.abc import Sequence
from dataclasses import replace
from weakref import WeakKeyDictionary

from cocktail import checkpoints
from cocktail.errors import CocktailError
from editing.direction_files import check_model, read
from editing.directions import Direction
from editing.edits import Array, EditRecipe, Move, Node
from editing.recipes import model_name
from ui import base
from ui.live import Knob
from ui.models import Loaded
from ui.visitors import VISITORS

FILE = "directions.safetensors"
REACH = 3.0  # sigmas to either side
MAX_SLIDERS = 12
OWN: WeakKeyDictionary[Loaded, tuple[Direction, ...]] = WeakKeyDictionary()


def bundled(loaded: Loaded) -> tuple[Direction, ...]:
    """The directions beside a model's weights; a file that cannot be read or belongs to another model gives none."""
    if loaded not in OWN:
        OWN[loaded] = ()
        path = checkpoints.beside(loaded.ref, FILE)
        if path:
            try:
                found = read(path)
                for direction in found:
                    check_model(direction, loaded.fingerprint, loaded.title, loaded.gan.w_dim)
                OWN[loaded] = tuple(found)
            except CocktailError as error:
                base.LOG.warning("%s", error)
    return OWN[loaded]


def at_hand(loaded: Loaded, visitor: str | None) -> dict[str, Direction]:
    """All directions of the model by name; a visitor's own goes before a bundled one of the same name."""
    _, desk = VISITORS.enter(visitor)
    own = [direction for direction in desk.directions if direction.fingerprint == loaded.fingerprint]
    return {direction.name: direction for direction in (*bundled(loaded), *own)}


def chosen(loaded: Loaded, visitor: str | None, name: str | None) -> Direction:
    """Raises: CocktailError where the model has no direction of that name."""
    known = at_hand(loaded, visitor)
    if name not in known:
        raise CocktailError("No direction is chosen. Find one first, or take a suggestion.")
    return known[name]


def moved(loaded: Loaded, node: Node, directions: Sequence[Direction], sigmas: Sequence[float]) -> EditRecipe:
    """A picture moved along directions, the first one innermost; moves of 0 that it was made with are left out."""
    node = _settled(node)
    for direction, amount in zip(directions, sigmas, strict=True):
        first, last = direction.layers
        node = Move(node, direction.name, Array.of(direction.vector), amount * direction.sigma, amount, first, last)
    return EditRecipe(model_name(loaded.ref), loaded.fingerprint, node)


def _settled(node: Node) -> Node:
    """The same picture without moves that do nothing: a picture may go through the sliders many times."""
    if not isinstance(node, Move):
        return node
    base = _settled(node.base)
    return base if node.distance == 0 else replace(node, base=base)


def knobs(directions: Sequence[Direction]) -> list[Knob]:
    """A slider for each direction of recipes that `moved` makes."""
    found = []
    for i, direction in enumerate(directions):
        path = ("edit", *["base"] * (len(directions) - 1 - i))
        sets = [((*path, "sigmas"), 1.0), ((*path, "distance"), direction.sigma)]
        found.append(Knob(f"d{i}-{direction.name}", direction.name, -REACH, REACH, 0.1, 0.0, sets, unit="σ",
                          hint=direction.origin, resets=True))  # fmt: skip
    return found
