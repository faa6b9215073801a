"""What each visitor keeps on the server: a shelf with its past, and named directions; seen by that visitor only."""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from cocktail.errors import CocktailError
from editing.directions import Direction
from editing.shelf import History, Shelf

LIFETIME_SEC = 24 * 3600
MAX_DIRECTIONS = 60  # of one visitor
CAPACITY = 2000  # visitors; the one that was away longest goes first


@dataclass(frozen=True)
class Desk:
    history: History = History()
    directions: tuple[Direction, ...] = ()

    @property
    def shelf(self) -> Shelf:
        return self.history.shelf

    def with_directions(self, directions: Iterable[Direction]) -> "Desk":
        """The desk with directions at the end of its list; one of the same model and name gives way to a new one."""
        desk = self
        for direction in directions:
            rest = desk.without_direction(direction.name, direction.fingerprint).directions
            if len(rest) >= MAX_DIRECTIONS:
                raise CocktailError(f"{MAX_DIRECTIONS} directions are kept; delete some first.")
            desk = replace(desk, directions=(*rest, direction))
        return desk

    def without_direction(self, name: str, fingerprint: str) -> "Desk":
        kept = tuple(d for d in self.directions if (d.name, d.fingerprint) != (name, fingerprint))
        return replace(self, directions=kept)

    def edited(self, wish: dict) -> "Desk":
        """The desk after what a button of the shelf asks for: {"do", "id", "name", "place"}.

        Raises: CocktailError where there is nothing to undo or redo, or a name is too long.
        """
        pick, shelf, history = str(wish.get("id")), self.shelf, self.history
        steps = {
            "remove": lambda: history.then(shelf.remove(pick)),
            "rename": lambda: history.then(shelf.rename(pick, str(wish.get("name", "")))),
            "move": lambda: history.then(shelf.move(pick, place)),
            "clear": lambda: history.then(Shelf()),
            "undo": history.undo,
            "redo": history.redo,
        }
        place = wish.get("place", 0)
        if wish.get("do") not in list(steps) or not isinstance(place, int):
            raise CocktailError("The shelf does not know this button. Load the page again.")
        return replace(self, history=steps[wish["do"]]())

    def then(self, shelf: Shelf) -> "Desk":
        """The desk with another shelf, one step on."""
        return replace(self, history=self.history.then(shelf))


class Visitors:
    """The desks of all visitors, in memory, each under a random key that only its visitor's browser holds."""

    def __init__(self, lifetime_sec: float = LIFETIME_SEC) -> None:
        self._lifetime_sec = lifetime_sec
        self._desks: OrderedDict[str, tuple[Desk, float]] = OrderedDict()
        self._lock = threading.RLock()

    def enter(self, key: str | None) -> tuple[str, Desk]:
        """The visitor's key and desk: theirs if the key is known and fresh, else a new key with an empty desk.

        A key that this process did not give is never adopted, so nobody can plant one.
        """
        with self._lock:
            self._drop_old()
            if not isinstance(key, str) or key not in self._desks:
                key = secrets.token_urlsafe(24)
                self._desks[key] = (Desk(), 0.0)
            desk, _ = self._desks[key]
            self._put(key, desk)
            return key, desk

    def change(self, key: str | None, step: Callable[[Desk], Desk]) -> tuple[str, Desk]:
        """Changes a desk in one go: of two clicks at once neither is lost, and a step that fails changes nothing."""
        with self._lock:
            key, desk = self.enter(key)
            desk = step(desk)
            self._put(key, desk)
            return key, desk

    def _put(self, key: str, desk: Desk) -> None:
        self._desks[key] = (desk, time.monotonic())
        self._desks.move_to_end(key)

    def _drop_old(self) -> None:
        oldest = time.monotonic() - self._lifetime_sec
        while self._desks:
            key, (_, touched) = next(iter(self._desks.items()))
            if touched > oldest and len(self._desks) <= CAPACITY:
                return
            del self._desks[key]


VISITORS = Visitors()
