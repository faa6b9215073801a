"""How an edited picture was made, and enough to make it again bit by bit: a tree of edits as JSON.

What comes in is trusted in nothing: every value is checked against the type of its field.
"""

import hashlib
import json
import re
import sys
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import cache, cached_property
from typing import get_args, get_origin, get_type_hints

from cocktail.errors import CocktailError
from cocktail.seeds import MAX_SEED
from editing import interpolation, nodes
from editing.nodes import KINDS, Array, Blend, Code, Mix, Move, Node, Seed, Way, count_nodes

__all__ = ["Array", "Blend", "Code", "EditRecipe", "Mix", "Move", "Node", "Seed", "Way", "read_node"]

VERSION = 2  # version 1 is a sheet of samples, see editing/recipes.py
MAX_DEPTH = 64
SURROGATE = re.compile("[\ud800-\udfff]")  # halves of a letter, which no file can hold
MAX_NODES = 400


@dataclass(frozen=True)
class EditRecipe:
    """One edited picture of the model with this fingerprint."""

    model: str
    fingerprint: str
    edit: Node
    noise_mode: str = "const"

    @property
    def label(self) -> str | None:
        return self.edit.label

    @property
    def key(self) -> str:
        """Equal for equal recipes: 16 hexadecimal digits."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def describe(self) -> str:
        return self.edit.describe()

    def file_name(self) -> str:
        """A name for the PNG that any file system takes."""
        letters = (letter if letter.isascii() and letter.isalnum() else "-" for letter in self.describe())
        words = [word for word in "".join(letters).split("-") if word]
        return ("-".join(words)[:72].rstrip("-") or "picture") + ".png"

    def to_json(self) -> str:
        return self._json

    @cached_property
    def _json(self) -> str:
        plain = {"version": VERSION, "model": self.model, "fingerprint": self.fingerprint,
                 "noise_mode": self.noise_mode, "edit": _plain(self.edit)}  # fmt: skip
        return json.dumps(plain, ensure_ascii=True, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_data(cls, data: dict) -> "EditRecipe":
        """Reads what `to_json` wrote, parsed, and trusts none of it.

        Raises: CocktailError that names the first value of a wrong type or range.
        """
        texts = [data.get(name) for name in ("model", "fingerprint")]
        if not all(isinstance(text, str) and len(text) < 300 for text in texts):
            raise CocktailError("The settings name no model. Use a picture or a file that was saved here.")
        if data.get("noise_mode", "const") not in ("const", "none"):
            raise CocktailError(f"The setting noise_mode is {data['noise_mode']!r:.40}; expected const or none.")
        node = read_node(data.get("edit"))
        if count_nodes(node) > MAX_NODES:
            raise CocktailError(f"The settings have more than {MAX_NODES} steps; that is too many for one picture.")
        return cls(*texts, node, data.get("noise_mode", "const"))


def read_node(data: object, depth: int = 0) -> Node:
    """A node from plain data. Raises: CocktailError that names what is wrong."""
    if depth > MAX_DEPTH:
        raise CocktailError(f"The edits are nested more than {MAX_DEPTH} deep. Save the picture as a code first.")
    if not isinstance(data, dict) or data.get("kind") not in list(KINDS):
        found = data.get("kind") if isinstance(data, dict) else type(data).__name__
        raise CocktailError(f"The settings hold a step of kind {found!r:.40}; known: {', '.join(KINDS)}.")
    kind = KINDS[data["kind"]]
    hints = _hints(kind)
    values = {}
    for field in fields(kind):
        if field.name in data:
            values[field.name] = _value(data[field.name], hints[field.name], f"{kind.kind}.{field.name}", depth)
    missing = [f.name for f in fields(kind) if f.name not in values and f.default is f.default_factory]
    if missing:
        raise CocktailError(f"The settings lack {kind.kind}.{', '.join(missing)}.")
    return _checked(kind(**values))


@cache
def _hints(kind: type) -> dict[str, object]:
    """Field -> type of a kind of node."""
    return get_type_hints(kind, globalns=vars(nodes))


def _value(value: object, hint: object, name: str, depth: int) -> object:
    """A field's value as its type says: numbers finite, texts short, tuples item by item, nodes and arrays nested."""
    if hint is Array:
        if not isinstance(value, dict) or not isinstance(value.get("data"), str):
            raise CocktailError(f"The setting {name} is no code. Use the original file.")
        return Array(value["data"], _value(value.get("shape"), tuple[int, ...], name + ".shape", depth))
    if hint == Node or hint == "Node":
        return read_node(value, depth + 1)
    if get_origin(hint) is tuple:
        if not isinstance(value, list) or len(value) > MAX_NODES:
            raise CocktailError(f"The setting {name} is {value!r:.60}; expected a list.")
        return tuple(_value(item, get_args(hint)[0], name, depth) for item in value)
    allowed = get_args(hint) or (hint,)
    if value is None and type(None) in allowed:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    fits = {
        bool: isinstance(value, bool), str: isinstance(value, str) and len(value) < 300 and not SURROGATE.search(value),
        int: number and isinstance(value, int), float: number and abs(value) < 1e6,
    }  # fmt: skip
    for kind in allowed:
        if fits.get(kind):
            return float(value) if kind is float else value
    raise CocktailError(f"The setting {name} is {value!r:.60}, which cannot be drawn.")


def _checked(node: Node) -> Node:
    """What the types do not say; the rest is checked where a code is made."""
    if isinstance(node, Seed):
        cutoff = node.cutoff is None or 0 <= node.cutoff <= 1000
        if not 0 <= node.seed <= MAX_SEED or not -2 <= node.psi <= 2 or not cutoff:
            raise CocktailError(f"The sample has seed {node.seed} and psi {node.psi:g}, which cannot be drawn.")
    if isinstance(node, Way):
        interpolation.segment(node.at, len(node.keys), node.closed, node.easing)
    if isinstance(node, Blend) and (not node.parts or len(node.parts) != len(node.weights)):
        raise CocktailError(f"The mixture has {len(node.parts)} pictures and {len(node.weights)} weights.")
    return node


def _plain(value: object, hint: object = None) -> object:
    """A node as JSON data; what is a float by its type is written as one, so that equal recipes have equal keys."""
    if isinstance(value, Array):
        return asdict(value)
    if is_dataclass(value):
        hints = _hints(type(value))
        return {"kind": value.kind} | {f.name: _plain(getattr(value, f.name), hints[f.name]) for f in fields(value)}
    if isinstance(value, tuple):
        return [_plain(item, get_args(hint)[0]) for item in value]
    return float(value) if hint is float else value
