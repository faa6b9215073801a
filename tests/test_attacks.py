"""Files that want to do harm: each is refused soon, in little memory, by name, and nothing of it is run.

All are opened by one process of its own, a fork of this one; it reports seconds, memory and message of each.
The harm would be a file that appears; for the pickles that call something, Python's pickle shows that it does.
"""

import functools
import gzip
import io
import json
import os
import pickle
import resource
import struct
import tempfile
import time
import warnings
import zipfile
import zlib
from pathlib import Path

import pytest
import torch

import cocktail
from cocktail.errors import CocktailError
from tests import foreign, forked

MAX_SEC, MAX_BYTES = 2.0, 200e6
CANARY = "canary"  # relative: the process that opens the files works in a folder of its own
WRITE = f"open({CANARY!r}, 'w').close()"
ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\0\x85C\x01btR(K\x01"  # up to the shape in its state
KEYS = 2**61 - 1  # the hashes of its multiples are all 0
DEEP = b"\x80\x02" + b"]" * 100 + b"a" * 99 + b"."


def touch(name="os.system"):
    return foreign.calling(name, (f"touch {CANARY}",))


def chained(*parts):
    return b"".join(parts)


# Opcodes that leave one object on the stack and, by Python's pickle, the canary on disk; and the name that is refused.
CALLS = {
    "os.system": (touch(), "os.system"),
    "posix.system": (touch("posix.system"), "posix.system"),
    "eval": (foreign.calling("builtins.eval", (WRITE,)), "builtins.eval"),
    "eval of Python 2": (foreign.calling("__builtin__.eval", (WRITE,)), "__builtin__.eval"),
    "exec": (foreign.calling("builtins.exec", (WRITE,)), "builtins.exec"),
    "getattr": (
        chained(b"cbuiltins\ngetattr\n(", foreign.calling("builtins.__import__", ("os",)), foreign.fragment("system"),
                b"tR", foreign.fragment((f"touch {CANARY}",)), b"R"),
        "builtins.getattr",
    ),
    "import": (
        chained(b"cbuiltins\ngetattr\n(cimportlib\nimport_module\n", foreign.fragment(("os",)), b"R",
                foreign.fragment("system"), b"tR", foreign.fragment((f"touch {CANARY}",)), b"R"),
        "builtins.getattr",
    ),
    "import_module": (
        chained(foreign.calling("importlib.import_module", ("os",)), b"0", touch()), "importlib.import_module"
    ),
    "subprocess": (foreign.calling("subprocess.check_call", (["touch", CANARY],)), "subprocess.check_call"),
    "Popen": (foreign.calling("subprocess.getoutput", (f"touch {CANARY}",)), "subprocess.getoutput"),
    "partial": (
        chained(b"cfunctools\npartial\n(cos\nsystem\n", foreign.fragment(f"touch {CANARY}"), b"tR)R"),
        "functools.partial",
    ),
    "methodcaller": (
        chained(foreign.calling("operator.methodcaller", ("system", f"touch {CANARY}")), b"(",
                foreign.calling("builtins.__import__", ("os",)), b"tR"),
        "operator.methodcaller",
    ),
    "attrgetter": (
        chained(foreign.calling("operator.attrgetter", ("system",)), b"(",
                foreign.calling("builtins.__import__", ("os",)), b"tR", foreign.fragment((f"touch {CANARY}",)), b"R"),
        "operator.attrgetter",
    ),
    "pickle in pickle": (
        foreign.calling("pickle.loads", (foreign.whole(touch(), 3),), 3), "pickle.loads"
    ),
    "runpy": (foreign.calling("runpy._run_code", (WRITE, {})), "runpy._run_code"),
    "old instance": (b"(" + foreign.fragment(f"touch {CANARY}") + b"ios\nsystem\n", "os.system"),
    "old object": (b"(cos\nsystem\n" + foreign.fragment(f"touch {CANARY}") + b"o", "os.system"),
    "dotted name": (
        b"\x8c\x05torch\x8c\x09os.system\x93" + foreign.fragment((f"touch {CANARY}",)) + b"R", "torch.os.system"
    ),
    "name from the memo": (
        b"\x8c\x06systemq\xfe\x8c\x02osq\xff00h\xffh\xfe\x93" + foreign.fragment((f"touch {CANARY}",))[:-2] + b"R",
        "os.system",
    ),
    "state": (
        chained(foreign.calling("collections.OrderedDict"), b"}(", foreign.fragment("a"), touch(), b"ub"), "os.system"
    ),
    "hooks of a tensor": (
        chained(b"ctorch._utils\n_rebuild_parameter\n(NN", touch(), b"tR"), "os.system"
    ),
}  # fmt: skip
# Opcodes that would do harm in other ways, and what the message names.
GADGETS = {
    "torch.load": (foreign.calling("torch.load", ("x",)), "torch.load"),
    "torch.load in bytes": (
        foreign.calling("torch.storage._load_from_bytes", (foreign.whole(touch(), 3),), 3), "os.system"
    ),
    "torch file in bytes": (
        foreign.calling("torch.storage._load_from_bytes", (foreign.torch_legacy(foreign.whole(touch())),), 3),
        "os.system",
    ),
    "long bytes": (
        foreign.calling("torch.storage._load_from_bytes",
                        (foreign.torch_legacy(foreign.whole(foreign.fragment("x" * 500) + b"0" + touch())),), 3),
        "os.system",
    ),
    "object array": (
        chained(ARRAY, b"K\x01\x85cnumpy\ndtype\n", foreign.fragment(("O8", False, True)),
                b"R(K\x03X\x01\0\0\0|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb\x89](", touch(), b"etb"),
        r"numpy\.dtype.*'O8' is no plain number",
    ),
    "structured array": (foreign.calling("numpy.dtype", ("V8",)), r"numpy\.dtype.*'V8' is no plain number"),
    "state of a class": (
        chained(foreign.calling("argparse.Namespace"), foreign.fragment((None, {"__class__": 1})), b"b"),
        "expected a dict",
    ),
    "dict of a class": (
        chained(foreign.calling("collections.OrderedDict"), foreign.fragment(7), b"b"), "expected a dict"
    ),
    "state of a list": (b"]}b", "takes no state"),
    "state of a function": (b"ctorch._utils\n_rebuild_tensor_v2\n}b", "takes no state"),
    "function called with nothing": (
        foreign.calling("torch._utils._rebuild_tensor_v2"), "torch._utils._rebuild_tensor_v2 what it cannot take"
    ),
    "storage of text": (
        foreign.calling("torch._utils._rebuild_tensor_v2", ("storage", 0, (1,), (1,), False, None)), "no storage"
    ),
    "network without state": (
        foreign.calling("torch_utils.persistence._reconstruct_persistent_obj",
                        ({"type": "class", "class_name": "G", "module_src": WRITE},)),
        "_reconstruct_persistent_obj what it cannot take",
    ),
    "network of another kind": (
        foreign.calling("torch_utils.persistence._reconstruct_persistent_obj", ({"type": "function", "state": {}},)),
        "_reconstruct_persistent_obj what it cannot take",
    ),
    "code": (b"ctypes\nCodeType\n)R", "types.CodeType"),
    "reconstructor": (b"ccopyreg\n_reconstructor\n(ccollections\nOrderedDict\ncbuiltins\nobject\nNtR", "copyreg"),
    "codec": (foreign.calling("_codecs.encode", ("x", "hex")), "_codecs.encode what it cannot take"),
    "member of a class": (b"ccollections\nOrderedDict.fromkeys\n)R", "collections.OrderedDict.fromkeys"),
    "extension": (b"\x82\x01", "EXT1"),
    "negative stride": (
        foreign.tensor_of(foreign.storage_id(count=0), size=(1,), stride=(-1,)), "negative|damaged|no data outside"
    ),
}  # fmt: skip


def laughs(levels=40, width=10):
    """Lists of ten references to the list before: 10^40 items for whoever walks through them."""
    data = b"]q\0" + foreign.fragment("ha")[:-2] + b"a"
    for i in range(1, levels):
        data += b"0(" + (b"h" + bytes([i - 1])) * width + b"lq" + bytes([i])
    return data


def laughs_of_dicts(levels=12):
    """The same of dicts, with names as a DCGAN's tensors have them."""
    data = b"}q\0(" + b"".join(foreign.fragment(name)[:-2] + b"N" for name in ("main.0.weight", "main.3.weight")) + b"u"
    for i in range(levels):
        entries = b"".join(foreign.fragment(name)[:-2] + b"h" + bytes([i]) for name in "abcdefghij")
        data += b"0}(" + entries + b"uq" + bytes([i + 1])
    return data


def many_names():
    """900 dicts that are one, of 900 tensors that are one, under names of 200 letters: dotted, they fill 300 MB."""
    name = lambda text: foreign.fragment(text)[:-2]  # noqa: E731
    tensor = foreign.tensor_of(foreign.storage_id(count=1), size=(1,), stride=(1,)) + b"q\xf0"
    inner = b"0}(" + b"".join(name(f"{i:0200}") + b"h\xf0" for i in range(900)) + b"uq\xf1"
    marks = b"".join(name(mark) + b"h\xf0" for mark in ("main.0.weight", "main.3.weight"))
    return tensor + inner + b"0}(" + marks + b"".join(name(f"{i:0200}") + b"h\xf1" for i in range(900)) + b"u"


# 180,000 opcodes and a storage of four numbers.
LONG_LEGACY = foreign.torch_legacy(
    foreign.whole(b"N0" * 90_000 + foreign.storage_id()), struct.pack("<q", 4) + bytes(16), "0"
)
LARGE_LEGACY = foreign.torch_legacy(
    foreign.whole(foreign.storage_id(count=250_000)), struct.pack("<q", 250_000) + bytes(1_000_000), "0"
)
BOMBS = {
    "laughs": (laughs(), "branches without end"),
    "laughs as arguments": (
        chained(b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n}(",
                foreign.fragment("type")[:-2], foreign.fragment("class")[:-2], foreign.fragment("module_src")[:-2],
                foreign.fragment("")[:-2], foreign.fragment("class_name")[:-2], foreign.fragment("Generator")[:-2],
                foreign.fragment("state")[:-2], b"}", foreign.fragment("_init_kwargs")[:-2], b"}",
                foreign.fragment("z_dim")[:-2], laughs(), b"ssu\x85R"),
        "branches without end",
    ),
    "laughs of state dicts": (laughs_of_dicts(), "branches without end"),
    "endless memo": (b"N" + b"\x94" * 600_000, "more than 500,000 opcodes"),
    "endless list": (b"](" + b"N" * 600_000 + b"e", "more than 500,000 opcodes"),
    "memo of large numbers": (
        b"N" + b"".join(b"r" + struct.pack("<I", 2**31 + i) for i in range(1000)) + b"h\7", "BINGET"
    ),
    "text of 10^12": (b"\x8d" + struct.pack("<Q", 10**12), "1,000,000,000,000"),
    "bytes of 10^12": (b"\x8e" + struct.pack("<Q", 10**12), "1,000,000,000,000"),
    "bytes of 2^63": (b"\x8e" + struct.pack("<Q", 2**63), "9,223,372,036,854,775,808"),
    "number of 10^9": (b"\x8b" + struct.pack("<i", 10**9), "a number of 1,000,000,000 bytes"),
    "number of negative length": (b"\x8b" + struct.pack("<i", -5), "claims -5 more bytes"),
    "array of 10^12": (
        chained(ARRAY, foreign.fragment((10**6, 10**6)), foreign.calling("numpy.dtype", ("f8",)), b"\x89C\x01atb"),
        "shape and bytes differ",
    ),
    "100 levels": (DEEP[2:-1], "holds a list"),
    "100,000 levels": (b"]" * 100_000 + b"a" * 99_999, "levels deep"),
    "100,000 tuples": (b")" + b"\x85" * 100_000, "levels deep"),
    "100,000 dicts": (b"}" + b"K\0}" * 100_000 + b"s" * 100_000, "levels deep"),
    "100,000 marks": (b"(" * 100_000, "opens 200 containers"),
    "keys whose hashes meet": (
        b"}(" + b"".join(b"\x8a\x0a" + (KEYS * i).to_bytes(10, "little") + b"N" for i in range(1, 50_000)) + b"u",
        "key is no plain value",
    ),
    "nested keys": (b"}" + b")" + b"\x85" * 50_000 + b"Ns", "key is no plain value"),
    "a storage loaded 100,000 times": (
        foreign.fragment(LARGE_LEGACY, 3)
        + b"0ctorch.storage\n_load_from_bytes\nq\1" + b"0](" + b"h\1h\0\x85R" * 100_000 + b"e",
        "uses the same data again and again",
    ),
    "an array copied 70,000 times": (
        foreign.fragment(bytes(1_000_000), 4) + b"q\xf00" + foreign.calling("numpy.dtype", ("u1",)) + b"q\xf1"
        + b"0cnumpy.core.numeric\n_frombuffer\nq\xf2" + b"0]("
        + b"h\xf2(h\xf0h\xf1J\x40\x42\x0f\0\x85tR" * 70_000 + b"e",
        "uses the same data again and again",
    ),
    "a dict copied 100,000 times": (
        foreign.fragment({str(i): i for i in range(20_000)})[:-2] + b"q\0"
        + b"0ccollections\nOrderedDict\nq\1" + b"0](" + b"h\1h\0\x85R" * 100_000 + b"e",
        "uses the same data again and again",
    ),
    "a text encoded 100,000 times": (
        b"X" + struct.pack("<I", 1_000_000) + b"x" * 1_000_000 + b"q\0" + b"0c_codecs\nencode\nq\1"
        + b"0](" + b"h\1h\0\x85R" * 100_000 + b"e",
        "uses the same data again and again",
    ),
    "60 MB of text": (b"](" + (b"X" + struct.pack("<I", 1_000_000) + b"x" * 1_000_000) * 60 + b"e", "50,000,000 bytes"),
    "pickles in a pickle without end": (
        b"](" + foreign.calling("torch.storage._load_from_bytes", (LONG_LEGACY,), 3) * 3 + b"e",
        "more than 500,000 opcodes",
    ),
    "long line": (b"V" + b"x" * 3_000_000 + b"\n", "line without an end"),
}  # fmt: skip


def nested_bytes(levels=100):
    """A pickle that holds a torch file whose pickle holds a torch file ..."""
    data = foreign.torch_legacy(foreign.whole(touch()))
    for _ in range(levels):
        inner = foreign.calling("torch.storage._load_from_bytes", (data,), 3)
        data = foreign.torch_legacy(foreign.whole(inner, 3))
    return foreign.calling("torch.storage._load_from_bytes", (data,), 3)


def write_zip(path, entries, compression=zipfile.ZIP_STORED):
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", compression) as archive:
        warnings.simplefilter("ignore")  # a name that comes twice
        for name, data in entries:
            archive.writestr(name, data)


def sound():
    """A tensor of four ones as torch.save writes it: [(name, data)]."""
    with zipfile.ZipFile(io.BytesIO(foreign.saved({"a": torch.ones(4)}))) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def overlapping(path):
    """Ten thousand entries of one megabyte that are all the same megabyte."""
    write_zip(path, [("archive/data.pkl", bytes(1 << 20))])
    data = path.read_bytes()
    at = data.index(b"PK\1\2")
    end = data.index(b"PK\5\6")
    entry, tail = data[at:end], bytearray(data[end:])
    many = [entry.replace(b"archive/data.pkl", b"archive/data%04d" % i) for i in range(10_000)]
    tail[8:12] = struct.pack("<HH", 10_001, 10_001)
    tail[12:16] = struct.pack("<I", sum(map(len, many)) + len(entry))
    path.write_bytes(data[:at] + entry + b"".join(many) + tail)


def long_directory(path):
    """A list of entries that states 30 MB of itself, in the second end record alone."""
    names = b"".join(b"PK\1\2" + bytes(42) for _ in range(650_000))
    second = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 650_000, 650_000, len(names), 0)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, len(names), 1)
    path.write_bytes(b"PK\3\4" + names[4:] + second + locator + struct.pack("<4sHHHHIIH", b"PK\5\6", *(0,) * 7))


def zeros_zip(path):
    """335 MB of zeros in a third of a megabyte."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("archive/data.pkl", "w") as file:
        for _ in range(20):
            file.write(bytes(1 << 24))


def zeros_gzip(path):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    path.write_bytes(b"".join(packer.compress(bytes(1 << 24)) for _ in range(20)) + packer.flush())


def large_storage(path):
    data = foreign.whole(foreign.tensor_of(foreign.storage_id(count=10**12), size=(10**12,)))
    foreign.torch_zip(path, data, {"0": b""})


def storage_outside(path):
    foreign.torch_zip(path, foreign.whole(foreign.tensor_of(foreign.storage_id(key="../../etc/passwd"))))


def large_safetensors(path):
    path.write_bytes(safetensors({"a": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}}))


def laughing_keys(path):
    """A legacy file whose list of storages, which is compared with those in use, has 10^40 entries."""
    path.write_bytes(foreign.torch_legacy(foreign.whole(b"N"))[: -len(pickle.dumps([], 2))] + foreign.whole(laughs()))


ARCHIVES = {
    "many long names": (
        lambda path: foreign.torch_zip(path, foreign.whole(many_names()), {"0": bytes(4)}), "branches without end"
    ),
    "laughs as keys": (laughing_keys, "branches without end"),
    "zip of zeros": (zeros_zip, "is packed"),
    "gzip of zeros": (zeros_gzip, "packed with gzip"),
    "gzip of a pickle": (lambda path: path.write_bytes(gzip.compress(foreign.whole(touch()))), "packed with gzip"),
    "packed storage": (lambda path: write_zip(path, sound(), zipfile.ZIP_DEFLATED), "is packed"),
    "entries that overlap": (overlapping, "made to deceive|damaged"),
    "endless list of entries": (long_directory, "list of entries has|damaged|no checkpoint"),
    "storage of 10^12": (large_storage, "should have 4,000,000,000,000 bytes, 0 bytes found"),
    "storage of 10^12, legacy": (
        lambda path: path.write_bytes(foreign.torch_legacy(foreign.whole(
            foreign.tensor_of(foreign.storage_id(count=10**12), size=(10**12,))))),
        r"claims 4,000,000,000,000 more bytes",
    ),
    "many storages, legacy": (
        lambda path: path.write_bytes(foreign.torch_legacy(foreign.whole(b"](" + b"".join(
            foreign.storage_id(key=str(i), count=200_000) for i in range(1000)) + b"e"), bytes(1_000_000))),
        "claims .* more bytes",
    ),
    "path out of the archive": (
        lambda path: write_zip(path, [*sound(), (f"../{CANARY}", b"")]), "leads out of the archive"
    ),
    "absolute path": (lambda path: write_zip(path, [*sound(), (f"/tmp/{CANARY}", b"")]), "leads out of the archive"),
    "path with backslashes": (
        lambda path: write_zip(path, [*sound(), (f"a\\..\\..\\{CANARY}", b"")]), "leads out of the archive"
    ),
    "storage outside": (
        storage_outside,
        "storage '../../etc/passwd' should have 16 bytes, nothing found",
    ),
    "twice the same name": (
        lambda path: write_zip(path, [*sound(), ("archive/data.pkl", foreign.whole(touch()))]), "twice"
    ),
    "nested torch files": (
        lambda path: path.write_bytes(foreign.whole(nested_bytes(), 3)), r"torch\.storage\._load_from_bytes"
    ),
    "safetensors header of 10^12": (
        lambda path: path.write_bytes(struct.pack("<Q", 10**12) + b'{"a":1}' * 10), "no checkpoint|damaged"
    ),
    "safetensors of 10^12": (large_safetensors, "damaged or no safetensors"),
    "safetensors with a deep header": (
        lambda path: path.write_bytes(struct.pack("<Q", 1_000_010) + b'{"a":' + b"[" * 1_000_005 + bytes(8)),
        "damaged or no safetensors",
    ),
}  # fmt: skip


def safetensors(header):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(16)


@functools.cache
def sound_nvidia():
    with tempfile.TemporaryDirectory() as folder:
        return foreign.nvidia_pickle(Path(folder) / "a", foreign.stylegan2_gan(8), keys=("G_ema",)).read_bytes()


def insert_in_nvidia(path, opcodes):
    """A sound NVIDIA pickle in which the opcodes run at the end, and leave nothing."""
    path.write_bytes(sound_nvidia()[:-1] + opcodes + b"0.")


OTHERS = r"|asks for torch\.storage\._load_from_bytes|asks for torch_utils\.persistence"  # which no torch file needs


def all_attacks():
    """name -> (what writes the file, its suffix, the pattern of the message)."""
    found = {}
    for group in (CALLS, GADGETS, BOMBS):
        for name, (opcodes, message) in group.items():
            pattern = message if group is not CALLS else message.replace(".", r"\.")
            data = foreign.whole(opcodes, 4)
            found[f"{name}, pkl"] = (lambda path, data=data: path.write_bytes(data), ".pkl", pattern)
            found[f"{name}, torch zip"] = (
                lambda path, data=data: foreign.torch_zip(path, data),
                ".pt",
                pattern + OTHERS,
            )
    for name, (opcodes, message) in CALLS.items():
        pattern = message.replace(".", r"\.")
        found[f"{name}, in NVIDIA's"] = (lambda path, o=opcodes: insert_in_nvidia(path, o), ".pkl", pattern)
        found[f"{name}, legacy"] = (
            lambda path, o=opcodes: path.write_bytes(foreign.torch_legacy(foreign.whole(o, 4))), ".pth", pattern
        )  # fmt: skip
    for name, (write, message) in ARCHIVES.items():
        found[name] = (write, ".pt", message)
    safe = foreign.whole(touch())
    found["a pickle called safetensors"] = (lambda path: path.write_bytes(safe), ".safetensors", r"os\.system")
    found["a pickle called onnx"] = (lambda path: path.write_bytes(safe), ".onnx", r"os\.system")
    found["protocol 0"] = (
        lambda path: path.write_bytes(f"cos\nsystem\n(S'touch {CANARY}'\ntR.".encode()),
        "",
        r"os\.system",
    )
    return found


ATTACKS = all_attacks()


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """name -> {"sec", "bytes", "message", "canary"} of every attack, as one process reports them."""
    folder = tmp_path_factory.mktemp("attacks")
    (folder / "empty").mkdir()
    paths = {}
    for index, (name, (write, suffix, _)) in enumerate(ATTACKS.items()):
        paths[name] = folder / f"{index}{suffix}"
        write(paths[name])
    report = folder / "report.jsonl"

    def run():
        os.chdir(folder / "empty")
        torch.set_num_threads(1)
        with report.open("w") as file:
            for name, path in paths.items():
                file.write(json.dumps(attacked(name, path)) + "\n")
                file.flush()

    code = forked.ended(forked.start(run, folder / "output"))
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert code == 0, f"the process ended with {code} at {list(paths)[len(lines)]}: {(folder / 'output').read_text()}"
    return {line["name"]: line for line in lines}


def attacked(name, path):
    """Opens a file and tells what became of it."""
    before, started = resident(), time.process_time()
    try:
        cocktail.load(path)
        message = "loaded"
    except CocktailError as error:
        message = str(error)
    except BaseException as error:
        message = f"{type(error).__name__}: {error}"
    sec, peak = time.process_time() - started, resident(peak=True) - before
    canaries = [str(found) for found in Path("..").rglob(CANARY)] + [p for p in ("/tmp/canary",) if os.path.exists(p)]
    return {"name": name, "sec": sec, "bytes": peak, "message": message, "canary": canaries}


def resident(peak=False):
    """Bytes of memory in use, or the most since the last call without `peak`; the most ever where there is no /proc."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if not peak:
        Path("/proc/self/clear_refs").write_text("5")
    key = "VmHWM:" if peak else "VmRSS:"
    return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith(key))


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_soon_in_little_memory_and_nothing_runs(outcomes, name):
    found = outcomes[name]
    assert found["canary"] == []
    assert pytest.approx(0, abs=MAX_SEC) == found["sec"] and found["bytes"] < MAX_BYTES
    assert not found["message"].startswith("loaded")
    with pytest.raises(CocktailError, match=ATTACKS[name][2]):
        raise CocktailError(found["message"])
    assert "\n" not in found["message"] and len(found["message"]) < 1500


@pytest.mark.parametrize("name", CALLS)
def test_pythons_pickle_would_run_the_attack(tmp_path, name):
    """Otherwise the attack would prove nothing."""

    def run():
        os.chdir(tmp_path)
        pickle.loads(foreign.whole(CALLS[name][0], 2 if "Python 2" in name else 4))

    forked.ended(forked.start(run, tmp_path / "output"))
    assert (tmp_path / CANARY).exists(), (tmp_path / "output").read_text()


def test_a_sound_file_beside_the_attacks_is_read(tmp_path):
    path = foreign.nvidia_pickle(tmp_path / "a.pkl", foreign.stylegan2_gan(8), keys=("G_ema",))
    assert cocktail.load(path).resolution == 8
