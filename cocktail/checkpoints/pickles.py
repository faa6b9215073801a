"""A pickle machine of our own that calls nothing but what the caller lists, and so executes nothing of a file.

Python's pickle imports any name that a file asks for and calls it. Here a name is a key of `allowed`, which maps it to
a constructor of ours that checks what it is given; every other name ends the reading, before any of it is imported.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from cocktail.checkpoints import opcodes
from cocktail.checkpoints.opcodes import Span, Stream
from cocktail.errors import CocktailError

MAX_MARKS = 200  # how deep containers may be open at once
MAX_DEPTH = 150  # how deep they may lie in one another in the end; NVIDIA's networks of 1024 px reach 16
MAX_TREE = 100_000  # values of an object, those in several places counted in each; there are 7,200 in those
MAX_KEY, MAX_KEY_TEXT = 16, 200  # items of a tuple that is a key, characters of a text
MAX_KEY_NUMBER = 1 << 60  # Python's hashes of larger ones meet, and a dict of such keys would take minutes
CLASSES = ("torch.nn.", "torchvision.", "timm.", "training.", "models.", "__main__.")  # where networks are defined
BUILDING_ERRORS = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RuntimeError, MemoryError)


@dataclass(frozen=True)
class Global:
    """An allowed name of a file: what it is called there, and what makes our stand-in for it."""

    name: str
    make: Callable[..., object]


class Standin:
    """An object that takes state from a file (opcode BUILD); the state is any tree of plain data and stand-ins."""

    def build(self, state: object) -> None:
        raise TypeError("takes no state")


class Items(dict, Standin):
    """A dict of some class (OrderedDict, EasyDict): its items; what else the class kept is dropped."""

    def build(self, state: object) -> None:
        if not isinstance(state, dict):
            raise TypeError("expected a dict")


class Attributes(Items):
    """An object whose attributes are wanted, as a dict (argparse.Namespace)."""

    def build(self, state: object) -> None:
        super().build(state)
        self.update(state)


def load(
    data: bytes | BinaryIO | Stream,
    allowed: Mapping[str, Callable[..., object]],
    where: str,
    persistent: Callable[[object], object] | None = None,
) -> object:
    """The object that a pickle (protocols 0 to 5) describes; a stream then stands behind it, so that more can follow.

    allowed: "module.name" -> a constructor that checks its arguments; persistent: makes what a persistent id stands
    for, and checks it; where: names the file in messages. Names stay `Global`s where they are values; bytes of more
    than 32 are `Span`s (`content` reads both).

    Raises: CocktailError for a name that is not allowed (it is in the message), for damage, and past any limit.
    """
    stream = data if isinstance(data, Stream) else Stream(data, where)
    machine = _Machine(stream, allowed, persistent)
    for name, argument in opcodes.read(stream):
        try:
            machine.step(name, argument)
        except CocktailError:
            raise
        except BUILDING_ERRORS as error:
            raise stream.error(f"has a {name} that makes no sense ({_short(error)})") from error
    if len(machine.stack) != 1 or machine.marks:
        raise stream.error("leaves more than one object")
    check_tree(machine.stack[0], stream)
    return machine.stack[0]


def content(value: object) -> bytes:
    """Bytes that a pickle holds, be they long or short. Raises: TypeError for anything else."""
    if isinstance(value, Span):
        return value.read()
    if not isinstance(value, bytes):
        raise TypeError("expected bytes")
    return value


def refused(name: str, where: str) -> CocktailError:
    """What is said of a file that asks for a name that is not allowed."""
    if name.startswith(CLASSES):
        advice = "It keeps objects of a program, not tensors alone: save its state_dict(), or export it to ONNX."
    else:
        advice = "Do not open it with other tools unless you trust its maker."
    return CocktailError(
        f"{where} asks for {_short(name)}, which no checkpoint of a known kind needs: it was not imported, and nothing "
        f"of the file was executed. {advice}"
    )


def check_tree(root: object, stream: Stream) -> None:
    """Makes sure that whoever walks through the object comes to an end soon, things in several places counted in each.

    Raises: CocktailError where containers hold themselves, lie too deep in one another, or branch without end.
    """
    known: dict[int, tuple[int, int]] = {}  # of a container, by its identity: values in all, levels
    inside: set[int] = set()
    path = [(root, False)]
    while path:
        value, leaving = path.pop()
        if not isinstance(value, dict | list | tuple | set | frozenset) or id(value) in known:
            continue
        inner = value.values() if isinstance(value, dict) else value
        if leaving:
            parts = [known.get(id(part), (1, 0)) for part in inner]
            count, levels = 1 + sum(n for n, _ in parts), 1 + max((depth for _, depth in parts), default=0)
            if levels > MAX_DEPTH or count > MAX_TREE:
                raise stream.error(f"holds data more than {MAX_DEPTH} levels deep, or that branches without end")
            known[id(value)] = count, levels
            inside.remove(id(value))
        elif id(value) in inside:
            raise stream.error("holds data inside itself")
        else:
            inside.add(id(value))
            path.append((value, True))
            path.extend((part, False) for part in inner)


def key(value: object) -> object:
    """A value that may be a key or a member of a set: hashing it takes no time. Raises: TypeError otherwise."""
    if type(value) is tuple:  # of texts alone, whose hashes nobody can foresee
        plain = len(value) <= MAX_KEY and all(isinstance(part, str) and len(part) <= MAX_KEY_TEXT for part in value)
    elif isinstance(value, int | float):
        plain = abs(value) < MAX_KEY_NUMBER
    elif isinstance(value, str | bytes):
        plain = len(value) <= MAX_KEY_TEXT
    else:
        plain = value is None or isinstance(value, Global)
    if not plain:
        raise TypeError("a key is no plain value")
    return value


def _short(value: object) -> str:
    text = "".join(c if c.isprintable() else "?" for c in str(value)[:100])
    return text + ("..." if len(str(value)) > 100 else "")


class _Machine:
    """A stack, the stacks below its marks, and the memo."""

    def __init__(self, stream: Stream, allowed: Mapping[str, Callable], persistent: Callable | None):
        self.stream, self.allowed, self.persistent = stream, allowed, persistent
        self.stack: list = []
        self.marks: list[list] = []
        self.memo: dict[int, object] = {}

    def step(self, name: str, argument: object) -> None:
        if name in LITERALS:
            self.stack.append(argument)
        elif name in FRESH:
            self.stack.append(FRESH[name]())
        else:
            STEPS[name](self, argument)

    def push(self, value: object) -> None:
        self.stack.append(value)

    def pop_mark(self) -> list:
        items, self.stack = self.stack, self.marks.pop()
        return items

    def mark(self, _: object) -> None:
        if len(self.marks) >= MAX_MARKS:
            raise self.stream.error(f"opens {MAX_MARKS} containers in one another")
        self.marks.append(self.stack)
        self.stack = []

    def put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def memoize(self, _: object) -> None:
        self.put(len(self.memo))

    def get(self, index: int) -> None:
        self.stack.append(self.memo[index])

    def pop(self, _: object) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.pop_mark()

    def tuple_of(self, count: int | None) -> None:
        if count is None:
            items = self.pop_mark()
        else:
            items = [self.stack.pop() for _ in range(count)][::-1]
        self.stack.append(tuple(items))

    def append(self, items: list) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise TypeError("only a list can be appended to")
        target.extend(items)

    def add(self, items: list) -> None:
        target = self.stack[-1]
        if type(target) is not set:
            raise TypeError("only a set can be added to")
        target.update(map(key, items))

    def set_items(self, items: list) -> None:
        if not isinstance(self.stack[-1], dict):
            raise TypeError("only a dict has items")
        self.stack[-1].update(pairs(items))

    def find(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise TypeError("a name is no text")
        full = f"{module}.{name}"
        if full not in self.allowed:
            raise refused(full, self.stream.where)
        self.stack.append(Global(full, self.allowed[full]))

    def old_style(self, module: str, name: str) -> None:
        self.find(module, name)  # says which name it is
        raise TypeError("instances of Python 2 are not read")

    def call(self, _: object) -> None:
        arguments, what = self.stack.pop(), self.stack.pop()
        if not isinstance(what, Global) or type(arguments) is not tuple:
            raise TypeError("this cannot be called")
        self.stream.give(sum(map(size, arguments)))
        try:
            self.stack.append(what.make(*arguments))
        except CocktailError:
            raise
        except BUILDING_ERRORS as error:
            raise self.stream.error(f"gives {what.name} what it cannot take ({_short(error)})") from error

    def build(self, _: object) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if not isinstance(target, Standin):
            raise TypeError("this takes no state")
        self.stream.give(sum(map(size, state)) if type(state) is tuple else size(state))
        target.build(state)

    def persist(self, name: object) -> None:
        if self.persistent is None:
            raise TypeError("no data outside the pickle is expected")
        self.stack.append(self.persistent(name))


def size(value: object) -> int:
    """How many bytes or items a value has, itself not counted deeper."""
    if isinstance(value, Span):
        return value.length
    return len(value) if isinstance(value, str | bytes | list | tuple | dict | set | frozenset) else 1


def pairs(items: list) -> dict:
    """[key, value, key, value ...] as a dict. Raises: TypeError for a key that is no plain value."""
    if len(items) % 2:
        raise TypeError("a key without a value")
    return dict(zip(map(key, items[::2]), items[1::2], strict=True))


LITERALS = {*opcodes.TEXTS, *opcodes.BYTES, *opcodes.STRINGS, *opcodes.LONGS, "BININT", "BININT1", "BININT2",
            "BINFLOAT", "INT", "LONG", "FLOAT", "STRING", "UNICODE"}  # fmt: skip
FRESH = {"NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False, "EMPTY_LIST": list,
         "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple, "EMPTY_SET": set}  # fmt: skip
STEPS: dict[str, Callable[[_Machine, object], None]] = {
    "PROTO": lambda m, version: None,
    "FRAME": lambda m, length: None,
    "STOP": lambda m, _: None,
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": lambda m, _: m.pop_mark() and None,
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Machine.put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.get),
    "MEMOIZE": _Machine.memoize,
    "TUPLE": lambda m, _: m.tuple_of(None),
    "TUPLE1": lambda m, _: m.tuple_of(1),
    "TUPLE2": lambda m, _: m.tuple_of(2),
    "TUPLE3": lambda m, _: m.tuple_of(3),
    "LIST": lambda m, _: m.push(m.pop_mark()),
    "DICT": lambda m, _: m.push(pairs(m.pop_mark())),
    "FROZENSET": lambda m, _: m.push(frozenset(map(key, m.pop_mark()))),
    "APPEND": lambda m, _: m.append([m.stack.pop()]),
    "APPENDS": lambda m, _: m.append(m.pop_mark()),
    "ADDITEMS": lambda m, _: m.add(m.pop_mark()),
    "SETITEM": lambda m, _: m.set_items([m.stack.pop(), m.stack.pop()][::-1]),
    "SETITEMS": lambda m, _: m.set_items(m.pop_mark()),
    "GLOBAL": lambda m, names: m.find(*names),
    "STACK_GLOBAL": lambda m, _: m.find(*[m.stack.pop(), m.stack.pop()][::-1]),
    "INST": lambda m, names: m.old_style(*names),
    "REDUCE": _Machine.call,
    "NEWOBJ": _Machine.call,
    "BUILD": _Machine.build,
    "PERSID": _Machine.persist,
    "BINPERSID": lambda m, _: m.persist(m.stack.pop()),
}
