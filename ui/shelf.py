"""The shelf at the foot of the page: pictures that a visitor keeps, seen by that visitor only."""

import base64
import secrets
import threading
import time
from collections import OrderedDict

import gradio as gr
import PIL.Image

from editing.latents import codes
from editing.recipes import PictureRecipe, to_png
from editing.shelf import Pick, Shelf
from ui import base, colours
from ui.models import Loaded

LIFETIME_SEC = 24 * 3600
CAPACITY = 2000  # visitors; the one that was away longest goes first
THUMBNAIL = 128  # pixels at most


class Shelves:
    """The shelves of all visitors, in memory, each under a random key that only its visitor's browser holds."""

    def __init__(self, lifetime_sec: float = LIFETIME_SEC) -> None:
        self._lifetime_sec = lifetime_sec
        self._shelves: OrderedDict[str, tuple[Shelf, float]] = OrderedDict()
        self._lock = threading.Lock()

    def enter(self, key: str | None) -> tuple[str, Shelf]:
        """The visitor's key and shelf: theirs if the key is known and fresh, else a new key with an empty shelf.

        A key that this process did not give is never adopted, so nobody can plant one.
        """
        with self._lock:
            self._drop_old()
            if not isinstance(key, str) or key not in self._shelves:
                key = secrets.token_urlsafe(24)
                self._shelves[key] = (Shelf(), 0.0)
            shelf, _ = self._shelves[key]
            self._touch(key, shelf)
            return key, shelf

    def put(self, key: str, shelf: Shelf) -> None:
        with self._lock:
            self._touch(key, shelf)

    def _touch(self, key: str, shelf: Shelf) -> None:
        self._shelves[key] = (shelf, time.monotonic())
        self._shelves.move_to_end(key)

    def _drop_old(self) -> None:
        oldest = time.monotonic() - self._lifetime_sec
        while self._shelves:
            key, (_, touched) = next(iter(self._shelves.items()))
            if touched > oldest and len(self._shelves) <= CAPACITY:
                return
            del self._shelves[key]


SHELVES = Shelves()


def component() -> gr.HTML:
    return gr.HTML(view(Shelf()), html_template='<section class="shelf" aria-label="Shelf"></section>', elem_id="shelf",
                   js_on_load=base.script("shelf.js"), apply_default_css=False, render=False)  # fmt: skip


def connect(page: base.Page) -> None:
    """Fills the shelf when the page opens, and lets its buttons work."""
    quiet = {"show_progress": "hidden", "api_visibility": "private", "queue": False}

    def enter(key: str):
        key, shelf = SHELVES.enter(key)
        return key, view(shelf)

    def remove(key: str, event: gr.EventData):
        key, shelf = SHELVES.enter(key)
        SHELVES.put(key, shelf.remove(str(event._data.get("id"))))
        return enter(key)

    def clear(key: str):
        key, _ = SHELVES.enter(key)
        SHELVES.put(key, Shelf())
        return enter(key)

    where = [page.visitor, page.shelf]
    page.blocks.load(base.polite(enter), page.visitor, where, **quiet)
    page.shelf.delete(base.polite(remove), page.visitor, where, **quiet)
    page.shelf.clear(base.polite(clear), page.visitor, where, **quiet)


def add(key: str, loaded: Loaded, recipe: PictureRecipe, picture: PIL.Image.Image) -> tuple[str, dict]:
    """Puts a picture on a visitor's shelf; returns the visitor's key and what the shelf shows."""
    label = recipe.labels[0] if recipe.labels else None
    small = picture.copy()
    small.thumbnail((THUMBNAIL, THUMBNAIL), PIL.Image.Resampling.LANCZOS)
    pick = Pick(
        id=recipe.key,
        name=f"{label or loaded.title} #{recipe.seeds[0]}",
        model=loaded.ref,
        label=label,
        ws=codes(loaded.gan, recipe)[0].cpu(),
        recipe=recipe,
        thumbnail=to_png(small, recipe),
    )
    key, shelf = SHELVES.enter(key)
    shelf = shelf.add(pick)
    SHELVES.put(key, shelf)
    return key, view(shelf) | {"last": pick.id}


def view(shelf: Shelf) -> dict:
    """What the browser needs to show a shelf."""
    return {"picks": [_item(pick) for pick in shelf.picks], "last": ""}


def _item(pick: Pick) -> dict:
    light, dark = colours.class_colours(pick.label or "")
    source = "data:image/png;base64," + base64.b64encode(pick.thumbnail).decode()
    return {"id": pick.id, "name": pick.name, "made": pick.made, "src": source, "light": light, "dark": dark,
            "plain": pick.label is None}  # fmt: skip
