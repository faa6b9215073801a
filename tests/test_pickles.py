"""Pickles and files of torch.save, read without Python's pickle: what comes out is what went in, or nothing does."""

import argparse
import hashlib
import pickle
import re
from collections import OrderedDict

import numpy as np
import pytest
import torch

from cocktail.checkpoints import content, opcodes, pickles, torchfile
from cocktail.checkpoints.constructors import COMMON
from cocktail.errors import CocktailError
from tests import foreign

DATA = {
    "numbers": [0, -1, 255, 65_536, -(2**31), 2**40, -(2**70), 1.5, float("inf"), True, False, None],
    "texts": ["", "cat", "Кот", "a" * 300, "\ud800"],
    "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
    "nested": {"a": {"b": [{"c": ()}]}, 3: "three", ("x", "y"): 1},
    "sets": {1, 2, "three"},
}


@pytest.mark.parametrize("protocol", range(6))
def test_plain_data_comes_back_in_every_protocol(protocol):
    assert pickles.load(pickle.dumps(DATA, protocol), COMMON, "here") == DATA


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_bytes_come_back_short_and_long(protocol):
    found = pickles.load(pickle.dumps([b"", b"short", bytes(range(256)) * 4], protocol), COMMON, "here")
    assert [pickles.content(value) for value in found] == [b"", b"short", bytes(range(256)) * 4]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_numpy_values_come_back_as_numbers_and_arrays(protocol):
    columns = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    data = {"n": np.float64(2.5), "i": np.int32(-3), "b": np.bool_(True), "flat": np.arange(6, dtype=np.int16),
            "grid": np.linspace(0, 1, 200).reshape(10, 20), "columns": columns}  # fmt: skip
    found = pickles.load(pickle.dumps(data, protocol), COMMON, "here")
    assert (found["n"], found["i"], found["b"]) == (2.5, -3, True)
    for name in ("flat", "grid", "columns"):
        assert np.array_equal(found[name], data[name]) and found[name].dtype == data[name].dtype
        found[name][:] = 0  # ours to change


def test_one_object_in_two_places_stays_one():
    shared = [1]
    found = pickles.load(pickle.dumps([shared, shared]), {}, "here")
    assert found[0] is found[1]


def test_data_inside_itself_is_refused():
    loop = []
    loop.append({"a": (loop,)})
    with pytest.raises(CocktailError, match="holds data inside itself"):
        pickles.load(pickle.dumps(loop), {}, "here")


def test_data_that_branches_without_end_is_refused():
    tree = [1]
    for _ in range(30):
        tree = [tree, tree]
    with pytest.raises(CocktailError, match="branches without end"):
        pickles.load(pickle.dumps(tree), {}, "here")


def test_a_stream_stands_behind_the_pickle():
    stream = opcodes.Stream(pickle.dumps(1) + pickle.dumps("two") + b"rest", "here")
    assert [pickles.load(stream, {}, "here") for _ in range(2)] == [1, "two"]
    assert stream.read(4) == b"rest"


@pytest.mark.parametrize("protocol", range(6))
def test_a_name_that_is_not_allowed_is_named_and_not_called(protocol):
    with pytest.raises(CocktailError, match=r"here asks for collections\.Counter, .* nothing of the file was executed"):
        pickles.load(pickle.dumps(__import__("collections").Counter, protocol), COMMON, "here")


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "claims 1 more bytes where 0 are left"),
        (pickle.dumps([1, 2])[:-1], "claims 1 more bytes"),
        (b"\x80\x02X\xff\xff\xff\x7fabc.", "holds a text of 2,147,483,647 bytes"),
        (b"\x80\x02X\x10\0\0\0abc.", "claims 16 more bytes where 4 are left"),
        (b"\x80\x04\x8e" + (10**12).to_bytes(8, "little") + b".", "claims 1,000,000,000,000 more bytes"),
        (b"\x80\x02\x8b\xff\xff\xff\x7f.", "holds a number of"),
        (b"I" + b"9" * 5000 + b"\n.", "has a broken INT"),
        (b"\x80\x02X\x02\0\0\0\xff\xff.", "has a broken BINUNICODE"),
        (b"\x80\x02\x82\x01.", "opcode EXT1, which checkpoints do not use"),
        (b"\x80\x05\x97.", "opcode NEXT_BUFFER"),
        (b"\x80\x02]2.", "opcode DUP"),
        (b"\x80\x02\xff.", r"has no opcode \(ff\)"),
        (b"\x80\x02.", "leaves more than one object"),
        (b"\x80\x02K\x01K\x02.", "leaves more than one object"),
        (b"\x80\x02(K\x01.", "leaves more than one object"),
        (b"\x80\x02h\x07.", "has a BINGET that makes no sense"),
        (b"\x80\x02a.", "has a APPEND that makes no sense"),
        (b"\x80\x02}K\x01a.", "only a list can be appended to"),
        (b"\x80\x02]K\x01K\x02s.", "only a dict has items"),
        (b"\x80\x02}(K\x01u.", "a key without a value"),
        (b"\x80\x02}]K\x02s.", "a key is no plain value"),
        (b"\x80\x02}((K\x01tK\x02u.", "a key is no plain value"),
        (foreign.whole(foreign.fragment({"a" * 201: 1})), "a key is no plain value"),
        (b"\x80\x02K\x01)R.", "this cannot be called"),
        (b"\x80\x02]}b.", "this takes no state"),
        (b"\x80\x02K\x05Q.", "no data outside the pickle is expected"),
        (b"\x80\x02" + b"(" * 300 + b".", "opens 200 containers in one another"),
        (b"\x80\x02)" + b"\x85" * 5000 + b".", "150 levels deep"),
        (b"\x80\x02" + b"]" * 5000 + b"a" * 4999 + b".", "150 levels deep"),
        (b"\x80\x02" + b"N0" * 300_000 + b".", "more than 500,000 opcodes"),
    ],
)  # fmt: skip
def test_damage_and_excess_are_refused(data, message):
    with pytest.raises(CocktailError, match=message):
        pickles.load(data, COMMON, "here")


def test_keys_whose_hashes_meet_are_refused():
    keys = b"".join(foreign.fragment((i + 1) * (2**61 - 1)) + b"N" for i in range(10))
    with pytest.raises(CocktailError, match="a key is no plain value"):
        pickles.load(foreign.whole(b"}(" + keys + b"u"), {}, "here")


def state():
    x = torch.arange(20.0).reshape(4, 5)
    return {"g_ema": OrderedDict(a=x, b=x.t(), row=x[1], half=x.half(), brain=x.bfloat16(), flags=x > 3,
                                 number=torch.tensor(3), empty=torch.zeros(0, 3)),
            "parameter": torch.nn.Parameter(torch.ones(2)), "args": argparse.Namespace(size=64, lr=0.5),
            "shape": x.shape}  # fmt: skip


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_of_torch_save_comes_back(tmp_path, zipped, protocol):
    torch.save(state(), tmp_path / "a", pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    assert content.kind(tmp_path / "a") == ("torch-zip" if zipped else "torch-legacy")
    found = torchfile.read(tmp_path / "a")
    for name, tensor in state()["g_ema"].items():
        assert torch.equal(found["g_ema"][name], tensor) and found["g_ema"][name].dtype == tensor.dtype
    assert found["args"] == {"size": 64, "lr": 0.5} and found["shape"] == (4, 5)
    assert torch.equal(found["parameter"], torch.ones(2))
    found["g_ema"]["a"][0, 1] = 7.0
    assert found["g_ema"]["b"][1, 0] == 7.0  # memory that was shared still is


def test_a_state_dict_with_its_metadata_is_read(tmp_path):
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    torch.save(module.state_dict(), tmp_path / "a")
    found = torchfile.read(tmp_path / "a")
    assert list(found) == list(module.state_dict())
    assert all(torch.equal(found[name], value) for name, value in module.state_dict().items())


def test_a_torch_file_of_a_whole_module_is_refused_with_a_hint(tmp_path):
    torch.save(torch.nn.Linear(1, 1), tmp_path / "a")
    with pytest.raises(CocktailError, match=r"torch\.nn\.modules\.linear\.Linear.*save its state_dict"):
        torchfile.read(tmp_path / "a")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_torchscript_file_is_refused(tmp_path):
    torch.jit.trace(torch.nn.Linear(1, 1), torch.zeros(1, 1)).save(tmp_path / "a")
    with pytest.raises(CocktailError, match="TorchScript program"):
        torchfile.read(tmp_path / "a")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_torch_file_that_was_cut_is_called_damaged(tmp_path, zipped, share):
    torch.save({"a": torch.randn(50, 50)}, tmp_path / "a", _use_new_zipfile_serialization=zipped)
    data = (tmp_path / "a").read_bytes()
    (tmp_path / "a").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(CocktailError, match="damaged"):
        torchfile.read(tmp_path / "a")


def test_flipped_bits_in_a_zip_are_found_by_its_checksum(tmp_path):
    torch.save({"a": torch.zeros(1000)}, tmp_path / "a")
    data = bytearray((tmp_path / "a").read_bytes())
    data[data.find(bytes(1000)) + 500] = 1
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(CocktailError, match="damaged"):
        torchfile.read(tmp_path / "a")


@pytest.mark.parametrize(
    "where, message",
    [
        ({"size": (5,)}, "a tensor of 5 elements on a storage of 4"),
        ({"size": (10**12,)}, "elements on a storage of 4"),
        ({"size": (2,), "stride": (4,)}, "on a storage of 4"),
        ({"size": (4,), "offset": 1}, "on a storage of 4"),
        ({"size": (10**12,), "stride": (0,)}, "on a storage of 4"),
        ({"size": (2,), "stride": (-1,)}, "whole numbers from 0"),
        ({"size": (2, 2), "stride": (1,)}, "different lengths"),
        ({"size": (1,) * 9, "stride": (1,) * 9}, "expected a shape"),
        ({"size": (2**40, 2**40), "stride": (1, 1)}, "on a storage of 4"),
        ({"size": (0,), "stride": (1,), "offset": 5}, "on a storage of 4"),
        ({"size": (2.0,)}, "whole numbers from 0"),
    ],
)
def test_a_tensor_outside_its_storage_is_refused(tmp_path, where, message):
    data = foreign.whole(foreign.tensor_of(foreign.storage_id(), **where))
    foreign.torch_zip(tmp_path / "a", data, {"0": bytes(16)})
    with pytest.raises(CocktailError, match=message):
        torchfile.read(tmp_path / "a")


def test_a_tensor_made_by_hand_is_read(tmp_path):
    data = foreign.whole(foreign.tensor_of(foreign.storage_id(), size=(2, 2), stride=(1, 2)))
    foreign.torch_zip(tmp_path / "a", data, {"0": np.arange(4, dtype=np.float32).tobytes()})
    assert torchfile.read(tmp_path / "a").tolist() == [[0, 2], [1, 3]]
    data = foreign.torch_legacy(data, (4).to_bytes(8, "little") + np.ones(4, np.float32).tobytes(), ["0"])
    (tmp_path / "b").write_bytes(data)
    assert torchfile.read(tmp_path / "b").tolist() == [[1, 1], [1, 1]]


def test_every_kind_of_file_is_told_by_its_content(tmp_path):
    torch.save({}, tmp_path / "zip")
    files = {
        "torch-zip": (tmp_path / "zip").read_bytes(),
        "torch-legacy": foreign.saved({}, legacy=True),
        "pickle": pickle.dumps({"a": 1}),
        "tensorflow-pickle": foreign.whole(b"cdnnlib.tflib.network\nNetwork\n"),
        "nvidia-pickle": foreign.whole(b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n", 3),
        "gzip": b"\x1f\x8b\x08\0rest",
        "hdf5": b"\x89HDF\r\n\x1a\nrest",
        "numpy": b"\x93NUMPY\x01\0",
        "onnx": b"\x08\x08\x12\x07pytorch",
        "empty": b"",
        "unknown": b"hello there, this is some text",
        "safetensors": (2).to_bytes(8, "little") + b"{}" + bytes(8),
    }
    for kind, data in files.items():
        path = tmp_path / hashlib.sha256(kind.encode()).hexdigest()  # a name that tells nothing
        path.write_bytes(data)
        assert content.kind(path) == kind
    assert content.kind(tmp_path) == "folder" and content.kind(tmp_path / "none") == "missing"
    assert content.kind("a\0b") == "missing"
    (tmp_path / "text").write_bytes(pickle.dumps(OrderedDict, 0))
    assert content.kind(tmp_path / "text") == "pickle"  # protocol 0 has no signature


def test_the_opcodes_are_those_of_pickletools():
    known = {name for name in opcodes.NAMES.values() if name in opcodes.READERS}
    assert known == set(opcodes.READERS)
    assert set(opcodes.READERS) - set(pickles.STEPS) == pickles.LITERALS | set(pickles.FRESH)
    assert not re.search("OBJ|EXT|BUFFER|DUP", " ".join(set(opcodes.READERS) - {"NEWOBJ"}))
