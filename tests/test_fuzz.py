"""Sound files of every format, changed at random: each is read or refused with a reason, within seconds.

A process of its own opens them, so that a crash, or a file that takes for ever, is seen and named, and the rest goes
on. Most changes hit what describes the tensors (headers, opcodes, names), not their values.
"""

import json
import mmap
import os
import random
import resource
import shutil
import signal
import struct
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from PIL import Image

import cocktail
from cocktail.checkpoints import opcodes
from cocktail.errors import CocktailError
from cocktail.sources import FolderSource
from tests import foreign, foreign_torch, forked

MAX_SEC, MAX_BYTES = 5, 1 << 30
FACTOR = int(os.environ.get("COCKTAIL_FUZZ", "1"))  # times as many changes, for a longer search
STRUCTURE = 0.75  # of the changes; the rest may hit anything
HOSTILE = foreign.calling("os.system", ("touch canary",))
OPCODES = b"".join(opcodes.NAMES)
SIZES = (b"\xff" * 4, b"\xff" * 8, struct.pack("<Q", 10**12), struct.pack("<I", 2**31), bytes(8), b"\x7f" * 4)


@dataclass(frozen=True)
class Fuzzed:
    """A format: `make` writes a sound file or folder into a folder and says which file to change, what bytes of it are
    values alone, and what to open; `open` opens it; `pack` puts changed bytes into a container first."""

    count: int
    make: Callable[[Path], tuple[bytes, list[bytes]]]
    name: str
    open: Callable[[Path], object]
    pack: Callable[[Path, bytes], object] = Path.write_bytes


def drawn(path):
    """Loads a model, and draws with it: what was accepted must work."""
    gan = cocktail.load(path)
    return gan.sample([0], gan.classes[0] if gan.classes else None)


def values(*networks):
    states = [network if isinstance(network, dict) else network.state_dict() for network in networks]
    return [value.contiguous().numpy().tobytes() for state in states for value in state.values() if value.numel() > 4]


def nvidia(protocol):
    def make(folder):
        gan = foreign.stylegan2_gan(8, c_dim=2, discriminator={"architecture": "skip"})
        path = foreign.nvidia_pickle(folder / "a", gan, protocol=protocol, keys=("D", "G_ema"))
        return path.read_bytes(), values(gan.generator, gan.discriminator)

    return make


def stylegan3(folder):
    from tests.test_stylegan3 import pickled, small_gan

    gan = small_gan()
    path = pickled(folder / "a", gan, keys=("G_ema",))
    return path.read_bytes(), values(gan.generator)


def onnx(folder):
    from tests.test_onnx import generator

    data = generator(folder / "a", classes=2).read_bytes()
    return data, [data[1000:-500]]  # two large tensors, and at both ends what describes them


def torch_file(legacy, *states):
    def make(folder):
        whole = dict(zip(("g_ema", "d"), states)) if len(states) > 1 else states[0]
        return foreign.saved(whole, legacy), values(*states)

    return make


def pickle_of_torch_zip(folder):
    data, _ = torch_file(False, *ROSINALITY)(folder)
    (folder / "whole").write_bytes(data)
    with zipfile.ZipFile(folder / "whole") as archive:
        return archive.read("archive/data.pkl"), []


def pack_torch_zip(path, data):
    with zipfile.ZipFile(path.parent / "whole") as archive, zipfile.ZipFile(path, "w") as packed:
        for name in archive.namelist():
            packed.writestr(name, data if name.endswith("data.pkl") else archive.read(name))


def safetensors(folder):
    gan = foreign.stylegan2_gan(8)
    cocktail.save(gan, folder / "native")
    return (folder / "native" / "model.safetensors").read_bytes(), values(gan.generator, gan.discriminator)


def config(folder):
    return safetensors(folder) and ((folder / "native" / "config.json").read_bytes(), [])


def pack_config(path, data):
    path.mkdir()
    (path / "config.json").write_bytes(data)
    shutil.copy(path.parent / "native" / "model.safetensors", path)


def pictures(folder):
    path = folder / "pictures.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for index, suffix in enumerate(("png", "jpg", "bmp", "webp")):
            Image.effect_noise((12, 9), 50).convert("RGB").save(folder / f"{index}.{suffix}")
            archive.write(folder / f"{index}.{suffix}", f"{index}.{suffix}")
    return path.read_bytes(), []


ROSINALITY = (foreign_torch.rosinality_generator(), foreign_torch.rosinality_discriminator())
FORMATS = {
    "NVIDIA pickle, protocol 3": Fuzzed(450, nvidia(3), "a.pkl", drawn),
    "NVIDIA pickle, protocol 4": Fuzzed(350, nvidia(4), "a.pkl", drawn),
    "StyleGAN3 pickle": Fuzzed(150, stylegan3, "a.pkl", drawn),
    "DCGAN": Fuzzed(150, torch_file(False, foreign_torch.dcgan_generator()), "a.pt", drawn),
    "DCGAN, legacy": Fuzzed(300, torch_file(True, foreign_torch.dcgan_generator()), "a.pth", drawn),
    "rosinality": Fuzzed(150, torch_file(False, *ROSINALITY), "a.pt", drawn),
    "rosinality, its pickle": Fuzzed(450, pickle_of_torch_zip, "a.pt", drawn, pack_torch_zip),
    "ONNX": Fuzzed(150, onnx, "a.onnx", drawn),
    "safetensors": Fuzzed(250, safetensors, "a.safetensors", drawn),
    "config of a folder": Fuzzed(250, config, "folder", drawn, pack_config),
    "zip of pictures": Fuzzed(250, pictures, "a.zip", lambda path: FolderSource(path, 8)),
}


def described(data, hidden):
    """The stretches (start, stop) of a file that are no values of tensors."""
    covered = sorted((at, at + len(part)) for part in hidden if len(part) >= 16 and (at := data.find(part)) >= 0)
    found, start = [], 0
    for begin, end in [*covered, (len(data), len(data))]:
        if begin > start:
            found.append((start, begin))
        start = max(start, end)
    return found


def changed(data, stretches, rng):
    """The bytes after one to three changes, and whether the first hit a description."""
    structural = rng.random() < STRUCTURE
    first = None
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        begin, end = rng.choices(stretches, [b - a for a, b in stretches])[0] if structural else (0, len(data))
        at = min(rng.randrange(begin, end), max(0, len(data) - 1))
        first = any(a <= at < b for a, b in stretches) if first is None else first
        data = rng.choice(CHANGES)(data, at, rng)
    return data, first


def put(data, at, new, drop=0):
    return data[:at] + new + data[at + drop :]


def small_number(data, at, rng):
    """Another value for the next number of one byte in a pickle, or the next digit of a text: still well formed."""
    code = rng.choice((b"K", b"h", *(str(digit).encode() for digit in range(10))))
    found = data.find(code, at)
    if found < 0:
        return data
    return put(data, found + 1, rng.randbytes(1), 1) if code in b"Kh" else put(data, found, rng.choice(DIGITS), 1)


DIGITS = [str(digit).encode() for digit in range(10)] + [b"10000000", b"-1", b"0.5"]
CHANGES = (
    small_number,
    small_number,
    small_number,
    lambda data, at, rng: put(data, at, bytes([data[at] ^ 1 << rng.randrange(8)]) if data else b"", 1),
    lambda data, at, rng: put(data, at, rng.randbytes(1), 1),
    lambda data, at, rng: put(data, at, bytes([rng.choice(OPCODES)]), 1),
    lambda data, at, rng: put(data, at, bytes([rng.choice(OPCODES)])),
    lambda data, at, rng: put(data, at, rng.choice(SIZES), 4),
    lambda data, at, rng: put(data, at, rng.randbytes(rng.randrange(1, 16))),
    lambda data, at, rng: put(data, at, b"", rng.randrange(1, 16)),
    lambda data, at, rng: put(data, at, data[at : at + rng.randrange(1, 64)] * 2),
    lambda data, at, rng: put(data, at, data[(b := rng.randrange(len(data) + 1)) : b + rng.randrange(1, 40)], 8),
    lambda data, at, rng: put(data, at, HOSTILE + rng.choice((b"", b"0"))),
    lambda data, at, rng: put(data, at, str(rng.choice((-1, 0, 10**12, 2**64, 1e308))).encode(), rng.randrange(4)),
    lambda data, at, rng: data[:at],
)


def fuzz(folder, counter, report, name, start):
    """Opens the changed files of a format from a number on, and writes what became of each."""
    os.chdir(folder)
    torch.set_num_threads(1)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * 4096 if Path("/proc").exists() else 1 << 34
    resource.setrlimit(resource.RLIMIT_AS, (size + 2 * MAX_BYTES,) * 2)
    kind = FORMATS[name]
    data, hidden = kind.make(folder)
    stretches = described(data, hidden)
    with report.open("a") as file:
        for index in range(start, kind.count * FACTOR):
            counter[:8] = struct.pack("<q", index)
            new, structural = changed(data, stretches, random.Random(f"{name} {index}"))
            path = folder / f"{index}" / kind.name
            path.parent.mkdir()
            for extra in ("whole", "native"):
                if (folder / extra).exists():
                    (path.parent / extra).symlink_to(folder / extra)
            kind.pack(path, new)
            signal.setitimer(signal.ITIMER_REAL, MAX_SEC)  # its signal ends the process
            file.write(json.dumps([name, index, structural, opened(kind, path)]) + "\n")
            file.flush()
            signal.setitimer(signal.ITIMER_REAL, 0)
            shutil.rmtree(path.parent)


def opened(kind, path):
    try:
        kind.open(path)
    except CocktailError as error:
        return f"refused: {error}"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return "read"


def fuzzed(name, folder):
    """Every outcome of a format: [name, index, structural, what became of it]."""
    report = folder / "report.jsonl"
    report.touch()
    counter, start = mmap.mmap(-1, 8), 0
    crashes = []
    while start < FORMATS[name].count * FACTOR:
        counter[:8] = struct.pack("<q", start)
        work = folder / f"from-{start}"
        work.mkdir()
        pid = forked.start(lambda work=work, start=start: fuzz(work, counter, report, name, start), folder / "output")
        _, status = os.waitpid(pid, 0)
        last = struct.unpack("<q", counter[:8])[0]
        if status == 0:
            break
        crashes.append([name, last, True, f"ended with {os.waitstatus_to_exitcode(status)}"])
        assert len(crashes) < 10, (folder / "output").read_text()[-2000:]
        start = last + 1
    return [json.loads(line) for line in report.read_text().splitlines()] + crashes


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_changed_files_are_read_or_refused_and_never_run(tmp_path):
    outcomes = []
    for name in FORMATS:
        folder = tmp_path / name.replace(" ", "-").replace(",", "")
        folder.mkdir()
        outcomes += fuzzed(name, folder)
    strange = [line for line in outcomes if not line[3].startswith(("read", "refused: "))]
    assert strange == []
    assert not list(tmp_path.rglob("canary"))
    assert len(outcomes) == sum(kind.count * FACTOR for kind in FORMATS.values()) >= 2_000
    assert sum(structural for _, _, structural, _ in outcomes) >= len(outcomes) / 2
    read = Counter(name for name, _, _, what in outcomes if what == "read")
    assert all(0 < read[name] < kind.count * FACTOR for name, kind in FORMATS.items()), (
        read
    )  # the changes do something, not all
    print({name: f"{read[name]} of {kind.count * FACTOR} read" for name, kind in FORMATS.items()})
