"""What a run left behind, as two runs that should have come to the same are compared."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

PRIVATE = ("time", "sec", "memory")  # what differs from process to process


def log(folder: Path) -> list[dict]:
    """The lines of the log."""
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def told(folder: Path, *kinds: str) -> list[dict]:
    """What the log says of stages and notes, and of other kinds, but for what differs from process to process."""
    kept = [entry for entry in log(folder) if entry.keys() & {"stage", "note", *kinds}]
    return [{name: value for name, value in entry.items() if name not in PRIVATE} for entry in kept]


def weights(folder: Path, model: str = "result") -> dict[str, torch.Tensor]:
    """The tensors of the result, or of another model of the run."""
    return load_file(folder / model / "model.safetensors")


def assert_same_weights(a: Path, b: Path, model: str = "result") -> None:
    """The results are equal to the bit, or other models of the runs."""
    one, other = weights(a, model), weights(b, model)
    assert one.keys() == other.keys() and len(one) > 30
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
